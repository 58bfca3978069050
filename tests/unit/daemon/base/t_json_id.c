/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_line_id: the id of a line that was refused.
 */
#include "json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol.h"
#include "xmalloc.h"

/* The id is found in every line that is JSON by RFC 8259, even if parsing it
 * fails. */
static void
a_refused_line_keeps_its_id(void **state)
{
	static const struct {
		const char	*line;
		int64_t		 id;
	} cases[] = {
		{ "{\"id\":7}", 7 },
		{ " { \"a\" : [1, {\"id\":3}] , \"id\" : 7 } ", 7 },
		{ "{\"id\":0,\"x\":1e400}", 0 },
		{ "{\"x\":123456789012345678901234567890,\"id\":5}", 5 },
		{ "{\"x\":-1.5E+999,\"id\":9007199254740991}",
		    JSON_INT_MAX },
		{ "{\"x\":1,\"x\":2,\"id\":5}", 5 },
		{ "{\"x\":\"\\u0000\",\"id\":5}", 5 },
		{ "{\"x\":\"\\ud800\",\"id\":5}", 5 },
		{ "{\"x\":\"\\\"id\\\":9\",\"id\":5}", 5 },
		{ "{\"\\u0069d\":5}", 5 },
		{ "{\"i\\u0064\":5}", 5 },
		{ "{\"id\":-0}", 0 },
		{ "{\"x\":[true,false,null],\"id\":5}", 5 },
		/* JSON without an id that an answer can name. */
		{ "", -1 }, { " ", -1 }, { "7", -1 }, { "[{\"id\":5}]", -1 },
		{ "{}", -1 }, { "{\"x\":{\"id\":5}}", -1 },
		{ "{\"id\":-1}", -1 }, { "{\"id\":\"5\"}", -1 },
		{ "{\"id\":5.0}", -1 }, { "{\"id\":5e0}", -1 },
		{ "{\"id\":null}", -1 }, { "{\"id\":[5]}", -1 },
		{ "{\"id\":9007199254740992}", -1 },
		{ "{\"id\":99999999999999999999999999}", -1 },
		{ "{\"id\":5,\"id\":5}", -1 },
		{ "{\"id\":5,\"\\u0069d\":6}", -1 },
		{ "{\"Id\":5}", -1 }, { "{\"ide\":5}", -1 },
		/* Lines that are not JSON. */
		{ "{\"id\":5", -1 }, { "{\"id\":5}}", -1 },
		{ "{\"id\":5,}", -1 }, { "{\"id\":05}", -1 },
		{ "{\"id\":+5}", -1 }, { "{\"id\" 5}", -1 },
		{ "{id:5}", -1 }, { "{'id':5}", -1 },
		{ "{\"id\":5} {}", -1 }, { "{\"id\":5 \"x\":1}", -1 },
		{ "{\"x\":1.,\"id\":5}", -1 },
		{ "{\"x\":.5,\"id\":5}", -1 },
		{ "{\"x\":1e,\"id\":5}", -1 },
		{ "{\"x\":-,\"id\":5}", -1 },
		{ "{\"x\":tru,\"id\":5}", -1 },
		{ "{\"x\":[1,],\"id\":5}", -1 },
		{ "{\"x\":[1},\"id\":5}", -1 },
		{ "{\"x\":\"\\x\",\"id\":5}", -1 },
		{ "{\"x\":\"\\u00g0\",\"id\":5}", -1 },
		{ "{\"x\":\"\t\",\"id\":5}", -1 },
		{ "{\"x\":\"\xff\",\"id\":5}", -1 },
		{ "{\"x\":\"\\", -1 }, { "{\"x\":\"\\u12", -1 },
	};
	size_t	 i;
	char	*s;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		/* The exact size, so that ASan sees a read after it. */
		s = xmalloc(strlen(cases[i].line) + 1);
		memcpy(s, cases[i].line, strlen(cases[i].line));
		s[strlen(cases[i].line)] = '"';
		if (json_line_id(s, strlen(cases[i].line)) != cases[i].id)
			fail_msg("%s: %lld, expected %lld", cases[i].line,
			    (long long)json_line_id(s,
			    strlen(cases[i].line)), (long long)cases[i].id);
		free(s);
	}
	assert_int_equal(json_line_id("{\"id\":5,\"x\":\"\0\"}", 16), -1);
	assert_int_equal(json_line_id("{\"id\":5,\"x\":\"\\\0\"}", 17), -1);
}

/* Deep nesting takes neither much stack nor much time. */
static void
the_search_for_an_id_is_bounded(void **state)
{
	static const struct { int nested; int64_t id; } cases[] = {
		{ 999, 5 }, { 1000, -1 }, { 500000, -1 },
	};
	char	*s, *p;
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		s = xmalloc((size_t)cases[i].nested * 2 + 32);
		p = s + sprintf(s, "{\"id\":5,\"x\":");
		memset(p, '[', (size_t)cases[i].nested);
		p += cases[i].nested;
		memset(p, ']', (size_t)cases[i].nested);
		p += cases[i].nested;
		*p++ = '}';
		assert_int_equal(json_line_id(s, (size_t)(p - s)),
		    cases[i].id);
		free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_line_keeps_its_id),
		cmocka_unit_test(the_search_for_an_id_is_bounded),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

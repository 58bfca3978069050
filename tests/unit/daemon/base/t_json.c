/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parsing a line: which lines are refused and with which reason, and the limits
 * that hold before any memory is taken.
 */
#include "json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xmalloc.h"

/* Lines that are refused, and a word of the reason. */
static const struct {
	const char	*in;
	size_t		 n;	/* 0: strlen */
	const char	*why;
} bad[] = {
	{ "", 0, "empty" },
	{ "  \t", 0, "empty" },
	{ "x", 0, "at byte" },
	{ "{", 0, "at byte" },
	{ "{\"op\":\"say\"", 0, "at byte" },
	{ "{\"op\":\"say\"} {}", 0, "at byte" },
	{ "{\"op\":\"say\",}", 0, "at byte" },
	{ "{'op':1}", 0, "at byte" },
	{ "{\"a\":01}", 0, "at byte" },
	{ "{\"a\":NaN}", 0, "at byte" },
	{ "{\"a\":1e999}", 0, "at byte" },
	{ "{\"a\":123456789012345678901234567890}", 0, "at byte" },
	{ "{\"a\":1,\"a\":2}", 0, "duplicate" },
	{ "{\"a\":{\"b\":1,\"b\":1}}", 0, "duplicate" },
	{ "[1]", 0, "object" },
	{ "{\"a\":\"x\0y\"}", 11, "NUL" },
	{ "{\"a\":1}\0", 8, "NUL" },
	{ "{\"a\":\"\\u0000\"}", 0, "NUL" },
	{ "{\"a\\u0000b\":1}", 0, "NUL" },
	{ "{\"a\":\"\\\\\\u0000\"}", 0, "NUL" },
	{ "{\"a\":\"\xff\"}", 0, "UTF-8" },
	{ "{\"a\":\"\xc3\"}", 0, "UTF-8" },
	{ "{\"a\":\"\xed\xa0\x80\"}", 0, "UTF-8" },
	{ "{\"a\":\"\xc0\x80\"}", 0, "UTF-8" },
	{ "{\"a\":\"\\ud800\"}", 0, "at byte" },
	{ "{\"a\":\"\\udc00x\"}", 0, "at byte" },
	{ "{\"a\":\"tab\tin it\"}", 0, "at byte" },
};

/* Every refusal says bad_json and why. */
static void
bad_lines_are_refused_with_a_reason(void **state)
{
	struct fault	 f;
	json_t		*v = NULL;
	size_t		 i, n;
	int		 r;

	(void)state;
	for (i = 0; i < nitems(bad); i++) {
		n = bad[i].n > 0 ? bad[i].n : strlen(bad[i].in);
		memset(&f, 0, sizeof f);
		r = json_line_parse(bad[i].in, n, &v, &f);
		if (r != CHAT_EFORMAT || strcmp(f.code, "bad_json") != 0 ||
		    strstr(f.message, bad[i].why) == NULL)
			fail_msg("case %zu \"%s\": %d %s, expected \"%s\"", i,
			    bad[i].in, r, f.message, bad[i].why);
		assert_null(v);
	}
}

/* Lines that almost break a rule above are accepted. */
static void
good_lines_are_accepted(void **state)
{
	static const char *const good[] = {
		"{}",
		" {\"op\" : \"say\" , \"id\" : 1 } ",
		"{\"a\":\"\\\\u0000\"}",	/* a backslash and u0000 */
		"{\"a\":\"\\u0001\"}",
		"{\"a\":\"\\ud83d\\ude00\"}",
		"{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}",
		"{\"a\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}",
		"{\"a\":{\"b\":1},\"b\":1}",
		"{\"a\":9007199254740991}",
	};
	struct fault	 f;
	json_t		*v;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(good); i++) {
		assert_int_equal(json_line_parse(good[i], strlen(good[i]), &v,
		    &f), 0);
		json_decref(v);
	}
}

/* Values are counted before parsing. Signs inside strings do not count. */
static void
the_number_of_values_is_bounded(void **state)
{
	static const struct {
		const char	*in;
		size_t		 values;
	} cases[] = {
		{ "{}", 2 },
		{ "{\"a\":1}", 3 },
		{ "{\"a\":1,\"b\":2}", 5 },
		{ "{\"a\":[1,2,3],\"b\":{}}", 9 },
		{ "{\"a\":\"[[,{\\\",\",\"b\":\",\"}", 5 }
	};
	struct fault	 f;
	json_t		*v;
	size_t		 i, n;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		n = strlen(cases[i].in);
		if (json_line_parse_max(cases[i].in, n, cases[i].values, &v,
		    &f) != 0)
			fail_msg("%s: %s", cases[i].in, f.message);
		json_decref(v);
		assert_int_equal(json_line_parse_max(cases[i].in, n,
		    cases[i].values - 1, &v, &f), CHAT_EFORMAT);
		assert_non_null(strstr(f.message, "values and keys, at most"));
	}
}

/* Make an object with n - 1 nested arrays in it; the depth is n. */
static char *
json_nested(int n)
{
	char	*s = xmalloc((size_t)n * 2 + 16), *p = s;
	int	 i;

	p += sprintf(p, "{\"a\":");
	for (i = 1; i < n; i++)
		*p++ = '[';
	for (i = 1; i < n; i++)
		*p++ = ']';
	strcpy(p, "}");
	return (s);
}

/* The deepest allowed message is accepted, and one level more is refused. */
static void
depth_is_bounded(void **state)
{
	static const int	 depths[] = { JSON_DEPTH_MAX + 1, 1000,
					100000 };
	struct fault		 f;
	json_t			*v;
	char			*s;
	size_t			 i;

	(void)state;
	s = json_nested(JSON_DEPTH_MAX);
	assert_int_equal(json_line_parse(s, strlen(s), &v, &f), 0);
	json_decref(v);
	free(s);
	for (i = 0; i < nitems(depths); i++) {
		s = json_nested(depths[i]);
		assert_int_equal(json_line_parse(s, strlen(s), &v, &f),
		    CHAT_EFORMAT);
		assert_string_equal(f.code, "bad_json");
		assert_non_null(strstr(f.message, "deep"));
		free(s);
	}
}

static size_t	 counted;	/* allocations by jansson */

static void *
count_malloc(size_t n)
{
	counted++;
	return (malloc(n));
}

/* A line with very many members is refused without more allocations than a
 * line just within the limit takes. */
static void
a_refused_line_costs_no_more_than_a_good_one(void **state)
{
	struct fault	 f;
	json_t		*msg = NULL;
	size_t		 i, n, most = 0;
	char		*s = xmalloc(2000000);

	(void)state;
	json_set_alloc_funcs(count_malloc, free);
	for (i = n = 0; i < 100000; i++) {
		n += (size_t)sprintf(s + n, "%c\"k%zu\":[%zu]", i == 0 ? '{' :
		    ',', i, i);
		if (i == 49) {
			strcpy(s + n, "}");
			assert_int_equal(json_line_parse_max(s, n + 1, 256,
			    &msg, &f), 0);
			most = counted;
		}
	}
	n += (size_t)sprintf(s + n, ",\"id\":5}");
	counted = 0;
	assert_int_equal(json_line_parse_max(s, n, 256, &msg, &f),
	    CHAT_EFORMAT);
	assert_int_equal(json_line_id(s, n), 5);
	if (counted > 2 * most)
		fail_msg("%zu allocations, %zu for a good line", counted,
		    most);
	json_set_alloc_funcs(malloc, free);
	json_decref(msg);
	free(s);
}

/* Values, arrays, objects and depth of a text are counted before parsing. */
static void
json_measure_ignores_the_content_of_strings(void **state)
{
	static const struct {
		const char	*text;
		struct json_size size;
	} cases[] = {
		{ "", { 1, 0, 0, 0, SIZE_MAX } },
		{ "7", { 1, 0, 0, 0, SIZE_MAX } },
		{ "[]", { 2, 1, 0, 1, SIZE_MAX } },
		{ "[1,2,3]", { 4, 1, 0, 1, SIZE_MAX } },
		{ "{\"a\":[{},{}]}", { 7, 1, 3, 3, SIZE_MAX } },
		{ "\"[[{{,,::\"", { 1, 0, 0, 0, SIZE_MAX } },
		{ "[\"\\\"[\",\"\\\\\",[]]", { 5, 2, 0, 2, SIZE_MAX } },
		{ "[\"open, [", { 2, 1, 0, 1, SIZE_MAX } },
		{ "[\"open\\", { 2, 1, 0, 1, SIZE_MAX } },
		{ "]]}[", { 2, 1, 0, 1, SIZE_MAX } },
		{ "[\"\\u0001\\\\u0000\"]", { 2, 1, 0, 1, SIZE_MAX } },
		{ "[\"a\\u0000\\u0000\"]", { 2, 1, 0, 1, 3 } },
	};
	struct json_size	 got;
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		json_measure(cases[i].text, strlen(cases[i].text), &got);
		if (memcmp(&got, &cases[i].size, sizeof got) != 0)
			fail_msg("%s: %zu values, %zu arrays, %zu objects, "
			    "depth %zu, NUL at %zu", cases[i].text, got.values,
			    got.arrays, got.objects, got.depth, got.nul);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_lines_are_refused_with_a_reason),
		cmocka_unit_test(good_lines_are_accepted),
		cmocka_unit_test(the_number_of_values_is_bounded),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(a_refused_line_costs_no_more_than_a_good_one),
		cmocka_unit_test(json_measure_ignores_the_content_of_strings),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

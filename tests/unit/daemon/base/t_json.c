/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages: what is refused with which code, field tables, building.
 */
#include "json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol.h"
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

/* Near misses of the rules above are taken. */
static void
good_lines_are_taken(void **state)
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

/* Values are counted before they are parsed, outside strings only. */
static void
values_are_bounded_where_asked(void **state)
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

/* A message is one line, whatever words from outside are in it. */
static void
a_fault_is_one_line(void **state)
{
	struct fault	 f;

	(void)state;
	assert_int_equal(fault_set(&f, "bad_json", "a\nb", "x\n\033[2J\177y\xc3"
	    "\xa4"), CHAT_EFORMAT);
	assert_string_equal(f.message, "x??[2J?y\xc3\xa4");
	assert_string_equal(f.field, "a?b");
}

/* An object that holds n - 1 nested arrays. */
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

/* The deepest message allowed passes, one level more does not. */
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

struct request {
	const char	*text;
	int64_t		 n;
	double		 x;
	int		 flag;
	json_t		*object, *array, *any;
};

static const struct field fields[] = {
	{ "text", FIELD_STRING, FIELD_REQUIRED, 0, 5,
	    offsetof(struct request, text) },
	{ "n", FIELD_INT, 0, -2, JSON_INT_MAX, offsetof(struct request, n) },
	{ "x", FIELD_REAL, FIELD_NULLABLE, 0, 1.5,
	    offsetof(struct request, x) },
	{ "flag", FIELD_BOOL, 0, 0, 0, offsetof(struct request, flag) },
	{ "object", FIELD_OBJECT, 0, 0, 0, offsetof(struct request, object) },
	{ "array", FIELD_ARRAY, 0, 0, 0, offsetof(struct request, array) },
	{ "any", FIELD_ANY, 0, 0, 0, offsetof(struct request, any) },
};

/* Parse a line and read it by the table above. */
static int
request_read(const char *line, struct request *rq, struct fault *f,
    json_t **msg)
{
	memset(f, 0, sizeof *f);
	*rq = (struct request){ .n = 7, .x = 0.25, .flag = -1 };
	assert_int_equal(json_line_parse(line, strlen(line), msg, f), 0);
	return (fields_read(*msg, fields, nitems(fields), rq, f));
}

/* Every type arrives; what is not given keeps its default. */
static void
fields_fill_the_struct(void **state)
{
	struct request	 rq;
	struct fault	 f;
	json_t		*msg;

	(void)state;
	assert_int_equal(request_read("{\"op\":\"o\",\"id\":1,\"event\":0,"
	    "\"text\":\"abcde\",\"n\":-2,\"x\":1,\"flag\":true,"
	    "\"object\":{},\"array\":[1],\"any\":null}", &rq, &f, &msg), 0);
	assert_string_equal(rq.text, "abcde");
	assert_int_equal(rq.n, -2);
	assert_true(rq.x == 1.0);
	assert_int_equal(rq.flag, 1);
	assert_true(json_is_object(rq.object));
	assert_int_equal(json_array_size(rq.array), 1);
	assert_true(json_is_null(rq.any));
	json_decref(msg);
	assert_int_equal(request_read("{\"text\":\"\",\"x\":null,"
	    "\"n\":9007199254740991}", &rq, &f, &msg), 0);
	assert_true(rq.x == 0.25);
	assert_int_equal(rq.flag, -1);
	assert_int_equal(rq.n, JSON_INT_MAX);
	json_decref(msg);
}

/* What a table refuses, with the code and the field that are sent. */
static void
fields_refuse_by_name(void **state)
{
	static const struct {
		const char	*in, *code, *field;
	} cases[] = {
		{ "{}", "bad_field", "text" },
		{ "{\"text\":null}", "bad_field", "text" },
		{ "{\"text\":1}", "bad_field", "text" },
		{ "{\"text\":\"abcdef\"}", "too_long", "text" },
		{ "{\"text\":\"\",\"m\":1}", "bad_field", "m" },
		{ "{\"text\":\"\",\"n\":-3}", "bad_field", "n" },
		{ "{\"text\":\"\",\"n\":9007199254740992}", "bad_field", "n" },
		{ "{\"text\":\"\",\"n\":1.0}", "bad_field", "n" },
		{ "{\"text\":\"\",\"n\":\"1\"}", "bad_field", "n" },
		{ "{\"text\":\"\",\"n\":null}", "bad_field", "n" },
		{ "{\"text\":\"\",\"x\":1.51}", "bad_field", "x" },
		{ "{\"text\":\"\",\"x\":-0.1}", "bad_field", "x" },
		{ "{\"text\":\"\",\"flag\":1}", "bad_field", "flag" },
		{ "{\"text\":\"\",\"object\":[]}", "bad_field", "object" },
		{ "{\"text\":\"\",\"array\":{}}", "bad_field", "array" },
	};
	struct request	 rq;
	struct fault	 f;
	json_t		*msg;
	size_t		 i;
	int		 r;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		r = request_read(cases[i].in, &rq, &f, &msg);
		if (r != CHAT_EFORMAT || strcmp(f.code, cases[i].code) != 0 ||
		    strcmp(f.field, cases[i].field) != 0)
			fail_msg("%s: %d %s %s: %s", cases[i].in, r, f.code,
			    f.field, f.message);
		json_decref(msg);
	}
}

/* Numbers in messages keep all their digits, and bounds are exact. */
static void
numbers_out_of_range_are_told_whole(void **state)
{
	static const struct field	 table[] = {
		{ "n", FIELD_INT, 0, 0, JSON_INT_MAX,
		    offsetof(struct request, n) },
		{ "x", FIELD_REAL, 0, 0.01, 10, offsetof(struct request, x) },
	};
	static const struct {
		const char	*in, *message;	/* NULL: taken */
	} cases[] = {
		{ "{\"n\":9007199254740991}", NULL },
		{ "{\"n\":0}", NULL },
		{ "{\"n\":9007199254740992}", "n: 9007199254740992 is not "
		    "between 0 and 9007199254740991" },
		{ "{\"n\":9007199254740993}", "n: 9007199254740993 is not "
		    "between 0 and 9007199254740991" },
		{ "{\"n\":9223372036854775807}", "n: 9223372036854775807 is "
		    "not between 0 and 9007199254740991" },
		{ "{\"n\":-9223372036854775808}", "n: -9223372036854775808 "
		    "is not between 0 and 9007199254740991" },
		{ "{\"n\":-1}", "n: -1 is not between 0 and "
		    "9007199254740991" },
		{ "{\"x\":10}", NULL },
		{ "{\"x\":9007199254740993}", "x: 9007199254740993 is not "
		    "between 0.01 and 10" },
		{ "{\"x\":1e300}", "x: 1e+300 is not between 0.01 and 10" },
		{ "{\"x\":0.001}", "x: 0.001 is not between 0.01 and 10" },
	};
	struct request	 rq;
	struct fault	 f;
	json_t		*msg;
	size_t		 i;
	int		 r;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		assert_int_equal(json_line_parse(cases[i].in,
		    strlen(cases[i].in), &msg, &f), 0);
		r = fields_read(msg, table, nitems(table), &rq, &f);
		if (cases[i].message == NULL)
			assert_int_equal(r, 0);
		else {
			assert_int_equal(r, CHAT_EFORMAT);
			assert_string_equal(f.message, cases[i].message);
		}
		json_decref(msg);
	}
}

/* The id of a line is found by JSON's grammar alone. */
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
		/* None, or not one to answer to. */
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
		/* Not JSON. */
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
		/* At its exact size, so that ASan sees a step too far. */
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

/* Neither calls nor time grow without bound with what is nested. */
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

static size_t	 counted;	/* allocations by jansson */

static void *
count_malloc(size_t n)
{
	counted++;
	return (malloc(n));
}

/* A line of very many members is refused after as few allocations as one
 * that is just within the limit takes. */
static void
what_is_refused_costs_no_more_than_what_is_taken(void **state)
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

/* A key of any length can't run over the fault it is told in. */
static void
long_unknown_key_is_told_cut(void **state)
{
	struct request	 rq;
	struct fault	 f;
	json_t		*msg;
	char		 line[2048];

	(void)state;
	snprintf(line, sizeof line, "{\"%01000d\":1}", 0);
	assert_int_equal(request_read(line, &rq, &f, &msg), CHAT_EFORMAT);
	assert_true(strlen(f.field) < sizeof f.field);
	assert_true(strlen(f.message) < sizeof f.message);
	json_decref(msg);
}

/* Print a message, compare and free it. */
static void
check_line(json_t *msg, const char *expected)
{
	char	*s;
	size_t	 n;

	s = msg_line(msg, &n);
	assert_string_equal(s, expected);
	assert_int_equal(n, strlen(expected));
	free(s);
	json_decref(msg);
}

/* Builders and the one line they print. */
static void
messages_print_as_one_line(void **state)
{
	json_t	*m;

	(void)state;
	m = msg_event("text", 3);
	msg_set_string(m, "text", "a\nb\x7f\"\\");
	msg_set_string(m, "none", NULL);
	msg_set(m, "none", NULL);
	msg_set_bool(m, "on", 1);
	msg_set_int(m, "big", JSON_INT_MAX);
	check_line(m, "{\"event\":\"text\",\"id\":3,"
	    "\"text\":\"a\\nb\x7f\\\"\\\\\",\"on\":true,"
	    "\"big\":9007199254740991}\n");
	check_line(msg_op("ping", -1), "{\"op\":\"ping\"}\n");
	m = json_object();
	msg_set_real(m, "nan", NAN);
	msg_set_real(m, "inf", INFINITY);
	check_line(m, "{\"nan\":null,\"inf\":null}\n");
}

/* Bytes that are no UTF-8 become U+FFFD, one for each broken piece. */
static void
broken_text_is_mended(void **state)
{
	static const struct {
		const char	*in, *out;
	} cases[] = {
		{ "ok", "ok" },
		{ "\xff", "\xef\xbf\xbd" },
		{ "a\x80z", "a\xef\xbf\xbdz" },
		{ "a\xf0\x9f\x98", "a\xef\xbf\xbd" },
		{ "\xf0\x9f\x98(", "\xef\xbf\xbd(" },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xc3\xa9\xc3", "\xc3\xa9\xef\xbf\xbd" },
	};
	json_t	*m;
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		m = json_object();
		msg_set_string(m, "t", cases[i].in);
		assert_string_equal(msg_string(m, "t"), cases[i].out);
		json_decref(m);
	}
}

/* A NUL, which no line may hold, is mended too: a line we make is one that
 * the other side takes. */
static void
nul_is_mended(void **state)
{
	struct fault	 f;
	json_t		*m = json_object(), *back;
	char		*line;
	size_t		 n;

	(void)state;
	msg_set_text(m, "t", "a\0b", 3);
	assert_string_equal(msg_string(m, "t"), "a\xef\xbf\xbd" "b");
	line = msg_line(m, &n);
	assert_int_equal(json_line_parse(line, n - 1, &back, &f), 0);
	json_decref(back);
	json_decref(m);
	free(line);
}

/* A fault as an error event. */
static void
errors_carry_code_message_and_field(void **state)
{
	struct fault	 f;

	(void)state;
	assert_int_equal(fault_set(&f, "bad_field", "text", "why %d", 1),
	    CHAT_EFORMAT);
	check_line(msg_error(5, &f), "{\"event\":\"error\",\"id\":5,"
	    "\"code\":\"bad_field\",\"message\":\"why 1\","
	    "\"field\":\"text\"}\n");
	fault_set(&f, "bad_json", NULL, "no");
	check_line(msg_error(-1, &f), "{\"event\":\"error\","
	    "\"code\":\"bad_json\",\"message\":\"no\"}\n");
	assert_int_equal(fault_set(NULL, "bad_json", NULL, "no"),
	    CHAT_EFORMAT);
}

/* Lookups fall back on the default for a missing key or another type. */
static void
lookups_fall_back(void **state)
{
	struct fault	 f;
	json_t		*m;

	(void)state;
	assert_int_equal(json_line_parse("{\"s\":\"x\",\"n\":4,\"x\":0.5}",
	    23, &m, &f), 0);
	assert_string_equal(msg_string(m, "s"), "x");
	assert_null(msg_string(m, "n"));
	assert_null(msg_string(m, "gone"));
	assert_int_equal(msg_int(m, "n", -1), 4);
	assert_int_equal(msg_int(m, "x", -1), -1);
	assert_true(msg_real(m, "n", -1) == 4.0);
	assert_true(msg_real(m, "x", -1) == 0.5);
	assert_true(msg_real(m, "s", -1) == -1.0);
	json_decref(m);
}

/* A text's values, lists, objects and depth are counted before parsing. */
static void
sizes_are_measured_outside_of_strings(void **state)
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
			fail_msg("%s: %zu values, %zu lists, %zu objects, "
			    "depth %zu, NUL at %zu", cases[i].text, got.values,
			    got.arrays, got.objects, got.depth, got.nul);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_lines_are_refused_with_a_reason),
		cmocka_unit_test(good_lines_are_taken),
		cmocka_unit_test(values_are_bounded_where_asked),
		cmocka_unit_test(a_fault_is_one_line),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(fields_fill_the_struct),
		cmocka_unit_test(fields_refuse_by_name),
		cmocka_unit_test(numbers_out_of_range_are_told_whole),
		cmocka_unit_test(a_refused_line_keeps_its_id),
		cmocka_unit_test(the_search_for_an_id_is_bounded),
		cmocka_unit_test(
		    what_is_refused_costs_no_more_than_what_is_taken),
		cmocka_unit_test(long_unknown_key_is_told_cut),
		cmocka_unit_test(messages_print_as_one_line),
		cmocka_unit_test(broken_text_is_mended),
		cmocka_unit_test(nul_is_mended),
		cmocka_unit_test(errors_carry_code_message_and_field),
		cmocka_unit_test(lookups_fall_back),
		cmocka_unit_test(sizes_are_measured_outside_of_strings),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages: fields_read with its tables, the builders and readers msg_..., and
 * faults as error events.
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

/* A request with a field of each type. */
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

/* Every type is read; a member whose key is missing keeps its default. */
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

/* Each fault has a code, and names its field. */
static void
fields_name_the_wrong_one(void **state)
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

/* Bounds are exact, and error messages have all digits of a number. */
static void
numbers_out_of_range_are_reported_with_all_digits(void **state)
{
	static const struct field	 table[] = {
		{ "n", FIELD_INT, 0, 0, JSON_INT_MAX,
		    offsetof(struct request, n) },
		{ "x", FIELD_REAL, 0, 0.01, 10, offsetof(struct request, x) },
	};
	static const struct {
		const char	*in, *message;	/* NULL: accepted */
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

/* A long key is cut to the size of the fault that reports it. */
static void
a_long_unknown_key_is_reported_cut(void **state)
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

/* The message of a fault is one line, also with control characters in it. */
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

/* The builders, and the line that is printed. */
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

/* Each invalid sequence of bytes becomes one U+FFFD. */
static void
invalid_utf8_is_replaced(void **state)
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

/* A NUL is replaced too, because the other side would refuse the line. */
static void
nul_is_replaced(void **state)
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

/* Lookups return the default if the key is missing or has another type. */
static void
lookups_return_the_default(void **state)
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_fill_the_struct),
		cmocka_unit_test(fields_name_the_wrong_one),
		cmocka_unit_test(
		    numbers_out_of_range_are_reported_with_all_digits),
		cmocka_unit_test(a_long_unknown_key_is_reported_cut),
		cmocka_unit_test(a_fault_is_one_line),
		cmocka_unit_test(messages_print_as_one_line),
		cmocka_unit_test(invalid_utf8_is_replaced),
		cmocka_unit_test(nul_is_replaced),
		cmocka_unit_test(errors_carry_code_message_and_field),
		cmocka_unit_test(lookups_return_the_default),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile text: its escapes, which do not depend on how the text is cut.
 */
#include "render.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "utf8.h"
#include "xmalloc.h"

/* Render n bytes that are cut at a and b. */
static char *
render_cut(const char *in, size_t n, size_t a, size_t b, unsigned flags)
{
	struct render	 r;
	FILE		*f;
	char		*out;
	size_t		 len;

	f = open_memstream(&out, &len);
	assert_non_null(f);
	render_init(&r, f, flags);
	render_text(&r, in, a);
	render_text(&r, in + a, b - a);
	render_text(&r, in + b, n - b);
	render_end(&r);
	fclose(f);
	assert_int_equal(strlen(out), len);
	return (out);
}

static const struct render_case {
	const char	*in;
	unsigned	 flags;
	const char	*out;
} cases[] = {
	{ "", 0, "" },
	{ "plain text, tab\tand\nnewline", 0,
	    "plain text, tab\tand\nnewline" },
	{ "plain text, tab\tand\nnewline", RENDER_LINE,
	    "plain text, tab\\x09and\\x0anewline" },
	{ "\033[31mred", 0, "\\x1b[31mred" },
	{ "\033[31mred", RENDER_MARK, "\033[7m\\x1b\033[27m[31mred" },
	{ "a\rb\bc\ad\fe\vf", 0, "a\\x0db\\x08c\\x07d\\x0ce\\x0bf" },
	{ "\033]52;c;aGk=\a", 0, "\\x1b]52;c;aGk=\\x07" },
	{ "\033]8;;http://x\033\\y", 0, "\\x1b]8;;http://x\\x1b\\y" },
	{ "\302\23331m", 0, "\\u009b31m" },		/* CSI in UTF-8 */
	{ "\23331m", 0, "\\x9b31m" },			/* and alone */
	{ "\302\205\302\220\302\235", 0, "\\u0085\\u0090\\u009d" },
	{ "\177", 0, "\\x7f" },
	{ "\342\200\256gnp\342\200\254", 0, "\\u202egnp\\u202c" },
	{ "\342\201\246x\342\201\251", 0, "\\u2066x\\u2069" },
	{ "\342\200\216\342\200\217\330\234", 0, "\\u200e\\u200f\\u061c" },
	{ "\342\200\250\342\200\251", 0, "\\u2028\\u2029" },
	{ "\357\273\277x", 0, "\\ufeffx" },
	{ "\363\240\201\201", 0, "\\U000e0041" },	/* a tag letter */
	{ "\303\251 \344\270\255 \360\237\230\200", 0,
	    "\303\251 \344\270\255 \360\237\230\200" },
	/* A family of emoji needs its joiners. */
	{ "\360\237\221\250\342\200\215\360\237\221\251", 0,
	    "\360\237\221\250\342\200\215\360\237\221\251" },
	{ "\377\376", 0, "\\xff\\xfe" },
	{ "\300\257", 0, "\\xc0\\xaf" },		/* overlong */
	{ "\355\240\200", 0, "\\xed\\xa0\\x80" },	/* a surrogate */
	{ "\364\220\200\200", 0, "\\xf4\\x90\\x80\\x80" },
	{ "\303", 0, "\\xc3" },				/* unfinished */
	{ "\360\237\230", 0, "\\xf0\\x9f\\x98" },
	{ "\303\303\251", 0, "\\xc3\303\251" },
	{ "\360\237\230\033[m", 0, "\\xf0\\x9f\\x98\\x1b[m" },
	{ "\342\200x\342\200", 0, "\\xe2\\x80x\\xe2\\x80" },
};

static void
test_hostile_text_comes_out_visible(void **state)
{
	char	*out;
	size_t	 i, n;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		n = strlen(cases[i].in);
		out = render_cut(cases[i].in, n, n, n, cases[i].flags);
		assert_string_equal(out, cases[i].out);
		free(out);
	}
}

static void
test_every_cut_gives_the_same(void **state)
{
	char	*out;
	size_t	 i, a, b, n;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		n = strlen(cases[i].in);
		for (a = 0; a <= n; a++) {
			for (b = a; b <= n; b++) {
				out = render_cut(cases[i].in, n, a, b,
				    cases[i].flags);
				assert_string_equal(out, cases[i].out);
				free(out);
			}
		}
	}
}

static void
test_a_nul_byte_is_shown(void **state)
{
	char	*out;

	(void)state;
	out = render_cut("a\0b", 3, 1, 2, 0);
	assert_string_equal(out, "a\\x00b");
	free(out);
}

/* Each character alone: no control character reaches the terminal. */
static void
test_no_control_gets_through(void **state)
{
	uint32_t	 cp;
	char		 in[4], *out, *p;
	size_t		 n;

	(void)state;
	for (cp = 0; cp < 0x3000; cp++) {
		n = (size_t)utf8_encode(cp, in);
		out = render_cut(in, n, n, n, 0);
		for (p = out; *p != '\0'; p++)
			if (*p != '\n' && *p != '\t')
				assert_true((unsigned char)*p >= ' ' &&
				    *p != 0x7f);
		assert_null(strstr(out, "\302\233"));
		if (cp >= 0x202a && cp <= 0x202e)
			assert_int_equal(out[0], '\\');
		free(out);
	}
}

static void
test_column_is_not_0_in_an_unfinished_line(void **state)
{
	static const struct {
		const char	*in;
		int		 open;
	} table[] = {
		{ "", 0 }, { "a", 1 }, { "a\n", 0 }, { "\n\r", 1 },
		{ "\303\251", 1 }, { "\t", 1 }, { "x\n\n", 0 },
	};
	struct render	 r;
	FILE		*f;
	size_t		 i;

	(void)state;
	f = fopen("/dev/null", "w");
	assert_non_null(f);
	for (i = 0; i < nitems(table); i++) {
		render_init(&r, f, 0);
		render_text(&r, table[i].in, strlen(table[i].in));
		assert_int_equal(r.column != 0, table[i].open);
	}
	fclose(f);
}

static void
test_a_title_is_one_line(void **state)
{
	char	*out;

	(void)state;
	out = render_line("one\ntwo\r\033[2J\303");
	assert_string_equal(out, "one\\x0atwo\\x0d\\x1b[2J\\xc3");
	free(out);
	out = render_line(NULL);
	assert_string_equal(out, "");
	free(out);
}

static void
test_json_stays_the_same_json(void **state)
{
	static const char in[] = "{\"a\":\"\302\233 \342\200\256 \177 "
	    "\363\240\201\201 \303\251 \\n\"}\n";
	static const char want[] = "{\"a\":\"\\u009b \\u202e \\u007f "
	    "\\udb40\\udc41 \303\251 \\n\"}\n";
	FILE	*f;
	char	*out;
	size_t	 len;

	(void)state;
	f = open_memstream(&out, &len);
	assert_non_null(f);
	render_json(in, strlen(in), f);
	fclose(f);
	assert_string_equal(out, want);
	free(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile_text_comes_out_visible),
		cmocka_unit_test(test_every_cut_gives_the_same),
		cmocka_unit_test(test_a_nul_byte_is_shown),
		cmocka_unit_test(test_no_control_gets_through),
		cmocka_unit_test(test_column_is_not_0_in_an_unfinished_line),
		cmocka_unit_test(test_a_title_is_one_line),
		cmocka_unit_test(test_json_stays_the_same_json),
	};

	return (cmocka_run_group_tests_name("render", tests, NULL, NULL));
}

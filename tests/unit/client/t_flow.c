/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines broken between words, and markdown, which do not depend on how the text
 * is cut.
 */
#include "flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xmalloc.h"

/* Show n bytes that are cut at a, with this width. */
static char *
show(const char *in, size_t n, size_t a, int width, int colour)
{
	struct flow	*flow;
	FILE		*out;
	char		*text;
	size_t		 len;

	out = open_memstream(&text, &len);
	assert_non_null(out);
	flow = flow_new(out, width, colour);
	flow_text(flow, in, a);
	flow_text(flow, in + a, n - a);
	flow_end(flow);
	flow_free(flow);
	fclose(out);
	return (text);
}

#define B	"\033[1m"
#define E	"\033[22m"

static const struct flow_case {
	const char	*in;
	int		 width, colour;
	const char	*out;
} cases[] = {
	{ "", 40, 0, "" },
	{ "one two\n", 40, 0, "one two\n" },
	{ "one  two   \n\n three", 40, 0, "one  two\n\n three" },
	/* words move to the next line as a whole */
	{ "the quick brown fox jumps over", 20, 0,
	    "the quick brown fox\njumps over" },
	{ "the quick brown fox  jumps", 20, 0,
	    "the quick brown fox\njumps" },
	{ "12345678901234567890 12345678901234567890", 20, 0,
	    "12345678901234567890\n12345678901234567890" },
	/* a word that is wider than the line is cut */
	{ "a 1234567890123456789012345", 20, 0,
	    "a\n12345678901234567890\n12345" },
	/* too narrow to be broken */
	{ "the quick brown fox", 10, 0, "the quick brown fox" },
	/* two columns each, and no spaces between words */
	{ "\346\227\245\346\234\254\350\252\236\346\227\245\346\234\254"
	    "\350\252\236\346\227\245\346\234\254\350\252\236\346\227\245"
	    "\346\234\254\350\252\236", 20, 0,
	    "\346\227\245\346\234\254\350\252\236\346\227\245\346\234\254"
	    "\350\252\236\346\227\245\346\234\254\350\252\236\346\227\245\n"
	    "\346\234\254\350\252\236" },
	/* a combining accent takes no column */
	{ "e\314\201e\314\201e\314\201e\314\201e\314\201e\314\201e\314\201 "
	    "12345 123456", 20, 0,
	    "e\314\201e\314\201e\314\201e\314\201e\314\201e\314\201e\314\201 "
	    "12345 123456" },
	/* an escape takes its columns */
	{ "1234567890123 \033[31m", 20, 0, "1234567890123\n\\x1b[31m" },
	/* lists: further lines begin below the text */
	{ "- the quick brown fox jumps", 20, 0,
	    "- the quick brown\n  fox jumps" },
	{ "12. the quick brown fox", 20, 0, "12. the quick brown\n    fox" },
	{ "  * the quick brown fox", 20, 0, "  * the quick brown\n    fox" },
	{ "  the quick brown fox j", 20, 0, "  the quick brown\n  fox j" },
	/* code is left alone, also if it is long */
	{ "```c\nint  main(void) { return (0); }\n```\nthe quick brown fox j",
	    20, 0, "```c\nint  main(void) { return (0); }\n```\n"
	    "the quick brown fox\nj" },
	{ "```\n| a | **b**\n  ```\n**x**", 20, 1,
	    "```\n| a | **b**\n  ```\n" B "x" E },
	{ "``` a b\n``\n````\nx", 20, 1, "``` a b\n``\n````\nx" },
	{ "```\nopen", 20, 1, "```\nopen" },
	/* bold */
	{ "a **b c** d", 40, 1, "a " B "b c" E " d" },
	{ "a **b c** d", 40, 0, "a **b c** d" },
	{ "**a** `**b**`", 40, 1, B "a" E " `**b**`" },
	{ "2 ** 3 and x**", 40, 1, "2 ** 3 and x**" },
	{ "**open\nnext", 40, 1, B "open" E "\nnext" },
	{ "123456789012345 **123** 1", 20, 1,
	    "123456789012345 " B "123" E "\n1" },
	{ "# Title **x**\ntext", 40, 1, B "Title x" E "\ntext" },
	{ "# Title\ntext", 40, 0, "# Title\ntext" },
	{ "#hash\n#\n", 40, 1, "#hash\n#\n" },
	/* tables */
	{ "| a | bcd |\n|---|:-:|\n| long cell | x |\nend", 40, 0,
	    "| a         | bcd |\n|-----------|:---:|\n"
	    "| long cell |  x  |\nend" },
	{ "|a|b|\n|-|-:|\n|1|22222", 40, 0,
	    "| a   |     b |\n|-----|------:|\n| 1   | 22222 |" },
	{ "|a|b|\n|-|-|\n|1|\n", 40, 0,
	    "| a   | b   |\n|-----|-----|\n| 1   |     |\n" },
	{ "| a | b |\n|---|---|\n| **1** | `x|y` |\n", 40, 1,
	    "| " B "a" E "   | " B "b" E "     |\n|-----|-------|\n"
	    "| " B "1" E "   | `x|y` |\n" },
	/* too wide, or no table */
	{ "| a | b |\n|---|---|\n| 12345678 | 12345678 |\n", 20, 0,
	    "| a | b |\n|---|---|\n| 12345678 | 12345678 |\n" },
	{ "|x| is absolute\n", 40, 0, "|x| is absolute\n" },
	{ "|", 40, 0, "|" },
	{ "a\377b", 40, 0, "a\\xffb" },
	{ "ab\342\202", 40, 0, "ab\\xe2\\x82" },
};

/* Every case, cut at every place. */
static void
replies_are_shown_alike_however_they_are_cut(void **state)
{
	const struct flow_case	*c;
	size_t			 i, a, n;
	char			*got;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		c = &cases[i];
		n = strlen(c->in);
		for (a = 0; a <= n; a++) {
			got = show(c->in, n, a, c->width, c->colour);
			if (strcmp(got, c->out) != 0)
				fail_msg("case %zu, cut at %zu: expected "
				    "\"%s\", found \"%s\"", i, a, c->out, got);
			free(got);
		}
	}
}

/* A message may come between two words, not into one. */
static void
a_message_does_not_split_a_word(void **state)
{
	struct flow	*flow;
	FILE		*out;
	char		*text;
	size_t		 len;

	(void)state;
	out = open_memstream(&text, &len);
	flow = flow_new(out, 40, 0);
	flow_text(flow, "one tw", 6);
	flow_break(flow);
	fputs("[message]\n", out);
	flow_text(flow, "o three\n", 8);
	flow_break(flow);
	flow_end(flow);
	flow_free(flow);
	fclose(out);
	assert_string_equal(text, "one\n[message]\ntwo three\n");
	free(text);
}

/* Any bytes are shown, and the marks of bold text are closed. */
static void
any_bytes_are_shown(void **state)
{
	static const char	 parts[] = "*`|-# \n\tab1.:\\\303\251"
				    "\346\227\245\377\033";
	char			 in[200], *one, *two;
	unsigned		 seed = 1;
	size_t			 i, n;
	int			 round;

	(void)state;
	for (round = 0; round < 20000; round++) {
		for (n = 0; n < (size_t)round % 199; n++) {
			seed = seed * 1103515245u + 12345;
			in[n] = parts[seed / 65536 % (sizeof parts - 1)];
		}
		one = show(in, n, 0, 20 + round % 30, round % 2);
		two = show(in, n, n / 2, 20 + round % 30, round % 2);
		assert_string_equal(one, two);
		for (i = 0; one[i] != '\0'; i++) {
			if (one[i] == '\033')
				assert_true(round % 2 == 1);
		}
		free(one);
		free(two);
	}
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(replies_are_shown_alike_however_they_are_cut),
		cmocka_unit_test(a_message_does_not_split_a_word),
		cmocka_unit_test(any_bytes_are_shown),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

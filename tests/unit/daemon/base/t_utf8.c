/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8: decoding, encoding and the cut before an unfinished character.
 */
#include "utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "xmalloc.h"

static const struct utf8_case {
	const char	*in;
	int		 r;	/* what utf8_decode returns */
	uint32_t	 cp;
} cases[] = {
	{ "a", 1, 'a' },
	{ "\x7f", 1, 0x7f },
	{ "\xc2\x80", 2, 0x80 },
	{ "\xdf\xbf", 2, 0x7ff },
	{ "\xe0\xa0\x80", 3, 0x800 },
	{ "\xed\x9f\xbf", 3, 0xd7ff },
	{ "\xee\x80\x80", 3, 0xe000 },
	{ "\xef\xbf\xbf", 3, 0xffff },
	{ "\xf0\x90\x80\x80", 4, 0x10000 },
	{ "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
	/* valid but unfinished */
	{ "\xc3", 0, 0 },
	{ "\xe2\x82", 0, 0 },
	{ "\xf0\x9f", 0, 0 },
	{ "\xf0\x9f\x98", 0, 0 },
	/* can't start a character */
	{ "\x80", -1, 0 },
	{ "\xbf", -1, 0 },
	{ "\xc0\x80", -1, 0 },
	{ "\xc1\xbf", -1, 0 },
	{ "\xf5\x80\x80\x80", -1, 0 },
	{ "\xfe", -1, 0 },
	{ "\xff", -1, 0 },
	/* overlong, surrogate, above U+10FFFF */
	{ "\xe0\x9f\xbf", -1, 0 },
	{ "\xed\xa0\x80", -1, 0 },
	{ "\xf0\x8f\xbf\xbf", -1, 0 },
	{ "\xf4\x90\x80\x80", -1, 0 },
	/* good start, bad end: the whole prefix is one error */
	{ "\xc3(", -1, 0 },
	{ "\xe2\x82(", -2, 0 },
	{ "\xf0\x9f\x98(", -3, 0 },
	{ "\xe2(\x82", -1, 0 },
};

/* The table, one character each. */
static void
decode_follows_rfc_3629(void **state)
{
	const struct utf8_case	*c;
	uint32_t		 cp;
	int			 r;

	(void)state;
	for (c = cases; c < cases + nitems(cases); c++) {
		cp = 0;
		r = utf8_decode(c->in, strlen(c->in), &cp);
		if (r != c->r || (r > 0 && cp != c->cp))
			fail_msg("case %td: %d U+%04X, expected %d U+%04X",
			    c - cases, r, (unsigned)cp, c->r,
			    (unsigned)c->cp);
	}
}

/* Each code point is encoded and decoded again; other numbers are refused. */
static void
every_code_point_survives_the_trip(void **state)
{
	char		 s[4];
	uint32_t	 cp, back;
	int		 n, good;

	(void)state;
	for (cp = 0; cp < 0x110000; cp++) {
		n = utf8_encode(cp, s);
		good = cp < 0xd800 || cp > 0xdfff;
		assert_int_equal(utf8_valid(s, (size_t)n), good);
		if (!good)
			continue;
		assert_int_equal(utf8_decode(s, (size_t)n, &back), n);
		assert_int_equal(back, cp);
	}
}

/* Whole texts. */
static void
valid_accepts_valid_utf8_only(void **state)
{
	static const struct {
		const char	*in;
		size_t		 n;
		int		 valid;
	} texts[] = {
		{ "", 0, 1 },
		{ "plain", 5, 1 },
		{ "a\0b", 3, 1 },
		{ "na\xc3\xafve \xf0\x9f\x98\x80", 11, 1 },
		{ "cut \xf0\x9f\x98", 7, 0 },
		{ "latin \xe9t\xe9", 9, 0 },
		{ "\xed\xa0\xbd\xed\xb8\x80", 6, 0 },	/* CESU-8 */
	};
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(texts); i++)
		assert_int_equal(utf8_valid(texts[i].in, texts[i].n),
		    texts[i].valid);
}

/* A text is cut at every byte. The part to show has all whole characters before
 * the cut, and no part of another. */
static void
whole_never_ends_inside_a_character(void **state)
{
	static const char	 text[] =
	    "a\xc3\xa9z\xe2\x82\xac\xf0\x9f\x98\x80\xf0\x9f\x91\x8d.";
	static const size_t	 ends[] = { 0, 1, 3, 4, 7, 11, 15, 16 };
	size_t			 n, i;

	(void)state;
	for (n = 0; n < sizeof text; n++) {
		for (i = nitems(ends) - 1; ends[i] > n; i--)
			;
		assert_int_equal(utf8_whole(text, n), ends[i]);
	}
}

/* Invalid bytes at the end are not held back. */
static void
whole_keeps_invalid_bytes(void **state)
{
	static const char *const texts[] = { "\x80", "a\xff", "\xc3(",
	    "\x80\x80\x80\x80", "a\xbf\xbf", "\xed\xa0", "\xc0" };
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(texts); i++)
		assert_int_equal(utf8_whole(texts[i], strlen(texts[i])),
		    strlen(texts[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decode_follows_rfc_3629),
		cmocka_unit_test(every_code_point_survives_the_trip),
		cmocka_unit_test(valid_accepts_valid_utf8_only),
		cmocka_unit_test(whole_never_ends_inside_a_character),
		cmocka_unit_test(whole_keeps_invalid_bytes),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

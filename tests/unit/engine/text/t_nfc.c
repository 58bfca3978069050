/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NFC as Unicode defines it: examples, and every character as utf8proc has it.
 */
#include "nfc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <utf8proc.h>

#include "utf8.h"
#include "xmalloc.h"

/* NFC, as Unicode defines it. */
static void
nfc_composes_and_orders(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "", "" }, { "plain", "plain" },
		{ "e\xcc\x81", "\xc3\xa9" },			/* e + acute */
		{ "\xe2\x84\xab", "\xc3\x85" },			/* Angstrom */
		{ "a\xcc\x81\xcc\x96", "\xc3\xa1\xcc\x96" },	/* ordered */
		{ "a\xcc\x96\xcc\x81", "\xc3\xa1\xcc\x96" },
		{ "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab",
		    "\xed\x95\x9c" },				/* Hangul */
		{ "\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc" },	/* excluded */
	};
	struct textbuf	 out = { NULL, 0, 0 };
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		out.n = 0;
		nfc_add(cases[i].in, strlen(cases[i].in), &out);
		textbuf_add(&out, "", 1);
		assert_string_equal(out.s, cases[i].out);
	}
	textbuf_clear(&out);
}

/* NFC of n code points by utf8proc, as UTF-8. */
static void
nfc_reference(const utf8proc_int32_t *cp, utf8proc_ssize_t n,
    struct textbuf *out)
{
	utf8proc_int32_t	 buf[16];
	char			 u[4];
	utf8proc_ssize_t	 i;

	memcpy(buf, cp, (size_t)n * sizeof *cp);
	n = utf8proc_normalize_utf32(buf, n, UTF8PROC_STABLE|UTF8PROC_COMPOSE);
	for (i = 0; i < n; i++)
		textbuf_add(out, u, (size_t)utf8_encode((uint32_t)buf[i], u));
}

/* Is the result of nfc_add different from that of utf8proc for these n
 * decomposed code points? */
static int
nfc_differs(const utf8proc_int32_t *cp, utf8proc_ssize_t n, const char *s,
    size_t len)
{
	struct textbuf	 want = { NULL, 0, 0 }, got = { NULL, 0, 0 };
	int		 bad;

	nfc_reference(cp, n, &want);
	nfc_add(s, len, &got);
	bad = got.n != want.n || memcmp(got.s, want.s, got.n) != 0;
	if (nfc_plain(s, len) == len && (want.n != len ||
	    memcmp(s, want.s, len) != 0))
		bad = 1;
	textbuf_clear(&want);
	textbuf_clear(&got);
	return (bad);
}

/* Every character, alone and decomposed, between two others: a character that
 * is skipped as inert is its own NFC, and does not compose with its left
 * neighbour. */
static void
nfc_of_every_character_is_right(void **state)
{
	utf8proc_int32_t	 cp[8], c;
	utf8proc_ssize_t	 n, i;
	char			 s[32];
	size_t			 len;
	int			 bad = 0, last = 0;

	(void)state;
	for (c = 1; c < 0x110000; c++) {
		if (!utf8proc_codepoint_valid(c))
			continue;
		cp[0] = 'e';
		n = 1 + utf8proc_decompose_char(c, cp + 1, 4,
		    UTF8PROC_DECOMPOSE, &last);
		cp[n++] = 'z';
		len = 1;
		s[0] = 'e';
		len += (size_t)utf8_encode((uint32_t)c, s + len);
		s[len++] = 'z';
		bad += nfc_differs(cp, n, s, len);
		for (len = 0, i = 0; i < n; i++)
			len += (size_t)utf8_encode((uint32_t)cp[i], s + len);
		bad += nfc_differs(cp, n, s, len);
	}
	assert_int_equal(bad, 0);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(nfc_composes_and_orders),
		cmocka_unit_test(nfc_of_every_character_is_right),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

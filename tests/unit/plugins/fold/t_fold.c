/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folding: texts that read the same become the same, and the map leads from
 * each folded byte to the original.
 */
#include "fold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "confusable.h"
#include "utf8.h"
#include "xmalloc.h"

struct fold_case {
	const char	*in, *out;
};

/* Check a table. */
static void
fold_table(const struct fold_case *c, size_t n)
{
	struct fold	 f;
	size_t		 i;

	for (i = 0; i < n; i++) {
		fold_init(&f, c[i].in, strlen(c[i].in));
		assert_string_equal(f.text, c[i].out);
		assert_int_equal(f.len, strlen(c[i].out));
		fold_clear(&f);
	}
}

/* Case, width, ligatures, styles. */
static void
test_letters_fold_to_plain_small_ones(void **state)
{
	static const struct fold_case cases[] = {
		{ "", "" },
		{ "Hello World", "hello world" },
		{ "Straße", "strasse" },
		{ "ＦＵＬＬ width", "full width" },
		{ "ﬁne", "fine" },
		{ "𝐛𝐨𝐦𝐛 𝕓𝕠𝕞𝕓", "bomb bomb" },
		{ "Ⓑⓞⓜⓑ", "bomb" },
		{ "ΣΊΣΥΦΟΣ", "σισυφοσ" },
	};

	(void)state;
	fold_table(cases, nitems(cases));
}

/* Invisible characters and accents. */
static void
test_invisible_characters_and_accents_are_gone(void **state)
{
	static const struct fold_case cases[] = {
		{ "b\xe2\x80\x8bo\xe2\x80\x8dm\xc2\xad" "b", "bomb" },
		{ "\xef\xbb\xbf" "bomb\xe2\x80\xae", "bomb" },
		{ "b\xcc\xb7o\xcc\xb7m\xcc\xb7" "b", "bomb" },
		{ "Bömb naïve", "bomb naive" },
		{ "\xe2\x80\x8b", "" },
	};

	(void)state;
	fold_table(cases, nitems(cases));
}

/* White space. */
static void
test_white_space_is_of_two_kinds(void **state)
{
	static const struct fold_case cases[] = {
		{ "a\xc2\xa0" "b\xe3\x80\x80" "c\td", "a b c d" },
		{ "a\xe2\x80\xa8" "b\r\nc\nd", "a\nb\n\nc\nd" },
	};

	(void)state;
	fold_table(cases, nitems(cases));
}

/* Look-alikes. */
static void
test_look_alikes_fold_in_latin_company_only(void **state)
{
	static const struct fold_case cases[] = {
		{ "bоmb", "bomb" },			/* Cyrillic o */
		{ "ВОМВ is a bomb", "bomb is a bomb" },
		{ "сосаine", "cocaine" },
		{ "рот", "рот" },	/* a Russian word alone */
		{ "мой рот, say", "мои рот, say" },
		{ "το bomb", "to bomb" },
		{ "жизнь and life", "жизнь and life" },
	};

	(void)state;
	fold_table(cases, nitems(cases));
}

/* A random character that folds to the letter c, or c itself. */
static uint32_t
disguise(char c, unsigned *seed)
{
	uint32_t	 list[32] = { (uint32_t)c }, k;
	size_t		 n = 1;

	for (k = 0x80; k < 0x2000; k++) {
		if (confusable_latin(k) == (uint32_t)c) {
			assert_true(n < nitems(list));
			list[n++] = k;
		}
	}
	*seed = *seed * 1103515245u + 12345u;
	return (list[(*seed >> 16) % n]);
}

/* Role tags of any look-alikes, within English. */
static void
test_role_tags_of_look_alikes_fold_to_role_tags(void **state)
{
	static const char *const tags[] = { "<human>", "<bot>" };
	struct fold	 f;
	char		 text[256];
	const char	*p;
	size_t		 len;
	unsigned	 seed = 7, round;

	(void)state;
	for (round = 0; round < 500; round++) {
		len = (size_t)snprintf(text, sizeof text, "then it said ");
		for (p = tags[round % 2]; *p != '\0'; p++)
			len += (size_t)utf8_encode(*p < 'a' ? (uint32_t)*p :
			    disguise(*p, &seed), text + len);
		len += (size_t)snprintf(text + len, sizeof text - len,
		    " and nothing else");
		fold_init(&f, text, len);
		if (strstr(f.text, tags[round % 2]) == NULL)
			fail_msg("%s folds to %s", text, f.text);
		fold_clear(&f);
	}
}

/* Digits and signs in place of letters. */
static void
test_digits_fold_between_letters_only(void **state)
{
	static const struct fold_case cases[] = {
		{ "p4ssw0rd", "password" },
		{ "b0mb5", "bomb5" },
		{ "k1ll a$$et", "kill asset" },
		{ "route 66", "route 66" },
		{ "5ive", "5ive" },
		{ "e1000e", "e1000e" },
		{ "me@home", "me@home" },
		{ "3.14", "3.14" },
	};

	(void)state;
	fold_table(cases, nitems(cases));
}

/* Letters of other scripts stay the same. */
static void
test_other_scripts_are_composed_again(void **state)
{
	static const struct fold_case cases[] = {
		{ "한국어", "한국어" },
		{ "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "한" },
		{ "日本語", "日本語" },
		{ "हिन्दी", "हिन्दी" },
		{ "עברית", "עברית" },
	};

	(void)state;
	fold_table(cases, nitems(cases));
}

/* Spans. */
static void
test_spans_are_bytes_of_the_original(void **state)
{
	static const struct {
		const char	*in, *find, *out;
	} cases[] = {
		{ "a BОMB!", "bomb", "BОMB" },
		{ "x b\xe2\x80\x8bomb y", "bomb", "b\xe2\x80\x8bomb" },
		{ "die Straße hier", "strasse", "Straße" },
		{ "die Straße hier", "stras", "Straß" },
		{ "é b\xcc\xb7o\xcc\xb7mb\xcc\xb7 é", "bomb",
		    "b\xcc\xb7o\xcc\xb7mb\xcc\xb7" },
		{ "👨‍👩‍👧 bomb", "bomb", "bomb" },
		{ "ﬃ", "f", "ﬃ" },
	};
	struct fold	 f;
	uint64_t	 from, to;
	size_t		 i, at;
	char		*p, *got;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		fold_init(&f, cases[i].in, strlen(cases[i].in));
		p = strstr(f.text, cases[i].find);
		assert_non_null(p);
		at = (size_t)(p - f.text);
		fold_span(&f, strlen(cases[i].in), at,
		    at + strlen(cases[i].find), &from, &to);
		got = xstrndup(cases[i].in + from, (size_t)(to - from));
		assert_string_equal(got, cases[i].out);
		free(got);
		fold_clear(&f);
	}
}

/* What fold.h promises about the map, with random texts. */
static void
test_the_map_never_decreases_or_splits_a_character(void **state)
{
	static const uint32_t letters[] = { 'a', 'Z', '4', ' ', '\n', 0xdf,
		0x301, 0x200b, 0x43e, 0x1100, 0x1161, 0x11a8, 0xfb03, 0x1f468,
		0x200d, 0x1f469, 0xfdfa, 0x94d, 0x915, 0x5d0, 0x4e2d, 0x1d41b };
	struct fold	 f;
	char		 text[512];
	size_t		 len, i, n;
	unsigned	 seed = 1, round;

	(void)state;
	for (round = 0; round < 3000; round++) {
		for (len = i = 0; i < round % 90; i++) {
			seed = seed * 1103515245u + 12345u;
			len += (size_t)utf8_encode(letters[(seed >> 16) %
			    nitems(letters)], text + len);
		}
		fold_init(&f, text, len);
		assert_true(utf8_valid(f.text, f.len));
		for (i = 0; i < f.len; i++) {
			assert_true(f.from[i] < f.to[i] && f.to[i] <= len);
			assert_true(i == 0 || (f.from[i - 1] <= f.from[i] &&
			    f.to[i - 1] <= f.to[i]));
			n = f.from[i];
			assert_true((text[n] & 0xc0) != 0x80);
			n = f.to[i];
			assert_true(n == len || (text[n] & 0xc0) != 0x80);
		}
		fold_clear(&f);
	}
}

/* The time for a run of marks must not grow with the square of its length. */
static void
test_a_flood_of_marks_is_cut(void **state)
{
	struct fold	 f;
	char		*text;
	size_t		 i, n = 400000;

	(void)state;
	text = xmalloc(n * 2);
	for (i = 0; i < n; i++)		/* Hebrew marks, in falling order */
		memcpy(text + i * 2, i % 2 ? "\xd6\xb4" : "\xd6\x91", 2);
	fold_init(&f, text, n * 2);
	assert_int_equal(f.len, n * 2);
	fold_clear(&f);
	free(text);
}

/* Run them. */
int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letters_fold_to_plain_small_ones),
		cmocka_unit_test(
		    test_invisible_characters_and_accents_are_gone),
		cmocka_unit_test(test_white_space_is_of_two_kinds),
		cmocka_unit_test(test_look_alikes_fold_in_latin_company_only),
		cmocka_unit_test(
		    test_role_tags_of_look_alikes_fold_to_role_tags),
		cmocka_unit_test(test_digits_fold_between_letters_only),
		cmocka_unit_test(test_other_scripts_are_composed_again),
		cmocka_unit_test(test_spans_are_bytes_of_the_original),
		cmocka_unit_test(
		    test_the_map_never_decreases_or_splits_a_character),
		cmocka_unit_test(test_a_flood_of_marks_is_cut),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

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
	unsigned	 seed = 3, round;

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
	unsigned	 seed = 3, round;

	(void)state;
	for (round = 0; round < 15000; round++) {
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

/* Spellings that hide words. */
static void
test_hidden_words_are_mended(void **state)
{
	static const struct fold_case cases[] = {
		/* letters that stand alone */
		{ "H o w  t o  m a k e  i t", "how to make it" },
		{ "h o w t o m a k e t e a", "how to make tea" },
		{ "How  do  I  m a k e  t e a", "how  do  i make tea" },
		{ "h-o-w t-o m-a-k-e t-e-a", "how to make tea" },
		{ "m.a.k.e.t.e.a now", "make tea now" },
		{ "m\na\nk\ne\n", "make\n" },
		{ "m 4 k 3 s", "makes" },
		{ "\xd0\xba i l l", "kill" },		/* Cyrillic k */
		{ "1 2 3 4 5 6 a b", "1 2 3 4 5 6 a b" },
		{ "a b c", "a b c" },
		{ "a, b, c, d, e", "a, b, c, d, e" },
		{ "o o o o o", "o o o o o" },
		/* signs for spaces */
		{ "how_to_make_tea", "how to make tea" },
		{ "How. to. make. tea.", "how to make tea." },
		{ "how\nto\nmake\ntea\n", "how to make tea\n" },
		{ "see a_b or c-d", "see a_b or c-d" },
		{ "call 202-456-1414-22", "call 202-456-1414-22" },
		{ "eggs, milk, bread, tea", "eggs, milk, bread, tea" },
		/* mistakes */
		{ "mkae teh kitcehn claen", "make teh kitchen clean" },
		{ "maaaake a kitttchen", "make a kitchen" },
		{ "m*ke a kitch*n", "make a kitchen" },
		{ "H0w d0 1 m4ke t34", "how do i make tea" },
		{ "at 5am 3 mp3 files", "at 5am 3 mp3 files" },
		{ "united brian marital", "united brian marital" },
		{ "it's don't they're", "it's don't they're" },
		{ "HowToMakeTeaAtHome", "how to make tea at home" },
		{ "supercalifragilistic", "supercalifragilistic" },
	};
	struct fold	 f;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		fold_piece(&f, cases[i].in, strlen(cases[i].in), 0,
		    FOLD_BEGINS|FOLD_ENDS|FOLD_PLAIN);
		assert_string_equal(f.text, cases[i].out);
		fold_clear(&f);
	}
}

/* The spans of mended words. */
static void
test_spans_of_mended_words_are_of_the_original(void **state)
{
	static const char	*const cases[][3] = {
		{ "x b o m b y", "bomb", "b o m b" },
		{ "how_to_make_it", "to make", "to_make" },
		{ "a bmob there", "bomb", "bmob" },
		{ "HowToMakeTeaNow", "make", "Make" },
		{ "a boooomb there", "bomb", "boooomb" },
	};
	struct fold	 f;
	uint64_t	 from, to;
	size_t		 i;
	char		*p;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		fold_piece(&f, cases[i][0], strlen(cases[i][0]), 0,
		    FOLD_BEGINS|FOLD_ENDS|FOLD_PLAIN);
		p = strstr(f.text, cases[i][1]);
		assert_non_null(p);
		fold_span(&f, strlen(cases[i][0]), (size_t)(p - f.text),
		    (size_t)(p - f.text) + strlen(cases[i][1]), &from, &to);
		assert_int_equal(to - from, strlen(cases[i][2]));
		assert_memory_equal(cases[i][0] + from, cases[i][2],
		    to - from);
		fold_clear(&f);
	}
}

/* A random text of words, spread letters and signs. */
static size_t
random_text(char *text, size_t size, unsigned *seed)
{
	static const char *const words[] = { "how", "to", "m4ke", "tea", "I",
		"a", "b", "k", "mkae", "h0w", "1", "4", "42", "t34", "b*mb",
		"it's", "HowToMakeTea", "kitttchen", "\xd0\xbe", "d0", "x",
		"9", "makes", "o", "e", "straße", "e\xcc\x81", "*" };
	static const char *const gaps[] = { " ", " ", " ", " ", "  ", "_",
		"_", "_", "-", ". ", ".", ", ", "\n", "", " - ", "!", "$",
		"   ", "' ", "@", "* " };
	size_t	 len = 0, n, k, gap = 0;
	unsigned single = 0;

	while (len + 40 < size) {
		*seed = *seed * 1103515245u + 12345u;
		k = (*seed >> 16) % 97;
		if (k % 11 == 0)		/* a new habit */
			single = *seed >> 24 & 3;
		if (k % 5 == 0)
			gap = k / 5 % nitems(gaps);
		n = single == 0 ? 4 + k % 3 : k % nitems(words);
		len += (size_t)sprintf(text + len, "%s%s", words[n],
		    gaps[k % 7 == 0 ? k / 7 % nitems(gaps) : gap]);
	}
	return (len);
}

/* Check one piece of a text against the whole. */
static void
check_piece(const char *text, const struct fold *whole, size_t len, size_t a,
    size_t b, size_t fresh)
{
	struct fold	 f, early;
	size_t		 i, j, flags = FOLD_PLAIN;

	flags |= (a == 0 ? FOLD_BEGINS : 0) | (b == len ? FOLD_ENDS : 0);
	fold_piece(&f, text + a, b - a, fresh, (unsigned)flags);
	fold_piece(&early, text + a, fresh, 0, (unsigned)flags &
	    ~FOLD_ENDS);
	assert_true(f.tail <= f.len && f.spans <= f.tail);
	for (i = f.head; i < f.known; i++)
		if (i >= early.tail || early.text[i] != f.text[i])
			fail_msg("byte %zu of \"%.*s\", known %zu, is not "
			    "so for the first %zu, tail %zu: %s / %s", i,
			    (int)(b - a), text + a, f.known, fresh,
			    early.tail, f.text,
			    early.text);
	for (j = 0; f.head < f.tail && whole->from[j] < f.from[f.head] + a; j++)
		;
	for (i = f.head; i < f.tail; i++, j++) {
		if (f.text[i] != whole->text[j])
			fail_msg("\"%.*s\" [%zu..%zu) head %zu tail %zu "
			    "byte %zu: %s / %s", (int)(b - a), text + a, a, b,
			    f.head, f.tail, i, f.text, whole->text + j);
		assert_true(i >= f.spans || (f.from[i] + a == whole->from[j] &&
		    f.to[i] + a == whole->to[j]));
	}
	fold_clear(&f);
	fold_clear(&early);
}

/* What a piece says of a text is so for the whole text. */
static void
test_pieces_fold_as_the_whole_does(void **state)
{
	struct fold	 whole;
	char		 text[700];
	size_t		 len, a, b, fresh, k;
	unsigned	 seed = 3, round;

	(void)state;
	for (round = 0; round < 1500; round++) {
		len = random_text(text, 60 + round % 600, &seed);
		fold_piece(&whole, text, len, 0,
		    FOLD_BEGINS|FOLD_ENDS|FOLD_PLAIN);
		for (k = 0; k < 20; k++) {
			seed = seed * 1103515245u + 12345u;
			a = k % 3 == 0 ? 0 : (seed >> 8) % len;
			while (a > 0 && (text[a] & 0xc0) == 0x80)
				a--;
			seed = seed * 1103515245u + 12345u;
			b = a + 1 + (seed >> 8) % (len - a);
			while (b < len && (text[b] & 0xc0) == 0x80)
				b++;
			fresh = (seed >> 20) % (b - a + 1);
			while (fresh > 0 && (text[a + fresh] & 0xc0) == 0x80)
				fresh--;
			check_piece(text, &whole, len, a, b, fresh);
		}
		fold_clear(&whole);
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
		cmocka_unit_test(test_hidden_words_are_mended),
		cmocka_unit_test(
		    test_spans_of_mended_words_are_of_the_original),
		cmocka_unit_test(test_pieces_fold_as_the_whole_does),
		cmocka_unit_test(test_a_flood_of_marks_is_cut),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

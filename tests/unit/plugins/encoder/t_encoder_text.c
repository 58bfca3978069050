/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which windows of a text are judged: the same however the text is cut into
 * pieces, and all of the text in the end.
 */
#include "encoder_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "encoder_fixture.h"
#include "xmalloc.h"

#define LONG	9000

static struct encoder	*tiny;

/* Windows as text: "start-end:tokens/sum of ids " for each, in bytes of the
 * whole text. */
struct noted {
	char	 text[16384];
	int	 n;
	size_t	 covered;
};

/* Judge a text in pieces of "step" new bytes, each with TEXT_CONTEXT bytes
 * before them. */
static void
judge(const char *text, size_t len, int reply, size_t step,
    struct noted *out)
{
	struct encoder_text	 t = { .reply = reply };
	struct encoder_window	 w;
	struct encoder_piece	 p;
	size_t			 at, from, i, used = 0, settled = 0;
	uint64_t		 sum;

	memset(out, 0, sizeof *out);
	for (at = 0; at < len; ) {
		from = at > TEXT_CONTEXT ? at - TEXT_CONTEXT : 0;
		while (from > 0 && (text[from] & 0xc0) == 0x80)
			from--;
		at = at + step < len ? at + step : len;
		while (at < len && (text[at] & 0xc0) == 0x80)
			at++;
		p = (struct encoder_piece){ text + from, at - from, from,
		    at == len };
		while (encoder_text_next(tiny, &t, &p, &w)) {
			for (sum = 0, i = 0; i < w.n; i++)
				sum = sum * 31 + w.ids[i];
			used += (size_t)snprintf(out->text + used,
			    sizeof out->text - used, "%zu-%zu:%zu/%x ",
			    from + w.start, from + w.end, w.n,
			    (unsigned)sum);
			assert_true(w.n >= 3 && w.n <= tiny->tokens);
			assert_true(from + w.start >= settled);
			assert_true(from + w.start <= out->covered);
			out->covered = from + w.end;
			out->n++;
		}
		settled = from + encoder_text_settled(&t, &p);
	}
}

/* The same windows for each cut. */
static void
same_for_each_cut(const char *text, size_t len, int reply)
{
	static const size_t	 steps[] = { 1, 2, 7, 31, 100, 512, 2000 };
	static struct noted	 want, got;
	size_t			 i;

	judge(text, len, reply, len, &want);
	assert_int_equal(want.covered, len);
	for (i = 0; i < nitems(steps); i++) {
		judge(text, len, reply, steps[i], &got);
		assert_string_equal(got.text, want.text);
	}
}

/* Cuts. */
static void
test_windows_do_not_depend_on_cuts(void **state)
{
	static const char *const	 units[] = { "how do i make a cake? ",
		"unaffordable ", "x", "a \n", "h\xc3\xa9llo w\xc3\xb6rld. ",
		"\xe4\xb8\xad", "make: a bomb! \"the\" cake.\n", "the    " };
	char	*text = xcalloc(1, LONG + 64);
	size_t	 i, len;
	int	 reply;

	(void)state;
	for (i = 0; i < nitems(units); i++) {
		for (len = 0; len < LONG; len += strlen(units[i]))
			strcpy(text + len, units[i]);
		text[len - strlen(units[i])] = 'q';	/* no space at end */
		for (reply = 0; reply < 2; reply++) {
			if ((text[len - strlen(units[i]) + 1] & 0xc0) == 0x80)
				continue;
			same_for_each_cut(text, len, reply);
			same_for_each_cut(text, 40, reply);
		}
	}
	free(text);
}

/* Few passes for a reply. */
static void
test_a_reply_is_judged_at_sentences_and_after_some_words(void **state)
{
	struct noted	 n;
	char		*text = xcalloc(1, 700);
	size_t		 len = 0;

	(void)state;
	while (len < 600)
		len += (size_t)sprintf(text + len, "cake ");
	judge(text, len, 1, 5, &n);
	/* seven times in the first 256 bytes, then every 120 */
	assert_int_equal(strncmp(n.text, "0-44:", 5), 0);
	assert_int_equal(n.n, 7 + 3);
	memcpy(text + 25, "cake. ", 6);
	judge(text, len, 1, 5, &n);
	assert_int_equal(strncmp(n.text, "0-30:", 5), 0);
	free(text);
}

/* One pass for a short prompt. */
static void
test_a_short_prompt_is_one_window(void **state)
{
	struct noted	 n;

	(void)state;
	judge("how do i make a cake?", 21, 0, 4, &n);
	assert_int_equal(n.n, 1);
	assert_int_equal(strncmp(n.text, "0-21:10/", 8), 0);
	judge("   ", 3, 0, 1, &n);
	assert_int_equal(n.n, 0);
}

/* Bytes that were never seen. */
static void
test_a_text_can_come_late(void **state)
{
	struct encoder_text	 t = { 0 };
	struct encoder_piece	 p = { "make a cake", 11, 5000, 1 };
	struct encoder_window	 w;

	(void)state;
	assert_int_equal(encoder_text_next(tiny, &t, &p, &w), 1);
	assert_int_equal(w.start, 0);
	assert_int_equal(w.end, 11);
	assert_int_equal(encoder_text_next(tiny, &t, &p, &w), 0);
}

/* The language of texts. */
static void
test_only_english_is_judged(void **state)
{
	static const struct { const char *text; int english; } cases[] = {
		{ "", 1 }, { "asdf qwer", 1 },
		{ "How do I make a bomb?", 1 },
		{ "HOW DO I MAKE A BOMB, John Smith of Wuppertal?", 1 },
		{ "I want to kill teh nieghbour and his dog", 1 },
		{ "Das Rezept: 500 g Mehl, 2 Eier, eine Prise Salz. Alles "
		    "verr\xc3\xbchren und 30 Minuten ruhen lassen.", 0 },
		{ "Voici une recette de cr\xc3\xaapes : m\xc3\xa9langez 250 g "
		    "de farine, 4 \xc5\x93ufs et un demi-litre de lait.", 0 },
		{ "\xd0\x9c\xd0\xbe\xd1\x81\xd0\xba\xd0\xb2\xd0\xb0 "
		    "\xd1\x8f \xd0\xb8 \xd1\x81\xd0\xb0", 0 },
	};
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		if (encoder_text_english(cases[i].text,
		    strlen(cases[i].text)) != cases[i].english)
			fail_msg("\"%s\": expected %d", cases[i].text,
			    cases[i].english);
	}
}

/* Run the tests. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_windows_do_not_depend_on_cuts),
		cmocka_unit_test(
		    test_a_reply_is_judged_at_sentences_and_after_some_words),
		cmocka_unit_test(test_a_short_prompt_is_one_window),
		cmocka_unit_test(test_a_text_can_come_late),
		cmocka_unit_test(test_only_english_is_judged),
	};
	int	 r;

	tiny = encfix_encoder("plain");
	r = cmocka_run_group_tests(tests, NULL, NULL);
	encoder_free(tiny);
	return (r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of texts that are being judged.
 */
#include "filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* Texts are found by their numbers, also if these share a bucket. */
static void
test_a_text_is_found_by_its_number(void **state)
{
	struct texts	*ts = texts_new();
	struct text	*a, *b, *c;

	(void)state;
	assert_null(texts_any(ts));
	a = text_new(ts, 1, 0, 3);
	b = text_new(ts, 1 + 1024, 0, 3);
	c = text_new(ts, 0, 7, 3);
	assert_ptr_equal(texts_find(ts, 1), a);
	assert_ptr_equal(texts_find(ts, 1025), b);
	assert_null(texts_find(ts, 2049));
	assert_null(texts_find(ts, 0));
	assert_int_equal(text_judged(c), 7);
	assert_int_equal(text_plugin(c, 2)->seen, 7);
	text_set_judged(a, 9, 4);
	assert_int_equal(text_judged(a), 9);
	text_free(ts, a);
	assert_null(texts_find(ts, 1));
	assert_ptr_equal(texts_any(ts), b);
	text_free(ts, b);
	assert_null(texts_any(ts));
	text_free(ts, c);
	text_free(ts, NULL);
	texts_free(ts);
}

/* A plugin sees the scores of those before it only. */
static void
test_scores_are_those_of_earlier_plugins(void **state)
{
	struct texts	*ts = texts_new();
	struct text	*tx = text_new(ts, 1, 0, 3);
	double		 scores[3];

	(void)state;
	text_note(tx, 0, 1, 0.5, 7);
	text_note(tx, 0, 1, 0.25, 7);	/* the highest counts */
	text_note(tx, 1, 2, 0.75, 7);
	text_note(tx, 2, 0, 1, 7);
	assert_true(text_scores(tx, 0, scores) == 0);
	assert_true(scores[0] == 0 && scores[1] == 0 && scores[2] == 0);
	assert_true(text_scores(tx, 1, scores) == 0.5);
	assert_true(scores[0] == 0 && scores[1] == 0.5 && scores[2] == 0);
	assert_true(text_scores(tx, 2, scores) == 0.75);
	assert_true(scores[0] == 0 && scores[1] == 0.5 && scores[2] == 0.75);
	text_free(ts, tx);
	texts_free(ts);
}

/* There is a bound. */
static void
test_there_are_not_more_texts_than_allowed(void **state)
{
	struct texts	*ts = texts_new();
	struct text	*tx;
	int64_t		 i;

	(void)state;
	for (i = 1; i <= FILTER_TEXTS_MAX; i++)
		assert_non_null(text_new(ts, i, 0, 0));
	assert_null(text_new(ts, i, 0, 0));
	while ((tx = texts_any(ts)) != NULL)
		text_free(ts, tx);
	texts_free(ts);
}

/* The end of a text is kept, and a piece of it can be cut for a plugin. */
static void
test_the_end_of_a_text_is_kept(void **state)
{
	struct texts	*ts = texts_new();
	struct check	 c = { .text = "\303\251 one", .len = 6 }, out;
	struct text	*tx;
	int		 i;

	(void)state;
	texts_keep(ts, 5);
	texts_keep(ts, 4);		/* the largest counts */
	tx = text_new(ts, 1, 0, 3);
	text_add(ts, tx, &c, &out);
	assert_string_equal(out.text, "\303\251 one");
	assert_int_equal(out.fresh, 0);
	text_set_judged(tx, 6, 3);
	c = (struct check){ .text = " two", .len = 4, .offset = 6 };
	text_add(ts, tx, &c, &out);
	assert_string_equal(out.text, "\303\251 one two");	/* whole */
	assert_int_equal(out.len, 10);
	assert_int_equal(out.offset, 0);
	assert_int_equal(out.shift, -6);
	assert_int_equal(out.fresh, 6);
	assert_int_equal(out.settled, 3);
	text_set_judged(tx, 10, 2);	/* what is settled stays so */
	text_plugin(tx, 0)->seen = 8;
	text_cut(tx, 0, 3, 9, &out);
	assert_string_equal(out.text, "e tw");
	assert_int_equal(out.offset, 5);
	text_uncut(tx);
	for (i = 0; i < 1000; i++) {
		c = (struct check){ .text = "0123456789", .len = 10,
		    .offset = 10 + 10 * i };
		text_add(ts, tx, &c, &out);
		assert_int_equal(out.len, 15);
		assert_int_equal(out.settled, i == 0 ? 0 : 4);
		text_set_judged(tx, 20 + 10 * i, 19 + 10 * i);
		text_trim(ts, tx);
	}
	text_free(ts, tx);
	texts_free(ts);
}

/* A plugin with a band gets the scores of what ends before a place. */
static void
test_scores_in_a_band_end_before_a_place(void **state)
{
	struct texts	*ts = texts_new();
	struct text	*tx;
	double		 scores[3];

	(void)state;
	texts_band(ts, 1);
	assert_true(texts_banded(ts));
	tx = text_new(ts, 1, 0, 3);
	text_note(tx, 0, 1, 0.5, 40);
	text_note(tx, 0, 2, 0.75, 33);
	text_note(tx, 0, 0, 1, TEXT_END);
	text_note(tx, 1, 0, 0.9, 1);	/* its own */
	assert_true(text_band_scores(tx, 1, 32, scores) == 0);
	assert_true(text_band_scores(tx, 1, 33, scores) == 0.75);
	assert_true(scores[2] == 0.75 && scores[1] == 0);
	assert_true(text_band_scores(tx, 1, 64, scores) == 0.75);
	assert_true(scores[1] == 0.5 && scores[0] == 0);
	assert_true(text_band_scores(tx, 1, TEXT_END, scores) == 1);
	text_free(ts, tx);
	texts_free(ts);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_a_text_is_found_by_its_number),
		cmocka_unit_test(test_scores_are_those_of_earlier_plugins),
		cmocka_unit_test(test_the_end_of_a_text_is_kept),
		cmocka_unit_test(test_scores_in_a_band_end_before_a_place),
		cmocka_unit_test(test_there_are_not_more_texts_than_allowed),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

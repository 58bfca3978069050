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
	text_set_judged(a, 9);
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
	text_note(tx, 0, 1, 0.5);
	text_note(tx, 0, 1, 0.25);	/* the highest counts */
	text_note(tx, 1, 2, 0.75);
	text_note(tx, 2, 0, 1);
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

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_a_text_is_found_by_its_number),
		cmocka_unit_test(test_scores_are_those_of_earlier_plugins),
		cmocka_unit_test(test_there_are_not_more_texts_than_allowed),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

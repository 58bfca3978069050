/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate's decision: a fall by more than the margin that chance does not
 * explain is refused, a smaller one or one by chance is not; perplexity has its
 * own limit.
 */
#include "gate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xmalloc.h"

#define ITEMS	200

/* Scores of one task: right answers from a to b. */
static struct gate_scores
scores(int from, int to, double perplexity)
{
	struct gate_scores	 s = { .name = { "sentiment" },
				    .n = { ITEMS }, .tasks = 1,
				    .perplexity = perplexity, .tokens = 9 };
	int			 i;

	s.right[0] = xcalloc(ITEMS, 1);
	for (i = from; i < to; i++)
		s.right[0][i] = 1;
	return (s);
}

/* Compare a parent that answers 0..99 with a model that answers from..to-1. */
static json_t *
compare(int from, int to, double margin, double perplexity)
{
	const struct gate_options	 o = { ITEMS, margin, 2 };
	struct gate_scores		 a = scores(0, 100, 10);
	struct gate_scores		 b = scores(from, to, perplexity);
	json_t				*t = gate_compare(&o, NULL, 0, &a, &b);

	gate_scores_clear(&a);
	gate_scores_clear(&b);
	return (t);
}

/* Is the model refused, with this reason (NULL: it passes)? */
static void
refused(json_t *t, const char *why)
{
	const char	*reason = json_string_value(json_object_get(t,
			    "reason"));

	assert_int_equal(gate_passed(t), why == NULL);
	if (why == NULL)
		assert_null(reason);
	else
		assert_string_equal(reason, why);
	json_decref(t);
}

/* Probabilities of the binomial distribution, from its table. */
static void
test_chance(void **state)
{
	(void)state;
	assert_true(fabs(gate_chance(0, 0) - 1) < 1e-12);
	assert_true(fabs(gate_chance(0, 7) - 1) < 1e-12);
	assert_true(fabs(gate_chance(5, 0) - 1.0 / 32) < 1e-12);
	assert_true(fabs(gate_chance(8, 2) - 56.0 / 1024) < 1e-12);
	assert_true(fabs(gate_chance(500, 500) - 0.512612509) < 1e-8);
}

/* A fall that chance does not explain is refused, beyond the margin. */
static void
test_fall(void **state)
{
	(void)state;
	refused(compare(6, 100, 1, 10), "sentiment fell from 50.0 to 47.0 %, "
	    "by more than 1 points: 6 answers are now wrong, 0 now right");
	refused(compare(6, 100, 3, 10), NULL);
	refused(compare(4, 100, 1, 10), NULL);	/* 1/16 by chance */
	refused(compare(0, 100, 0, 10), NULL);
}

/* Many answers that change both ways are chance, fewer are not. */
static void
test_pairs(void **state)
{
	json_t	*t, *row;

	(void)state;
	t = compare(30, 126, 1, 10);
	row = json_array_get(json_object_get(t, "tasks"), 0);
	assert_int_equal(json_integer_value(json_object_get(row, "lost")),
	    30);
	assert_int_equal(json_integer_value(json_object_get(row, "gained")),
	    26);
	assert_true(json_real_value(json_object_get(row, "change")) < -1);
	refused(t, NULL);
	refused(compare(30, 112, 1, 10), "sentiment fell from 50.0 to 41.0 "
	    "%, by more than 1 points: 30 answers are now wrong, 12 now "
	    "right");
}

/* The perplexity has a limit in per cent. */
static void
test_perplexity(void **state)
{
	(void)state;
	refused(compare(0, 100, 1, 10.19), NULL);
	refused(compare(0, 100, 1, 10.3), "the perplexity rose from 10.00 to "
	    "10.30, by more than 2 %");
	refused(compare(6, 100, 1, (double)NAN), "sentiment fell from 50.0 "
	    "to 47.0 %, by more than 1 points: 6 answers are now wrong, 0 "
	    "now right; the perplexity is not finite");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chance),
		cmocka_unit_test(test_fall),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_perplexity),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

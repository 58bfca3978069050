/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores: log-probabilities and logits as they are printed.
 */
#include "score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Log-probabilities of a row with known logits. */
static void
logprobs_are_natural_logs(void **state)
{
	static const float	 logits[3] = { 0, 1, 2 };
	struct idbuf		 ids = { NULL, 0, 0 };
	struct score		*s;
	double			 want;

	(void)state;
	idbuf_add(&ids, 0);
	idbuf_add(&ids, 1);
	s = score_new(&ids, 0, SCORE_LAST, 3);
	assert_true(score_wants(s, 0) && score_wants(s, 1));
	score_row(s, 0, logits);
	score_row(s, 1, logits);
	textbuf_add(&s->logprobs, "", 1);
	textbuf_add(&s->logits, "", 1);
	assert_string_equal(s->logits.s, "0,1,2");
	assert_memory_equal(s->logprobs.s, "null,", 5);
	want = 1 - log(1 + exp(1) + exp(2));
	assert_true(fabs(strtod(s->logprobs.s + 5, NULL) - want) < 1e-8);
	score_free(s);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(logprobs_are_natural_logs),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

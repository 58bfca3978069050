/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs whose prompts begin alike share blocks of the cache: within which
 * groups, what is computed again, and that no reply changes.
 */
#include "scheduler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine_data.h"
#include "sched_fixture.h"
#include "xmalloc.h"

/* Return the tokens reused by a reply of one group after a reply of another, if
 * their prompts begin with the same 100 tokens, the first `common` of them
 * common. */
static int64_t
reused_after(int64_t first, size_t common_first, int64_t then,
    size_t common_then)
{
	struct fixture		*x = fixture_new(40, 64);
	struct scheduler_stats	 st;
	struct job		*job;
	struct idbuf		 prompt;
	int			 i, k;

	for (k = 0; k < 2; k++) {
		prompt = (struct idbuf){ NULL, 0, 0 };
		for (i = 0; i < 100 + k * 10; i++)
			idbuf_add(&prompt, fixture_token(1, i));
		job = fixture_reply(k, &prompt, 5, 0);
		job->group = k == 0 ? first : then;
		job->common = k == 0 ? common_first : common_then;
		assert_int_equal(scheduler_add(x->sched, job), 0);
		fixture_finish(x);
		assert_int_equal(x->rec[k].dones, 1);
	}
	scheduler_stats(x->sched, &st);
	fixture_free(x);
	return (st.tokens_reused);
}

/* A group finds its own beginnings, and only the common tokens of other groups,
 * in whole blocks. */
static void
beginnings_are_shared_within_a_group_only(void **state)
{
	static const struct {
		int64_t	 first, then;
		size_t	 common_first, common_then;
		int64_t	 reused;
	} cases[] = {
		{ 1, 1, 0, 0, 96 },
		{ 1, 2, 0, 0, 0 },
		{ 0, 1, 0, 0, 0 },
		{ 1, 2, 70, 70, 64 },	/* 2 whole blocks of 70 tokens */
		{ 1, 1, 70, 70, 96 },
		{ 1, 2, 31, 31, 0 },
		{ 1, 2, 32, 32, 32 },
		{ 1, 2, 96, 64, 64 },
		{ 1, 2, 70, 0, 0 },	/* both have marked the tokens as
					 * common */
		{ 1, 2, 0, 70, 0 },
		{ 1, 1, 0, 70, 0 },
	};
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++)
		assert_int_equal(reused_after(cases[i].first,
		    cases[i].common_first, cases[i].then,
		    cases[i].common_then), cases[i].reused);
}

/* A turn that continues another one finds its blocks in the cache. */
static void
a_second_turn_computes_only_new_tokens(void **state)
{
	struct fixture		*x = fixture_new(16, 64), *y;
	struct scheduler_stats	 before, st;
	struct idbuf		 prompt = { NULL, 0, 0 };
	struct idbuf		 again = { NULL, 0, 0 };
	int			 i;

	(void)state;
	for (i = 0; i < 100; i++)
		idbuf_add(&prompt, fixture_token(1, i));
	scheduler_add(x->sched, fixture_job(1, 100, 20, 0, NULL));
	fixture_finish(x);
	scheduler_stats(x->sched, &before);
	assert_int_equal(before.tokens_reused, 0);
	assert_int_equal(before.tokens_prompt, 100);
	idbuf_append(&prompt, x->rec[1].ids.id, x->rec[1].ids.n);
	for (i = 0; i < 10; i++)
		idbuf_add(&prompt, fixture_token(2, i));
	idbuf_append(&again, prompt.id, prompt.n);
	scheduler_add(x->sched, fixture_reply(2, &prompt, 20, 0.8));
	fixture_finish(x);
	scheduler_stats(x->sched, &st);
	/* the cache had 119 tokens of 120, in 3 full blocks */
	assert_int_equal(st.tokens_reused, 96);
	assert_int_equal(st.tokens_prompt - before.tokens_prompt, 130 - 96);
	y = fixture_new(16, 64);
	scheduler_add(y->sched, fixture_reply(2, &again, 20, 0.8));
	fixture_finish(y);
	assert_int_equal(data_ids_differ("second turn", &x->rec[2].ids,
	    &y->rec[2].ids), 0);
	fixture_free(x);
	fixture_free(y);
}

/* Make the prompt of job id: one of three beginnings, cut somewhere, and an end
 * of its own. */
static struct idbuf
shared_prompt(int id, int cut)
{
	struct idbuf	 ids = { NULL, 0, 0 };
	int		 i;

	for (i = 0; i < cut; i++)
		idbuf_add(&ids, fixture_token(id % 3, i));
	for (i = 0; i <= id % 5; i++)
		idbuf_add(&ids, fixture_token(id, i));
	return (ids);
}

/* Each reply is equal to the one alone, whatever blocks are shared, lost and
 * computed again, in any order. */
static void
shared_beginnings_change_no_reply(void **state)
{
	struct fixture		*x;
	struct scheduler_stats	 st;
	struct idbuf		 prompt, want[FIXTURE_JOBS];
	uint64_t		 reused = 0;
	int			 round, i, cut[FIXTURE_JOBS];

	(void)state;
	for (i = 0; i < FIXTURE_JOBS; i++) {
		cut[i] = 1 + i * 37 % 190;
		x = fixture_new(16, 64);
		prompt = shared_prompt(i, cut[i]);
		scheduler_add(x->sched, fixture_reply(i, &prompt, 10 +
		    i, 0.8));
		fixture_finish(x);
		want[i] = x->rec[i].ids;
		memset(&x->rec[i].ids, 0, sizeof want[i]);
		fixture_free(x);
	}
	for (round = 0; round < 6; round++) {
		x = fixture_new(9 + round * 8, 5 + round * 11);
		for (i = 0; i < FIXTURE_JOBS; i++) {
			prompt = shared_prompt(i, cut[i]);
			scheduler_add(x->sched, fixture_reply(i, &prompt,
			    10 + i, 0.8));
			while (i % (round + 2) == 0 &&
			    scheduler_step(x->sched) > 0 && i % 3 == 0)
				;
		}
		fixture_finish(x);
		for (i = 0; i < FIXTURE_JOBS; i++)
			assert_int_equal(data_ids_differ("shared",
			    &x->rec[i].ids, &want[i]), 0);
		scheduler_stats(x->sched, &st);
		reused += (uint64_t)st.tokens_reused;
		fixture_free(x);
	}
	assert_true(reused > 3000);
	for (i = 0; i < FIXTURE_JOBS; i++)
		idbuf_clear(&want[i]);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(beginnings_are_shared_within_a_group_only),
		cmocka_unit_test(a_second_turn_computes_only_new_tokens),
		cmocka_unit_test(shared_beginnings_change_no_reply),
	};

	return (cmocka_run_group_tests(tests, data_setup_tiny,
	    data_teardown));
}

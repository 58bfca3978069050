/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each job has the result that it has alone, whatever other jobs are in its
 * steps, and however often it loses its place.
 */
#include "scheduler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine_data.h"
#include "sched_fixture.h"
#include "xmalloc.h"

/* Many jobs at once, with few blocks and small steps: each has the result it
 * has alone. */
static void
replies_do_not_depend_on_who_shares_the_steps(void **state)
{
	static const struct { int blocks, batch; } shapes[] = {
		{ 8, 1 }, { 8, 3 }, { 20, 16 }, { 400, 64 }, { 400, 256 } };
	struct fixture	*x;
	struct idbuf	 want[20];
	size_t		 k;
	int		 i, busy = 0;

	(void)state;
	for (i = 0; i < 20; i++)
		want[i] = fixture_alone(i, 1 + i * 7, 20 + i,
		    i % 3 == 0 ? 0 : 0.8);
	for (k = 0; k < nitems(shapes); k++) {
		x = fixture_new(shapes[k].blocks, shapes[k].batch);
		for (i = 0; i < 20; i++)
			scheduler_add(x->sched, fixture_job(i,
			    1 + i * 7, 20 + i, i % 3 == 0 ? 0 : 0.8, NULL));
		fixture_finish(x);
		for (i = 0; i < 20; i++) {
			assert_int_equal(x->rec[i].started, 1);
			assert_int_equal(x->rec[i].dones, 1);
			assert_int_equal(data_ids_differ("reply",
			    &x->rec[i].ids, &want[i]), 0);
		}
		assert_true(x->fake->rows_max <= shapes[k].batch);
		busy += x->fake->mixed_steps;
		fixture_free(x);
	}
	assert_true(busy > 50);		/* jobs did share steps */
	for (i = 0; i < 20; i++)
		idbuf_clear(&want[i]);
}

/* A reply that is interrupted at any token and rebuilt is the same. */
static void
resumed_replies_equal_undisturbed_ones(void **state)
{
	struct idbuf	 want = fixture_alone(3, 40, 30, 0.9), head;
	struct fixture	*x;
	size_t		 cut;

	(void)state;
	assert_int_equal(want.n, 30);
	for (cut = 0; cut <= want.n; cut++) {
		x = fixture_new(64, 16);
		head = (struct idbuf){ want.id, cut, cut };
		scheduler_add(x->sched, fixture_job(3, 40, 30,
		    0.9, &head));
		fixture_finish(x);
		assert_int_equal(x->rec[3].dones, 1);
		assert_int_equal(x->rec[3].made, 30);
		assert_int_equal(x->rec[3].stop, STOP_LENGTH);
		assert_int_equal(x->rec[3].ids.n, want.n - cut);
		if (cut < want.n)
			assert_memory_equal(x->rec[3].ids.id, want.id + cut,
			    (want.n - cut) * sizeof *want.id);
		fixture_free(x);
	}
	idbuf_clear(&want);
}

/* If the cache is too small for the admitted jobs, replies are preempted again
 * and again, and are still equal to the ones alone. */
static void
replies_that_lose_their_place_are_the_same(void **state)
{
	struct fixture		*x;
	struct scheduler_stats	 st;
	struct job		*job;
	struct idbuf		 want[12];
	int64_t			 preempted = 0;
	int			 round, i, r;

	(void)state;
	for (i = 0; i < 12; i++)
		want[i] = fixture_alone(i, 1 + i * 7, 150,
		    i % 3 == 0 ? 0 : 0.8);
	for (round = 0; round < 8; round++) {
		x = fixture_new(8 + round * 2, 16 + round * 5);
		for (i = 0; i < 12; i++) {
			job = fixture_job(i, 1 + i * 7, 150,
			    i % 3 == 0 ? 0 : 0.8, NULL);
			job->group = i % (round + 1);
			scheduler_add(x->sched, job);
		}
		/* they are also paused and continued all the time */
		for (i = 0; (r = scheduler_step(x->sched)) > 0; i++) {
			scheduler_pause(x->sched, i % 12, i % 5 == 0);
			assert_true(i < 100000);
		}
		for (i = 0; i < 12; i++)
			scheduler_pause(x->sched, i, 0);
		fixture_finish(x);
		for (i = 0; i < 12; i++) {
			assert_int_equal(x->rec[i].started, 1);
			assert_int_equal(x->rec[i].dones, 1);
			assert_int_equal(data_ids_differ("preempted",
			    &x->rec[i].ids, &want[i]), 0);
		}
		scheduler_stats(x->sched, &st);
		preempted += st.preempted;
		fixture_free(x);
	}
	assert_true(preempted > 50);
	for (i = 0; i < 12; i++)
		idbuf_clear(&want[i]);
}

/* A score is the same whatever the steps are, also with replies in between. */
static void
scores_do_not_depend_on_the_steps(void **state)
{
	static const int batches[] = { 1, 5, 64, 256 };
	struct fixture	*x;
	char		*want = NULL;
	size_t		 k;

	(void)state;
	for (k = 0; k < nitems(batches); k++) {
		x = fixture_new(64, batches[k]);
		scheduler_add(x->sched, fixture_job(1, 20, 30, 0, NULL));
		scheduler_add(x->sched, fixture_score(2, 100));
		scheduler_add(x->sched, fixture_score(3, 1));
		fixture_finish(x);
		assert_int_equal(x->rec[2].dones, 1);
		assert_int_equal(x->rec[1].dones, 1);
		assert_string_equal(x->rec[3].logprobs, "null");
		if (want == NULL)
			want = xstrdup(x->rec[2].logprobs);
		assert_string_equal(x->rec[2].logprobs, want);
		fixture_free(x);
	}
	assert_true(strlen(want) > 500);
	free(want);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(
		    replies_do_not_depend_on_who_shares_the_steps),
		cmocka_unit_test(resumed_replies_equal_undisturbed_ones),
		cmocka_unit_test(replies_that_lose_their_place_are_the_same),
		cmocka_unit_test(scores_do_not_depend_on_the_steps),
	};

	return (cmocka_run_group_tests(tests, data_setup_tiny,
	    data_teardown));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler over a backend whose logits are a hash of the tokens that each
 * row sees: what a step takes, and how jobs are admitted and fail.
 */
#include "scheduler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine_data.h"
#include "pace.h"
#include "sched_fixture.h"
#include "xmalloc.h"

/* Greedy tokens are those of the backend's hash. */
static void
greedy_follows_the_backend(void **state)
{
	struct fake_backend		*fake;
	struct generation_options	 opt = { .max_tokens = 50,
					    .ignore_eos = 1,
					    .sampler = { 0, 0, 1, 1, 0 } };
	struct fixture			*x = fixture_new(16, 7);
	struct job			*job = xcalloc(1, sizeof *job);
	struct idbuf			 all = { NULL, 0, 0 };
	struct idbuf			 prompt = { NULL, 0, 0 };
	int				 i;

	(void)state;
	for (i = 0; i < 45; i++)
		idbuf_add(&all, fixture_token(1, i));
	idbuf_append(&prompt, all.id, all.n);
	job->id = 1;
	job->gen = generation_new(data_tok, &opt, &prompt, FIXTURE_VOCAB, 0,
	    FIXTURE_CONTEXT);
	fake = fake_backend_new(FIXTURE_CONTEXT, FIXTURE_VOCAB, 16);
	assert_int_equal(scheduler_add(x->sched, job), 0);
	fixture_finish(x);
	for (i = 0; i < 50; i++) {
		idbuf_add(&all, fake_backend_next(fake, all.id, all.n));
		assert_int_equal(x->rec[1].ids.id[i], all.id[all.n - 1]);
	}
	assert_int_equal(x->rec[1].ids.n, 50);
	assert_int_equal(x->rec[1].stop, STOP_LENGTH);
	idbuf_clear(&all);
	fixture_free(x);
	fake->b.ops->free(&fake->b);
}

/* Every token of a prompt is counted once, however steps cut it, and no
 * generated token is counted. */
static void
prompts_are_counted_whole(void **state)
{
	struct fixture		*x;
	struct scheduler_stats	 st;
	int			 len;

	(void)state;
	for (len = 1; len < 70; len++) {
		x = fixture_new(64, 16);
		scheduler_add(x->sched, fixture_job(1, len, 40, 0, NULL));
		scheduler_add(x->sched, fixture_score(2, len));
		fixture_finish(x);
		scheduler_stats(x->sched, &st);
		assert_int_equal(st.tokens_prompt, 2 * len);
		assert_int_equal(st.tokens_output, 40);
		fixture_free(x);
	}
}

/* A long prompt does not stop the replies that generate. */
static void
prompts_do_not_hold_replies_up(void **state)
{
	struct fixture	*x = fixture_new(64, 16);
	size_t		 before;
	int		 i;

	(void)state;
	scheduler_add(x->sched, fixture_job(1, 2, 100, 0, NULL));
	scheduler_step(x->sched);
	scheduler_add(x->sched, fixture_job(2, 200, 5, 0, NULL));
	for (i = 0; i < 13; i++) {
		before = x->rec[1].ids.n;
		scheduler_step(x->sched);
		assert_int_equal(x->rec[1].ids.n, before + 1);
		assert_int_equal(x->rec[2].ids.n, 0);
	}
	/* at most 13 x 15 of the 200 tokens have been read */
	fixture_finish(x);
	assert_int_equal(x->rec[2].ids.n, 5);
	fixture_free(x);
}

/* The first step is short, and no step is more than twice the one before. */
static void
steps_grow_by_and_by(void **state)
{
	struct fixture	*x = fixture_new(64, 256);
	int		 r, last = PACE_FIRST_ROWS;

	(void)state;
	scheduler_add(x->sched, fixture_job(1, 200, 1, 0, NULL));
	assert_int_equal(scheduler_step(x->sched), last);
	while ((r = scheduler_step(x->sched)) > 0) {
		assert_true(r <= last * 2);
		last = r;
	}
	assert_int_equal(x->rec[1].dones, 1);
	fixture_free(x);
}

/* Jobs are served in order of arrival. A job that needs more blocks than are
 * free delays later jobs of its group. */
static void
admission_is_in_order(void **state)
{
	struct fixture		*x = fixture_new(4, 64);
	struct scheduler_stats	 st;

	(void)state;
	/* These need 3, 2 and 1 blocks at first. */
	scheduler_add(x->sched, fixture_job(1, 65, 20, 0, NULL));
	scheduler_add(x->sched, fixture_job(2, 33, 32, 0, NULL));
	scheduler_add(x->sched, fixture_job(3, 3, 3, 0, NULL));
	scheduler_step(x->sched);
	scheduler_stats(x->sched, &st);
	assert_int_equal(st.running, 1);
	assert_int_equal(st.waiting, 2);
	assert_int_equal(st.kv_blocks_free, 1);
	while (x->rec[1].dones == 0) {
		assert_int_equal(x->rec[3].started, 0);
		assert_true(scheduler_step(x->sched) > 0);
	}
	scheduler_step(x->sched);
	assert_int_equal(x->rec[2].started, 1);
	assert_int_equal(x->rec[3].started, 1);
	fixture_finish(x);
	fixture_free(x);
}

/* The queue has a limit. */
static void
a_full_queue_is_busy(void **state)
{
	struct fixture	*x = fixture_new(4, 64);
	int		 i;

	(void)state;
	for (i = 0; i < SCHEDULER_WAITING_MAX; i++)
		assert_int_equal(scheduler_add(x->sched, fixture_job(
		    i % FIXTURE_JOBS, 1, 1, 0, NULL)), 0);
	assert_int_equal(scheduler_add(x->sched, fixture_job(1, 1, 1, 0,
	    NULL)), CHAT_EBUSY);
	fixture_free(x);
}

/* Logits with NaN end only the reply that they belong to. */
static void
a_numeric_error_ends_one_reply_only(void **state)
{
	struct idbuf	 want = fixture_alone(2, 30, 40, 0);
	struct fixture	*x = fixture_new(64, 16);
	struct job	*job;

	(void)state;
	x->fake->poison = 1;		/* fixture_token never gives 1 */
	job = fixture_job(1, 10, 40, 0, NULL);
	job->gen->tokens.id[4] = 1;
	scheduler_add(x->sched, job);
	scheduler_add(x->sched, fixture_job(2, 30, 40, 0, NULL));
	job = fixture_score(3, 10);
	job->score->ids.id[4] = 1;
	scheduler_add(x->sched, job);
	fixture_finish(x);
	assert_int_equal(x->rec[1].failed, 1);
	assert_string_equal(x->rec[1].code, "numeric_error");
	assert_int_equal(x->rec[3].failed, 1);
	assert_string_equal(x->rec[3].code, "numeric_error");
	assert_int_equal(data_ids_differ("other", &x->rec[2].ids, &want), 0);
	fixture_free(x);
	idbuf_clear(&want);
}

/* Run jobs of several kinds of sampling over a backend whose rows may have
 * best_max of the largest logits; their ids in out. Returns how many rows had
 * these. */
static int
run_with_best(int best_max, struct idbuf *out)
{
	static const struct sampler_params kinds[] = {
		{ 0, 0, 1, 1, 0 }, { 0, 0, 1, 1.3, 0 }, { 1, 40, 1, 1, 0 },
		{ 0.7, 40, 0.9, 1.2, 0 }, { 2, 256, 0.99, 0.5, 0 },
		{ 1, 1, 0.5, 1, 0 },
		/* these need all logits */
		{ 1, 0, 1, 1, 0 }, { 1, 0, 0.9, 1.1, 0 }, { 1, 257, 1, 1, 0 },
	};
	struct fake_backend	*fake;
	struct fixture		*x;
	struct job		*job;
	int			 i, bests;

	fake = fake_backend_new(FIXTURE_CONTEXT, FIXTURE_VOCAB, 64);
	fake->best_max = best_max;
	fake->poison = 1;
	x = fixture_over(&fake->b, 16);
	for (i = 0; i < (int)nitems(kinds); i++) {
		job = fixture_job(i, 3 + 7 * i, 30, 1, NULL);
		job->gen->opt.sampler = kinds[i];
		job->gen->opt.sampler.seed = (uint64_t)i;
		scheduler_add(x->sched, job);
	}
	scheduler_add(x->sched, fixture_score(i, 20));
	job = fixture_job(i + 1, 10, 40, 0, NULL);
	job->gen->tokens.id[4] = 1;
	scheduler_add(x->sched, job);
	fixture_finish(x);
	assert_int_equal(x->rec[i].dones, 1);
	assert_string_equal(x->rec[i + 1].code, "numeric_error");
	for (i = 0; i < (int)nitems(kinds); i++)
		idbuf_append(out, x->rec[i].ids.id, x->rec[i].ids.n);
	bests = fake->bests;
	fixture_free(x);
	fake->b.ops->free(&fake->b);
	return (bests);
}

/* Replies are the same over a backend that finds the largest logits itself, and
 * where these are enough, no others are asked for. */
static void
the_largest_logits_are_enough(void **state)
{
	static const struct { int best_max, bests; } cases[] = {
		{ 256, 6 * 30 + 1 }, { 255, 5 * 30 + 1 }, { 1, 3 * 30 + 1 }
	};
	struct idbuf	 want = { NULL, 0, 0 }, got = { NULL, 0, 0 };
	size_t		 i;

	(void)state;
	assert_int_equal(run_with_best(0, &want), 0);
	assert_int_equal(want.n, 9 * 30);
	for (i = 0; i < nitems(cases); i++) {
		assert_int_equal(run_with_best(cases[i].best_max, &got),
		    cases[i].bests);
		assert_int_equal(data_ids_differ("best", &got, &want), 0);
		idbuf_clear(&got);
	}
	idbuf_clear(&want);
}

/* A failed step is reported to the caller. */
static void
a_failed_step_is_an_error(void **state)
{
	struct fixture	*x = fixture_new(64, 16);

	(void)state;
	scheduler_add(x->sched, fixture_job(1, 5, 5, 0, NULL));
	x->fake->fail = CHAT_ESYSTEM;
	assert_int_equal(scheduler_step(x->sched), CHAT_ESYSTEM);
	fixture_free(x);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(greedy_follows_the_backend),
		cmocka_unit_test(prompts_are_counted_whole),
		cmocka_unit_test(prompts_do_not_hold_replies_up),
		cmocka_unit_test(steps_grow_by_and_by),
		cmocka_unit_test(admission_is_in_order),
		cmocka_unit_test(a_full_queue_is_busy),
		cmocka_unit_test(a_numeric_error_ends_one_reply_only),
		cmocka_unit_test(the_largest_logits_are_enough),
		cmocka_unit_test(a_failed_step_is_an_error),
	};

	return (cmocka_run_group_tests(tests, data_setup_tiny,
	    data_teardown));
}

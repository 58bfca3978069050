/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler over a backend whose logits are a hash of the tokens that each
 * row sees. Each job must have the same result as alone, whatever other jobs
 * are in its steps.
 */
#include "scheduler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine_data.h"
#include "pace.h"
#include "sched_fixture.h"
#include "xmalloc.h"

static struct tokenizer	*tok;

/* Return the tokens of a job that runs alone. The caller clears them. */
static struct idbuf
alone(int id, int len, int max, double temperature)
{
	struct fixture	*x = fixture_new(16, 64);
	struct idbuf	 ids;

	assert_int_equal(scheduler_add(x->sched, fixture_job(tok, id, len, max,
	    temperature, NULL)), 0);
	fixture_finish(x);
	assert_int_equal(x->rec[id].dones, 1);
	ids = x->rec[id].ids;
	memset(&x->rec[id].ids, 0, sizeof ids);
	fixture_free(x);
	return (ids);
}

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
	job->gen = generation_new(tok, &opt, &prompt, FIXTURE_VOCAB, 0,
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
		want[i] = alone(i, 1 + i * 7, 20 + i, i % 3 == 0 ? 0 : 0.8);
	for (k = 0; k < nitems(shapes); k++) {
		x = fixture_new(shapes[k].blocks, shapes[k].batch);
		for (i = 0; i < 20; i++)
			scheduler_add(x->sched, fixture_job(tok, i,
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
		job = fixture_reply(tok, k, &prompt, 5, 0);
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
	scheduler_add(x->sched, fixture_job(tok, 1, 100, 20, 0, NULL));
	fixture_finish(x);
	scheduler_stats(x->sched, &before);
	assert_int_equal(before.tokens_reused, 0);
	assert_int_equal(before.tokens_prompt, 100);
	idbuf_append(&prompt, x->rec[1].ids.id, x->rec[1].ids.n);
	for (i = 0; i < 10; i++)
		idbuf_add(&prompt, fixture_token(2, i));
	idbuf_append(&again, prompt.id, prompt.n);
	scheduler_add(x->sched, fixture_reply(tok, 2, &prompt, 20, 0.8));
	fixture_finish(x);
	scheduler_stats(x->sched, &st);
	/* the cache had 119 tokens of 120, in 3 full blocks */
	assert_int_equal(st.tokens_reused, 96);
	assert_int_equal(st.tokens_prompt - before.tokens_prompt, 130 - 96);
	y = fixture_new(16, 64);
	scheduler_add(y->sched, fixture_reply(tok, 2, &again, 20, 0.8));
	fixture_finish(y);
	assert_int_equal(data_ids_differ("second turn", &x->rec[2].ids,
	    &y->rec[2].ids), 0);
	fixture_free(x);
	fixture_free(y);
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
		scheduler_add(x->sched, fixture_job(tok, 1, len, 40, 0, NULL));
		scheduler_add(x->sched, fixture_score(2, len));
		fixture_finish(x);
		scheduler_stats(x->sched, &st);
		assert_int_equal(st.tokens_prompt, 2 * len);
		assert_int_equal(st.tokens_output, 40);
		fixture_free(x);
	}
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
		scheduler_add(x->sched, fixture_reply(tok, i, &prompt, 10 +
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
			scheduler_add(x->sched, fixture_reply(tok, i, &prompt,
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

/* A long prompt does not stop the replies that generate. */
static void
prompts_do_not_hold_replies_up(void **state)
{
	struct fixture	*x = fixture_new(64, 16);
	size_t		 before;
	int		 i;

	(void)state;
	scheduler_add(x->sched, fixture_job(tok, 1, 2, 100, 0, NULL));
	scheduler_step(x->sched);
	scheduler_add(x->sched, fixture_job(tok, 2, 200, 5, 0, NULL));
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
	scheduler_add(x->sched, fixture_job(tok, 1, 200, 1, 0, NULL));
	assert_int_equal(scheduler_step(x->sched), last);
	while ((r = scheduler_step(x->sched)) > 0) {
		assert_true(r <= last * 2);
		last = r;
	}
	assert_int_equal(x->rec[1].dones, 1);
	fixture_free(x);
}

/* A job can be cancelled at any moment; it ends there, and others are not
 * affected. */
static void
cancel_ends_one_reply_only(void **state)
{
	struct idbuf	 want = alone(2, 30, 40, 0.7), first = alone(1, 50, 40,
			    0.7);
	struct fixture	*x;
	int		 at, i;

	(void)state;
	for (at = 0; at < 45; at += 3) {
		x = fixture_new(64, 16);
		scheduler_add(x->sched, fixture_job(tok, 1, 50, 40, 0.7, NULL));
		scheduler_add(x->sched, fixture_job(tok, 2, 30, 40, 0.7, NULL));
		for (i = 0; i < at; i++)
			scheduler_step(x->sched);
		scheduler_cancel(x->sched, 1);
		scheduler_cancel(x->sched, 17);		/* there is no such
							 * job */
		assert_int_equal(x->rec[1].dones, 1);
		if (x->rec[1].ids.n < 40)
			assert_int_equal(x->rec[1].stop, STOP_CANCELLED);
		assert_int_equal(x->rec[1].made, x->rec[1].ids.n);
		if (x->rec[1].ids.n > 0)
			assert_memory_equal(x->rec[1].ids.id, first.id,
			    x->rec[1].ids.n * sizeof *first.id);
		assert_false(scheduler_has(x->sched, 1));
		fixture_finish(x);
		assert_int_equal(data_ids_differ("other", &x->rec[2].ids,
		    &want), 0);
		fixture_free(x);
	}
	idbuf_clear(&want);
	idbuf_clear(&first);
}

/* A paused reply generates no tokens, and later continues as if it had not been
 * paused. */
static void
pause_and_continue_change_nothing(void **state)
{
	struct idbuf	 want = alone(1, 50, 40, 0.7);
	struct fixture	*x = fixture_new(64, 16);
	size_t		 n;
	int		 i;

	(void)state;
	scheduler_add(x->sched, fixture_job(tok, 1, 50, 40, 0.7, NULL));
	scheduler_add(x->sched, fixture_job(tok, 2, 10, 60, 0.7, NULL));
	for (i = 0; i < 10; i++)
		scheduler_step(x->sched);
	scheduler_pause(x->sched, 1, 1);
	n = x->rec[1].ids.n;
	assert_true(n > 0 && n < 40);
	fixture_finish(x);
	assert_int_equal(x->rec[1].ids.n, n);
	assert_int_equal(x->rec[2].dones, 1);
	scheduler_pause(x->sched, 1, 0);
	fixture_finish(x);
	assert_int_equal(data_ids_differ("paused", &x->rec[1].ids, &want), 0);
	fixture_free(x);
	idbuf_clear(&want);
}

/* A paused job that waits lets others pass; all paused jobs can be ended. */
static void
paused_jobs_hold_nobody_up(void **state)
{
	struct fixture	*x = fixture_new(64, 16);

	(void)state;
	scheduler_add(x->sched, fixture_job(tok, 1, 5, 5, 0, NULL));
	scheduler_pause(x->sched, 1, 1);
	scheduler_add(x->sched, fixture_job(tok, 2, 5, 5, 0, NULL));
	fixture_finish(x);
	assert_int_equal(x->rec[1].started, 0);
	assert_int_equal(x->rec[2].dones, 1);
	scheduler_cancel_paused(x->sched);
	assert_int_equal(x->rec[1].dones, 1);
	assert_int_equal(x->rec[1].stop, STOP_CANCELLED);
	assert_int_equal(scheduler_step(x->sched), 0);
	fixture_free(x);
}

/* A reply that is interrupted at any token and rebuilt is the same. */
static void
resumed_replies_equal_undisturbed_ones(void **state)
{
	struct idbuf	 want = alone(3, 40, 30, 0.9), head;
	struct fixture	*x;
	size_t		 cut;

	(void)state;
	assert_int_equal(want.n, 30);
	for (cut = 0; cut <= want.n; cut++) {
		x = fixture_new(64, 16);
		head = (struct idbuf){ want.id, cut, cut };
		scheduler_add(x->sched, fixture_job(tok, 3, 40, 30,
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

/* Jobs are served in order of arrival. A job that needs more blocks than are
 * free delays later jobs of its group. */
static void
admission_is_in_order(void **state)
{
	struct fixture		*x = fixture_new(4, 64);
	struct scheduler_stats	 st;

	(void)state;
	/* These need 3, 2 and 1 blocks at first. */
	scheduler_add(x->sched, fixture_job(tok, 1, 65, 20, 0, NULL));
	scheduler_add(x->sched, fixture_job(tok, 2, 33, 32, 0, NULL));
	scheduler_add(x->sched, fixture_job(tok, 3, 3, 3, 0, NULL));
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
		want[i] = alone(i, 1 + i * 7, 150, i % 3 == 0 ? 0 : 0.8);
	for (round = 0; round < 8; round++) {
		x = fixture_new(8 + round * 2, 16 + round * 5);
		for (i = 0; i < 12; i++) {
			job = fixture_job(tok, i, 1 + i * 7, 150,
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

/* A paused reply does not hold blocks that a runnable job needs. */
static void
paused_replies_make_room(void **state)
{
	struct idbuf	 want = alone(1, 90, 100, 0.7);
	struct fixture	*x = fixture_new(8, 64);
	int		 i;

	(void)state;
	scheduler_add(x->sched, fixture_job(tok, 1, 90, 100, 0.7, NULL));
	for (i = 0; i < 50; i++)
		scheduler_step(x->sched);
	scheduler_pause(x->sched, 1, 1);
	scheduler_add(x->sched, fixture_job(tok, 2, 190, 60, 0.7, NULL));
	fixture_finish(x);
	assert_int_equal(x->rec[2].dones, 1);
	assert_int_equal(x->rec[1].dones, 0);
	scheduler_pause(x->sched, 1, 0);
	fixture_finish(x);
	assert_int_equal(x->rec[1].dones, 1);
	assert_int_equal(data_ids_differ("paused", &x->rec[1].ids, &want), 0);
	fixture_free(x);
	idbuf_clear(&want);
}

/* The queue has a limit. */
static void
a_full_queue_is_busy(void **state)
{
	struct fixture	*x = fixture_new(4, 64);
	int		 i;

	(void)state;
	for (i = 0; i < SCHEDULER_WAITING_MAX; i++)
		assert_int_equal(scheduler_add(x->sched, fixture_job(tok,
		    i % FIXTURE_JOBS, 1, 1, 0, NULL)), 0);
	assert_int_equal(scheduler_add(x->sched, fixture_job(tok, 1, 1, 1, 0,
	    NULL)), CHAT_EBUSY);
	fixture_free(x);
}

/* Logits with NaN end only the reply that they belong to. */
static void
a_numeric_error_ends_one_reply_only(void **state)
{
	struct idbuf	 want = alone(2, 30, 40, 0);
	struct fixture	*x = fixture_new(64, 16);
	struct job	*job;

	(void)state;
	x->fake->poison = 1;		/* fixture_token never gives 1 */
	job = fixture_job(tok, 1, 10, 40, 0, NULL);
	job->gen->tokens.id[4] = 1;
	scheduler_add(x->sched, job);
	scheduler_add(x->sched, fixture_job(tok, 2, 30, 40, 0, NULL));
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

/* A failed step is reported to the caller. */
static void
a_failed_step_is_an_error(void **state)
{
	struct fixture	*x = fixture_new(64, 16);

	(void)state;
	scheduler_add(x->sched, fixture_job(tok, 1, 5, 5, 0, NULL));
	x->fake->fail = CHAT_ESYSTEM;
	assert_int_equal(scheduler_step(x->sched), CHAT_ESYSTEM);
	fixture_free(x);
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
		scheduler_add(x->sched, fixture_job(tok, 1, 20, 30, 0, NULL));
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

/* Open the tokenizer once. */
static int
setup(void **state)
{
	(void)state;
	tok = data_tokenizer("neox-tiny");
	return (0);
}

/* And release it. */
static int
teardown(void **state)
{
	(void)state;
	tokenizer_free(tok);
	return (0);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(greedy_follows_the_backend),
		cmocka_unit_test(beginnings_are_shared_within_a_group_only),
		cmocka_unit_test(a_second_turn_computes_only_new_tokens),
		cmocka_unit_test(prompts_are_counted_whole),
		cmocka_unit_test(shared_beginnings_change_no_reply),
		cmocka_unit_test(replies_do_not_depend_on_who_shares_the_steps),
		cmocka_unit_test(prompts_do_not_hold_replies_up),
		cmocka_unit_test(steps_grow_by_and_by),
		cmocka_unit_test(cancel_ends_one_reply_only),
		cmocka_unit_test(pause_and_continue_change_nothing),
		cmocka_unit_test(paused_jobs_hold_nobody_up),
		cmocka_unit_test(resumed_replies_equal_undisturbed_ones),
		cmocka_unit_test(admission_is_in_order),
		cmocka_unit_test(replies_that_lose_their_place_are_the_same),
		cmocka_unit_test(paused_replies_make_room),
		cmocka_unit_test(a_full_queue_is_busy),
		cmocka_unit_test(a_numeric_error_ends_one_reply_only),
		cmocka_unit_test(a_failed_step_is_an_error),
		cmocka_unit_test(scores_do_not_depend_on_the_steps),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Equal replies, as a property. Jobs arrive, are paused, cancelled and
 * restarted at random, in the scheduler over the CPU backend, with random sizes
 * of cache and steps. Each reply must be equal to the reply of the same job
 * alone, with one row a step, one thread and plain C.
 */
#include "equal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine_data.h"
#include "sched_fixture.h"
#include "xmalloc.h"

#define JOBS		12	/* jobs of a case, at most */
#define PROMPT		150	/* tokens of a job, at most */
#define REPLY		40
#define CRASHES		3	/* crashes of the engine in a case */
#define WORK		30000L	/* multiplications for a token */

/* A job: its request, its result alone, and its result so far. */
struct task {
	int		 len, max;
	double		 temperature;	/* below 0: a score */
	int32_t		 id[PROMPT];
	struct idbuf	 want;		/* owned */
	char		*score;		/* owned: wanted result of a score */
	struct idbuf	 got;		/* owned */
	int		 there, over, cancelled;
};

/* A case. */
struct world {
	uint64_t		 state, seed;
	struct equal_model	 m;
	struct task		 task[JOBS];
	int			 n, crashes;
	struct backend		*b;
	struct fixture		*x;
	const char		*isa;
	int			 threads, blocks, batch;
};

/* The job of a task. */
static struct job *
task_job(const struct task *t, int number)
{
	struct idbuf	 prompt = { NULL, 0, 0 };
	struct job	*job;

	if (t->temperature < 0) {
		job = fixture_score(number, t->len);
		memcpy(job->score->ids.id, t->id, (size_t)t->len *
		    sizeof *t->id);
		return (job);
	}
	idbuf_append(&prompt, t->id, (size_t)t->len);
	job = fixture_reply(number, &prompt, t->max, t->temperature);
	assert_int_equal(generation_resume(job->gen, t->got.id, t->got.n,
	    FIXTURE_VOCAB, 0), 0);
	return (job);
}

/* Draw the tasks; many begin like an earlier one. */
static void
draw_tasks(struct world *w)
{
	static const double	 temperatures[] = { 0, 0.9, 0.9, 2, -1 };
	struct task		*t;
	int			 i, k, same;

	w->n = equal_draw(&w->state, 1, JOBS);
	for (i = 0; i < w->n; i++) {
		t = &w->task[i];
		t->len = equal_chance(&w->state, 3) ?
		    equal_draw(&w->state, 1, 12) :
		    equal_draw(&w->state, 13, PROMPT);
		t->max = equal_draw(&w->state, 1, REPLY);
		t->temperature = temperatures[neox_random(&w->state,
		    nitems(temperatures))];
		for (k = 0; k < t->len; k++)
			t->id[k] = equal_draw(&w->state, 1, FIXTURE_VOCAB - 1);
		if (i == 0 || equal_chance(&w->state, 3))
			continue;
		same = equal_draw(&w->state, 0, i - 1);
		k = w->task[same].len;
		if (equal_chance(&w->state, 3))
			k = equal_draw(&w->state, 1, k);
		memcpy(t->id, w->task[same].id, (size_t)(k < t->len ? k :
		    t->len) * sizeof *t->id);
	}
}

/* Compute the result of each task alone. */
static void
run_alone(struct world *w)
{
	struct backend	*b = neox_open(w->m.folder, w->m.precision, "scalar",
			    1);
	struct fixture	*x;
	int		 i;

	for (i = 0; i < w->n; i++) {
		x = fixture_over(b, 1);
		assert_int_equal(scheduler_add(x->sched,
		    task_job(&w->task[i], i)), 0);
		fixture_finish(x);
		assert_int_equal(x->rec[i].dones, 1);
		idbuf_append(&w->task[i].want, x->rec[i].ids.id,
		    x->rec[i].ids.n);
		if (x->rec[i].logprobs != NULL)
			w->task[i].score = xstrdup(x->rec[i].logprobs);
		fixture_free(x);
	}
	b->ops->free(b);
}

/* Start an engine of a random kind. */
static void
start(struct world *w)
{
	const int	 least = (PROMPT + REPLY + KV_BLOCK - 1) / KV_BLOCK;

	w->isa = equal_isa(&w->state);
	w->threads = equal_draw(&w->state, 1, 3);
	w->blocks = equal_draw(&w->state, least, 4 * least);
	w->batch = equal_draw(&w->state, 1, equal_chance(&w->state, 2) ? 8 :
	    200);
	w->b = neox_open_cache(w->m.folder, w->m.precision, w->isa,
	    w->threads, w->blocks * KV_BLOCK);
	w->x = fixture_over(w->b, w->batch);
}

/* The engine crashes: only the reported tokens of each job are kept. */
static void
crash(struct world *w)
{
	int	 i;

	for (i = 0; i < w->n; i++)
		w->task[i].there = 0;
	fixture_free(w->x);
	w->b->ops->free(w->b);
}

/* Report a task whose ids differ from those it has alone. */
static void
check_task(const struct world *w, int i)
{
	const struct task	*t = &w->task[i];
	const struct neox_spec	*m = &w->m.spec;
	const struct record	*rec = &w->x->rec[i];
	size_t			 k = 0;

	while (k < t->got.n && k < t->want.n && t->got.id[k] ==
	    t->want.id[k])
		k++;
	if (k < t->got.n || (t->over && !t->cancelled && k < t->want.n))
		fail_msg("seed %llu: L %d C %d H %d F %d, %s: %s, %d threads, "
		    "%d blocks, %d rows: job %d of %d, %d and %d tokens: "
		    "token %zu of %zu differs, %d crashes",
		    (unsigned long long)w->seed, m->L, m->C, m->H, m->F,
		    w->m.precision, w->isa, w->threads, w->blocks, w->batch,
		    i, w->n, t->len, t->max, k, t->want.n, w->crashes);
	if (t->over && t->score != NULL && !t->cancelled &&
	    strcmp(rec->logprobs, t->score) != 0)
		fail_msg("seed %llu: %s: %s: score %d is %s, alone %s",
		    (unsigned long long)w->seed, w->m.precision, w->isa, i,
		    rec->logprobs, t->score);
}

/* Handle the events of the scheduler. Return the number of tasks that are
 * left. */
static int
collect(struct world *w)
{
	struct record	*rec;
	struct task	*t;
	int		 i, left = 0;

	for (i = 0; i < w->n; i++) {
		rec = &w->x->rec[i];
		t = &w->task[i];
		if (!t->there)
			continue;
		idbuf_append(&t->got, rec->ids.id, rec->ids.n);
		rec->ids.n = 0;
		if (rec->dones + rec->failed > 0) {
			assert_true(t->cancelled || rec->dones == 1);
			t->over = 1;
		}
		check_task(w, i);
		if (t->over)
			t->there = 0;
	}
	for (i = 0; i < w->n; i++)
		left += !w->task[i].over;
	return (left);
}

/* A random event between two steps. */
static void
disturb(struct world *w)
{
	struct task	*t;
	int		 i;

	if (w->crashes < CRASHES && equal_chance(&w->state, 25)) {
		w->crashes++;
		crash(w);
		start(w);
	}
	for (i = 0; i < w->n; i++) {
		t = &w->task[i];
		if (!t->there && !t->over && equal_chance(&w->state, 4)) {
			t->there = 1;
			assert_int_equal(scheduler_add(w->x->sched,
			    task_job(t, i)), 0);
		}
		if (t->there && equal_chance(&w->state, 6))
			scheduler_pause(w->x->sched, i,
			    equal_chance(&w->state, 2));
		if (t->there && equal_chance(&w->state, 200)) {
			t->cancelled = 1;
			scheduler_cancel(w->x->sched, i);
		}
	}
}

/* One case. */
static void
one_case(uint64_t seed)
{
	struct world	*w = xcalloc(1, sizeof *w);
	int		 i, steps = 0;

	w->state = equal_state(seed);
	w->seed = seed;
	equal_model(&w->m, &w->state, FIXTURE_VOCAB, FIXTURE_CONTEXT, WORK);
	draw_tasks(w);
	run_alone(w);
	start(w);
	do {
		assert_true(++steps < 100000);
		disturb(w);
		assert_true(scheduler_step(w->x->sched) >= 0);
	} while (collect(w) > 0);
	crash(w);
	for (i = 0; i < w->n; i++) {
		idbuf_clear(&w->task[i].want);
		idbuf_clear(&w->task[i].got);
		free(w->task[i].score);
	}
	equal_model_clear(&w->m);
	free(w);
}

/* The test. */
static void
every_reply_is_the_one_it_is_alone(void **state)
{
	(void)state;
	equal_cases(40, one_case);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_reply_is_the_one_it_is_alone,
		    equal_teardown)
	};

	return (cmocka_run_group_tests(tests, data_setup_tiny,
	    data_teardown));
}

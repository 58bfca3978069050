/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scheduler for tests.
 */
#include "sched_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine_data.h"
#include "xmalloc.h"

/* A job was admitted. */
static void
on_started(void *arg, const struct job *job)
{
	((struct fixture *)arg)->rec[job->id].started++;
}

/* A job has new tokens. */
static void
on_text(void *arg, const struct job *job, const struct generation_news *news)
{
	struct record	*r = &((struct fixture *)arg)->rec[job->id];

	assert_int_equal(r->dones, 0);
	idbuf_append(&r->ids, news->ids, news->n);
}

/* A job is done. */
static void
on_done(void *arg, const struct job *job)
{
	struct record	*r = &((struct fixture *)arg)->rec[job->id];

	r->dones++;
	if (job->gen != NULL) {
		r->stop = job->gen->stop;
		r->made = generation_made(job->gen);
	} else
		r->logprobs = xstrndup(job->score->logprobs.s,
		    job->score->logprobs.n);
}

/* A job has failed. */
static void
on_failed(void *arg, const struct job *job, const struct fault *f)
{
	struct record	*r = &((struct fixture *)arg)->rec[job->id];

	r->failed++;
	snprintf(r->code, sizeof r->code, "%s", f->code);
}

static const struct scheduler_events events = { on_started, on_text, on_done,
	on_failed };

/* Make a scheduler over the fake backend. */
struct fixture *
fixture_new(int blocks, int batch)
{
	struct fixture	*x = xcalloc(1, sizeof *x);

	x->fake = fake_backend_new(FIXTURE_CONTEXT, FIXTURE_VOCAB, blocks);
	x->sched = scheduler_new(&x->fake->b, batch, &events, x);
	return (x);
}

/* A scheduler over a backend. */
struct fixture *
fixture_over(struct backend *b, int batch)
{
	struct fixture	*x = xcalloc(1, sizeof *x);

	x->sched = scheduler_new(b, batch, &events, x);
	return (x);
}

/* Release it: no row broke the contract, and no block is lost. */
void
fixture_free(struct fixture *x)
{
	struct scheduler_stats	 st;
	int			 i;

	scheduler_stats(x->sched, &st);
	if (st.running == 0)
		assert_int_equal(st.kv_blocks_free, st.kv_blocks);
	scheduler_free(x->sched);
	if (x->fake != NULL) {
		assert_int_equal(x->fake->errors, 0);
		x->fake->b.ops->free(&x->fake->b);
	}
	for (i = 0; i < FIXTURE_JOBS; i++) {
		idbuf_clear(&x->rec[i].ids);
		free(x->rec[i].logprobs);
	}
	free(x);
}

/* Token i of the prompt of job number id. */
int32_t
fixture_token(int id, int i)
{
	return ((id * 131 + i * 17 + i * i * id) % (FIXTURE_VOCAB - 2) + 2);
}

/* A reply job of any prompt. */
struct job *
fixture_reply(int id, struct idbuf *prompt, int max, double temperature)
{
	struct generation_options	 opt = { .max_tokens = max,
					    .ignore_eos = 1, .sampler = {
					    temperature, 40, 0.95, 1.1,
					    (uint64_t)id } };
	struct job			*job = xcalloc(1, sizeof *job);

	job->id = id;
	job->gen = generation_new(data_tok, &opt, prompt, FIXTURE_VOCAB, 0,
	    FIXTURE_CONTEXT);
	return (job);
}

/* A reply job: a prompt of len tokens, and the ids of an earlier run. */
struct job *
fixture_job(int id, int len, int max, double temperature,
    const struct idbuf *resume)
{
	struct idbuf	 prompt = { NULL, 0, 0 };
	struct job	*job;
	int		 i;

	for (i = 0; i < len; i++)
		idbuf_add(&prompt, fixture_token(id, i));
	job = fixture_reply(id, &prompt, max, temperature);
	if (resume != NULL)
		assert_int_equal(generation_resume(job->gen, resume->id,
		    resume->n, FIXTURE_VOCAB, 0), 0);
	return (job);
}

/* A score job. */
struct job *
fixture_score(int id, int len)
{
	struct idbuf	 ids = { NULL, 0, 0 };
	struct job	*job = xcalloc(1, sizeof *job);
	int		 i;

	for (i = 0; i < len; i++)
		idbuf_add(&ids, fixture_token(id, i));
	job->id = id;
	job->score = score_new(&ids, 0, SCORE_NONE, FIXTURE_VOCAB);
	return (job);
}

/* Step until nothing is left to do. */
void
fixture_finish(struct fixture *x)
{
	int	 r, guard = 0;

	while ((r = scheduler_step(x->sched)) > 0)
		assert_true(++guard < 100000);
	assert_int_equal(r, 0);
}

/* Run a job alone. */
struct idbuf
fixture_alone(int id, int len, int max, double temperature)
{
	struct fixture	*x = fixture_new(16, 64);
	struct idbuf	 ids;

	assert_int_equal(scheduler_add(x->sched, fixture_job(id, len, max,
	    temperature, NULL)), 0);
	fixture_finish(x);
	assert_int_equal(x->rec[id].dones, 1);
	ids = x->rec[id].ids;
	memset(&x->rec[id].ids, 0, sizeof ids);
	fixture_free(x);
	return (ids);
}

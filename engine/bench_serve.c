/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler's part of --bench.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "model.h"
#include "scheduler.h"
#include "xmalloc.h"

#define SERVE_REPLIES	8	/* replies that run at the same time */
#define SERVE_DELAYS	256	/* delays measured at a time */
#define SERVE_WARM	24	/* first tokens of each reply, not measured */
#define SERVE_SHORT	32	/* tokens of the prompt of each reply */
#define SERVE_PROMPTS	2	/* long prompts, one after the other */
#define SERVE_LONG	2000	/* tokens of a long prompt */
#define SERVE_CACHE	8192	/* tokens of cache, enough for all of this */
#define SERVE_FIRST	512	/* tokens of a prompt that runs alone */
#define SERVE_RUNS	5	/* of that prompt; the median counts */
#define SERVE_SLOW	3	/* seconds of that prompt, above which the
				 * rest is left out */

/* Seconds between tokens. */
struct serve_delays {
	double	*x;		/* owned */
	size_t	 n, size;
};

struct serve {
	struct scheduler	*sched;		/* owned */
	struct engine		*e;		/* borrowed */
	double			 last[SERVE_REPLIES];	/* time of the last
							 * token of each */
	size_t			 made[SERVE_REPLIES];	/* tokens */
	struct serve_delays	 alone, beside;
	struct serve_delays	*delays;	/* one of them */
	double			 first;		/* time of a prompt's first
						 * token; 0: not yet */
	unsigned		 seed;
};

/* A reply begins. */
static void
bench_serve_started(void *arg, const struct job *job)
{
	(void)arg;
	(void)job;
}

/* Keep a delay. */
static void
bench_serve_delay(struct serve_delays *d, double seconds)
{
	if (d->n == d->size) {
		d->size = d->size == 0 ? 1024 : d->size * 2;
		d->x = xreallocarray(d->x, d->size, sizeof *d->x);
	}
	d->x[d->n++] = seconds;
}

/* Tokens come, one at a time. */
static void
bench_serve_text(void *arg, const struct job *job,
    const struct generation_news *news)
{
	struct serve	*v = arg;
	double		 now = clock_seconds();

	if (news->n == 0)
		return;
	if (job->id >= SERVE_REPLIES) {
		if (v->first == 0)
			v->first = now;
		return;
	}
	if (++v->made[job->id] > SERVE_WARM)
		bench_serve_delay(v->delays, now - v->last[job->id]);
	v->last[job->id] = now;
}

/* A reply ends. */
static void
bench_serve_done(void *arg, const struct job *job)
{
	(void)arg;
	(void)job;
}

/* A reply fails, for example because logits are NaN: nothing can be
 * measured. */
static void
bench_serve_failed(void *arg, const struct job *job, const struct fault *f)
{
	(void)arg;
	(void)job;
	fprintf(stderr, "chatd-engine: --bench: %s\n", f->message);
	exit(1);
}

static const struct scheduler_events bench_serve_events = {
	.started = bench_serve_started,
	.text = bench_serve_text,
	.done = bench_serve_done,
	.failed = bench_serve_failed
};

/* Run one step. */
static void
bench_serve_step(struct serve *v)
{
	int	 r = scheduler_step(v->sched);

	if (r < 0) {
		fprintf(stderr, "chatd-engine: step: %s\n", chat_strerror(r));
		exit(1);
	}
}

/* Add a reply of max tokens to a new prompt of n tokens. */
static void
bench_serve_add(struct serve *v, int id, int n, int max)
{
	struct generation_options opt = { .max_tokens = max, .ignore_eos = 1 };
	struct idbuf	 prompt = { NULL, 0, 0 };
	struct job	*job = xcalloc(1, sizeof *job);
	int		 i;

	for (i = 0; i < n; i++) {
		v->seed = v->seed * 1103515245 + 12345;
		idbuf_add(&prompt, (int32_t)((v->seed >> 8) %
		    (unsigned)v->e->info.vocab));
	}
	job->id = id;
	opt.sampler = (struct sampler_params){ .penalty = 1 };
	job->gen = generation_new(v->e->tok, &opt, &prompt, v->e->info.vocab,
	    -1, (size_t)v->e->context);
	(void)scheduler_add(v->sched, job);
}

/* Run steps until the newest prompt has its first token. Returns the
 * seconds. */
static double
bench_serve_first(struct serve *v)
{
	double	 start = clock_seconds();

	v->first = 0;
	while (v->first == 0)
		bench_serve_step(v);
	return (v->first - start);
}

/* A quantile of the delays in seconds, for a share such as 0.99. */
static double
bench_serve_quantile(struct serve_delays *d, double share)
{
	qsort(d->x, d->n, sizeof *d->x, bench_compare);
	return (d->x[(size_t)(share * (double)(d->n - 1))]);
}

/* Measure the seconds to the first token of a prompt that runs alone. */
static double
bench_serve_alone(struct serve *v, json_t *out)
{
	const double	 start = clock_seconds();
	double		 x[SERVE_RUNS];
	int		 i;

	for (i = 0; i < SERVE_RUNS && bench_again(i, start); i++) {
		bench_serve_add(v, SERVE_REPLIES, SERVE_FIRST, 1);
		x[i] = bench_serve_first(v);
		while (scheduler_has(v->sched, SERVE_REPLIES))
			bench_serve_step(v);
	}
	qsort(x, (size_t)i, sizeof *x, bench_compare);
	bench_report(out, "first_token_512", 1e3 * x[i / 2], "ms",
	    "after a prompt of 512 tokens");
	return (x[i / 2]);
}

/* Run steps until SERVE_DELAYS more delays of replies alone are measured. */
static void
bench_serve_replies(struct serve *v)
{
	const size_t	 want = v->alone.n + SERVE_DELAYS;

	v->delays = &v->alone;
	while (v->alone.n < want && scheduler_has(v->sched, 0))
		bench_serve_step(v);
}

/* Measure the delays of replies without and with a prompt beside them, one
 * after the other, because the delay without a prompt grows with the length of
 * the replies. */
static void
bench_serve_beside(struct serve *v, int length, json_t *out)
{
	double	 sum = 0, alone, p99;
	char	 note[64];
	int	 i;

	for (i = 0; i < SERVE_REPLIES; i++)
		bench_serve_add(v, i, SERVE_SHORT, v->e->context);
	for (i = 0; i < SERVE_PROMPTS; i++) {
		bench_serve_replies(v);
		bench_serve_add(v, SERVE_REPLIES, length, 1);
		v->delays = &v->beside;
		sum += bench_serve_first(v);
	}
	bench_serve_replies(v);
	alone = bench_serve_quantile(&v->alone, 0.5);
	p99 = bench_serve_quantile(&v->beside, 0.99);
	bench_report(out, "delay_8", 1e3 * alone, "ms",
	    "between tokens of 8 replies, median");
	bench_report(out, "delay_8_p99", 1e3 * bench_serve_quantile(&v->alone,
	    0.99), "ms", "99th percentile");
	snprintf(note, sizeof note, "with a prompt of %d tokens beside them",
	    length);
	bench_report(out, "delay_8_prompt", 1e3 *
	    bench_serve_quantile(&v->beside, 0.5), "ms", note);
	snprintf(note, sizeof note, "99th percentile: %.2f times the delay "
	    "without", p99 / alone);
	bench_report(out, "delay_8_prompt_p99", 1e3 * p99, "ms", note);
	bench_report(out, "delay_8_prompt_ratio", p99 / alone, "", "");
	bench_report(out, "first_token_beside_8", 1e3 * sum / SERVE_PROMPTS,
	    "ms", "of that prompt");
}

/* Measure. */
void
bench_serve(struct engine *e, int rows, json_t *out)
{
	struct serve	 v = { .e = e, .seed = 1, .delays = &v.alone };
	int		 length = e->context - 8 < SERVE_LONG ?
			    e->context - 8 : SERVE_LONG;

	e->context = e->info.context;
	v.sched = scheduler_new(e->backend, rows, &bench_serve_events, &v);
	if (bench_serve_alone(&v, out) < SERVE_SLOW && e->info.kv_blocks >=
	    SERVE_CACHE / KV_BLOCK)
		bench_serve_beside(&v, length, out);
	else
		fprintf(stderr, "  (delays with prompts need a first token "
		    "within %d s and --kv-tokens %d)\n", SERVE_SLOW,
		    SERVE_CACHE);
	scheduler_free(v.sched);
	free(v.alone.x);
	free(v.beside.x);
}

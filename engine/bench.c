/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-engine --bench: how fast a model runs, compared with what its device
 * allows, measured in the same run.  A table goes to standard error, the same
 * as JSON to standard output.
 */
#include "bench.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json.h"
#include "model.h"
#include "xmalloc.h"

#define BENCH_RUNS	5	/* of each figure; the median counts */
#define BENCH_SECONDS	20	/* after these, no further run begins */
#define BENCH_BATCH	32	/* sequences at once, at most */
#define BENCH_STEPS	16	/* decoded tokens in one run */
#define BENCH_PROMPT	512	/* the shorter prompt */
#define BENCH_ROWS	256	/* in one step, without --batch-tokens */
#define BENCH_TOP_K	40	/* the default of top_k */

/* One sequence: its cache blocks, and its length so far. */
struct bench_seq {
	int32_t	*blocks;	/* owned */
	int	 pos;
};

struct bench {
	struct engine		*e;
	struct backend_row	*rows;		/* owned */
	float			*logits;	/* owned: [BENCH_BATCH][V] */
	struct backend_best	*best;		/* owned: [BENCH_BATCH] */
	struct bench_seq	 seq[BENCH_BATCH];
	struct backend_limits	 limits;
	json_t			*out;		/* owned */
};

/* Compare doubles. */
int
bench_compare(const void *a, const void *b)
{
	const double	*x = a, *y = b;

	return (*x < *y ? -1 : *x > *y);
}

/* The median of n numbers. */
static double
bench_median(double *x, int n)
{
	qsort(x, (size_t)n, sizeof *x, bench_compare);
	return (x[n / 2]);
}

/* Is there time for run number i? */
int
bench_again(int i, double start)
{
	return (i == 0 || (i < BENCH_RUNS &&
	    clock_seconds() - start < BENCH_SECONDS));
}

/* Report a figure in the table and in the JSON. */
void
bench_report(json_t *out, const char *key, double value, const char *unit,
    const char *note)
{
	fprintf(stderr, "  %-22s %10.4g %-9s %s\n", key, value, unit, note);
	msg_set_real(out, key, value);
}

/* Let a row bring what the next token of sequence i needs: the logits that the
 * default of top_k keeps, or all if the backend can't find these. */
static void
bench_want(struct bench *b, struct backend_row *row, int i)
{
	const struct backend_info *info = &b->e->info;

	if (info->best_max >= BENCH_TOP_K && info->vocab >= BENCH_TOP_K) {
		b->best[i].k = BENCH_TOP_K;
		row->best = &b->best[i];
	} else
		row->logits = b->logits + (size_t)i * (size_t)info->vocab;
}

/* Run T rows of sequence s or, if T is 0, one row of each of n sequences.
 * Returns the seconds. */
static double
bench_step(struct bench *b, int T, int n)
{
	struct backend	*be = b->e->backend;
	struct bench_seq *s;
	double		 start;
	int		 i, rows = T > 0 ? T : n, r;

	for (i = 0; i < rows; i++) {
		s = &b->seq[T > 0 ? 0 : i];
		b->rows[i] = (struct backend_row){ .token = (i * 7919 +
		    s->pos * 104729) % b->e->info.vocab, .pos = s->pos++,
		    .blocks = s->blocks };
		if (T == 0 || i == rows - 1)
			bench_want(b, &b->rows[i], T > 0 ? 0 : i);
	}
	start = clock_seconds();
	if ((r = be->ops->step(be, b->rows, rows)) != 0) {
		fprintf(stderr, "chatd-engine: step: %s\n", chat_strerror(r));
		exit(1);
	}
	return (clock_seconds() - start);
}

/* The number of rows of a prompt in one step. */
static int
bench_rows(const struct bench *b)
{
	return (b->e->opt.batch_tokens > 0 ? (int)b->e->opt.batch_tokens :
	    BENCH_ROWS);
}

/* Make all sequences empty: each run starts like that. */
static void
bench_rewind(struct bench *b, int pos)
{
	int	 i;

	for (i = 0; i < BENCH_BATCH; i++)
		b->seq[i].pos = pos;
}

/* Run a prompt of n tokens in steps of at most rows rows. Returns the
 * seconds. */
static double
bench_prompt_once(struct bench *b, int n, int rows)
{
	double	 sum = 0;
	int	 left;

	bench_rewind(b, 0);
	for (left = n; left > 0; left -= rows)
		sum += bench_step(b, left < rows ? left : rows, 1);
	return (sum);
}

/* Measure the tokens per second of a prompt of n tokens. */
static void
bench_prompt(struct bench *b, int n)
{
	const struct model_config *c = model_config(b->e->model);
	const double	 C = c->channels, F = c->inner;
	const double	 start = clock_seconds();
	double		 x[BENCH_RUNS], rate, work;
	char		 key[32], note[64];
	int		 i;

	for (i = 0; bench_again(i, start); i++)
		x[i] = n / bench_prompt_once(b, n, bench_rows(b));
	rate = bench_median(x, i);
	/* two operations for each weight of the layers, and for each lane of
	 * scores and values; on average a row sees half of the positions */
	work = 2.0 * c->layers * (4 * C * C + 2 * C * F + C * (n + 1));
	work /= b->limits.peak;
	snprintf(note, sizeof note, "%.0f %% of the %s peak",
	    100 * rate * work, b->limits.peak_name);
	snprintf(key, sizeof key, "prefill_%d", n);
	bench_report(b->out, key, rate, "tokens/s", note);
	snprintf(key, sizeof key, "prefill_%d_share", n);
	msg_set_real(b->out, key, rate * work);
}

/* Measure the tokens per second of n sequences together, each after pos
 * positions. If other programs use the machine, the bandwidth varies, so it is
 * measured before and after each run. */
static void
bench_decode(struct bench *b, int n, int pos)
{
	struct backend	*be = b->e->backend;
	const double	 start = clock_seconds();
	double		 x[BENCH_RUNS], share[BENCH_RUNS], rate, sum, read;
	char		 key[40], note[64];
	int		 i, s;

	for (i = 0; bench_again(i, start); i++) {
		bench_rewind(b, pos);
		read = be->ops->read_rate(be);
		for (sum = 0, s = 0; s < BENCH_STEPS; s++)
			sum += bench_step(b, 0, n);
		read = (read + be->ops->read_rate(be)) / 2;
		x[i] = n * BENCH_STEPS / sum;
		share[i] = BENCH_STEPS / sum * (double)b->limits.touched /
		    read;
	}
	rate = bench_median(x, i);
	sum = bench_median(share, i);
	snprintf(note, sizeof note, "%.0f %% of the read bandwidth",
	    100 * sum);
	snprintf(key, sizeof key, "decode_%d", n);
	if (pos > BENCH_PROMPT)
		snprintf(key, sizeof key, "decode_%d_at_%d", n, pos);
	bench_report(b->out, key, rate, "tokens/s", note);
	snprintf(key + strlen(key), sizeof key - strlen(key), "_share");
	msg_set_real(b->out, key, sum);
}

/* Measure the limits of the device. */
static void
bench_limits(struct bench *b)
{
	const struct backend_figure	*x;
	int				 i;

	b->e->backend->ops->limits(b->e->backend, &b->limits);
	for (i = 0; i < b->limits.nfigures; i++) {
		x = &b->limits.figures[i];
		bench_report(b->out, x->key, x->value, x->unit, x->note);
	}
}

/* Allocate rows, logits and blocks for all measurements. */
static void
bench_room(struct bench *b)
{
	const struct backend_info *info = &b->e->info;
	int	 blocks = info->kv_blocks / BENCH_BATCH, s, i;
	int	 whole = info->context / KV_BLOCK;

	b->rows = xcalloc((size_t)bench_rows(b) + BENCH_BATCH,
	    sizeof *b->rows);
	b->logits = xcalloc((size_t)info->vocab * BENCH_BATCH,
	    sizeof *b->logits);
	b->best = xcalloc(BENCH_BATCH, sizeof *b->best);
	/* The first sequence may grow to the whole context: its later blocks
	 * belong to other sequences, which do not run then. */
	for (s = 0; s < BENCH_BATCH; s++) {
		b->seq[s].blocks = xcalloc((size_t)whole + 1,
		    sizeof(int32_t));
		for (i = 0; i < whole; i++)
			b->seq[s].blocks[i] = (s * blocks + i) %
			    info->kv_blocks;
	}
}

/* Measure everything. */
int
bench_run(struct engine *e)
{
	struct bench		 b = { .e = e, .out = json_object() };
	struct rusage		 ru;
	char			*line;
	size_t			 n;
	int			 s;

	if (e->backend->ops->limits == NULL ||
	    e->info.context < BENCH_PROMPT) {
		fprintf(stderr, "chatd-engine: --bench: expected a device that "
		    "can be measured and a model for at least %d tokens, "
		    "found %s and %d\n", BENCH_PROMPT, e->info.device,
		    e->info.context);
		json_decref(b.out);
		return (1);
	}
	e->opt.batch_tokens = load_options(e).rows;
	bench_room(&b);
	fprintf(stderr, "%s in %s, %s, %d threads, keys and values in %s\n",
	    model_name(e->model), e->info.precision, e->info.isa,
	    e->info.threads, e->info.kv_precision);
	msg_set_string(b.out, "model", model_name(e->model));
	msg_set_string(b.out, "precision", e->info.precision);
	msg_set_string(b.out, "kv_precision", e->info.kv_precision);
	msg_set_string(b.out, "isa", e->info.isa);
	msg_set_int(b.out, "threads", e->info.threads);
	bench_limits(&b);
	bench_prompt(&b, BENCH_PROMPT);
	if (e->info.context >= 2048)
		bench_prompt(&b, 2048);
	bench_decode(&b, 1, 64);
	bench_decode(&b, 8, 64);
	bench_decode(&b, BENCH_BATCH, 64);
	if (e->info.context >= 2048)
		bench_decode(&b, 1, 2048 - BENCH_STEPS);
	bench_serve(e, bench_rows(&b), b.out);
	getrusage(RUSAGE_SELF, &ru);
	bench_report(b.out, "peak_memory", (double)ru.ru_maxrss / 1024, "MiB",
	    "");
	line = msg_line(b.out, &n);
	fputs(line, stdout);
	free(line);
	for (s = 0; s < BENCH_BATCH; s++)
		free(b.seq[s].blocks);
	free(b.rows);
	free(b.logits);
	free(b.best);
	json_decref(b.out);
	return (0);
}

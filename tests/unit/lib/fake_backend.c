/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backend of the scheduler's tests.
 */
#include "fake_backend.h"

#include <math.h>
#include <stdlib.h>

#include "best.h"
#include "xmalloc.h"

/* Mix the bits of x (splitmix64's finaliser). */
static uint64_t
fake_mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
	x = (x ^ x >> 27) * 0x94d049bb133111ebU;
	return (x ^ x >> 31);
}

/* The logit of token v after history h, -8 to 8. */
static float
fake_logit(uint64_t h, int v)
{
	return ((float)(fake_mix(h + (uint64_t)v * 0x9e3779b97f4a7c15U) >>
	    40) / 0x1p20f - 8);
}

/* Hash the tokens that a row can see. *bad is 1 if one of them is the poison. A
 * position that was never written counts as an error. */
static uint64_t
fake_history(struct fake_backend *f, const struct backend_row *row, int *bad)
{
	uint64_t	 h = 1;
	int32_t		 p, token;

	*bad = 0;
	for (p = 0; p <= row->pos; p++) {
		token = f->cell[row->blocks[p / KV_BLOCK] * KV_BLOCK +
		    p % KV_BLOCK];
		if (token == -1)
			f->errors++;
		if (f->poison >= 0 && token == f->poison)
			*bad = 1;
		h = fake_mix(h * 31 + (uint64_t)token + 1);
	}
	return (h);
}

/* Give a row its logits, or the largest of them. */
static void
fake_results(struct fake_backend *f, const struct backend_row *row)
{
	float		*logits = row->logits;
	uint64_t	 h;
	int		 v, bad;

	if (row->best != NULL)
		logits = xcalloc((size_t)f->vocab, sizeof *logits);
	h = fake_history(f, row, &bad);
	for (v = 0; v < f->vocab; v++)
		logits[v] = bad ? NAN : fake_logit(h, v);
	if (row->best == NULL)
		return;
	best_find(row->best, logits, f->vocab);
	f->bests++;
	free(logits);
}

/* Run one step. */
static int
fake_step(struct backend *b, const struct backend_row *rows, int T)
{
	struct fake_backend	*f = (struct fake_backend *)b;
	struct backend_info	 info;
	int			 i, wants = 0;

	if (f->fail != 0)
		return (f->fail);
	b->ops->info(b, &info);
	if (backend_rows_check(&info, rows, T) != 0)
		return (CHAT_ESHAPE);
	f->steps++;
	if (T > f->rows_max)
		f->rows_max = T;
	for (i = 0; i < T; i++) {
		f->cell[rows[i].blocks[rows[i].pos / KV_BLOCK] * KV_BLOCK +
		    rows[i].pos % KV_BLOCK] = rows[i].token;
	}
	for (i = 0; i < T; i++) {
		if (rows[i].logits == NULL && rows[i].best == NULL)
			continue;
		wants++;
		fake_results(f, &rows[i]);
	}
	if (wants > 1)
		f->mixed_steps++;
	return (0);
}

/* Describe it. */
static void
fake_info(const struct backend *b, struct backend_info *out)
{
	const struct fake_backend	*f = (const struct fake_backend *)b;

	*out = (struct backend_info){ .context = f->context,
	    .vocab = f->vocab, .layers = 1, .parameters = 1,
	    .kv_blocks = f->blocks, .threads = 1, .device = "none",
	    .isa = "", .precision = "fp32", .best_max = f->best_max };
}

/* Release it. */
static void
fake_free(struct backend *b)
{
	struct fake_backend	*f = (struct fake_backend *)b;

	free(f->cell);
	free(f);
}

static const struct backend_ops fake_ops = {
	.step = fake_step,
	.info = fake_info,
	.free = fake_free
};

/* Make one. */
struct fake_backend *
fake_backend_new(int context, int vocab, int blocks)
{
	struct fake_backend	*f;
	int			 i;

	f = xcalloc(1, sizeof *f);
	f->b.ops = &fake_ops;
	f->context = context;
	f->vocab = vocab;
	f->blocks = blocks;
	f->poison = -1;
	f->cell = xcalloc((size_t)blocks * KV_BLOCK, sizeof *f->cell);
	for (i = 0; i < blocks * KV_BLOCK; i++)
		f->cell[i] = -1;
	return (f);
}

/* Compute the next token without a cache. */
int32_t
fake_backend_next(const struct fake_backend *f, const int32_t *id, size_t n)
{
	uint64_t	 h = 1;
	size_t		 i;
	int		 v, best = 0;

	for (i = 0; i < n; i++)
		h = fake_mix(h * 31 + (uint64_t)id[i] + 1);
	for (v = 1; v < f->vocab; v++) {
		if (fake_logit(h, v) > fake_logit(h, best))
			best = v;
	}
	return (best);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arrays of a step: activations of all its rows, kept from step to step
 * and replaced by larger ones if a step has more rows.
 */
#include "cpu.h"

#include <stdlib.h>
#include <string.h>

/* Release one array. */
static void
rows_clear_acts(struct acts *a)
{
	free(a->f);
	free(a->b16);
}

/* Release rows of int8. */
static void
rows_clear_quantized(struct qrows *q)
{
	free(q->q);
	free(q->sums);
	free(q->total);
	free(q->scale);
	free(q->outlier);
	free(q->noutliers);
}

/* Release all arrays. */
void
rows_clear(struct cpu_rows *r)
{
	rows_clear_acts(&r->x);
	rows_clear_acts(&r->a);
	rows_clear_acts(&r->b);
	rows_clear_acts(&r->qkv);
	rows_clear_acts(&r->mix);
	rows_clear_acts(&r->sum);
	rows_clear_acts(&r->up);
	rows_clear_quantized(&r->qa);
	rows_clear_quantized(&r->qb);
	free(r->logits);
	free(r->run);
	memset(r, 0, sizeof *r);
}

/* Allocate T rows of n floats, all 0. Returns 0 if there is no memory, else
 * 1. */
static int
rows_init(struct acts *a, int T, int n)
{
	size_t	 size;
	void	*p;

	a->n = n;
	a->ld = ROUND_UP((size_t)n, PANEL);
	/* An odd number of cache lines, so that rows do not compete for the
	 * same lines of the cache. */
	a->ld16 = (ROUND_UP((size_t)n, 32) / 32 | 1) * 32;
	size = (size_t)T * a->ld * sizeof(float);
	if (posix_memalign(&p, 64, size) != 0)
		return (0);
	a->f = memset(p, 0, size);
	return (1);
}

/* The same for the bf16 form, all -0 (see struct matmul). */
static int
rows_init16(struct acts *a, int T)
{
	size_t	 i, count = (size_t)T * a->ld16;
	void	*p;

	if (posix_memalign(&p, 64, count * sizeof *a->b16) != 0)
		return (0);
	a->b16 = p;
	for (i = 0; i < count; i++)
		a->b16[i] = 0x8000;
	return (1);
}

/* The same for T rows of K numbers in int8. */
static int
rows_init_quantized(struct qrows *q, int T, int K)
{
	const size_t	 n = (size_t)T;
	void		*p;

	q->ld = (ROUND_UP((size_t)K, 64) / 64 | 1) * 64;
	q->q = posix_memalign(&p, 64, n * q->ld) == 0 ? p : NULL;
	q->sums = calloc(n * (q->ld / GROUP), sizeof *q->sums);
	q->total = calloc(n, sizeof *q->total);
	q->scale = calloc(n, sizeof *q->scale);
	q->outlier = calloc(n * q->ld, sizeof *q->outlier);
	q->noutliers = calloc(n, sizeof *q->noutliers);
	return (q->q != NULL && q->sums != NULL && q->total != NULL &&
	    q->scale != NULL && q->outlier != NULL && q->noutliers != NULL);
}

/* Allocate the forms of a, b, mix and up that products read. */
static int
rows_init_forms(const struct cpu *c, struct cpu_rows *r, int T)
{
	const int	 C = c->config.channels, F = c->config.inner;
	int		 done = 1;

	if (c->quantized) {
		done = rows_init_quantized(&r->qa, T, C) &&
		    rows_init_quantized(&r->qb, T, C > F ? C : F);
		r->a.q = r->mix.q = &r->qa;
		r->b.q = r->up.q = &r->qb;
	}
	if (c->layout.precision == PREC_BF16 && c->kernels->rows16 > 0)
		done = done && rows_init16(&r->a, T) &&
		    rows_init16(&r->b, T) && rows_init16(&r->mix, T) &&
		    rows_init16(&r->up, T);
	return (done);
}

/* Allocate arrays for T rows; the old contents are lost. */
int
rows_grow(struct cpu *c, int T)
{
	const int	 C = c->config.channels, F = c->config.inner;
	struct cpu_rows	*r = &c->rows;

	if (T <= r->size)
		return (0);
	rows_clear(r);
	r->logits = calloc((size_t)T, sizeof *r->logits);
	r->run = calloc((size_t)T + 1, sizeof *r->run);
	if (r->logits == NULL || r->run == NULL ||
	    !rows_init(&r->x, T, C) || !rows_init(&r->a, T, C) ||
	    !rows_init(&r->b, T, C) || !rows_init(&r->qkv, T, 3 * C) ||
	    !rows_init(&r->mix, T, C) || !rows_init(&r->sum, T, C) ||
	    !rows_init(&r->up, T, F) || !rows_init_forms(c, r, T)) {
		rows_clear(r);
		return (CHAT_ENOMEM);
	}
	r->size = T;
	return (0);
}

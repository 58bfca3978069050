/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arrays of a step: activations of all its rows, kept from step to step
 * and grown where one has more rows.
 */
#include "cpu.h"

#include <stdlib.h>
#include <string.h>

/* Floats from row to row of n numbers. */
size_t
rows_stride(int n)
{
	return (ROUND_UP((size_t)n, PANEL));
}

/* The same in bf16: an odd number of cache lines, so that rows below each
 * other don't take each other's place in the cache. So are rows of int8. */
size_t
rows_stride16(int n)
{
	return ((ROUND_UP((size_t)n, 32) / 32 | 1) * 32);
}

/* Release rows of int8. */
static void
rows_clear_small(struct qrows *q)
{
	free(q->q);
	free(q->sums);
	free(q->total);
	free(q->scale);
	free(q->apart);
	free(q->napart);
}

/* Release the arrays. */
void
rows_clear(struct cpu_rows *r)
{
	free(r->x);
	free(r->a);
	free(r->b);
	free(r->qkv);
	free(r->mix);
	free(r->sum);
	free(r->up);
	free(r->logits);
	free(r->run);
	free(r->a16);
	free(r->b16);
	free(r->mix16);
	free(r->up16);
	rows_clear_small(&r->qa);
	rows_clear_small(&r->qb);
	memset(r, 0, sizeof *r);
}

/* Zeroed memory for T rows of n floats. */
static float *
rows_alloc(int T, int n)
{
	size_t	 size = (size_t)T * rows_stride(n) * sizeof(float);
	void	*p;

	if (posix_memalign(&p, 64, size) != 0)
		return (NULL);
	return (memset(p, 0, size));
}

/* Memory for T rows of n numbers of bf16, all -0. */
static uint16_t *
rows_alloc16(int T, int n)
{
	size_t	 i, count = (size_t)T * rows_stride16(n);
	void	*p;

	if (posix_memalign(&p, 64, count * sizeof(uint16_t)) != 0)
		return (NULL);
	for (i = 0; i < count; i++)
		((uint16_t *)p)[i] = 0x8000;
	return (p);
}

/* Room for T rows of K in int8. 0 where there is none. */
static int
rows_grow_small(struct qrows *q, int T, int K)
{
	const size_t	 n = (size_t)T;
	void		*p;

	q->ld = (ROUND_UP((size_t)K, 64) / 64 | 1) * 64;
	q->q = posix_memalign(&p, 64, n * q->ld) == 0 ? p : NULL;
	q->sums = calloc(n * (q->ld / GROUP), sizeof *q->sums);
	q->total = calloc(n, sizeof *q->total);
	q->scale = calloc(n, sizeof *q->scale);
	q->apart = calloc(n * q->ld, sizeof *q->apart);
	q->napart = calloc(n, sizeof *q->napart);
	return (q->q != NULL && q->sums != NULL && q->total != NULL &&
	    q->scale != NULL && q->apart != NULL && q->napart != NULL);
}

/* Room for T rows in bf16. 0 where there is none. */
static int
rows_grow16(struct cpu_rows *r, int T, int C, int F)
{
	r->a16 = rows_alloc16(T, C);
	r->b16 = rows_alloc16(T, C);
	r->mix16 = rows_alloc16(T, C);
	r->up16 = rows_alloc16(T, F);
	return (r->a16 != NULL && r->b16 != NULL && r->mix16 != NULL &&
	    r->up16 != NULL);
}

/* Room for T rows; what was there is of no more use. */
int
rows_grow(struct cpu *c, int T)
{
	const int	 C = c->config.channels, F = c->config.inner;
	struct cpu_rows	*r = &c->rows;
	int		 there;

	if (T <= r->size)
		return (0);
	rows_clear(r);
	r->x = rows_alloc(T, C);
	r->a = rows_alloc(T, C);
	r->b = rows_alloc(T, C);
	r->qkv = rows_alloc(T, 3 * C);
	r->mix = rows_alloc(T, C);
	r->sum = rows_alloc(T, C);
	r->up = rows_alloc(T, F);
	r->logits = calloc((size_t)T, sizeof *r->logits);
	r->run = calloc((size_t)T + 1, sizeof *r->run);
	there = r->x != NULL && r->a != NULL && r->b != NULL &&
	    r->qkv != NULL && r->mix != NULL && r->sum != NULL &&
	    r->up != NULL && r->logits != NULL && r->run != NULL;
	if (c->small)
		there = there && rows_grow_small(&r->qa, T, C) &&
		    rows_grow_small(&r->qb, T, C > F ? C : F);
	if (c->layout.precision == PREC_BF16 && c->kernels->rows16 > 0)
		there = there && rows_grow16(r, T, C, F);
	if (!there) {
		rows_clear(r);
		return (CHAT_ENOMEM);
	}
	r->size = T;
	return (0);
}

/* The same rows in bf16. */
uint16_t *
rows_narrow(const struct cpu_rows *r, const float *x)
{
	return (x == r->a ? r->a16 : x == r->b ? r->b16 : x == r->mix ?
	    r->mix16 : r->up16);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moments of AdamW in 8 bits.
 */
#include "optim8.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "xmalloc.h"

#define OPTIM8_CODES	256
#define OPTIM8_POWERS	7

struct optim8 {
	size_t	 n;
	uint8_t	*code;			/* owned: [n] */
	float	*most;			/* owned: one per block */
	float	 value[OPTIM8_CODES];	/* in order */
	float	 half[OPTIM8_CODES];	/* half[i]: between i - 1 and i */
};

/* Order floats. */
static int
optim8_order(const void *a, const void *b)
{
	float	 x = *(const float *)a, y = *(const float *)b;

	return ((x > y) - (x < y));
}

/* Fill the table. Power i has 2^i fractions with a sign, twice that without:
 * the middles of equal parts of 0.1 to 1. */
static void
optim8_table(struct optim8 *q, int sign)
{
	int	 i, k, parts, n = 0;
	double	 x;

	for (i = 0; i < OPTIM8_POWERS; i++) {
		parts = 1 << (sign ? i : i + 1);
		for (k = 0; k < parts; k++) {
			x = (0.1 + 0.9 * (k + 0.5) / parts) *
			    pow(10, i - OPTIM8_POWERS + 1);
			q->value[n++] = (float)x;
			if (sign)
				q->value[n++] = (float)-x;
		}
	}
	q->value[n++] = 0;
	q->value[n++] = 1;
	qsort(q->value, OPTIM8_CODES, sizeof *q->value, optim8_order);
	for (i = 1; i < OPTIM8_CODES; i++)
		q->half[i] = (q->value[i - 1] + q->value[i]) / 2;
}

/* The nearest value. */
static uint8_t
optim8_code(const struct optim8 *q, float x)
{
	int	 low = 0, high = OPTIM8_CODES - 1, mid;

	while (low < high) {
		mid = (low + high + 1) / 2;
		if (x >= q->half[mid])
			low = mid;
		else
			high = mid - 1;
	}
	return ((uint8_t)low);
}

/* n zeros. */
struct optim8 *
optim8_new(size_t n, int sign)
{
	struct optim8	*q = xcalloc(1, sizeof *q);
	size_t		 i;

	q->n = n;
	q->code = xcalloc(n, 1);
	q->most = xcalloc(n / OPTIM8_BLOCK + 1, sizeof *q->most);
	optim8_table(q, sign);
	for (i = 0; i < n; i++)
		q->code[i] = optim8_code(q, 0);
	return (q);
}

/* Release it. */
void
optim8_free(struct optim8 *q)
{
	if (q == NULL)
		return;
	free(q->code);
	free(q->most);
	free(q);
}

/* Quantize a block. */
void
optim8_pack(struct optim8 *q, size_t at, const float *x, size_t n)
{
	float	 most = 0, f;
	size_t	 i;

	for (i = 0; i < n; i++)
		most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
	q->most[at / OPTIM8_BLOCK] = most;
	f = most > 0 ? 1 / most : 0;
	for (i = 0; i < n; i++)
		q->code[at + i] = optim8_code(q, x[i] * f);
}

/* And back. */
void
optim8_unpack(const struct optim8 *q, size_t at, float *x, size_t n)
{
	float	 most = q->most[at / OPTIM8_BLOCK];
	size_t	 i;

	for (i = 0; i < n; i++)
		x[i] = q->value[q->code[at + i]] * most;
}

/* A step. */
void
optim8_adam(struct optim8 *m, struct optim8 *v, const struct mat_kind *kind,
    float *param, const float *grad, size_t at, size_t n, const float *hyper)
{
	float	 bm[OPTIM8_BLOCK], bv[OPTIM8_BLOCK];
	size_t	 end = at + n, k;

	for (; at < end; at += k) {
		k = OPTIM8_BLOCK - at % OPTIM8_BLOCK;
		if (k > end - at)
			k = end - at;
		optim8_unpack(m, at, bm, k);
		optim8_unpack(v, at, bv, k);
		kind->adam_row(param + at, bm, bv, grad + at, (int)k, hyper);
		optim8_pack(m, at, bm, k);
		optim8_pack(v, at, bv, k);
	}
}

/* Write. */
int
optim8_write(const struct optim8 *q, FILE *f)
{
	size_t	 blocks = q->n / OPTIM8_BLOCK + 1;

	return (fwrite(q->code, 1, q->n, f) == q->n &&
	    fwrite(q->most, sizeof *q->most, blocks, f) == blocks ? 0 : -1);
}

/* Read. */
int
optim8_read(struct optim8 *q, FILE *f)
{
	size_t	 blocks = q->n / OPTIM8_BLOCK + 1;

	return (fread(q->code, 1, q->n, f) == q->n &&
	    fread(q->most, sizeof *q->most, blocks, f) == blocks ? 0 : -1);
}

/* Bytes. */
size_t
optim8_bytes(const struct optim8 *q)
{
	return (q->n + (q->n / OPTIM8_BLOCK + 1) * sizeof *q->most);
}

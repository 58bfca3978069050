/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fills the pieces of a layout.  Each piece is cut into blocks, and each block
 * has its own random generator, so the weights do not depend on the threads.
 */
#include "weights_random.h"

#include <string.h>

#include "dtype.h"

#define RANDOM_BLOCK	((size_t)1 << 20)	/* bytes of one piece of work */
#define RANDOM_SPREAD	0.035f	/* largest |w|: a deviation of 0.02 */

struct random_work {
	const struct piece	*piece;
	uint8_t			*at;
	uint64_t		 seed;
};

/* The next 64 bits: SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t
weights_random_next(uint64_t *state)
{
	uint64_t	 z = *state += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return (z ^ z >> 31);
}

/* A float from 16 random bits. */
static float
weights_random_float(uint64_t bits)
{
	return (((float)(bits & 0xffff) - 32767.5f) * (RANDOM_SPREAD /
	    32768));
}

/* Draw n bytes of a matrix. */
static void
weights_random_numbers(enum elem elem, uint8_t *at, size_t n, uint64_t state)
{
	float		*s = (float *)(void *)at;
	uint16_t	*h = (uint16_t *)(void *)at;
	uint64_t	 r;
	size_t		 i, j;

	switch (elem) {
	case ELEM_F32:
		for (i = 0; i < n / 4; i++)
			s[i] = weights_random_float(
			    weights_random_next(&state));
		break;
	case ELEM_BF16:
		for (i = 0; i < n / 2; i += 4)
			for (r = weights_random_next(&state), j = 0; j < 4; j++)
				h[i + j] = dtype_bf16(weights_random_float(r >>
				    16 * j));
		break;
	case ELEM_I8:
	case ELEM_I4:
		for (i = 0; i < n; i += 8) {
			r = weights_random_next(&state);
			memcpy(at + i, &r, 8);
		}
		break;
	case ELEM_Q8:
		break;		/* in the KV cache only */
	}
}

/* Set n bytes of scales, gains or biases: all elements have the same value. */
static void
weights_random_constant(const struct piece *p, uint8_t *at, size_t n)
{
	float		 scale = RANDOM_SPREAD / 127;
	uint16_t	 half = dtype_f16(RANDOM_SPREAD / 8);
	size_t		 i;

	if (!p->scales)
		scale = p->part == TENSOR_NORM1 || p->part == TENSOR_NORM2 ||
		    p->part == TENSOR_NORM ? 1 : 0;
	if (p->scales && p->elem == ELEM_I4)
		for (i = 0; i < n; i += 2)
			memcpy(at + i, &half, 2);
	else
		for (i = 0; i < n; i += 4)
			memcpy(at + i, &scale, 4);
}

/* Fill one block of a piece. */
static void
weights_random_piece(void *arg, int item, int thread)
{
	const struct random_work *w = arg;
	size_t			 off = (size_t)item * RANDOM_BLOCK;
	size_t			 n = w->piece->size - off;

	(void)thread;
	n = n < RANDOM_BLOCK ? n : RANDOM_BLOCK;
	if (w->piece->scales || w->piece->dims == 1)
		weights_random_constant(w->piece, w->at + off, n);
	else
		weights_random_numbers(w->piece->elem, w->at + off, n, w->seed +
		    (w->piece->whole + off) * 0x9e3779b97f4a7c15U);
}

/* Fill everything. */
void
weights_random_fill(const struct layout *l, void *base, uint64_t seed,
    struct pool *pool)
{
	struct random_work	 w = { .seed = seed };
	size_t			 i;

	for (i = 0; i < l->n; i++) {
		w.piece = &l->pieces[i];
		w.at = (uint8_t *)base + w.piece->at;
		pool_run(pool, (int)((w.piece->size + RANDOM_BLOCK - 1) /
		    RANDOM_BLOCK), weights_random_piece, &w);
	}
}

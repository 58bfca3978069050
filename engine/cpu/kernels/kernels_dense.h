/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of kernels_body.h: products with weights in fp32 and bf16, in
 * register tiles of rows and panels, and the end of a finished sum (bias, GELU,
 * residual).
 */
#ifndef CPU_KERNELS_DENSE_H
#define CPU_KERNELS_DENSE_H

#define BLOCK_PAIRS	16	/* a block of 32 k, in pairs */
#define MM_PAIRS	256	/* pairs of k in a pass: 16 KiB of bf16 */

/* One pair of k of a panel. */
KERN_INLINE void
kern_load(enum elem elem, const uint8_t *w, int pair, struct v16 *first,
    struct v16 *second)
{
	if (elem == ELEM_BF16)
		v16_load_bf16((const uint16_t *)(const void *)w + pair * 32,
		    first, second);
	else if (elem == ELEM_Q8)
		v16_load_q8((const int8_t *)(const void *)w + pair * 32,
		    first, second);
	else {
		*first = v16_load((const float *)(const void *)w + pair * 32);
		*second = v16_load((const float *)(const void *)w +
		    pair * 32 + 16);
	}
}

/*
 * One block of up to 32 k for R rows of a panel: sum += e + o. Prefetch the
 * line `ahead` bytes further on: into the first-level cache, or, if the blocks
 * are scattered in memory, into the second, which takes more prefetches at a
 * time. One row of consecutive blocks needs no prefetch: the processor does it
 * better.
 */
KERN_INLINE void
kern_block(const int R, enum elem elem, int scattered, const float *a,
    size_t lda, const uint8_t *w, size_t ahead, int pairs, struct v16 *sum)
{
	struct v16	 e[8], o[8], first, second;
	const uint8_t	*next;
	int		 i, r;

#pragma GCC unroll 8
	for (r = 0; r < R; r++)
		e[r] = o[r] = v16_set1(0.0f);
	for (i = 0; i < pairs; i++) {
		kern_load(elem, w, i, &first, &second);
		next = w + (size_t)i * 32 * ELEM_SIZE(elem) + ahead;
		if (scattered)
			__builtin_prefetch(next, 0, 2);
		else if (R > 1)
			__builtin_prefetch(next);
#pragma GCC unroll 8
		for (r = 0; r < R; r++) {
			e[r] = v16_fma(first,
			    v16_set1(a[(size_t)r * lda + 2 * i]), e[r]);
			o[r] = v16_fma(second,
			    v16_set1(a[(size_t)r * lda + 2 * i + 1]), o[r]);
		}
	}
#pragma GCC unroll 8
	for (r = 0; r < R; r++)
		sum[r] = v16_add(sum[r], v16_add(e[r], o[r]));
}

/*
 * acc[R][16] += a[R][2 * pairs] * a panel', block by block. The distance of two
 * rows of acc is ldacc floats. Callers pass constants for R, elem and
 * scattered.
 */
KERN_INLINE void
kern_tile(const int R, enum elem elem, int scattered, const float *a,
    size_t lda, const uint8_t *w, size_t ahead, int pairs, float *acc,
    size_t ldacc)
{
	const size_t	 step = BLOCK_PAIRS * 32 * ELEM_SIZE(elem);
	struct v16	 sum[8];
	int		 r;

#pragma GCC unroll 8
	for (r = 0; r < R; r++)
		sum[r] = v16_load(acc + (size_t)r * ldacc);
	for (; pairs >= BLOCK_PAIRS; pairs -= BLOCK_PAIRS) {
		kern_block(R, elem, scattered, a, lda, w, ahead, BLOCK_PAIRS,
		    sum);
		a += 2 * BLOCK_PAIRS;
		w += step;
	}
	if (pairs > 0)
		kern_block(R, elem, scattered, a, lda, w, ahead, pairs, sum);
#pragma GCC unroll 8
	for (r = 0; r < R; r++)
		v16_store(acc + (size_t)r * ldacc, sum[r]);
}

/* Any number of rows against one panel, in register tiles. */
KERN_INLINE void
kern_rows_of(enum elem elem, int scattered, const float *a, size_t lda,
    int rows, const uint8_t *w, size_t ahead, int pairs, float *acc,
    size_t ldacc)
{
	int	 r = 0;

	for (; r + VEC_ROWS <= rows; r += VEC_ROWS)
		kern_tile(VEC_ROWS, elem, scattered, a + (size_t)r * lda, lda,
		    w, ahead, pairs, acc + (size_t)r * ldacc, ldacc);
#if VEC_ROWS > 4
	for (; r + 4 <= rows; r += 4)
		kern_tile(4, elem, scattered, a + (size_t)r * lda, lda, w,
		    ahead, pairs, acc + (size_t)r * ldacc, ldacc);
#endif
#if VEC_ROWS > 2
	for (; r + 2 <= rows; r += 2)
		kern_tile(2, elem, scattered, a + (size_t)r * lda, lda, w,
		    ahead, pairs, acc + (size_t)r * ldacc, ldacc);
#endif
#if VEC_ROWS > 1
	for (; r < rows; r++)
		kern_tile(1, elem, scattered, a + (size_t)r * lda, lda, w,
		    ahead, pairs, acc + (size_t)r * ldacc, ldacc);
#endif
}

/* acc[rows][16] += a[rows][2 * pairs] * one panel of weights'. */
KERN_ONCE void
kern_rows(enum elem elem, const float *a, size_t lda, int rows,
    const uint8_t *w, size_t ahead, int pairs, float *acc, size_t ldacc)
{
	if (elem == ELEM_BF16)
		kern_rows_of(ELEM_BF16, 0, a, lda, rows, w, ahead, pairs, acc,
		    ldacc);
	else
		kern_rows_of(ELEM_F32, 0, a, lda, rows, w, ahead, pairs, acc,
		    ldacc);
}

/* The same for keys and values of the cache. */
KERN_ONCE void
kern_rows_kv(enum elem elem, const float *a, size_t lda, int rows,
    const uint8_t *w, size_t ahead, int pairs, float *acc, size_t ldacc)
{
	if (elem == ELEM_BF16)
		kern_rows_of(ELEM_BF16, 1, a, lda, rows, w, ahead, pairs, acc,
		    ldacc);
	else if (elem == ELEM_Q8)
		kern_rows_of(ELEM_Q8, 1, a, lda, rows, w, ahead, pairs, acc,
		    ldacc);
	else
		kern_rows_of(ELEM_F32, 1, a, lda, rows, w, ahead, pairs, acc,
		    ldacc);
}

/* Finish one row's 16 sums of panel p: bias, then as m->end says. */
KERN_INLINE void
kern_end(const struct matmul *m, int row, int p, const float *acc)
{
	const size_t	 at = (size_t)row * m->ldo + (size_t)p * PANEL;
	struct v16	 v = v16_load(acc);
	float		 part[PANEL];
	int		 n = m->N - p * PANEL;

	if (m->bias != NULL)
		v = v16_add(v, v16_load(m->bias + p * PANEL));
	switch (m->end) {
	case MM_GELU_ERF:
		v = v16_gelu_erf(v);
		break;
	case MM_GELU_TANH:
		v = v16_gelu_tanh(v);
		break;
	case MM_ADD2:
		v = v16_add(v16_load(m->also + at), v);
		/* FALLTHROUGH */
	case MM_ADD:
		v = v16_add(v16_load(m->out + at), v);
		break;
	case MM_ROWS:
		v16_store(part, v);
		memcpy(m->outs[row] + p * PANEL, part,
		    sizeof part[0] * (size_t)(n < PANEL ? n : PANEL));
		return;
	case MM_STORE:
		break;
	}
	if (m->round)
		v = v16_round_bf16(v);
	if (m->out16 != NULL)
		kern_store16(v, m->out16 + (size_t)row * m->ldo16 +
		    (size_t)p * PANEL, n);
	else
		v16_store(m->out + at, v);
}

/* One panel for up to MM_BLOCK rows, k cut so that a piece of the panel
 * stays in the first-level cache while all rows pass over it. */
static void
kern_panel(const struct matmul *m, const uint8_t *w, int p, int row, int rows)
{
	const float	*a = m->a + (size_t)row * m->lda;
	const size_t	 pair = 32 * ELEM_SIZE(m->elem);
	float		 acc[MM_BLOCK * PANEL];
	int		 k, n, pairs = m->K / 2, r;

	memset(acc, 0, sizeof acc[0] * PANEL * (size_t)rows);
	for (k = 0; k < pairs; k += MM_PAIRS) {
		n = pairs - k < MM_PAIRS ? pairs - k : MM_PAIRS;
		kern_rows(m->elem, a + 2 * k, m->lda, rows,
		    w + (size_t)k * pair, KERN_PREFETCH, n, acc, PANEL);
	}
	for (r = 0; r < rows; r++)
		kern_end(m, row + r, p, acc + r * PANEL);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of kernels_body.h: products with weights in int8 and int4, and the
 * rounding of their input to int8.
 */
#ifndef CPU_KERNELS_QUANTIZED_H
#define CPU_KERNELS_QUANTIZED_H

#define MM_QUADS	128	/* quads: 16 KiB of two panels of int8 */
#define MM_GROUPS	64	/* groups of int4 in a pass: 16 KiB */

/*
 * acc[R][P][16] += q[R][4 * quads] * P int8 panels'. A panel has wp bytes; the
 * distance of two rows of acc is ldacc numbers. One row needs no prefetch: the
 * processor does it better.
 */
KERN_INLINE void
kern_tile8(const int R, const int P, const int8_t *q, size_t ldq,
    const uint8_t *w, size_t wp, int quads, int32_t *acc, size_t ldacc)
{
	struct i16	 sum[16];
	struct b64	 b;
	int		 i, p, r;

#pragma GCC unroll 8
	for (r = 0; r < R; r++)
#pragma GCC unroll 8
		for (p = 0; p < P; p++)
			sum[r * P + p] = i16_load(acc + (size_t)r * ldacc +
			    p * PANEL);
	for (i = 0; i < quads; i++) {
#pragma GCC unroll 8
		for (p = 0; p < P; p++) {
			b = b64_load(w + (size_t)p * wp + i * 64);
			if (R > 1)
				__builtin_prefetch(w + (size_t)p * wp +
				    i * 64 + KERN_PREFETCH, 0, 2);
#pragma GCC unroll 8
			for (r = 0; r < R; r++)
				i16_dot8(&sum[r * P + p], b,
				    q + (size_t)r * ldq + 4 * i);
		}
	}
#pragma GCC unroll 8
	for (r = 0; r < R; r++)
#pragma GCC unroll 8
		for (p = 0; p < P; p++)
			i16_store(acc + (size_t)r * ldacc + p * PANEL,
			    sum[r * P + p]);
}

/* One group of 32 k of int4 for R rows of one panel. */
KERN_INLINE void
kern_group4(const int R, const int8_t *q, size_t ldq, const int32_t *sums,
    size_t ldsums, const uint8_t *w, struct v16 scale, struct v16 *acc)
{
	struct b64	 b[8];
	struct i16	 sum;
	int		 i, r;

#pragma GCC unroll 8
	for (i = 0; i < 4; i++) {
		__builtin_prefetch(w + i * 64 + KERN_PREFETCH);
		b[i] = b64_load(w + i * 64);
		b[i + 4] = b64_high(b[i]);
		b[i] = b64_low(b[i]);
	}
#pragma GCC unroll 8
	for (r = 0; r < R; r++) {
		sum = i16_set1(-8 * sums[(size_t)r * ldsums]);
#pragma GCC unroll 8
		for (i = 0; i < 8; i++)
			i16_dot4(&sum, b[i], q + (size_t)r * ldq + 4 * i);
		acc[r] = v16_fma(i16_float(sum), scale, acc[r]);
	}
}

/* acc[R][16] += q[R] * one int4 panel', over the given number of groups. */
KERN_INLINE void
kern_tile4(const int R, const int8_t *q, size_t ldq, const int32_t *sums,
    const uint8_t *w, const uint16_t *scales, int groups, float *acc)
{
	struct v16	 sum[8];
	int		 g, r;

#pragma GCC unroll 8
	for (r = 0; r < R; r++)
		sum[r] = v16_load(acc + r * PANEL);
	for (g = 0; g < groups; g++)
		kern_group4(R, q + g * GROUP, ldq, sums + g, ldq / GROUP,
		    w + (size_t)g * (GROUP / 2 * PANEL),
		    v16_load_f16(scales + g * PANEL), sum);
#pragma GCC unroll 8
	for (r = 0; r < R; r++)
		v16_store(acc + r * PANEL, sum[r]);
}

/* acc[rows][P][16] += q[rows][4 * quads] * P int8 panels' of wp bytes. */
KERN_INLINE void
kern_rows8_of(const int P, const int8_t *q, size_t ldq, int rows,
    const uint8_t *w, size_t wp, int quads, int32_t *acc)
{
	const size_t	 ld = (size_t)P * PANEL;
	int		 r = 0;

	for (; r + VEC_ROWS <= rows; r += VEC_ROWS)
		kern_tile8(VEC_ROWS, P, q + (size_t)r * ldq, ldq, w, wp,
		    quads, acc + (size_t)r * ld, ld);
#if VEC_ROWS > 4
	for (; r + 4 <= rows; r += 4)
		kern_tile8(4, P, q + (size_t)r * ldq, ldq, w, wp, quads,
		    acc + (size_t)r * ld, ld);
#endif
#if VEC_ROWS > 2
	for (; r + 2 <= rows; r += 2)
		kern_tile8(2, P, q + (size_t)r * ldq, ldq, w, wp, quads,
		    acc + (size_t)r * ld, ld);
#endif
#if VEC_ROWS > 1
	for (; r < rows; r++)
		kern_tile8(1, P, q + (size_t)r * ldq, ldq, w, wp, quads,
		    acc + (size_t)r * ld, ld);
#endif
}

/* The same; panels is 1 or 2. */
KERN_ONCE void
kern_rows8(int panels, const int8_t *q, size_t ldq, int rows,
    const uint8_t *w, size_t wp, int quads, int32_t *acc)
{
	if (panels == 2)
		kern_rows8_of(2, q, ldq, rows, w, wp, quads, acc);
	else
		kern_rows8_of(1, q, ldq, rows, w, wp, quads, acc);
}

/* The same for groups of int4. */
KERN_ONCE void
kern_rows4(const int8_t *q, size_t ldq, const int32_t *sums, int rows,
    const uint8_t *w, const uint16_t *scales, int groups, float *acc)
{
	const size_t	 lds = ldq / GROUP;
	int		 r = 0;

	for (; r + VEC_ROWS <= rows; r += VEC_ROWS)
		kern_tile4(VEC_ROWS, q + (size_t)r * ldq, ldq,
		    sums + (size_t)r * lds, w, scales, groups,
		    acc + r * PANEL);
#if VEC_ROWS > 4
	for (; r + 4 <= rows; r += 4)
		kern_tile4(4, q + (size_t)r * ldq, ldq, sums + (size_t)r *
		    lds, w, scales, groups, acc + r * PANEL);
#endif
#if VEC_ROWS > 2
	for (; r + 2 <= rows; r += 2)
		kern_tile4(2, q + (size_t)r * ldq, ldq, sums + (size_t)r *
		    lds, w, scales, groups, acc + r * PANEL);
#endif
#if VEC_ROWS > 1
	for (; r < rows; r++)
		kern_tile4(1, q + (size_t)r * ldq, ldq, sums + (size_t)r *
		    lds, w, scales, groups, acc + r * PANEL);
#endif
}

/* The 16 weights of an int8 or int4 panel for lane k, which is an outlier. In
 * int4, they are multiplied by their scales. */
static struct v16
kern_column(const struct matmul *m, const uint8_t *w, const uint16_t *scales,
    int k)
{
	float	 f[PANEL];
	int	 n, at;

	if (m->elem == ELEM_I8) {
		for (n = 0; n < PANEL; n++)
			f[n] = (float)(w[k / 4 * 64 + n * 4 + k % 4] - 128);
		return (v16_load(f));
	}
	at = k / GROUP * (GROUP / 2 * PANEL) + k % (GROUP / 2) / 4 * 64 +
	    k % 4;
	for (n = 0; n < PANEL; n++)
		f[n] = (float)((w[at + n * 4] >> (k % GROUP >= GROUP / 2 ?
		    4 : 0) & 15) - 8);
	return (v16_mul(v16_load(f), v16_load_f16(scales + k / GROUP *
	    PANEL)));
}

/* Finish one row's dot products with panel p: sum is the S of kernels.h, and A
 * is computed here. */
static void
kern_quantized_end(const struct matmul *m, const uint8_t *w,
    const uint16_t *scales, int row, int p, struct v16 sum)
{
	const struct qrows	*q = m->q;
	const int32_t		*outlier = q->outlier + (size_t)row * q->ld;
	const float		*a = m->a + (size_t)row * m->lda;
	struct v16		 side = v16_set1(0.0f);
	float			 out[PANEL];
	int			 i;

	for (i = 0; i < q->noutliers[row]; i++)
		side = v16_fma(v16_set1(a[outlier[i]]), kern_column(m, w,
		    scales, outlier[i]), side);
	sum = v16_fma(sum, v16_set1(q->scale[row]), side);
	if (m->elem == ELEM_I8)
		sum = v16_mul(sum, v16_load((const float *)m->scales +
		    p * PANEL));
	v16_store(out, sum);
	kern_end(m, row, p, out);
}

/* One or two int8 panels for up to MM_BLOCK rows; k is cut as in kern_panel. */
static void
kern_panel8(const struct matmul *m, const uint8_t *w, size_t panel,
    int panels, int p, int row, int rows)
{
	const int	 quads = ROUND_UP(m->K, 64) / 4;
	const int8_t	*q = m->q->q + (size_t)row * m->q->ld;
	int32_t		 acc[2 * MM_BLOCK * PANEL];
	struct i16	 sum;
	int		 k, n, r, i;

	memset(acc, 0, sizeof acc[0] * PANEL * (size_t)(rows * panels));
	for (k = 0; k < quads; k += MM_QUADS) {
		n = quads - k < MM_QUADS ? quads - k : MM_QUADS;
		kern_rows8(panels, q + 4 * k, m->q->ld, rows,
		    w + (size_t)k * 64, panel, n, acc);
	}
	for (r = 0; r < rows; r++)
		for (i = 0; i < panels; i++) {
			sum = i16_sub(i16_load(acc + (r * panels + i) *
			    PANEL), i16_set1(I16_BIAS8 * m->q->total[row +
			    r]));
			kern_quantized_end(m, w + (size_t)i * panel, NULL,
			    row + r, p + i, i16_float(sum));
		}
}

/* The same for int4. */
static void
kern_panel4(const struct matmul *m, const uint8_t *w,
    const uint16_t *scales, int p, int row, int rows)
{
	const struct qrows *q = m->q;
	const size_t	 lds = q->ld / GROUP;
	const int	 groups = ROUND_UP(m->K, 64) / GROUP;
	float		 acc[MM_BLOCK * PANEL];
	int		 g, n, r;

	memset(acc, 0, sizeof acc[0] * PANEL * (size_t)rows);
	for (g = 0; g < groups; g += MM_GROUPS) {
		n = groups - g < MM_GROUPS ? groups - g : MM_GROUPS;
		kern_rows4(q->q + (size_t)row * q->ld + g * GROUP, q->ld,
		    q->sums + (size_t)row * lds + g, rows,
		    w + (size_t)g * (GROUP / 2 * PANEL), scales + g * PANEL,
		    n, acc);
	}
	for (r = 0; r < rows; r++)
		kern_quantized_end(m, w, scales, row + r, p,
		    v16_load(acc + r * PANEL));
}

/* Panels first to last - 1 of a product with int8 or int4 weights. */
static void
kern_matmul_quantized(const struct matmul *m, int first, int last)
{
	const size_t	 K = ROUND_UP((size_t)m->K, 64);
	const size_t	 panel = K * PANEL / (m->elem == ELEM_I8 ? 1 : 2);
	const size_t	 scales = K / GROUP * PANEL;
	const uint8_t	*w = m->w;
	const uint16_t	*s = m->scales;
	int		 p = first, row, rows, n;

	for (; p < last; p += n) {
		/* for one row, reading panels one by one is faster */
		n = m->elem == ELEM_I8 && m->rows > 1 && p + 1 < last ? 2 : 1;
		for (row = 0; row < m->rows; row += MM_BLOCK) {
			rows = m->rows - row < MM_BLOCK ? m->rows - row :
			    MM_BLOCK;
			if (m->elem == ELEM_I8)
				kern_panel8(m, w + (size_t)p * panel, panel,
				    n, p, row, rows);
			else
				kern_panel4(m, w + (size_t)p * panel,
				    s + (size_t)p * scales, p, row, rows);
		}
	}
}

/* Round a row to int8. A lane is an outlier unless its size is at most OUTLIER,
 * so that NaN stays NaN. */
static void
kern_quantize(const float *x, int K, const struct qrows *q, int row)
{
	const struct v16 zero = v16_set1(0.0f);
	const struct v16 limit = v16_set1(__builtin_nextafterf(OUTLIER, 7));
	const struct v16 magic = v16_set1(12582912.0f);
	int8_t		*out = q->q + (size_t)row * q->ld;
	int32_t		*sums = q->sums + (size_t)row * (q->ld / GROUP);
	int32_t		*outlier = q->outlier + (size_t)row * q->ld;
	struct v16	 v, size, max = zero, inv, t;
	float		 f[16], top = 0;
	uint32_t	 mask;
	int		 k, i, n = 0, sum;

	for (k = 0; k < K; k += 16) {
		v = kern_load_part(x + k, K - k, 0.0f);
		size = v16_max(v, v16_sub(zero, v));
		max = v16_max(v16_where_lt(size, limit, size, zero), max);
		mask = ~v16_mask_lt(size, limit) & 0xffff;
		for (; mask != 0; mask &= mask - 1)
			outlier[n++] = k + __builtin_ctz(mask);
	}
	q->noutliers[row] = n;
	v16_store(f, max);
	for (i = 0; i < 16; i++)
		top = f[i] > top ? f[i] : top;
	q->scale[row] = top / 127.0f;
	inv = v16_set1(q->scale[row] > 0 ? 1.0f / q->scale[row] : 0.0f);
	q->total[row] = 0;
	for (k = 0; k < ROUND_UP(K, 64); k += GROUP) {
		for (sum = i = 0; i < GROUP; i += 16) {
			v = kern_load_part(x + k + i, K - k - i, 0.0f);
			size = v16_max(v, v16_sub(zero, v));
			t = v16_fma(v16_where_lt(size, limit, v, zero), inv,
			    magic);
			v16_store_low8(out + k + i, t);
			sum += (int)kern_sum(v16_sub(t, magic));
		}
		sums[k / GROUP] = sum;
		q->total[row] += sum;
	}
}

#endif

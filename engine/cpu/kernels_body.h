/*
 * The inner loops, over whichever vec_*.h was included before.  Each
 * kernels_*.c includes this once and so makes one struct kernels; KERNELS is
 * its variable and KERNELS_NAME its name.  Register tiles differ in size
 * between the variants, the order of every sum does not.
 */
#include <string.h>

#include "kernels.h"
#include "math.h"

/* Sizes of tiles and kinds of elements are constants where these are used. */
#define KERN_INLINE static inline __attribute__((always_inline))
#define KERN_ONCE static __attribute__((noinline))

#define KERN_AHEAD	8192	/* bytes of weights fetched ahead */
#define BLOCK_PAIRS	16	/* a block of 32 k, in pairs */
#define MM_BLOCK	64	/* rows that share a pass over a panel */
#define MM_PAIRS	256	/* pairs of k in a pass: 16 KiB of bf16 */
#define MM_QUADS	128	/* quads: 16 KiB of two panels of int8 */
#define MM_GROUPS	64	/* groups of int4 in a pass: 16 KiB */

/* One pair of k of a panel. */
KERN_INLINE void
kern_load(enum elem elem, const uint8_t *w, int pair, struct v16 *first,
    struct v16 *second)
{
	if (elem == ELEM_BF16)
		v16_load_bf16((const uint16_t *)(const void *)w + pair * 32,
		    first, second);
	else {
		*first = v16_load((const float *)(const void *)w + pair * 32);
		*second = v16_load((const float *)(const void *)w +
		    pair * 32 + 16);
	}
}

/* One block of up to 32 k for R rows and P panels; w steps by wp bytes from
 * panel to panel, and what is ahead bytes on is fetched. sum += e + o. */
KERN_INLINE void
kern_block(const int R, const int P, enum elem elem, const float *a,
    size_t lda, const uint8_t *w, size_t wp, size_t ahead, int pairs,
    struct v16 *sum)
{
	struct v16	 e[8], o[8], first, second;
	int		 i, p, r;

#pragma GCC unroll 8
	for (r = 0; r < R * P; r++)
		e[r] = o[r] = v16_set1(0.0f);
	for (i = 0; i < pairs; i++) {
#pragma GCC unroll 8
		for (p = 0; p < P; p++) {
			kern_load(elem, w + (size_t)p * wp, i, &first,
			    &second);
			__builtin_prefetch(w + (size_t)p * wp +
			    (size_t)i * 32 * ELEM_SIZE(elem) + ahead);
#pragma GCC unroll 8
			for (r = 0; r < R; r++) {
				e[r * P + p] = v16_fma(first,
				    v16_set1(a[(size_t)r * lda + 2 * i]),
				    e[r * P + p]);
				o[r * P + p] = v16_fma(second,
				    v16_set1(a[(size_t)r * lda + 2 * i + 1]),
				    o[r * P + p]);
			}
		}
	}
#pragma GCC unroll 8
	for (r = 0; r < R * P; r++)
		sum[r] = v16_add(sum[r], v16_add(e[r], o[r]));
}

/*
 * acc[R][P][16] += a[R][2 * pairs] * panels', block by block; rows of acc
 * are ldacc floats apart. R, P and elem are constants where this is called.
 */
KERN_INLINE void
kern_tile(const int R, const int P, enum elem elem, const float *a,
    size_t lda, const uint8_t *w, size_t wp, size_t ahead, int pairs,
    float *acc, size_t ldacc)
{
	const size_t	 step = BLOCK_PAIRS * 32 * ELEM_SIZE(elem);
	struct v16	 sum[8];
	int		 r, p;

#pragma GCC unroll 8
	for (r = 0; r < R; r++)
#pragma GCC unroll 8
		for (p = 0; p < P; p++)
			sum[r * P + p] = v16_load(acc + (size_t)r * ldacc +
			    p * PANEL);
	for (; pairs >= BLOCK_PAIRS; pairs -= BLOCK_PAIRS) {
		kern_block(R, P, elem, a, lda, w, wp, ahead, BLOCK_PAIRS,
		    sum);
		a += 2 * BLOCK_PAIRS;
		w += step;
	}
	if (pairs > 0)
		kern_block(R, P, elem, a, lda, w, wp, ahead, pairs, sum);
#pragma GCC unroll 8
	for (r = 0; r < R; r++)
#pragma GCC unroll 8
		for (p = 0; p < P; p++)
			v16_store(acc + (size_t)r * ldacc + p * PANEL,
			    sum[r * P + p]);
}

/* Any number of rows against one panel, in register tiles. */
KERN_INLINE void
kern_rows_of(enum elem elem, const float *a, size_t lda, int rows,
    const uint8_t *w, size_t ahead, int pairs, float *acc, size_t ldacc)
{
	int	 r = 0;

	for (; r + VEC_ROWS <= rows; r += VEC_ROWS)
		kern_tile(VEC_ROWS, 1, elem, a + (size_t)r * lda, lda, w, 0,
		    ahead, pairs, acc + (size_t)r * ldacc, ldacc);
#if VEC_ROWS > 4
	for (; r + 4 <= rows; r += 4)
		kern_tile(4, 1, elem, a + (size_t)r * lda, lda, w, 0, ahead,
		    pairs,
		    acc + (size_t)r * ldacc, ldacc);
#endif
#if VEC_ROWS > 2
	for (; r + 2 <= rows; r += 2)
		kern_tile(2, 1, elem, a + (size_t)r * lda, lda, w, 0, ahead,
		    pairs,
		    acc + (size_t)r * ldacc, ldacc);
#endif
#if VEC_ROWS > 1
	for (; r < rows; r++)
		kern_tile(1, 1, elem, a + (size_t)r * lda, lda, w, 0, ahead,
		    pairs,
		    acc + (size_t)r * ldacc, ldacc);
#endif
}

/* acc[rows][16] += a[rows][2 * pairs] * one panel'. */
KERN_ONCE void
kern_rows(enum elem elem, const float *a, size_t lda, int rows,
    const uint8_t *w, size_t ahead, int pairs, float *acc, size_t ldacc)
{
	if (elem == ELEM_BF16)
		kern_rows_of(ELEM_BF16, a, lda, rows, w, ahead, pairs, acc,
		    ldacc);
	else
		kern_rows_of(ELEM_F32, a, lda, rows, w, ahead, pairs, acc,
		    ldacc);
}

/* acc[VEC_PANELS][16] += a[2 * pairs] * VEC_PANELS panels' of wp bytes. */
KERN_ONCE void
kern_panels(enum elem elem, const float *a, const uint8_t *w, size_t wp,
    size_t ahead, int pairs, float *acc)
{
	if (elem == ELEM_BF16)
		kern_tile(1, VEC_PANELS, ELEM_BF16, a, 0, w, wp, ahead,
		    pairs, acc, 0);
	else
		kern_tile(1, VEC_PANELS, ELEM_F32, a, 0, w, wp, ahead,
		    pairs, acc, 0);
}

/* What happens to one row's 16 finished sums of panel p. */
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
		    w + (size_t)k * pair, KERN_AHEAD, n, acc, PANEL);
	}
	for (r = 0; r < rows; r++)
		kern_end(m, row + r, p, acc + r * PANEL);
}

/* The sum of 16 lanes, as one fixed tree. */
static float
kern_sum(struct v16 v)
{
	float	 f[16];
	int	 n, i;

	v16_store(f, v);
	for (n = 8; n > 0; n /= 2)
		for (i = 0; i < n; i++)
			f[i] += f[i + n];
	return (f[0]);
}

/* Up to 16 floats; where there are fewer, fill takes their place. */
static struct v16
kern_load_part(const float *x, int n, float fill)
{
	float	 f[16];
	int	 i;

	if (n >= 16)
		return (v16_load(x));
	for (i = 0; i < 16; i++)
		f[i] = i < n ? x[i] : fill;
	return (v16_load(f));
}

/* acc[R][P][16] += q[R][4 * quads] * int8 panels' of wp bytes; rows of acc
 * are ldacc apart. */
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
			__builtin_prefetch(w + (size_t)p * wp + i * 64 +
			    KERN_AHEAD);
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
		__builtin_prefetch(w + i * 64 + KERN_AHEAD);
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

/* acc[R][16] += so many groups of q[R] * one int4 panel'. */
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

/* acc[rows][P][16] += rows' quads * P int8 panels' of wp bytes. */
KERN_INLINE void
kern_rows8_of(const int P, const int8_t *q, size_t ldq, int rows,
    const uint8_t *w, size_t wp, int quads, int32_t *acc)
{
	const size_t	 ld = (size_t)P * PANEL;
	int		 r = 0;

	for (; r + VEC_ROWS <= rows; r += VEC_ROWS)
		kern_tile8(VEC_ROWS, P, q + (size_t)r * ldq, ldq, w, wp,
		    quads, acc + (size_t)r * ld, ld);
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

/* The same for one panel or for two. */
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
#if VEC_ROWS > 1
	for (; r < rows; r++)
		kern_tile4(1, q + (size_t)r * ldq, ldq, sums + (size_t)r *
		    lds, w, scales, groups, acc + r * PANEL);
#endif
}

/* Lane k of an int8 or int4 panel, 16 columns, for a lane that is kept apart;
 * int4 with its scales. */
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

/* The end of one row's dot products: what kernels.h says of S and A. */
static void
kern_small_end(const struct matmul *m, const uint8_t *w,
    const uint16_t *scales, int row, int p, struct v16 sum)
{
	const struct qrows	*q = m->q;
	const int32_t		*apart = q->apart + (size_t)row * q->ld;
	const float		*a = m->a + (size_t)row * m->lda;
	struct v16		 side = v16_set1(0.0f);
	float			 out[PANEL];
	int			 i;

	for (i = 0; i < q->napart[row]; i++)
		side = v16_fma(v16_set1(a[apart[i]]), kern_column(m, w,
		    scales, apart[i]), side);
	sum = v16_fma(sum, v16_set1(q->scale[row]), side);
	if (m->elem == ELEM_I8)
		sum = v16_mul(sum, v16_load((const float *)m->scales +
		    p * PANEL));
	v16_store(out, sum);
	kern_end(m, row, p, out);
}

/* One or two int8 panels for up to MM_BLOCK rows, k cut as in kern_panel. */
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
			kern_small_end(m, w + (size_t)i * panel, NULL, row + r,
			    p + i, i16_float(sum));
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
		kern_small_end(m, w, scales, row + r, p,
		    v16_load(acc + r * PANEL));
}

/* VEC_PANELS int8 panels for the one row there is. */
static void
kern_panels8(const struct matmul *m, const uint8_t *w, size_t panel, int p)
{
	int32_t		 acc[VEC_PANELS * PANEL] = { 0 };
	struct i16	 sum;
	int		 i;

	kern_tile8(1, VEC_PANELS, m->q->q, 0, w, panel,
	    ROUND_UP(m->K, 64) / 4, acc, 0);
	for (i = 0; i < VEC_PANELS; i++) {
		sum = i16_sub(i16_load(acc + i * PANEL),
		    i16_set1(I16_BIAS8 * m->q->total[0]));
		kern_small_end(m, w + (size_t)i * panel, NULL, 0, p + i,
		    i16_float(sum));
	}
}

/* Panels first to last of a product with int8 or int4 weights. */
static void
kern_matmul_small(const struct matmul *m, int first, int last)
{
	const size_t	 K = ROUND_UP((size_t)m->K, 64);
	const size_t	 panel = K * PANEL / (m->elem == ELEM_I8 ? 1 : 2);
	const size_t	 scales = K / GROUP * PANEL;
	const uint8_t	*w = m->w;
	const uint16_t	*s = m->scales;
	int		 p = first, row, rows, n;

	for (; m->rows == 1 && m->elem == ELEM_I8 && p + VEC_PANELS <= last;
	    p += VEC_PANELS)
		kern_panels8(m, w + (size_t)p * panel, panel, p);
	for (; p < last; p += n) {
		n = m->elem == ELEM_I8 && p + 1 < last ? 2 : 1;
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

/* Round a row to int8; the lanes apart are those whose size is not at most
 * APART, so that what is not a number stays one. */
static void
kern_quantize(const float *x, int K, const struct qrows *q, int row)
{
	const struct v16 zero = v16_set1(0.0f);
	const struct v16 limit = v16_set1(__builtin_nextafterf(APART, 7));
	const struct v16 magic = v16_set1(12582912.0f);
	int8_t		*out = q->q + (size_t)row * q->ld;
	int32_t		*sums = q->sums + (size_t)row * (q->ld / GROUP);
	int32_t		*apart = q->apart + (size_t)row * q->ld;
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
			apart[n++] = k + __builtin_ctz(mask);
	}
	q->napart[row] = n;
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

/* Panels first to last of a product. */
static void
kern_matmul(const struct matmul *m, int first, int last)
{
	const size_t	 panel = (size_t)m->K * PANEL * ELEM_SIZE(m->elem);
	const uint8_t	*w = (const uint8_t *)m->w + (size_t)first * panel;
	float		 acc[VEC_PANELS * PANEL];
	int		 p = first, i, row, rows;

	if (ELEM_SMALL(m->elem)) {
		kern_matmul_small(m, first, last);
		return;
	}
	for (; m->rows == 1 && p + VEC_PANELS <= last; p += VEC_PANELS) {
		memset(acc, 0, sizeof acc);
		kern_panels(m->elem, m->a, w, panel, KERN_AHEAD, m->K / 2,
		    acc);
		for (i = 0; i < VEC_PANELS; i++)
			kern_end(m, 0, p + i, acc + i * PANEL);
		w += VEC_PANELS * panel;
	}
	for (; p < last; p++, w += panel)
		for (row = 0; row < m->rows; row += MM_BLOCK) {
			rows = m->rows - row < MM_BLOCK ? m->rows - row :
			    MM_BLOCK;
			kern_panel(m, w, p, row, rows);
		}
}

/* Mean and 1 / standard deviation, in two passes. */
static void
kern_moments(const float *x, int n, float eps, float *mean, float *rstd)
{
	struct v16	 sum = v16_set1(0.0f), m, d;
	int		 i;

	for (i = 0; i < n; i += 16)
		sum = v16_add(sum, kern_load_part(x + i, n - i, 0.0f));
	*mean = kern_sum(sum) / (float)n;
	m = v16_set1(*mean);
	sum = v16_set1(0.0f);
	for (i = 0; i < n; i += 16) {
		d = v16_sub(kern_load_part(x + i, n - i, *mean), m);
		sum = v16_fma(d, d, sum);
	}
	*rstd = 1.0f / __builtin_sqrtf(kern_sum(sum) / (float)n + eps);
}

/* Layer norm's second half. */
static void
kern_normalize(const float *x, int n, float mean, float rstd,
    const float *gain, const float *bias, int round, float *out)
{
	const struct v16 m = v16_set1(mean), s = v16_set1(rstd);
	struct v16	 v;
	int		 i;

	for (i = 0; i < n; i += 16) {
		v = v16_mul(v16_sub(v16_load(x + i), m), s);
		v = v16_fma(v, v16_load(gain + i), v16_load(bias + i));
		if (round)
			v = v16_round_bf16(v);
		v16_store(out + i, v);
	}
}

/* Scale n scores, turn them into unnormalised weights in place (rounded
 * where the cache is bf16), zeros up to the block's end; their sum. */
static float
kern_softmax(float *s, int n, int padded, float scale, int round)
{
	struct v16	 max, sum = v16_set1(0.0f), v;
	float		 f[16], m;
	int		 i;

	for (i = n; i < padded; i++)
		s[i] = -__builtin_inff();
	max = v16_set1(-__builtin_inff());
	for (i = 0; i < padded; i += 16) {
		v = v16_mul(v16_load(s + i), v16_set1(scale));
		v16_store(s + i, v);
		max = v16_max(v, max);
	}
	v16_store(f, max);
	for (m = f[0], i = 1; i < 16; i++)
		m = f[i] > m ? f[i] : m;
	max = v16_set1(m);
	for (i = 0; i < padded; i += 16) {
		v = v16_exp(v16_sub(v16_load(s + i), max));
		sum = v16_add(sum, v);
		v16_store(s + i, round ? v16_round_bf16(v) : v);
	}
	return (kern_sum(sum));
}

/* One head's part of the block that holds positions from 32 * j on. */
KERN_INLINE const uint8_t *
kern_kv(const struct attend *a, const int32_t *blocks, int j, int h)
{
	return (a->cache + (size_t)blocks[j] * a->kv.block +
	    (size_t)h * a->kv.head);
}

/* Bring the keys, or the values, of a block near. */
KERN_INLINE void
kern_fetch(const uint8_t *p, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i += 64)
		__builtin_prefetch(p + i);
}

/* Scores of rows against one block's keys: s[rows][32]. */
static void
kern_scores(const struct attend *a, const float *q, int rows,
    const uint8_t *kv, float *s, size_t lds)
{
	const size_t	 panel = (size_t)a->kv.D * PANEL *
			    ELEM_SIZE(a->kv.elem);
	int		 p, r;

	for (p = 0; p < KV_BLOCK / PANEL; p++, kv += panel, s += PANEL) {
		for (r = 0; r < rows; r++)
			memset(s + (size_t)r * lds, 0, PANEL * sizeof *s);
		kern_rows(a->kv.elem, q, a->ldqkv, rows, kv, 0, a->kv.D / 2,
		    s, lds);
	}
}

/* The same for one row and both panels at once. */
static void
kern_scores_one(const struct attend *a, const float *q, const uint8_t *kv,
    float *s)
{
	const size_t	 panel = (size_t)a->kv.D * PANEL *
			    ELEM_SIZE(a->kv.elem);

	memset(s, 0, KV_BLOCK * sizeof *s);
	if (a->kv.elem == ELEM_BF16)
		kern_tile(1, KV_BLOCK / PANEL, ELEM_BF16, q, 0, kv, panel, 0,
		    a->kv.D / 2, s, 0);
	else
		kern_tile(1, KV_BLOCK / PANEL, ELEM_F32, q, 0, kv, panel, 0,
		    a->kv.D / 2, s, 0);
}

/* acc[rows][n][16] += weights s of rows, pairs of positions, times n panels of
 * lanes at v. */
static void
kern_gather(const struct attend *a, const float *s, size_t lds, int rows,
    const uint8_t *v, int n, int pairs, float *acc)
{
	const size_t	 panel = (size_t)KV_BLOCK * PANEL *
			    ELEM_SIZE(a->kv.elem);
	const size_t	 ld = (size_t)n * PANEL;
	int		 i = 0;

	for (; rows == 1 && i + VEC_PANELS <= n; i += VEC_PANELS)
		kern_panels(a->kv.elem, s, v + (size_t)i * panel, panel, 0,
		    pairs, acc + i * PANEL);
	for (; i < n; i++)
		kern_rows(a->kv.elem, s, lds, rows, v + (size_t)i * panel, 0,
		    pairs, acc + i * PANEL, ld);
}

/*
 * Attention of consecutive rows of one sequence. Blocks that every row sees
 * whole are passed over once for all rows; what the diagonal cuts, row by
 * row, so that no row meets a position behind its own.
 */
static void
kern_attend(const struct attend *a, int h, int first, int last,
    float *scratch)
{
	const struct backend_row *row = &a->rows[first];
	const int	 D = a->kv.D, rows = last - first;
	const int	 lanes = ROUND_UP(D, PANEL), n = lanes / PANEL;
	const int	 whole = (row->pos + 1) / KV_BLOCK;
	const int	 round = a->kv.elem == ELEM_BF16;
	const size_t	 lds = ROUND_UP((size_t)row->pos + (size_t)rows,
			    KV_BLOCK);
	const size_t	 half = a->kv.values;
	const float	*q = a->qkv + (size_t)first * a->ldqkv +
			    (size_t)h * 3 * (size_t)D;
	float		 sum[ATTEND_ROWS], *s, *acc, out[PANEL];
	const uint8_t	*kv;
	struct v16	 v;
	int		 j, d, r, left;

	for (j = 0; j < whole; j++) {
		if (j + 1 < whole)
			kern_fetch(kern_kv(a, row->blocks, j + 1, h), half);
		kv = kern_kv(a, row->blocks, j, h);
		if (rows == 1)
			kern_scores_one(a, q, kv, scratch + j * KV_BLOCK);
		else
			kern_scores(a, q, rows, kv, scratch + j * KV_BLOCK,
			    lds);
	}
	for (r = 0, s = scratch; r < rows; r++, s += lds) {
		for (j = whole; j * KV_BLOCK <= row[r].pos; j++)
			kern_scores_one(a, q + (size_t)r * a->ldqkv,
			    kern_kv(a, row[r].blocks, j, h), s + j * KV_BLOCK);
		sum[r] = kern_softmax(s, row[r].pos + 1,
		    ROUND_UP(row[r].pos + 1, PANEL), a->scale, round);
	}
	acc = s;			/* behind the scores */
	memset(acc, 0, (size_t)(rows * lanes) * sizeof *acc);
	for (j = 0; j < whole; j++) {
		if (j + 1 < whole)
			kern_fetch(kern_kv(a, row->blocks, j + 1, h) + half,
			    a->kv.head - half);
		kern_gather(a, scratch + j * KV_BLOCK, lds, rows,
		    kern_kv(a, row->blocks, j, h) + half, n, KV_BLOCK / 2,
		    acc);
	}
	for (r = 0, s = scratch; r < rows; r++, s += lds, acc += lanes) {
		for (j = whole; (left = row[r].pos + 1 - j * KV_BLOCK) > 0;
		    j++)
			kern_gather(a, s + j * KV_BLOCK, lds, 1,
			    kern_kv(a, row[r].blocks, j, h) + half, n,
			    ((left < KV_BLOCK ? left : KV_BLOCK) + 1) / 2,
			    acc);
		for (d = 0; d < D; d += PANEL) {
			v = v16_div(v16_load(acc + d), v16_set1(sum[r]));
			v16_store(out, round ? v16_round_bf16(v) : v);
			memcpy(a->out + (size_t)(first + r) * a->ldo +
			    (size_t)h * (size_t)D + d, out, sizeof *out *
			    (size_t)(D - d < PANEL ? D - d : PANEL));
		}
	}
}

/* Read memory. */
static float
kern_read(const uint8_t *p, size_t n)
{
	struct v16	 sum[4] = { v16_set1(0), v16_set1(0), v16_set1(0),
			    v16_set1(0) };
	const size_t	 quarter = n / 4;
	size_t		 i, j;

	for (i = 0; i < quarter; i += 64)
		for (j = 0; j < 4; j++)
			sum[j] = v16_max(sum[j], v16_load((const float *)
			    (const void *)(p + j * quarter + i)));
	return (kern_sum(v16_add(v16_add(sum[0], sum[1]), v16_add(sum[2],
	    sum[3]))));
}

/* Multiply and add. */
static float
kern_spin_fma(int rounds)
{
	static const float lanes[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
				    13, 14, 15, 16 };
	struct v16	 c[6], a = v16_set1(0.999f), b = v16_load(lanes);
	int		 i, j;

#pragma GCC unroll 8
	for (j = 0; j < 6; j++)
		c[j] = v16_set1((float)j);
	for (i = 0; i < rounds; i++)
#pragma GCC unroll 8
		for (j = 0; j < 6; j++)
			c[j] = v16_fma(c[j], a, b);
#pragma GCC unroll 8
	for (j = 1; j < 6; j++)
		c[0] = v16_add(c[0], c[j]);
	return (kern_sum(c[0]));
}

/* Products of 8 bits. */
static float
kern_spin_dot8(int rounds)
{
	uint8_t		 bytes[64];
	struct i16	 c[6];
	struct b64	 w;
	int8_t		 q[4] = { 1, 2, 3, 4 };
	int		 i, j;

	for (i = 0; i < 64; i++)
		bytes[i] = (uint8_t)i;
	w = b64_load(bytes);

#pragma GCC unroll 8
	for (j = 0; j < 6; j++)
		c[j] = i16_set1(j * rounds);
	for (i = 0; i < rounds; i++)
#pragma GCC unroll 8
		for (j = 0; j < 6; j++)
			i16_dot8(&c[j], w, q);
#pragma GCC unroll 8
	for (j = 1; j < 6; j++)
		c[0] = i16_sub(c[0], c[j]);
	return (kern_sum(i16_float(c[0])));
}

#define KERN_MAP(name, fn)						\
static void								\
name(const float *in, float *out, int n)				\
{									\
	int	 i;							\
									\
	for (i = 0; i < n; i += 16)					\
		v16_store(out + i, fn(v16_load(in + i)));		\
}

/* Elementwise functions, for tests. */
KERN_MAP(kern_exp, v16_exp)
KERN_MAP(kern_gelu_erf, v16_gelu_erf)
KERN_MAP(kern_gelu_tanh, v16_gelu_tanh)
KERN_MAP(kern_round_bf16, v16_round_bf16)

const struct kernels KERNELS = {
	.name = KERNELS_NAME,
	.matmul = kern_matmul,
	.moments = kern_moments,
	.normalize = kern_normalize,
	.quantize = kern_quantize,
	.attend = kern_attend,
	.read = kern_read,
	.spin_fma = kern_spin_fma,
	.spin_dot8 = kern_spin_dot8,
	.exp = kern_exp,
	.gelu_erf = kern_gelu_erf,
	.gelu_tanh = kern_gelu_tanh,
	.round_bf16 = kern_round_bf16
};

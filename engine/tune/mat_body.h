/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of mat_*.c, after a vec_*.h: the loops of one variant of struct
 * mat_kind, over vectors of 16 lanes.  MAT_KIND and MAT_NAME name the variant.
 * MAT_ROWS and MAT_VECS are the rows and the vectors of a register block.  A
 * variant that defines MAT_NARROW has pack_a, pack_b, block and enter of its
 * own.
 */
#include "mat.h"

#include <math.h>
#include <string.h>

#include "vmath.h"

#ifndef MAT_NARROW
#define MAT_NEAR	128		/* columns: 16 KiB of a panel */

/* Nothing to prepare. */
static void
mat_enter(void)
{
}

/* Four floats, wherever they begin. */
typedef float mat_f4 __attribute__((vector_size(16), aligned(4)));

/* Four columns of four rows: lines of a panel. */
VEC_INLINE void
mat_turn4(float *o, const float *x, ptrdiff_t rs)
{
	mat_f4	 a = *(const mat_f4 *)x, b = *(const mat_f4 *)(x + rs);
	mat_f4	 c = *(const mat_f4 *)(x + 2 * rs);
	mat_f4	 d = *(const mat_f4 *)(x + 3 * rs), e, f;

	e = __builtin_shufflevector(a, b, 0, 4, 1, 5);
	f = __builtin_shufflevector(c, d, 0, 4, 1, 5);
	*(mat_f4 *)o = __builtin_shufflevector(e, f, 0, 1, 4, 5);
	*(mat_f4 *)(o + MAT_PANEL) =
	    __builtin_shufflevector(e, f, 2, 3, 6, 7);
	e = __builtin_shufflevector(a, b, 2, 6, 3, 7);
	f = __builtin_shufflevector(c, d, 2, 6, 3, 7);
	*(mat_f4 *)(o + 2 * MAT_PANEL) =
	    __builtin_shufflevector(e, f, 0, 1, 4, 5);
	*(mat_f4 *)(o + 3 * MAT_PANEL) =
	    __builtin_shufflevector(e, f, 2, 3, 6, 7);
}

/* One panel of fewer rows or columns, or of columns that are far apart. */
static void
mat_pack_any(float *o, const float *x, ptrdiff_t rs, ptrdiff_t cs, int rows,
    int k)
{
	int	 i, j;

	for (j = 0; j < MAT_UP(k); j++, o += MAT_PANEL) {
		if (j >= k || rows < MAT_PANEL)
			memset(o, 0, MAT_PANEL * sizeof *o);
		if (j >= k)
			continue;
		for (i = 0; i < rows; i++)
			o[i] = x[i * rs + j * cs];
	}
}

/* Panels of fp32: for each column, its 32 rows. */
static void
mat_pack(void *out, const float *x, ptrdiff_t rs, ptrdiff_t cs, int rows,
    int k)
{
	float	*o = out;
	int	 i, j, r, n;

	for (r = 0; r < rows; r += MAT_PANEL, o += MAT_PANEL * MAT_UP(k)) {
		n = rows - r < MAT_PANEL ? rows - r : MAT_PANEL;
		if (n < MAT_PANEL || k % MAT_PANEL != 0 ||
		    (rs != 1 && cs != 1)) {
			mat_pack_any(o, x + r * rs, rs, cs, n, k);
			continue;
		}
		for (j = 0; rs == 1 && j < k; j++)
			memcpy(o + j * MAT_PANEL, x + r + j * cs,
			    MAT_PANEL * sizeof *o);
		for (j = 0; rs != 1 && j < k; j += 4)
			for (i = 0; i < MAT_PANEL; i += 4)
				mat_turn4(o + j * MAT_PANEL + i,
				    x + (r + i) * rs + j, rs);
	}
}

/* Some rows and vectors of a block, in registers. */
VEC_INLINE void
mat_block_part(const float *a, const float *b, int K, float *c,
    ptrdiff_t ldc, int add)
{
	struct v16	 s[MAT_ROWS][MAT_VECS], x, y[MAT_VECS];
	int		 i, j, k;

#pragma GCC unroll 8
	for (i = 0; i < MAT_ROWS; i++)
#pragma GCC unroll 2
		for (j = 0; j < MAT_VECS; j++)
			s[i][j] = add ? v16_load(c + i * ldc + 16 * j) :
			    v16_set1(0.0f);
	for (k = 0; k < K; k++, a += MAT_PANEL, b += MAT_PANEL) {
#pragma GCC unroll 2
		for (j = 0; j < MAT_VECS; j++)
			y[j] = v16_load(b + 16 * j);
#pragma GCC unroll 8
		for (i = 0; i < MAT_ROWS; i++) {
			x = v16_set1(a[i]);
#pragma GCC unroll 2
			for (j = 0; j < MAT_VECS; j++)
				s[i][j] = v16_fma(x, y[j], s[i][j]);
		}
	}
#pragma GCC unroll 8
	for (i = 0; i < MAT_ROWS; i++)
#pragma GCC unroll 2
		for (j = 0; j < MAT_VECS; j++)
			v16_store(c + i * ldc + 16 * j, s[i][j]);
}

/* A block of 32 x 32, over columns whose panels stay in the first cache. */
static void
mat_block(const void *a, const void *b, int blocks, float *c, ptrdiff_t ldc,
    int add)
{
	int	 K = blocks * MAT_PANEL, k, n, i, j;

	for (i = 0; i < MAT_PANEL; i++)
		for (j = 0; j < MAT_PANEL; j += 16)
			__builtin_prefetch(c + i * ldc + j, 1);
	for (k = 0; k < K; k += n, add = 1) {
		n = K - k < MAT_NEAR ? K - k : MAT_NEAR;
		for (j = 0; j < MAT_PANEL; j += 16 * MAT_VECS)
			for (i = 0; i < MAT_PANEL; i += MAT_ROWS)
				mat_block_part((const float *)a + i +
				    k * MAT_PANEL, (const float *)b + j +
				    k * MAT_PANEL, n, c + i * ldc + j, ldc,
				    add);
	}
}
#define mat_pack_a	mat_pack
#define mat_pack_b	mat_pack
#define MAT_ELEM	sizeof(float)
#endif

/* The sum of the lanes, in a fixed order. */
VEC_INLINE float
mat_sum(struct v16 x)
{
	float	 f[16];
	int	 n, i;

	v16_store(f, x);
	for (n = 8; n > 0; n /= 2)
		for (i = 0; i < n; i++)
			f[i] += f[i + n];
	return (f[0]);
}

/* Layer norm of a row. */
static void
mat_norm(float *y, const float *x, const float *g, const float *b, int C,
    float eps, float *mean, float *rstd)
{
	struct v16	 s = v16_set1(0.0f), d, m, r;
	int		 i;

	for (i = 0; i < C; i += 16)
		s = v16_add(s, v16_load(x + i));
	*mean = mat_sum(s) / (float)C;
	m = v16_set1(*mean);
	s = v16_set1(0.0f);
	for (i = 0; i < C; i += 16) {
		d = v16_sub(v16_load(x + i), m);
		s = v16_fma(d, d, s);
	}
	*rstd = 1.0f / sqrtf(mat_sum(s) / (float)C + eps);
	r = v16_set1(*rstd);
	for (i = 0; i < C; i += 16) {
		d = v16_mul(v16_sub(v16_load(x + i), m), r);
		v16_store(y + i, v16_fma(d, v16_load(g + i),
		    v16_load(b + i)));
	}
}

/* Its gradient. */
static void
mat_norm_back(float *dx, float *dg, float *db, const float *dy,
    const float *x, const float *g, int C, float mean, float rstd)
{
	const struct v16 m = v16_set1(mean), r = v16_set1(rstd);
	struct v16	 s1 = v16_set1(0.0f), s2 = s1, h, e, d;
	int		 i;

	for (i = 0; i < C; i += 16) {
		h = v16_mul(v16_sub(v16_load(x + i), m), r);
		d = v16_load(dy + i);
		v16_store(dg + i, v16_fma(d, h, v16_load(dg + i)));
		v16_store(db + i, v16_add(d, v16_load(db + i)));
		e = v16_mul(d, v16_load(g + i));
		s1 = v16_add(s1, e);
		s2 = v16_fma(e, h, s2);
	}
	s1 = v16_set1(mat_sum(s1) / (float)C);
	s2 = v16_set1(mat_sum(s2) / (float)C);
	for (i = 0; i < C; i += 16) {
		h = v16_mul(v16_sub(v16_load(x + i), m), r);
		e = v16_mul(v16_load(dy + i), v16_load(g + i));
		e = v16_sub(v16_sub(e, s1), v16_mul(h, s2));
		v16_store(dx + i, v16_fma(e, r, v16_load(dx + i)));
	}
}

/* gelu of a row. */
static void
mat_gelu(float *y, const float *x, const float *b, int n, int tanh)
{
	struct v16	 v;
	int		 i;

	for (i = 0; i < n; i += 16) {
		v = v16_add(v16_load(x + i), v16_load(b + i));
		v16_store(y + i, tanh ? v16_gelu_tanh(v) : v16_gelu_erf(v));
	}
}

/*
 * gelu'(x) = Phi(x) + x phi(x), from y = x Phi(x).  Near 0, where y / x loses
 * digits, Phi is 1/2 + x phi(0) (1 - x^2 / 6).
 */
VEC_INLINE struct v16
mat_slope_erf(struct v16 x, struct v16 y)
{
	const struct v16 zero = v16_set1(0.0f), one = v16_set1(1.0f);
	struct v16	 xx = v16_mul(x, x), z, near, far, pdf, small;

	z = v16_max(x, v16_sub(zero, x));
	pdf = v16_mul(v16_exp(v16_mul(xx, v16_set1(-0.5f))),
	    v16_set1(0.398942280f));
	near = v16_fma(xx, v16_set1(-1.0f / 6.0f), one);
	near = v16_fma(v16_mul(near, x), v16_set1(0.398942280f),
	    v16_set1(0.5f));
	small = v16_where_lt(z, v16_set1(0.01f), one, x);
	far = v16_div(y, small);
	far = v16_where_lt(z, v16_set1(0.01f), near, far);
	return (v16_fma(x, pdf, far));
}

/* The tanh form is x s(u) with s the logistic function and
 * u = sqrt(8/pi) (x + 0.044715 x^3): its slope is s + x s (1 - s) u'. */
VEC_INLINE struct v16
mat_slope_tanh(struct v16 x, struct v16 *y)
{
	const struct v16 one = v16_set1(1.0f);
	struct v16	 xx = v16_mul(x, x), u, s, d;

	u = v16_fma(xx, v16_set1(-0.0713548163f), v16_set1(-1.59576912f));
	s = v16_div(one, v16_add(one, v16_exp(v16_mul(u, x))));
	*y = v16_mul(x, s);
	d = v16_fma(xx, v16_set1(0.214064449f), v16_set1(1.59576912f));
	d = v16_mul(v16_mul(d, v16_sub(one, s)), *y);
	return (v16_add(s, d));
}

/* gelu of a row, and its gradient. */
static void
mat_gelu_back(float *y, float *dx, const float *dy, const float *x,
    const float *b, int n, int tanh)
{
	struct v16	 v, g, d;
	int		 i;

	for (i = 0; i < n; i += 16) {
		v = v16_add(v16_load(x + i), v16_load(b + i));
		if (tanh) {
			d = mat_slope_tanh(v, &g);
		} else {
			g = v16_gelu_erf(v);
			d = mat_slope_erf(v, g);
		}
		d = v16_mul(d, v16_load(dy + i));
		v16_store(y + i, g);
		v16_store(dx + i, d);
	}
}

/* Exponentials of a row. */
static float
mat_exp_row(float *x, int n, float scale, float shift)
{
	const struct v16 f = v16_set1(scale), d = v16_set1(-shift);
	struct v16	 s = v16_set1(0.0f), e;
	int		 i;

	for (i = 0; i < n; i += 16) {
		e = v16_exp(v16_fma(v16_load(x + i), f, d));
		v16_store(x + i, e);
		s = v16_add(s, e);
	}
	return (mat_sum(s));
}

/* The largest element of a row. */
static float
mat_max_row(const float *x, int n)
{
	struct v16	 m = v16_load(x);
	float		 f[16];
	int		 i;

	for (i = 16; i < n; i += 16)
		m = v16_max(m, v16_load(x + i));
	v16_store(f, m);
	for (i = 1; i < 16; i++)
		f[0] = f[i] > f[0] ? f[i] : f[0];
	return (f[0]);
}

/* A row times a number. */
static void
mat_scale_row(float *x, int n, float f)
{
	const struct v16 v = v16_set1(f);
	int		 i;

	for (i = 0; i < n; i += 16)
		v16_store(x + i, v16_mul(v16_load(x + i), v));
}

/* Add a row times a number. */
static void
mat_add_row(float *y, const float *x, int n, float f)
{
	const struct v16 v = v16_set1(f);
	int		 i;

	for (i = 0; i < n; i += 16)
		v16_store(y + i, v16_fma(v16_load(x + i), v,
		    v16_load(y + i)));
}

/* The gradient of a row of scores. */
static void
mat_dscore_row(float *y, const float *p, int n, float delta, float scale)
{
	const struct v16 d = v16_set1(delta), f = v16_set1(scale);
	int		 i;

	for (i = 0; i < n; i += 16)
		v16_store(y + i, v16_mul(v16_mul(v16_sub(v16_load(y + i), d),
		    v16_load(p + i)), f));
}

/* The product of two rows. */
static float
mat_dot_row(const float *x, const float *y, int n)
{
	struct v16	 s = v16_set1(0.0f);
	int		 i;

	for (i = 0; i < n; i += 16)
		s = v16_fma(v16_load(x + i), v16_load(y + i), s);
	return (mat_sum(s));
}

/* One step of AdamW. */
static void
mat_adam_row(float *p, float *m, float *v, const float *g, int n,
    const float *h)
{
	const float	 b1 = h[ADAM_BETA1], b2 = h[ADAM_BETA2];
	const float	 keep = 1.0f - h[ADAM_RATE] * h[ADAM_DECAY];
	float		 d, s;
	int		 i, l;

	for (i = 0; i + 16 <= n; i += 16)
		for (l = i; l < i + 16; l++) {
			d = g[l] * h[ADAM_SCALE];
			m[l] = b1 * m[l] + (1.0f - b1) * d;
			v[l] = b2 * v[l] + (1.0f - b2) * d * d;
			s = sqrtf(v[l] * h[ADAM_C2]) + h[ADAM_EPS];
			p[l] = p[l] * keep -
			    h[ADAM_RATE] * (m[l] * h[ADAM_C1]) / s;
		}
	for (; i < n; i++) {
		d = g[i] * h[ADAM_SCALE];
		m[i] = b1 * m[i] + (1.0f - b1) * d;
		v[i] = b2 * v[i] + (1.0f - b2) * d * d;
		s = sqrtf(v[i] * h[ADAM_C2]) + h[ADAM_EPS];
		p[i] = p[i] * keep - h[ADAM_RATE] * (m[i] * h[ADAM_C1]) / s;
	}
}

#ifndef MAT_HEAD
#define MAT_HEAD	0
#endif

const struct mat_kind MAT_KIND = {
	MAT_NAME, MAT_ELEM, MAT_HEAD, mat_enter, mat_pack_a, mat_pack_b,
	mat_block,
	mat_norm, mat_norm_back, mat_gelu, mat_gelu_back, mat_exp_row,
	mat_max_row, mat_scale_row, mat_add_row, mat_dscore_row, mat_dot_row,
	mat_adam_row
};

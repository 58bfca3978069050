/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of the trainer in plain C, for any machine.  mat.h says what
 * each function does.
 */
#include "mat.h"

#include <math.h>
#include <string.h>

/* Nothing to prepare. */
static void
mat_enter(void)
{
}

/* Panels of fp32: for each column, its 32 rows. */
static void
mat_pack(void *out, const float *x, ptrdiff_t rs, ptrdiff_t cs, int rows,
    int k)
{
	float	*o = out;
	int	 i, j, r, n;

	for (r = 0; r < rows; r += MAT_PANEL) {
		n = rows - r < MAT_PANEL ? rows - r : MAT_PANEL;
		for (j = 0; j < MAT_UP(k); j++, o += MAT_PANEL) {
			if (j >= k || n < MAT_PANEL)
				memset(o, 0, MAT_PANEL * sizeof *o);
			for (i = 0; j < k && i < n; i++)
				o[i] = x[(r + i) * rs + j * cs];
		}
	}
}

/* One row of a block. */
static void
mat_block_row(const float *a, const float *b, int K, float *c, int add)
{
	float	 s[MAT_PANEL];
	int	 j, k;

	for (j = 0; j < MAT_PANEL; j++)
		s[j] = add ? c[j] : 0;
	for (k = 0; k < K; k++)
		for (j = 0; j < MAT_PANEL; j++)
			s[j] += a[k * MAT_PANEL] * b[k * MAT_PANEL + j];
	memcpy(c, s, sizeof s);
}

/* A block of 32 x 32. */
static void
mat_block(const void *a, const void *b, int blocks, float *c, ptrdiff_t ldc,
    int add)
{
	int	 i;

	for (i = 0; i < MAT_PANEL; i++)
		mat_block_row((const float *)a + i, b, blocks * MAT_PANEL,
		    c + i * ldc, add);
}

/* Layer norm of a row. */
static void
mat_norm(float *y, const float *x, const float *g, const float *b, int C,
    float eps, float *mean, float *rstd)
{
	double	 s = 0, q = 0;
	int	 i;

	for (i = 0; i < C; i++)
		s += (double)x[i];
	s /= C;
	for (i = 0; i < C; i++)
		q += ((double)x[i] - s) * ((double)x[i] - s);
	*mean = (float)s;
	*rstd = (float)(1 / sqrt(q / C + (double)eps));
	for (i = 0; i < C; i++)
		y[i] = (x[i] - *mean) * *rstd * g[i] + b[i];
}

/* Its gradient. */
static void
mat_norm_back(float *dx, float *dg, float *db, const float *dy,
    const float *x, const float *g, int C, float mean, float rstd)
{
	double	 s1 = 0, s2 = 0;
	float	 h;
	int	 i;

	for (i = 0; i < C; i++) {
		h = (x[i] - mean) * rstd;
		dg[i] += dy[i] * h;
		db[i] += dy[i];
		s1 += (double)(dy[i] * g[i]);
		s2 += (double)(dy[i] * g[i] * h);
	}
	for (i = 0; i < C; i++) {
		h = (x[i] - mean) * rstd;
		dx[i] += rstd * (dy[i] * g[i] - (float)(s1 / C) -
		    h * (float)(s2 / C));
	}
}

/* gelu and its slope. */
static float
mat_gelu_one(float x, int tanh, float *slope)
{
	double	 v = (double)x, s, p;

	if (tanh) {
		s = 1 / (1 + exp(-2 * 0.7978845608028654 *
		    (v + 0.044715 * v * v * v)));
		*slope = (float)(s + v * s * (1 - s) * 2 *
		    0.7978845608028654 * (1 + 3 * 0.044715 * v * v));
		return ((float)(v * s));
	}
	p = 0.5 * erfc(-v * 0.7071067811865476);
	*slope = (float)(p + v * 0.3989422804014327 * exp(-0.5 * v * v));
	return ((float)(v * p));
}

/* gelu of a row. */
static void
mat_gelu(float *y, const float *x, const float *b, int n, int tanh)
{
	float	 slope;
	int	 i;

	for (i = 0; i < n; i++)
		y[i] = mat_gelu_one(x[i] + b[i], tanh, &slope);
}

/* gelu of a row, and its gradient. */
static void
mat_gelu_back(float *y, float *dx, const float *dy, const float *x,
    const float *b, int n, int tanh)
{
	float	 slope;
	int	 i;

	for (i = 0; i < n; i++) {
		y[i] = mat_gelu_one(x[i] + b[i], tanh, &slope);
		dx[i] = dy[i] * slope;
	}
}

/* Exponentials of a row. */
static float
mat_exp_row(float *x, int n, float scale, float shift)
{
	double	 sum = 0;
	int	 i;

	for (i = 0; i < n; i++) {
		x[i] = expf(x[i] * scale - shift);
		sum += (double)x[i];
	}
	return ((float)sum);
}

/* The largest element of a row. */
static float
mat_max_row(const float *x, int n)
{
	float	 m = x[0];
	int	 i;

	for (i = 1; i < n; i++)
		m = x[i] > m ? x[i] : m;
	return (m);
}

/* A row times a number. */
static void
mat_scale_row(float *x, int n, float f)
{
	int	 i;

	for (i = 0; i < n; i++)
		x[i] *= f;
}

/* Add a row times a number. */
static void
mat_add_row(float *y, const float *x, int n, float f)
{
	int	 i;

	for (i = 0; i < n; i++)
		y[i] += f * x[i];
}

/* The gradient of a row of scores. */
static void
mat_dscore_row(float *y, const float *p, int n, float delta, float scale)
{
	int	 i;

	for (i = 0; i < n; i++)
		y[i] = p[i] * (y[i] - delta) * scale;
}

/* The product of two rows. */
static float
mat_dot_row(const float *x, const float *y, int n)
{
	double	 s = 0;
	int	 i;

	for (i = 0; i < n; i++)
		s += (double)(x[i] * y[i]);
	return ((float)s);
}

/* One step of AdamW. */
static void
mat_adam_row(float *p, float *m, float *v, const float *g, int n,
    const float *h)
{
	const float	 keep = 1 - h[ADAM_RATE] * h[ADAM_DECAY];
	float		 d;
	int		 i;

	for (i = 0; i < n; i++) {
		d = g[i] * h[ADAM_SCALE];
		m[i] += (1 - h[ADAM_BETA1]) * (d - m[i]);
		v[i] += (1 - h[ADAM_BETA2]) * (d * d - v[i]);
		p[i] = p[i] * keep - h[ADAM_RATE] * m[i] * h[ADAM_C1] /
		    (sqrtf(v[i] * h[ADAM_C2]) + h[ADAM_EPS]);
	}
}

const struct mat_kind mat_scalar = {
	"scalar", sizeof(float), 0, mat_enter, mat_pack, mat_pack, mat_block,
	mat_norm, mat_norm_back, mat_gelu, mat_gelu_back, mat_exp_row,
	mat_max_row, mat_scale_row, mat_add_row, mat_dscore_row, mat_dot_row,
	mat_adam_row
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference: the kernels as plain loops over single numbers.  They show
 * what the fast variants compute, and in which order each sum is computed.
 * Tests compare every fast variant with them bit by bit.  They are too slow to
 * serve with.  --isa reference runs a whole model on them.  doc/canonical.md
 * describes the same in words.
 *
 * Only the elementary functions are shared with the other variants (vmath.h);
 * reference_one calls them for one number.  Rotation and cache writes are in
 * rotary_reference.c.
 */
#include <math.h>
#include <string.h>

#include "dtype.h"
#include "vec_scalar.h"
#include "vmath.h"

#include "kernels.h"
#include "layout_index.h"
#include "rotary.h"

/* f of one number. */
static float
reference_one(struct v16 (*f)(struct v16), float x)
{
	float	 out[16];

	v16_store(out, f(v16_set1(x)));
	return (out[0]);
}

/* x rounded to bf16, as a float. */
static float
reference_bf16(float x)
{
	uint16_t	 h = dtype_bf16(x);

	dtype_to_f32(DTYPE_BF16, &h, &x, 1);
	return (x);
}

/* Convert an fp16 to a float. */
static float
reference_half(uint16_t h)
{
	float	 x;

	dtype_to_f32(DTYPE_F16, &h, &x, 1);
	return (x);
}

/* Weight (n, k) of a product in fp32 or bf16. */
static float
reference_weight(const struct matmul *m, int n, int k)
{
	const size_t	 i = layout_index(m->elem, (size_t)m->K, (size_t)n,
			    (size_t)k);
	float		 x;

	if (m->elem == ELEM_F32)
		return (((const float *)m->w)[i]);
	dtype_to_f32(DTYPE_BF16, (const uint16_t *)m->w + i, &x, 1);
	return (x);
}

/* Weight (n, k) of a product in int8 or int4, as an integer without scale. */
static int
reference_integer(const struct matmul *m, int n, int k)
{
	const size_t	 i = layout_index(m->elem, ROUND_UP((size_t)m->K, 64),
			    (size_t)n, (size_t)k);
	const int	 u = ((const uint8_t *)m->w)[i];

	return (m->elem == ELEM_I8 ? u - 128 :
	    (u >> layout_shift((size_t)k) & 15) - 8);
}

/* The scale of weight (n, k) in int8 or int4. */
static float
reference_scale(const struct matmul *m, int n, int k)
{
	const size_t	 i = layout_scale(m->elem, ROUND_UP((size_t)m->K, 64),
			    (size_t)n, (size_t)k);

	return (m->elem == ELEM_I8 ? ((const float *)m->scales)[i] :
	    reference_half(((const uint16_t *)m->scales)[i]));
}

/* Row r times column n in fp32 or bf16: two chains for every 32 k. */
static float
reference_dense(const struct matmul *m, int r, int n)
{
	const float	*a = m->a + (size_t)r * m->lda;
	float		 sum = 0, even, odd;
	int		 k, b;

	for (b = 0; b < m->K; b += 32) {
		even = odd = 0;
		for (k = b; k < b + 32 && k < m->K; k += 2) {
			even = fmaf(a[k], reference_weight(m, n, k), even);
			odd = fmaf(a[k + 1], reference_weight(m, n, k + 1),
			    odd);
		}
		sum += even + odd;
	}
	return (sum);
}

/* Row r times column n in int8 or int4: exact sums of integers, and a separate
 * sum over the outliers of the row. */
static float
reference_quantized(const struct matmul *m, int r, int n)
{
	const struct qrows	*q = m->q;
	const int8_t		*x = q->q + (size_t)r * q->ld;
	const int32_t		*outlier = q->outlier + (size_t)r * q->ld;
	const float		*a = m->a + (size_t)r * m->lda;
	float			 sum = 0, far = 0, w;
	int64_t			 exact = 0;
	int			 k, i;

	for (i = 0; i < q->noutliers[r]; i++) {
		k = outlier[i];
		w = (float)reference_integer(m, n, k);
		if (m->elem == ELEM_I4)
			w *= reference_scale(m, n, k);
		far = fmaf(a[k], w, far);
	}
	for (k = 0; k < ROUND_UP(m->K, 64); k++) {
		exact += x[k] * reference_integer(m, n, k);
		if (m->elem == ELEM_I4 && k % GROUP == GROUP - 1) {
			sum = fmaf((float)exact, reference_scale(m, n, k),
			    sum);
			exact = 0;
		}
	}
	if (m->elem == ELEM_I4)
		return (fmaf(sum, q->scale[r], far));
	return (fmaf((float)exact, q->scale[r], far) *
	    reference_scale(m, n, 0));
}

/* Finish the sum x of row r and column n. */
static void
reference_end(const struct matmul *m, int r, int n, float x)
{
	const size_t	 at = (size_t)r * m->ldo + (size_t)n;

	if (m->bias != NULL)
		x += m->bias[n];
	if (m->end == MM_ROWS) {
		if (n < m->N)
			m->outs[r][n] = x;
		return;
	}
	if (m->end == MM_GELU_ERF)
		x = reference_one(v16_gelu_erf, x);
	else if (m->end == MM_GELU_TANH)
		x = reference_one(v16_gelu_tanh, x);
	else if (m->end == MM_ADD)
		x = m->out[at] + x;
	else if (m->end == MM_ADD2)
		x = m->out[at] + (m->also[at] + x);
	if (m->round)
		x = reference_bf16(x);
	if (m->out16 == NULL)
		m->out[at] = x;
	else if (n < m->N)
		m->out16[(size_t)r * m->ldo16 + (size_t)n] = dtype_bf16(x);
}

/* Panels first to last - 1 of a product. */
static void
reference_matmul(const struct matmul *m, int first, int last)
{
	int	 r, n;

	for (r = 0; r < m->rows; r++)
		for (n = first * PANEL; n < last * PANEL; n++)
			reference_end(m, r, n, ELEM_QUANTIZED(m->elem) ?
			    reference_quantized(m, r, n) :
			    reference_dense(m, r, n));
}

/* The sum of n numbers: 16 lanes, then the upper half of the lanes is added to
 * the lower half until one is left. */
static float
reference_sum(const float *x, int n)
{
	float	 lane[16] = { 0 };
	int	 i, half;

	for (i = 0; i < n; i++)
		lane[i % 16] += x[i];
	for (half = 8; half > 0; half /= 2)
		for (i = 0; i < half; i++)
			lane[i] += lane[i + half];
	return (lane[0]);
}

/* The first half of a layer norm: mean, and 1 / standard deviation. */
static void
reference_moments(const float *x, int n, float eps, float *mean, float *rstd)
{
	float	 lane[16] = { 0 };
	int	 i, half;

	*mean = reference_sum(x, n) / (float)n;
	for (i = 0; i < n; i++)
		lane[i % 16] = fmaf(x[i] - *mean, x[i] - *mean, lane[i % 16]);
	for (half = 8; half > 0; half /= 2)
		for (i = 0; i < half; i++)
			lane[i] += lane[i + half];
	*rstd = 1.0f / sqrtf(lane[0] / (float)n + eps);
}

/* The second half of a layer norm. */
static void
reference_normalize(const float *x, int n, float mean, float rstd,
    const float *gain, const float *bias, int round, float *out)
{
	int	 i;

	for (i = 0; i < ROUND_UP(n, PANEL); i++) {
		out[i] = fmaf((x[i] - mean) * rstd, gain[i], bias[i]);
		if (round)
			out[i] = reference_bf16(out[i]);
	}
}

/* Convert floats to bf16. Each is a bf16 already. */
static void
reference_narrow(const float *x, int n, uint16_t *out)
{
	int	 i;

	for (i = 0; i < n; i++)
		out[i] = dtype_bf16(x[i]);
}

/* Is x an outlier? NaN is one. */
static int
reference_is_outlier(float x)
{
	return (!(fabsf(x) <= OUTLIER));
}

/* Round a row to int8; outliers are listed and count as zero. */
static void
reference_quantize(const float *x, int K, const struct qrows *q, int row)
{
	int8_t	*out = q->q + (size_t)row * q->ld;
	int32_t	*sums = q->sums + (size_t)row * (q->ld / GROUP);
	float	 top = 0, inv;
	int	 k, n = 0;

	for (k = 0; k < K; k++) {
		if (reference_is_outlier(x[k]))
			q->outlier[(size_t)row * q->ld + (size_t)n++] = k;
		else if (fabsf(x[k]) > top)
			top = fabsf(x[k]);
	}
	q->noutliers[row] = n;
	q->scale[row] = top / 127.0f;
	inv = q->scale[row] > 0 ? 1.0f / q->scale[row] : 0;
	q->total[row] = 0;
	for (k = 0; k < ROUND_UP(K, 64); k++) {
		if (k % GROUP == 0)
			sums[k / GROUP] = 0;
		/* the product is not rounded before it becomes an integer */
		out[k] = k < K && !reference_is_outlier(x[k]) ?
		    (int8_t)rint((double)x[k] * (double)inv) : 0;
		sums[k / GROUP] += out[k];
		q->total[row] += out[k];
	}
}

/* Lane i of the key (value = 0) or value (value = 1) at position pos, without
 * its scale. */
static float
reference_cached(const struct attend *a, const int32_t *blocks, int h,
    int value, int pos, int i)
{
	const struct kv_shape *kv = &a->kv;
	const int32_t	 block = blocks[pos / KV_BLOCK];
	const uint8_t	*p = a->cache + (value ? kv_values(kv, h, block) :
			    kv_keys(kv, h, block));
	const size_t	 at = (size_t)(pos % KV_BLOCK), lane = (size_t)i;
	const size_t	 j = value ? layout_index(kv->elem, KV_BLOCK, lane,
			    at) : layout_index(kv->elem, (size_t)kv->D, at,
			    lane);
	float		 x;

	if (kv->elem == ELEM_F32)
		return (((const float *)(const void *)p)[j]);
	if (kv->elem == ELEM_Q8)
		return ((float)((const int8_t *)p)[j]);
	dtype_to_f32(DTYPE_BF16, (const uint16_t *)(const void *)p + j, &x, 1);
	return (x);
}

/* The scale of a key or value in int8; 1 for other types. */
static float
reference_cached_scale(const struct attend *a, const int32_t *blocks, int h,
    int value, int pos)
{
	const struct kv_shape *kv = &a->kv;
	const int32_t	 block = blocks[pos / KV_BLOCK];
	const uint8_t	*p = a->cache + (value ? kv_values(kv, h, block) +
			    kv->values : kv_keys(kv, h, block) + kv->keys);
	float		 scale;

	if (kv->elem != ELEM_Q8)
		return (1);
	memcpy(&scale, p - KV_SCALES + (size_t)(pos % KV_BLOCK) *
	    sizeof scale, sizeof scale);
	return (scale);
}

/* The score of position pos for a query of D lanes. */
static float
reference_score(const struct attend *a, const float *q,
    const int32_t *blocks, int h, int pos)
{
	float	 sum = 0, even, odd;
	int	 i, b;

	for (b = 0; b < a->kv.D; b += 32) {
		even = odd = 0;
		for (i = b; i < b + 32 && i < a->kv.D; i += 2) {
			even = fmaf(q[i], reference_cached(a, blocks, h, 0,
			    pos, i), even);
			odd = fmaf(q[i + 1], reference_cached(a, blocks, h, 0,
			    pos, i + 1), odd);
		}
		sum += even + odd;
	}
	return (sum * reference_cached_scale(a, blocks, h, 0, pos) *
	    a->scale);
}

/* Turn n scores into weights, in place. Returns the sum of the unrounded
 * weights. */
static float
reference_softmax(float *w, int n, int round)
{
	float	 max = -INFINITY, sum;
	int	 j;

	for (j = 0; j < n; j++)
		if (w[j] > max)
			max = w[j];
	for (j = 0; j < n; j++)
		w[j] = reference_one(v16_exp, w[j] - max);
	sum = reference_sum(w, n);
	for (j = 0; j < n && round; j++)
		w[j] = reference_bf16(w[j]);
	return (sum);
}

/* The sum of weight times value over n positions, for lane i. */
static float
reference_mix(const struct attend *a, const float *w, const int32_t *blocks,
    int h, int n, int i)
{
	float	 sum = 0, chain[2];
	int	 j, b;

	for (b = 0; b < n; b += KV_BLOCK) {
		chain[0] = chain[1] = 0;
		for (j = b; j < b + KV_BLOCK && j < n; j++)
			chain[j % 2] = fmaf(w[j], reference_cached(a, blocks,
			    h, 1, j, i), chain[j % 2]);
		sum += chain[0] + chain[1];
	}
	return (sum);
}

/* Attention of head h, row by row. */
static void
reference_attend(const struct attend *a, int h, int first, int last,
    float *w)
{
	const int	 D = a->kv.D, round = a->kv.elem != ELEM_F32;
	const int32_t	*blocks;
	const float	*q;
	float		 sum, x;
	int		 t, j, i, n;

	for (t = first; t < last; t++) {
		q = a->qkv + (size_t)t * a->ldqkv + (size_t)h * 3 * (size_t)D;
		blocks = a->rows[t].blocks;
		n = a->rows[t].pos + 1;
		for (j = 0; j < n; j++)
			w[j] = reference_score(a, q, blocks, h, j);
		sum = reference_softmax(w, n, a->kv.elem == ELEM_BF16);
		for (j = 0; j < n; j++)
			w[j] *= reference_cached_scale(a, blocks, h, 1, j);
		for (i = 0; i < D; i++) {
			x = reference_mix(a, w, blocks, h, n, i) / sum;
			x = round ? reference_bf16(x) : x;
			if (a->out16 != NULL)
				a->out16[(size_t)t * a->ldo16 + (size_t)(h *
				    D + i)] = dtype_bf16(x);
			else
				a->out[(size_t)t * a->ldo + (size_t)(h * D +
				    i)] = x;
		}
	}
}

/* Loops for roofline.c: those of kernels_scalar. */
static float
reference_read(const uint8_t *p, size_t n)
{
	return (kernels_scalar.read(p, n));
}

static float
reference_spin_fma(int rounds)
{
	return (kernels_scalar.spin_fma(rounds));
}

static float
reference_spin_dot8(int rounds)
{
	return (kernels_scalar.spin_dot8(rounds));
}

#define REFERENCE_MAP(name, f)						\
static void								\
name(const float *in, float *out, int n)				\
{									\
	int	 i;							\
									\
	for (i = 0; i < n; i++)						\
		out[i] = reference_one(f, in[i]);			\
}

/* Elementwise functions, for tests. */
REFERENCE_MAP(reference_exp, v16_exp)
REFERENCE_MAP(reference_gelu_erf, v16_gelu_erf)
REFERENCE_MAP(reference_gelu_tanh, v16_gelu_tanh)
REFERENCE_MAP(reference_round_bf16, v16_round_bf16)

const struct kernels kernels_reference = {
	.name = "reference",
	.matmul = reference_matmul,
	.moments = reference_moments,
	.normalize = reference_normalize,
	.narrow = reference_narrow,
	.quantize = reference_quantize,
	.rotary = rotary_reference_head,
	.attend_rows = 1,
	.attend = reference_attend,
	.read = reference_read,
	.spin_fma = reference_spin_fma,
	.spin_dot8 = reference_spin_dot8,
	.exp = reference_exp,
	.gelu_erf = reference_gelu_erf,
	.gelu_tanh = reference_gelu_tanh,
	.round_bf16 = reference_round_bf16
};

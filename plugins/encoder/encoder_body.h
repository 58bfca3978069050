/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of encoder_*.c: the inner loops of encoder_kernels.h, over eight
 * lanes.  An instruction set includes this file after it has defined
 *
 *	BODY_NAME	its struct encoder_kernels
 *	BODY_ISA	its name
 *	body_gemm	its gemm
 *	body_bytes(a, b, out)	16 integers, clamped to 0..255, as bytes
 *
 * The compiler turns the lanes into what the processor has.  It must not fuse
 * multiplications and additions (-ffp-contract=off).
 */
#include <math.h>
#include <string.h>

#define LANES	8
#define ROUNDER	12582912.0f		/* 1.5 * 2^23: adds to an integer */
#define INLINE	static inline __attribute__((always_inline))

/* Load lanes from any address. */
INLINE v8f
body_load(const float *p)
{
	v8f	 v;

	memcpy(&v, p, sizeof v);
	return (v);
}

/* Store lanes. */
INLINE void
body_store(float *p, v8f v)
{
	memcpy(p, &v, sizeof v);
}

/* All lanes the same. */
INLINE v8f
body_all(float f)
{
	return ((v8f){ f, f, f, f, f, f, f, f });
}

/* a where the mask is set, else b. */
INLINE v8f
body_pick(v8i mask, v8f a, v8f b)
{
	return ((v8f)(((v8i)a & mask) | ((v8i)b & ~mask)));
}

/* The larger of each lane. */
INLINE v8f
body_max(v8f a, v8f b)
{
	return (body_pick(a > b, a, b));
}

/* The smaller of each lane. */
INLINE v8f
body_min(v8f a, v8f b)
{
	return (body_pick(a < b, a, b));
}

/* The sum of the lanes, always in this order. */
INLINE float
body_sum(v8f v)
{
	return (((v[0] + v[4]) + (v[2] + v[6])) +
	    ((v[1] + v[5]) + (v[3] + v[7])));
}

/* The largest lane. */
INLINE float
body_top(v8f v)
{
	float	 m = v[0];
	int	 i;

	for (i = 1; i < LANES; i++)
		m = v[i] > m ? v[i] : m;
	return (m);
}

/* The nearest integers, for |v| below 2^22. */
INLINE v8i
body_round(v8f v)
{
	return ((v8i)(v + ROUNDER) - (v8i)body_all(ROUNDER));
}

/* e^v for v <= 0; at -87 and below, e^-87.  Relative error below 2e-7. */
INLINE v8f
body_exp(v8f v)
{
	v8f	 n, r, p;

	v = body_max(v, body_all(-87.0f));
	n = (v * 1.44269504f + ROUNDER) - ROUNDER;
	r = v - n * 0.693359375f;
	r = r - n * -2.12194440e-4f;
	p = r * (1.0f / 5040) + 1.0f / 720;
	p = p * r + 1.0f / 120;
	p = p * r + 1.0f / 24;
	p = p * r + 1.0f / 6;
	p = p * r + 0.5f;
	p = p * r + 1.0f;
	p = p * r + 1.0f;
	return (p * (v8f)((body_round(n) + 127) << 23));
}

/* Round one row of k floats to bytes. */
INLINE void
body_quantize_row(float *x, size_t k, const float *shift, const float *mul,
    uint8_t *q8, float *scale, int32_t *zero)
{
	v8f	 low = body_all(0), high = body_all(0), v, inv, off;
	size_t	 j;
	float	 lo, hi, range, z;

	for (j = 0; j < k; j += LANES) {
		v = body_load(x + j);
		if (shift != NULL) {
			v = (v - body_load(shift + j)) * body_load(mul + j);
			body_store(x + j, v);
		}
		low = body_min(v, low);
		high = body_max(v, high);
	}
	lo = -body_top(-low);
	hi = body_top(high);
	range = hi - lo;
	if (!(range > 1e-30f))
		range = 1e-30f;
	inv = body_all(255.0f / range);
	z = (-lo * (255.0f / range) + ROUNDER) - ROUNDER;
	off = body_all(z);
	for (j = 0; j < k; j += 2 * LANES)
		body_bytes(body_round(body_load(x + j) * inv + off),
		    body_round(body_load(x + j + LANES) * inv + off), q8 + j);
	*scale = range / 255.0f;
	*zero = body_round(off)[0];
}

/* See encoder_kernels.h. */
static void
body_quantize(float *x, size_t ld, size_t rows, size_t k, const float *shift,
    const float *mul, uint8_t *q8, float *scale, int32_t *zero)
{
	size_t	 t;

	for (t = 0; t < rows; t++)
		body_quantize_row(x + t * ld, k, shift, mul, q8 + t * k,
		    scale + t, zero + t);
}

/* See encoder_kernels.h. */
static void
body_norm(float *x, const float *add, size_t rows, size_t h,
    const float *gamma, const float *beta, float eps)
{
	v8f	 sum, v, mean, inv;
	size_t	 t, j;

	for (t = 0; t < rows; t++, x += h) {
		sum = body_all(0);
		for (j = 0; j < h; j += LANES) {
			v = body_load(x + j);
			if (add != NULL) {
				v = v + body_load(add + t * h + j);
				body_store(x + j, v);
			}
			sum = sum + v;
		}
		mean = body_all(body_sum(sum) / (float)h);
		sum = body_all(0);
		for (j = 0; j < h; j += LANES) {
			v = body_load(x + j) - mean;
			sum = sum + v * v;
		}
		inv = body_all(1.0f / sqrtf(body_sum(sum) / (float)h + eps));
		for (j = 0; j < h; j += LANES)
			body_store(x + j, (body_load(x + j) - mean) * inv *
			    body_load(gamma + j) + body_load(beta + j));
	}
}

/*
 * See encoder_kernels.h. GELU is x * (1 + erf(x / sqrt 2)) / 2, and for z >= 0
 * erf(z) = 1 - 1 / (1 + a1 z + ... + a6 z^6)^16 (Abramowitz and Stegun,
 * 7.1.28; error below 3e-7).
 */
static void
body_gelu(float *x, size_t n)
{
	v8f	 v, z, p;
	size_t	 i;

	for (i = 0; i < n; i += LANES) {
		v = body_load(x + i);
		z = (v8f)((v8i)v & 0x7fffffff) * 0.70710678f;
		z = body_min(z, body_all(4.0f));
		p = z * 0.0000430638f + 0.0002765672f;
		p = p * z + 0.0001520143f;
		p = p * z + 0.0092705272f;
		p = p * z + 0.0422820123f;
		p = p * z + 0.0705230784f;
		p = p * z + 1.0f;
		p = p * p;
		p = p * p;
		p = p * p;
		p = 0.5f / (p * p);		/* (1 - erf z) / 2 */
		p = body_pick(v < 0, p, 1.0f - p);
		body_store(x + i, v * p);
	}
}

/* The scores of n queries (1 or 4), which are ld floats apart, for all keys:
 * d lanes of "wide" keys, a multiple of 16. */
INLINE void
body_scores(const float *q, size_t ld, int n, const float *keys, size_t wide,
    size_t d, float *scores)
{
	v8f	 s[4][2], k0, k1, f;
	size_t	 j, i;
	int	 r;

	for (j = 0; j < wide; j += 2 * LANES) {
		UNROLL
		for (r = 0; r < n; r++)
			s[r][0] = s[r][1] = body_all(0);
		for (i = 0; i < d; i++) {
			k0 = body_load(keys + i * wide + j);
			k1 = body_load(keys + i * wide + j + LANES);
			UNROLL
			for (r = 0; r < n; r++) {
				f = body_all(q[(size_t)r * ld + i]);
				s[r][0] = s[r][0] + f * k0;
				s[r][1] = s[r][1] + f * k1;
			}
		}
		UNROLL
		for (r = 0; r < n; r++) {
			body_store(scores + (size_t)r * wide + j, s[r][0]);
			body_store(scores + (size_t)r * wide + j + LANES,
			    s[r][1]);
		}
	}
}

/* Turn the first t of "wide" scores into weights, which sum up to 1. */
INLINE void
body_softmax(float *s, size_t t, size_t wide, float scale)
{
	v8f	 top, sum, v;
	size_t	 j;

	for (j = t; j < wide; j++)
		s[j] = s[0];			/* no key: does not count */
	top = body_load(s);
	for (j = LANES; j < wide; j += LANES)
		top = body_max(top, body_load(s + j));
	top = body_all(body_top(top));
	for (j = 0; j < wide; j += LANES)
		body_store(s + j, body_exp((body_load(s + j) - top) * scale));
	for (j = t; j < wide; j++)
		s[j] = 0;
	sum = body_all(0);
	for (j = 0; j < wide; j += LANES)
		sum = sum + body_load(s + j);
	v = body_all(1.0f / body_sum(sum));
	for (j = 0; j < wide; j += LANES)
		body_store(s + j, body_load(s + j) * v);
}

/* The weighted sum of t values, for n queries (1 or 4) and "vecs" times eight
 * lanes (1 or 2). Values are ld floats apart, results h. */
INLINE void
body_mix(const float *scores, size_t wide, int n, int vecs, const float *val,
    size_t ld, size_t t, float *ctx, size_t h)
{
	v8f	 s[4][2], v[2], f;
	size_t	 j;
	int	 r, c;

	UNROLL
	for (r = 0; r < n; r++)
		UNROLL
		for (c = 0; c < vecs; c++)
			s[r][c] = body_all(0);
	for (j = 0; j < t; j++) {
		UNROLL
		for (c = 0; c < vecs; c++)
			v[c] = body_load(val + j * ld + (size_t)c * LANES);
		UNROLL
		for (r = 0; r < n; r++) {
			f = body_all(scores[(size_t)r * wide + j]);
			UNROLL
			for (c = 0; c < vecs; c++)
				s[r][c] = s[r][c] + f * v[c];
		}
	}
	UNROLL
	for (r = 0; r < n; r++)
		UNROLL
		for (c = 0; c < vecs; c++)
			body_store(ctx + (size_t)r * h + (size_t)c * LANES,
			    s[r][c]);
}

/* Attention of n queries (1 or 4) of one head. */
INLINE void
body_head(const float *q, size_t ld, int n, const float *keys, size_t wide,
    const float *val, size_t t, size_t d, float *scores, float *ctx, size_t h)
{
	float	 scale = 1.0f / sqrtf((float)d);
	size_t	 i;
	int	 r;

	body_scores(q, ld, n, keys, wide, d, scores);
	for (r = 0; r < n; r++)
		body_softmax(scores + (size_t)r * wide, t, wide, scale);
	for (i = 0; i + 2 * LANES <= d; i += 2 * LANES)
		body_mix(scores, wide, n, 2, val + i, ld, t, ctx + i, h);
	if (i < d)
		body_mix(scores, wide, n, 1, val + i, ld, t, ctx + i, h);
}

/* See encoder_kernels.h. */
static void
body_attend(const float *qkv, size_t rows, size_t queries, size_t heads,
    size_t d, float *keys, float *scores, float *ctx)
{
	size_t		 h = heads * d, ld = 3 * h, head, t, i;
	size_t		 wide = (rows + 15) / 16 * 16;
	const float	*q;

	for (head = 0; head < heads; head++) {
		q = qkv + head * d;
		for (i = 0; i < d; i++) {
			for (t = 0; t < rows; t++)
				keys[i * wide + t] = q[t * ld + h + i];
			for (; t < wide; t++)
				keys[i * wide + t] = 0;
		}
		for (t = 0; t + 4 <= queries; t += 4)
			body_head(q + t * ld, ld, 4, keys, wide, q + 2 * h,
			    rows, d, scores, ctx + t * h + head * d, h);
		for (; t < queries; t++)
			body_head(q + t * ld, ld, 1, keys, wide, q + 2 * h,
			    rows, d, scores, ctx + t * h + head * d, h);
	}
}

const struct encoder_kernels BODY_NAME = {
	.name = BODY_ISA,
	.gemm = body_gemm,
	.quantize = body_quantize,
	.norm = body_norm,
	.gelu = body_gelu,
	.attend = body_attend,
};

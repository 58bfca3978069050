/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Include after vec_scalar.h, or another vec_*.h.  Elementary functions over
 * struct v16: every variant does the same operations and gets the same bits.
 *
 * Largest errors against the exact value, measured by t_vmath.c:
 *   exp        1.5 ulp from -86.5 to 88.5; 0 below, infinity above
 *   gelu_erf   5 ulp of max(|result|, 2^-20) for all x
 *   gelu_tanh  the same from -1 to 1; 20 in the left tail, because there the
 *              rounding error of u is multiplied by u
 * The polynomials are interpolations at Chebyshev nodes, computed in double.
 */
#ifndef CPU_VMATH_H
#define CPU_VMATH_H

/* exp(x): x = n ln 2 + r, |r| <= ln(2)/2; 2^n goes into the exponent. */
VEC_INLINE struct v16
v16_exp(struct v16 x)
{
	/* 1.5 * 2^23: after adding it, the low bits are n. */
	const struct v16 magic = v16_set1(12582912.0f);
	struct v16	 t, n, r, p;

	t = v16_fma(x, v16_set1(1.44269504f), magic);
	n = v16_sub(t, magic);
	/* ln 2 in two parts; n times the first part is exact */
	r = v16_fma(n, v16_set1(-0.693359375f), x);
	r = v16_fma(n, v16_set1(2.12194440e-4f), r);
	p = v16_set1(0.0013926184f);
	p = v16_fma(p, r, v16_set1(0.008363179f));
	p = v16_fma(p, r, v16_set1(0.041666556f));
	p = v16_fma(p, r, v16_set1(0.16666577f));
	p = v16_fma(p, r, v16_set1(0.5f));
	p = v16_fma(p, v16_mul(r, r), r);
	p = v16_scale(v16_add(p, v16_set1(1.0f)), t);
	p = v16_where_lt(x, v16_set1(-86.5f), v16_set1(0.0f), p);
	return (v16_where_lt(v16_set1(88.5f), x,
	    v16_set1(__builtin_inff()), p));
}

/*
 * x * Phi(x).  With z = |x|, the upper tail Q(z) of the normal distribution
 * is exp(-z^2 / 2) * g(t) / (z + 3), t = (z - 3) / (z + 3).  g is nearly flat.
 * A polynomial gives it for z up to 14; there Q is below 1e-44.
 */
VEC_INLINE struct v16
v16_gelu_erf(struct v16 x)
{
	static const float g[] = { 5.51746234e-05f, 0.00013282591f,
		-0.000244483934f, -0.00103389134f, 0.00102415762f,
		0.00696968939f, -0.0104623111f, -0.0472627282f, 0.230017677f,
		-0.509332001f, 0.729083717f };
	const struct v16 zero = v16_set1(0.0f), half = v16_set1(-0.5f);
	const struct v16 one = v16_set1(1.0f), three = v16_set1(3.0f);
	struct v16	 z, h, low, e, inv, t, p, q;

	z = v16_min(v16_set1(14.0f), v16_max(x, v16_sub(zero, x)));
	h = v16_mul(z, z);
	low = v16_fma(z, z, v16_sub(zero, h));	/* rounding error of h */
	e = v16_exp(v16_mul(h, half));
	e = v16_fma(v16_mul(e, half), low, e);
	inv = v16_div(one, v16_add(z, three));
	t = v16_mul(v16_sub(z, three), inv);
	p = v16_set1(g[0]);
	for (unsigned i = 1; i < sizeof g / sizeof g[0]; i++)
		p = v16_fma(p, t, v16_set1(g[i]));
	q = v16_mul(v16_mul(v16_mul(e, p), inv), z);
	return (v16_sub(v16_where_lt(x, zero, zero, x), q));
}

/*
 * x/2 * (1 + tanh(u)), u = sqrt(2/pi) * (x + 0.044715 x^3), computed as
 * x / (1 + exp(-2u)), which is equal and has no cancellation.
 */
VEC_INLINE struct v16
v16_gelu_tanh(struct v16 x)
{
	struct v16	 u;

	u = v16_fma(v16_mul(x, x), v16_set1(-0.0713548163f),
	    v16_set1(-1.59576912f));
	u = v16_exp(v16_mul(u, x));
	return (v16_div(x, v16_add(v16_set1(1.0f), u)));
}

#endif

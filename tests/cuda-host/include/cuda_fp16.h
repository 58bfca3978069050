/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fp16 for the CPU: conversions rounded to nearest even, and arithmetic on one
 * and on two values, each operation rounded once as on a GPU.
 */
#ifndef SIMT_CUDA_FP16_H
#define SIMT_CUDA_FP16_H

#include "cuda_runtime.h"

struct __half;
inline __half __float2half_rn(float a);
inline float __half2float(__half a);

struct __half {
	unsigned short bits;

	__half() = default;
	inline __half(float a);
	inline operator float() const;
};
typedef __half half;

struct alignas(4) __half2 {
	__half x, y;
};
typedef __half2 half2;

inline __half
__ushort_as_half(unsigned short bits)
{
	__half a;

	a.bits = bits;
	return (a);
}

inline unsigned short
__half_as_ushort(__half a)
{
	return (a.bits);
}

/* Round a number, given as a double, to fp16. A NaN becomes 0x7fff, as on a
 * GPU. */
inline __half
simt_round_half(double a)
{
	unsigned short	 sign = signbit(a) ? 0x8000 : 0;
	double		 size = fabs(a), n;
	int		 e;

	if (a != a)
		return (__ushort_as_half(0x7fff));
	if (size >= 65520)
		return (__ushort_as_half(sign | 0x7c00));
	if (size < ldexp(1, -14)) {	/* in steps of 2^-24 */
		n = nearbyint(ldexp(size, 24));
		return (__ushort_as_half((unsigned short)(sign | (int)n)));
	}
	e = ilogb(size);
	n = nearbyint(ldexp(size, 10 - e));	/* 1024 .. 2048 */
	return (__ushort_as_half((unsigned short)(sign |
	    (((e + 14) << 10) + (int)n))));
}

/* The same by integers, since most conversions come from a float. */
inline __half
__float2half_rn(float a)
{
	unsigned u = __float_as_uint(a), sign = u >> 16 & 0x8000, odd, n;
	int	 shift;

	u &= 0x7fffffff;
	if (u > 0x7f800000)
		return (__ushort_as_half(0x7fff));
	if (u >= 0x477ff000)		/* 65520 and more */
		return (__ushort_as_half((unsigned short)(sign | 0x7c00)));
	if (u >= 0x38800000) {		/* 2^-14 and more: the same exponents */
		odd = u >> 13 & 1;
		n = (u - 0x38000000 + 0xfff + odd) >> 13;
		return (__ushort_as_half((unsigned short)(sign | n)));
	}
	if (u < 0x33000000)		/* less than half of 2^-24 */
		return (__ushort_as_half((unsigned short)sign));
	shift = 126 - (int)(u >> 23);	/* 14 .. 24 */
	n = (u & 0x7fffff) | 0x800000;
	odd = n >> shift & 1;
	n = (n + (1u << (shift - 1)) - 1 + odd) >> shift;
	return (__ushort_as_half((unsigned short)(sign | n)));
}

inline float
__half2float(__half a)
{
	unsigned sign = (a.bits & 0x8000u) << 16, e = a.bits >> 10 & 31;
	unsigned m = a.bits & 0x3ffu;

	if (e == 31)
		return (__uint_as_float(sign | 0x7f800000 | m << 13));
	if (e == 0) {			/* steps of 2^-24: exact */
		float v = (float)m * 0x1p-24f;

		return (sign != 0 ? -v : v);
	}
	return (__uint_as_float(sign | (e + 112) << 23 | m << 13));
}

inline __half::__half(float a) : bits(__float2half_rn(a).bits)
{
}

inline __half::operator float() const
{
	return (__half2float(*this));
}

inline __half
__float2half(float a)
{
	return (__float2half_rn(a));
}

inline __half2
__halves2half2(__half a, __half b)
{
	return { a, b };
}

inline __half2
__half2half2(__half a)
{
	return { a, a };
}

inline __half2
__float2half2_rn(float a)
{
	return { __float2half_rn(a), __float2half_rn(a) };
}

inline __half2
__floats2half2_rn(float a, float b)
{
	return { __float2half_rn(a), __float2half_rn(b) };
}

inline __half2
__float22half2_rn(float2 a)
{
	return (__floats2half2_rn(a.x, a.y));
}

inline float2
__half22float2(__half2 a)
{
	return { __half2float(a.x), __half2float(a.y) };
}

inline __half __low2half(__half2 a) { return (a.x); }
inline __half __high2half(__half2 a) { return (a.y); }
inline float __low2float(__half2 a) { return (__half2float(a.x)); }
inline float __high2float(__half2 a) { return (__half2float(a.y)); }

/* Sums and products of two fp16 are exact in a double; a sum of a product and
 * an fp16 nearly so. */
inline __half
__hfma(__half a, __half b, __half c)
{
	return (simt_round_half(fma((double)__half2float(a),
	    (double)__half2float(b), (double)__half2float(c))));
}

inline __half
__hadd(__half a, __half b)
{
	return (simt_round_half((double)__half2float(a) + __half2float(b)));
}

inline __half
__hsub(__half a, __half b)
{
	return (simt_round_half((double)__half2float(a) - __half2float(b)));
}

inline __half
__hmul(__half a, __half b)
{
	return (simt_round_half((double)__half2float(a) * __half2float(b)));
}

inline __half2
__hadd2(__half2 a, __half2 b)
{
	return { __hadd(a.x, b.x), __hadd(a.y, b.y) };
}

inline __half2
__hsub2(__half2 a, __half2 b)
{
	return { __hsub(a.x, b.x), __hsub(a.y, b.y) };
}

inline __half2
__hmul2(__half2 a, __half2 b)
{
	return { __hmul(a.x, b.x), __hmul(a.y, b.y) };
}

inline __half2
__hfma2(__half2 a, __half2 b, __half2 c)
{
	return { __hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y) };
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* bf16 for the CPU: storage and conversions, rounded to nearest even. */
#ifndef SIMT_CUDA_BF16_H
#define SIMT_CUDA_BF16_H

#include "cuda_runtime.h"

struct __nv_bfloat16;
inline __nv_bfloat16 __float2bfloat16_rn(float a);
inline float __bfloat162float(__nv_bfloat16 a);

struct __nv_bfloat16 {
	unsigned short bits;

	__nv_bfloat16() = default;
	inline __nv_bfloat16(float a);
	inline operator float() const;
};
typedef __nv_bfloat16 nv_bfloat16;

struct alignas(4) __nv_bfloat162 {
	__nv_bfloat16 x, y;
};
typedef __nv_bfloat162 nv_bfloat162;

inline __nv_bfloat16
__ushort_as_bfloat16(unsigned short bits)
{
	__nv_bfloat16 a;

	a.bits = bits;
	return (a);
}

inline unsigned short
__bfloat16_as_ushort(__nv_bfloat16 a)
{
	return (a.bits);
}

/* A NaN becomes 0x7fff, as on a GPU. */
inline __nv_bfloat16
__float2bfloat16_rn(float a)
{
	unsigned u = __float_as_uint(a);

	if (a != a)
		return (__ushort_as_bfloat16(0x7fff));
	return (__ushort_as_bfloat16((unsigned short)(
	    (u + 0x7fff + (u >> 16 & 1)) >> 16)));
}

inline float
__bfloat162float(__nv_bfloat16 a)
{
	return (__uint_as_float((unsigned)a.bits << 16));
}

inline __nv_bfloat16::__nv_bfloat16(float a) : bits(__float2bfloat16_rn(a).bits)
{
}

inline __nv_bfloat16::operator float() const
{
	return (__bfloat162float(*this));
}

inline __nv_bfloat16
__float2bfloat16(float a)
{
	return (__float2bfloat16_rn(a));
}

inline __nv_bfloat162
__floats2bfloat162_rn(float a, float b)
{
	return { __float2bfloat16_rn(a), __float2bfloat16_rn(b) };
}

inline __nv_bfloat162
__float22bfloat162_rn(float2 a)
{
	return (__floats2bfloat162_rn(a.x, a.y));
}

inline float2
__bfloat1622float2(__nv_bfloat162 a)
{
	return { __bfloat162float(a.x), __bfloat162float(a.y) };
}

inline float
__low2float(__nv_bfloat162 a)
{
	return (__bfloat162float(a.x));
}

inline float
__high2float(__nv_bfloat162 a)
{
	return (__bfloat162float(a.y));
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of device.h: arithmetic on pairs of 16-bit numbers, selection of
 * bytes, the transposition of a small matrix, powers of two, and the
 * bits of a double.
 */
#ifndef CUDA_DEVICE_MATH_H
#define CUDA_DEVICE_MATH_H

/* Four bytes out of the eight of b:a, chosen by the nibbles of SEL: 0 to 3 are
 * the bytes of a, 4 to 7 those of b. */
template <unsigned SEL>
__device__ __forceinline__ uint32_t
byte_perm(uint32_t a, uint32_t b)
{
#ifdef CUDA_HOST
	const uint64_t	 all = (uint64_t)b << 32 | a;
	uint32_t	 d = 0;

	simt_count(SIMT_LOP3);
	for (int i = 0; i < 4; i++)
		d |= (uint32_t)(all >> 8 * (SEL >> 4 * i & 7) & 0xff) << 8 * i;
	return (d);
#else
	return (__byte_perm(a, b, SEL));
#endif
}

/* The bits of a double. */
__device__ __forceinline__ uint64_t
double_bits(double x)
{
#ifdef CUDA_HOST
	uint64_t b;

	memcpy(&b, &x, sizeof b);
	return (b);
#else
	return ((uint64_t)__double_as_longlong(x));
#endif
}

/* Two fp16 in a word, each rounded once: a - b, a * b, a * b + c. */
__device__ __forceinline__ uint32_t
sub_f16x2(uint32_t a, uint32_t b)
{
#ifdef CUDA_HOST
	const float2	 x = unpack_f16x2(a), y = unpack_f16x2(b);

	simt_count(SIMT_LOP3);
	return (pack_f16x2(x.x - y.x, x.y - y.y));
#else
	uint32_t d;

	asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
	return (d);
#endif
}

__device__ __forceinline__ uint32_t
mul_f16x2(uint32_t a, uint32_t b)
{
#ifdef CUDA_HOST
	const float2	 x = unpack_f16x2(a), y = unpack_f16x2(b);

	simt_count(SIMT_LOP3);
	return (pack_f16x2(x.x * y.x, x.y * y.y));
#else
	uint32_t d;

	asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
	return (d);
#endif
}

__device__ __forceinline__ uint32_t
fma_f16x2(uint32_t a, uint32_t b, uint32_t c)
{
#ifdef CUDA_HOST
	const float2	 x = unpack_f16x2(a), y = unpack_f16x2(b);
	const float2	 z = unpack_f16x2(c);

	simt_count(SIMT_LOP3);
	/* A product of two fp16 and its sum with a third fit into a double
	 * but for bits far below half a unit; then one rounding to float is
	 * left, which the values used here do not need. */
	return (pack_f16x2((float)((double)x.x * (double)y.x + (double)z.x),
	    (float)((double)x.y * (double)y.y + (double)z.y)));
#else
	uint32_t d;

	asm("fma.rn.f16x2 %0, %1, %2, %3;"
	    : "=r"(d) : "r"(a), "r"(b), "r"(c));
	return (d);
#endif
}

/* The lower half of a word in both halves of the result, and the upper half.
 * An operation on pairs does this itself with its operand. */
__device__ __forceinline__ uint32_t
low_f16x2(uint32_t a)
{
#ifdef CUDA_HOST
	return ((a & 0xffff) | a << 16);
#else
	uint32_t d;

	asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; mov.b32 %0, {l, l};}"
	    : "=r"(d) : "r"(a));
	return (d);
#endif
}

__device__ __forceinline__ uint32_t
high_f16x2(uint32_t a)
{
#ifdef CUDA_HOST
	return (a >> 16 | (a & 0xffff0000));
#else
	uint32_t d;

	asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; mov.b32 %0, {h, h};}"
	    : "=r"(d) : "r"(a));
	return (d);
#endif
}

/* An 8 x 8 matrix of 16-bit elements, transposed: warp.  Lane i holds the
 * elements 2 * (i % 4) and the next of row i / 4, before and after. */
__device__ __forceinline__ uint32_t
transpose8(uint32_t a PLACE)
{
#ifdef CUDA_HOST
	struct simt_slot	 mine = {};
	const struct simt_slot	*all;
	const int		 lane = simt_lane(), r = lane % 4 * 2;
	const int		 c = lane / 4;

	mine.u[0] = a;
	all = simt_exchange(SIMT_SHUFFLE, mine, at);
	return (all[r * 4 + c / 2].h[c % 2] |
	    (uint32_t)all[(r + 1) * 4 + c / 2].h[c % 2] << 16);
#else
	uint32_t d;

	asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;"
	    : "=r"(d) : "r"(a));
	return (d);
#endif
}

/* 2^x; 0 for x of -infinity. On the device it is approximate: 2 units in the
 * last place. */
__device__ __forceinline__ float
power2(float x)
{
#ifdef CUDA_HOST
	return (exp2f(x));
#else
	float y;

	asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return (y);
#endif
}

#endif

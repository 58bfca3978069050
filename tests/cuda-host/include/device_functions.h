/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of cuda_runtime.h: CUDA's arithmetic functions for kernels.  Functions
 * that a GPU computes approximately are exact to rounding here.  There are no
 * atomics on floats, on purpose.
 */
#ifndef SIMT_DEVICE_FUNCTIONS_H
#define SIMT_DEVICE_FUNCTIONS_H

#define SIMT_MINMAX(type) \
	inline type min(type a, type b) { return (b < a ? b : a); } \
	inline type max(type a, type b) { return (a < b ? b : a); }
SIMT_MINMAX(int)
SIMT_MINMAX(unsigned)
SIMT_MINMAX(long)
SIMT_MINMAX(unsigned long)
SIMT_MINMAX(long long)
SIMT_MINMAX(unsigned long long)
#undef SIMT_MINMAX
inline float min(float a, float b) { return (fminf(a, b)); }
inline float max(float a, float b) { return (fmaxf(a, b)); }

inline float __fadd_rn(float a, float b) { return (a + b); }
inline float __fsub_rn(float a, float b) { return (a - b); }
inline float __fmul_rn(float a, float b) { return (a * b); }
inline float __fdiv_rn(float a, float b) { return (a / b); }
inline float __fmaf_rn(float a, float b, float c) { return (fmaf(a, b, c)); }
inline float __frcp_rn(float a) { return (1 / a); }
inline float __fsqrt_rn(float a) { return (sqrtf(a)); }
inline float __fdividef(float a, float b) { return (a / b); }
inline float __expf(float a) { return (expf(a)); }
inline float __logf(float a) { return (logf(a)); }
inline float __powf(float a, float b) { return (powf(a, b)); }
inline float __sinf(float a) { return (sinf(a)); }
inline float __cosf(float a) { return (cosf(a)); }
inline float __tanhf(float a) { return (tanhf(a)); }
inline float rsqrtf(float a) { return ((float)(1 / sqrt((double)a))); }
inline float __frsqrt_rn(float a) { return (rsqrtf(a)); }
inline int __float2int_rn(float a) { return ((int)lrintf(a)); }
inline int __float2int_rz(float a) { return ((int)a); }
inline int __float2int_rd(float a) { return ((int)floorf(a)); }
inline float __int2float_rn(int a) { return ((float)a); }
inline float __uint2float_rn(unsigned a) { return ((float)a); }

#define SIMT_BITS(to, name, from) \
	inline to name(from a) \
	    { to b; memcpy(&b, &a, sizeof b); return (b); }
SIMT_BITS(int, __float_as_int, float)
SIMT_BITS(unsigned, __float_as_uint, float)
SIMT_BITS(float, __int_as_float, int)
SIMT_BITS(float, __uint_as_float, unsigned)
#undef SIMT_BITS

inline int __popc(unsigned a) { return (__builtin_popcount(a)); }
inline int __clz(int a) { return (a == 0 ? 32 : __builtin_clz((unsigned)a)); }
inline int __ffs(int a) { return (__builtin_ffs(a)); }

inline unsigned
__brev(unsigned a)
{
	unsigned b = 0;

	for (int i = 0; i < 32; i++)
		b |= (a >> i & 1) << (31 - i);
	return (b);
}

/* Four bytes of the eight of b:a, chosen by the nibbles of s; bit 3 of a nibble
 * spreads the byte's sign. */
inline unsigned
__byte_perm(unsigned a, unsigned b, unsigned s)
{
	uint64_t	 all = (uint64_t)b << 32 | a;
	unsigned	 out = 0;

	for (int i = 0; i < 4; i++) {
		unsigned n = s >> 4 * i & 15;
		unsigned byte = (unsigned)(all >> (n & 7) * 8) & 255;

		if (n & 8)
			byte = byte & 128 ? 255 : 0;
		out |= byte << 8 * i;
	}
	return (out);
}

inline unsigned
__funnelshift_r(unsigned lo, unsigned hi, unsigned n)
{
	return ((unsigned)(((uint64_t)hi << 32 | lo) >> (n & 31)));
}

inline unsigned
__funnelshift_l(unsigned lo, unsigned hi, unsigned n)
{
	return ((unsigned)(((uint64_t)hi << 32 | lo) << (n & 31) >> 32));
}

/* Atomics also order memory here, so a missing fence is not found. */
#define SIMT_ATOMICS(type) \
	inline type atomicAdd(type *p, type v) \
	    { return (__atomic_fetch_add(p, v, __ATOMIC_ACQ_REL)); } \
	inline type atomicExch(type *p, type v) \
	    { return (__atomic_exchange_n(p, v, __ATOMIC_ACQ_REL)); } \
	inline type atomicOr(type *p, type v) \
	    { return (__atomic_fetch_or(p, v, __ATOMIC_ACQ_REL)); } \
	inline type atomicAnd(type *p, type v) \
	    { return (__atomic_fetch_and(p, v, __ATOMIC_ACQ_REL)); } \
	inline type atomicCAS(type *p, type old, type v) \
	{ \
		__atomic_compare_exchange_n(p, &old, v, false, \
		    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE); \
		return (old); \
	} \
	inline type atomicMax(type *p, type v) \
	{ \
		type old = __atomic_load_n(p, __ATOMIC_ACQUIRE); \
		while (old < v && !__atomic_compare_exchange_n(p, &old, v, \
		    false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) \
			continue; \
		return (old); \
	} \
	inline type atomicMin(type *p, type v) \
	{ \
		type old = __atomic_load_n(p, __ATOMIC_ACQUIRE); \
		while (v < old && !__atomic_compare_exchange_n(p, &old, v, \
		    false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) \
			continue; \
		return (old); \
	}
SIMT_ATOMICS(int)
SIMT_ATOMICS(unsigned)
SIMT_ATOMICS(unsigned long long)
#undef SIMT_ATOMICS

/* Increment to a limit, then start from 0. */
inline unsigned
atomicInc(unsigned *p, unsigned limit)
{
	unsigned old = __atomic_load_n(p, __ATOMIC_ACQUIRE);

	while (!__atomic_compare_exchange_n(p, &old,
	    old >= limit ? 0 : old + 1, false, __ATOMIC_ACQ_REL,
	    __ATOMIC_ACQUIRE))
		continue;
	return (old);
}

inline void __threadfence() {}
inline void __threadfence_block() {}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernels write instead of CUDA's own syntax: launches, shared memory,
 * barriers, shuffles, memory access, and one small function for each PTX
 * instruction.  Under nvcc these are the instructions.  With CUDA_HOST defined,
 * the same kernels are C++ for the CPU (tests/cuda-host); the meaning of each
 * instruction there is written beside it.  No other file has a part of its own
 * for the host.
 *
 * Rules for kernels:
 *   - all 32 lanes of a warp reach the same collective (marked "warp" below),
 *     all threads of a block the same SYNC_BLOCK; no return before one
 *   - a block has a multiple of 32 threads
 *   - a shuffle orders no memory: lanes that talk through memory need SYNC_WARP
 *   - no float atomics
 * PLACE is nothing under nvcc.  On the host it is the caller's file and line.
 */
#ifndef CUDA_DEVICE_H
#define CUDA_DEVICE_H

#include <stdint.h>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#ifdef CUDA_HOST

#define PLACE	, struct simt_place at = simt_place()

/* Start a kernel on a stream: grid and block are dim3 or int, smem the bytes of
 * DYN_SHARED. A kernel whose name has a comma stands in parentheses. Look at
 * cudaGetLastError after it. */
#define LAUNCH(kernel, grid, block, smem, stream, ...) \
	simt_launch(#kernel, kernel, (grid), (block), (smem), (stream), \
	    __VA_ARGS__)

/* An array of n elements (a constant) in shared memory, on 16 bytes. */
#define SHARED_ARRAY(type, name, n) \
	static const char name##_key = 0; \
	type (&name)[n] = *reinterpret_cast<type (*)[n]>( \
	    simt_shared(&name##_key, sizeof(type) * (n), simt_place()))

/* name points to the launch's dynamic shared memory, on 16 bytes. */
#define DYN_SHARED(type, name) \
	type *const name = reinterpret_cast<type *>(simt_dyn_shared())

/* Barriers of a block and of a warp; both order memory. */
#define SYNC_BLOCK()	simt_sync_block(simt_place())
#define SYNC_WARP()	simt_sync_warp(simt_place())

#else

#define PLACE

#define LAUNCH(kernel, grid, block, smem, stream, ...) \
	kernel<<<(grid), (block), (smem), (stream)>>>(__VA_ARGS__)

#define SHARED_ARRAY(type, name, n) \
	__shared__ __align__(16) type name[n]

#define DYN_SHARED(type, name) \
	extern __shared__ __align__(16) unsigned char dyn_shared_bytes[]; \
	type *const name = reinterpret_cast<type *>(dyn_shared_bytes)

#define SYNC_BLOCK()	__syncthreads()
#define SYNC_WARP()	__syncwarp()

#define WARP_ALL	0xffffffffu

#endif

/* ---- shuffles and votes: warp */

/* v of lane (own ^ mask). T has 4 bytes: float, int or unsigned. */
template <typename T>
__device__ __forceinline__ T
shfl_xor(T v, int mask PLACE)
{
	static_assert(sizeof(T) == 4, "a shuffle moves 4 bytes");
#ifdef CUDA_HOST
	int lane = simt_lane();

	return (simt_exchange4(SIMT_SHUFFLE, v, (lane ^ mask) & 31, at));
#else
	return (__shfl_xor_sync(WARP_ALL, v, mask));
#endif
}

/* v of lane src & 31. */
template <typename T>
__device__ __forceinline__ T
shfl_idx(T v, int src PLACE)
{
	static_assert(sizeof(T) == 4, "a shuffle moves 4 bytes");
#ifdef CUDA_HOST
	return (simt_exchange4(SIMT_SHUFFLE, v, src & 31, at));
#else
	return (__shfl_sync(WARP_ALL, v, src));
#endif
}

/* Bit i is set if pred holds in lane i. */
__device__ __forceinline__ uint32_t
warp_ballot(bool pred PLACE)
{
#ifdef CUDA_HOST
	struct simt_slot	 mine = {};
	const struct simt_slot	*all;
	uint32_t		 bits = 0;

	mine.u[0] = pred;
	all = simt_exchange(SIMT_BALLOT, mine, at);
	for (int i = 0; i < 32; i++)
		bits |= all[i].u[0] << i;
	return (bits);
#else
	return (__ballot_sync(WARP_ALL, pred));
#endif
}

/* ---- global memory */

/* 16 bytes that are read once and never written by this kernel; p on 16. */
__device__ __forceinline__ uint4
load_once(const void *p PLACE)
{
#ifdef CUDA_HOST
	simt_global(p, 16, SIMT_READ, at);
	return (*static_cast<const uint4 *>(p));
#else
	uint4 v;

	asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
	    : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
	    : "l"(__cvta_generic_to_global(p)));
	return (v);
#endif
}

/* A T of 1 to 16 bytes that this kernel does not write; p on its size. */
template <typename T>
__device__ __forceinline__ T
ldg(const T *p PLACE)
{
#ifdef CUDA_HOST
	simt_global(p, sizeof(T), SIMT_READ, at);
	return (*p);
#else
	return (__ldg(p));
#endif
}

/* The same for 16, 8 and 4 bytes of any type. */
__device__ __forceinline__ uint4
ldg16(const void *p PLACE)
{
#ifdef CUDA_HOST
	return (ldg(static_cast<const uint4 *>(p), at));
#else
	return (__ldg(static_cast<const uint4 *>(p)));
#endif
}

__device__ __forceinline__ uint2
ldg8(const void *p PLACE)
{
#ifdef CUDA_HOST
	return (ldg(static_cast<const uint2 *>(p), at));
#else
	return (__ldg(static_cast<const uint2 *>(p)));
#endif
}

__device__ __forceinline__ uint32_t
ldg4(const void *p PLACE)
{
#ifdef CUDA_HOST
	return (ldg(static_cast<const uint32_t *>(p), at));
#else
	return (__ldg(static_cast<const uint32_t *>(p)));
#endif
}

/* A plain load and store of a T of 1 to 16 bytes. */
template <typename T>
__device__ __forceinline__ T
ld_global(const T *p PLACE)
{
#ifdef CUDA_HOST
	simt_global(p, sizeof(T), SIMT_READ, at);
#endif
	return (*p);
}

template <typename T>
__device__ __forceinline__ void
st_global(T *p, T v PLACE)
{
#ifdef CUDA_HOST
	simt_global(p, sizeof(T), SIMT_WRITE, at);
#endif
	*p = v;
}

/* Store 16 bytes; p on 16. */
__device__ __forceinline__ void
st_global16(void *p, uint4 v PLACE)
{
#ifdef CUDA_HOST
	simt_global(p, 16, SIMT_WRITE, at);
#endif
	*static_cast<uint4 *>(p) = v;
}

/* ---- shared memory */

/* A plain load and store of a T of 1 to 16 bytes. */
template <typename T>
__device__ __forceinline__ T
ld_shared(const T *p PLACE)
{
#ifdef CUDA_HOST
	simt_shared_access(p, sizeof(T), SIMT_READ, at);
#endif
	return (*p);
}

template <typename T>
__device__ __forceinline__ void
st_shared(T *p, T v PLACE)
{
#ifdef CUDA_HOST
	simt_shared_access(p, sizeof(T), SIMT_WRITE, at);
#endif
	*p = v;
}

/* 16 bytes; p on 16. */
__device__ __forceinline__ uint4
ld_shared16(const void *p PLACE)
{
#ifdef CUDA_HOST
	simt_shared_access(p, 16, SIMT_READ, at);
#endif
	return (*static_cast<const uint4 *>(p));
}

__device__ __forceinline__ void
st_shared16(void *p, uint4 v PLACE)
{
#ifdef CUDA_HOST
	simt_shared_access(p, 16, SIMT_WRITE, at);
#endif
	*static_cast<uint4 *>(p) = v;
}

/*
 * Copy 16 bytes from global memory at src to shared memory at dst, both on 16,
 * or store 16 zeros if use is false (src must then still be a valid address).
 * The bytes are there for the thread itself after cp_async_wait, and for others
 * after a barrier that follows it.  Before sm_80 this is a plain copy.
 */
__device__ __forceinline__ void
cp_async16(void *dst, const void *src, bool use = true PLACE)
{
#ifdef CUDA_HOST
	simt_async_add(dst, src, use, at);
#elif __CUDA_ARCH__ >= 800
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
	    :: "r"((uint32_t)__cvta_generic_to_shared(dst)),
	    "l"(__cvta_generic_to_global(src)), "r"(use ? 16 : 0)
	    : "memory");
#else
	*static_cast<uint4 *>(dst) = use ? *static_cast<const uint4 *>(src) :
	    make_uint4(0, 0, 0, 0);
#endif
}

/* Make the copies since the last commit one group. */
__device__ __forceinline__ void
cp_async_commit()
{
#ifdef CUDA_HOST
	simt_async_commit();
#elif __CUDA_ARCH__ >= 800
	asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/* Wait until at most the newest N groups are still on their way. */
template <int N>
__device__ __forceinline__ void
cp_async_wait()
{
#ifdef CUDA_HOST
	struct simt_copy c;

	while (simt_async_next(N, &c))
		*static_cast<uint4 *>(c.dst) = c.use ?
		    *static_cast<const uint4 *>(c.src) : uint4();
#elif __CUDA_ARCH__ >= 800
	asm volatile("cp.async.wait_group %0;" :: "n"(N) : "memory");
#endif
}

/*
 * Load four 8x8 matrices of 16-bit elements from shared memory: warp.  Lane
 * 8 * i + r passes the address of row r of matrix i: 8 elements, on 16 bytes.
 * d[i] gets the elements 2 * (lane % 4) and the next of row lane / 4 of matrix
 * i; the lower half is the first.
 */
__device__ __forceinline__ void
ldmatrix_x4(uint32_t d[4], const void *row PLACE)
{
#ifdef CUDA_HOST
	struct simt_slot	 mine = {};
	const struct simt_slot	*all;
	int			 lane = simt_lane();

	simt_shared_access(row, 16, SIMT_READ, at);
	*reinterpret_cast<uint4 *>(mine.u) = *static_cast<const uint4 *>(row);
	all = simt_exchange(SIMT_LDMATRIX, mine, at);
	for (int i = 0; i < 4; i++)
		d[i] = all[8 * i + lane / 4].u[lane % 4];
#else
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 "
	    "{%0,%1,%2,%3}, [%4];"
	    : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
	    : "r"((uint32_t)__cvta_generic_to_shared(row)) : "memory");
#endif
}

/* The same, each matrix transposed: d[i] gets the elements of column lane / 4,
 * in rows 2 * (lane % 4) and the next: warp. */
__device__ __forceinline__ void
ldmatrix_x4_trans(uint32_t d[4], const void *row PLACE)
{
#ifdef CUDA_HOST
	struct simt_slot	 mine = {};
	const struct simt_slot	*all;
	int			 lane = simt_lane(), r = lane % 4 * 2;

	simt_shared_access(row, 16, SIMT_READ, at);
	*reinterpret_cast<uint4 *>(mine.u) = *static_cast<const uint4 *>(row);
	all = simt_exchange(SIMT_LDMATRIX, mine, at);
	for (int i = 0; i < 4; i++)
		d[i] = all[8 * i + r].h[lane / 4] |
		    (uint32_t)all[8 * i + r + 1].h[lane / 4] << 16;
#else
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 "
	    "{%0,%1,%2,%3}, [%4];"
	    : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
	    : "r"((uint32_t)__cvta_generic_to_shared(row)) : "memory");
#endif
}

/* ---- conversions: two 16-bit floats in one word, lo in the lower half */

__device__ __forceinline__ uint32_t
pack_f16x2(float lo, float hi)
{
	return (__half_as_ushort(__float2half_rn(lo)) |
	    (uint32_t)__half_as_ushort(__float2half_rn(hi)) << 16);
}

__device__ __forceinline__ float2
unpack_f16x2(uint32_t v)
{
	return (make_float2(
	    __half2float(__ushort_as_half((unsigned short)(v & 0xffff))),
	    __half2float(__ushort_as_half((unsigned short)(v >> 16)))));
}

__device__ __forceinline__ uint32_t
pack_bf16x2(float lo, float hi)
{
	return (__bfloat16_as_ushort(__float2bfloat16_rn(lo)) |
	    (uint32_t)__bfloat16_as_ushort(__float2bfloat16_rn(hi)) << 16);
}

/* Exact: a bf16 is the upper half of a float. */
__device__ __forceinline__ float2
unpack_bf16x2(uint32_t v)
{
	return (make_float2(__uint_as_float(v << 16),
	    __uint_as_float(v & 0xffff0000u)));
}

/* ---- integers */

/* c + the sum of four products of signed bytes of a and b. */
__device__ __forceinline__ int
dp4a(int a, int b, int c)
{
#ifdef CUDA_HOST
	simt_count(SIMT_DP4A);
	for (int i = 0; i < 4; i++)
		c = (int)((unsigned)c + (unsigned)((int8_t)(a >> 8 * i) *
		    (int8_t)(b >> 8 * i)));
	return (c);
#else
	return (__dp4a(a, b, c));
#endif
}

/* Bit by bit: bit 4 * a + 2 * b + c of LUT. (a & b) | c has the LUT
 * (0xf0 & 0xcc) | 0xaa. */
template <int LUT>
__device__ __forceinline__ uint32_t
lop3(uint32_t a, uint32_t b, uint32_t c)
{
#ifdef CUDA_HOST
	uint32_t d = 0;

	simt_count(SIMT_LOP3);
	for (int i = 0; i < 8; i++)
		if (LUT >> i & 1)
			d |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) &
			    (i & 1 ? c : ~c);
	return (d);
#else
	uint32_t d;

	asm("lop3.b32 %0, %1, %2, %3, %4;"
	    : "=r"(d) : "r"(a), "r"(b), "r"(c), "n"(LUT));
	return (d);
#endif
}

#include "device_math.h"
#include "device_mma.h"

#endif

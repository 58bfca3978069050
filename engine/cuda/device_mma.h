/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of device.h: products of small matrices on tensor cores, d += a * b.
 * All of them are collectives of a warp.  With g = lane / 4 and t = lane % 4, a
 * lane holds of
 *
 *   a  16 x K, rows are M   a[0] row g      and a[1] row g + 8, at k = t * n ..
 *                           a[2], a[3]      the same rows, K / 2 further on
 *   b  K x 8, columns are N b[0] column g   at k = t * n .., b[1] K / 2 further
 *   d  16 x 8               d[0], d[1]      row g, columns 2 * t and the next
 *                           d[2], d[3]      row g + 8
 *
 * n is the number of elements in a word: 2 or 4, the first in the lowest bits.
 * ldmatrix_x4 loads a, ldmatrix_x4_trans a b that lies with its rows along k.
 * Source: PTX ISA, "Matrix Fragments for mma.m16n8k16" and "m16n8k32".
 */
#ifndef CUDA_DEVICE_MMA_H
#define CUDA_DEVICE_MMA_H

#ifdef CUDA_HOST
/* What a lane does once all have put their a and b, widened, into all: f[2 * i]
 * and the next are a[i], f[8 + 2 * i] and the next b[i].  The sum is rounded
 * once, so it is more exact than that of a tensor core. */
inline void
mma_host_float(float d[4], const struct simt_slot *all)
{
	int lane = simt_lane(), row = lane & ~3, col = lane % 4 * 8;

	for (int n = 0; n < 4; n++) {
		const struct simt_slot	*a = all + row;
		const struct simt_slot	*b = all + col + n % 2 * 4;
		double sum = d[n];

		for (int k = 0; k < 16; k++)
			sum += (double)a[k % 8 / 2].f[k / 8 * 4 + n / 2 * 2 +
			    k % 2] * b[k % 8 / 2].f[8 + k / 8 * 2 + k % 2];
		d[n] = (float)sum;
	}
}

/* The same for bytes: u[i] is a[i], u[4 + i] is b[i]. */
inline void
mma_host_s8(int32_t d[4], const struct simt_slot *all)
{
	int lane = simt_lane(), row = lane & ~3, col = lane % 4 * 8;

	for (int n = 0; n < 4; n++) {
		const struct simt_slot	*a = all + row;
		const struct simt_slot	*b = all + col + n % 2 * 4;
		uint32_t sum = (uint32_t)d[n];

		for (int k = 0; k < 32; k++)
			sum += (uint32_t)((int8_t)(a[k % 16 / 4].u[k / 16 * 2 +
			    n / 2] >> k % 4 * 8) *
			    (int8_t)(b[k % 16 / 4].u[4 + k / 16] >> k % 4 * 8));
		d[n] = (int32_t)sum;
	}
}
#endif

/* K is 16, the elements are fp16, the sums fp32. */
__device__ __forceinline__ void
mma_f16(float d[4], const uint32_t a[4], const uint32_t b[2] PLACE)
{
#ifdef CUDA_HOST
	struct simt_slot mine = {};

	for (int i = 0; i < 6; i++) {
		float2 v = unpack_f16x2(i < 4 ? a[i] : b[i - 4]);

		mine.f[2 * i] = v.x;
		mine.f[2 * i + 1] = v.y;
	}
	mma_host_float(d, simt_exchange(SIMT_MMA_F16, mine, at));
#elif __CUDA_ARCH__ >= 800
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
	    "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
	    : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
	    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]),
	    "r"(b[0]), "r"(b[1]));
#else
	for (int i = 0; i < 2; i++)
		asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
		    "{%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
		    : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
		    : "r"(a[2 * i]), "r"(a[2 * i + 1]), "r"(b[i]));
#endif
}

/* The same with bf16.  Before sm_80 it is slow: fp32 arithmetic on words that
 * the lanes exchange, because fp16 has not the range of bf16. */
__device__ __forceinline__ void
mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2] PLACE)
{
#ifdef CUDA_HOST
	struct simt_slot mine = {};

	for (int i = 0; i < 6; i++) {
		float2 v = unpack_bf16x2(i < 4 ? a[i] : b[i - 4]);

		mine.f[2 * i] = v.x;
		mine.f[2 * i + 1] = v.y;
	}
	mma_host_float(d, simt_exchange(SIMT_MMA_BF16, mine, at));
#elif __CUDA_ARCH__ >= 800
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
	    "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
	    : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
	    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]),
	    "r"(b[0]), "r"(b[1]));
#else
	int lane = threadIdx.x & 31, row = lane & ~3, col = lane % 4 * 8;

	/* Lane row + i holds k = 2 * i of the rows, lane col + i and
	 * col + 4 + i that of the two columns. */
	for (int half = 0; half < 2; half++)
#pragma unroll 1	/* the registers of one column at a time */
		for (int i = 0; i < 4; i++) {
			float2 p = unpack_bf16x2(shfl_idx(a[2 * half],
			    row + i));
			float2 q = unpack_bf16x2(shfl_idx(a[2 * half + 1],
			    row + i));
			float2 u = unpack_bf16x2(shfl_idx(b[half], col + i));
			float2 v = unpack_bf16x2(shfl_idx(b[half],
			    col + 4 + i));

			d[0] = fmaf(p.y, u.y, fmaf(p.x, u.x, d[0]));
			d[1] = fmaf(p.y, v.y, fmaf(p.x, v.x, d[1]));
			d[2] = fmaf(q.y, u.y, fmaf(q.x, u.x, d[2]));
			d[3] = fmaf(q.y, v.y, fmaf(q.x, v.x, d[3]));
		}
#endif
}

/* K is 32, the elements are signed bytes, the sums int32: exact. */
__device__ __forceinline__ void
mma_s8(int32_t d[4], const uint32_t a[4], const uint32_t b[2] PLACE)
{
#ifdef CUDA_HOST
	struct simt_slot mine = {};

	for (int i = 0; i < 6; i++)
		mine.u[i] = i < 4 ? a[i] : b[i - 4];
	mma_host_s8(d, simt_exchange(SIMT_MMA_S8, mine, at));
#elif __CUDA_ARCH__ >= 800
	asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
	    "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
	    : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
	    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]),
	    "r"(b[0]), "r"(b[1]));
#else
	for (int i = 0; i < 4; i++)
		asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 "
		    "{%0,%1}, {%2}, {%3}, {%0,%1};"
		    : "+r"(d[i % 2 * 2]), "+r"(d[i % 2 * 2 + 1])
		    : "r"(a[i]), "r"(b[i / 2]));
#endif
}

#endif

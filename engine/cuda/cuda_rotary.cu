/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotary positions, and the writing of keys and values to the cache.  A warp
 * has one head of one row; a lane has pairs of neighbours, 2 * lane + 64 * i
 * and the next.
 *
 * What the cache holds is finite, whatever comes in: blocks are used again
 * without being cleared, and attention multiplies what is left in them by zero.
 */
#include "cuda_acts.h"
#include "cuda_kernels.h"

#define ROTARY_WARPS	4	/* of a block */
#define ROTARY_PAIRS	2	/* of a lane: D is at most 128 */
#define ROTARY_TINY	1.17549435e-38f

/* Lane d of a head's query or key, turned; zero beyond D. */
__device__ __forceinline__ float
rotary_turned(const struct attention &a, const float *x, const float *angles,
    int d)
{
	const int	 half = a.rotary / 2;
	float2		 cs;

	if (d >= a.D)
		return (0);
	if (d >= a.rotary)
		return (ldg(x + d));
	cs.x = ldg(angles + 2 * (d % half));
	cs.y = ldg(angles + 2 * (d % half) + 1);
	if (d < half)
		return (fmaf(ldg(x + d), cs.x,
		    -__fmul_rn(ldg(x + d + half), cs.y)));
	return (fmaf(ldg(x + d), cs.x, __fmul_rn(ldg(x + d - half), cs.y)));
}

/* The nearest finite number; the lowest one for NaN. */
__device__ __forceinline__ float
rotary_finite(float x, float max)
{
	return (fminf(fmaxf(x, -max), max));
}

/* The scale of a head's numbers in int8: 0 if all of them are about zero. */
__device__ __forceinline__ float
rotary_scale(const float (&x)[ROTARY_PAIRS][2])
{
	float top = 0;

	for (int i = 0; i < ROTARY_PAIRS; i++)
		top = fmaxf(top, fmaxf(fabsf(x[i][0]), fabsf(x[i][1])));
	for (int i = 16; i > 0; i /= 2)
		top = fmaxf(top, shfl_xor(top, i));
	top = __fdiv_rn(top, 127);
	return (top < ROTARY_TINY ? 0 : top);
}

/* A number as the cache has it in int8. */
__device__ __forceinline__ uint8_t
rotary_byte(float x, float scale)
{
	return ((uint8_t)(scale > 0 ?
	    __float2int_rn(__fdiv_rn(x, scale)) + 128 : 128));
}

/* Write a key to position p of the block's head at base. */
template <enum cuda_elem E>
__device__ __forceinline__ void
rotary_put_key(uint8_t *base, int p, int d, const float (&x)[2], float scale)
{
	const size_t at = layout_key(E, p, d);

	if (E == CUDA_I8)
		st_global(reinterpret_cast<uint16_t *>(base + at),
		    (uint16_t)(rotary_byte(x[0], scale) |
		    rotary_byte(x[1], scale) << 8));
	else
		st_global(reinterpret_cast<uint32_t *>(base + 2 * at),
		    acts_pair<E>(x[0], x[1]));
}

/* Write a value: its two lanes do not lie together. */
template <enum cuda_elem E>
__device__ __forceinline__ void
rotary_put_value(uint8_t *base, int p, int d, int D, const float (&x)[2],
    float scale)
{
	const uint32_t pair = acts_pair<E>(x[0], x[1]);

	for (int j = 0; j < 2; j++) {
		const size_t at = layout_value(E, p, d + j, D);

		if (E == CUDA_I8)
			st_global(base + at, rotary_byte(x[j], scale));
		else
			st_global(reinterpret_cast<uint16_t *>(base + 2 * at),
			    (uint16_t)(pair >> 16 * j));
	}
}

/* Blocks: groups of ROTARY_WARPS heads, rows. */
template <enum cuda_elem E>
__global__ void
rotary_kernel(struct attention a)
{
	const float	 max = E == CUDA_F16 ? ACTS_F16_MAX : ACTS_BF16_MAX;
	const int	 lane = (int)threadIdx.x % 32, t = (int)blockIdx.y;
	const int	 h = (int)blockIdx.x * ROTARY_WARPS +
			    (int)threadIdx.x / 32;
	const int	 pos = ldg(a.pos + t), Dp = layout_pad(a.D, 16);
	const size_t	 head = (size_t)t * (size_t)a.H + (size_t)h;
	const float	*x, *angles;
	float		 k[ROTARY_PAIRS][2], v[ROTARY_PAIRS][2];
	float		 ks = 0, vs = 0;
	uint8_t		*base;

	if (pos < 0 || h >= a.H)
		return;		/* all lanes of the warp */
	x = a.qkv + head * (size_t)(3 * a.D);
	angles = a.angles + (size_t)pos * (size_t)a.rotary;
	for (int i = 0; i < ROTARY_PAIRS; i++)
		for (int j = 0; j < 2; j++) {
			const int d = 2 * lane + 64 * i + j;

			k[i][j] = rotary_finite(rotary_turned(a, x + a.D,
			    angles, d), max);
			v[i][j] = rotary_finite(d < a.D ?
			    ldg(x + 2 * a.D + d) : 0, max);
		}
	base = static_cast<uint8_t *>(a.cache) + ((size_t)ldg(a.blocks +
	    (size_t)t * (size_t)a.ldblocks + pos / LAYOUT_POS) *
	    (size_t)a.H + (size_t)h) * layout_head(E, a.D);
	if (E == CUDA_I8) {
		float *scales = reinterpret_cast<float *>(base +
		    2 * LAYOUT_POS * Dp) + pos % LAYOUT_POS;

		ks = rotary_scale(k);
		vs = rotary_scale(v);
		if (lane == 0) {
			st_global(scales, ks);
			st_global(scales + LAYOUT_POS, vs);
		}
	}
	for (int i = 0; i < ROTARY_PAIRS; i++) {
		const int	 d = 2 * lane + 64 * i;
		uint32_t	*q = static_cast<uint32_t *>(a.q) +
				    (head * (size_t)Dp + (size_t)d) / 2;

		if (d >= Dp)
			continue;
		st_global(q, acts_pair<E>(rotary_turned(a, x, angles, d),
		    rotary_turned(a, x, angles, d + 1)));
		rotary_put_key<E>(base, pos % LAYOUT_POS, d, k[i], ks);
		rotary_put_value<E>(base, pos % LAYOUT_POS, d, a.D, v[i], vs);
	}
}

cudaError_t
rotary_launch(const struct attention *a, cudaStream_t s)
{
	const dim3 grid((unsigned)(a->H + ROTARY_WARPS - 1) / ROTARY_WARPS,
	    (unsigned)a->T);
	const int threads = ROTARY_WARPS * 32;

	if (a->T <= 0)
		return (cudaSuccess);
	if (a->D > 64 * ROTARY_PAIRS || a->rotary > a->D)
		return (cudaErrorInvalidValue);
	if (a->elem == CUDA_I8)
		LAUNCH(rotary_kernel<CUDA_I8>, grid, threads, 0, s, *a);
	else if (a->elem == CUDA_BF16)
		LAUNCH(rotary_kernel<CUDA_BF16>, grid, threads, 0, s, *a);
	else
		LAUNCH(rotary_kernel<CUDA_F16>, grid, threads, 0, s, *a);
	return (cudaGetLastError());
}

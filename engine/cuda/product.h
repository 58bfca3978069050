/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of product.cu: what both variants of a product share.  These are the
 * weights on their way to mma, the cut of K into ranges, and the end of a
 * product: from sums to stored results.
 *
 * A unit is what a lane takes from a panel of weights at once: 32 columns, or
 * the 64 of a whole tile in int4, whose words of 16 bytes have all of them.
 * The units of a panel are adjacent.
 */
#ifndef CUDA_PRODUCT_H
#define CUDA_PRODUCT_H

#include "cuda_kernels.h"
#include "device.h"

#define PRODUCT_WARPS	8	/* of a block, in both kernels */
#define PRODUCT_THREADS	(32 * PRODUCT_WARPS)

static_assert(PRODUCT_WARPS == PRODUCT_RANGES, "a warp has a range");

/* Before sm_80 mma_bf16 needs many registers. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
template <enum cuda_elem E> constexpr bool PRODUCT_SLOW = E == CUDA_BF16;
#else
template <enum cuda_elem E> constexpr bool PRODUCT_SLOW = false;
#endif

/* Shape of a unit. */
template <enum cuda_elem E>
struct product_shape {
	static constexpr int K32 = E == CUDA_I4 ? 2 : 1;	/* in a unit */
	static constexpr int TILE = 2 / K32;		/* units of a tile */
	static constexpr int BYTES = layout_tile(E) / TILE;
	static constexpr int LOADS = E == CUDA_F16 || E == CUDA_BF16 ? 2 : 1;
	static constexpr enum cuda_elem ACT = E == CUDA_BF16 ? CUDA_BF16 :
	    CUDA_F16;
};

/* A lane's part of a unit, as stored. */
template <enum cuda_elem E>
struct product_unit {
	uint4	v[product_shape<E>::LOADS];
	uint2	scale;		/* int4: of the groups, rows g and g + 8 */
};

/* Set the weights of a unit that is not there to zero. */
template <enum cuda_elem E>
__device__ __forceinline__ void
product_unit_zero(struct product_unit<E> *u)
{
#pragma unroll
	for (int i = 0; i < product_shape<E>::LOADS; i++)
		u->v[i] = make_uint4(0, 0, 0, 0);
	u->scale = make_uint2(0, 0);
}

/* Byte of a unit where a lane's scales are. */
__device__ __forceinline__ int
product_scale_at(int lane)
{
	return (512 + lane / 4 * 8);
}

/* Load a unit from global memory, 16 bytes a lane at a time, and the scales; w
 * and scale point to the lane's first bytes of both. */
template <enum cuda_elem E>
__device__ __forceinline__ void
product_unit_load(struct product_unit<E> *u, const unsigned char *w,
    const unsigned char *scale)
{
#pragma unroll
	for (int i = 0; i < product_shape<E>::LOADS; i++)
		u->v[i] = load_once(w + i * 512);
	if (E == CUDA_I4)
		u->scale = ldg8(scale);
}

/* Load a unit that lies in shared memory at w. */
template <enum cuda_elem E>
__device__ __forceinline__ void
product_unit_shared(struct product_unit<E> *u, const unsigned char *w,
    int lane)
{
#pragma unroll
	for (int i = 0; i < product_shape<E>::LOADS; i++)
		u->v[i] = ld_shared16(w + (i * 32 + lane) * 16);
	if (E == CUDA_I4)
		u->scale = ld_shared(reinterpret_cast<const uint2 *>(
		    w + product_scale_at(lane)));
}

/* Word i (a constant) of v. */
__device__ __forceinline__ uint32_t
product_word(const uint4 &v, int i)
{
	return (i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w);
}

/*
 * The operand A of k16 (a constant) of a unit.  int8: a byte u below the upper
 * byte of fp16 1024 is 1024 + u; 1152 less is u - 128, exactly.  int4: the same
 * with 1032, but a nibble that is four bits higher counts 16-fold, so it is
 * multiplied by 1/16 in the same rounding; the product with the scale is
 * rounded to fp16.
 */
template <enum cuda_elem E>
__device__ __forceinline__ void
product_operand(uint32_t a[4], const struct product_unit<E> &u, int k16)
{
	const uint32_t	 magic = 0x64006400;
	uint32_t	 w, row[2];

	if (E == CUDA_I8) {
#pragma unroll
		for (int i = 0; i < 2; i++) {
			w = product_word(u.v[0], 2 * k16 + i);
			a[2 * i] = sub_f16x2(byte_perm<0x5150>(w, magic),
			    0x64806480);
			a[2 * i + 1] = sub_f16x2(byte_perm<0x5352>(w, magic),
			    0x64806480);
		}
	} else if (E == CUDA_I4) {
		w = k16 < 2 ? u.scale.x : u.scale.y;
		row[0] = low_f16x2(w);
		row[1] = high_f16x2(w);
		w = product_word(u.v[0], k16);
#pragma unroll
		for (int i = 0; i < 2; i++) {
			a[2 * i] = mul_f16x2(sub_f16x2(lop3<0xea>(w,
			    0x000f000f, magic), 0x64086408), row[0]);
			a[2 * i + 1] = mul_f16x2(fma_f16x2(lop3<0xea>(w,
			    0x00f000f0, magic), 0x2c002c00, 0xd480d480),
			    row[1]);
			w >>= 8;
		}
	} else {
		a[0] = u.v[k16].x;
		a[1] = u.v[k16].y;
		a[2] = u.v[k16].z;
		a[3] = u.v[k16].w;
	}
}

/* d += a * b in the activations' type. */
template <enum cuda_elem E>
__device__ __forceinline__ void
product_mma(float d[4], const uint32_t a[4], uint32_t b0, uint32_t b1)
{
	const uint32_t	 b[2] = { b0, b1 };

	if (E == CUDA_BF16)
		mma_bf16(d, a, b);
	else
		mma_f16(d, a, b);
}

/* Panels of a part, and the panels that its end stores: activations have their
 * columns padded to whole tiles. */
__device__ __host__ __forceinline__ int
product_panels(const struct product_part &q)
{
	return (layout_pad(q.N, LAYOUT_M) / LAYOUT_M);
}

__device__ __host__ __forceinline__ int
product_stored(const struct product_part &q, enum product_end end)
{
	return (layout_pad(q.N, end == PRODUCT_STORE || end == PRODUCT_ADD ?
	    LAYOUT_M : LAYOUT_K) / LAYOUT_M);
}

/* Tiles of K in a range; ranges at the end may have fewer, or none. */
__device__ __forceinline__ int
product_range(int tiles)
{
	return ((tiles + PRODUCT_RANGES - 1) / PRODUCT_RANGES);
}

/*
 * x * Phi(x), and x / 2 * (1 + tanh(u)) as the equal x / (1 + exp(-2u)): in
 * both nothing cancels.  Products and sums are marked, so that each is rounded
 * as written wherever the function is inlined.
 */
__device__ __forceinline__ float
product_gelu(float x, bool erf)
{
	float u;

	if (erf)
		return (__fmul_rn(__fmul_rn(0.5f, x),
		    erfcf(__fmul_rn(x, -0.707106781f))));
	u = __fmaf_rn(__fmul_rn(x, x), -0.0713548163f, -1.59576912f);
	u = expf(__fmul_rn(u, x));
	return (__fdiv_rn(x, __fadd_rn(1.0f, u)));
}

/* Two activations in a word. */
template <enum cuda_elem E>
__device__ __forceinline__ uint32_t
product_pack(float x, float y)
{
	const float	 top = 65504.0f;

	if (E == CUDA_BF16)
		return (pack_bf16x2(x, y));
	x = x > top ? top : x < -top ? -top : x;	/* keeps a NaN */
	y = y > top ? top : y < -top ? -top : y;
	return (pack_f16x2(x, y));
}

/* y = scale * sum + bias, one fma, of a lane's part of a fragment: rows g and
 * g + 8 of a panel. */
__device__ __forceinline__ float4
product_scaled(const struct product_part &q, int panel, int lane, float4 sum)
{
	const int	 n = panel * LAYOUT_M + lane / 4;
	float		 scale[2] = { 1.0f, 1.0f }, bias[2] = { 0.0f, 0.0f };

	if (panel >= product_panels(q))
		return (make_float4(0.0f, 0.0f, 0.0f, 0.0f));
#pragma unroll
	for (int i = 0; i < 2; i++) {
		if (q.scale != NULL)
			scale[i] = ldg(q.scale + n + 8 * i);
		if (q.bias != NULL)
			bias[i] = ldg(q.bias + n + 8 * i);
	}
	return (make_float4(__fmaf_rn(sum.x, scale[0], bias[0]),
	    __fmaf_rn(sum.y, scale[0], bias[0]),
	    __fmaf_rn(sum.z, scale[1], bias[1]),
	    __fmaf_rn(sum.w, scale[1], bias[1])));
}

/* Store a fragment of a panel and a block of rows: warp. */
template <enum cuda_elem E>
__device__ __forceinline__ void
product_store(const struct product_part &q, int T, int panel, int block,
    int lane, float4 v)
{
	const enum cuda_elem ACT = product_shape<E>::ACT;
	float		 y[4] = { v.x, v.y, v.z, v.w };
	const int	 g = lane / 4;
	uint2		 pair;

	if (q.end == PRODUCT_STORE || q.end == PRODUCT_ADD) {
#pragma unroll
		for (int i = 0; i < 4; i++) {
			int n = panel * LAYOUT_M + g + i / 2 * 8;
			int t = block * LAYOUT_ROWS + lane % 4 * 2 + i % 2;
			float *to = q.out + (size_t)t * (size_t)q.ldo + n;

			if (n >= q.N || t >= T)
				continue;
			if (q.end == PRODUCT_ADD)
				y[i] = __fadd_rn(ld_global(to), y[i]);
			st_global(to, y[i]);
		}
		return;
	}
#pragma unroll
	for (int i = 0; i < 4; i++)
		y[i] = panel * LAYOUT_M + g + i / 2 * 8 >= q.N ? 0.0f :
		    product_gelu(y[i], q.end == PRODUCT_GELU_ERF);
	/* Now lane 4 * t + i has the outputs 2 * i and the next of row t. */
	pair.x = transpose8(product_pack<ACT>(y[0], y[1]));
	pair.y = transpose8(product_pack<ACT>(y[2], y[3]));
	if (block * LAYOUT_ROWS + g < T)
		st_global(reinterpret_cast<uint2 *>(
		    static_cast<unsigned short *>(q.acts) +
		    layout_act(block * LAYOUT_ROWS + g, panel * LAYOUT_M +
		    lane % 4 * 2, layout_pad(q.N, LAYOUT_K))), pair);
}

#endif

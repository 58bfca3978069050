/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A section of a single row: four warps, each with a block of the cache.  Then
 * each has some lanes of the head, over all positions of the section.
 */
#ifndef CUDA_ATTEND_SINGLE_H
#define CUDA_ATTEND_SINGLE_H

#include "attend_parts.h"

static_assert(ATTEND_WARPS * LAYOUT_POS == ATTEND_SECTION, "a warp, a block");

/* What the warps of a section exchange. */
struct attend_shared {
	float		*top;		/* [ATTEND_WARPS] */
	float		*sum;		/* [ATTEND_WARPS][8]: by g */
	uint32_t	*weight;	/* [ATTEND_SECTION / 2]: pairs */
};

/*
 * The first half: the scores of row t with block number w of a section, if it
 * is below blocks; then p, rounded to weights. *m and *old get the section's
 * maximum and what the first chunk is multiplied by in the second.
 */
template <enum cuda_elem E, int TILES, bool ANY>
__device__ __forceinline__ void
attend_single_weights(const struct attention &a, const struct attend_shared &sh,
    int t, int first, int blocks, float c, float *m, float *old)
{
	const int	 w = (int)threadIdx.x / 32;
	const int	 lane = (int)threadIdx.x % 32;
	const int	 g = lane / 4, h = (int)blockIdx.y;
	const int	 tiles = attend_tiles<TILES, ANY>(a.D);
	const int	 limit[1][2] = { { lane % 4 == 0 ? ldg(a.pos + t) : -1,
			    -1 } };
	const int32_t	*table = a.blocks + (size_t)t * (size_t)a.ldblocks;
	const uint32_t	*query = g == 0 ? attend_query_at(a, t, h) : NULL;
	uint32_t	 q[TILES][1][2];
	float		 s[2][1][4], top, sum = 0, m0, v[2][2] = {};

	if (w < blocks) {
		const uint8_t *keys = attend_block<E>(a, table,
		    first / LAYOUT_POS + w, h);
		const float *scales = reinterpret_cast<const float *>(keys +
		    2 * attend_bytes<E>(tiles)) + LAYOUT_POS;

		for (int i = 0; i < TILES && (!ANY || i < tiles); i++)
			attend_query(q[i][0], query, i);
		attend_scores<E, TILES, ANY, 1, TILES>(s, keys, a.D,
		    first + w * LAYOUT_POS, q, limit, c);
		for (int i = 0; E == CUDA_I8 && i < 4; i++)
			v[i / 2][i % 2] = ldg(scales + i * 8 + g);
	} else
		attend_unseen<1>(s);
	top = attend_max(fmaxf(fmaxf(s[0][0][0], s[0][0][2]),
	    fmaxf(s[1][0][0], s[1][0][2])));
	if (lane == 0)
		st_shared(sh.top + w, top);
	SYNC_BLOCK();
	m0 = fmaxf(ld_shared(sh.top), ld_shared(sh.top + 1));
	*m = fmaxf(fmaxf(m0, ld_shared(sh.top + 2)), ld_shared(sh.top + 3));
	*old = attend_power(m0, *m);
	for (int tile = 0; tile < 2; tile++)
		for (int half = 0; half < 2; half++) {
			const float p = attend_power(s[tile][0][2 * half],
			    w < ATTEND_BLOCKS ? m0 : *m);

			sum = __fadd_rn(sum, p);
			if (lane % 4 == 0)
				st_shared(reinterpret_cast<uint16_t *>(
				    sh.weight) + w * LAYOUT_POS + tile * 16 +
				    half * 8 + g, (uint16_t)acts_pair<E>(
				    attend_weight<E>(p, v[tile][half]), 0));
		}
	if (lane % 4 == 0)
		st_shared(sh.sum + w * 8 + g, sum);
	SYNC_BLOCK();
}

/* The second half: lanes 16 * i .. of the head, over all positions. */
template <enum cuda_elem E, int TILES, bool ANY>
__device__ __forceinline__ void
attend_single_values(const struct attention &a, const uint32_t *weight, int t,
    int first, int blocks, int i, float old, float *out)
{
	const int	 lane = (int)threadIdx.x % 32, g = lane / 4;
	const int	 tiles = attend_tiles<TILES, ANY>(a.D);
	const int32_t	*table = a.blocks + (size_t)t * (size_t)a.ldblocks;
	struct attend_raw<E> r[ATTEND_WARPS];
	float		 o[4] = {};

#pragma unroll
	for (int b = 0; b < ATTEND_WARPS; b++)
		if (b < blocks)
			attend_load<E>(r[b], attend_block<E>(a, table,
			    first / LAYOUT_POS + b, (int)blockIdx.y) +
			    attend_bytes<E>(tiles), i);
#pragma unroll
	for (int b = 0; b < ATTEND_WARPS; b++) {
		if (b == ATTEND_BLOCKS)
			for (int n = 0; n < 4; n++)
				o[n] = __fmul_rn(o[n], old);
		if (b >= blocks)
			continue;
#pragma unroll
		for (int tile = 0; tile < 2; tile++) {
			const uint32_t *p = weight + (b * 2 + tile) * 8;
			const uint32_t y[2] = {
			    g == 0 ? ld_shared(p + lane) : 0,
			    g == 0 ? ld_shared(p + lane + 4) : 0 };
			uint32_t x[4];

			attend_operand<E>(x, r[b], tile);
			attend_mma<E>(o, x, y);
		}
	}
	if (lane % 4 == 0) {
		st_global(out + i * 16 + g, o[0]);
		st_global(out + i * 16 + 8 + g, o[2]);
	}
}

/* One section of row t, to partial. */
template <enum cuda_elem E, int TILES, bool ANY>
__device__ __forceinline__ void
attend_single(const struct attention &a, int t, float c)
{
	SHARED_ARRAY(float, top, ATTEND_WARPS);
	SHARED_ARRAY(float, sum, ATTEND_WARPS * 8);
	SHARED_ARRAY(uint32_t, weight, ATTEND_SECTION / 2);
	const struct attend_shared sh = { top, sum, weight };
	const int	 w = (int)threadIdx.x / 32;
	const int	 lane = (int)threadIdx.x % 32;
	const int	 g = lane / 4, h = (int)blockIdx.y;
	const int	 first = (int)blockIdx.x * ATTEND_SECTION;
	const int	 blocks = (ldg(a.pos + t) - first + LAYOUT_POS) /
			    LAYOUT_POS;
	const int	 tiles = attend_tiles<TILES, ANY>(a.D);
	float		*out = a.partial + (((size_t)t * (size_t)a.H +
			    (size_t)h) * (size_t)a.sections + blockIdx.x) *
			    (size_t)(tiles * 16 + 2);
	float		 m, old, l, l1;

	if (ldg(a.pos + t) < first)
		return;		/* all threads of the block */
	attend_single_weights<E, TILES, ANY>(a, sh, t, first, blocks, c, &m,
	    &old);
	l = attend_sum(__fadd_rn(ld_shared(sum + g), ld_shared(sum + 8 + g)));
	l1 = attend_sum(__fadd_rn(ld_shared(sum + 16 + g),
	    ld_shared(sum + 24 + g)));
	if (threadIdx.x == 0) {
		st_global(out + tiles * 16, m);
		st_global(out + tiles * 16 + 1, fmaf(l, old, l1));
	}
	for (int i = w; i < tiles; i += ATTEND_WARPS)
		attend_single_values<E, TILES, ANY>(a, weight, t, first,
		    blocks, i, old, out);
}

#endif

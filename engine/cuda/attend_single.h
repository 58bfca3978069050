/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A section of a single row: four warps, each with a block of the cache.  Then
 * each has some lanes of the head, over all positions of the section.  A row's
 * sections are either all of one thread block, which merges them as it goes, or
 * each of another, which leaves its own in partial.
 */
#ifndef CUDA_ATTEND_SINGLE_H
#define CUDA_ATTEND_SINGLE_H

#include "attend_parts.h"

static_assert(ATTEND_WARPS * LAYOUT_POS == ATTEND_SECTION, "a warp, a block");

/* Tiles of the head: loads at once. */
#define ATTEND_SINGLE_BATCH(tiles)	((tiles) > 6 ? 4 : (tiles))

/* What the warps of a section exchange. */
struct attend_shared {
	float		*top;		/* [ATTEND_WARPS] */
	float		*sum;		/* [ATTEND_WARPS][8]: by g */
	uint32_t	*weight;	/* [ATTEND_SECTION / 2]: pairs */
};

/* A row and head as its warps have it. */
template <int TILES>
struct attend_row {
	int		 t, pos;
	const int32_t	*table;
	uint32_t	 q[TILES][1][2];
};

/* Read row t: warp. */
template <int TILES, bool ANY>
__device__ __forceinline__ void
attend_row_read(struct attend_row<TILES> &r, const struct attention &a, int t)
{
	const int	 tiles = attend_tiles<TILES, ANY>(a.D);
	const bool	 first = threadIdx.x % 32 / 4 == 0;

	r.t = t;
	r.pos = ldg(a.pos + t);
	r.table = a.blocks + (size_t)t * (size_t)a.ldblocks;
	for (int i = 0; i < TILES && (!ANY || i < tiles); i++)
		attend_query(r.q[i][0], first && r.pos >= 0 ?
		    attend_query_at(a, t, (int)blockIdx.y) : NULL, i);
}

/* A section as each warp has it. */
struct attend_part {
	int	first;		/* its first position */
	int	blocks;		/* of the cache, 1 .. ATTEND_WARPS */
	int	numbers, at;	/* of attend_numbers: from lane at on */
	float	m, l;		/* the result: maximum and sum */
	float	old;		/* what the first chunk is multiplied by */
};

/*
 * The first half: each warp computes the scores of a block of the cache; then p
 * is rounded to weights: block.  Those of a section before have been used when
 * all warps have come to the first barrier.
 */
template <enum cuda_elem E, int TILES, bool ANY>
__device__ __forceinline__ void
attend_single_weights(const struct attention &a, const struct attend_shared &sh,
    const struct attend_row<TILES> &r, struct attend_part &x, float c)
{
	const int	 w = (int)threadIdx.x / 32;
	const int	 lane = (int)threadIdx.x % 32;
	const int	 g = lane / 4;
	const int	 tiles = attend_tiles<TILES, ANY>(a.D);
	const int	 limit[1][2] = { { lane % 4 == 0 ? r.pos : -1, -1 } };
	float		 s[2][1][4], top, sum = 0, m0, v[2][2] = {};

	if (w < x.blocks) {
		const uint8_t *keys = attend_block<E>(a, x.numbers, x.at + w);
		const float *scales = reinterpret_cast<const float *>(keys +
		    2 * attend_bytes<E>(tiles)) + LAYOUT_POS;

		attend_scores<E, TILES, ANY, 1, ATTEND_SINGLE_BATCH(TILES)>(s,
		    keys, a.D, x.first + w * LAYOUT_POS, r.pos, r.q, limit, c);
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
	x.m = fmaxf(fmaxf(m0, ld_shared(sh.top + 2)), ld_shared(sh.top + 3));
	x.old = attend_power(m0, x.m);
	for (int tile = 0; tile < 2; tile++)
		for (int half = 0; half < 2; half++) {
			const float p = attend_power(s[tile][0][2 * half],
			    w < ATTEND_BLOCKS ? m0 : x.m);

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
	x.l = fmaf(attend_sum(__fadd_rn(ld_shared(sh.sum + g),
	    ld_shared(sh.sum + 8 + g))), x.old, attend_sum(__fadd_rn(
	    ld_shared(sh.sum + 16 + g), ld_shared(sh.sum + 24 + g))));
}

/* The second half: lanes 16 * i .. of the head, over all positions. Lanes with
 * lane % 4 == 0 get g and g + 8 of them: warp. */
template <enum cuda_elem E, int TILES, bool ANY>
__device__ __forceinline__ float2
attend_single_values(const struct attention &a, const uint32_t *weight,
    const struct attend_part &x, int last, int i)
{
	const int	 lane = (int)threadIdx.x % 32, g = lane / 4;
	const int	 tiles = attend_tiles<TILES, ANY>(a.D);
	struct attend_raw<E> r[ATTEND_WARPS];
	float		 o[4] = {};

#pragma unroll
	for (int b = 0; b < ATTEND_WARPS; b++)
		if (b < x.blocks)
			attend_load<E>(r[b], attend_values_at<E>(
			    attend_block<E>(a, x.numbers, x.at + b) +
			    attend_bytes<E>(tiles),
			    last - x.first - b * LAYOUT_POS), i);
#pragma unroll
	for (int b = 0; b < ATTEND_WARPS; b++) {
		if (b == ATTEND_BLOCKS)
			for (int n = 0; n < 4; n++)
				o[n] = __fmul_rn(o[n], x.old);
		if (b >= x.blocks)
			continue;
#pragma unroll
		for (int tile = 0; tile < 2; tile++) {
			const uint32_t *p = weight + (b * 2 + tile) * 8;
			const uint32_t y[2] = {
			    g == 0 ? ld_shared(p + lane) : 0,
			    g == 0 ? ld_shared(p + lane + 4) : 0 };
			uint32_t v[4];

			attend_operand<E>(v, r[b], tile);
			attend_mma<E>(o, v, y);
		}
	}
	return (make_float2(o[0], o[2]));
}

/* Blocks of the cache in a section that begins at position first. */
__device__ __forceinline__ int
attend_part_blocks(int pos, int first)
{
	return (min((pos - first) / LAYOUT_POS + 1, ATTEND_WARPS));
}

/* Section blockIdx.x of row t, to partial. */
template <enum cuda_elem E, int TILES, bool ANY>
__device__ __forceinline__ void
attend_single(const struct attention &a, int t, float c)
{
	SHARED_ARRAY(float, top, ATTEND_WARPS);
	SHARED_ARRAY(float, sum, ATTEND_WARPS * 8);
	SHARED_ARRAY(uint32_t, weight, ATTEND_SECTION / 2);
	const struct attend_shared sh = { top, sum, weight };
	const int	 lane = (int)threadIdx.x % 32;
	const int	 tiles = attend_tiles<TILES, ANY>(a.D);
	float		*out = a.partial + (((size_t)t * (size_t)a.H +
			    blockIdx.y) * (size_t)a.sections + blockIdx.x) *
			    (size_t)(tiles * 16 + 2);
	struct attend_row<TILES> r;
	struct attend_part x;

	x.first = (int)blockIdx.x * ATTEND_SECTION;
	if (ldg(a.pos + t) < x.first)
		return;		/* all threads of the block */
	attend_row_read<TILES, ANY>(r, a, t);
	x.blocks = attend_part_blocks(r.pos, x.first);
	x.numbers = attend_numbers(r.table, x.first / LAYOUT_POS, ATTEND_WARPS,
	    r.pos / LAYOUT_POS);
	x.at = 0;
	attend_single_weights<E, TILES, ANY>(a, sh, r, x, c);
	if (threadIdx.x == 0) {
		st_global(out + tiles * 16, x.m);
		st_global(out + tiles * 16 + 1, x.l);
	}
	for (int i = (int)threadIdx.x / 32; i < tiles; i += ATTEND_WARPS) {
		const float2 o = attend_single_values<E, TILES, ANY>(a, weight,
		    x, r.pos, i);

		if (lane % 4 == 0) {
			st_global(out + i * 16 + lane / 4, o.x);
			st_global(out + i * 16 + 8 + lane / 4, o.y);
		}
	}
}

/* All of row t, to mix. */
template <enum cuda_elem E, int TILES, bool ANY>
__device__ __forceinline__ void
attend_whole(const struct attention &a, int t, float c)
{
	SHARED_ARRAY(float, top, ATTEND_WARPS);
	SHARED_ARRAY(float, sum, ATTEND_WARPS * 8);
	SHARED_ARRAY(uint32_t, weight, ATTEND_SECTION / 2);
	SHARED_ARRAY(float, lanes, TILES * 16);
	constexpr int	 OWN = (TILES + ATTEND_WARPS - 1) / ATTEND_WARPS;
	const struct attend_shared sh = { top, sum, weight };
	const int	 w = (int)threadIdx.x / 32;
	const int	 lane = (int)threadIdx.x % 32;
	const int	 d = (int)threadIdx.x * 2;
	const int	 tiles = attend_tiles<TILES, ANY>(a.D);
	struct attend_state st = { ATTEND_NONE, 0, 0, 0 };
	struct attend_row<TILES> r;
	struct attend_part x;
	float2		 o[OWN];

	attend_row_read<TILES, ANY>(r, a, t);
	for (int j = 0; j < OWN; j++)
		o[j] = make_float2(0, 0);
#pragma unroll 1
	for (x.first = 0; x.first <= r.pos; x.first += ATTEND_SECTION) {
		x.at = x.first / LAYOUT_POS % 32;
		if (x.at == 0)
			x.numbers = attend_numbers(r.table,
			    x.first / LAYOUT_POS, 32, r.pos / LAYOUT_POS);
		x.blocks = attend_part_blocks(r.pos, x.first);
		attend_single_weights<E, TILES, ANY>(a, sh, r, x, c);
		if (!attend_merge(&st, x.m, x.l))
			continue;	/* all threads of the block */
#pragma unroll
		for (int j = 0; j < OWN; j++)
			if (w + j * ATTEND_WARPS < tiles)
				attend_merge_lanes(&o[j], &st,
				    attend_single_values<E, TILES, ANY>(a,
				    weight, x, r.pos, w + j * ATTEND_WARPS));
	}
#pragma unroll
	for (int j = 0; j < OWN; j++)
		if (w + j * ATTEND_WARPS < tiles && lane % 4 == 0) {
			float *to = lanes + (w + j * ATTEND_WARPS) * 16 +
			    lane / 4;

			st_shared(to, o[j].x);
			st_shared(to + 8, o[j].y);
		}
	SYNC_BLOCK();
	if (d < tiles * 16)
		attend_mix<E>(a, t, (int)blockIdx.y, d, ld_shared(
		    reinterpret_cast<const float2 *>(lanes + d)), st.l);
	if ((int)blockIdx.y == a.H - 1)
		attend_pad(a, t, (int)threadIdx.x, ATTEND_WARPS * 32);
}

#endif

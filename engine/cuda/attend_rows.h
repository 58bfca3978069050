/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Up to 16 rows: each warp has a section, all sections are merged in shared
 * memory.
 */
#ifndef CUDA_ATTEND_ROWS_H
#define CUDA_ATTEND_ROWS_H

#include "attend_parts.h"

#define ATTEND_BATCH	2	/* tiles of the head: loads at once */

/* Floats between two queries in shared memory: no bank conflict when a warp
 * writes its lanes. */
#define ATTEND_LD(tiles)	((tiles) * 16 + 4)

/* A section of 16 queries, as one warp has it. Index n is the tile of 8
 * queries, j the query of the lane's two. */
template <int TILES>
struct attend_section {
	float	 m[2][2], l[2][2];
	float	 o[TILES][2][4];
};

/* Take the maximum of the chunk's scores into x, turn these into p, and add
 * them up. */
template <int TILES>
__device__ __forceinline__ void
attend_powers(struct attend_section<TILES> &x,
    float (&s)[ATTEND_BLOCKS][2][2][4], int n, int j)
{
	float top = ATTEND_NONE, sum[ATTEND_BLOCKS] = {}, old;

	for (int b = 0; b < ATTEND_BLOCKS; b++)
		for (int tile = 0; tile < 2; tile++)
			top = fmaxf(top, fmaxf(s[b][tile][n][j],
			    s[b][tile][n][2 + j]));
	top = fmaxf(x.m[n][j], attend_max(top));
	old = attend_power(x.m[n][j], top);
	x.m[n][j] = top;
	for (int i = 0; i < TILES; i++) {
		x.o[i][n][j] = __fmul_rn(x.o[i][n][j], old);
		x.o[i][n][2 + j] = __fmul_rn(x.o[i][n][2 + j], old);
	}
	for (int b = 0; b < ATTEND_BLOCKS; b++)
		for (int tile = 0; tile < 2; tile++)
			for (int half = 0; half < 2; half++) {
				float *p = &s[b][tile][n][2 * half + j];

				*p = attend_power(*p, top);
				sum[b] = __fadd_rn(sum[b], *p);
			}
	x.l[n][j] = fmaf(x.l[n][j], old, attend_sum(__fadd_rn(sum[0],
	    sum[1])));
}

/* Add p times the values of a block, of which positions 0 .. left are in
 * use. */
template <enum cuda_elem E, int TILES, bool ANY>
__device__ __forceinline__ void
attend_values(struct attend_section<TILES> &x, const float (&p)[2][2][4],
    const uint8_t *keys, int D, int left)
{
	const int	 g = (int)threadIdx.x % 32 / 4;
	const int	 tiles = attend_tiles<TILES, ANY>(D);
	const uint8_t	*values = keys + attend_bytes<E>(tiles);
	const float	*scales = reinterpret_cast<const float *>(values +
			    attend_bytes<E>(tiles)) + LAYOUT_POS;
	uint32_t	 y[2][2][2];

	for (int i = 0; i < 4; i++) {
		const int	 tile = i / 2, half = i % 2;
		const float	 v = E == CUDA_I8 ? ldg(scales + i * 8 + g) : 1;

		for (int n = 0; n < 2; n++)
			y[tile][n][half] = transpose8(acts_pair<E>(
			    attend_weight<E>(p[tile][n][2 * half], v),
			    attend_weight<E>(p[tile][n][2 * half + 1], v)));
	}
	attend_walk<E, TILES, ANY, ATTEND_BATCH>(attend_values_at<E>(values,
	    left), tiles, [&](int i, int tile, const uint32_t (&a)[4]) {
		for (int n = 0; n < 2; n++)
			attend_mma<E>(x.o[i][n], a, y[tile][n]);
	});
}

/* The section that begins at position first, up to position last. */
template <enum cuda_elem E, int TILES, bool ANY>
__device__ __forceinline__ void
attend_section_sum(struct attend_section<TILES> &x, const struct attention &a,
    const int32_t *table, int first, int last,
    const uint32_t (&q)[TILES][2][2], const int (&limit)[2][2], float c)
{
	const int numbers = attend_numbers(table, first / LAYOUT_POS,
	    ATTEND_SECTION / LAYOUT_POS, last / LAYOUT_POS);

	for (int n = 0; n < 2; n++)
		for (int j = 0; j < 2; j++) {
			x.m[n][j] = ATTEND_NONE;
			x.l[n][j] = 0;
			for (int i = 0; i < TILES; i++)
				x.o[i][n][j] = x.o[i][n][2 + j] = 0;
		}
	for (int at = first; at < first + ATTEND_SECTION && at <= last;
	    at += ATTEND_CHUNK) {
		const uint8_t	*keys[ATTEND_BLOCKS];
		float		 s[ATTEND_BLOCKS][2][2][4];

#pragma unroll
		for (int b = 0; b < ATTEND_BLOCKS; b++) {
			const int p = at + b * LAYOUT_POS;

			keys[b] = NULL;
			if (p <= last) {
				keys[b] = attend_block<E>(a, numbers,
				    (p - first) / LAYOUT_POS);
				attend_scores<E, TILES, ANY, 2, ATTEND_BATCH>(
				    s[b], keys[b], a.D, p, last, q, limit, c);
			} else
				attend_unseen<2>(s[b]);
		}
#pragma unroll
		for (int n = 0; n < 2; n++)
#pragma unroll
			for (int j = 0; j < 2; j++)
				attend_powers<TILES>(x, s, n, j);
#pragma unroll
		for (int b = 0; b < ATTEND_BLOCKS; b++)
			if (keys[b] != NULL)
				attend_values<E, TILES, ANY>(x, s[b], keys[b],
				    a.D, last - at - b * LAYOUT_POS);
	}
}

/* Leave a section in shared memory: lanes [16][ATTEND_LD], top and sum [16]. */
template <int TILES>
__device__ __forceinline__ void
attend_section_leave(const struct attend_section<TILES> &x, float *lanes,
    float *top, float *sum)
{
	const int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;

	for (int n = 0; n < 2; n++)
		for (int j = 0; j < 2; j++) {
			const int	 r = n * 8 + 2 * t + j;
			float		*to = lanes + r * ATTEND_LD(TILES) + g;

			for (int i = 0; i < TILES; i++) {
				st_shared(to + i * 16, x.o[i][n][j]);
				st_shared(to + i * 16 + 8, x.o[i][n][2 + j]);
			}
			if (g == 0) {
				st_shared(top + r, x.m[n][j]);
				st_shared(sum + r, x.l[n][j]);
			}
		}
}

/* All of an item, to mix. */
template <enum cuda_elem E, int TILES, bool ANY>
__device__ __forceinline__ void
attend_rows(const struct attention &a, int row, int count, float c)
{
	SHARED_ARRAY(float, lanes, ATTEND_WARPS * 16 * ATTEND_LD(TILES));
	SHARED_ARRAY(float, top, ATTEND_WARPS * 16);
	SHARED_ARRAY(float, sum, ATTEND_WARPS * 16);
	const int	 w = (int)threadIdx.x / 32;
	const int	 lane = (int)threadIdx.x % 32;
	const int	 h = (int)blockIdx.y, r = (int)threadIdx.x / 8;
	const int	 d = (int)threadIdx.x % 8 * 2;
	const int	 last = ldg(a.pos + row + count - 1);
	const int	 tiles = attend_tiles<TILES, ANY>(a.D);
	const int32_t	*table = a.blocks + (size_t)(row + count - 1) *
			    (size_t)a.ldblocks;
	uint32_t	 q[TILES][2][2];
	int		 limit[2][2];
	struct attend_state st = { ATTEND_NONE, 0, 0, 0 };
	float2		 o[TILES];

	for (int n = 0; n < 2; n++) {
		const int at = n * 8 + lane / 4;

		for (int j = 0; j < 2; j++) {
			const int i = n * 8 + lane % 4 * 2 + j;

			limit[n][j] = i < count ? ldg(a.pos + row + i) : -1;
		}
		for (int i = 0; i < TILES && (!ANY || i < tiles); i++)
			attend_query(q[i][n], at < count && last >= 0 ?
			    attend_query_at(a, row + at, h) : NULL, i);
	}
	for (int i = 0; i < TILES; i++)
		o[i] = make_float2(0, 0);
	for (int s = 0; s * ATTEND_SECTION <= last; s += ATTEND_WARPS) {
		if ((s + w) * ATTEND_SECTION <= last) {
			struct attend_section<TILES> x;

			attend_section_sum<E, TILES, ANY>(x, a, table,
			    (s + w) * ATTEND_SECTION, last, q, limit, c);
			attend_section_leave<TILES>(x,
			    lanes + w * 16 * ATTEND_LD(TILES), top + w * 16,
			    sum + w * 16);
		}
		SYNC_BLOCK();
		for (int k = 0; k < ATTEND_WARPS &&
		    (s + k) * ATTEND_SECTION <= last; k++) {
			const float *from = lanes + (k * 16 + r) *
			    ATTEND_LD(TILES) + d;

			if (!attend_merge(&st, ld_shared(top + k * 16 + r),
			    ld_shared(sum + k * 16 + r)))
				continue;
			for (int i = 0; i < TILES; i++)
				attend_merge_lanes(&o[i], &st, ld_shared(
				    reinterpret_cast<const float2 *>(
				    from + i * 16)));
		}
		SYNC_BLOCK();
	}
	for (int i = 0; r < count && i < TILES; i++)
		attend_mix<E>(a, row + r, h, i * 16 + d, o[i], st.l);
	if (r < count && h == a.H - 1)
		attend_pad(a, row + r, d / 2, 8);
}

#endif

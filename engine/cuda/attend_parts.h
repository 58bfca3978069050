/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pieces of attention that all its kernels share, so that each number is
 * computed by the same operations in the same order in all of them.
 *
 * Scores are S = keys * queries': mma with 16 positions as its rows and 8
 * queries as its columns.  With g = lane / 4 and t = lane % 4, a lane holds the
 * positions g and g + 8 of the queries 2 * t and the next, s[2 * half + j].
 * A tile is 16 positions; a block of the cache has two of them.
 *
 *   s = (q . k) * (key's scale in int8) * (1 / sqrt(D) * log2(e))
 *   p = 2^(s - m), with m the greatest s of the section up to this chunk
 *   l = sum of p.  A lane adds its 4 of a block, by tile and half; then come
 *	 the two blocks of the chunk, the lanes (g with g ^ 1, ^ 2, ^ 4), and
 *	 l of the chunk before
 *   o = sum of p * v: mma with 16 lanes of the head as its rows
 *
 * A position that a row can't see has s = -infinity and p = 0.  So it adds
 * zero, which leaves the bits of l and o as they are; only -0 may become 0, and
 * attend_mix makes all zeros 0.  A section that a row can't see at all is not
 * merged.
 */
#ifndef CUDA_ATTEND_PARTS_H
#define CUDA_ATTEND_PARTS_H

#include "cuda_acts.h"
#include "cuda_kernels.h"

#define ATTEND_WARPS	4	/* of a block */
#define ATTEND_BLOCKS	(ATTEND_CHUNK / LAYOUT_POS)	/* of a chunk */
#define ATTEND_NONE	(-INFINITY)

/* In int8 p is multiplied by this and by the value's scale before it becomes
 * fp16, so that small values keep their digits. l is multiplied by it, too. */
#define ATTEND_GAIN	256.0f

/* d += a * b in the type of the queries. */
template <enum cuda_elem E>
__device__ __forceinline__ void
attend_mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
	if (E == CUDA_BF16)
		mma_bf16(d, a, b);
	else
		mma_f16(d, a, b);
}

/* Numbers of blocks of the cache from a row's table: a lane has that of block
 * first + lane % n, at most that of block last. */
__device__ __forceinline__ int
attend_numbers(const int32_t *table, int first, int n, int last)
{
	return (ldg(table + min(first + (int)threadIdx.x % 32 % n, last)));
}

/* The first byte of head blockIdx.y in the block of the cache whose number
 * lane i has: warp. */
template <enum cuda_elem E>
__device__ __forceinline__ const uint8_t *
attend_block(const struct attention &a, int numbers, int i)
{
	return (static_cast<const uint8_t *>(a.cache) +
	    ((size_t)shfl_idx(numbers, i) * (size_t)a.H + blockIdx.y) *
	    layout_head(E, a.D));
}

/* Bytes of the keys of a head in a block, and as many of its values. */
template <enum cuda_elem E>
__device__ __forceinline__ size_t
attend_bytes(int tiles)
{
	return ((size_t)(tiles * 16 * LAYOUT_POS * (E == CUDA_I8 ? 1 : 2)));
}

/* Four fp16 of bytes of the cache: u - 128, by the number 1024 + u. */
__device__ __forceinline__ void
attend_widen(uint32_t *a, uint32_t bytes)
{
	a[0] = sub_f16x2(byte_perm<0x4140>(bytes, 0x64646464u), 0x64806480u);
	a[1] = sub_f16x2(byte_perm<0x4342>(bytes, 0x64646464u), 0x64806480u);
}

/*
 * Where a lane reads the operands A of a block's keys, or of its values: the
 * first bytes of both tiles, which in int8 lie side by side.  Of a block that
 * has only positions 0 .. left in use, a lane with others reads what one of the
 * lanes with these reads.  So the rest of the last block is not fetched; what
 * comes in its place is finite, and is multiplied by zero.
 */
template <enum cuda_elem E>
struct attend_source {
	static constexpr int N = E == CUDA_I8 ? 1 : 2;
	const uint8_t	*at[N];
};

template <enum cuda_elem E>
__device__ __forceinline__ struct attend_source<E>
attend_keys_at(const uint8_t *keys, int left)
{
	const int	 g = (int)threadIdx.x % 32 / 4;
	const int	 t = (int)threadIdx.x % 4;
	struct attend_source<E> s;

#pragma unroll
	for (int k = 0; k < s.N; k++) {
		const int tile = left < 16 * k ? 0 : k;

		s.at[k] = keys + (tile * 32 + min(g, left - 16 * tile) * 4 +
		    t) * 16;
	}
	return (s);
}

/* A lane with t has the positions 2 * t, the next, and both 8 further on.
 * Pairs of lanes read whole sectors. */
template <enum cuda_elem E>
__device__ __forceinline__ struct attend_source<E>
attend_values_at(const uint8_t *values, int left)
{
	const int	 g = (int)threadIdx.x % 32 / 4;
	const int	 t = (int)threadIdx.x % 4;
	struct attend_source<E> s;

#pragma unroll
	for (int k = 0; k < s.N; k++) {
		const int tile = left < 16 * k ? 0 : k;

		s.at[k] = values + (tile * 32 + g * 4 + min(t,
		    (left - 16 * tile) / 2 | 1)) * 16;
	}
	return (s);
}

/* What a lane has of lanes 16 * i .. of the head: the operands of both tiles,
 * as they lie in the cache. */
template <enum cuda_elem E>
struct attend_raw {
	uint4	 v[attend_source<E>::N];
};

/* Load them. Callers load as many as they have registers for, then use them. */
template <enum cuda_elem E>
__device__ __forceinline__ void
attend_load(struct attend_raw<E> &r, const struct attend_source<E> &s, int i)
{
	constexpr int n = attend_source<E>::N;

#pragma unroll
	for (int k = 0; k < n; k++)
		r.v[k] = load_once(s.at[k] + i * n * 512);
}

/* Words for mma of one of the two tiles. */
template <enum cuda_elem E>
__device__ __forceinline__ void
attend_operand(uint32_t (&a)[4], const struct attend_raw<E> &r, int tile)
{
	const uint4 v = r.v[E == CUDA_I8 ? 0 : tile];

	if (E == CUDA_I8) {
		attend_widen(&a[0], tile == 0 ? v.x : v.z);
		attend_widen(&a[2], tile == 0 ? v.y : v.w);
		return;
	}
	a[0] = v.x;
	a[1] = v.y;
	a[2] = v.z;
	a[3] = v.w;
}

/* The operand B of 8 queries for lanes 16 * i .. of the head. q is the query of
 * this lane's column, or NULL for zeros. */
__device__ __forceinline__ void
attend_query(uint32_t (&b)[2], const uint32_t *q, int i)
{
	const int t = (int)threadIdx.x % 4;

	b[0] = q == NULL ? 0 : ldg(q + i * 8 + t);
	b[1] = q == NULL ? 0 : ldg(q + i * 8 + t + 4);
}

/* The query of row t and head h. */
__device__ __forceinline__ const uint32_t *
attend_query_at(const struct attention &a, int t, int h)
{
	return (static_cast<const uint32_t *>(a.q) +
	    ((size_t)t * (size_t)a.H + (size_t)h) *
	    (size_t)layout_pad(a.D, 16) / 2);
}

/* Finish the scores of a tile of N times 8 queries: scale them by the keys'
 * scales and by c, and mask. first is the position of the tile; a query sees
 * positions 0 .. limit. */
template <enum cuda_elem E, int N>
__device__ __forceinline__ void
attend_finish(float (&s)[N][4], const float *scales, int first,
    const int (&limit)[N][2], float c)
{
	const int g = (int)threadIdx.x % 32 / 4;

	for (int half = 0; half < 2; half++) {
		const int	 p = g + 8 * half;
		const float	 k = E == CUDA_I8 ? ldg(scales + p) : 1;

		for (int n = 0; n < N; n++)
			for (int j = 0; j < 2; j++) {
				float x = s[n][2 * half + j];

				if (E == CUDA_I8)
					x = __fmul_rn(x, k);
				x = __fmul_rn(x, c);
				s[n][2 * half + j] = first + p <= limit[n][j] ?
				    x : ATTEND_NONE;
			}
	}
}

/*
 * The head has TILES tiles of 16 lanes; with ANY, it has fewer, as D says.
 */
template <int TILES, bool ANY>
__device__ __forceinline__ int
attend_tiles(int D)
{
	return (ANY ? layout_pad(D, 16) / 16 : TILES);
}

/* For all lanes of the head and both tiles of a block, call f(lanes / 16, tile,
 * operand A): warp. BATCH tiles of the head are loaded at once. */
template <enum cuda_elem E, int TILES, bool ANY, int BATCH, typename F>
__device__ __forceinline__ void
attend_walk(const struct attend_source<E> &s, int tiles, const F &f)
{
#pragma unroll
	for (int at = 0; at < TILES; at += BATCH) {
		struct attend_raw<E> r[BATCH];

#pragma unroll
		for (int i = 0; i < BATCH; i++)
			if (at + i < TILES && (!ANY || at + i < tiles))
				attend_load<E>(r[i], s, at + i);
#pragma unroll
		for (int i = 0; i < BATCH; i++)
#pragma unroll
			for (int tile = 0; tile < 2; tile++) {
				uint32_t a[4];

				if (at + i >= TILES || (ANY && at + i >= tiles))
					continue;
				attend_operand<E>(a, r[i], tile);
				f(at + i, tile, a);
			}
	}
}

/* The scores of N times 8 queries with the positions of a block that begins at
 * position first: finished, of both tiles. q are their operands; no query sees
 * more than position last. */
template <enum cuda_elem E, int TILES, bool ANY, int N, int BATCH>
__device__ __forceinline__ void
attend_scores(float (&s)[2][N][4], const uint8_t *keys, int D, int first,
    int last, const uint32_t (&q)[TILES][N][2], const int (&limit)[N][2],
    float c)
{
	const int tiles = attend_tiles<TILES, ANY>(D);
	const float *scales = reinterpret_cast<const float *>(keys +
	    2 * attend_bytes<E>(tiles));

	for (int tile = 0; tile < 2; tile++)
		for (int n = 0; n < N; n++)
			for (int i = 0; i < 4; i++)
				s[tile][n][i] = 0;
	attend_walk<E, TILES, ANY, BATCH>(attend_keys_at<E>(keys,
	    last - first), tiles,
	    [&](int i, int tile, const uint32_t (&a)[4]) {
		for (int n = 0; n < N; n++)
			attend_mma<E>(s[tile][n], a, q[i][n]);
	    });
	for (int tile = 0; tile < 2; tile++)
		attend_finish<E, N>(s[tile], scales + 16 * tile,
		    first + 16 * tile, limit, c);
}

/* The scores of a block that no query sees. */
template <int N>
__device__ __forceinline__ void
attend_unseen(float (&s)[2][N][4])
{
	for (int tile = 0; tile < 2; tile++)
		for (int n = 0; n < N; n++)
			for (int i = 0; i < 4; i++)
				s[tile][n][i] = ATTEND_NONE;
}

/* The greatest of the lanes that share a column: warp. */
__device__ __forceinline__ float
attend_max(float v)
{
	for (int i = 4; i < 32; i *= 2)
		v = fmaxf(v, shfl_xor(v, i));
	return (v);
}

/* The sum of the same lanes: warp. */
__device__ __forceinline__ float
attend_sum(float v)
{
	for (int i = 4; i < 32; i *= 2)
		v = __fadd_rn(v, shfl_xor(v, i));
	return (v);
}

/* 2^(s - m). If nothing has been seen, m is -infinity as all s are. */
__device__ __forceinline__ float
attend_power(float s, float m)
{
	return (power2(__fsub_rn(s, m == ATTEND_NONE ? 0 : m)));
}

/* p as it is multiplied with a value of this scale. */
template <enum cuda_elem E>
__device__ __forceinline__ float
attend_weight(float p, float scale)
{
	return (E == CUDA_I8 ? __fmul_rn(p, __fmul_rn(scale, ATTEND_GAIN)) : p);
}

/* Write lanes d and d + 1 of row t and head h, where they are below D: o / l,
 * and 0 for rows that have no l. */
template <enum cuda_elem E>
__device__ __forceinline__ void
attend_mix(const struct attention &a, int t, int h, int d, float2 o, float l)
{
	const int	 Kp = layout_pad(a.H * a.D, LAYOUT_K), k = h * a.D + d;
	uint16_t	*mix = static_cast<uint16_t *>(a.mix);
	uint32_t	 pair = 0;

	if (E == CUDA_I8)
		l = __fmul_rn(l, ATTEND_GAIN);
	if (l != 0) {
		o.x = __fadd_rn(__fdiv_rn(o.x, l), 0);
		o.y = __fadd_rn(__fdiv_rn(o.y, l), 0);
		pair = a.act == CUDA_BF16 ? acts_pair<CUDA_BF16>(o.x, o.y) :
		    acts_pair<CUDA_F16>(o.x, o.y);
	}
	if (d + 1 < a.D && k % 2 == 0) {
		st_global(reinterpret_cast<uint32_t *>(mix +
		    layout_act(t, k, Kp)), pair);
		return;
	}
	for (int j = 0; j < 2; j++)
		if (d + j < a.D)
			st_global(mix + layout_act(t, k + j, Kp),
			    (uint16_t)(pair >> 16 * j));
}

/* Zero the padding of row t: thread i of n. */
__device__ __forceinline__ void
attend_pad(const struct attention &a, int t, int i, int n)
{
	const int	 K = a.H * a.D, Kp = layout_pad(K, LAYOUT_K);
	uint16_t	*mix = static_cast<uint16_t *>(a.mix);

	for (int k = K + i; k < Kp; k += n)
		st_global(mix + layout_act(t, k, Kp), (uint16_t)0);
}

/* What has been merged of a row so far, and the next section's share. */
struct attend_state {
	float	 m, l;		/* at first ATTEND_NONE and 0 */
	float	 old, add;	/* for attend_merge_lanes */
};

/* Merge a section with maximum m and sum l; false if the row does not see it,
 * and then its lanes are not merged. */
__device__ __forceinline__ bool
attend_merge(struct attend_state *st, float m, float l)
{
	const float top = fmaxf(st->m, m);

	if (m == ATTEND_NONE)
		return (false);
	st->old = power2(__fsub_rn(st->m, top));
	st->add = power2(__fsub_rn(m, top));
	st->m = top;
	st->l = fmaf(l, st->add, __fmul_rn(st->l, st->old));
	return (true);
}

/* Two lanes of the section that attend_merge has merged. */
__device__ __forceinline__ void
attend_merge_lanes(float2 *o, const struct attend_state *st, float2 section)
{
	o->x = fmaf(section.x, st->add, __fmul_rn(o->x, st->old));
	o->y = fmaf(section.y, st->add, __fmul_rn(o->y, st->old));
}

#endif

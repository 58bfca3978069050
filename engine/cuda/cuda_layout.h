/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a number lies on the device: in a weight matrix, in the activations of
 * some rows, and in the KV cache.  Each is kept in the order in which the lanes
 * of a warp pass it to mma.m16n8k16 (device_mma.h), so that a lane loads 16
 * bytes at once and a warp loads whole lines.  Source of the order: PTX ISA,
 * "Matrix Fragments for mma.m16n8k16".
 *
 * Weights of N rows and K columns (out = in * w') are panels of 16 rows, each a
 * row of tiles of 64 columns.  N is padded to 16 and K to 64; the padding is
 * zero.  A tile has
 *
 *   fp16, bf16  [4 k16][32 lanes][8]		2048 bytes
 *   int8	 [4 k16][32 lanes][8]		1024 bytes; w = (u - 128) *
 *		 scale[n], stored with two k16 of a lane side by side:
 *		 [2 k32][32 lanes][2 k16][8]
 *   int4	 [32 lanes][4 k16][8 nibbles]	 512 bytes; w = (u - 8) * scale,
 *		 [8 g][2 groups][2]		  64 bytes: the fp16 scales of
 *						  the rows g and g + 8
 *
 * Activations of T rows and K columns are fp16 or bf16, blocks of 8 rows: the
 * operand B, [T / 8][K / 32][32 lanes][2 k16][4].
 *
 * The cache of a layer has blocks of KV_BLOCK positions; a block has for each
 * head its keys, then its values.  Keys are an operand A whose rows are
 * positions, values one whose rows are lanes of the head:
 *
 *   fp16, bf16  keys [D / 16][2 p16][32][8], values the same
 *   int8	 keys [D / 16][32][2 p16][8], values the same; then 32 fp32
 *		 scales of the keys and 32 of the values; x = (u - 128) * scale
 *
 * D is padded to 16.
 */
#ifndef CUDA_LAYOUT_H
#define CUDA_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#define LAYOUT_FN	__host__ __device__ __forceinline__
#else
#define LAYOUT_FN	inline
#endif

#define LAYOUT_NAME	"cuda-1"	/* of packed files */

/* Types of weights, activations (the first two) and the cache (the first
 * three). */
enum cuda_elem { CUDA_F16, CUDA_BF16, CUDA_I8, CUDA_I4 };

#define LAYOUT_M	16	/* rows of a panel */
#define LAYOUT_K	64	/* columns of a tile */
#define LAYOUT_ROWS	8	/* rows of a block of activations */
#define LAYOUT_GROUP	32	/* columns that share a scale in int4 */
#define LAYOUT_POS	32	/* KV_BLOCK of backend.h */

/* x padded to a multiple of to. */
template <typename T>
LAYOUT_FN constexpr T
layout_pad(T x, int to)
{
	return ((x + (T)to - 1) / (T)to * (T)to);
}

/* Bytes of a tile. */
LAYOUT_FN constexpr int
layout_tile(enum cuda_elem e)
{
	return (e == CUDA_I8 ? 1024 : e == CUDA_I4 ? 576 : 2048);
}

/* Bytes of a matrix of N rows and K columns. */
LAYOUT_FN constexpr size_t
layout_matrix(enum cuda_elem e, int N, int K)
{
	return ((size_t)layout_pad(N, LAYOUT_M) / LAYOUT_M *
	    (size_t)(layout_pad(K, LAYOUT_K) / LAYOUT_K) *
	    (size_t)layout_tile(e));
}

/* The lane that holds row r and column k of a 16 x 16 operand A, and its place
 * among the lane's 8 elements. */
LAYOUT_FN constexpr int
layout_a_lane(int r, int k)
{
	return (r % 8 * 4 + k % 8 / 2);
}

LAYOUT_FN constexpr int
layout_a_elem(int r, int k)
{
	return (k % 2 + r % 16 / 8 * 2 + k % 16 / 8 * 4);
}

/* The first byte of the tile with row n and column k of a matrix whose padded
 * width is Kp. */
LAYOUT_FN constexpr size_t
layout_tile_at(enum cuda_elem e, int n, int k, int Kp)
{
	return (((size_t)(n / LAYOUT_M) * (size_t)(Kp / LAYOUT_K) +
	    (size_t)(k / LAYOUT_K)) * (size_t)layout_tile(e));
}

/* The byte with the element of row n and column k. */
LAYOUT_FN constexpr size_t
layout_weight(enum cuda_elem e, int n, int k, int Kp)
{
	const size_t	 lane = (size_t)layout_a_lane(n, k);
	const size_t	 i = (size_t)layout_a_elem(n, k);
	const size_t	 k16 = (size_t)(k % LAYOUT_K / 16);
	const size_t	 at = layout_tile_at(e, n, k, Kp);

	if (e == CUDA_I8)
		return (at + (k16 / 2 * 32 + lane) * 16 + k16 % 2 * 8 + i);
	if (e == CUDA_I4)	/* see layout_nibble */
		return (at + lane * 16 + k16 * 4 + i / 4 + i % 2 * 2);
	return (at + ((k16 * 32 + lane) * 8 + i) * 2);
}

/* The shift of an int4 element in its byte: a word of 8 elements holds element
 * 0 1 2 3 4 5 6 7 in its nibble 0 4 1 5 2 6 3 7, so that two neighbours fall
 * into the two halves of a word under one mask. */
LAYOUT_FN constexpr int
layout_nibble(int n, int k)
{
	return (layout_a_elem(n, k) / 2 % 2 * 4);
}

/* The byte with the fp16 scale of row n and column k of an int4 matrix. */
LAYOUT_FN constexpr size_t
layout_scale(int n, int k, int Kp)
{
	return (layout_tile_at(CUDA_I4, n, k, Kp) + 512 +
	    (size_t)(n % 8 * 4 + k % LAYOUT_K / LAYOUT_GROUP * 2 +
	    n % 16 / 8) * 2);
}

/* The index of the element of row t and column k in activations whose padded
 * width is Kp. */
LAYOUT_FN constexpr size_t
layout_act(int t, int k, int Kp)
{
	return (((size_t)(t / LAYOUT_ROWS) * (size_t)(Kp / 32) +
	    (size_t)(k / 32)) * 256 + (size_t)((t % 8 * 4 + k % 8 / 2) * 8 +
	    k % 32 / 16 * 4 + k % 16 / 8 * 2 + k % 2));
}

/* Elements of the activations of T rows. */
LAYOUT_FN constexpr size_t
layout_acts(int T, int K)
{
	return ((size_t)layout_pad(T, LAYOUT_ROWS) *
	    (size_t)layout_pad(K, LAYOUT_K));
}

/* Bytes of a head in a block of the cache. */
LAYOUT_FN constexpr size_t
layout_head(enum cuda_elem e, int D)
{
	const size_t	 n = 2 * (size_t)LAYOUT_POS *
			    (size_t)layout_pad(D, 16);

	return (e == CUDA_I8 ? n + 2 * LAYOUT_POS * sizeof(float) : 2 * n);
}

/* The element of position p (0..31) and lane d in the keys, or in the values,
 * of a head: an index of elements, counted from the first of both. */
LAYOUT_FN constexpr size_t
layout_key(enum cuda_elem e, int p, int d)
{
	const size_t	 lane = (size_t)layout_a_lane(p, d);
	const size_t	 i = (size_t)layout_a_elem(p, d);
	const size_t	 d16 = (size_t)(d / 16), p16 = (size_t)(p / 16);

	if (e == CUDA_I8)
		return (((d16 * 32 + lane) * 2 + p16) * 8 + i);
	return (((d16 * 2 + p16) * 32 + lane) * 8 + i);
}

LAYOUT_FN constexpr size_t
layout_value(enum cuda_elem e, int p, int d, int D)
{
	const size_t	 lane = (size_t)layout_a_lane(d, p);
	const size_t	 i = (size_t)layout_a_elem(d, p);
	const size_t	 d16 = (size_t)(d / 16), p16 = (size_t)(p / 16);
	const size_t	 first = (size_t)LAYOUT_POS *
			    (size_t)layout_pad(D, 16);

	if (e == CUDA_I8)
		return (first + ((d16 * 32 + lane) * 2 + p16) * 8 + i);
	return (first + ((d16 * 2 + p16) * 32 + lane) * 8 + i);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels of a step, as the host starts them.  Each function puts one
 * launch, or two, on the stream and returns; *f is not filled.  It returns
 * cudaSuccess, or the error of a launch.  All pointers are device memory unless
 * marked otherwise; layouts and paddings are those of cuda_layout.h.  Letters
 * are those of engine/backend.h; Dp and Kp are D and K padded.
 *
 * One arithmetic.  A number of a row depends on that row's inputs alone: not on
 * T, not on the place of the row in the step, and not on which kernel variant
 * the number of rows has chosen.  So
 *
 *   products   K is cut into PRODUCT_RANGES ranges of whole tiles (the same for
 *		each T); each range is summed from zero by mma of 16 columns,
 *		ascending; the sums of the ranges are added in ascending order
 *   attention  positions are cut into sections of ATTEND_SECTION from 0; a
 *		section is summed from nothing, by chunks of ATTEND_CHUNK, and
 *		the results of the sections are merged in ascending order
 *
 * whatever warps or blocks do this work.
 */
#ifndef CUDA_KERNELS_H
#define CUDA_KERNELS_H

#include <stdint.h>

#include <cuda_runtime.h>

#include "cuda_layout.h"

/* Raise it whenever any kernel gives other bits than in the release before: it
 * is a part of the precision that is stored with a reply. */
#define CUDA_ARITHMETIC	1

#define PRODUCT_RANGES	8	/* of K */
#define PRODUCT_NARROW	64	/* rows up to which weights are read once */
#define ATTEND_SECTION	128	/* positions */
#define ATTEND_CHUNK	64

/* ---- product.cu */

enum product_end {
	PRODUCT_STORE,		/* out[t * ldo + n] = y, fp32 */
	PRODUCT_ADD,		/* out[t * ldo + n] += y, fp32 */
	PRODUCT_GELU_ERF,	/* gelu(y) to acts, in the activations' type */
	PRODUCT_GELU_TANH
};

/* One matrix: y[t][n] = scale[n] * (in[t] . w[n]) + bias[n]. */
struct product_part {
	const void	*w;		/* layout_matrix */
	const float	*scale;		/* [N padded to 16] for int8, or NULL */
	const float	*bias;		/* [N padded to 16], or NULL */
	const void	*in;		/* layout_acts of T rows, K columns */
	int		 N, K;
	enum product_end end;		/* unused in the second of a chain */
	float		*out;		/* of STORE and ADD: n < N only */
	int		 ldo;
	void		*acts;		/* for GELU: layout_acts with K = N */
};

struct product {
	enum cuda_elem	 elem;		/* of w */
	enum cuda_elem	 act;		/* of in and acts: CUDA_BF16 if elem
					 * is, else CUDA_F16 */
	int		 T;		/* rows: 1 and more */
	int		 n;		/* parts: 1 or 2 */
	/* 0: parts side by side, each with its own end; 1: both have the same
	 * N, and part[0].end gets y of part 0 plus y of part 1 (in fp32, in
	 * this order: out + (y0 + y1) for PRODUCT_ADD) */
	int		 chain;
	struct product_part part[2];
};

/* Up to PRODUCT_NARROW rows the weights are read once, with 16-byte loads; more
 * rows are computed in tiles.  Rows t >= T of a block of activations are read,
 * their results are not stored, so they may hold any finite numbers.
 * Activations beyond 65504 are stored as that with their sign. */
cudaError_t	product_launch(const struct product *p, cudaStream_t s);

/* ---- adapt.cu */

/* What one adapter changes of a matrix of N rows and K columns. */
struct adapt_pair {
	const float	*a;		/* [rank][K]; NULL: nothing */
	const float	*b;		/* [rank][N], with the scale in it */
	int32_t		 rank;
};

/* The product whose rows get what their adapters add. */
struct adapt {
	const struct adapt_pair *pair;	/* of adapter 1 and on */
	const int32_t	*adapter;	/* [T]: of each row; 0: none */
	const void	*in;		/* x: layout_acts, T rows, K columns */
	enum cuda_elem	 act;		/* of it */
	int		 T, N, K;
	int		 ldz;		/* the largest rank, or more */
	int		 ldo;
	float		*z;		/* [T][ldz]: room */
	float		*out;		/* y[t * ldo + n] += ... */
};

/* y += (x A') B', in fp32: z as a fixed tree over the columns of x, the sum
 * over the rank from zero, ascending, and then one addition. Two launches. */
cudaError_t	adapt_launch(const struct adapt *d, cudaStream_t s);

struct gelus {
	const float	*in;		/* [T][N] */
	enum cuda_elem	 act;
	int		 T, N;
	bool		 erf;
	void		*out;		/* layout_acts, K = N: the padding of N
					 * is set to zero */
};

/* What PRODUCT_GELU_ERF and PRODUCT_GELU_TANH do, as a launch of its own. */
cudaError_t	gelus_launch(const struct gelus *g, cudaStream_t s);

/* ---- norm.cu */

struct embed {
	const void	*table;		/* [V][C] fp16 or bf16 */
	enum cuda_elem	 elem;		/* CUDA_F16 or CUDA_BF16 */
	const int32_t	*tokens;	/* [T], each 0 .. V - 1 */
	float		*x;		/* [T][C] */
	int		 T, C;
};

/* x = the embeddings of the tokens. */
cudaError_t	embed_launch(const struct embed *e, cudaStream_t s);

struct norms {
	const float	*x;		/* [.][C] fp32 */
	const int32_t	*rows;		/* [T]: row of x; NULL: t */
	float		 eps;
	int		 T, C;
	enum cuda_elem	 act;
	/* one norm, or two in one pass: y = (x - mean) * rstd * gain + bias,
	 * to layout_acts with K = C; the padding of K is set to zero */
	const float	*gain[2], *bias[2];	/* [C]; gain[1] NULL: one */
	void		*out[2];
};

/* Mean and variance in fp32, in two passes over the row in registers or shared
 * memory, as fixed trees. C is at most 16384. */
cudaError_t	norms_launch(const struct norms *n, cudaStream_t s);

/* ---- attention.cu */

struct attention {
	enum cuda_elem	 elem;		/* of the cache: F16, BF16 or I8 */
	enum cuda_elem	 act;		/* of mix; q is CUDA_BF16 if elem is,
					 * else CUDA_F16 */
	int		 T, H, D;	/* D is 1 .. 128 */
	int		 rotary;	/* lanes: even, 0 < rotary <= D */
	float		 scale;		/* 1 / sqrt(D) */
	const float	*qkv;		/* [T][H][q k v][D] fp32, bias added */
	const float	*angles;	/* [context][rotary / 2][cos, sin] */
	const int32_t	*pos;		/* [T]; a row of padding has -1: nothing
					 * is written, its mix is zero */
	const int32_t	*blocks;	/* [T][ldblocks]: of each row's
					 * sequence */
	int		 ldblocks;
	void		*cache;		/* of this layer: block b of head h at
					 * (b * H + h) * layout_head() */
	void		*q;		/* [T][H][Dp]: written by
					 * rotary_launch */
	void		*mix;		/* layout_acts, K = H * D: the result;
					 * its padding of K is set to zero */
	/*
	 * The work. Item i is count rows from item[i].row on: one, or up to
	 * ATTEND_ROWS rows of one sequence at consecutive positions. If all
	 * items have one row and are few, each is cut into sections, which
	 * blocks compute side by side and another launch merges.
	 */
	const struct attend_item *items;
	int		 nitems;
	int		 sections;	/* the most that a single row has: its
					 * results go to partial */
	float		*partial;	/* [T][H][sections][Dp + 2]: lanes, then
					 * maximum and sum; for single rows */
};

#define ATTEND_ROWS	16	/* rows of an item */

struct attend_item {
	int32_t	 row, count;	/* count 1: a single row */
};

/* Turn queries and keys by their positions, round the queries to q, and put
 * keys and values into the cache: lane i turns with lane i + rotary / 2. int8:
 * a key and a value of a head each have a scale, its largest |x| / 127, and
 * q = x / scale to nearest even. Before attend_launch, as another launch. */
cudaError_t	rotary_launch(const struct attention *a, cudaStream_t s);

/* Attention of all items over positions 0 .. pos, to mix: one or two launches,
 * as the number of multiprocessors of the current device says. */
cudaError_t	attend_launch(const struct attention *a, cudaStream_t s);

/* ---- best.cu */

#define BEST_MAX	256	/* BACKEND_BEST_MAX */

/* 32-bit words for a bit of each of V ids. */
LAYOUT_FN constexpr int
best_words(int V)
{
	return ((V + 31) / 32);
}

/* What is wanted of a row of logits. */
struct best_row {
	double	 penalty;	/* as in backend_best: above 0 */
	int32_t	 k;		/* 1 .. BEST_MAX, at most V; 0: nothing */
	int32_t	 seen;		/* row of seen, or -1: no penalty */
	int32_t	 out;		/* its place in out */
};

struct best {
	const float	*logits;	/* [T][V] */
	const uint32_t	*seen;		/* [.][best_words(V)]: bit i % 32 of
					 * word i / 32: id i has the penalty */
	const struct best_row *rows;	/* [T] */
	/* Of each row k ids, the largest first as in backend_best, then the
	 * bits of their k logits, which k = 1 leaves out. The first id of a bad
	 * row is -1; the rest of it is then undefined. */
	int32_t		*out;
	int		 T, V;
};

/* The largest logits of each row. */
cudaError_t	best_launch(const struct best *b, cudaStream_t s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numeric inner loops of the CPU backend.  They are written once, in
 * kernels_body.h, over a vector of 16 floats (vec_*.h), and compiled once
 * for each instruction set; every variant gives the same bits.
 *
 * Matrices of weights are stored as panels of 16 output columns (layout.h).
 * In fp32 and bf16 a dot product is summed in blocks of 32 k: e and o start
 * at zero, e += a[2i] * b[2i] and o += a[2i + 1] * b[2i + 1] by fused
 * multiply-add, then sum += e + o.
 *
 * In int8 and int4 the input is rounded to int8, row by row (struct qrows),
 * and a dot product of it is
 *   int8  fma(S, scale of the row, A) * scale of the column.  S is the exact
 *	   sum of q[k] * (u[k] - 128).  A is the sum over the outlier lanes:
 *	   from 0, A = fma(x[k], u[k] - 128, A) for k ascending
 *   int4  fma(S, scale of the row, A).  From 0, S = fma(s, scale, S) for the
 *	   groups of 32 k ascending; s is the exact sum of q[k] * (u[k] - 8)
 *	   in the group.  A is the sum over the outlier lanes: from 0,
 *	   A = fma(x[k], (u[k] - 8) * scale, A) for k ascending
 *
 * The KV cache is in fp32, bf16 or int8.  In bf16 and int8 the query and the
 * result of attention are rounded to bf16.  A score is a dot product of query
 * and key as above, k over lanes, times 1 / sqrt(D).  The weight of a position
 * is exp(score - largest score).  A lane of the result is a dot product of
 * weights and values, k over the positions, divided by the sum of the weights.
 *   bf16  keys and values are rounded to bf16, and the weights, too, after
 *	   they are summed
 *   int8  each key x and each value x of a head is stored as integers q and a
 *	   scale.  scale = max |x| / 127; it is 0 if that is below FLT_MIN, and
 *	   NaN if some x is not finite.  q = x * (1 / scale), rounded to fp32
 *	   and then to the nearest integer, ties to even; q is 0 unless scale
 *	   is above 0.  A score is the dot product of the query and q, times
 *	   scale, times 1 / sqrt(D).  A weight is not rounded; it is multiplied
 *	   by the scale of the value, and that product with q
 *
 * All of it runs with denormals taken as zero (fpmode.h).
 */
#ifndef CPU_KERNELS_H
#define CPU_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "backend.h"
#include "quant.h"

/* Types of elements. Weights have all but ELEM_Q8. The KV cache has the first
 * three; ELEM_Q8 are signed bytes. */
enum elem { ELEM_F32, ELEM_BF16, ELEM_Q8, ELEM_I8, ELEM_I4 };

/* Bytes of an element of one of the first three types. */
#define ELEM_SIZE(e)	((e) == ELEM_F32 ? sizeof(float) : \
			    (e) == ELEM_BF16 ? sizeof(uint16_t) : 1)
/* Are weights of this type quantized: one of the last two? */
#define ELEM_QUANTIZED(e)	((e) == ELEM_I8 || (e) == ELEM_I4)

#define PANEL		16	/* output columns of one panel */
#define OUTLIER		6.0f	/* lanes with a larger |x| are outliers */
#define ATTEND_ROWS	16	/* rows in a pass over the cache, at most */
#define ROUND_UP(n, to)	(((n) + (to) - 1) / (to) * (to))

/* The last operation of a product, on each finished sum + bias (`it`). */
enum mm_end {
	MM_STORE,	/* out = it */
	MM_GELU_ERF,	/* out = GELU of it, exact form */
	MM_GELU_TANH,	/* out = GELU of it, tanh form */
	MM_ADD,		/* out = out + it */
	MM_ADD2,	/* out = out + (also + it) */
	MM_ROWS		/* outs[row] = it; writes no column after N */
};

/*
 * Rows of activations in int8: x[k] = q[k] * scale.  The outliers of a row are
 * the lanes with |x[k]| > OUTLIER or NaN.  They are listed, and their q is 0.
 * Each row is padded with zeros to a multiple of 64 numbers.
 */
struct qrows {
	size_t		 ld;		/* numbers from row to row */
	int8_t		*q;		/* [T][ld] */
	int32_t		*sums;		/* [T][ld / GROUP] sum of a group's q */
	int32_t		*total;		/* [T] sum of all q */
	float		*scale;		/* [T] largest |x| / 127, without
					 * outliers */
	int32_t		*outlier;	/* [T][ld] outlier lanes, ascending */
	int		*noutliers;	/* [T] their number */
};

/*
 * out[rows][N] = a[rows][K] * w[N][K]' + bias, then as end says.  Rows of bf16
 * (a16, out16) are padded with -0 to a multiple of 32 numbers.  This changes no
 * sum: -0 * 0 + x is x, also if x is 0 or -0.
 */
struct matmul {
	const float	*a;		/* bf16 weights: rounded to bf16 */
	const uint16_t	*a16;		/* the same in bf16, or NULL */
	size_t		 lda16;		/* numbers from row to row */
	const struct qrows *q;		/* the same in int8, for weights in
					 * int8 and int4 */
	size_t		 lda;		/* floats from row to row */
	int		 rows, K, N;
	enum elem	 elem;
	const void	*w;		/* panels */
	const void	*scales;	/* int8: [N] floats; int4: fp16 */
	const float	*bias;		/* [ROUND_UP(N, 16)], or NULL */
	enum mm_end	 end;
	int		 round;		/* round the result to bf16 */
	float		*out;		/* [rows][ldo] */
	size_t		 ldo;		/* floats, at least ROUND_UP(N, 16) */
	uint16_t	*out16;		/* not NULL: written instead of out, no
					 * column after N; round is set */
	size_t		 ldo16;
	const float	*also;		/* MM_ADD2: [rows][ldo] */
	float *const	*outs;		/* MM_ROWS */
};

/*
 * A layer's part of the KV cache: keys [H][blocks] and then values
 * [H][blocks]. So if the blocks of a sequence are consecutive, the memory that
 * a head reads is consecutive, too. One head and one block, D lanes:
 *   K  two panels of 16 positions, k over lanes: [2][D/2][16][2]
 *   V  panels of 16 lanes, k over positions:	  [ceil(D/16)][16][16][2]
 * In fp32 the last two dimensions are [2][16]. In int8 K and V are followed by
 * the scales of their positions, in fp32.
 */
#define KV_SCALES	(KV_BLOCK * sizeof(float))	/* bytes of scales */

struct kv_shape {
	enum elem	 elem;
	int		 H, D;
	size_t		 keys, values;	/* bytes: of one head and block */
	size_t		 block;		/* bytes: of one block, all heads */
	int		 blocks;	/* in the cache */
};

/* Set the sizes in bytes from elem, H and D. */
static inline void
kv_sizes(struct kv_shape *kv)
{
	const size_t	 scales = kv->elem == ELEM_Q8 ? KV_SCALES : 0;
	const size_t	 lane = KV_BLOCK * ELEM_SIZE(kv->elem);

	kv->keys = (size_t)kv->D * lane + scales;
	kv->values = ROUND_UP((size_t)kv->D, PANEL) * lane + scales;
	kv->block = (kv->keys + kv->values) * (size_t)kv->H;
}

/* Where the keys of head h in a block start: bytes from a layer's start. */
static inline size_t
kv_keys(const struct kv_shape *kv, int h, int32_t block)
{
	return (((size_t)h * (size_t)kv->blocks + (size_t)block) * kv->keys);
}

/* The same for the values. */
static inline size_t
kv_values(const struct kv_shape *kv, int h, int32_t block)
{
	return (kv_keys(kv, kv->H, 0) + ((size_t)h * (size_t)kv->blocks +
	    (size_t)block) * kv->values);
}

/* Attention of the rows of a step in one layer. */
struct attend {
	const struct backend_row *rows;
	struct kv_shape	 kv;
	uint8_t		*cache;		/* this layer's blocks */
	const float	*qkv;		/* [T][H][q k v][D], q turned */
	size_t		 ldqkv;
	float		*out;		/* [T][H][D] */
	size_t		 ldo;
	uint16_t	*out16;		/* not NULL: written instead of out */
	size_t		 ldo16;
	float		 scale;		/* of the scores: 1 / sqrt(D) */
};

/* One variant. */
struct kernels {
	const char	*name;

	/* Products with weights in bf16 and at least rows16 rows read a16
	 * instead of a, if a16 is not NULL. 0: no product reads a16. */
	int	rows16;

	/* Compute panels first to last - 1 of a product. */
	void	(*matmul)(const struct matmul *m, int first, int last);

	/* Mean of x[n] and 1 / sqrt(variance + eps). */
	void	(*moments)(const float *x, int n, float eps, float *mean,
		    float *rstd);

	/* out = (x - mean) * rstd * gain + bias, for ROUND_UP(n, 16) numbers:
	 * x, gain and bias are padded to that length. */
	void	(*normalize)(const float *x, int n, float mean, float rstd,
		    const float *gain, const float *bias, int round,
		    float *out);

	/* Convert x[n] to bf16 in out. Each number is a bf16 already. */
	void	(*narrow)(const float *x, int n, uint16_t *out);

	/* Round x[K] to int8, as row number row of q. */
	void	(*quantize)(const float *x, int K, const struct qrows *q,
		    int row);

	/* Turn query and key of head h for T rows, and write key and value
	 * to the cache: rotary.h. */
	void	(*rotary)(const struct attend *a, float *qkv, int h, int T,
		    const float *table, int rot);

	/* Attention of head h for rows first .. last - 1: rows of one sequence
	 * at consecutive positions, at most ATTEND_ROWS. attend_rows rows at a
	 * time are fastest. scratch has for each row ROUND_UP(last pos + 1,
	 * KV_BLOCK) + ROUND_UP(D, 16) floats. */
	int	attend_rows;
	void	(*attend)(const struct attend *a, int h, int first, int last,
		    float *scratch);

	/* Loops for roofline.c. read reads n bytes, a multiple of 4096, as
	 * four streams. spin_fma does 6 chains of multiply-add, rounds times;
	 * spin_dot8 does 6 chains of 8-bit dot products. The return values
	 * have no meaning. */
	float	(*read)(const uint8_t *p, size_t n);
	float	(*spin_fma)(int rounds);
	float	(*spin_dot8)(int rounds);
	/* The same for 4 tiles of sums, in bf16 and in 8 bits. NULL if the
	 * variant has no tiles. */
	float	(*spin_tile16)(int rounds);
	float	(*spin_tile8)(int rounds);

	/* out = f(in), element by element, n a multiple of 16: for tests. */
	void	(*exp)(const float *in, float *out, int n);
	void	(*gelu_erf)(const float *in, float *out, int n);
	void	(*gelu_tanh)(const float *in, float *out, int n);
	void	(*round_bf16)(const float *in, float *out, int n);
};

extern const struct kernels kernels_scalar, kernels_avx2, kernels_avx512;
extern const struct kernels kernels_amx, kernels_reference;

/*
 * The variant named isa, or the best one for "auto". NULL if this CPU or this
 * build does not have it. kernels_list writes the names of the variants that
 * can be used here, separated by commas.
 */
const struct kernels *kernels_find(const char *isa);
void	kernels_list(char *buf, size_t size);

#endif

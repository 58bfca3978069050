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
 *   int8  fma(S, scale of the row, A) * scale of the column, with S the sum
 *	   of q[k] * (u[k] - 128), exact, and A that of the outliers:
 *	   from 0, A = fma(x[k], u[k] - 128, A) for k ascending
 *   int4  fma(S, scale of the row, A): from 0, S = fma(s, scale, S) for the
 *	   groups of 32 k ascending, s the exact sum of q[k] * (u[k] - 8) in
 *	   the group; A = fma(x[k], (u[k] - 8) * scale, A) for k ascending
 *
 * The KV cache is in fp32, bf16 or int8.  In bf16 and int8 the query and what
 * attention gives are rounded to bf16.  A score is a dot product of query and
 * key as above, k over lanes; times 1 / sqrt(D), less the largest, its exp is
 * a weight.  A lane of the result is a dot product of weights and values, k
 * over the positions, divided by the sum of the weights.
 *   bf16  keys, values and, once they are summed, weights are rounded to bf16
 *   int8  each key x and each value x of a head is stored as numbers q and a
 *	   scale: scale = max |x| / 127, 0 where that is below FLT_MIN, not a
 *	   number where some x is not finite; q = x * (1 / scale), that product
 *	   rounded to fp32 and then to the nearest integer, ties to even; 0
 *	   where scale is not above 0.  The dot product of the query and q,
 *	   times scale, is the score.  A weight is not rounded; times the scale
 *	   of the value it is multiplied with q
 *
 * All of it runs with denormals taken as zero (fpmode.h).
 */
#ifndef CPU_KERNELS_H
#define CPU_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "backend.h"
#include "quant.h"

/* Elements of weights; of the KV cache the first two and ELEM_Q8, signed
 * bytes, which weights are not made of. */
enum elem { ELEM_F32, ELEM_BF16, ELEM_Q8, ELEM_I8, ELEM_I4 };

/* Bytes of one of the first three. */
#define ELEM_SIZE(e)	((e) == ELEM_F32 ? sizeof(float) : \
			    (e) == ELEM_BF16 ? sizeof(uint16_t) : 1)
/* Is it quantized: one of the last two? */
#define ELEM_QUANTIZED(e)	((e) == ELEM_I8 || (e) == ELEM_I4)

#define PANEL		16	/* output columns of one panel */
#define OUTLIER		6.0f	/* larger lanes of activations are outliers */
#define ATTEND_ROWS	16	/* rows in a pass over the cache, at most */
#define ROUND_UP(n, to)	(((n) + (to) - 1) / (to) * (to))

/* What happens to a finished sum + bias. */
enum mm_end {
	MM_STORE,	/* out = it */
	MM_GELU_ERF,	/* out = x/2 * (1 + erf(x / sqrt 2)) of it */
	MM_GELU_TANH,	/* out = the tanh form of it */
	MM_ADD,		/* out = out + it */
	MM_ADD2,	/* out = out + (also + it) */
	MM_ROWS		/* outs[row] = it, no column behind N touched */
};

/*
 * Rows of activations in int8: x[k] = q[k] * scale.  The outliers of a row,
 * lanes with |x[k]| > OUTLIER and NaN, are listed instead, and their q is 0.
 * K is filled up to 64 with zeros.
 */
struct qrows {
	size_t		 ld;		/* numbers from row to row */
	int8_t		*q;		/* [T][ld] */
	int32_t		*sums;		/* [T][ld / GROUP] of each group's q */
	int32_t		*total;		/* [T] of all q */
	float		*scale;		/* [T] largest |x| but outliers / 127 */
	int32_t		*outlier;	/* [T][ld] outlier lanes, ascending */
	int		*noutliers;	/* [T] their number */
};

/*
 * out[rows][N] = a[rows][K] * w[N][K]' + bias, then as end says.  Rows of bf16
 * (a16, out16) are filled up with -0 to a multiple of 32 numbers, which
 * changes no sum: -0 * 0 + x is x whatever the sign of a zero.
 */
struct matmul {
	const float	*a;		/* bf16 weights: rounded to bf16 */
	const uint16_t	*a16;		/* the same in bf16, or NULL */
	size_t		 lda16;		/* numbers from row to row */
	const struct qrows *q;		/* a again, for int8 and int4 */
	size_t		 lda;		/* floats from row to row */
	int		 rows, K, N;
	enum elem	 elem;
	const void	*w;		/* panels */
	const void	*scales;	/* int8: [N] floats; int4: fp16 */
	const float	*bias;		/* [N up to 16], or NULL */
	enum mm_end	 end;
	int		 round;		/* round the result to bf16 */
	float		*out;		/* [rows][ldo], ldo >= N up to 16 */
	size_t		 ldo;
	uint16_t	*out16;		/* not NULL: in place of out, and round
					 * is set: no column behind N touched */
	size_t		 ldo16;
	const float	*also;		/* MM_ADD2: [rows][ldo] */
	float *const	*outs;		/* MM_ROWS */
};

/*
 * A layer's part of the KV cache: keys [H][blocks] and then values
 * [H][blocks], so that what a head reads of a sequence lies in a row where
 * its blocks do. Those of one head and one block, D lanes:
 *   K  two panels of 16 positions, k over lanes: [2][D/2][16][2] (or [2][16])
 *   V  panels of 16 lanes, k over positions:	  [D/16 up][16][16][2]
 * In int8 K and V are followed by the scales of their positions, fp32.
 */
#define KV_SCALES	(KV_BLOCK * sizeof(float))	/* bytes of them */

struct kv_shape {
	enum elem	 elem;
	int		 H, D;
	size_t		 keys, values;	/* bytes: of one head and block */
	size_t		 block;		/* of all heads' keys and values */
	int		 blocks;
};

/* Fill in the sizes; elem, H and D are there. */
static inline void
kv_sizes(struct kv_shape *kv)
{
	const size_t	 scales = kv->elem == ELEM_Q8 ? KV_SCALES : 0;
	const size_t	 lane = KV_BLOCK * ELEM_SIZE(kv->elem);

	kv->keys = (size_t)kv->D * lane + scales;
	kv->values = ROUND_UP((size_t)kv->D, PANEL) * lane + scales;
	kv->block = (kv->keys + kv->values) * (size_t)kv->H;
}

/* Where the keys, and the values, of head h and a block start in a layer. */
static inline size_t
kv_keys(const struct kv_shape *kv, int h, int32_t block)
{
	return (((size_t)h * (size_t)kv->blocks + (size_t)block) * kv->keys);
}

static inline size_t
kv_values(const struct kv_shape *kv, int h, int32_t block)
{
	return (kv_keys(kv, kv->H, 0) + ((size_t)h * (size_t)kv->blocks +
	    (size_t)block) * kv->values);
}

struct attend {
	const struct backend_row *rows;
	struct kv_shape	 kv;
	uint8_t		*cache;		/* this layer's blocks */
	const float	*qkv;		/* [T][H][q k v][D], q turned */
	size_t		 ldqkv;
	float		*out;		/* [T][H][D] */
	size_t		 ldo;
	uint16_t	*out16;		/* not NULL: in place of out, in bf16 */
	size_t		 ldo16;
	float		 scale;		/* of the scores: 1 / sqrt(D) */
};

/* One variant. */
struct kernels {
	const char	*name;

	/* Products of bf16 with at least so many rows read a16, where it is
	 * there, and not a. 0: none does. */
	int	rows16;

	/* Panels from first up to, not including, last. */
	void	(*matmul)(const struct matmul *m, int first, int last);

	/* Mean of x[n] and 1 / sqrt(variance + eps). */
	void	(*moments)(const float *x, int n, float eps, float *mean,
		    float *rstd);

	/* out = (x - mean) * rstd * gain + bias, padded to 16 with what the
	 * padding of x, gain and bias gives. */
	void	(*normalize)(const float *x, int n, float mean, float rstd,
		    const float *gain, const float *bias, int round,
		    float *out);

	/* out = x[n], which are numbers of bf16. */
	void	(*narrow)(const float *x, int n, uint16_t *out);

	/* Round row number row, x[K], to int8. */
	void	(*quantize)(const float *x, int K, const struct qrows *q,
		    int row);

	/* Turn query and key of head h for T rows, and put key and value
	 * into the cache: rotary.h. */
	void	(*rotary)(const struct attend *a, float *qkv, int h, int T,
		    const float *table, int rot);

	/* Attention of head h for rows first .. last - 1, which are one
	 * sequence's rows at consecutive positions, at most ATTEND_ROWS and
	 * best attend_rows of them. scratch: for each row
	 * ROUND_UP(last pos + 1, KV_BLOCK) + D filled up to 16. */
	int	attend_rows;
	void	(*attend)(const struct attend *a, int h, int first, int last,
		    float *scratch);

	/* Loops for roofline.c: read n bytes, a multiple of 4096, as four
	 * streams; 6 chains of multiply-add, or of dot products of 8 bits,
	 * rounds times. What they return means nothing. */
	float	(*read)(const uint8_t *p, size_t n);
	float	(*spin_fma)(int rounds);
	float	(*spin_dot8)(int rounds);
	/* The same for 4 tiles of sums, of bf16 and of 8 bits: NULL where
	 * there are no tiles. */
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
 * The variant of that name, or the best one for "auto". NULL where this CPU
 * or this build lacks it. kernels_list writes the names there are.
 */
const struct kernels *kernels_find(const char *isa);
void	kernels_list(char *buf, size_t size);

#endif

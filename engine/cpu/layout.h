/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the weights of a model lie in memory, for each precision: one piece
 * of memory for all of them, whose parts follow from the configuration.  A
 * packed file holds the same bytes.
 *
 * A matrix of N rows and K columns (out = in * w') is kept as panels of 16
 * output columns.  N is filled up to 16, and what is filled is zero:
 *
 *   fp32  F32  [N/16][K/2][2][16]
 *   bf16  BF16 [N/16][K/2][16][2]	what an AMX tile of B holds
 *   int8  U8   [N/16][K/4][16][4]	w = (u - 128) * scale[n]; K filled up
 *	   F32  [N]			to 64 with 128
 *   int4  U8   [N/16][K/32][4][16][4]	w = (u - 8) * scale[n][k/32]; K filled
 *	   F16  [N/16][K/32][16]	up to 64 with 8, and scales of 0
 *
 * A byte of int4 holds two numbers: of a group of 32 k, byte [i][n][j] has
 * k = 4 i + j in its lower half and k = 4 (i + 4) + j in its upper.
 * Vectors are F32, filled up to 16 with zeros.
 */
#ifndef CPU_LAYOUT_H
#define CPU_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "kernels.h"
#include "model.h"
#include "tensors.h"

/* The precisions, in order of size. */
enum precision { PREC_FP32, PREC_BF16, PREC_INT8, PREC_INT4, PREC_COUNT };

/* The name, and the precision of a name: PREC_COUNT where there is none. */
const char	*precision_name(enum precision p);
enum precision	 precision_find(const char *name);

/* One part of the memory. */
struct piece {
	enum tensor	 part;
	int		 layer;
	int		 scales;	/* the scales of a matrix */
	enum elem	 elem;		/* ELEM_F32 where it is a vector */
	const char	*dtype;		/* as in a safetensors file: static */
	int		 dims;
	int64_t		 shape[5];
	size_t		 size;		/* bytes, a multiple of 64 */
	size_t		 at;		/* from the start of the memory */
};

struct layout {
	struct model_config	 config;
	enum precision		 precision;
	struct piece		*pieces;	/* owned: in order of at */
	size_t			 n;
	size_t			 size;		/* bytes of the memory */
};

/* The layout of a model of configuration c. Never fails. */
void	 layout_init(struct layout *l, const struct model_config *c,
	    enum precision p);
void	 layout_clear(struct layout *l);

/* The piece of a part: its numbers, or its scales. NULL where it has none. */
const struct piece *layout_find(const struct layout *l, enum tensor part,
	    int layer, int scales);

/* The name of a piece in a packed file into buf. */
void	 layout_name(const struct piece *p, char buf[TENSOR_NAME_MAX]);

/* K filled up as the panels of elem have it. */
int	 layout_columns(enum elem elem, int K);

#endif

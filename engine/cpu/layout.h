/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the weights of a model lie in memory, for each precision.  All weights
 * are in one piece of memory.  The places of its parts depend only on the
 * configuration and the precision.  A packed file holds the same bytes.
 *
 * A matrix of N rows and K columns (out = in * w') is stored as panels of 16
 * output columns.  N is padded to a multiple of 16 with rows of zeros:
 *
 *   fp32  F32  [N/16][K/2][2][16]
 *   bf16  BF16 [N/16][K/2][16][2]	the form of an AMX tile of B
 *   int8  U8   [N/16][K/4][16][4]	w = (u - 128) * scale[n]; K is padded
 *	   F32  [N]			to a multiple of 64 with u = 128
 *   int4  U8   [N/16][K/32][4][16][4]	w = (u - 8) * scale[n][k/32]; K is
 *	   F16  [N/16][K/32][16]	padded to a multiple of 64 with u = 8,
 *					and scales of 0
 *
 * A byte of int4 holds two numbers.  In a group of 32 k, byte [i][n][j] has
 * k = 4 i + j in its lower half and k = 4 (i + 4) + j in its upper half.
 * Vectors are F32, padded to a multiple of 16 with zeros.
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

/* The name of a precision, static. */
const char	*precision_name(enum precision p);
/* The precision of a name, or PREC_COUNT if there is no such name. */
enum precision	 precision_find(const char *name);

/* One part of the memory. */
struct piece {
	enum tensor	 part;
	int		 layer;
	int		 scales;	/* 1: the scales of a matrix */
	enum elem	 elem;		/* of the matrix; ELEM_F32 if it is a
					 * vector */
	const char	*dtype;		/* as in a safetensors file: static */
	int		 dims;
	int64_t		 shape[5];
	size_t		 size;		/* bytes, a multiple of 64 */
	size_t		 at;		/* from the start of the memory */
	size_t		 whole;		/* the same if all layers are there */
};

struct layout {
	struct model_config	 config;
	enum precision		 precision;
	int			 first, end;	/* layers that it has */
	struct piece		*pieces;	/* owned: in order of at */
	size_t			 n;
	size_t			 size;		/* bytes of the memory */
	size_t			 whole;		/* the same with all layers */
};

/* The layout of a model of configuration c. Never fails. */
void	 layout_init(struct layout *l, const struct model_config *c,
	    enum precision p);
/* The layout of the layers first .. end - 1: see backend_options. */
void	 layout_init_range(struct layout *l, const struct model_config *c,
	    enum precision p, int first, int end);
void	 layout_clear(struct layout *l);

/* The piece of a part: its numbers, or with scales set its scales. NULL if
 * there is none. */
const struct piece *layout_find(const struct layout *l, enum tensor part,
	    int layer, int scales);

/* Write the name of a piece in a packed file to buf. */
void	 layout_name(const struct piece *p, char buf[TENSOR_NAME_MAX]);

/* K, padded as in the panels of elem. */
int	 layout_columns(enum elem elem, int K);

#endif

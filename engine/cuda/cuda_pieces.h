/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of all that the device holds of a model: one piece for each matrix,
 * vector and table of scales, with its size and its place.  A packed file of
 * layout LAYOUT_NAME has the same pieces in the same order.
 */
#ifndef CUDA_PIECES_H
#define CUDA_PIECES_H

#include <stddef.h>
#include <stdint.h>

#include "cuda_layout.h"

extern "C" {
#include "model.h"
#include "tensors.h"
}

/* The precisions of the device, the largest first. */
enum cuda_precision { CUDA_FP16_W, CUDA_BF16_W, CUDA_INT8_W, CUDA_INT4_W,
	CUDA_PRECISIONS };

/* What a piece holds. */
enum piece_kind {
	PIECE_MATRIX,		/* layout_matrix */
	PIECE_SCALES,		/* [N padded to 16] fp32, of an int8 matrix */
	PIECE_VECTOR,		/* [n padded to 16] fp32 */
	PIECE_TABLE		/* [V][C] fp16 or bf16: the embeddings */
};

struct cuda_piece {
	enum tensor	 part;
	int		 layer;		/* 0 outside of the layers */
	enum piece_kind	 kind;
	int		 N, K;		/* rows and columns; a vector: N, 1 */
	size_t		 size;		/* bytes, a multiple of 256 */
	size_t		 at;		/* from the first piece */
	size_t		 whole;		/* the same if all layers are there */
};

struct cuda_pieces {
	struct model_config	 config;
	enum cuda_precision	 precision;
	enum cuda_elem		 elem;		/* of matrices */
	enum cuda_elem		 act;		/* of activations, and of the
						 * table */
	int			 first, end;	/* layers that it has */
	struct cuda_piece	*list;		/* owned: in order of at */
	int			 n;
	size_t			 size;		/* of all */
	size_t			 whole;		/* the same with all layers */
};

/* The names of the precisions; NULL ends the list. */
extern const char *const cuda_precision_names[CUDA_PRECISIONS + 1];

/* The pieces of a model of configuration c. Never fails. */
void	 cuda_pieces_init(struct cuda_pieces *p, const struct model_config *c,
	    enum cuda_precision precision);
/* Those of the layers first .. end - 1: see backend_options. */
void	 cuda_pieces_range(struct cuda_pieces *p, const struct model_config *c,
	    enum cuda_precision precision, int first, int end);
void	 cuda_pieces_clear(struct cuda_pieces *p);

/* A piece, or NULL if the range has none. If the embeddings are tied, the
 * matrix of TENSOR_HEAD is made of the rows of TENSOR_EMBED. */
const struct cuda_piece *cuda_pieces_find(const struct cuda_pieces *p,
	    enum tensor part, int layer, enum piece_kind kind);

/* The name of a piece in a packed file. */
void	 cuda_pieces_name(const struct cuda_piece *q,
	    char buf[TENSOR_NAME_MAX]);

#endif

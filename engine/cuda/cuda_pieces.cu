/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of pieces, made by walking over the parts of a model.
 */
#include "cuda_pieces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_ALIGN	256	/* bytes: of cudaMalloc, and of a line */

const char *const cuda_precision_names[CUDA_PRECISIONS + 1] = {
	"fp16", "bf16", "int8", "int4", NULL
};

/* Does the range of layers have this part? */
static int
cuda_pieces_has(const struct cuda_pieces *p, enum tensor part, int layer)
{
	if (part < TENSOR_LAYER_COUNT)
		return (layer >= p->first && layer < p->end);
	return (part == TENSOR_EMBED ? p->first == 0 :
	    p->end == p->config.layers);
}

/* Append a piece if the range has it. */
static void
cuda_pieces_add(struct cuda_pieces *p, enum tensor part, int layer,
    enum piece_kind kind, int N, int K, size_t size)
{
	struct cuda_piece	*q;

	size = layout_pad(size, PIECE_ALIGN);
	p->whole += size;
	if (!cuda_pieces_has(p, part, layer))
		return;
	p->list = (struct cuda_piece *)realloc(p->list,
	    sizeof *p->list * (size_t)(p->n + 1));
	if (p->list == NULL)
		abort();
	q = &p->list[p->n++];
	q->part = part;
	q->layer = layer;
	q->kind = kind;
	q->N = N;
	q->K = K;
	q->size = size;
	q->at = p->size;
	q->whole = p->whole - size;
	p->size += q->size;
}

/* A matrix, and its scales if it has a table of them. */
static void
cuda_pieces_matrix(struct cuda_pieces *p, enum tensor part, int layer, int N,
    int K)
{
	cuda_pieces_add(p, part, layer, PIECE_MATRIX, N, K,
	    layout_matrix(p->elem, N, K));
	if (p->elem == CUDA_I8)
		cuda_pieces_add(p, part, layer, PIECE_SCALES, N, 1,
		    (size_t)layout_pad(N, LAYOUT_M) * sizeof(float));
}

/* The pieces of one part. */
static void
cuda_pieces_part(struct cuda_pieces *p, enum tensor part, int layer)
{
	int64_t	 rows, cols;

	if (part == TENSOR_HEAD && p->config.tied) {
		cuda_pieces_matrix(p, part, layer, p->config.vocab,
		    p->config.channels);
		return;
	}
	if (!tensor_wanted(part, &p->config))
		return;
	tensor_shape(part, &p->config, &rows, &cols);
	if (cols == 0)
		cuda_pieces_add(p, part, layer, PIECE_VECTOR, (int)rows, 1,
		    (size_t)layout_pad(rows, LAYOUT_M) * sizeof(float));
	else if (part == TENSOR_EMBED)
		cuda_pieces_add(p, part, layer, PIECE_TABLE, (int)rows,
		    (int)cols, (size_t)rows * (size_t)cols * 2);
	else
		cuda_pieces_matrix(p, part, layer, (int)rows, (int)cols);
}

/* The pieces of a whole model. */
void
cuda_pieces_init(struct cuda_pieces *p, const struct model_config *c,
    enum cuda_precision precision)
{
	cuda_pieces_range(p, c, precision, 0, c->layers);
}

/* Make the list: the embeddings, the layers, the end. */
void
cuda_pieces_range(struct cuda_pieces *p, const struct model_config *c,
    enum cuda_precision precision, int first, int end)
{
	static const enum cuda_elem elems[CUDA_PRECISIONS] = { CUDA_F16,
		CUDA_BF16, CUDA_I8, CUDA_I4 };
	int	 layer, part;

	memset(p, 0, sizeof *p);
	p->config = *c;
	p->precision = precision;
	p->first = first;
	p->end = end;
	p->elem = elems[precision];
	p->act = p->elem == CUDA_BF16 ? CUDA_BF16 : CUDA_F16;
	cuda_pieces_part(p, TENSOR_EMBED, 0);
	for (layer = 0; layer < c->layers; layer++)
		for (part = 0; part < TENSOR_LAYER_COUNT; part++)
			cuda_pieces_part(p, (enum tensor)part, layer);
	for (part = TENSOR_EMBED + 1; part < TENSOR_COUNT; part++)
		cuda_pieces_part(p, (enum tensor)part, 0);
}

/* Release it. */
void
cuda_pieces_clear(struct cuda_pieces *p)
{
	free(p->list);
	memset(p, 0, sizeof *p);
}

/* Look a piece up. */
const struct cuda_piece *
cuda_pieces_find(const struct cuda_pieces *p, enum tensor part, int layer,
    enum piece_kind kind)
{
	int	 i;

	for (i = 0; i < p->n; i++)
		if (p->list[i].part == part && p->list[i].layer == layer &&
		    p->list[i].kind == kind)
			return (&p->list[i]);
	return (NULL);
}

/* Name a piece. */
void
cuda_pieces_name(const struct cuda_piece *q, char buf[TENSOR_NAME_MAX])
{
	size_t	 n;

	tensor_name(q->part, q->layer, buf);
	n = strlen(buf);
	if (q->kind == PIECE_SCALES)
		snprintf(buf + n, TENSOR_NAME_MAX - n, ".scale");
}

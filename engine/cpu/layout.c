/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of weights: a list of pieces, built from the list of a model's
 * parts.
 */
#include "layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vocabulary.h"
#include "xmalloc.h"

/* The element type of matrices. */
static const enum elem layout_elems[PREC_COUNT] = {
	[PREC_FP32] = ELEM_F32,
	[PREC_BF16] = ELEM_BF16,
	[PREC_INT8] = ELEM_I8,
	[PREC_INT4] = ELEM_I4
};

/* enum precision has the order of the vocabulary, in which "auto" is first. */
#define PREC_WORDS	(vocabulary_cpu_precisions + 1)

/* Name of a precision. */
const char *
precision_name(enum precision p)
{
	return (PREC_WORDS[p]);
}

/* Precision of a name. */
enum precision
precision_find(const char *name)
{
	int	 p = vocabulary_find(PREC_WORDS, name);

	return (p == -1 ? PREC_COUNT : (enum precision)p);
}

/* Columns of a matrix in memory. */
int
layout_columns(enum elem elem, int K)
{
	return (elem == ELEM_I8 || elem == ELEM_I4 ? ROUND_UP(K, 64) : K);
}

/* Does the range of layers have this part? The tied output matrix is that of
 * the embeddings. */
static int
layout_has(const struct layout *l, enum tensor part, int layer)
{
	const int	 last = l->end == l->config.layers;

	if (part < TENSOR_LAYER_COUNT)
		return (layer >= l->first && layer < l->end);
	if (part == TENSOR_EMBED)
		return (l->first == 0 || (last && l->config.tied));
	return (last);
}

/* Append a piece if the range has it; bytes is the size of one element. */
static void
layout_add(struct layout *l, const struct piece *p, size_t bytes)
{
	struct piece	*q;
	size_t		 size = bytes;
	int		 i;

	for (i = 0; i < p->dims; i++)
		size *= (size_t)p->shape[i];
	if (layout_has(l, p->part, p->layer)) {
		l->pieces = xreallocarray(l->pieces, l->n + 1,
		    sizeof *l->pieces);
		q = &l->pieces[l->n++];
		*q = *p;
		q->at = l->size;
		q->whole = l->whole;
		q->size = size;
		l->size += size;
	}
	l->whole += size;
}

/* Append a vector. */
static void
layout_vector(struct layout *l, enum tensor part, int layer, int64_t n)
{
	struct piece	 p = { .part = part, .layer = layer, .dtype = "F32",
		.elem = ELEM_F32, .dims = 1, .shape = { ROUND_UP(n, PANEL) } };

	layout_add(l, &p, sizeof(float));
}

/* Append a matrix, and its scales if it is quantized. */
static void
layout_matrix(struct layout *l, enum tensor part, int layer, int64_t N,
    int64_t K)
{
	const enum elem	 elem = layout_elems[l->precision];
	const int64_t	 P = ROUND_UP(N, PANEL) / PANEL;
	struct piece	 p = { .part = part, .layer = layer, .elem = elem,
		.dims = 4 };

	K = layout_columns(elem, (int)K);
	switch (elem) {
	case ELEM_F32:
		p.dtype = "F32";
		memcpy(p.shape, (int64_t[]){ P, K / 2, 2, PANEL }, 32);
		layout_add(l, &p, sizeof(float));
		return;
	case ELEM_BF16:
		p.dtype = "BF16";
		memcpy(p.shape, (int64_t[]){ P, K / 2, PANEL, 2 }, 32);
		layout_add(l, &p, sizeof(uint16_t));
		return;
	case ELEM_I8:
		p.dtype = "U8";
		memcpy(p.shape, (int64_t[]){ P, K / 4, PANEL, 4 }, 32);
		layout_add(l, &p, 1);
		p.dtype = "F32";
		p.dims = 1;
		p.shape[0] = P * PANEL;
		p.scales = 1;
		layout_add(l, &p, sizeof(float));
		return;
	case ELEM_I4:
		p.dtype = "U8";
		p.dims = 5;
		memcpy(p.shape, (int64_t[]){ P, K / GROUP, 4, PANEL, 4 }, 40);
		layout_add(l, &p, 1);
		p.dtype = "F16";
		p.dims = 3;
		p.shape[2] = PANEL;
		p.scales = 1;
		layout_add(l, &p, sizeof(uint16_t));
		return;
	case ELEM_Q8:
		return;		/* in the KV cache only */
	}
}

/* Make a layout: the parts that exist once, then those of each layer. */
void
layout_init(struct layout *l, const struct model_config *c, enum precision p)
{
	layout_init_range(l, c, p, 0, c->layers);
}

/* The same for some layers. */
void
layout_init_range(struct layout *l, const struct model_config *c,
    enum precision p, int first, int end)
{
	int64_t	 rows, cols;
	int	 layer, part;

	memset(l, 0, sizeof *l);
	l->config = *c;
	l->precision = p;
	l->first = first;
	l->end = end;
	for (layer = -1; layer < c->layers; layer++)
		for (part = layer < 0 ? TENSOR_LAYER_COUNT : 0;
		    part < (layer < 0 ? TENSOR_COUNT : TENSOR_LAYER_COUNT);
		    part++) {
			if (!tensor_wanted((enum tensor)part, c))
				continue;
			tensor_shape((enum tensor)part, c, &rows, &cols);
			if (cols == 0)
				layout_vector(l, (enum tensor)part,
				    layer < 0 ? 0 : layer, rows);
			else
				layout_matrix(l, (enum tensor)part,
				    layer < 0 ? 0 : layer, rows, cols);
		}
}

/* Release it. */
void
layout_clear(struct layout *l)
{
	free(l->pieces);
	memset(l, 0, sizeof *l);
}

/* Find a piece. */
const struct piece *
layout_find(const struct layout *l, enum tensor part, int layer, int scales)
{
	const struct piece	*p;
	size_t			 i;

	for (i = 0; i < l->n; i++) {
		p = &l->pieces[i];
		if (p->part == part && p->layer == layer &&
		    p->scales == scales)
			return (p);
	}
	return (NULL);
}

/* Name a piece. */
void
layout_name(const struct piece *p, char buf[TENSOR_NAME_MAX])
{
	size_t	 n;

	tensor_name(p->part, p->layer, buf);
	n = strlen(buf);
	if (p->scales)
		snprintf(buf + n, TENSOR_NAME_MAX - n, ".scale");
}

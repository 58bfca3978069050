/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adapters: their passes, and merging them into the model.
 */
#include "net_lora.h"

#include <math.h>
#include <stdlib.h>

#include "rng.h"
#include "xmalloc.h"

static const struct {
	const char	*name;
	enum tensor	 part;
} lora_targets[LORA_TARGETS] = {
	{ "query_key_value", TENSOR_QKV },
	{ "dense", TENSOR_ATTN },
	{ "dense_h_to_4h", TENSOR_UP },
	{ "dense_4h_to_h", TENSOR_DOWN },
};

/* gelu of rows, for lora_down. */
struct lora_rows {
	struct net	*n;
	const float	*u, *bias;
};

/* The name of a target. */
const char *
lora_target(int i)
{
	return (i < LORA_TARGETS ? lora_targets[i].name : NULL);
}

/* The adapter of a matrix, or NULL. */
static struct lora_pair *
lora_pair(const struct net_lora *l, enum tensor part, int layer)
{
	struct lora_pair	*p;
	int			 i;

	for (i = 0; i < LORA_TARGETS; i++)
		if (lora_targets[i].part == part) {
			p = &l->pair[layer * LORA_TARGETS + i];
			return (p->a == NULL ? NULL : p);
		}
	return (NULL);
}

/* The shape of a target. */
static void
lora_shape(const struct net *n, int i, int *rows, int *cols)
{
	const int	 C = n->c.channels, F = n->c.inner;
	const int	 r[LORA_TARGETS] = { 3 * C, C, F, C };

	*rows = r[i];
	*cols = i == LORA_DOWN ? F : C;
}

/* Place the pairs in the arrays, or count their elements if they are NULL. */
static void
lora_place(struct net_lora *l, const struct net *n)
{
	struct lora_pair	*p;
	size_t			 at = 0;
	int			 i, k;

	for (i = 0; i < n->c.layers; i++)
		for (k = 0; k < LORA_TARGETS; k++) {
			p = &l->pair[i * LORA_TARGETS + k];
			if ((l->targets >> k & 1) == 0)
				continue;
			lora_shape(n, k, &p->rows, &p->cols);
			if (l->param != NULL) {
				p->a = l->param + at;
				p->da = l->grad + at;
			}
			at += (size_t)l->rank * (size_t)p->cols;
			if (l->param != NULL) {
				p->b = l->param + at;
				p->db = l->grad + at;
			}
			at += (size_t)l->rank * (size_t)p->rows;
		}
	l->n = (at + 15) / 16 * 16;
}

/* Make adapters. */
struct net_lora *
lora_new(struct net *n, int rank, float alpha, unsigned targets,
    uint64_t seed)
{
	struct net_lora		*l = xcalloc(1, sizeof *l);
	struct lora_pair	*p;
	int			 i, k;

	l->rank = rank;
	l->alpha = alpha;
	l->scale = alpha / (float)rank;
	l->targets = targets;
	l->pair = xcalloc((size_t)n->c.layers * LORA_TARGETS,
	    sizeof *l->pair);
	lora_place(l, n);
	l->param = mat_floats(l->n);
	l->grad = mat_floats(l->n);
	lora_place(l, n);
	l->z = mat_floats((size_t)n->rows * (size_t)rank);
	l->dz = mat_floats((size_t)n->rows * (size_t)rank);
	for (i = 0; i < n->c.layers * LORA_TARGETS; i++) {
		p = &l->pair[i];
		for (k = 0; p->a != NULL && k < rank * p->cols; k++)
			p->a[k] = (float)(rng_normal(&seed) /
			    sqrt((double)p->cols));
	}
	return (l);
}

/* Release them. */
void
lora_free(struct net_lora *l)
{
	if (l == NULL)
		return;
	free(l->pair);
	free(l->param);
	free(l->grad);
	free(l->z);
	free(l->dz);
	free(l);
}

/* z = factor * x A^T: [T][rank]. */
static void
lora_low(struct net *n, const struct lora_pair *p, const float *x, int T,
    float *z)
{
	mat_mul(&n->mat, T, n->lora->rank, p->cols,
	    (struct mat_in){ x, p->cols, 1 },
	    (struct mat_in){ p->a, p->cols, 1 }, z, n->lora->rank, 0);
}

/* Multiply n floats. */
static void
lora_scale(float *x, size_t n, float f)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		x[i] *= f;
}

/* The forward pass of one matrix. */
void
lora_forward(struct net *n, const float *x, int T, enum tensor part,
    int layer, float *y)
{
	struct net_lora		*l = n->lora;
	struct lora_pair	*p = lora_pair(l, part, layer);

	if (p == NULL)
		return;
	lora_low(n, p, x, T, l->z);
	lora_scale(l->z, (size_t)T * (size_t)l->rank, l->scale);
	mat_mul(&n->mat, T, p->rows, l->rank,
	    (struct mat_in){ l->z, l->rank, 1 },
	    (struct mat_in){ p->b, l->rank, 1 }, y, p->rows, 1);
}

/* The gradients of one matrix's adapter. */
void
lora_backward(struct net *n, const float *dy, const float *x, int T,
    enum tensor part, int layer, float *dx)
{
	struct net_lora		*l = n->lora;
	struct lora_pair	*p = lora_pair(l, part, layer);
	size_t			 count = (size_t)T * (size_t)l->rank;

	if (p == NULL)
		return;
	lora_low(n, p, x, T, l->z);
	lora_scale(l->z, count, l->scale);
	mat_mul(&n->mat, p->rows, l->rank, T,
	    (struct mat_in){ dy, 1, p->rows },
	    (struct mat_in){ l->z, 1, l->rank }, p->db, l->rank, 1);
	mat_mul(&n->mat, T, l->rank, p->rows,
	    (struct mat_in){ dy, p->rows, 1 },
	    (struct mat_in){ p->b, 1, l->rank }, l->dz, l->rank, 0);
	lora_scale(l->dz, count, l->scale);
	mat_mul(&n->mat, l->rank, p->cols, T,
	    (struct mat_in){ l->dz, 1, l->rank },
	    (struct mat_in){ x, 1, p->cols }, p->da, p->cols, 1);
	mat_mul(&n->mat, T, p->cols, l->rank,
	    (struct mat_in){ l->dz, l->rank, 1 },
	    (struct mat_in){ p->a, 1, p->cols }, dx, p->cols, 1);
}

/* gelu of some rows into n->g. */
static void
lora_gelu(void *arg, int first, int end)
{
	struct lora_rows	*k = arg;
	size_t			 F = (size_t)k->n->c.inner;
	int			 t;

	for (t = first; t < end; t++)
		k->n->kind->gelu(k->n->g + (size_t)t * F, k->u +
		    (size_t)t * F, k->bias, (int)F,
		    k->n->c.gelu == GELU_TANH);
}

/* The gradients of DOWN's adapter. */
void
lora_down(struct net *n, int T, int layer, const float *u, const float *bias,
    const float *d)
{
	struct lora_rows	 k = { n, u, bias };

	if (lora_pair(n->lora, TENSOR_DOWN, layer) == NULL)
		return;
	net_rows(n, T, lora_gelu, &k);
	lora_backward(n, d, n->g, T, TENSOR_DOWN, layer, n->dg);
}

/* Merge. */
void
lora_merge(struct net *n)
{
	struct net_lora		*l = n->lora;
	struct lora_pair	*p;
	float			*w, sum;
	int			 i, k, r, c, j;

	net_changed(n);
	for (i = 0; i < n->c.layers; i++)
		for (k = 0; k < LORA_TARGETS; k++) {
			p = &l->pair[i * LORA_TARGETS + k];
			if (p->a == NULL)
				continue;
			w = net_param(n, lora_targets[k].part, i);
			for (r = 0; r < p->rows; r++)
				for (c = 0; c < p->cols; c++) {
					sum = 0;
					for (j = 0; j < l->rank; j++)
						sum += p->b[r * l->rank + j] *
						    p->a[j * p->cols + c];
					w[r * p->cols + c] += l->scale * sum;
				}
		}
}

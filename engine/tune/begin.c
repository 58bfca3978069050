/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first weights.
 *
 * The previous-token head needs no weights, only biases of query and key.  Lane
 * i and lane i + half turn by position * theta_i.  With the key (A, 0) and the
 * query A (cos theta_i, -sin theta_i), the query of position p is the key's
 * direction at p - 1, so the score is largest for the token before, by the sum
 * of A^2 cos(theta_i (distance - 1)) over all i.
 */
#include "begin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rng.h"
#include "xmalloc.h"

#define BEGIN_EMBED	0.1	/* deviation of embeddings */
#define BEGIN_BIAS	10.0	/* A */
#define BEGIN_MATCH	1.6f	/* of query and key of the copying heads */
#define BEGIN_FIRST	0.12f	/* what the previous-token head writes */
#define BEGIN_COPY	0.15f	/* what the copying heads write */
#define BEGIN_LAYERS	3	/* that have a copying head */

/* Fill a parameter with normal numbers. */
static void
begin_fill(struct net *n, enum tensor part, int layer, double deviation,
    uint64_t *rng)
{
	float	*p = net_param(n, part, layer);
	int	 i;

	for (i = 0; p != NULL && i < n->tensors; i++)
		if (n->param + n->tensor[i].at == p)
			for (size_t k = 0; k < n->tensor[i].n; k++)
				p[k] = (float)(deviation * rng_normal(rng));
}

/* Norms are 1. */
static void
begin_norms(struct net *n)
{
	const struct net_tensor	*t;
	int			 i;
	size_t			 k;

	for (i = 0; i < n->tensors; i++) {
		t = &n->tensor[i];
		if (t->part == TENSOR_NORM1 || t->part == TENSOR_NORM2 ||
		    t->part == TENSOR_NORM)
			for (k = 0; k < t->n; k++)
				n->param[t->at + k] = 1;
	}
}

/* The usual start. */
void
begin_normal(struct net *n, uint64_t seed)
{
	int	 i;

	begin_norms(n);
	begin_fill(n, TENSOR_EMBED, 0, 0.02, &seed);
	for (i = 0; i < n->c.layers; i++) {
		begin_fill(n, TENSOR_QKV, i, 0.02, &seed);
		begin_fill(n, TENSOR_ATTN, i, 0.02, &seed);
		begin_fill(n, TENSOR_UP, i, 0.02, &seed);
		begin_fill(n, TENSOR_DOWN, i, 0.02, &seed);
	}
	begin_fill(n, TENSOR_HEAD, 0, 0.02, &seed);
}

/* D orthogonal rows of C numbers, each of length 1: owned. */
static float *
begin_rows(int D, int C, uint64_t *rng)
{
	float	*x = xcalloc((size_t)D * (size_t)C, sizeof *x);
	double	 dot;
	int	 i, j, k;

	for (i = 0; i < D; i++) {
		for (k = 0; k < C; k++)
			x[i * C + k] = (float)rng_normal(rng);
		for (j = 0; j <= i; j++) {
			for (dot = 0, k = 0; k < C; k++)
				dot += (double)x[i * C + k] *
				    (double)x[j * C + k];
			if (j == i)
				dot = 1 - 1 / sqrt(dot);
			for (k = 0; k < C; k++)
				x[i * C + k] -= (float)dot * x[j * C + k];
		}
	}
	return (x);
}

/* Set value and output matrix of the first head of a layer: it reads by rows
 * of v and writes f times rows of o. */
static void
begin_head(struct net *n, int layer, const float *v, const float *o, float f)
{
	const int	 C = n->c.channels, D = n->c.lanes;
	float		*qkv = net_param(n, TENSOR_QKV, layer);
	float		*out = net_param(n, TENSOR_ATTN, layer);
	int		 i, k;

	memset(qkv, 0, (size_t)(2 * D) * (size_t)C * sizeof *qkv);
	for (i = 0; i < D; i++)
		for (k = 0; k < C; k++) {
			qkv[(2 * D + i) * C + k] = v[i * C + k];
			out[k * C + i] = f * o[i * C + k];
		}
}

/* The previous-token head. */
static void
begin_previous(struct net *n, const float *u, const float *q)
{
	const int	 D = n->c.lanes, half = n->c.rotary / 2;
	float		*bias = net_param(n, TENSOR_QKV_BIAS, 0);
	double		 theta;
	int		 i;

	begin_head(n, 0, u, q, BEGIN_FIRST);
	for (i = 0; i < half && bias != NULL; i++) {
		theta = pow(n->c.rotary_base, -2.0 * i / n->c.rotary);
		bias[i] = (float)(BEGIN_BIAS * cos(theta));
		bias[half + i] = (float)(-BEGIN_BIAS * sin(theta));
		bias[D + i] = (float)BEGIN_BIAS;
	}
}

/* Start with heads that copy. */
void
begin_induction(struct net *n, uint64_t seed)
{
	const int	 C = n->c.channels, D = n->c.lanes;
	const int	 still = D - n->c.rotary;
	float		*u, *q, *p, *qkv;
	int		 i, k, l;

	begin_norms(n);
	begin_fill(n, TENSOR_EMBED, 0, BEGIN_EMBED, &seed);
	begin_fill(n, TENSOR_HEAD, 0, BEGIN_EMBED, &seed);
	for (i = 0; i < n->c.layers; i++) {
		begin_fill(n, TENSOR_QKV, i, 1 / sqrt(C), &seed);
		begin_fill(n, TENSOR_UP, i, 1 / sqrt(C), &seed);
	}
	u = begin_rows(D, C, &seed);
	q = begin_rows(D, C, &seed);
	begin_previous(n, u, q);
	for (l = 1; l < n->c.layers && l <= BEGIN_LAYERS; l++) {
		p = begin_rows(D, C, &seed);
		begin_head(n, l, p, p, BEGIN_COPY);
		qkv = net_param(n, TENSOR_QKV, l);
		for (i = 0; i < still; i++)
			for (k = 0; k < C; k++) {
				qkv[(n->c.rotary + i) * C + k] =
				    BEGIN_MATCH * u[i * C + k];
				qkv[(D + n->c.rotary + i) * C + k] =
				    BEGIN_MATCH * q[i * C + k];
			}
		free(p);
	}
	free(u);
	free(q);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forward pass.
 */
#include "net.h"

#include <string.h>

#include "log.h"
#include "net_lora.h"

/* A layer's pass over rows, for the threads. */
struct forward_rows {
	const struct net	*n;
	const struct net_batch	*b;
	const float		*bias, *bias2, *from, *x;
	float			*to;
	const int		*pos;
};

/* Embeddings. */
static void
forward_embed(void *arg, int first, int end)
{
	struct forward_rows	*k = arg;
	size_t			 C = (size_t)k->n->c.channels;
	int			 t;

	for (t = first; t < end; t++)
		memcpy(k->to + (size_t)t * C, k->from +
		    (size_t)k->b->id[t] * C, C * sizeof(float));
}

/* Turn the lanes of one head by its position; back turns them the other
 * way. */
static void
forward_turn(float *q, const float *cosp, const float *sinp, int half,
    int back)
{
	float	 a, b, s;
	int	 i;

	for (i = 0; i < half; i++) {
		a = q[i];
		b = q[i + half];
		s = back ? -sinp[i] : sinp[i];
		q[i] = a * cosp[i] - b * s;
		q[i + half] = b * cosp[i] + a * s;
	}
}

/* Turn query and key of all heads of a row. */
void
forward_rotary(const struct net *n, float *qkv, int pos, int back)
{
	int	 D = n->c.lanes, half = n->c.rotary / 2, h;

	for (h = 0; h < n->c.heads; h++, qkv += 3 * D) {
		forward_turn(qkv, n->cos + pos * half, n->sin + pos * half,
		    half, back);
		forward_turn(qkv + D, n->cos + pos * half,
		    n->sin + pos * half, half, back);
	}
}

/* Biases and rotary embedding of query, key and value. */
static void
forward_qkv(void *arg, int first, int end)
{
	struct forward_rows	*k = arg;
	int			 n3 = 3 * k->n->c.channels, t, d, pos;
	float			*row;

	for (d = 0; d < k->b->docs; d++) {
		if (k->b->doc[d].start >= end ||
		    k->b->doc[d].start + k->b->doc[d].len <= first)
			continue;
		t = k->b->doc[d].start > first ? k->b->doc[d].start : first;
		for (; t < end && t < k->b->doc[d].start + k->b->doc[d].len;
		    t++) {
			row = k->to + (size_t)t * (size_t)n3;
			pos = t - k->b->doc[d].start;
			if (k->bias != NULL)
				k->n->kind->add_row(row, k->bias, n3, 1);
			forward_rotary(k->n, row, pos, 0);
		}
	}
}

/* to = x + biases. */
static void
forward_residual(void *arg, int first, int end)
{
	struct forward_rows	*k = arg;
	int			 C = k->n->c.channels, t;
	float			*row;

	for (t = first; t < end; t++) {
		row = k->to + (size_t)t * (size_t)C;
		memcpy(row, k->x + (size_t)t * (size_t)C,
		    (size_t)C * sizeof *row);
		if (k->bias != NULL)
			k->n->kind->add_row(row, k->bias, C, 1);
		if (k->bias2 != NULL)
			k->n->kind->add_row(row, k->bias2, C, 1);
	}
}

/* gelu. */
static void
forward_gelu(void *arg, int first, int end)
{
	struct forward_rows	*k = arg;
	size_t			 F = (size_t)k->n->c.inner;
	int			 t;

	for (t = first; t < end; t++)
		k->n->kind->gelu(k->to + (size_t)t * F, k->from +
		    (size_t)t * F, k->bias, (int)F,
		    k->n->c.gelu == GELU_TANH);
}

/* y[T][rows] = x[T][cols] W^T, plus y if add, with the adapter of W. */
static void
forward_linear(struct net *n, const float *x, int T, enum tensor part,
    int layer, int rows, int cols, float *y, int add)
{
	mat_mul_packed(&n->mat, T, rows, cols, (struct mat_in){ x, cols, 1 },
	    net_operand(n, part, layer, 0), y, rows, add);
	if (n->lora != NULL)
		lora_forward(n, x, T, part, layer, y);
}

/* The MLP: from y, added to next, some rows at a time. */
static void
forward_mlp(struct net *n, int T, int i, const float *y, float *next)
{
	struct net_layer	*l = &n->layer[i];
	const int		 C = n->c.channels, F = n->c.inner;
	struct forward_rows	 k = { .n = n };
	int			 t, rows;
	size_t			 at;

	k.bias = net_param(n, TENSOR_UP_BIAS, i);
	k.to = n->g;
	for (t = 0; t < T; t += rows) {
		rows = T - t < n->chunk ? T - t : n->chunk;
		at = (size_t)t * (size_t)C;
		net_norm(n, y + at, rows, TENSOR_NORM2, i, l->mean2 + t,
		    l->rstd2 + t, n->h);
		k.from = l->u + (size_t)t * (size_t)F;
		forward_linear(n, n->h, rows, TENSOR_UP, i, F, C,
		    l->u + (size_t)t * (size_t)F, 0);
		net_rows(n, rows, forward_gelu, &k);
		forward_linear(n, n->g, rows, TENSOR_DOWN, i, C, F,
		    next + at, 1);
	}
}

/* One layer. */
static void
forward_layer(struct net *n, const struct net_batch *b, int i)
{
	struct net_layer	*l = &n->layer[i];
	const float		*y;
	float			*next = n->layer[i + 1].x;
	const int		 T = b->T, C = n->c.channels;
	struct forward_rows	 k = { .n = n, .b = b };

	net_norm(n, l->x, T, TENSOR_NORM1, i, l->mean1, l->rstd1, n->h);
	forward_linear(n, n->h, T, TENSOR_QKV, i, 3 * C, C, l->qkv, 0);
	k.bias = net_param(n, TENSOR_QKV_BIAS, i);
	k.to = l->qkv;
	net_rows(n, T, forward_qkv, &k);
	attend_forward(n, b, l);

	k.x = l->x;
	k.bias = net_param(n, TENSOR_ATTN_BIAS, i);
	k.bias2 = n->c.parallel ? net_param(n, TENSOR_DOWN_BIAS, i) : NULL;
	k.to = n->c.parallel ? next : l->mid;
	net_rows(n, T, forward_residual, &k);
	forward_linear(n, l->o, T, TENSOR_ATTN, i, C, C, k.to, 1);
	y = n->c.parallel ? l->x : l->mid;
	if (!n->c.parallel) {
		k.x = l->mid;
		k.bias = net_param(n, TENSOR_DOWN_BIAS, i);
		k.to = next;
		net_rows(n, T, forward_residual, &k);
	}

	forward_mlp(n, T, i, y, next);
}

/* The buffers have room for a batch; a larger one must not reach them. */
static void
forward_fits(const struct net *n, const struct net_batch *b)
{
	int	 d;

	if (b->T > n->rows)
		fatalx("a batch of %d tokens, with room for %d", b->T,
		    n->rows);
	for (d = 0; d < b->docs; d++)
		if (b->doc[d].len > n->c.context)
			fatalx("a document of %d tokens, for a model with a "
			    "context of %d", b->doc[d].len, n->c.context);
}

/* The forward pass. */
void
net_forward(struct net *n, const struct net_batch *b)
{
	struct forward_rows	 k = { .n = n, .b = b };
	int			 i;

	forward_fits(n, b);
	k.from = net_param(n, TENSOR_EMBED, 0);
	k.to = n->layer[0].x;
	net_rows(n, b->T, forward_embed, &k);
	for (i = 0; i < n->c.layers; i++)
		forward_layer(n, b, i);
}

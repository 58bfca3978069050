/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backward pass.  n->dx holds the gradient of the residual stream, first
 * after the last layer, in the end before the first.
 */
#include "net.h"

#include <string.h>

#include "net_lora.h"

/* A layer's pass over rows, for the threads. */
struct backward_rows {
	const struct net	*n;
	const struct net_batch	*b;
	const float		*x, *bias;
	float			*y, *d;
};

/* gelu, computed again, and its gradient in place. */
static void
backward_gelu(void *arg, int first, int end)
{
	struct backward_rows	*k = arg;
	size_t			 F = (size_t)k->n->c.inner;
	int			 t;

	for (t = first; t < end; t++)
		k->n->kind->gelu_back(k->y + (size_t)t * F, k->d +
		    (size_t)t * F, k->d + (size_t)t * F, k->x + (size_t)t * F,
		    k->bias, (int)F, k->n->c.gelu == GELU_TANH);
}

/* Turn the gradients of query and key back. */
static void
backward_turn(void *arg, int first, int end)
{
	struct backward_rows	*k = arg;
	const struct net_doc	*doc;
	size_t			 n3 = 3 * (size_t)k->n->c.channels;
	int			 d, t;

	for (d = 0; d < k->b->docs; d++) {
		doc = &k->b->doc[d];
		t = doc->start > first ? doc->start : first;
		for (; t < end && t < doc->start + doc->len; t++)
			forward_rotary(k->n, k->d + (size_t)t * n3,
			    t - doc->start, 1);
	}
}

/*
 * The gradients of y = x W^T: dW += dy^T x, and dx = dy W. bias, if the model
 * has it, gets the sums of dy. dx NULL: not wanted.
 */
static void
backward_linear(struct net *n, const float *dy, const float *x, int T,
    enum tensor part, int layer, int rows, int cols, enum tensor bias,
    float *dx)
{
	if (!n->frozen)
		mat_mul(&n->mat, rows, cols, T, (struct mat_in){ dy, 1, rows },
		    (struct mat_in){ x, 1, cols },
		    net_grad(n, part, layer), cols, 1);
	net_column_sums(n, dy, T, rows, net_grad(n, bias, layer));
	mat_mul_packed(&n->mat, T, cols, rows, (struct mat_in){ dy, rows, 1 },
	    net_operand(n, part, layer, 1), dx, cols, 0);
	if (n->lora != NULL)
		lora_backward(n, dy, x, T, part, layer, dx);
}

/*
 * The gradients of the MLP for `rows` rows from row t on. d is the gradient of
 * its output; that of its input is added there. gelu's gradient needs dg, and
 * the gradient of DOWN needs gelu, so DOWN's two products are apart.
 */
static void
backward_mlp_rows(struct net *n, int i, int t, int rows, const float *y,
    float *d)
{
	struct net_layer	*l = &n->layer[i];
	const int		 C = n->c.channels, F = n->c.inner;
	struct backward_rows	 k = { .n = n, .y = n->g, .d = n->dg };

	mat_mul_packed(&n->mat, rows, F, C, (struct mat_in){ d, C, 1 },
	    net_operand(n, TENSOR_DOWN, i, 1), n->dg, F, 0);
	k.x = l->u + (size_t)t * (size_t)F;
	k.bias = net_param(n, TENSOR_UP_BIAS, i);
	if (n->lora != NULL)
		lora_down(n, rows, i, k.x, k.bias, d);
	net_rows(n, rows, backward_gelu, &k);
	if (!n->frozen)
		mat_mul(&n->mat, C, F, rows, (struct mat_in){ d, 1, C },
		    (struct mat_in){ n->g, 1, F },
		    net_grad(n, TENSOR_DOWN, i), F, 1);
	net_column_sums(n, d, rows, C, net_grad(n, TENSOR_DOWN_BIAS, i));
	net_norm(n, y, rows, TENSOR_NORM2, i, l->mean2 + t, l->rstd2 + t,
	    n->h);
	backward_linear(n, n->dg, n->h, rows, TENSOR_UP, i, F, C,
	    TENSOR_UP_BIAS, n->dh);
	net_norm_back(n, n->dh, y, rows, TENSOR_NORM2, i, l->mean2 + t,
	    l->rstd2 + t, d);
}

/* The gradients of the MLP, from n->dx and added to it, some rows at a time. */
static void
backward_mlp(struct net *n, const struct net_batch *b, int i)
{
	const float	*y = n->c.parallel ? n->layer[i].x : n->layer[i].mid;
	const size_t	 C = (size_t)n->c.channels;
	int		 t, rows;

	for (t = 0; t < b->T; t += rows) {
		rows = b->T - t < n->chunk ? b->T - t : n->chunk;
		backward_mlp_rows(n, i, t, rows, y + (size_t)t * C,
		    n->dx + (size_t)t * C);
	}
}

/* The gradients of attention, from n->dout, added to n->dx. */
static void
backward_attention(struct net *n, const struct net_batch *b, int i)
{
	struct net_layer	*l = &n->layer[i];
	const int		 C = n->c.channels;
	struct backward_rows	 k = { .n = n, .b = b, .d = n->dqkv };

	attend_backward(n, b, l, n->dout, n->dqkv);
	net_rows(n, b->T, backward_turn, &k);
	net_norm(n, l->x, b->T, TENSOR_NORM1, i, l->mean1, l->rstd1, n->h);
	backward_linear(n, n->dqkv, n->h, b->T, TENSOR_QKV, i, 3 * C, C,
	    TENSOR_QKV_BIAS, n->dh);
	net_norm_back(n, n->dh, l->x, b->T, TENSOR_NORM1, i, l->mean1,
	    l->rstd1, n->dx);
}

/* One layer. */
static void
backward_layer(struct net *n, const struct net_batch *b, int i)
{
	const int	 C = n->c.channels;

	if (!n->c.parallel)
		backward_mlp(n, b, i);
	backward_linear(n, n->dx, n->layer[i].o, b->T, TENSOR_ATTN, i, C, C,
	    TENSOR_ATTN_BIAS, n->dout);
	if (n->c.parallel)
		backward_mlp(n, b, i);
	backward_attention(n, b, i);
}

/* The backward pass. */
void
net_backward(struct net *n, const struct net_batch *b)
{
	const size_t	 C = (size_t)n->c.channels;
	float		*de = net_grad(n, TENSOR_EMBED, 0);
	int		 i, t;

	for (i = n->c.layers - 1; i >= 0; i--)
		backward_layer(n, b, i);
	for (t = 0; t < b->T && !n->frozen; t++)
		n->kind->add_row(de + (size_t)b->id[t] * C,
		    n->dx + (size_t)t * C, (int)C, 1);
}

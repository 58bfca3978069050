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
	mat_mul(&n->mat, T, cols, rows, (struct mat_in){ dy, rows, 1 },
	    (struct mat_in){ net_param(n, part, layer), 1, cols }, dx, cols,
	    0);
	if (n->lora != NULL)
		lora_backward(n, dy, x, T, part, layer, dx);
}

/* The gradients of the MLP, from n->dx; added to n->dx if add_now, else left
 * in n->dh. */
static void
backward_mlp(struct net *n, const struct net_batch *b, int i)
{
	struct net_layer	*l = &n->layer[i];
	const int		 C = n->c.channels, F = n->c.inner;
	const float		*y = n->c.parallel ? l->x : l->mid;
	struct backward_rows	 k = { .n = n, .b = b };

	/* gelu's gradient needs dg, and the gradient of DOWN needs gelu, so
	 * DOWN's two products are apart. */
	mat_mul(&n->mat, b->T, F, C, (struct mat_in){ n->dx, C, 1 },
	    (struct mat_in){ net_param(n, TENSOR_DOWN, i), 1, F }, n->dg, F,
	    0);
	k.x = l->u;
	k.bias = net_param(n, TENSOR_UP_BIAS, i);
	if (n->lora != NULL)
		lora_down(n, b->T, i, k.x, k.bias);
	k.y = n->g;
	k.d = n->dg;
	net_rows(n, b->T, backward_gelu, &k);
	if (!n->frozen)
		mat_mul(&n->mat, C, F, b->T, (struct mat_in){ n->dx, 1, C },
		    (struct mat_in){ n->g, 1, F },
		    net_grad(n, TENSOR_DOWN, i), F, 1);
	net_column_sums(n, n->dx, b->T, C, net_grad(n, TENSOR_DOWN_BIAS, i));
	net_norm(n, y, b->T, TENSOR_NORM2, i, l->mean2, l->rstd2, n->h);
	backward_linear(n, n->dg, n->h, b->T, TENSOR_UP, i, F, C,
	    TENSOR_UP_BIAS, n->dh);
	net_norm_back(n, n->dh, y, b->T, TENSOR_NORM2, i, l->mean2, l->rstd2,
	    n->dx);
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

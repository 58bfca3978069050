/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last norm and the output matrix: losses of tokens, and their gradient.
 * Logits are computed for HEAD_ROWS rows at a time.
 */
#include "net.h"

#include <math.h>
#include <string.h>

#include "pool.h"

#define HEAD_ROWS	1024

/* Some rows of logits, for the threads. */
struct head_job {
	struct net		*n;
	const struct net_batch	*b;
	float			*loss, *each;
	int			 first, ld;
	float			 grad;
};

/* The output matrix. */
static enum tensor
head_part(const struct net *n)
{
	return (n->c.tied ? TENSOR_EMBED : TENSOR_HEAD);
}

/* Losses of some rows; their logits become gradients. */
static void
head_rows(void *arg, int first, int end)
{
	struct head_job	*j = arg;
	int		 V = j->n->c.vocab, i, t, c;
	float		*row, max, sum, right, w;

	for (i = first; i < end; i++) {
		row = j->n->logits + (size_t)i * (size_t)j->ld;
		for (c = V; c < j->ld; c++)
			row[c] = -1e30f;
		t = j->n->want[j->first + i] + 1;	/* what it predicts */
		max = j->n->kind->max_row(row, j->ld);
		right = row[j->b->id[t]];
		sum = j->n->kind->exp_row(row, j->ld, 1, max);
		j->each[i] = logf(sum) + max - right;
		if (j->loss != NULL)
			j->loss[t] = j->each[i];
		if (j->grad == 0)
			continue;
		w = j->b->weight[t] * j->grad;
		j->n->kind->scale_row(row, j->ld, w / sum);
		row[j->b->id[t]] -= w;
	}
}

/* The rows that predict tokens with a weight. */
static void
head_wanted(struct net *n, const struct net_batch *b)
{
	int	 t;

	n->wanted = 0;
	for (t = 1; t < b->T; t++)
		if (b->weight[t] != 0)
			n->want[n->wanted++] = t - 1;
}

/* Copy the wanted rows of the residual stream, and norm them. */
static void
head_norm(struct net *n)
{
	const size_t	 C = (size_t)n->c.channels;
	const float	*x = n->layer[n->c.layers].x;
	int		 i;

	for (i = 0; i < n->wanted; i++)
		memcpy(n->dout + (size_t)i * C, x + (size_t)n->want[i] * C,
		    C * sizeof *x);
	net_norm(n, n->dout, n->wanted, TENSOR_NORM, 0, n->mean, n->rstd,
	    n->hn);
}

/* Multiply some rows by the output matrix. */
static void
head_logits(struct net *n, int first, int rows, int ld)
{
	const int	 C = n->c.channels;

	if (n->logits == NULL)
		n->logits = mat_floats((size_t)HEAD_ROWS * (size_t)ld);
	mat_mul_packed(&n->mat, rows, n->c.vocab, C,
	    (struct mat_in){ n->hn + (size_t)first * (size_t)C, C, 1 },
	    net_operand(n, head_part(n), 0, 0), n->logits, ld, 0);
}

/* The gradients of head_logits, from the gradients in n->logits. */
static void
head_back(struct net *n, int first, int rows, int ld)
{
	const int	 C = n->c.channels, V = n->c.vocab;
	const size_t	 at = (size_t)first * (size_t)C;

	mat_mul_packed(&n->mat, rows, C, V, (struct mat_in){ n->logits, ld,
	    1 }, net_operand(n, head_part(n), 0, 1), n->dhn + at, C, 0);
	if (!n->frozen)
		mat_mul(&n->mat, V, C, rows, (struct mat_in){ n->logits, 1,
		    ld }, (struct mat_in){ n->hn + at, 1, C },
		    net_grad(n, head_part(n), 0), C, 1);
}

/* Losses, and the gradient at the top. */
double
net_loss(struct net *n, const struct net_batch *b, float *loss, float grad)
{
	const size_t	 C = (size_t)n->c.channels;
	float		 each[HEAD_ROWS];
	struct head_job	 j = { n, b, loss, each, 0, MAT_UP(n->c.vocab), grad };
	double		 sum = 0;
	int		 i, rows;

	head_wanted(n, b);
	head_norm(n);
	for (; j.first < n->wanted; j.first += rows) {
		rows = n->wanted - j.first < HEAD_ROWS ?
		    n->wanted - j.first : HEAD_ROWS;
		head_logits(n, j.first, rows, j.ld);
		net_rows(n, rows, head_rows, &j);
		for (i = 0; i < rows; i++)
			sum += (double)each[i] *
			    b->weight[n->want[j.first + i] + 1];
		if (grad != 0)
			head_back(n, j.first, rows, j.ld);
	}
	if (grad == 0)
		return (sum);
	/* dx of the wanted rows; the others have none. */
	memset(n->dh, 0, (size_t)n->wanted * C * sizeof *n->dh);
	net_norm_back(n, n->dhn, n->dout, n->wanted, TENSOR_NORM, 0, n->mean,
	    n->rstd, n->dh);
	memset(n->dx, 0, (size_t)b->T * C * sizeof *n->dx);
	for (i = 0; i < n->wanted; i++)
		memcpy(n->dx + (size_t)n->want[i] * C, n->dh + (size_t)i * C,
		    C * sizeof *n->dx);
	return (sum);
}

/* The largest logit after a token. */
int32_t
net_best(struct net *n, int t, float *margin)
{
	const int	 ld = MAT_UP(n->c.vocab);
	int		 i, best = 0;
	float		 second = -INFINITY;

	n->want[0] = t;
	n->wanted = 1;
	head_norm(n);
	head_logits(n, 0, 1, ld);
	for (i = 1; i < n->c.vocab; i++)
		if (n->logits[i] > n->logits[best]) {
			second = n->logits[best];
			best = i;
		} else if (n->logits[i] > second) {
			second = n->logits[i];
		}
	*margin = n->logits[best] - second;
	return (best);
}

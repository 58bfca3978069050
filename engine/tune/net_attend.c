/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention, forward and backward.  One item of work is one head of one
 * document: scores of a panel of queries are computed against all panels of
 * keys up to the diagonal.  Probabilities are not kept, but computed again in
 * the backward pass from the sums that the forward pass has kept.
 */
#include "net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "xmalloc.h"

#define ATTEND_NEVER	-1e30f	/* the score of a later token */

/* The buffers of a thread. */
struct attend_buf {
	void	*q, *k, *v, *kt, *d;	/* packed operands */
	void	*p, *pt, *t, *rows;	/* packed probabilities and rows */
	float	*s, *ds;		/* scores of a panel of queries */
	float	*dk, *dv;		/* gradients */
};

struct attend {
	struct attend_buf	*buf;	/* owned: one per thread */
	int			 threads;
};

/* One run. */
struct attend_job {
	struct net		*n;
	const struct net_batch	*b;
	struct net_layer	*l;
	const float		*dout;
	float			*dqkv;
};

/* One item: a head of a document. */
struct attend_item {
	const struct mat_kind	*kind;
	struct attend_buf	*buf;
	int			 S, D, C, lanes;	/* lanes: panels of D */
	ptrdiff_t		 ld;			/* of scores */
	float			 scale;
	const float		*q, *k, *v;		/* rows 3C apart */
};

/* Buffers for documents of up to n->rows tokens. */
struct attend *
attend_new(const struct net *n)
{
	const struct mat_kind	*kind = n->kind;
	struct attend		*a = xcalloc(1, sizeof *a);
	int			 S = n->rows < n->c.context ? n->rows :
				    n->c.context, D = n->c.lanes, i;
	struct attend_buf	*b;

	a->threads = pool_size(n->pool);
	a->buf = xcalloc((size_t)a->threads, sizeof *a->buf);
	for (i = 0; i < a->threads; i++) {
		b = &a->buf[i];
		b->q = mat_packed(kind, S, D);
		b->k = mat_packed(kind, S, D);
		/* The values lie both ways in it, one after the other. */
		b->v = mat_bytes(kind, S, D) > mat_bytes(kind, D, S) ?
		    mat_packed(kind, S, D) : mat_packed(kind, D, S);
		b->kt = mat_packed(kind, D, S);
		b->d = mat_packed(kind, S, D);
		b->p = mat_packed(kind, MAT_PANEL, S);
		b->pt = mat_packed(kind, S, MAT_PANEL);
		b->t = mat_packed(kind, S, MAT_PANEL);
		b->rows = mat_packed(kind, D, MAT_PANEL);
		b->s = mat_floats((size_t)MAT_UP(S) * MAT_PANEL);
		b->ds = mat_floats((size_t)MAT_UP(S) * MAT_PANEL);
		b->dk = mat_floats((size_t)MAT_UP(S) * (size_t)MAT_UP(D));
		b->dv = mat_floats((size_t)MAT_UP(S) * (size_t)MAT_UP(D));
	}
	return (a);
}

/* Release them. */
void
attend_free(struct attend *a)
{
	int	 i;

	for (i = 0; a != NULL && i < a->threads; i++) {
		free(a->buf[i].q);
		free(a->buf[i].k);
		free(a->buf[i].v);
		free(a->buf[i].kt);
		free(a->buf[i].d);
		free(a->buf[i].p);
		free(a->buf[i].pt);
		free(a->buf[i].t);
		free(a->buf[i].rows);
		free(a->buf[i].s);
		free(a->buf[i].ds);
		free(a->buf[i].dk);
		free(a->buf[i].dv);
	}
	if (a != NULL)
		free(a->buf);
	free(a);
}

/* Begin an item: pack queries and keys. Returns the first row of the
 * document. */
static size_t
attend_begin(struct attend_item *x, const struct attend_job *j, int item,
    int thread)
{
	const struct net	*n = j->n;
	const struct net_doc	*d = &j->b->doc[item / n->c.heads];
	ptrdiff_t		 rs = 3 * n->c.channels;

	x->kind = n->kind;
	x->buf = &n->attend->buf[thread];
	x->S = d->len;
	x->D = n->c.lanes;
	x->C = n->c.channels;
	x->lanes = MAT_UP(x->D) / MAT_PANEL;
	x->ld = MAT_UP(x->S);
	x->scale = 1.0f / sqrtf((float)x->D);
	x->q = j->l->qkv + d->start * rs + item % n->c.heads * 3 * x->D;
	x->k = x->q + x->D;
	x->v = x->k + x->D;
	x->kind->enter();
	x->kind->pack_a(x->buf->q, x->q, rs, 1, x->S, x->D);
	x->kind->pack_b(x->buf->k, x->k, rs, 1, x->S, x->D);
	return ((size_t)d->start);
}

/* The scores of panel i of queries. */
static void
attend_scores(struct attend_item *x, int i)
{
	int	 j, r, c;

	for (j = 0; j <= i; j++)
		x->kind->block(mat_panel(x->kind, x->buf->q, x->D, i),
		    mat_panel(x->kind, x->buf->k, x->D, j), x->lanes,
		    x->buf->s + j * MAT_PANEL, x->ld, 0);
	for (r = 0; r < MAT_PANEL; r++)
		for (c = i * MAT_PANEL + r + 1; c < (i + 1) * MAT_PANEL; c++)
			x->buf->s[r * x->ld + c] = ATTEND_NEVER;
}

/* One head of one document. */
static void
attend_forward_item(void *arg, int item, int thread)
{
	struct attend_job	*j = arg;
	struct attend_item	 x;
	size_t			 at = attend_begin(&x, j, item, thread);
	int			 H = j->n->c.heads, head = item % H;
	int			 i, r, p, rows, width;
	float			 max, sum, *row, *o;

	x.kind->pack_b(x.buf->v, x.v, 1, 3 * x.C, x.D, x.S);
	for (i = 0; i * MAT_PANEL < x.S; i++) {
		attend_scores(&x, i);
		rows = x.S - i * MAT_PANEL < MAT_PANEL ?
		    x.S - i * MAT_PANEL : MAT_PANEL;
		width = (i + 1) * MAT_PANEL;
		for (r = 0; r < rows; r++) {
			row = x.buf->s + r * x.ld;
			max = x.kind->max_row(row, width) * x.scale;
			sum = x.kind->exp_row(row, width, x.scale, max);
			x.kind->scale_row(row, width, 1.0f / sum);
			j->l->lse[(at + (size_t)(i * MAT_PANEL + r)) *
			    (size_t)H + (size_t)head] = max + logf(sum);
		}
		x.kind->pack_a(x.buf->p, x.buf->s, x.ld, 1, rows, width);
		o = j->l->o + (at + (size_t)i * MAT_PANEL) * (size_t)x.C +
		    (size_t)(head * x.D);
		for (p = 0; p < x.lanes; p++)
			mat_part(x.kind, x.buf->p, mat_panel(x.kind,
			    x.buf->v, x.S, p), i + 1, o + p * MAT_PANEL,
			    x.C, rows, x.D - p * MAT_PANEL, 0);
	}
}

/* Attention of all documents and heads. */
void
attend_forward(struct net *n, const struct net_batch *b, struct net_layer *l)
{
	struct attend_job	 j = { n, b, l, NULL, NULL };

	pool_run(n->pool, b->docs * n->c.heads, attend_forward_item, &j);
}

/* Probabilities of panel i in buf->s, and gradients of scores in buf->ds. */
static void
attend_dscores(struct attend_item *x, const struct attend_job *j, size_t at,
    int head, int i, int rows)
{
	int		 width = (i + 1) * MAT_PANEL, c, r, l;
	const float	*d, *o;
	size_t		 t;
	float		 delta;

	attend_scores(x, i);
	for (c = 0; c <= i; c++)
		x->kind->block(mat_panel(x->kind, x->buf->d, x->D, i),
		    mat_panel(x->kind, x->buf->v, x->D, c), x->lanes,
		    x->buf->ds + c * MAT_PANEL, x->ld, 0);
	for (r = 0; r < rows; r++) {
		t = at + (size_t)(i * MAT_PANEL + r);
		d = j->dout + t * (size_t)x->C + (size_t)(head * x->D);
		o = j->l->o + t * (size_t)x->C + (size_t)(head * x->D);
		if (x->D % 16 == 0)
			delta = x->kind->dot_row(d, o, x->D);
		else
			for (delta = 0, l = 0; l < x->D; l++)
				delta += d[l] * o[l];
		(void)x->kind->exp_row(x->buf->s + r * x->ld, width,
		    x->scale, j->l->lse[t * (size_t)j->n->c.heads +
		    (size_t)head]);
		x->kind->dscore_row(x->buf->ds + r * x->ld,
		    x->buf->s + r * x->ld, width, delta, x->scale);
	}
}

/* Add the transposed rows of s times `rows` rows of x to the panels of d. */
static void
attend_spread(struct attend_item *x, const float *s, void *packed, int i,
    int rows, const float *from, ptrdiff_t rs, float *d)
{
	int	 width = (i + 1) * MAT_PANEL, c, p;

	x->kind->pack_a(packed, s, 1, x->ld, width, rows);
	x->kind->pack_b(x->buf->rows, from, 1, rs, x->D, rows);
	for (c = 0; c <= i; c++)
		for (p = 0; p < x->lanes; p++)
			x->kind->block(mat_panel(x->kind, packed, MAT_PANEL,
			    c), mat_panel(x->kind, x->buf->rows, MAT_PANEL,
			    p), 1, d + c * MAT_PANEL * MAT_UP(x->D) +
			    p * MAT_PANEL, MAT_UP(x->D), 1);
}

/* The gradients of one head of one document. */
static void
attend_backward_item(void *arg, int item, int thread)
{
	struct attend_job	*j = arg;
	struct attend_item	 x;
	size_t			 at = attend_begin(&x, j, item, thread), k;
	int			 head = item % j->n->c.heads, up, i, p, rows;
	ptrdiff_t		 rs = 3 * x.C;
	const float		*d = j->dout + at * (size_t)x.C +
				    (size_t)(head * x.D);
	float			*to = j->dqkv + (x.q - j->l->qkv), *row;

	up = MAT_UP(x.D);
	x.kind->pack_b(x.buf->v, x.v, rs, 1, x.S, x.D);
	x.kind->pack_b(x.buf->kt, x.k, 1, rs, x.D, x.S);
	x.kind->pack_a(x.buf->d, d, x.C, 1, x.S, x.D);
	k = (size_t)MAT_UP(x.S) * (size_t)up * sizeof(float);
	memset(x.buf->dk, 0, k);
	memset(x.buf->dv, 0, k);
	for (i = 0; i * MAT_PANEL < x.S; i++) {
		rows = x.S - i * MAT_PANEL < MAT_PANEL ?
		    x.S - i * MAT_PANEL : MAT_PANEL;
		attend_dscores(&x, j, at, head, i, rows);
		attend_spread(&x, x.buf->s, x.buf->pt, i, rows,
		    d + (ptrdiff_t)i * MAT_PANEL * x.C, x.C, x.buf->dv);
		attend_spread(&x, x.buf->ds, x.buf->t, i, rows,
		    x.q + (ptrdiff_t)i * MAT_PANEL * rs, rs, x.buf->dk);
		x.kind->pack_a(x.buf->p, x.buf->ds, x.ld, 1, rows,
		    (i + 1) * MAT_PANEL);
		for (p = 0; p < x.lanes; p++)
			mat_part(x.kind, x.buf->p, mat_panel(x.kind,
			    x.buf->kt, x.S, p), i + 1,
			    to + (ptrdiff_t)i * MAT_PANEL * rs +
			    p * MAT_PANEL, rs, rows, x.D - p * MAT_PANEL, 0);
	}
	for (i = 0; i < x.S; i++) {
		row = to + i * rs + x.D;
		memcpy(row, x.buf->dk + i * up, (size_t)x.D * sizeof *row);
		memcpy(row + x.D, x.buf->dv + i * up,
		    (size_t)x.D * sizeof *row);
	}
}

/* The gradients of query, key and value (before they are turned back). */
void
attend_backward(struct net *n, const struct net_batch *b,
    struct net_layer *l, const float *dout, float *dqkv)
{
	struct attend_job	 j = { n, b, l, dout, dqkv };

	pool_run(n->pool, b->docs * n->c.heads, attend_backward_item, &j);
}

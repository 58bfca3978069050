/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameters and buffers of a model that is trained, and the loops over
 * rows that its passes share.
 */
#include "net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "pool.h"
#include "tensors.h"
#include "xmalloc.h"

#define NET_CHUNK	64	/* rows that a thread takes at a time */
/* Elements at whose multiples parameters begin: a cache line's, and a block's
 * of optim8.h, so that two threads never share one. */
#define NET_ALIGN	256
/* Bytes of one array of the MLP that stay in the second caches of two cores;
 * and the largest MLP for which products with so few rows are worth it.  The
 * number of threads must not count here: the sums of gradients depend on the
 * rows. */
#define NET_CHUNK_BYTES	(2 * 768 * 1024)
#define NET_CHUNK_INNER	1024
#define NET_COLUMNS	64	/* columns, for sums */

/* A run over rows, for the threads. */
struct net_rows {
	int	 T;
	void	(*fn)(void *, int, int);
	void	*arg;
};

/* A norm, for the threads. */
struct net_norms {
	const struct net	*n;
	const float		*x, *g, *b, *dy;
	float			*mean, *rstd, *y, *dx, *part;
	const float		*cmean, *crstd;
};

/* Free the arrays of a batch. */
void
net_batch_clear(struct net_batch *b)
{
	free(b->id);
	free(b->weight);
	free(b->doc);
	memset(b, 0, sizeof *b);
}

/* Append a document. */
void
net_batch_add(struct net_batch *b, const int32_t *id, const float *weight,
    int n)
{
	if (n <= 0)
		return;
	if (b->T + n > b->size) {
		b->size = 2 * b->size + n;
		b->id = xreallocarray(b->id, (size_t)b->size, sizeof *b->id);
		b->weight = xreallocarray(b->weight, (size_t)b->size,
		    sizeof *b->weight);
	}
	if (b->docs == b->doc_size) {
		b->doc_size = 2 * b->doc_size + 16;
		b->doc = xreallocarray(b->doc, (size_t)b->doc_size,
		    sizeof *b->doc);
	}
	memcpy(b->id + b->T, id, (size_t)n * sizeof *id);
	memcpy(b->weight + b->T, weight, (size_t)n * sizeof *weight);
	b->weight[b->T] = 0;
	b->doc[b->docs].start = b->T;
	b->doc[b->docs++].len = n;
	b->T += n;
}

/* Add a parameter, if the model has it. */
static void
net_tensor_add(struct net *n, enum tensor part, int layer)
{
	struct net_tensor	*t = &n->tensor[n->tensors];

	if (!tensor_wanted(part, &n->c))
		return;
	tensor_shape(part, &n->c, &t->rows, &t->cols);
	if (t->cols == 0)
		t->cols = 1;
	t->part = part;
	t->layer = layer;
	t->at = n->n;
	t->n = (size_t)t->rows * (size_t)t->cols;
	n->n += (t->n + NET_ALIGN - 1) / NET_ALIGN * NET_ALIGN;
	n->tensors++;
}

/* The place of a parameter, or NULL. */
static const struct net_tensor *
net_find(const struct net *n, enum tensor part, int layer)
{
	int	 i;

	for (i = 0; i < n->tensors; i++)
		if (n->tensor[i].part == part &&
		    (part >= TENSOR_LAYER_COUNT ||
		    n->tensor[i].layer == layer))
			return (&n->tensor[i]);
	return (NULL);
}

/* A parameter. */
float *
net_param(const struct net *n, enum tensor part, int layer)
{
	const struct net_tensor	*t = net_find(n, part, layer);

	return (t == NULL ? NULL : n->param + t->at);
}

/* Its gradient. */
float *
net_grad(const struct net *n, enum tensor part, int layer)
{
	const struct net_tensor	*t = net_find(n, part, layer);

	return (t == NULL || n->grad == NULL ? NULL : n->grad + t->at);
}

/* Forget the packed operands. */
void
net_changed(struct net *n)
{
	memset(n->fresh, 0, 2 * (size_t)n->tensors);
}

/* A matrix as the second operand of a product: x W^T, or with `back` y W. */
const void *
net_operand(struct net *n, enum tensor part, int layer, int back)
{
	const struct net_tensor	*t = net_find(n, part, layer);
	int			 i = 2 * (int)(t - n->tensor) + (back != 0);
	int			 rows = (int)(back ? t->cols : t->rows);
	int			 cols = (int)(back ? t->rows : t->cols);
	struct mat_in		 in = { n->param + t->at,
				    back ? 1 : t->cols, back ? t->cols : 1 };

	if (n->packed[i] == NULL)
		n->packed[i] = mat_operand(&n->mat, rows, cols);
	if (!n->fresh[i])
		mat_prepare(&n->mat, rows, cols, in, n->packed[i]);
	n->fresh[i] = 1;
	return (n->packed[i]);
}

/* Forget the gradients. */
void
net_zero(struct net *n)
{
	memset(n->grad, 0, n->n * sizeof *n->grad);
}

/* Angles of the rotary embedding. */
static void
net_angles(struct net *n)
{
	int	 half = n->c.rotary / 2, p, i;
	double	 a;

	n->cos = mat_floats((size_t)n->c.context * (size_t)half + 1);
	n->sin = mat_floats((size_t)n->c.context * (size_t)half + 1);
	for (p = 0; p < n->c.context; p++)
		for (i = 0; i < half; i++) {
			a = p * pow(n->c.rotary_base, -2.0 * i / n->c.rotary);
			n->cos[p * half + i] = (float)cos(a);
			n->sin[p * half + i] = (float)sin(a);
		}
}

/* Buffers for n->rows tokens. */
static void
net_buffers(struct net *n)
{
	const size_t		 T = (size_t)n->rows;
	const size_t		 C = (size_t)n->c.channels;
	const size_t		 F = (size_t)n->c.inner;
	struct net_layer	*l;
	int			 i;

	n->layer = xcalloc((size_t)n->c.layers + 1, sizeof *n->layer);
	for (i = 0; i <= n->c.layers; i++) {
		l = &n->layer[i];
		l->x = mat_floats(T * C);
		if (i == n->c.layers)
			break;
		if (!n->c.parallel)
			l->mid = mat_floats(T * C);
		l->mean1 = mat_floats(T);
		l->rstd1 = mat_floats(T);
		l->mean2 = mat_floats(T);
		l->rstd2 = mat_floats(T);
		l->qkv = mat_floats(T * 3 * C);
		l->o = mat_floats(T * C);
		l->lse = mat_floats(T * (size_t)n->c.heads);
		l->u = mat_floats(T * F);
	}
	n->h = mat_floats(T * C);
	n->g = mat_floats(T * F);
	n->dg = mat_floats(T * F);
	n->dh = mat_floats(T * C);
	n->dx = mat_floats(T * C);
	n->dqkv = mat_floats(T * 3 * C);
	n->dout = mat_floats(T * C);
	n->hn = mat_floats(T * C);
	n->dhn = mat_floats(T * C);
	n->part = mat_floats((T / NET_CHUNK + 2) * 2 * C);
	n->mean = mat_floats(T);
	n->rstd = mat_floats(T);
	n->want = xcalloc(T, sizeof *n->want);
	n->attend = attend_new(n);
}

/* Make a model. */
int
net_new(const struct model_config *c, int rows, const struct mat_kind *kind,
    struct pool *pool, struct net **out, struct fault *f)
{
	struct net	*n;
	int		 i, part;

	if (c->channels % 16 != 0 || c->inner % 16 != 0) {
		fault_set(f, "bad_model", NULL, "hidden_size %d or "
		    "intermediate_size %d is not a multiple of 16, as "
		    "training needs", c->channels, c->inner);
		return (CHAT_EUNSUPPORTED);
	}
	n = xcalloc(1, sizeof *n);
	n->c = *c;
	n->kind = kind;
	n->pool = pool;
	n->rows = rows;
	mat_init(&n->mat, kind, pool);
	n->tensor = xcalloc((size_t)c->layers * TENSOR_LAYER_COUNT +
	    TENSOR_COUNT, sizeof *n->tensor);
	net_tensor_add(n, TENSOR_EMBED, 0);
	for (i = 0; i < c->layers; i++)
		for (part = 0; part < TENSOR_LAYER_COUNT; part++)
			net_tensor_add(n, (enum tensor)part, i);
	for (part = TENSOR_EMBED + 1; part < TENSOR_COUNT; part++)
		net_tensor_add(n, (enum tensor)part, 0);
	n->packed = xcalloc(2 * (size_t)n->tensors, sizeof *n->packed);
	n->fresh = xcalloc(2 * (size_t)n->tensors, 1);
	n->chunk = c->inner > NET_CHUNK_INNER ? rows :
	    NET_CHUNK_BYTES / 4 / c->inner / NET_CHUNK * NET_CHUNK;
	n->param = mat_floats(n->n);
	n->grad = mat_floats(n->n);
	net_angles(n);
	net_buffers(n);
	*out = n;
	return (0);
}

/* Release a model. */
void
net_free(struct net *n)
{
	int	 i;

	if (n == NULL)
		return;
	for (i = 0; i <= n->c.layers; i++) {
		free(n->layer[i].x);
		free(n->layer[i].mid);
		free(n->layer[i].mean1);
		free(n->layer[i].rstd1);
		free(n->layer[i].mean2);
		free(n->layer[i].rstd2);
		free(n->layer[i].qkv);
		free(n->layer[i].o);
		free(n->layer[i].lse);
		free(n->layer[i].u);
	}
	free(n->layer);
	free(n->h);
	free(n->g);
	free(n->dg);
	free(n->dh);
	free(n->dx);
	free(n->dqkv);
	free(n->dout);
	free(n->hn);
	free(n->dhn);
	free(n->logits);
	free(n->part);
	free(n->mean);
	free(n->rstd);
	free(n->want);
	free(n->cos);
	free(n->sin);
	attend_free(n->attend);
	for (i = 0; i < 2 * n->tensors; i++)
		mat_operand_free(&n->mat, n->packed[i]);
	free(n->packed);
	free(n->fresh);
	free(n->param);
	free(n->grad);
	free(n->tensor);
	mat_clear(&n->mat);
	free(n);
}

/* Some rows of a run. */
static void
net_rows_item(void *arg, int item, int thread)
{
	struct net_rows	*r = arg;
	int		 first = item * NET_CHUNK;

	(void)thread;
	r->fn(r->arg, first, first + NET_CHUNK < r->T ? first + NET_CHUNK :
	    r->T);
}

/* Call fn for all rows, some at a time. */
void
net_rows(struct net *n, int T, void (*fn)(void *, int, int), void *arg)
{
	struct net_rows	 r = { T, fn, arg };

	pool_run(n->pool, (T + NET_CHUNK - 1) / NET_CHUNK, net_rows_item, &r);
}

/* The norm of some rows. */
static void
net_norm_rows(void *arg, int first, int end)
{
	struct net_norms	*k = arg;
	size_t			 C = (size_t)k->n->c.channels;
	int			 t;

	for (t = first; t < end; t++)
		k->n->kind->norm(k->y + (size_t)t * C, k->x + (size_t)t * C,
		    k->g, k->b, (int)C, k->n->c.norm_eps, &k->mean[t],
		    &k->rstd[t]);
}

/* y = norm(x); weight is the norm's scale, its bias follows. */
void
net_norm(struct net *n, const float *x, int T, enum tensor weight, int layer,
    float *mean, float *rstd, float *y)
{
	struct net_norms	 k = { .n = n, .x = x, .mean = mean,
				    .rstd = rstd, .y = y };

	k.g = net_param(n, weight, layer);
	k.b = net_param(n, (enum tensor)(weight + 1), layer);
	net_rows(n, T, net_norm_rows, &k);
}

/* The gradient of the norm of some rows, with sums of its own. */
static void
net_norm_back_rows(void *arg, int first, int end)
{
	struct net_norms	*k = arg;
	size_t			 C = (size_t)k->n->c.channels;
	float			*part = k->part +
				    (size_t)(first / NET_CHUNK) * 2 * C;
	int			 t;

	memset(part, 0, 2 * C * sizeof *part);
	for (t = first; t < end; t++)
		k->n->kind->norm_back(k->dx + (size_t)t * C, part, part + C,
		    k->dy + (size_t)t * C, k->x + (size_t)t * C, k->g,
		    (int)C, k->cmean[t], k->crstd[t]);
}

/* The gradient of net_norm: dx += ..., and that of its parameters. */
void
net_norm_back(struct net *n, const float *dy, const float *x, int T,
    enum tensor weight, int layer, const float *mean, const float *rstd,
    float *dx)
{
	struct net_norms	 k = { .n = n, .x = x, .dy = dy,
				    .cmean = mean, .crstd = rstd, .dx = dx,
				    .part = n->part };
	float			*dg = net_grad(n, weight, layer);
	float			*db = net_grad(n, (enum tensor)(weight + 1),
				    layer);
	int			 i, C = n->c.channels;

	k.g = net_param(n, weight, layer);
	net_rows(n, T, net_norm_back_rows, &k);
	for (i = 0; i * NET_CHUNK < T && !n->frozen; i++) {
		n->kind->add_row(dg, n->part + 2 * i * C, C, 1);
		n->kind->add_row(db, n->part + (2 * i + 1) * C, C, 1);
	}
}

/* Sums of columns, for the threads. */
struct net_sums {
	const float	*x;
	float		*sums;
	int		 T, cols;
};

/* The sums of some columns. */
static void
net_sums_item(void *arg, int item, int thread)
{
	struct net_sums	*k = arg;
	float		 s[NET_COLUMNS];
	int		 first = item * NET_COLUMNS, t, i, l;
	int		 n = k->cols - first < NET_COLUMNS ?
			    k->cols - first : NET_COLUMNS;

	(void)thread;
	memset(s, 0, sizeof s);
	for (t = 0; t < k->T; t++)
		for (i = 0; i < n; i += 16)
			for (l = i; l < i + 16; l++)
				s[l] += k->x[(size_t)t * (size_t)k->cols +
				    (size_t)(first + l)];
	for (i = 0; i < n; i++)
		k->sums[first + i] += s[i];
}

/* sums += the sums of the columns of x; cols is a multiple of 16. sums NULL:
 * nothing. */
void
net_column_sums(struct net *n, const float *x, int T, int cols, float *sums)
{
	struct net_sums	 k = { x, sums, T, cols };

	if (sums != NULL && !n->frozen)
		pool_run(n->pool, (cols + NET_COLUMNS - 1) / NET_COLUMNS,
		    net_sums_item, &k);
}

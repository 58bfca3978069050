/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapters of a model on the device: loading them, and adding them to the
 * products of a step.
 */
#include "cuda.h"

#include <stdlib.h>

#include "cuda_fail.h"

/* The pair of a target in a layer of an adapter; NULL: it is not changed. */
static const struct adapter_pair *
adapt_find(const struct adapter *a, int layer, int target)
{
	if ((a->targets >> target & 1) == 0)
		return (NULL);
	return (&a->pair[layer * ADAPTER_TARGETS + target]);
}

/* Bytes of the table of pairs. */
static size_t
adapt_table(const struct backend_options *opt, const struct cuda_pieces *p)
{
	return (layout_pad((size_t)cuda_layers(p) * ADAPTER_TARGETS *
	    (size_t)opt->nadapters * sizeof(struct adapt_pair), 256));
}

/* Bytes of all, and the largest rank. */
size_t
cuda_adapt_bytes(const struct backend_options *opt,
    const struct cuda_pieces *p, int *rank)
{
	const struct adapter_pair *q;
	size_t			 n = 0;
	int			 i, l, t;

	*rank = 0;
	for (i = 0; i < opt->nadapters; i++) {
		if (opt->adapters[i]->rank > *rank)
			*rank = opt->adapters[i]->rank;
		for (l = p->first; l < p->end; l++)
			for (t = 0; t < ADAPTER_TARGETS; t++)
				if ((q = adapt_find(opt->adapters[i], l,
				    t)) != NULL)
					n += (size_t)opt->adapters[i]->rank *
					    (size_t)(q->N + q->K);
	}
	return (n == 0 ? 0 : adapt_table(opt, p) + n * sizeof(float));
}

/* A load in progress. */
struct adapt_load {
	struct cuda		*c;
	struct adapt_pair	*table;	/* owned: [layers][targets][adapters] */
	float			*turned;	/* owned: B with its scale */
	size_t			 room;		/* floats of it */
	size_t			 at;		/* bytes that are used */
};

/* Copy n floats to the device; *out is their place. */
static cudaError_t
adapt_send(struct adapt_load *l, const float *from, size_t n,
    const float **out)
{
	uint8_t	*to = l->c->adapters + l->at;

	*out = (const float *)(void *)to;
	l->at += n * sizeof *from;
	return (cudaMemcpy(to, from, n * sizeof *from,
	    cudaMemcpyHostToDevice));
}

/* Copy one pair. */
static cudaError_t
adapt_pair_send(struct adapt_load *l, const struct adapter *a,
    const struct adapter_pair *q, struct adapt_pair *out)
{
	const size_t	 rank = (size_t)a->rank, N = (size_t)q->N;
	cudaError_t	 e;
	size_t		 i, r;

	if (l->room < rank * N) {
		free(l->turned);
		l->room = rank * N;
		l->turned = (float *)malloc(l->room * sizeof *l->turned);
		if (l->turned == NULL)
			abort();
	}
	for (r = 0; r < rank; r++)
		for (i = 0; i < N; i++)
			l->turned[r * N + i] = a->scale * q->b[i * rank + r];
	out->rank = a->rank;
	if ((e = adapt_send(l, q->a, rank * (size_t)q->K, &out->a)) !=
	    cudaSuccess)
		return (e);
	return (adapt_send(l, l->turned, rank * N, &out->b));
}

/* Copy all pairs, then the table. */
static cudaError_t
adapt_all(struct adapt_load *l, const struct backend_options *opt)
{
	const struct cuda_pieces	*p = &l->c->pieces;
	const struct adapter_pair	*q;
	struct adapt_pair		*out = l->table;
	cudaError_t			 e;
	int				 layer, t, i;

	for (layer = p->first; layer < p->end; layer++)
		for (t = 0; t < ADAPTER_TARGETS; t++)
			for (i = 0; i < opt->nadapters; i++, out++)
				if ((q = adapt_find(opt->adapters[i], layer,
				    t)) != NULL && (e = adapt_pair_send(l,
				    opt->adapters[i], q, out)) != cudaSuccess)
					return (e);
	return (cudaMemcpy(l->c->adapters, l->table, (size_t)(out - l->table) *
	    sizeof *l->table, cudaMemcpyHostToDevice));
}

/* Load the adapters. */
int
cuda_adapt_load(struct cuda *c, const struct backend_options *opt,
    struct fault *f)
{
	struct adapt_load	 l = {};
	cudaError_t		 e;
	int			 i;

	c->nadapters = opt->nadapters;
	if (c->sizes.adapters == 0)
		return (0);
	for (i = 0; i < opt->nadapters; i++)
		c->targets |= opt->adapters[i]->targets;
	if ((e = cudaMalloc((void **)&c->adapters, c->sizes.adapters)) !=
	    cudaSuccess) {
		c->adapters = NULL;
		return (cuda_fault(c->h, c->name, "memory for the adapters",
		    e, f));
	}
	l.c = c;
	l.at = adapt_table(opt, &c->pieces);
	l.table = (struct adapt_pair *)calloc(1, l.at);
	if (l.table == NULL)
		abort();
	e = adapt_all(&l, opt);
	free(l.table);
	free(l.turned);
	if (e == cudaSuccess)
		return (0);
	return (cuda_fault(c->h, c->name, "loading the adapters", e, f));
}

/* Add to one product. */
cudaError_t
cuda_adapt_add(const struct cuda *c, int layer, enum adapter_target target,
    int T, const struct product_part *m, const void *in, float *out, int ldo)
{
	struct adapt	 d = {};

	d.pair = (const struct adapt_pair *)(const void *)c->adapters +
	    (layer * ADAPTER_TARGETS + target) * c->nadapters;
	d.adapter = (const int32_t *)(const void *)(c->work +
	    c->sizes.input) + c->input.adapters;
	d.in = in;
	d.act = c->pieces.act;
	d.T = T;
	d.N = m->N;
	d.K = m->K;
	d.z = (float *)(void *)(c->work + c->sizes.z);
	d.ldz = c->sizes.ldz;
	d.out = out;
	d.ldo = ldo;
	return (adapt_launch(&d, c->stream));
}

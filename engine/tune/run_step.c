/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step of training: documents are put into batches of at most r->micro
 * tokens until there are r->batch of them; the gradients of all batches are
 * added up.
 */
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

/* The batch that n more tokens fit into. */
static struct net_batch *
run_batch(struct run *t, int n)
{
	struct net_batch	*b;

	if (t->batches > 0 &&
	    t->batch[t->batches - 1].T + n <= t->net->rows)
		return (&t->batch[t->batches - 1]);
	if (t->batches == t->batch_size) {
		t->batch = xreallocarray(t->batch, t->batch_size + 1,
		    sizeof *t->batch);
		memset(&t->batch[t->batch_size++], 0, sizeof *t->batch);
	}
	b = &t->batch[t->batches++];
	b->T = b->docs = 0;
	return (b);
}

/* Get the next document. data_check has found that there is one. */
static struct data_doc *
run_next(struct run *t, enum data_part part)
{
	do
		data_document(t->data, t->cursor++, part, &t->doc);
	while (!data_usable(&t->doc));
	return (&t->doc);
}

/* Documents side by side. Returns the tokens. */
static int64_t
run_documents(struct run *t)
{
	struct data_doc	*d;
	int64_t		 n = 0;

	while (n < t->r->batch) {
		d = run_next(t, DATA_LEARNT);
		net_batch_add(run_batch(t, (int)d->id.n), d->id.id,
		    d->weight, (int)d->id.n);
		n += (int64_t)d->id.n;
	}
	return (n);
}

/* Documents joined and cut to the full length, as OIG's loader packs them: each
 * begins with an end of line. The rest of the last one is left out. */
static int64_t
run_packed(struct run *t)
{
	struct idbuf	 id = { 0 }, line = { 0 };
	float		*w = NULL;
	size_t		 L = (size_t)t->r->length, i, size = 0;
	struct data_doc	*d;
	int64_t		 n = 0;

	tokenizer_encode(t->tok, "\n", 1, 0, &line);
	while (n < t->r->batch) {
		d = run_next(t, DATA_LEARNT);
		if (id.n + line.n + d->id.n > size) {
			size = 2 * (id.n + line.n + d->id.n);
			w = xreallocarray(w, size, sizeof *w);
		}
		for (i = 0; i < line.n; i++)
			w[id.n + i] = 0;
		memcpy(w + id.n + line.n, d->weight, d->id.n * sizeof *w);
		idbuf_append(&id, line.id, line.n);
		idbuf_append(&id, d->id.id, d->id.n);
		for (; id.n >= L && n < t->r->batch; n += (int64_t)L) {
			net_batch_add(run_batch(t, (int)L), id.id, w,
			    (int)L);
			id.n -= L;
			memmove(id.id, id.id + L, id.n * sizeof *id.id);
			memmove(w, w + L, id.n * sizeof *w);
		}
	}
	idbuf_clear(&id);
	idbuf_clear(&line);
	free(w);
	return (n);
}

/* The sum of the weights of all batches. */
static double
run_weight(const struct run *t)
{
	double	 sum = 0;
	size_t	 i;
	int	 k;

	for (i = 0; i < t->batches; i++)
		for (k = 0; k < t->batch[i].T; k++)
			sum += (double)t->batch[i].weight[k];
	return (sum);
}

/* Forward and backward for all batches. Returns the mean loss. */
static double
run_likelihood(struct run *t)
{
	double	 total = run_weight(t), sum = 0;
	size_t	 i;

	if (total <= 0)
		return (0);
	for (i = 0; i < t->batches; i++) {
		net_forward(t->net, &t->batch[i]);
		sum += net_loss(t->net, &t->batch[i], NULL,
		    (float)(1 / total));
		net_backward(t->net, &t->batch[i]);
	}
	return (sum / total);
}

/* The log-likelihoods of the replies of a batch's documents, by n: owned. */
static double *
run_scores(struct net *n, const struct net_batch *b)
{
	float	*loss = xcalloc((size_t)b->T, sizeof *loss);
	double	*out = xcalloc((size_t)b->docs, sizeof *out);
	int	 d, k;

	net_forward(n, b);
	net_loss(n, b, loss, 0);
	for (d = 0; d < b->docs; d++)
		for (k = b->doc[d].start; k < b->doc[d].start +
		    b->doc[d].len; k++)
			if (b->weight[k] != 0)
				out[d] -= (double)loss[k];
	free(loss);
	return (out);
}

/* The same by the reference: the model at the start. */
static double *
run_reference(struct run *t, const struct net_batch *b)
{
	double	*out;

	if (t->ref != NULL)
		return (run_scores(t->ref, b));
	t->net->lora = NULL;
	out = run_scores(t->net, b);
	t->net->lora = t->lora;
	return (out);
}

/* log(1 + exp(x)), where exp(x) may be too large. */
static double
run_softplus(double x)
{
	return (x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)));
}

/* 1 / (1 + exp(-x)). */
static double
run_logistic(double x)
{
	return (1 / (1 + exp(-x)));
}

/*
 * DPO (Rafailov et al. 2023): documents 2i and 2i + 1 have the same prompt and
 * the chosen and the rejected reply. slope[d] is that of the loss by document
 * d's log-likelihood. Returns the sum of the losses.
 */
static double
run_dpo(const struct recipe *r, int docs, const double *p,
    const double *ref, double *slope)
{
	double	 m, sum = 0;
	int	 d;

	for (d = 0; d + 1 < docs; d += 2) {
		m = r->beta * ((p[d] - ref[d]) - (p[d + 1] - ref[d + 1]));
		sum += run_softplus(-m);
		slope[d] = -r->beta * run_logistic(-m);
		slope[d + 1] = -slope[d];
	}
	return (sum);
}

/*
 * KTO (Ethayarajh et al. 2024), with the divergence from the reference
 * estimated from the batch's own replies.
 */
static double
run_kto(const struct recipe *r, const int *label, int docs,
    const double *p, const double *ref, double *slope)
{
	double	 z = 0, s, w, sum = 0;
	int	 d;

	for (d = 0; d < docs; d++)
		z += (p[d] - ref[d]) / docs;
	z = z > 0 ? z : 0;
	for (d = 0; d < docs; d++) {
		w = label[d] ? r->desirable : r->undesirable;
		s = run_logistic((label[d] ? 1 : -1) * r->beta *
		    (p[d] - ref[d] - z));
		sum += w * (1 - s);
		slope[d] = (label[d] ? -1 : 1) * w * r->beta * s * (1 - s);
	}
	return (sum);
}

/* The gradients of one batch of preferences or labels; f is the weight of one
 * document. Returns the sum of the losses. */
static double
run_compare(struct run *t, struct net_batch *b, const int *label,
    double f)
{
	double	*ref = run_reference(t, b);
	double	*p = run_scores(t->net, b), sum;
	double	*slope = xcalloc((size_t)b->docs, sizeof *slope);
	int	 d, k;

	sum = recipe_compares(t->r) == RECIPE_DPO ?
	    run_dpo(t->r, b->docs, p, ref, slope) :
	    run_kto(t->r, label, b->docs, p, ref, slope);
	/* net_loss weights -log p, whose slope is the other way. */
	for (d = 0; d < b->docs; d++)
		for (k = b->doc[d].start; k < b->doc[d].start +
		    b->doc[d].len; k++)
			if (b->weight[k] != 0)
				b->weight[k] = (float)(-slope[d] * f);
	net_loss(t->net, b, NULL, 1);
	net_backward(t->net, b);
	free(slope);
	free(p);
	free(ref);
	return (sum);
}

/* Batches of pairs or labelled replies; whole pairs stay together. Returns the
 * tokens; *loss is the mean. */
static int64_t
run_preferences(struct run *t, double *loss)
{
	struct net_batch	*b;
	struct data_doc		*d;
	int64_t			 n = 0;
	int			*label = NULL, docs = 0, first = 0;
	size_t			 i;
	double			 sum = 0, f;
	int			 two = recipe_compares(t->r) == RECIPE_DPO;
	int			 also = recipe_learns(t->r);

	t->batches = 0;
	while (n < (also ? t->r->pairs : t->r->batch)) {
		d = run_next(t, DATA_COMPARED);
		b = run_batch(t, (int)d->id.n);
		net_batch_add(b, d->id.id, d->weight, (int)d->split);
		if (two)
			net_batch_add(b, d->id.id + d->split,
			    d->weight + d->split, (int)(d->id.n - d->split));
		label = xreallocarray(label, (size_t)docs + 1, sizeof *label);
		label[docs++] = d->label;
		n += (int64_t)d->id.n;
	}
	f = (also ? t->r->pair_weight : 1) / docs;
	for (i = 0; i < t->batches; i++) {
		sum += run_compare(t, &t->batch[i], label + first, f);
		first += two ? t->batch[i].docs / 2 : t->batch[i].docs;
	}
	*loss = sum / docs;
	free(label);
	return (n);
}

/* One step. */
void
run_step(struct run *t)
{
	struct run_point	*p = &t->point[t->step];
	double			 loss;

	t->batches = 0;
	p->loss = 0;
	if (t->lora != NULL)
		memset(t->lora->grad, 0, t->lora->n * sizeof(float));
	else
		net_zero(t->net);
	if (recipe_learns(t->r)) {
		t->tokens += t->r->pack ? run_packed(t) :
		    run_documents(t);
		p->loss = run_likelihood(t);
	}
	if (recipe_compares(t->r) != -1) {
		t->tokens += run_preferences(t, &loss);
		p->loss += (recipe_learns(t->r) ? t->r->pair_weight : 1) *
		    loss;
	}
	p->rate = recipe_factor(t->r, t->step);
	p->norm = optim_step(t->optim, p->rate);
	p->tokens = t->tokens;
	t->step++;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores a text as it grows.  Each token adds to the sums of its half window;
 * a window is the last half and this one.  Sums are whole numbers, so that they
 * do not depend on how the text was cut.
 */
#include "linear_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fold.h"

#define LINEAR_NEAR	8	/* bytes before new ones, at first */

struct linear_run {
	const struct linear	*m;
	struct linear_text	*t;
	int			 stops;
	linear_fn		 fn;
	void			*arg;
};

/* Find a fingerprint in a bucket of the gates: its place, or -1. Most features
 * of a text are not there, so one look at all places comes first. */
static inline int
linear_find(const struct linear_gate *g, uint16_t p)
{
	typedef uint16_t	 eight __attribute__((vector_size(16)));
	typedef uint64_t	 two __attribute__((vector_size(16)));
	eight			 a, b;
	two			 any;
	int			 k;

	memcpy(&a, g->print, sizeof a);
	memcpy(&b, g->print + 8, sizeof b);
	any = (two)((a == p) | (b == p));
	if ((any[0] | any[1]) == 0)
		return (-1);
	for (k = 0; k < LINEAR_SLOTS - 1 && g->print[k] != p; k++)
		;
	return (k);
}

/* Add the weights of the gates. */
static void
linear_add_gates(const struct linear *m, const struct features_out *o,
    int32_t sum[LINEAR_HEADS])
{
	const struct linear_gate	*g;
	uint32_t			 i;
	int				 k;

	for (i = 0; i < o->n; i++)
		__builtin_prefetch(&m->gates[linear_bucket(o->hash[i],
		    m->gates_n)]);
	for (i = 0; i < o->n; i++) {
		g = &m->gates[linear_bucket(o->hash[i], m->gates_n)];
		k = linear_find(g, linear_print(o->hash[i]));
		if (k < 0)
			continue;
		sum[0] += g->weight[0][k];
		sum[1] += g->weight[1][k];
	}
}

/* Add the weights of the categories. */
static void
linear_add_names(const struct linear *m, const struct features_out *o,
    int32_t sum[LINEAR_HEADS * LINEAR_CATEGORIES])
{
	const struct linear_name	*g;
	uint16_t		 p;
	uint32_t		 i;
	int			 k, c;

	for (i = 0; i < o->pairs; i++) {
		g = &m->names[linear_bucket(o->hash[i], m->names_n)];
		p = linear_print(o->hash[i]);
		for (k = 0; k < LINEAR_NAMES; k++) {
			if (g->print[k] != p)
				continue;
			for (c = 0; c < LINEAR_HEADS * LINEAR_CATEGORIES; c++)
				sum[c] += g->weight[k][c];
			break;
		}
	}
}

/* Note what a token added to a head, if it is among the most. */
static void
linear_note(struct linear_half *h, int head, float weight,
    const struct features_out *o)
{
	struct linear_top	*top = h->top[head];
	size_t			 n = 0, k;
	int			 i, at;

	for (at = LINEAR_TOP; at > 0 && top[at - 1].weight < weight; at--)
		;
	if (at == LINEAR_TOP || weight <= 0)
		return;
	for (i = LINEAR_TOP - 1; i > at; i--)
		top[i] = top[i - 1];
	top[at].weight = weight;
	if (o->before->kind == FEATURES_WORD) {
		n = o->before->len;
		memcpy(top[at].text, o->before->text, n);
		top[at].text[n++] = ' ';
	}
	top[at].from = n > 0 ? o->before->from : o->token->from;
	top[at].to = o->token->to;
	k = o->token->len;
	memcpy(top[at].text + n, o->token->text, k);
	top[at].len = (uint8_t)(n + k);
}

/* The probabilities of a window of one or two halves. */
static void
linear_window(struct linear_run *r, const struct linear_half *a,
    const struct linear_half *b)
{
	static const struct linear_half	 none;
	const struct linear_head		*m;
	struct linear_score		 s = { .half = { a, b } };
	double				 z, sum, n, names;
	int				 h, c;

	a = a == NULL ? &none : a;
	n = a->n + b->n > 0 ? sqrt((double)(a->n + b->n)) : 1;
	names = a->names + b->names > 0 ?
	    sqrt((double)(a->names + b->names)) : 1;
	for (h = 0; h < LINEAR_HEADS; h++) {
		m = &r->m->head[h];
		z = m->bias + m->scale * (a->gate[h] + b->gate[h]) / n;
		s.gate[h] = 1 / (1 + exp(-(m->slope * z + m->offset)));
		for (sum = 0, c = 0; c < LINEAR_CATEGORIES; c++) {
			z = m->name_bias[c] + m->name_scale * (a->name[h *
			    LINEAR_CATEGORIES + c] + b->name[h *
			    LINEAR_CATEGORIES + c]) / names;
			sum += s.category[h][c] = exp(z < 60 ? z : 60);
		}
		for (c = 0; c < LINEAR_CATEGORIES; c++)
			s.category[h][c] /= sum;
	}
	s.from = a->n > 0 ? a->from : b->from;
	s.to = b->n > 0 ? b->to : a->to;
	r->t->fresh = 0;
	r->fn(r->arg, &s);
}

/* Take a token. */
static void
linear_token(void *arg, const struct features_out *o)
{
	struct linear_run	*r = arg;
	struct linear_text	*t = r->t;
	struct linear_half	*h = &t->half[1];
	int32_t			 sum[LINEAR_HEADS] = { 0, 0 };

	linear_add_gates(r->m, o, sum);
	linear_add_names(r->m, o, h->name);
	h->gate[0] += sum[0];
	h->gate[1] += sum[1];
	if (h->n == 0)
		h->from = o->token->from;
	h->to = o->token->to;
	h->n += o->n;
	h->names += o->pairs;
	linear_note(h, 0, (float)sum[0], o);
	linear_note(h, 1, (float)sum[1], o);
	t->fresh++;
	if (o->half && t->halves > 0)
		linear_window(r, &t->half[0], h);
	else if (o->stop && r->stops && t->features.total >= LINEAR_FEW)
		linear_window(r, t->halves > 0 ? &t->half[0] : NULL, h);
	if (o->half) {
		t->half[0] = *h;
		memset(h, 0, sizeof *h);
		t->halves++;
	}
}

/* Fold a piece from a byte on, so that the bytes from "done" on are known. That
 * takes a few bytes before them, or many in a text with odd spellings. Returns
 * the byte. */
static size_t
linear_fold(struct fold *f, const char *text, size_t len, size_t done,
    uint64_t offset, int final)
{
	size_t	 back, skip;

	for (back = LINEAR_NEAR;; back *= 8) {
		skip = done > back ? done - back : 0;
		while (skip > 0 && ((unsigned char)text[skip] & 0xc0) == 0x80)
			skip--;
		fold_piece(f, text + skip, len - skip, len - skip,
		    (offset + skip == 0 ? FOLD_BEGINS : 0) |
		    (final ? FOLD_ENDS : 0) | FOLD_PLAIN);
		if (skip == 0 || back >= LINEAR_WINDOW || (f->head < f->len ?
		    f->from[f->head] : len - skip) + skip <= done)
			return (skip);
		fold_clear(f);
	}
}

/* Read more of a text. */
void
linear_read(const struct linear *m, struct linear_text *t, const char *text,
    size_t len, uint64_t offset, int final, int stops, linear_fn fn, void *arg)
{
	struct linear_run	 r = { m, t, stops, fn, arg };
	struct fold		 f;
	size_t			 at, end, skip;
	uint64_t		 done;

	if (t->done < offset) {		/* what stood before was not seen */
		t->done = offset;
		t->inside = 0;
	}
	done = t->done - offset;
	skip = linear_fold(&f, text, len, (size_t)done, offset, final);
	for (at = 0; at < f.len && f.from[at] + skip < done; at++)
		;
	at += t->inside;
	end = final ? f.len : f.tail < f.spans ? f.tail : f.spans;
	if (at < end || final) {
		at = features_feed(&t->features, &m->words, f.text, at, end,
		    f.from, f.to, offset + skip, final, linear_token, &r);
		t->done = at < f.len ? offset + skip + f.from[at] :
		    offset + len;
		for (t->inside = 0; at < f.len && at > t->inside &&
		    f.from[at - t->inside - 1] == f.from[at]; t->inside++)
			;
	}
	fold_clear(&f);
	if (final && t->fresh > 0)
		linear_window(&r, t->halves > 0 ? &t->half[0] : NULL,
		    &t->half[1]);
}

/* Count the features of the gates. */
uint64_t
linear_features(const struct linear *m)
{
	uint64_t	 n = 0;
	uint32_t	 i, k;

	for (i = 0; i < m->gates_n; i++)
		for (k = 0; k < LINEAR_SLOTS; k++)
			n += m->gates[i].print[k] != 0;
	return (n);
}

/* Place a feature in a bucket of the gates. */
int
linear_put_gate(struct linear *m, uint64_t hash,
    const int8_t weight[LINEAR_HEADS])
{
	struct linear_gate	*g = &m->gates[linear_bucket(hash, m->gates_n)];
	int			 k;

	for (k = 0; k < LINEAR_SLOTS && g->print[k] != 0; k++)
		if (g->print[k] == linear_print(hash))
			return (0);
	if (k == LINEAR_SLOTS)
		return (0);
	g->print[k] = linear_print(hash);
	g->weight[0][k] = weight[0];
	g->weight[1][k] = weight[1];
	return (1);
}

/* Place a feature in a bucket of the categories. */
int
linear_put_name(struct linear *m, uint64_t hash,
    const int8_t weight[LINEAR_HEADS * LINEAR_CATEGORIES])
{
	struct linear_name	*g = &m->names[linear_bucket(hash, m->names_n)];
	int			 k;

	for (k = 0; k < LINEAR_NAMES && g->print[k] != 0; k++)
		if (g->print[k] == linear_print(hash))
			return (0);
	if (k == LINEAR_NAMES)
		return (0);
	g->print[k] = linear_print(hash);
	memcpy(g->weight[k], weight, LINEAR_HEADS * LINEAR_CATEGORIES);
	return (1);
}

/* Find what spoke most. */
size_t
linear_explain(const struct linear_score *s, int head,
    const struct linear_top *list[2 * LINEAR_TOP])
{
	const struct linear_top	*t;
	size_t			 n = 0, i, at;
	int			 h;

	for (h = 0; h < 2; h++) {
		for (i = 0; s->half[h] != NULL && i < LINEAR_TOP; i++) {
			t = &s->half[h]->top[head][i];
			if (t->weight <= 0)
				continue;
			for (at = n++; at > 0 && list[at - 1]->weight <
			    t->weight; at--)
				list[at] = list[at - 1];
			list[at] = t;
		}
	}
	return (n);
}

/* Turn the weight of a token into log odds. */
double
linear_odds(const struct linear *m, const struct linear_score *s, int head,
    float weight)
{
	double	 n = 0;
	int	 h;

	for (h = 0; h < 2; h++)
		n += s->half[h] != NULL ? s->half[h]->n : 0;
	return (m->head[head].slope * m->head[head].scale * weight /
	    sqrt(n > 0 ? n : 1));
}

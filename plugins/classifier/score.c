/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores a text as it grows.  Each token adds to the sums of its half window;
 * a window is the last half and this one.  Sums are whole numbers, so that they
 * do not depend on how the text was cut.
 */
#include "score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fold.h"

#define MODEL_NEAR	8	/* bytes */

struct model_run {
	const struct model	*m;
	struct model_text	*t;
	int			 stops;
	model_fn		 fn;
	void			*arg;
};

/* Add the weights of the gates. */
static void
model_add_gates(const struct model *m, const struct features_out *o,
    int32_t sum[MODEL_HEADS])
{
	const struct model_gate	*g;
	uint16_t		 p;
	uint32_t		 i;
	int			 k, a, b;

	for (i = 0; i < o->n; i++)
		__builtin_prefetch(&m->gates[model_bucket(o->hash[i],
		    m->gates_n)]);
	for (i = 0; i < o->n; i++) {
		g = &m->gates[model_bucket(o->hash[i], m->gates_n)];
		p = model_print(o->hash[i]);
		for (k = a = b = 0; k < MODEL_SLOTS; k++) {
			a += g->print[k] == p ? g->weight[0][k] : 0;
			b += g->print[k] == p ? g->weight[1][k] : 0;
		}
		sum[0] += a;
		sum[1] += b;
	}
}

/* Add the weights of the categories. */
static void
model_add_names(const struct model *m, const struct features_out *o,
    int32_t sum[MODEL_HEADS * MODEL_CATEGORIES])
{
	const struct model_name	*g;
	uint16_t		 p;
	uint32_t		 i;
	int			 k, c;

	for (i = 0; i < o->pairs; i++) {
		g = &m->names[model_bucket(o->hash[i], m->names_n)];
		p = model_print(o->hash[i]);
		for (k = 0; k < MODEL_NAMES; k++) {
			if (g->print[k] != p)
				continue;
			for (c = 0; c < MODEL_HEADS * MODEL_CATEGORIES; c++)
				sum[c] += g->weight[k][c];
			break;
		}
	}
}

/* Note what a token added to a head, if it is among the most. */
static void
model_note(struct model_half *h, int head, float weight,
    const struct features_out *o)
{
	struct model_top	*top = h->top[head];
	size_t			 n = 0, k;
	int			 i, at;

	for (at = MODEL_TOP; at > 0 && top[at - 1].weight < weight; at--)
		;
	if (at == MODEL_TOP || weight <= 0)
		return;
	for (i = MODEL_TOP - 1; i > at; i--)
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
model_window(struct model_run *r, const struct model_half *a,
    const struct model_half *b)
{
	static const struct model_half	 none;
	const struct model_head		*m;
	struct model_score		 s = { .half = { a, b } };
	double				 z, sum, n, names;
	int				 h, c;

	a = a == NULL ? &none : a;
	n = a->n + b->n > 0 ? sqrt((double)(a->n + b->n)) : 1;
	names = a->names + b->names > 0 ?
	    sqrt((double)(a->names + b->names)) : 1;
	for (h = 0; h < MODEL_HEADS; h++) {
		m = &r->m->head[h];
		z = m->bias + m->scale * (a->gate[h] + b->gate[h]) / n;
		s.gate[h] = 1 / (1 + exp(-(m->slope * z + m->offset)));
		for (sum = 0, c = 0; c < MODEL_CATEGORIES; c++) {
			z = m->name_bias[c] + m->name_scale * (a->name[h *
			    MODEL_CATEGORIES + c] + b->name[h *
			    MODEL_CATEGORIES + c]) / names;
			sum += s.category[h][c] = exp(z < 60 ? z : 60);
		}
		for (c = 0; c < MODEL_CATEGORIES; c++)
			s.category[h][c] /= sum;
	}
	s.from = a->n > 0 ? a->from : b->from;
	s.to = b->n > 0 ? b->to : a->to;
	r->t->fresh = 0;
	r->fn(r->arg, &s);
}

/* Take a token. */
static void
model_token(void *arg, const struct features_out *o)
{
	struct model_run	*r = arg;
	struct model_text	*t = r->t;
	struct model_half	*h = &t->half[1];
	int32_t			 sum[MODEL_HEADS] = { 0, 0 };

	model_add_gates(r->m, o, sum);
	model_add_names(r->m, o, h->name);
	h->gate[0] += sum[0];
	h->gate[1] += sum[1];
	if (h->n == 0)
		h->from = o->token->from;
	h->to = o->token->to;
	h->n += o->n;
	h->names += o->pairs;
	model_note(h, 0, (float)sum[0], o);
	model_note(h, 1, (float)sum[1], o);
	t->fresh++;
	if (o->half && t->halves > 0)
		model_window(r, &t->half[0], h);
	else if (o->stop && r->stops && t->features.total >= MODEL_FEW)
		model_window(r, t->halves > 0 ? &t->half[0] : NULL, h);
	if (o->half) {
		t->half[0] = *h;
		memset(h, 0, sizeof *h);
		t->halves++;
	}
}

/* The first byte of a piece that may matter for the folding of the bytes from
 * done on. In plain ASCII only the letters beside a sign do. */
static size_t
model_skip(const char *text, size_t len, size_t done)
{
	size_t	 skip = done > MODEL_NEAR ? done - MODEL_NEAR : 0, i;

	for (i = skip; i < len && !((unsigned char)text[i] & 0x80); i++)
		;
	if (i == len)
		return (skip);
	skip = done > MODEL_WINDOW ? done - MODEL_WINDOW : 0;
	while (skip > 0 && ((unsigned char)text[skip] & 0xc0) == 0x80)
		skip--;
	return (skip);
}

/* Read more of a text. */
void
model_read(const struct model *m, struct model_text *t, const char *text,
    size_t len, uint64_t offset, int final, int stops, model_fn fn, void *arg)
{
	struct model_run	 r = { m, t, stops, fn, arg };
	struct fold		 f;
	size_t			 at, end, skip;
	uint64_t		 done = t->done - offset;

	skip = model_skip(text, len, (size_t)done);
	fold_piece(&f, text + skip, len - skip, len - skip,
	    (offset + skip == 0 ? FOLD_BEGINS : 0) | (final ? FOLD_ENDS : 0));
	for (at = 0; at < f.len && f.from[at] + skip < done; at++)
		;
	end = final ? f.len : f.tail < f.spans ? f.tail : f.spans;
	if (at < end || final) {
		at = features_feed(&t->features, &m->words, f.text, at, end,
		    f.from, f.to, offset + skip, final, model_token, &r);
		t->done = at < f.len ? offset + skip + f.from[at] :
		    offset + len;
	}
	fold_clear(&f);
	if (final && t->fresh > 0)
		model_window(&r, t->halves > 0 ? &t->half[0] : NULL,
		    &t->half[1]);
}

/* Count the features of the gates. */
uint64_t
model_features(const struct model *m)
{
	uint64_t	 n = 0;
	uint32_t	 i, k;

	for (i = 0; i < m->gates_n; i++)
		for (k = 0; k < MODEL_SLOTS; k++)
			n += m->gates[i].print[k] != 0;
	return (n);
}

/* Place a feature in a bucket of the gates. */
int
model_put_gate(struct model *m, uint64_t hash,
    const int8_t weight[MODEL_HEADS])
{
	struct model_gate	*g = &m->gates[model_bucket(hash, m->gates_n)];
	int			 k;

	for (k = 0; k < MODEL_SLOTS && g->print[k] != 0; k++)
		if (g->print[k] == model_print(hash))
			return (0);
	if (k == MODEL_SLOTS)
		return (0);
	g->print[k] = model_print(hash);
	g->weight[0][k] = weight[0];
	g->weight[1][k] = weight[1];
	return (1);
}

/* Place a feature in a bucket of the categories. */
int
model_put_name(struct model *m, uint64_t hash,
    const int8_t weight[MODEL_HEADS * MODEL_CATEGORIES])
{
	struct model_name	*g = &m->names[model_bucket(hash, m->names_n)];
	int			 k;

	for (k = 0; k < MODEL_NAMES && g->print[k] != 0; k++)
		if (g->print[k] == model_print(hash))
			return (0);
	if (k == MODEL_NAMES)
		return (0);
	g->print[k] = model_print(hash);
	memcpy(g->weight[k], weight, MODEL_HEADS * MODEL_CATEGORIES);
	return (1);
}

/* Find what spoke most. */
size_t
model_explain(const struct model_score *s, int head,
    const struct model_top *list[2 * MODEL_TOP])
{
	const struct model_top	*t;
	size_t			 n = 0, i, at;
	int			 h;

	for (h = 0; h < 2; h++) {
		for (i = 0; s->half[h] != NULL && i < MODEL_TOP; i++) {
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
model_odds(const struct model *m, const struct model_score *s, int head,
    float weight)
{
	double	 n = 0;
	int	 h;

	for (h = 0; h < 2; h++)
		n += s->half[h] != NULL ? s->half[h]->n : 0;
	return (m->head[head].slope * m->head[head].scale * weight /
	    sqrt(n > 0 ? n : 1));
}

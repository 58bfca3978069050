/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores a text by stretches of two halves. A feature counts once in a stretch,
 * however often it comes. Sums are whole numbers, so that they do not depend on
 * how the text was cut.
 */
#include "injection.h"

#include <math.h>
#include <string.h>

/* A text that is being judged. */
struct score_run {
	const struct injection	*in;
	struct injection_text	*t;
	injection_score_fn	 fn;
	void			*arg;
};

/* Is a weight set? */
static int
score_is_set(const struct injection_half *h, size_t i)
{
	return ((int)(h->set[i / 64] >> (i % 64) & 1));
}

/* Note a feature if it is among the strongest of its half. */
static void
score_note(struct injection_why why[INJECTION_WHY], size_t index, int weight,
    const struct injection_feature *f)
{
	int	 i, at;

	for (at = INJECTION_WHY; at > 0 && (why[at - 1].to == 0 || weight >
	    why[at - 1].weight); at--)
		;
	if (at == INJECTION_WHY)
		return;
	for (i = INJECTION_WHY - 1; i > at; i--)
		why[i] = why[i - 1];
	why[at] = (struct injection_why){ f->from, f->to, (uint32_t)index,
	    weight };
}

/* Collect the strongest features of both halves, each once. */
static void
score_explain(const struct injection_text *t, struct injection_score *s)
{
	const struct injection_why	*a = t->why[0], *b = t->why[1], *w;
	const struct injection_why	*const ae = a + INJECTION_WHY;
	const struct injection_why	*const be = b + INJECTION_WHY;
	size_t				 i;

	for (;;) {
		if (a < ae && a->to == 0)
			a = ae;
		if (b < be && b->to == 0)
			b = be;
		if (a == ae && b == be)
			return;
		if (b == be || (a < ae && a->weight >= b->weight))
			w = a++;
		else
			w = b++;
		for (i = 0; i < s->n && s->why[i]->index != w->index; i++)
			;
		if (i < s->n)
			continue;
		if (s->n == 0 || w->from < s->from)
			s->from = w->from;
		if (w->to > s->to)
			s->to = w->to;
		s->why[s->n++] = w;
	}
}

/* Score the last two halves. */
static void
score_stretch(struct score_run *r)
{
	struct injection_text	*t = r->t;
	struct injection_score	 s = { .n = 0 };
	int32_t			 sum = injection_weight(r->in, 0);
	uint64_t		 both;
	size_t			 i;

	t->fresh = 0;
	sum += t->half[0].sum + t->half[1].sum;
	for (i = 0; i < INJECTION_WEIGHTS / 64; i++)	/* count them once */
		for (both = t->half[0].set[i] & t->half[1].set[i]; both != 0;
		    both &= both - 1)
			sum -= injection_weight(r->in, i * 64 +
			    (size_t)__builtin_ctzll(both));
	s.score = 1 / (1 + exp(-sum / 1000.0));
	score_explain(t, &s);
	r->fn(r->arg, &s);
}

/* End a half; end of the text: end both. */
static void
score_half(struct score_run *r)
{
	struct injection_text	*t = r->t;

	if (t->fresh && t->block > 0)
		score_stretch(r);
	t->half[0] = t->half[1];
	memcpy(t->why[0], t->why[1], sizeof t->why[0]);
	memset(&t->half[1], 0, sizeof t->half[1]);
	memset(t->why[1], 0, sizeof t->why[1]);
	t->block++;
}

/* End the halves before that of a byte. */
static void
score_until(struct score_run *r, uint64_t byte)
{
	while (byte / INJECTION_HALF > r->t->block)
		score_half(r);
}

/* Take a feature. */
static void
score_feature(void *arg, const struct injection_feature *f)
{
	struct score_run	*r = arg;
	struct injection_text	*t = r->t;
	struct injection_half	*h;
	size_t			 i;
	int			 weight = 0;

	score_until(r, f->token->from);
	t->fresh = 1;
	i = injection_find(r->in, f->hash, &weight);
	h = &t->half[1];
	if (i == 0 || score_is_set(h, i))
		return;
	h->set[i / 64] |= UINT64_C(1) << (i % 64);
	h->sum += weight;
	if (weight > 0)
		score_note(t->why[1], i, weight, f);
}

/* Judge more of a text. */
void
injection_judge(const struct injection *in, struct injection_text *t,
    const char *text, size_t len, uint64_t offset, int final,
    injection_score_fn fn, void *arg)
{
	struct score_run	 r = { in, t, fn, arg };

	injection_read(in, t, text, len, offset, final, score_feature, &r);
	if (final && t->fresh)
		score_stretch(&r);
	else if (!final)
		score_until(&r, t->open ? t->token.from : t->done);
}

/* The first byte that a later score can be about. */
uint64_t
injection_first(const struct injection_text *t)
{
	uint64_t	 first = t->block * INJECTION_HALF;

	return (first > INJECTION_HALF + INJECTION_BACK ? first -
	    INJECTION_HALF - INJECTION_BACK : 0);
}

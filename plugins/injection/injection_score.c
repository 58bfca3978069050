/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores a text by stretches of two halves. A feature counts once in a stretch,
 * however often it comes. Sums are whole numbers, so that they do not depend on
 * how the text was cut.
 */
#include "injection_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define SCORE_SLOTS	(4 * INJECTION_WEIGHTS)	/* of hash tables */
#define SCORE_CLASSES	4096u

/* What the program of tools/injection/fit.py has found, in thousandths of log
 * odds. A "*" begins the name of a sign. */
static const struct score_weight {
	int16_t		 weight;
	const char	*name;
} score_weights[] = {
#include "weights.inc"
};
#define SCORE_WEIGHTS	(sizeof score_weights / sizeof score_weights[0])
_Static_assert(SCORE_WEIGHTS <= INJECTION_WEIGHTS, "room for weights");

struct injection {
	struct score_slot {
		uint32_t	 hash;
		uint32_t	 index;		/* + 1; 0: free */
	} slot[SCORE_SLOTS];
	struct score_class {
		uint32_t	 hash;
		uint64_t	 bits;		/* 0: free */
	} class[SCORE_CLASSES];
};

/* A text that is being judged. */
struct score_run {
	const struct injection	*in;
	struct injection_text	*t;
	injection_score_fn	 fn;
	void			*arg;
};

/* Continue a hash (FNV-1a). */
uint32_t
injection_hash(uint32_t h, const char *s, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * INJECTION_PRIME;
	return (h);
}

/* The hash of a pair. */
uint32_t
injection_pair(uint32_t first, uint32_t second)
{
	return ((first * UINT32_C(2654435761) ^ second) *
	    UINT32_C(2246822519));
}

/* The hash of the feature that has this name. */
static uint32_t
score_hash(const char *name)
{
	const char	*space = strchr(name, ' ');
	uint32_t	 h;

	if (space == NULL || (name[0] == '*' && space != name + 1))
		return (injection_hash(INJECTION_HASH, name, strlen(name)));
	h = injection_hash(INJECTION_HASH, name, (size_t)(space - name));
	return (injection_pair(h, injection_hash(INJECTION_HASH, space + 1,
	    strlen(space + 1))));
}

/* The slot of a table of a power of two. */
static size_t
score_slot(uint32_t hash, size_t slots)
{
	return ((hash ^ hash >> 15) & (slots - 1));
}

/* Put a word into a class. */
static void
score_add_class(struct injection *in, uint32_t hash, int class)
{
	size_t	 i = score_slot(hash, SCORE_CLASSES);

	while (in->class[i].bits != 0 && in->class[i].hash != hash)
		i = (i + 1) & (SCORE_CLASSES - 1);
	in->class[i].hash = hash;
	in->class[i].bits |= I_BIT(class);
}

/* Make the tables. */
struct injection *
injection_new(void)
{
	struct injection	*in = xcalloc(1, sizeof *in);
	const char		*s;
	size_t			 i, n;
	uint32_t		 h;
	int			 c;

	for (c = 1; c < I_LAST; c++) {
		for (s = injection_words[c]; *s != '\0'; s += n + (s[n] ==
		    ' ')) {
			n = strcspn(s, " ");
			score_add_class(in, injection_hash(INJECTION_HASH, s,
			    n), c);
		}
	}
	for (i = 1; i < SCORE_WEIGHTS; i++) {	/* the first is the bias */
		h = score_hash(score_weights[i].name);
		n = score_slot(h, SCORE_SLOTS);
		while (in->slot[n].index != 0)
			n = (n + 1) & (SCORE_SLOTS - 1);
		in->slot[n].hash = h;
		in->slot[n].index = (uint32_t)i + 1;
	}
	return (in);
}

/* Release them. */
void
injection_free(struct injection *in)
{
	free(in);
}

/* The number of weights. */
size_t
injection_weights(const struct injection *in)
{
	(void)in;
	return (SCORE_WEIGHTS);
}

/* Is it the weight of a sign? "*" is a word, and so is "* a". */
int
injection_is_sign(const struct injection *in, size_t i)
{
	const char	*s = score_weights[i].name;

	(void)in;
	return (s[0] == '*' && s[1] != '\0' && s[1] != ' ');
}

/* The name of a weight. */
const char *
injection_name(const struct injection *in, size_t i)
{
	return (score_weights[i].name + injection_is_sign(in, i));
}

/* A weight in log odds. */
double
injection_weight(const struct injection *in, size_t i)
{
	(void)in;
	return (score_weights[i].weight / 1000.0);
}

/* The classes of a word. */
uint64_t
injection_classes(const struct injection *in, uint32_t hash)
{
	size_t	 i = score_slot(hash, SCORE_CLASSES);

	while (in->class[i].bits != 0 && in->class[i].hash != hash)
		i = (i + 1) & (SCORE_CLASSES - 1);
	return (in->class[i].bits);
}

/* The index of the weight of a hash, or SCORE_WEIGHTS. */
static size_t
score_find(const struct injection *in, uint32_t hash)
{
	size_t	 i = score_slot(hash, SCORE_SLOTS);

	while (in->slot[i].index != 0 && in->slot[i].hash != hash)
		i = (i + 1) & (SCORE_SLOTS - 1);
	return (in->slot[i].index != 0 ? in->slot[i].index - 1 :
	    SCORE_WEIGHTS);
}

/* Is a weight set? */
static int
score_is_set(const struct injection_half *h, size_t i)
{
	return ((int)(h->set[i / 64] >> (i % 64) & 1));
}

/* Note a feature if it is among the strongest of its half. */
static void
score_note(struct injection_why why[INJECTION_WHY], size_t index,
    const struct injection_feature *f)
{
	int	 w = score_weights[index].weight, i, at;

	for (at = INJECTION_WHY; at > 0 && (why[at - 1].to == 0 || w >
	    score_weights[why[at - 1].weight].weight); at--)
		;
	if (at == INJECTION_WHY)
		return;
	for (i = INJECTION_WHY - 1; i > at; i--)
		why[i] = why[i - 1];
	why[at] = (struct injection_why){ f->from, f->to, (uint32_t)index };
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
		if (b == be || (a < ae && score_weights[a->weight].weight >=
		    score_weights[b->weight].weight))
			w = a++;
		else
			w = b++;
		for (i = 0; i < s->n && s->why[i]->weight != w->weight; i++)
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
	int32_t			 sum = score_weights[0].weight;
	uint64_t		 both;
	size_t			 i;

	t->fresh = 0;
	sum += t->half[0].sum + t->half[1].sum;
	for (i = 0; i < INJECTION_WEIGHTS / 64; i++)	/* count them once */
		for (both = t->half[0].set[i] & t->half[1].set[i]; both != 0;
		    both &= both - 1)
			sum -= score_weights[i * 64 +
			    (size_t)__builtin_ctzll(both)].weight;
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

	score_until(r, f->token->from);
	t->fresh = 1;
	i = score_find(r->in, f->hash);
	h = &t->half[1];
	if (i == SCORE_WEIGHTS || score_is_set(h, i))
		return;
	h->set[i / 64] |= UINT64_C(1) << (i % 64);
	h->sum += score_weights[i].weight;
	if (score_weights[i].weight > 0)
		score_note(t->why[1], i, f);
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

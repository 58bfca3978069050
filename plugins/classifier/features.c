/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens and their features.  Names of groups have up to three words, so up to
 * two tokens wait in a queue for what follows them.
 */
#include "features_impl.h"

#include <string.h>

#include "xmalloc.h"

#define FEATURES_SCOPE	5	/* words after a negation */
#define FEATURES_QUOTED	40	/* words until a quotation ends by itself */
#define FEATURES_LOW	3	/* bytes of the shortest and */
#define FEATURES_HIGH	5	/* the longest character n-gram */

/* Salts: kinds of features. */
enum {
	SALT_WORD = 1, SALT_PAIR, SALT_SKIP, SALT_FAR, SALT_TRIPLE, SALT_CHAR,
	SALT_JOINED, SALT_NEGATED, SALT_QUOTED, SALT_BEGIN, SALT_FIRST,
	SALT_FIRSTS, SALT_QUESTION, SALT_CLASS, SALT_CLASSES, SALT_OPENING,
	SALT_PHRASE, SALT_MIXED, SALT_FIRST_CLASS
};

struct features_run {
	struct features			*f;
	const struct features_words	*words;
	features_fn			 fn;
	void				*arg;
	uint64_t			 hash[FEATURES_MAX];
	uint32_t			 n;
};

static const char *const features_negations[] = {
	"no", "not", "never", "none", "nobody", "nothing", "neither", "nor",
	"without", "cannot", "cant", "dont", "doesnt", "didnt", "isnt",
	"arent", "wasnt", "werent", "wont", "wouldnt", "shouldnt", "couldnt",
	"aint", "hasnt", "havent", "hardly"
};

/* Mix a number well into another. */
static uint64_t
features_mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return (h ^ (h >> 29));
}

/* The hash of a word. */
uint64_t
features_word(const char *s, size_t len)
{
	uint64_t	 h = 0xcbf29ce484222325u;
	size_t		 i;

	for (i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
	return (features_mix(h, len));
}

/* The hash of a phrase. */
uint64_t
features_phrase(const char *s)
{
	uint64_t	 h = SALT_PHRASE;
	size_t		 k, n;

	for (n = 0; *s != '\0'; n++) {
		k = strcspn(s, " ");
		if (k == 0 || n == FEATURES_PHRASE)
			return (0);
		h = features_mix(h, features_word(s, k));
		s += k;
		s += *s == ' ';
	}
	return (n > 0 ? h : 0);
}

/* Find a hash in a list in rising order: its index, or n. */
static size_t
features_find(const uint64_t *list, size_t n, uint64_t h)
{
	size_t	 lo = 0, hi = n, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (list[mid] < h)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (lo < n && list[lo] == h ? lo : n);
}

/* The class of a word, or 0. */
static uint16_t
features_class(const struct features_words *w, const struct features_token *t)
{
	size_t		 lo = 0, hi = w->clusters_n, mid;
	uint64_t	 h = t->hash & ~(uint64_t)0xffff;

	if (t->kind == FEATURES_GROUP)
		return (UINT16_MAX);
	if (t->kind != FEATURES_WORD)
		return (0);
	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (w->clusters[mid] < h)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (lo < w->clusters_n && ((w->clusters[lo] ^ h) >> 16) == 0 ?
	    (uint16_t)w->clusters[lo] : 0);
}

/* Add a feature. */
static void
features_add(struct features_run *r, uint64_t salt, uint64_t a, uint64_t b)
{
	if (r->n < FEATURES_MAX)
		r->hash[r->n++] = features_mix(features_mix(salt, a), b);
}

/* Add the character n-grams of a word, with its borders. */
static void
features_chars(struct features_run *r, const char *s, size_t len)
{
	char		 b[FEATURES_TOKEN + 2];
	uint64_t	 h;
	size_t		 i, k;

	b[0] = '^';
	memcpy(b + 1, s, len);
	b[len + 1] = '$';
	for (i = 0; i < len + 2; i++) {
		h = SALT_CHAR;
		for (k = 0; k < FEATURES_HIGH && i + k < len + 2; k++) {
			h = features_mix(h, (unsigned char)b[i + k]);
			if (k + 1 >= FEATURES_LOW && k < len + 1 &&
			    r->n < FEATURES_MAX)
				r->hash[r->n++] = h;
		}
	}
}

/* Add the n-grams over the border to the letters before, without a space. */
static void
features_joined(struct features_run *r, const char *s, size_t len)
{
	struct features	*f = r->f;
	char		 b[8];
	uint64_t	 h;
	size_t		 t = f->tail_n, k = len < 4 ? len : 4, i, n;

	memcpy(b, f->tail, t);
	memcpy(b + t, s, k);
	for (n = 4; n <= 5; n++) {
		for (i = t >= n ? t - n + 1 : 0; i < t && i + n <= t + k; i++) {
			uint64_t	 v = 0;

			memcpy(&v, b + i, n);
			h = features_mix(features_mix(SALT_JOINED, n), v);
			if (r->n < FEATURES_MAX)
				r->hash[r->n++] = h;
		}
	}
	/* keep the last four letters */
	if (len >= 4) {
		memcpy(f->tail, s + len - 4, 4);
		f->tail_n = 4;
	} else {
		n = t + len > 4 ? t + len - 4 : 0;
		memmove(f->tail, f->tail + n, t - n);
		memcpy(f->tail + t - n, s, len);
		f->tail_n = (uint8_t)(t - n + len);
	}
}

/* Was the word seen in this half? If not, note it. */
static int
features_again(struct features *f, uint64_t h)
{
	uint32_t	 i, v = (uint32_t)(h >> 32);

	for (i = 0; i < f->seen_n; i++)
		if (f->seen[i] == v)
			return (1);
	if (f->seen_n < nitems(f->seen))
		f->seen[f->seen_n++] = v;
	return (0);
}

/* Is the word a negation? */
static int
features_negates(const struct features_token *t)
{
	size_t	 i;

	for (i = 0; i < nitems(features_negations); i++)
		if (strlen(features_negations[i]) == t->len &&
		    memcmp(features_negations[i], t->text, t->len) == 0)
			return (1);
	return (0);
}

/* The features of a word's place: sentence, negation, quotation. */
static void
features_place(struct features_run *r, const struct features_token *t)
{
	struct features	*f = r->f;

	if (f->negated > 0)
		features_add(r, SALT_NEGATED, t->hash, 0);
	if (f->quoted > 0)
		features_add(r, SALT_QUOTED, t->hash, 0);
	if (f->place == 0)
		features_add(r, SALT_BEGIN, t->hash, 0);
	else
		features_add(r, SALT_FIRST, f->first[0], t->hash);
	if (f->place > 1)
		features_add(r, SALT_FIRSTS, f->first[2], t->hash);
	if (f->total == 0)
		features_add(r, SALT_OPENING, t->hash, 0);
}

/* The features with the words before. */
static void
features_pairs(struct features_run *r, const struct features_token *t)
{
	struct features			*f = r->f;
	const struct features_token	*l = f->last;

	features_add(r, SALT_PAIR, l[0].hash, t->hash);
	if (l[0].kind != FEATURES_NONE) {
		features_add(r, SALT_SKIP, l[1].hash, t->hash);
		features_add(r, SALT_TRIPLE, features_mix(l[1].hash,
		    l[0].hash), t->hash);
		if (l[1].kind != FEATURES_NONE)
			features_add(r, SALT_FAR, l[2].hash, t->hash);
	}
}

/* The features of the word's class, with the classes and words before. */
static void
features_classes(struct features_run *r, const struct features_token *t)
{
	struct features			*f = r->f;
	const struct features_token	*l = f->last;
	int				 i;

	if (t->class == 0)
		return;
	features_add(r, SALT_CLASS, t->class, f->negated > 0);
	for (i = 0; i < 3; i++)
		if (l[i].class != 0)
			features_add(r, SALT_CLASSES + (uint64_t)i * 256,
			    l[i].class, t->class);
	features_add(r, SALT_MIXED, l[0].hash, t->class);
	if (l[1].kind != FEATURES_NONE)
		features_add(r, SALT_MIXED + 256, l[1].hash, t->class);
	if (f->place > 0)
		features_add(r, SALT_FIRST_CLASS, f->first[0], t->class);
	if (f->place > 1)
		features_add(r, SALT_FIRST_CLASS + 256, f->first[2], t->class);
}

/* Does a token repeat what stands before it, as in "no no no no" or "1 a 1 a"?
 * Else a run of one word would weigh as much as a text of many. */
static int
features_repeats(const struct features *f, const struct features_token *t)
{
	const struct features_token	*l = f->last;

	return (l[2].kind != FEATURES_NONE && t->hash == l[1].hash &&
	    l[0].hash == l[2].hash);
}

/* End a sentence. */
static void
features_stop(struct features *f)
{
	f->place = 0;
	f->negated = 0;
	memset(f->first, 0, sizeof f->first);
}

/* Turn the oldest token of the queue into features, and call fn. */
static void
features_emit(struct features_run *r, const struct features_token *t)
{
	struct features		*f = r->f;
	struct features_out	 out = { .token = t, .before = &f->last[0],
				    .hash = r->hash };
	int			 word = t->kind == FEATURES_WORD ||
				    t->kind == FEATURES_GROUP ||
				    t->kind == FEATURES_NUMBER;

	r->n = 0;
	if (!features_again(f, t->hash))
		features_add(r, SALT_WORD, t->hash, 0);
	if (word)
		features_place(r, t);
	else if (t->kind == FEATURES_STOP && t->text[0] == '?')
		features_add(r, SALT_QUESTION, f->first[2], 0);
	out.coarse = r->n;
	features_pairs(r, t);
	features_classes(r, t);
	out.pairs = r->n;
	if (t->kind == FEATURES_WORD && out.coarse > 0)
		features_chars(r, t->text, t->len);
	if (t->kind == FEATURES_GROUP)
		features_joined(r, "*", 1);
	else if (word)
		features_joined(r, t->text, t->len);
	if (features_repeats(f, t))
		r->n = out.coarse = out.pairs = 0;
	if (word) {
		if (f->place < 2)
			f->first[f->place] = t->hash;
		if (f->place == 1)
			f->first[2] = features_mix(f->first[0], t->hash);
		if (f->total == 0)
			f->opening = t->hash;
		f->place++;
		f->total++;
		f->words++;
		f->negated -= f->negated > 0;
		f->quoted -= f->quoted > 0;
		if (features_negates(t))
			f->negated = FEATURES_SCOPE;
	} else if (t->kind == FEATURES_STOP) {
		out.stop = f->place > 0;
		if (t->text[0] == '\n')
			f->quoted = 0;
		features_stop(f);
	} else if (t->kind == FEATURES_PAUSE)
		f->negated = 0;
	else if (t->kind == FEATURES_QUOTE) {
		if (t->text[0] == '(')		/* opens */
			f->quoted = FEATURES_QUOTED;
		else if (t->text[0] == ')' || f->quoted > 0)
			f->quoted = 0;
		else
			f->quoted = FEATURES_QUOTED;
	}
	out.n = r->n;
	out.half = f->words == FEATURES_HALF && word;
	r->fn(r->arg, &out);
	if (out.half) {
		f->words = 0;
		f->seen_n = 0;
	}
	if (t->kind != FEATURES_PAUSE && t->kind != FEATURES_QUOTE &&
	    !(t->kind == FEATURES_STOP && t->text[0] == '\n')) {
		f->last[2] = f->last[1];
		f->last[1] = f->last[0];
		f->last[0] = *t;
	}
}

/* Make the first n tokens of the queue one group token. */
static void
features_group(struct features *f, uint32_t n)
{
	struct features_token	*q = f->queue;

	q[0].to = q[n - 1].to;
	q[0].kind = FEATURES_GROUP;
	q[0].hash = features_word("\1group", 6);
	memmove(q + 1, q + n, (f->queued - n) * sizeof *q);
	f->queued -= n - 1;
}

/* Emit the oldest token of the queue, as a group if it begins the name of
 * one. */
static void
features_shift(struct features_run *r)
{
	struct features		*f = r->f;
	struct features_token	*q = f->queue, t;
	uint64_t		 h = SALT_PHRASE;
	uint32_t		 i, best = 0;

	for (i = 0; i < f->queued && (q[i].kind == FEATURES_WORD ||
	    q[i].kind == FEATURES_EMOJI); i++) {
		h = features_mix(h, q[i].hash);
		if (features_find(r->words->groups, r->words->groups_n, h) <
		    r->words->groups_n)
			best = i + 1;
	}
	if (best > 0)
		features_group(f, best);
	t = q[0];
	t.class = features_class(r->words, &t);
	f->queued--;
	memmove(q, q + 1, f->queued * sizeof *q);
	features_emit(r, &t);
}

/* Take a token: into the queue, since the name of a group may be longer. */
static void
features_push(struct features_run *r, const struct features_token *t)
{
	struct features	*f = r->f;

	if (t->kind != FEATURES_WORD)
		while (f->queued > 0)
			features_shift(r);
	else if (f->queued == FEATURES_PHRASE)
		features_shift(r);
	f->queue[f->queued++] = *t;
	if (t->kind != FEATURES_WORD)
		features_shift(r);
}

/* Read the complete tokens of a text. */
size_t
features_feed(struct features *f, const struct features_words *words,
    const char *text, size_t at, size_t end, const uint32_t *from,
    const uint32_t *to, uint64_t offset, int final, features_fn fn, void *arg)
{
	struct features_run	 r;
	struct features_token	 t;
	size_t			 next;

	r.f = f;
	r.words = words;
	r.fn = fn;
	r.arg = arg;
	for (; at < end; at = next) {
		next = features_read(text, at, end, final, &t);
		if (next == SIZE_MAX)
			break;
		if (t.kind == FEATURES_NONE)
			continue;
		t.class = 0;
		t.hash = features_word(t.text, t.len);
		if (t.kind >= FEATURES_STOP)
			t.hash ^= t.kind;
		t.from = offset + from[at];
		t.to = offset + to[next - 1];
		features_push(&r, &t);
	}
	if (final)
		while (f->queued > 0)
			features_shift(&r);
	return (at);
}

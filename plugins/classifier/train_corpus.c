/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The features of all rows: each hash gets a number, each row a document (and
 * one more if it gets a copy with noise).
 */
#include "train.h"

#include <stdlib.h>
#include <string.h>

#include "fold.h"
#include "xmalloc.h"

struct corpus_run {
	struct corpus		*c;
	struct corpus_half	 half;
	int			 open;
};

/* Make the table of numbers twice as large. */
static void
corpus_grow(struct corpus *c)
{
	size_t	 i, k;

	free(c->table);
	c->table_size = c->table_size > 0 ? c->table_size * 2 : 1 << 22;
	c->table = xcalloc(c->table_size, sizeof *c->table);
	for (i = 0; i < c->numbers_n; i++) {
		k = c->hash[i] >> 7 & (c->table_size - 1);
		while (c->table[k] != 0)
			k = (k + 1) & (c->table_size - 1);
		c->table[k] = (uint32_t)i + 1;
	}
}

/* The number of a hash, new if needed. */
static uint32_t
corpus_number(struct corpus *c, uint64_t hash)
{
	size_t	 k;

	if (c->numbers_n * 2 >= c->table_size)
		corpus_grow(c);
	k = hash >> 7 & (c->table_size - 1);
	while (c->table[k] != 0) {
		if (c->hash[c->table[k] - 1] == hash)
			return (c->table[k] - 1);
		k = (k + 1) & (c->table_size - 1);
	}
	if (c->numbers_n == c->numbers_size) {
		c->numbers_size = c->numbers_size * 2 + 65536;
		c->hash = xreallocarray(c->hash, c->numbers_size,
		    sizeof *c->hash);
	}
	c->hash[c->numbers_n] = hash;
	c->table[k] = (uint32_t)++c->numbers_n;
	return ((uint32_t)c->numbers_n - 1);
}

/* End a half window. */
static void
corpus_end_half(struct corpus_run *r)
{
	struct corpus	*c = r->c;

	if (c->halves_n == c->halves_size) {
		c->halves_size = c->halves_size * 2 + 65536;
		c->half = xreallocarray(c->half, c->halves_size,
		    sizeof *c->half);
	}
	c->half[c->halves_n++] = r->half;
	c->doc[c->docs_n - 1].halves++;
	r->open = 0;
}

/* Take a token. */
static void
corpus_token(void *arg, const struct features_out *o)
{
	struct corpus_run	*r = arg;
	struct corpus		*c = r->c;
	uint32_t		 i;

	if (!r->open)
		r->half = (struct corpus_half){ c->n, 0, 0, 0 };
	r->open = 1;
	if (c->n + o->n > c->size) {
		c->size = c->size * 2 + (1 << 20);
		c->feature = xreallocarray(c->feature, c->size,
		    sizeof *c->feature);
	}
	for (i = 0; i < o->n; i++)
		c->feature[c->n++] = corpus_number(c, o->hash[i]) |
		    (i < o->pairs ? CORPUS_NAME : 0);
	r->half.n += o->n;
	r->half.all += o->n;
	r->half.names += o->pairs;
	if (o->half)
		corpus_end_half(r);
}

/* Add a document. */
static void
corpus_add(struct corpus *c, uint32_t row, const char *text, size_t len,
    uint32_t flags, const struct features_words *words)
{
	struct corpus_run	 r = { .c = c };
	struct features		 state;
	struct fold		 f;

	c->doc[c->docs_n++] = (struct corpus_doc){ row,
	    (uint32_t)c->halves_n, 0, flags };
	memset(&state, 0, sizeof state);
	fold_piece(&f, text, len, 0, FOLD_BEGINS|FOLD_ENDS|FOLD_PLAIN);
	features_feed(&state, words, f.text, 0, f.len, f.from, f.to, 0, 1,
	    corpus_token, &r);
	fold_clear(&f);
	if (r.open)
		corpus_end_half(&r);
	if (c->doc[c->docs_n - 1].halves == 0)
		c->docs_n--;
}

/* The next number of a generator. */
static uint32_t
corpus_random(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return ((uint32_t)(*s >> 33));
}

/* Copy a text with a mistake in about every eighth word: swapped, dropped,
 * doubled or spaced letters, digits and signs in place of letters. */
static size_t
corpus_noise(const char *s, size_t len, char *out, uint64_t seed)
{
	static const char	 leet[] = "a4e3i1o0s5t7";
	size_t			 i, n = 0;
	const char		*p;
	uint32_t		 k;

	for (i = 0; i < len; i++) {
		k = corpus_random(&seed) % 400;
		if (((unsigned char)s[i] | 0x20) < 'a' ||
		    ((unsigned char)s[i] | 0x20) > 'z' || k > 12 ||
		    i + 1 == len || ((unsigned char)s[i + 1] | 0x20) < 'a' ||
		    ((unsigned char)s[i + 1] | 0x20) > 'z') {
			out[n++] = s[i];
			continue;
		}
		if (k < 4) {
			out[n++] = s[i + 1];
			out[n++] = s[i++];
		} else if (k < 6)
			continue;
		else if (k < 8) {
			out[n++] = s[i];
			out[n++] = s[i];
		} else if (k < 9) {
			out[n++] = s[i];
			out[n++] = ' ';
		} else {
			p = strchr(leet, s[i] | 0x20);
			out[n++] = p != NULL ? p[1] : s[i];
		}
	}
	return (n);
}

/* Drop the features of fewer than "least" documents, and number the rest
 * anew. */
static void
corpus_prune(struct corpus *c, uint32_t least)
{
	uint32_t	*docs, *last, k, n = 0;
	size_t		 d, h, i, at = 0, from;

	docs = xcalloc(c->numbers_n + 1, sizeof *docs);
	last = xcalloc(c->numbers_n + 1, sizeof *last);
	for (d = 0; d < c->docs_n; d++) {
		h = c->doc[d].half + c->doc[d].halves - 1;
		for (i = c->half[c->doc[d].half].at; i < c->half[h].at +
		    c->half[h].n; i++) {
			k = c->feature[i] & ~CORPUS_NAME;
			docs[k] += last[k] != d + 1;
			last[k] = (uint32_t)d + 1;
		}
	}
	for (i = 0; i < c->numbers_n; i++) {
		last[i] = docs[i] >= least ? n : UINT32_MAX;
		if (docs[i] >= least)
			c->hash[n++] = c->hash[i];
	}
	c->numbers_n = n;
	for (h = 0; h < c->halves_n; h++) {
		from = c->half[h].at;
		c->half[h].at = at;
		for (i = from; i < from + c->half[h].n; i++)
			if (last[c->feature[i] & ~CORPUS_NAME] != UINT32_MAX)
				c->feature[at++] = last[c->feature[i] &
				    ~CORPUS_NAME] | (c->feature[i] &
				    CORPUS_NAME);
		c->half[h].n = (uint32_t)(at - c->half[h].at);
	}
	c->n = at;
	free(docs);
	free(last);
}

/* Read all rows. */
void
corpus_build(struct corpus *c, const struct rows *rs, const struct recipe *rc,
    const struct features_words *words)
{
	const struct row	*r;
	uint64_t		 seed;
	char			*copy;
	size_t			 i;

	memset(c, 0, sizeof *c);
	c->doc = xcalloc(rs->n * 2 + 1, sizeof *c->doc);
	for (i = 0; i < rs->n; i++) {
		r = &rs->row[i];
		if (r->test || r->tune || r->spare || r->weight <= 0)
			continue;
		corpus_add(c, (uint32_t)i, r->text, r->len, 0, words);
		seed = r->id;
		if (corpus_random(&seed) % 1000 >= rc->noise * 1000)
			continue;
		copy = xmalloc(2 * (size_t)r->len + 1);
		corpus_add(c, (uint32_t)i, copy, corpus_noise(r->text, r->len,
		    copy, seed), CORPUS_NOISE, words);
		free(copy);
	}
	free(c->table);
	c->table = NULL;
	corpus_prune(c, (uint32_t)rc->min_rows);
}

/* Free a corpus. */
void
corpus_clear(struct corpus *c)
{
	free(c->doc);
	free(c->half);
	free(c->feature);
	free(c->hash);
	free(c->table);
	memset(c, 0, sizeof *c);
}

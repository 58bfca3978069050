/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoding a text, at once or in steps. A text goes through: cut out raw added
 * tokens -> NFC -> cut out normalised added tokens -> put a space in front ->
 * split into words -> merge bytes. pretoken.c splits into words, nfc.c
 * normalises, bpe.c merges, added.c finds added tokens.
 */
#include "tokenizer_impl.h"

#include <stdint.h>
#include <stdlib.h>

#include "nfc.h"
#include "pretoken.h"
#include "xmalloc.h"

#define ENCODING_KEEP	(256 * 1024)	/* bytes of working memory kept
					 * allocated */
#define ENCODING_LONG	1024	/* a word of that many bytes is merged in
				 * steps */

/* A text from which added tokens are being cut out. */
struct cut {
	struct added_scan	 scan;
	struct added_match	 m;
	size_t			 at;		/* bytes returned so far */
	int			 pending;	/* m has not been returned
						 * yet */
	int			 over;		/* there are no more matches */
};

/* The next part of that text. */
enum cut_kind { CUT_TEXT, CUT_TOKEN, CUT_END };

/* A text that is being encoded. Three nested loops run over it; each of them
 * can stop and be resumed. */
struct encoding {
	const struct tokenizer	*t;		/* borrowed */
	int			 special;
	struct cut		 raw;		/* the text */
	int			 inside;	/* a piece of raw: */
	const char		*piece;		/* the piece being normalized */
	size_t			 len, done;	/* its bytes; those done */
	struct cut		 normal;	/* the piece after NFC */
	const char		*s;		/* words of a piece of normal */
	size_t			 n, at;
	int			 words;		/* a piece of normal is being
						 * encoded: */
	size_t			 start;		/* the index in out where its
						 * ids begin */
	size_t			 merging;	/* bytes of the long word in
						 * bpe, or 0 */
	struct bpe_work		*bpe;		/* owned, or NULL */
	struct textbuf		 nfc, spaced;	/* owned */
};

/* Append the token that stands for a whole word. Return 0 if there is none. */
static int
tokenizer_whole(const struct tokenizer *t, const char *s, size_t n,
    struct idbuf *out)
{
	const struct token	*k;
	size_t			 lo = 0, hi = t->words, mid;
	int			 c;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		k = &t->token[t->word[mid]];
		c = tokenizer_order(s, n, t->pool.s + k->start, k->len);
		if (c == 0) {
			idbuf_add(out, t->word[mid]);
			return (1);
		}
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return (0);
}

/* Encode one word; `room` bytes can be read from s on. */
static void
tokenizer_word(const struct tokenizer *t, struct tokenizer_work *w,
    const char *s, size_t n, size_t room, struct idbuf *out)
{
	size_t	 start = out->n;

	if (wordcache_get(w->cache, s, n, room, out))
		return;
	if (!t->whole || !tokenizer_whole(t, s, n, out))
		bpe_encode(t->bpe, w->bpe, s, n, out);
	if (out->n > start)
		wordcache_put(w->cache, s, n, out->id + start,
		    out->n - start);
}

/* From out->id[start] on, replace each special token by the tokens of its
 * bytes, and remove the tokens that stand for bytes without a token. */
static void
tokenizer_spell(const struct tokenizer *t, size_t start, struct idbuf *out)
{
	const struct bpe_byte	*y;
	const struct token	*k;
	struct idbuf		 ids = { NULL, 0, 0 };
	size_t			 i, j;

	if (out->n == start)
		return;
	idbuf_append(&ids, out->id + start, out->n - start);
	out->n = start;
	for (i = 0; i < ids.n; i++) {
		k = &t->token[ids.id[i]];
		if (!k->special) {
			idbuf_add(out, ids.id[i]);
			continue;
		}
		for (j = 0; j < k->len && !k->stand_in; j++) {
			y = &t->alphabet.byte[
			    (unsigned char)t->pool.s[k->start + j]];
			if (y->how == BPE_TOKEN &&
			    !t->token[y->id[0]].special)
				idbuf_add(out, y->id[0]);
		}
	}
	idbuf_clear(&ids);
}

/* Begin with a text. */
static void
cut_open(struct cut *c, const struct added_set *set, const char *s, size_t n,
    int special)
{
	*c = (struct cut){ .scan = { .set = set, .s = s, .n = n,
	    .special = special } };
}

/* Return the next part: text of *n > 0 bytes at *s, or a token. */
static enum cut_kind
cut_next(struct cut *c, const char **s, size_t *n, int32_t *id)
{
	const size_t	 from = c->at;
	size_t		 to = c->scan.n;

	if (!c->pending && !c->over) {
		c->pending = added_next(&c->scan, &c->m);
		c->over = !c->pending;
		if (c->pending)
			to = c->m.start;
		if (from < to) {
			*s = c->scan.s + from;
			*n = to - from;
			return (CUT_TEXT);
		}
	}
	if (!c->pending)
		return (CUT_END);
	c->pending = 0;
	c->at = c->m.stop;
	*id = c->m.id;
	return (CUT_TOKEN);
}

/* Begin a piece between raw added tokens. */
static void
encoding_piece(struct encoding *e, const char *s, size_t n)
{
	e->inside = 1;
	if (e->t->nfc && nfc_plain(s, n) < n) {
		e->piece = s;
		e->len = n;
		e->done = e->nfc.n = 0;
	} else
		cut_open(&e->normal, e->t->normal, s, n, e->special);
}

/* Normalise some more of the piece. */
static void
encoding_normalise(struct encoding *e, size_t *limit)
{
	const size_t	 from = e->done;

	e->done = nfc_some(e->piece, e->len, from, *limit, &e->nfc);
	*limit -= e->done - from < *limit ? e->done - from : *limit;
	if (e->done < e->len)
		return;
	e->piece = NULL;
	cut_open(&e->normal, e->t->normal, e->nfc.s, e->nfc.n, e->special);
}

/* Begin normalised text without added tokens. */
static void
encoding_text(struct encoding *e, const char *s, size_t n,
    const struct idbuf *out)
{
	if (e->t->prefix && s[0] != ' ') {
		e->spaced.n = 0;
		textbuf_add(&e->spaced, " ", 1);
		textbuf_add(&e->spaced, s, n);
		s = e->spaced.s;
		n++;
	}
	e->s = s;
	e->n = n;
	e->at = 0;
	e->words = 1;
	e->start = out->n;
}

/* Begin a long word, which may be one token as a whole. */
static void
encoding_long(struct encoding *e, size_t len, struct idbuf *out)
{
	const char	*s = e->s + e->at;

	if (e->t->whole && tokenizer_whole(e->t, s, len, out)) {
		e->at += len;
		return;
	}
	if (e->bpe == NULL)
		e->bpe = bpe_work_new();
	bpe_start(e->t->bpe, e->bpe, s, len);
	e->merging = len;
}

/* Encode words until limit bytes are done or no words are left. */
static void
encoding_words(struct encoding *e, size_t *limit, struct idbuf *out)
{
	const struct tokenizer	*t = e->t;
	size_t			 len, room;

	if (e->merging > 0) {
		if (!bpe_some(t->bpe, e->bpe, limit, out))
			return;
		e->at += e->merging;
		e->merging = 0;
	}
	while ((room = e->n - e->at) > 0 && *limit > 0) {
		len = t->split ? pretoken_word(e->s + e->at, room) : room;
		if (len > ENCODING_LONG) {
			encoding_long(e, len, out);
			return;
		}
		tokenizer_word(t, t->work, e->s + e->at, len, room, out);
		e->at += len;
		*limit -= len < *limit ? len : *limit;
	}
	if (room > 0)
		return;
	if (t->leak && !e->special)
		tokenizer_spell(t, e->start, out);
	e->words = 0;
}

/* Begin the part after the last piece. Return 0 at the end of the text. */
static int
encoding_next(struct encoding *e, struct idbuf *out)
{
	const char	*s = NULL;
	size_t		 n = 0;
	int32_t		 id = 0;
	enum cut_kind	 what;

	what = cut_next(e->inside ? &e->normal : &e->raw, &s, &n, &id);
	if (what == CUT_TOKEN)
		idbuf_add(out, id);
	else if (what == CUT_TEXT && e->inside)
		encoding_text(e, s, n, out);
	else if (what == CUT_TEXT)
		encoding_piece(e, s, n);
	else if (e->inside)
		e->inside = 0;
	else
		return (0);
	return (1);
}

/* Encode some more. */
int
encoding_some(struct encoding *e, size_t limit, struct idbuf *out)
{
	while (limit > 0) {
		if (e->words)
			encoding_words(e, &limit, out);
		else if (e->piece != NULL)
			encoding_normalise(e, &limit);
		else if (!encoding_next(e, out))
			return (1);
		else
			limit--;
	}
	return (0);
}

/* Begin a text. */
struct encoding *
encoding_new(const struct tokenizer *t, const char *s, size_t n, int special)
{
	struct encoding	*e = xcalloc(1, sizeof *e);

	e->t = t;
	e->special = special;
	cut_open(&e->raw, t->raw, s, n, special);
	return (e);
}

/* Release it. */
void
encoding_free(struct encoding *e)
{
	if (e == NULL)
		return;
	bpe_work_free(e->bpe);
	textbuf_clear(&e->nfc);
	textbuf_clear(&e->spaced);
	free(e);
}

/* Keep a buffer for the next text unless it is large. */
static void
encoding_keep(struct textbuf *from, struct textbuf *to)
{
	if (from->size > ENCODING_KEEP)
		textbuf_clear(from);
	*to = *from;
}

/* Encode a text at once. */
void
tokenizer_encode(const struct tokenizer *t, const char *s, size_t n,
    int special, struct idbuf *out)
{
	struct tokenizer_work	*w = t->work;
	struct encoding		 e = { .t = t, .special = special,
				    .nfc = w->nfc, .spaced = w->spaced };

	cut_open(&e.raw, t->raw, s, n, special);
	while (!encoding_some(&e, SIZE_MAX, out))
		;
	bpe_work_free(e.bpe);
	encoding_keep(&e.nfc, &w->nfc);
	encoding_keep(&e.spaced, &w->spaced);
}

/* Set the group whose words are remembered. */
void
tokenizer_serve(const struct tokenizer *t, int64_t group)
{
	if (t->work->group == group)
		return;
	wordcache_forget(t->work->cache);
	t->work->group = group;
}

/*
 * Encoding with a tokenizer, and what its tokens are.  Words are pretoken.c's,
 * NFC is nfc.c's, merging is bpe.c's, added tokens are added.c's, reading the
 * file is tokenizer_load.c's.
 */
#include "tokenizer_impl.h"

#include <stdlib.h>
#include <string.h>

#include "nfc.h"
#include "pretoken.h"
#include "xmalloc.h"

#define TOKENIZER_KEEP	(256 * 1024)	/* bytes of work kept allocated */

/* Make working memory. */
struct tokenizer_work *
tokenizer_work_new(void)
{
	struct tokenizer_work	*w = xcalloc(1, sizeof *w);

	w->bpe = bpe_work_new();
	w->cache = wordcache_new();
	return (w);
}

/* Release working memory. */
static void
tokenizer_work_free(struct tokenizer_work *w)
{
	if (w == NULL)
		return;
	bpe_work_free(w->bpe);
	wordcache_free(w->cache);
	text_clear(&w->nfc);
	text_clear(&w->piece);
	free(w);
}

/* Release a tokenizer. */
void
tokenizer_free(struct tokenizer *t)
{
	if (t == NULL)
		return;
	free(t->token);
	free(t->word);
	text_clear(&t->pool);
	bpe_free(t->bpe);
	added_free(t->raw);
	added_free(t->normal);
	tokenizer_work_free(t->work);
	free(t);
}

/* Count ids. */
int
tokenizer_size(const struct tokenizer *t)
{
	return ((int)t->n);
}

/* Order words. */
int
tokenizer_order(const char *s, size_t n, const char *z, size_t m)
{
	int	 c = memcmp(s, z, n < m ? n : m);

	return (c != 0 ? c : n < m ? -1 : n > m);
}

/* Append the token that a word is as a whole; 0 where there is none. */
static int
tokenizer_whole(const struct tokenizer *t, const char *s, size_t n,
    struct ids *out)
{
	const struct token	*k;
	size_t			 lo = 0, hi = t->words, mid;
	int			 c;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		k = &t->token[t->word[mid]];
		c = tokenizer_order(s, n, t->pool.s + k->start, k->len);
		if (c == 0) {
			ids_add(out, t->word[mid]);
			return (1);
		}
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return (0);
}

/* Encode one word; room bytes may be read from s on. */
static void
tokenizer_word(const struct tokenizer *t, struct tokenizer_work *w,
    const char *s, size_t n, size_t room, struct ids *out)
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

/* Spell the special tokens behind out->id[start] in the tokens of their
 * bytes, and leave out those that stand for what has no token. */
static void
tokenizer_spell(const struct tokenizer *t, size_t start, struct ids *out)
{
	const struct bpe_byte	*y;
	const struct token	*k;
	struct ids		 ids = { NULL, 0, 0 };
	size_t			 i, j;

	if (out->n == start)
		return;
	ids_append(&ids, out->id + start, out->n - start);
	out->n = start;
	for (i = 0; i < ids.n; i++) {
		k = &t->token[ids.id[i]];
		if (!k->special) {
			ids_add(out, ids.id[i]);
			continue;
		}
		for (j = 0; j < k->len && !k->stand_in; j++) {
			y = &t->alphabet.byte[
			    (unsigned char)t->pool.s[k->start + j]];
			if (y->how == BPE_TOKEN &&
			    !t->token[y->id[0]].special)
				ids_add(out, y->id[0]);
		}
	}
	ids_clear(&ids);
}

/* Encode normalised text without added tokens. */
static void
tokenizer_words(const struct tokenizer *t, const char *s, size_t n,
    int special, struct ids *out)
{
	struct tokenizer_work	*w = t->work;
	size_t			 i, len, start = out->n;

	if (n == 0)
		return;
	if (t->prefix && s[0] != ' ') {
		w->piece.n = 0;
		text_add(&w->piece, " ", 1);
		text_add(&w->piece, s, n);
		s = w->piece.s;
		n++;
	}
	for (i = 0; i < n; i += len) {
		len = t->split ? pretoken_word(s + i, n - i) : n;
		tokenizer_word(t, w, s + i, len, n - i, out);
	}
	if (t->leak && !special)
		tokenizer_spell(t, start, out);
}

/* Encode a piece between raw added tokens. */
static void
tokenizer_piece(const struct tokenizer *t, const char *s, size_t n,
    int special, struct ids *out)
{
	struct tokenizer_work	*w = t->work;
	struct added_scan	 scan = { .set = t->normal,
				    .special = special };
	struct added_match	 m;
	size_t			 i = 0;

	if (t->nfc && nfc_plain(s, n) < n) {
		w->nfc.n = 0;
		nfc_add(s, n, &w->nfc);
		s = w->nfc.s;
		n = w->nfc.n;
	}
	scan.s = s;
	scan.n = n;
	for (; added_next(&scan, &m); i = m.stop) {
		if (i < m.start)
			tokenizer_words(t, s + i, m.start - i, special, out);
		ids_add(out, m.id);
	}
	tokenizer_words(t, s + i, n - i, special, out);
}

/* Encode text. */
void
tokenizer_encode(const struct tokenizer *t, const char *s, size_t n,
    int special, struct ids *out)
{
	struct tokenizer_work	*w = t->work;
	struct added_scan	 scan = { .set = t->raw, .s = s, .n = n,
				    .special = special };
	struct added_match	 m;
	size_t			 i = 0;

	for (; added_next(&scan, &m); i = m.stop) {
		if (i < m.start)
			tokenizer_piece(t, s + i, m.start - i, special, out);
		ids_add(out, m.id);
	}
	if (i < n)
		tokenizer_piece(t, s + i, n - i, special, out);
	if (w->nfc.size > TOKENIZER_KEEP)
		text_clear(&w->nfc);
	if (w->piece.size > TOKENIZER_KEEP)
		text_clear(&w->piece);
}

/* Look up a token's bytes. */
const char *
tokenizer_bytes(const struct tokenizer *t, int32_t id, size_t *n)
{
	*n = 0;
	if (id < 0 || (size_t)id >= t->n || !t->token[id].known)
		return ("");
	*n = t->token[id].len;
	return (t->pool.s + t->token[id].start);
}

/* Is it special? */
int
tokenizer_special(const struct tokenizer *t, int32_t id)
{
	return (id >= 0 && (size_t)id < t->n && t->token[id].special);
}

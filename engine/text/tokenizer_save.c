/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a tokenizer as flat tables (tokenizer_tables.h) when a model is
 * packed.
 */
#include "tokenizer_impl.h"

#include <stdlib.h>

#include "tokenizer_tables.h"

/* Append a number. */
static void
tokenizer_save_put(struct textbuf *out, uint32_t v)
{
	const char	 b[4] = { (char)v, (char)(v >> 8), (char)(v >> 16),
			    (char)(v >> 24) };

	textbuf_add(out, b, sizeof b);
}

/* Append how each byte is encoded. */
static void
tokenizer_save_bytes(const struct tokenizer *t, struct textbuf *out)
{
	const struct bpe_byte	*y;
	int			 b, i, ids;

	for (b = 0; b < 256; b++) {
		y = &t->alphabet.byte[b];
		ids = y->how == BPE_TOKEN ? 1 : y->how == BPE_FALLBACK ?
		    y->n : 0;
		tokenizer_save_put(out, (uint32_t)y->how | (uint32_t)ids << 8);
		for (i = 0; i < 2; i++)
			tokenizer_save_put(out,
			    i < ids ? (uint32_t)y->id[i] : 0);
	}
}

/* Append merges. */
static void
tokenizer_save_merges(const struct bpe_pair *m, size_t n,
    struct textbuf *out)
{
	size_t	 i;

	for (i = 0; i < n; i++) {
		tokenizer_save_put(out, (uint32_t)m[i].left);
		tokenizer_save_put(out, (uint32_t)m[i].right);
		tokenizer_save_put(out, m[i].rank);
		tokenizer_save_put(out, (uint32_t)m[i].id);
	}
}

/* Append a set of added tokens to out, and their bytes to strings. */
static void
tokenizer_save_added(const struct added_set *a, struct textbuf *out,
    struct textbuf *strings)
{
	const char	*s;
	size_t		 i, n;
	int32_t		 id;
	unsigned	 flags;

	for (i = 0; i < added_count(a); i++) {
		s = added_item(a, i, &n, &id, &flags);
		tokenizer_save_put(out, (uint32_t)id);
		tokenizer_save_put(out, flags);
		tokenizer_save_put(out, (uint32_t)n);
		textbuf_add(strings, s, n);
	}
}

/* Return the options as bits. */
static uint32_t
tokenizer_save_options(const struct tokenizer *t)
{
	return ((t->nfc ? TABLES_NFC : 0) | (t->prefix ? TABLES_PREFIX : 0) |
	    (t->split ? TABLES_SPLIT : 0) | (t->whole ? TABLES_WHOLE : 0) |
	    (t->alphabet.fuse ? TABLES_FUSE : 0));
}

/* Append the tag and the numbers of the head. */
static void
tokenizer_save_head(const uint32_t head[TABLES_NUMBERS],
    struct textbuf *out)
{
	int	 i;

	textbuf_puts(out, TABLES_TAG);
	for (i = 0; i < TABLES_NUMBERS; i++)
		tokenizer_save_put(out, head[i]);
}

/* Write a tokenizer. */
void
tokenizer_save(const struct tokenizer *t, uint8_t **out, size_t *n)
{
	struct textbuf	 body = { NULL, 0, 0 }, strings = { NULL, 0, 0 };
	struct textbuf	 pool = { NULL, 0, 0 }, all = { NULL, 0, 0 };
	struct bpe_pair	*merges;
	size_t		 i, nmerges;

	merges = bpe_merges(t->bpe, &nmerges);
	tokenizer_save_bytes(t, &body);
	for (i = 0; i < t->n; i++) {
		tokenizer_save_put(&body, t->token[i].len << TABLES_SHIFT |
		    (t->token[i].mapped ? TABLES_MAPPED : 0) |
		    (t->token[i].known ? TABLES_KNOWN : 0));
		textbuf_add(&pool, t->pool.s + t->token[i].start,
		    t->token[i].len);
	}
	tokenizer_save_merges(merges, nmerges, &body);
	for (i = 0; i < t->words; i++)
		tokenizer_save_put(&body, (uint32_t)t->word[i]);
	tokenizer_save_added(t->raw, &body, &strings);
	tokenizer_save_added(t->normal, &body, &strings);
	tokenizer_save_head((const uint32_t[TABLES_NUMBERS]){ TABLES_VERSION,
	    (uint32_t)(TABLES_HEAD + body.n + pool.n + strings.n),
	    tokenizer_save_options(t), (uint32_t)t->n, (uint32_t)pool.n,
	    (uint32_t)t->alphabet.unknown, (uint32_t)nmerges,
	    (uint32_t)t->words, (uint32_t)added_count(t->raw),
	    (uint32_t)added_count(t->normal), (uint32_t)strings.n }, &all);
	textbuf_add(&all, body.s, body.n);
	textbuf_add(&all, pool.s, pool.n);
	textbuf_add(&all, strings.s, strings.n);
	textbuf_clear(&body);
	textbuf_clear(&pool);
	textbuf_clear(&strings);
	free(merges);
	*out = (uint8_t *)all.s;
	*n = all.n;
}

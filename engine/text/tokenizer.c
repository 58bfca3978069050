/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tokenizer and its tokens. encoding.c encodes texts, and tokenizer_load.c
 * reads the file.
 */
#include "tokenizer_impl.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

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
void
tokenizer_work_free(struct tokenizer_work *w)
{
	if (w == NULL)
		return;
	bpe_work_free(w->bpe);
	wordcache_free(w->cache);
	textbuf_clear(&w->nfc);
	textbuf_clear(&w->spaced);
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
	textbuf_clear(&t->pool);
	bpe_free(t->bpe);
	added_free(t->raw);
	added_free(t->normal);
	tokenizer_work_free(t->work);
	free(t);
}

/* Return the number of ids. */
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

/* Return the bytes of a token. */
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

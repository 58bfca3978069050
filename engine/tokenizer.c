/*
 * Encoding with a tokenizer, and what its tokens are.  Word split and NFC are
 * pretoken.c's, merging is bpe.c's, added tokens are added.c's, reading the
 * file is tokenizer_load.c's.
 */
#include "tokenizer_impl.h"

#include <stdlib.h>

#include "pretoken.h"

/* Release a tokenizer. */
void
tokenizer_free(struct tokenizer *t)
{
	if (t == NULL)
		return;
	free(t->token);
	text_clear(&t->pool);
	bpe_free(t->bpe);
	added_free(t->raw);
	added_free(t->normal);
	free(t);
}

/* Count ids. */
int
tokenizer_size(const struct tokenizer *t)
{
	return ((int)t->n);
}

/* Encode normalised text without added tokens. */
static void
tokenizer_words(const struct tokenizer *t, struct bpe_work *w, const char *s,
    size_t n, struct ids *out)
{
	size_t	 i, len;

	for (i = 0; i < n; i += len) {
		len = pretoken_word(s + i, n - i);
		bpe_encode(t->bpe, w, s + i, len, out);
	}
}

/* Encode a piece between raw added tokens. */
static void
tokenizer_piece(const struct tokenizer *t, struct bpe_work *w, const char *s,
    size_t n, int special, struct ids *out)
{
	struct added_match	 m;
	struct text		 nfc = { NULL, 0, 0 };
	size_t			 i = 0;

	if (t->nfc) {
		pretoken_nfc(s, n, &nfc);
		s = nfc.s;
		n = nfc.n;
	}
	while (added_find(t->normal, s + i, n - i, special, &m)) {
		tokenizer_words(t, w, s + i, m.start, out);
		ids_add(out, m.id);
		i += m.start + m.len;
	}
	tokenizer_words(t, w, s + i, n - i, out);
	text_clear(&nfc);
}

/* Encode text. */
void
tokenizer_encode(const struct tokenizer *t, const char *s, size_t n,
    int special, struct ids *out)
{
	struct added_match	 m;
	struct bpe_work		*w = bpe_work_new();
	size_t			 i = 0;

	while (added_find(t->raw, s + i, n - i, special, &m)) {
		if (m.start > 0)
			tokenizer_piece(t, w, s + i, m.start, special, out);
		ids_add(out, m.id);
		i += m.start + m.len;
	}
	if (i < n)
		tokenizer_piece(t, w, s + i, n - i, special, out);
	bpe_work_free(w);
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the parts of a tokenizer.json that merging needs: the tokens of
 * single bytes, the merges, and the words that are tokens as a whole.
 */
#include "tokenizer_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"
#include "xmalloc.h"

/* One merge: three strings in a buffer that is used again for the next
 * merge. */
struct tokenizer_merge {
	const char	*left, *right, *both;
};

/* Return the id of a token of the vocabulary, or -1. */
static int32_t
tokenizer_id(const struct tokenizer_load *l, const char *s)
{
	const json_t	*id = json_object_get(l->vocab, s);

	return (id == NULL ? -1 : (int32_t)json_integer_value(id));
}

/* Find the fallback tokens of a byte without a token: the tokens for the bytes
 * of the character that stands for it. */
static void
tokenizer_read_fallback(struct tokenizer_load *l, const char *name,
    struct bpe_byte *y)
{
	char	 hex[8];
	int	 i;

	for (i = 0; name[i] != '\0'; i++) {
		snprintf(hex, sizeof hex, "<0x%02X>", (unsigned char)name[i]);
		if ((y->id[i] = tokenizer_id(l, hex)) < 0)
			return;
	}
	y->how = BPE_FALLBACK;
	y->n = i;
}

/* Note that a token stands for bytes that have no token. */
void
tokenizer_stand_in(struct tokenizer *t, int32_t id)
{
	t->token[id].stand_in = 1;
	t->leak |= t->token[id].special;
}

/* Find how each byte is encoded. *lack is set if a byte that can be in a text
 * has no token. */
static int
tokenizer_read_alphabet(struct tokenizer_load *l, int *lack)
{
	struct bpe_byte	*y;
	char		 name[5];
	uint32_t	 c;
	unsigned	 b;
	int		 i;

	for (c = 0; c < TOKENIZER_CHARS; c++) {
		if (l->byte[c] < 0)
			continue;
		name[utf8_encode(c, name)] = '\0';
		b = (unsigned)l->byte[c];
		y = &l->t->alphabet.byte[b];
		if ((y->id[0] = tokenizer_id(l, name)) >= 0) {
			y->how = BPE_TOKEN;
			if (l->t->token[y->id[0]].special &&
			    TOKENIZER_IS_UTF8(b))
				return (tokenizer_fault(l, CHAT_EUNSUPPORTED,
				    "the token of byte 0x%02x is special", b));
			continue;
		}
		if (l->t->fallback)
			tokenizer_read_fallback(l, name, y);
		*lack |= y->how == BPE_UNKNOWN && TOKENIZER_IS_UTF8(b);
		for (i = 0; i < y->n; i++)
			tokenizer_stand_in(l->t, y->id[i]);
	}
	return (0);
}

/* Find the unknown token; lack says that it may be needed. */
static int
tokenizer_read_unknown(struct tokenizer_load *l, int lack)
{
	const json_t	*v;

	l->t->alphabet.unknown = -1;
	v = json_object_get(json_object_get(l->root, "model"), "unk_token");
	if (v == NULL || json_is_null(v))
		return (0);
	if (!json_is_string(v))
		return (tokenizer_fault(l, CHAT_EFORMAT, "model.unk_token: "
		    "expected a string or null"));
	l->t->alphabet.unknown = tokenizer_id(l, json_string_value(v));
	if (l->t->alphabet.unknown >= 0)
		tokenizer_stand_in(l->t, l->t->alphabet.unknown);
	else if (lack)
		return (tokenizer_fault(l, CHAT_EFORMAT, "model.unk_token "
		    "\"%.40s\" is not in model.vocab",
		    json_string_value(v)));
	return (0);
}

/* Split merge v: "left right", or ["left", "right"] if pairs is 1. */
static int
tokenizer_split_merge(const json_t *v, int pairs, struct textbuf *buf,
    struct tokenizer_merge *m)
{
	const char	*a, *b, *space;
	size_t		 n;

	if (pairs) {
		a = json_string_value(json_array_get(v, 0));
		b = json_string_value(json_array_get(v, 1));
		if (json_array_size(v) != 2 || a == NULL || b == NULL)
			return (CHAT_EFORMAT);
		n = strlen(a);
	} else {
		if ((a = json_string_value(v)) == NULL ||
		    (space = strchr(a, ' ')) == NULL ||
		    strchr(space + 1, ' ') != NULL)
			return (CHAT_EFORMAT);
		n = (size_t)(space - a);
		b = space + 1;
	}
	if (n == 0 || b[0] == '\0')
		return (CHAT_EFORMAT);
	buf->n = 0;
	textbuf_add(buf, a, n);
	textbuf_add(buf, "", 1);
	textbuf_add(buf, a, n);
	textbuf_add(buf, b, strlen(b) + 1);
	m->left = buf->s;
	m->both = buf->s + n + 1;
	m->right = m->both + n;
	return (0);
}

/* Add merge number i to the table. */
static int
tokenizer_add_merge(struct tokenizer_load *l, const struct tokenizer_merge *m,
    size_t i)
{
	int32_t	 left = tokenizer_id(l, m->left);
	int32_t	 right = tokenizer_id(l, m->right);
	int32_t	 both = tokenizer_id(l, m->both);

	if (left < 0 || right < 0 || both < 0)
		return (tokenizer_fault(l, CHAT_EFORMAT, "model.merges[%zu]: "
		    "\"%.40s\" is not in model.vocab", i, left < 0 ?
		    m->left : right < 0 ? m->right : m->both));
	l->t->leak |= l->t->token[both].special;
	if (bpe_add(l->t->bpe, left, right, (uint32_t)i, both) != 0)
		return (tokenizer_fault(l, CHAT_EFORMAT, "model.merges[%zu]: "
		    "too many pairs have the same hash", i));
	return (0);
}

/* Is v the line "#version: ..." of an old merges file? It is not a merge. */
static int
tokenizer_is_version(const json_t *v)
{
	const char	*s = json_string_value(v);

	return (s != NULL && strncmp(s, "#version", 8) == 0);
}

/* Read the merges: all are strings, or all are pairs. */
static int
tokenizer_read_merges(struct tokenizer_load *l)
{
	struct tokenizer_merge	 m;
	struct textbuf		 buf = { NULL, 0, 0 };
	json_t			*list, *v;
	size_t			 i;
	int			 pairs, r = 0;

	list = json_object_get(json_object_get(l->root, "model"), "merges");
	if (!json_is_array(list))
		return (tokenizer_fault(l, CHAT_EFORMAT, "model.merges: "
		    "expected a list"));
	if (json_array_size(list) > TOKENIZER_MERGES_MAX)
		return (tokenizer_fault(l, CHAT_ETOOBIG, "%zu merges, at most "
		    "%d are allowed", json_array_size(list),
		    TOKENIZER_MERGES_MAX));
	l->t->bpe = bpe_new(&l->t->alphabet, json_array_size(list));
	pairs = json_is_array(json_array_get(list, 0));
	json_array_foreach(list, i, v) {
		if (!pairs && tokenizer_is_version(v))
			continue;
		if (tokenizer_split_merge(v, pairs, &buf, &m) != 0) {
			r = tokenizer_fault(l, CHAT_EFORMAT,
			    "model.merges[%zu] is not a pair", i);
			break;
		}
		if ((r = tokenizer_add_merge(l, &m, i)) != 0)
			break;
	}
	textbuf_clear(&buf);
	return (r);
}

/* Order two ids by the bytes of their tokens. */
static int
tokenizer_word_cmp(const void *a, const void *b, void *arg)
{
	const struct tokenizer	*t = arg;
	const struct token	*x = &t->token[*(const int32_t *)a];
	const struct token	*y = &t->token[*(const int32_t *)b];

	return (tokenizer_order(t->pool.s + x->start, x->len,
	    t->pool.s + y->start, y->len));
}

/* List the words that are tokens as a whole, even if no merges lead to them. */
static void
tokenizer_read_words(struct tokenizer *t)
{
	size_t	 i;

	t->word = xcalloc(t->n, sizeof *t->word);
	for (i = 0; i < t->n; i++) {
		if (!t->token[i].mapped || t->token[i].len == 0)
			continue;
		t->word[t->words++] = (int32_t)i;
		t->leak |= t->token[i].special;
	}
	qsort_r(t->word, t->words, sizeof *t->word, tokenizer_word_cmp, t);
}

/* Read the alphabet, the merges and the words. */
int
tokenizer_bpe(struct tokenizer_load *l)
{
	int	 r, lack = 0;

	if ((r = tokenizer_read_alphabet(l, &lack)) != 0 ||
	    (r = tokenizer_read_unknown(l, lack)) != 0 ||
	    (r = tokenizer_read_merges(l)) != 0)
		return (r);
	if (l->t->whole)
		tokenizer_read_words(l->t);
	return (0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training of a tokenizer.
 */
#include "bpe_train.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "growbuf.h"
#include "nfc.h"
#include "pretoken.h"
#include "xmalloc.h"

#define BPE_SPECIALS	2

/* A table from 64-bit keys to counts. */
struct bpe_table {
	uint64_t	*key;		/* owned; 0: empty */
	int64_t		*count;		/* owned */
	size_t		 n, size;	/* size is a power of 2 */
};

/* A word and how often it came. */
struct bpe_word {
	uint32_t	 start, len;	/* in symbols */
	int64_t		 count;
};

/* A token. */
struct bpe_token {
	char		*s;		/* owned: bytes */
	size_t		 n;
};

struct bpe_train {
	json_t			*words;	/* owned: word in hex to count */
	struct bpe_word		*word;	/* owned */
	size_t			 n;
	int32_t			*symbol; /* owned: of all words */
	struct bpe_token	*token;	/* owned */
	int			 tokens;
	int			 pair[2];
};

static const char *const bpe_special[BPE_SPECIALS] = {
	"<|endoftext|>", "<|padding|>"
};

/* The character that stands for a byte, as GPT-2 has it. */
static uint32_t
bpe_char(int b)
{
	int	 i, n = 0;

	for (i = 0; i <= 255; i++) {
		if ((i >= 33 && i <= 126) || (i >= 161 && i <= 172) ||
		    i >= 174) {
			if (i == b)
				return ((uint32_t)b);
		} else {
			if (i == b)
				return ((uint32_t)(256 + n));
			n++;
		}
	}
	return (0);
}

/* Start. */
struct bpe_train *
bpe_train_new(void)
{
	struct bpe_train	*t = xcalloc(1, sizeof *t);

	t->words = json_object();
	return (t);
}

/* Release. */
void
bpe_train_free(struct bpe_train *t)
{
	int	 i;

	if (t == NULL)
		return;
	for (i = 0; i < t->tokens; i++)
		free(t->token[i].s);
	free(t->token);
	free(t->word);
	free(t->symbol);
	json_decref(t->words);
	free(t);
}

/* Count one word. Its bytes are the keys: a NUL or a cut character has no
 * place in a key, so each byte is written as the character for it. */
static void
bpe_count(struct bpe_train *t, const char *s, size_t n)
{
	char		 key[512], *to = key;
	uint32_t	 c;
	json_t		*v;
	size_t		 i;

	if (n > 200)
		return;		/* not a word that comes again */
	for (i = 0; i < n; i++) {
		c = bpe_char((uint8_t)s[i]);
		if (c < 128) {
			*to++ = (char)c;
		} else {
			*to++ = (char)(0xc0 | c >> 6);
			*to++ = (char)(0x80 | (c & 63));
		}
	}
	*to = '\0';
	if ((v = json_object_get(t->words, key)) == NULL)
		json_object_set_new(t->words, key, json_integer(1));
	else
		json_integer_set(v, json_integer_value(v) + 1);
}

/* Count the words of a text. */
void
bpe_train_text(struct bpe_train *t, const char *s, size_t n)
{
	struct textbuf	 nfc = { 0 };
	size_t		 i, len;

	nfc_add(s, n, &nfc);
	for (i = 0; i < nfc.n; i += len) {
		len = pretoken_word(nfc.s + i, nfc.n - i);
		bpe_count(t, nfc.s + i, len);
	}
	textbuf_clear(&nfc);
}

/* The bytes by the characters that stand for them, in order. */
static int
bpe_byte_order(const void *a, const void *b)
{
	uint32_t	 x = bpe_char(*(const uint8_t *)a);
	uint32_t	 y = bpe_char(*(const uint8_t *)b);

	return ((x > y) - (x < y));
}

/* Add a token. Returns its id. */
static int
bpe_token(struct bpe_train *t, const char *s, size_t n, const char *z,
    size_t m)
{
	struct bpe_token	*k;

	t->token = xreallocarray(t->token, (size_t)t->tokens + 1,
	    sizeof *t->token);
	k = &t->token[t->tokens];
	k->s = xmalloc(n + m + 1);
	k->n = n + m;
	memcpy(k->s, s, n);
	memcpy(k->s + n, z, m);
	return (t->tokens++);
}

/* Specials and bytes; id[b] is the token of a byte. */
static void
bpe_alphabet_make(struct bpe_train *t, int32_t id[256])
{
	uint8_t	 order[256];
	int	 i;

	for (i = 0; i < BPE_SPECIALS; i++)
		bpe_token(t, bpe_special[i], strlen(bpe_special[i]), "", 0);
	for (i = 0; i < 256; i++)
		order[i] = (uint8_t)i;
	qsort(order, 256, 1, bpe_byte_order);
	for (i = 0; i < 256; i++)
		id[order[i]] = bpe_token(t, (char *)&order[i], 1, "", 0);
}

/* The byte of the character at *s, which is passed. */
static int
bpe_unchar(const char **s)
{
	static int	 byte[512];
	uint32_t	 c = (uint8_t)**s;
	int		 b;

	if (byte[bpe_char(0)] == 0)
		for (b = 0; b < 256; b++)
			byte[bpe_char(b)] = b + 1;
	if (c < 128)
		(*s)++;
	else {
		c = (c & 31) << 6 | ((uint8_t)(*s)[1] & 63);
		*s += 2;
	}
	return (byte[c] - 1);
}

/* Turn the counted words into symbols. */
static void
bpe_symbols(struct bpe_train *t, const int32_t id[256])
{
	const char	*key, *s;
	json_t		*v;
	size_t		 at = 0, room = 0;

	json_object_foreach(t->words, key, v)
		room += strlen(key);
	t->symbol = xcalloc(room + 1, sizeof *t->symbol);
	t->word = xcalloc(json_object_size(t->words) + 1, sizeof *t->word);
	json_object_foreach(t->words, key, v) {
		t->word[t->n].start = (uint32_t)at;
		t->word[t->n].count = json_integer_value(v);
		for (s = key; *s != '\0';)
			t->symbol[at++] = id[bpe_unchar(&s)];
		t->word[t->n].len = (uint32_t)at - t->word[t->n].start;
		t->n++;
	}
}

/* The place of a key in a table. */
static size_t
bpe_slot(const struct bpe_table *b, uint64_t key)
{
	size_t	 i = (size_t)(key * 0x9e3779b97f4a7c15u >> 20) & (b->size - 1);

	while (b->key[i] != 0 && b->key[i] != key)
		i = (i + 1) & (b->size - 1);
	return (i);
}

/* Add to the count of a pair. */
static void
bpe_table_add(struct bpe_table *b, int32_t left, int32_t right, int64_t n)
{
	uint64_t		 key = (uint64_t)(left + 1) << 32 |
				    (uint64_t)(right + 1);
	struct bpe_table	 old = *b;
	size_t			 i;

	if (2 * b->n >= b->size) {
		b->size = b->size == 0 ? 1 << 16 : 2 * b->size;
		b->key = xcalloc(b->size, sizeof *b->key);
		b->count = xcalloc(b->size, sizeof *b->count);
		for (i = 0; i < old.size; i++)
			if (old.key[i] != 0) {
				b->key[bpe_slot(b, old.key[i])] = old.key[i];
				b->count[bpe_slot(b, old.key[i])] =
				    old.count[i];
			}
		free(old.key);
		free(old.count);
	}
	i = bpe_slot(b, key);
	b->n += b->key[i] == 0;
	b->key[i] = key;
	b->count[i] += n;
}

/* The most frequent pair; of equals the lowest. 0: none is left. */
static uint64_t
bpe_best(const struct bpe_table *b)
{
	uint64_t	 best = 0;
	int64_t		 most = 0;
	size_t		 i;

	for (i = 0; i < b->size; i++)
		if (b->count[i] > most || (b->count[i] == most && most > 0 &&
		    b->key[i] < best)) {
			most = b->count[i];
			best = b->key[i];
		}
	return (best);
}

/* Merge a pair in one word, and keep the counts. */
static void
bpe_merge_word(struct bpe_train *t, struct bpe_word *w, int32_t left,
    int32_t right, int32_t id, struct bpe_table *b)
{
	int32_t		*s = t->symbol + w->start;
	uint32_t	 i, n = 0;

	for (i = 0; i < w->len; i++) {
		if (i + 1 == w->len || s[i] != left || s[i + 1] != right) {
			s[n++] = s[i];
			continue;
		}
		bpe_table_add(b, left, right, -w->count);
		if (n > 0) {
			bpe_table_add(b, s[n - 1], left, -w->count);
			bpe_table_add(b, s[n - 1], id, w->count);
		}
		if (i + 2 < w->len) {
			bpe_table_add(b, right, s[i + 2], -w->count);
			bpe_table_add(b, id, s[i + 2], w->count);
		}
		s[n++] = id;
		i++;
	}
	w->len = n;
}

/* Does a word have the pair? */
static int
bpe_has(const int32_t *s, uint32_t n, int32_t left, int32_t right)
{
	uint32_t	 i;

	for (i = 0; i + 1 < n; i++)
		if (s[i] == left && s[i + 1] == right)
			return (1);
	return (0);
}

/* A token as the file writes it. */
static json_t *
bpe_text(const struct bpe_token *k, int plain)
{
	struct textbuf	 b = { 0 };
	uint32_t	 c;
	char		 u[2];
	json_t		*j;
	size_t		 i;

	for (i = 0; i < k->n; i++) {
		c = bpe_char((uint8_t)k->s[i]);
		u[0] = (char)(c < 128 || plain ? c : 0xc0 | c >> 6);
		u[1] = (char)(0x80 | (c & 63));
		textbuf_add(&b, u, c < 128 || plain ? 1 : 2);
	}
	j = json_stringn(b.s, b.n);
	textbuf_clear(&b);
	return (j);
}

/* One merge as the file writes it: "LEFT RIGHT". */
static void
bpe_write_merge(struct bpe_train *t, json_t *merges, int left, int right)
{
	json_t	*a = bpe_text(&t->token[left], 0);
	json_t	*b = bpe_text(&t->token[right], 0);
	char	*s = xasprintf("%s %s", json_string_value(a),
		    json_string_value(b));

	json_array_append_new(merges, json_string(s));
	free(s);
	json_decref(a);
	json_decref(b);
}

/* Find the merges; `most` tokens in all. */
static json_t *
bpe_merges_find(struct bpe_train *t, int most)
{
	struct bpe_table	 b = { NULL, NULL, 0, 0 };
	json_t			*merges = json_array();
	uint64_t		 key;
	int32_t			 left, right, id;
	uint32_t		 k;
	size_t			 i;

	for (i = 0; i < t->n; i++)
		for (k = 0; k + 1 < t->word[i].len; k++)
			bpe_table_add(&b, t->symbol[t->word[i].start + k],
			    t->symbol[t->word[i].start + k + 1],
			    t->word[i].count);
	while (t->tokens < most && (key = bpe_best(&b)) != 0) {
		left = (int32_t)(key >> 32) - 1;
		right = (int32_t)(key & 0xffffffffu) - 1;
		id = bpe_token(t, t->token[left].s, t->token[left].n,
		    t->token[right].s, t->token[right].n);
		bpe_write_merge(t, merges, left, right);
		for (i = 0; i < t->n; i++)
			if (bpe_has(t->symbol + t->word[i].start,
			    t->word[i].len, left, right))
				bpe_merge_word(t, &t->word[i], left, right,
				    id, &b);
		b.count[bpe_slot(&b, key)] = 0;
	}
	free(b.key);
	free(b.count);
	return (merges);
}

/* An entry of added_tokens. */
static json_t *
bpe_added(int id, const char *s, int special)
{
	return (json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", id,
	    "content", s, "single_word", 0, "lstrip", 0, "rstrip", 0,
	    "normalized", !special, "special", special));
}

/* Special tokens and runs of spaces. */
static json_t *
bpe_added_tokens(int tokens)
{
	json_t	*list = json_array();
	char	 s[BPE_TRAIN_SPACES + 1];
	int	 i;

	for (i = 0; i < BPE_SPECIALS; i++)
		json_array_append_new(list, bpe_added(i, bpe_special[i], 1));
	memset(s, ' ', sizeof s);
	for (i = BPE_TRAIN_SPACES; i > 1; i--) {
		s[i] = '\0';
		json_array_append_new(list, bpe_added(tokens +
		    BPE_TRAIN_SPACES - i, s, 0));
	}
	return (list);
}

/* Train. */
char *
bpe_train_json(struct bpe_train *t, int vocab)
{
	int32_t	 id[256];
	json_t	*merges, *words = json_object(), *root, *level, *k;
	char	*out;
	int	 i;

	bpe_alphabet_make(t, id);
	bpe_symbols(t, id);
	merges = bpe_merges_find(t, vocab - (BPE_TRAIN_SPACES - 1));
	for (i = 0; i < t->tokens; i++) {
		k = bpe_text(&t->token[i], i < BPE_SPECIALS);
		json_object_set_new(words, json_string_value(k),
		    json_integer(i));
		json_decref(k);
	}
	level = json_pack("{s:s, s:b, s:b}", "type", "ByteLevel",
	    "add_prefix_space", 0, "trim_offsets", 1);
	root = json_pack("{s:s, s:n, s:n, s:o, s:{s:s}, s:O, s:O, s:o, "
	    "s:{s:s, s:n, s:n, s:n, s:n, s:b, s:o, s:o}}",
	    "version", "1.0", "truncation", "padding",
	    "added_tokens", bpe_added_tokens(t->tokens),
	    "normalizer", "type", "NFC", "pre_tokenizer", level,
	    "post_processor", level, "decoder", level,
	    "model", "type", "BPE", "dropout", "unk_token",
	    "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0,
	    "vocab", words, "merges", merges);
	out = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return (out);
}

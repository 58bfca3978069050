/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading tokenizer.json: the vocabulary and the added tokens. Every count, id
 * and string is checked. tokenizer_bpe.c reads the merges, and
 * tokenizer_parts.c the other parts.
 */
#include "tokenizer_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "nfc.h"
#include "utf8.h"
#include "xmalloc.h"

#define TOKENIZER_PARTS_MAX 1000	/* lists and objects outside of the
					 * vocabulary and the merges */

/* Fill the fault of a broken file. */
#define tokenizer_bad(l, ...) \
	tokenizer_fault((l), CHAT_EFORMAT, __VA_ARGS__)

/* Report what is wrong with the file. */
int
tokenizer_fault(struct tokenizer_load *l, int r, const char *fmt, ...)
{
	char	 what[256];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	fault_set(l->f, "bad_model", NULL, "%s: %s", l->path, what);
	return (r);
}

/* Fill the table of characters that stand for bytes: printable Latin-1
 * characters stand for themselves, U+0100 and up for the other 68 bytes, in
 * order. */
static void
tokenizer_bytes_init(int16_t byte[TOKENIZER_CHARS])
{
	int16_t	 b, next = 256;

	memset(byte, -1, TOKENIZER_CHARS * sizeof *byte);
	for (b = 0; b < 256; b++) {
		if ((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174)
			byte[b] = b;
		else
			byte[next++] = b;
	}
}

/* Append to the pool the bytes that the characters of s stand for. If one of
 * them stands for no byte, append s itself and return 0. */
static int
tokenizer_unmap(struct tokenizer_load *l, const char *s, size_t n)
{
	struct textbuf	*pool = &l->t->pool;
	size_t		 i, start = pool->n;
	uint32_t	 cp;
	char		 c;
	int		 k;

	for (i = 0; i < n; i += (size_t)k) {
		k = utf8_decode(s + i, n - i, &cp);
		if (k <= 0 || cp >= TOKENIZER_CHARS || l->byte[cp] < 0) {
			pool->n = start;
			textbuf_add(pool, s, n);
			return (0);
		}
		c = (char)l->byte[cp];
		textbuf_add(pool, &c, 1);
	}
	return (1);
}

/* Set the text of an id. */
static int
tokenizer_add(struct tokenizer_load *l, const char *s, size_t n,
    const json_t *id, int added)
{
	struct tokenizer	*t = l->t;
	size_t			 start = t->pool.n, i;
	int			 mapped;

	if (!json_is_integer(id) || json_integer_value(id) < 0 ||
	    json_integer_value(id) >= TOKENIZER_VOCAB_MAX)
		return (tokenizer_bad(l, "token \"%.40s\": its id is not "
		    "between 0 and %d", s, TOKENIZER_VOCAB_MAX - 1));
	i = (size_t)json_integer_value(id);
	if (i >= t->size) {
		t->size = i + i / 2 + 1024;	/* 24 MiB at most */
		t->token = xreallocarray(t->token, t->size, sizeof *t->token);
	}
	if (i >= t->n) {
		memset(t->token + t->n, 0, (i + 1 - t->n) * sizeof *t->token);
		t->n = i + 1;
	}
	if (t->token[i].known)
		return (tokenizer_bad(l, "id %zu stands for two tokens, one "
		    "is \"%.40s\"", i, s));
	mapped = tokenizer_unmap(l, s, n);
	t->token[i] = (struct token){ .start = (uint32_t)start,
	    .len = (uint32_t)(t->pool.n - start), .known = 1,
	    .mapped = mapped && !added };
	return (0);
}

/* Read the vocabulary. */
static int
tokenizer_read_vocab(struct tokenizer_load *l)
{
	const char	*key;
	json_t		*id;
	int		 r;

	l->vocab = json_object_get(json_object_get(l->root, "model"), "vocab");
	if (!json_is_object(l->vocab) || json_object_size(l->vocab) == 0)
		return (tokenizer_bad(l, "model.vocab is missing or empty"));
	json_object_foreach(l->vocab, key, id) {
		if ((r = tokenizer_add(l, key, strlen(key), id, 0)) != 0)
			return (r);
	}
	return (0);
}

/* Read the flags of an added token. */
static int
tokenizer_read_flags(struct tokenizer_load *l, const json_t *v,
    unsigned *flags, int *normalized)
{
	static const struct {
		const char	*name;
		unsigned	 flag;
	} known[] = {
		{ "special", ADDED_SPECIAL }, { "lstrip", ADDED_LSTRIP },
		{ "rstrip", ADDED_RSTRIP }, { "single_word", ADDED_WORD },
		{ "normalized", 0 },
	};
	const json_t	*b;
	size_t		 i;

	*flags = 0;
	*normalized = 0;
	for (i = 0; i < nitems(known); i++) {
		b = json_object_get(v, known[i].name);
		if (b != NULL && !json_is_boolean(b))
			return (tokenizer_bad(l, "added token \"%.40s\": %s "
			    "is not true or false", json_string_value(
			    json_object_get(v, "content")), known[i].name));
		if (json_is_true(b) && known[i].flag == 0)
			*normalized = 1;
		else if (json_is_true(b))
			*flags |= known[i].flag;
	}
	return (0);
}

/* Check that the id of an added token is the one that the reference tokenizer
 * gives it. The reference does not use the id in the file: the id is that of
 * the vocabulary, or the next free one after the vocabulary. */
static int
tokenizer_check_added(struct tokenizer_load *l, const char *s, const json_t *id)
{
	const json_t	*old = json_object_get(l->vocab, s);
	json_int_t	 want;

	want = old != NULL ? json_integer_value(old) :
	    (json_int_t)(json_object_size(l->vocab) + l->fresh++);
	if (!json_is_integer(id) || json_integer_value(id) != want)
		return (tokenizer_bad(l, "added token \"%.40s\": its id is "
		    "not %lld, which follows from model.vocab", s,
		    (long long)want));
	if (old == NULL)
		return (tokenizer_add(l, s, strlen(s), id, 1));
	if (l->t->token[want].added)
		return (tokenizer_bad(l, "added token \"%.40s\" is in "
		    "the file twice", s));
	return (0);
}

/* Read added token v. */
static int
tokenizer_read_one_added(struct tokenizer_load *l, json_t *v)
{
	const char	*s = json_string_value(json_object_get(v, "content"));
	json_t		*id = json_object_get(v, "id");
	struct textbuf	 nfc = { NULL, 0, 0 };
	struct token	*k;
	size_t		 n = s == NULL ? 0 : strlen(s);
	unsigned	 flags;
	int		 r, normalized;

	if (n == 0 || n > ADDED_BYTES_MAX)
		return (tokenizer_bad(l, "an added token is not between 1 "
		    "and %d bytes long", ADDED_BYTES_MAX));
	if ((r = tokenizer_read_flags(l, v, &flags, &normalized)) != 0 ||
	    (r = tokenizer_check_added(l, s, id)) != 0)
		return (r);
	k = &l->t->token[json_integer_value(id)];
	k->added = 1;
	k->special = (flags & ADDED_SPECIAL) != 0;
	if (normalized && l->t->nfc)
		nfc_add(s, n, &nfc);
	else
		textbuf_add(&nfc, s, n);
	added_add(normalized ? l->t->normal : l->t->raw, nfc.s, nfc.n,
	    (int32_t)json_integer_value(id), flags);
	textbuf_clear(&nfc);
	return (0);
}

/* Read the added tokens. */
static int
tokenizer_read_added(struct tokenizer_load *l)
{
	json_t	*list = json_object_get(l->root, "added_tokens"), *v;
	int32_t	 twice[2];
	size_t	 i;
	int	 r;

	l->t->raw = added_new();
	l->t->normal = added_new();
	if (list != NULL && !json_is_array(list))
		return (tokenizer_bad(l, "added_tokens: expected a list"));
	if (json_array_size(list) > TOKENIZER_ADDED_MAX)
		return (tokenizer_fault(l, CHAT_ETOOBIG, "%zu added tokens, "
		    "at most %d are allowed", json_array_size(list),
		    TOKENIZER_ADDED_MAX));
	json_array_foreach(list, i, v) {
		if ((r = tokenizer_read_one_added(l, v)) != 0)
			return (r);
	}
	if (added_seal(l->t->raw, twice) != 0 ||
	    added_seal(l->t->normal, twice) != 0)
		return (tokenizer_bad(l, "added tokens %d and %d are the same "
		    "text", twice[0], twice[1]));
	return (0);
}

/* Parse the JSON, unless it would take too much memory. */
static int
tokenizer_read_json(struct tokenizer_load *l, const char *text, size_t n)
{
	struct json_size	 size;
	json_error_t		 err;

	if (n > TOKENIZER_FILE_MAX)
		return (tokenizer_fault(l, CHAT_ETOOBIG, "%zu bytes, at most "
		    "%d are allowed", n, TOKENIZER_FILE_MAX));
	json_measure(text, n, &size);
	if (size.values > TOKENIZER_VALUES_MAX ||
	    size.arrays > TOKENIZER_MERGES_MAX + TOKENIZER_PARTS_MAX ||
	    size.objects > TOKENIZER_ADDED_MAX + TOKENIZER_PARTS_MAX)
		return (tokenizer_fault(l, CHAT_ETOOBIG, "%zu values, %zu "
		    "lists and %zu objects are more than a tokenizer has",
		    size.values, size.arrays, size.objects));
	if (size.depth > JSON_DEPTH_MAX)
		return (tokenizer_bad(l, "nested deeper than %d",
		    JSON_DEPTH_MAX));
	l->root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &err);
	if (l->root == NULL)
		return (tokenizer_bad(l, "line %d: %s", err.line, err.text));
	return (0);
}

/* Parse a tokenizer. */
int
tokenizer_parse(const char *path, const char *text, size_t n,
    struct tokenizer **out, struct fault *f)
{
	int16_t			 byte[TOKENIZER_CHARS];
	struct tokenizer_load	 l = { .path = path, .f = f, .byte = byte };
	int			 r;

	l.t = xcalloc(1, sizeof *l.t);
	tokenizer_bytes_init(byte);
	if ((r = tokenizer_read_json(&l, text, n)) != 0 ||
	    (r = tokenizer_parts(&l)) != 0 ||
	    (r = tokenizer_read_vocab(&l)) != 0 ||
	    (r = tokenizer_read_added(&l)) != 0 ||
	    (r = tokenizer_bpe(&l)) != 0)
		goto out;
	l.t->work = tokenizer_work_new();
	*out = l.t;
	l.t = NULL;
out:
	json_decref(l.root);
	tokenizer_free(l.t);
	return (r);
}

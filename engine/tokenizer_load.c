/*
 * Reading tokenizer.json: every count, id and string in it is checked, and
 * what we know one way of only must be that way.
 */
#include "tokenizer_impl.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"
#include "utf8.h"
#include "xmalloc.h"

#define BYTE_CHARS 324	/* characters that stand for bytes: below U+0144 */

/* State of one reading of a file. */
struct tokenizer_load {
	const char		*path;	/* borrowed */
	struct tokenizer	*t;	/* borrowed */
	json_t			*root;	/* owned */
	struct fault		*f;	/* borrowed */
	int16_t			 byte[BYTE_CHARS]; /* character to byte, -1 */
};

/* What a file may say where we know one way only. */
struct tokenizer_fixed {
	const char	*section;	/* key of the root */
	const char	*key;
	const char	*string;	/* the value, where it is a string */
	int		 truth;		/* the value, where it is a boolean */
	int		 required;
};

static const struct tokenizer_fixed tokenizer_fixed[] = {
	{ "model", "type", "BPE", 0, 0 },
	{ "model", "byte_fallback", NULL, 0, 0 },
	{ "model", "ignore_merges", NULL, 0, 0 },
	{ "model", "dropout", NULL, 0, 0 },
	{ "pre_tokenizer", "type", "ByteLevel", 0, 1 },
	{ "pre_tokenizer", "add_prefix_space", NULL, 0, 1 },
	{ "pre_tokenizer", "use_regex", NULL, 1, 0 },
	{ "decoder", "type", "ByteLevel", 0, 1 },
};

/* Fill the fault with the file's name in front. */
#define tokenizer_bad(l, ...) \
	tokenizer_fault((l), CHAT_EFORMAT, __VA_ARGS__)
static int	tokenizer_fault(struct tokenizer_load *, int, const char *,
		    ...) __attribute__((format(printf, 3, 4)));

/* Say what is wrong with the file; returns r. */
static int
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

/* Set up the table of characters that stand for bytes: printable Latin-1
 * stands for itself, the other 68 bytes for U+0100 and up, in order. */
static void
tokenizer_bytes_init(struct tokenizer_load *l)
{
	int16_t	 b, next = 256;

	memset(l->byte, -1, sizeof l->byte);
	for (b = 0; b < 256; b++) {
		if ((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174)
			l->byte[b] = b;
		else
			l->byte[next++] = b;
	}
}

/* Check the parts of the file that we know one way of. */
static int
tokenizer_check(struct tokenizer_load *l)
{
	const struct tokenizer_fixed	*x;
	json_t				*s, *v;
	const char			*name;
	size_t				 i;
	int				 ok;

	for (i = 0; i < nitems(tokenizer_fixed); i++) {
		x = &tokenizer_fixed[i];
		s = json_object_get(l->root, x->section);
		v = json_object_get(s, x->key);
		if ((v == NULL || json_is_null(v)) && !x->required)
			continue;
		if (x->string != NULL)
			ok = (name = json_string_value(v)) != NULL &&
			    strcmp(name, x->string) == 0;
		else
			ok = json_is_boolean(v) && json_is_true(v) == x->truth;
		if (!ok)
			return (tokenizer_fault(l, CHAT_EUNSUPPORTED,
			    "%s.%s: only %s is supported", x->section, x->key,
			    x->string != NULL ? x->string :
			    x->truth ? "true" : "false"));
	}
	v = json_object_get(l->root, "normalizer");
	name = json_string_value(json_object_get(v, "type"));
	l->t->nfc = name != NULL && strcmp(name, "NFC") == 0;
	if (!l->t->nfc && v != NULL && !json_is_null(v))
		return (tokenizer_fault(l, CHAT_EUNSUPPORTED,
		    "normalizer.type: only NFC is supported"));
	return (0);
}

/* Append what the characters of s stand for: bytes, or (where one of them
 * stands for none) the string itself. */
static void
tokenizer_unmap(struct tokenizer_load *l, const char *s, size_t n)
{
	struct text	*pool = &l->t->pool;
	size_t		 i, start = pool->n;
	uint32_t	 cp;
	char		 c;
	int		 k;

	for (i = 0; i < n; i += (size_t)k) {
		k = utf8_decode(s + i, n - i, &cp);
		if (k <= 0 || cp >= BYTE_CHARS || l->byte[cp] < 0) {
			pool->n = start;
			text_add(pool, s, n);
			return;
		}
		c = (char)l->byte[cp];
		text_add(pool, &c, 1);
	}
}

/* Give id its text; a second time only the same text is fine. */
static int
tokenizer_add(struct tokenizer_load *l, const char *s, size_t n,
    const json_t *id)
{
	struct tokenizer	*t = l->t;
	struct token		*k;
	size_t			 start = t->pool.n, i;

	if (!json_is_integer(id) || json_integer_value(id) < 0 ||
	    json_integer_value(id) >= TOKENIZER_VOCAB_MAX)
		return (tokenizer_bad(l, "token \"%.40s\": its id is not "
		    "between 0 and %d", s, TOKENIZER_VOCAB_MAX - 1));
	i = (size_t)json_integer_value(id);
	if (i >= t->n) {
		t->token = xreallocarray(t->token, i + 1, sizeof *t->token);
		memset(t->token + t->n, 0, (i + 1 - t->n) * sizeof *t->token);
		t->n = i + 1;
	}
	k = &t->token[i];
	tokenizer_unmap(l, s, n);
	if (k->known) {
		if (k->len != t->pool.n - start || memcmp(t->pool.s + k->start,
		    t->pool.s + start, k->len) != 0)
			return (tokenizer_bad(l, "id %zu stands for two "
			    "tokens, one is \"%.40s\"", i, s));
		t->pool.n = start;
		return (0);
	}
	*k = (struct token){ start, t->pool.n - start, 1, 0 };
	return (0);
}

/* Read the vocabulary. */
static int
tokenizer_read_vocab(struct tokenizer_load *l, json_t *vocab)
{
	const char	*key;
	json_t		*id;
	int		 r;

	if (!json_is_object(vocab) || json_object_size(vocab) == 0)
		return (tokenizer_bad(l, "model.vocab is missing or empty"));
	json_object_foreach(vocab, key, id) {
		if ((r = tokenizer_add(l, key, strlen(key), id)) != 0)
			return (r);
	}
	return (0);
}

/* Read added token v. */
static int
tokenizer_read_one_added(struct tokenizer_load *l, json_t *v)
{
	static const char *const no[] = { "single_word", "lstrip", "rstrip" };
	json_t		*content = json_object_get(v, "content");
	json_t		*id = json_object_get(v, "id");
	size_t		 i, n = json_string_length(content);
	int		 r, special;

	if (n == 0 || n > ADDED_BYTES_MAX)
		return (tokenizer_bad(l, "an added token is not between 1 "
		    "and %d bytes long", ADDED_BYTES_MAX));
	for (i = 0; i < nitems(no); i++) {
		if (json_is_true(json_object_get(v, no[i])))
			return (tokenizer_fault(l, CHAT_EUNSUPPORTED,
			    "added token \"%.40s\": %s is not supported",
			    json_string_value(content), no[i]));
	}
	if ((r = tokenizer_add(l, json_string_value(content), n, id)) != 0)
		return (r);
	special = json_is_true(json_object_get(v, "special"));
	l->t->token[json_integer_value(id)].special = special;
	added_add(json_is_true(json_object_get(v, "normalized")) ?
	    l->t->normal : l->t->raw, json_string_value(content), n,
	    (int32_t)json_integer_value(id), special);
	return (0);
}

/* Read the added tokens. */
static int
tokenizer_read_added(struct tokenizer_load *l)
{
	json_t	*list = json_object_get(l->root, "added_tokens");
	size_t	 i;
	int	 r;

	l->t->raw = added_new();
	l->t->normal = added_new();
	if (json_array_size(list) > TOKENIZER_ADDED_MAX)
		return (tokenizer_bad(l, "%zu added tokens, at most %d are "
		    "allowed", json_array_size(list), TOKENIZER_ADDED_MAX));
	for (i = 0; i < json_array_size(list); i++) {
		r = tokenizer_read_one_added(l, json_array_get(list, i));
		if (r != 0)
			return (r);
	}
	added_seal(l->t->raw);
	added_seal(l->t->normal);
	return (0);
}

/* Find the token of each single byte; those that no UTF-8 text holds need
 * not have one. */
static int
tokenizer_read_bytes(struct tokenizer_load *l, json_t *vocab,
    int32_t byte_id[256])
{
	json_t		*id;
	char		 name[5];
	uint32_t	 c;
	int		 b;

	for (c = 0; c < BYTE_CHARS; c++) {
		if (l->byte[c] < 0)
			continue;
		name[utf8_encode(c, name)] = '\0';
		b = l->byte[c];
		id = json_object_get(vocab, name);
		if (id == NULL && b != 0xc0 && b != 0xc1 && b < 0xf5)
			return (tokenizer_bad(l, "model.vocab has no token "
			    "for byte 0x%02x", (unsigned)b));
		byte_id[b] = id == NULL ? -1 :
		    (int32_t)json_integer_value(id);
	}
	return (0);
}

/* Split merge v ("left right" or ["left", "right"]) into new strings. */
static int
tokenizer_read_merge(const json_t *v, char **left, char **right)
{
	const char	*a, *b;

	if (json_is_array(v)) {
		a = json_string_value(json_array_get(v, 0));
		b = json_string_value(json_array_get(v, 1));
		if (json_array_size(v) != 2 || a == NULL || b == NULL)
			return (CHAT_EFORMAT);
		*left = xstrdup(a);
	} else {
		if ((a = json_string_value(v)) == NULL ||
		    (b = strchr(a, ' ')) == NULL)
			return (CHAT_EFORMAT);
		*left = xstrndup(a, (size_t)(b - a));
		b++;
	}
	*right = xstrdup(b);
	return (0);
}

/* Add merge number i to the table. */
static int
tokenizer_add_merge(struct tokenizer_load *l, json_t *vocab, const json_t *v,
    size_t i)
{
	json_t	*a, *b, *ab;
	char	*left = NULL, *right = NULL, *both = NULL;
	int	 r;

	if ((r = tokenizer_read_merge(v, &left, &right)) != 0) {
		tokenizer_bad(l, "model.merges[%zu] is not a pair", i);
		goto out;
	}
	both = xasprintf("%s%s", left, right);
	a = json_object_get(vocab, left);
	b = json_object_get(vocab, right);
	ab = json_object_get(vocab, both);
	if (a == NULL || b == NULL || ab == NULL) {
		r = tokenizer_bad(l, "model.merges[%zu]: \"%.40s\" is not in "
		    "model.vocab", i, a == NULL ? left : b == NULL ? right :
		    both);
		goto out;
	}
	bpe_add(l->t->bpe, (int32_t)json_integer_value(a),
	    (int32_t)json_integer_value(b), (uint32_t)i,
	    (int32_t)json_integer_value(ab));
out:
	free(left);
	free(right);
	free(both);
	return (r);
}

/* Read the merges. */
static int
tokenizer_read_merges(struct tokenizer_load *l, json_t *vocab)
{
	json_t	*merges, *v;
	int32_t	 byte_id[256];
	size_t	 i;
	int	 r;

	merges = json_object_get(json_object_get(l->root, "model"), "merges");
	if (!json_is_array(merges) ||
	    json_array_size(merges) > TOKENIZER_MERGES_MAX)
		return (tokenizer_bad(l, "model.merges is not a list of at "
		    "most %d pairs", TOKENIZER_MERGES_MAX));
	if ((r = tokenizer_read_bytes(l, vocab, byte_id)) != 0)
		return (r);
	l->t->bpe = bpe_new(byte_id, json_array_size(merges));
	json_array_foreach(merges, i, v) {
		if ((r = tokenizer_add_merge(l, vocab, v, i)) != 0)
			return (r);
	}
	return (0);
}

/* Parse the text of a tokenizer.json. */
int
tokenizer_parse(const char *path, const char *text, size_t n,
    struct tokenizer **out, struct fault *f)
{
	struct tokenizer_load	 l = { .path = path, .f = f };
	json_error_t		 err;
	json_t			*vocab;
	int			 r;

	l.t = xcalloc(1, sizeof *l.t);
	tokenizer_bytes_init(&l);
	l.root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &err);
	if (l.root == NULL) {
		r = tokenizer_bad(&l, "line %d: %s", err.line, err.text);
		goto out;
	}
	if ((r = tokenizer_check(&l)) != 0)
		goto out;
	vocab = json_object_get(json_object_get(l.root, "model"), "vocab");
	if ((r = tokenizer_read_vocab(&l, vocab)) != 0 ||
	    (r = tokenizer_read_added(&l)) != 0 ||
	    (r = tokenizer_read_merges(&l, vocab)) != 0)
		goto out;
	*out = l.t;
	l.t = NULL;
out:
	json_decref(l.root);
	tokenizer_free(l.t);
	return (r);
}

/* Open a tokenizer. */
int
tokenizer_open(const char *path, struct tokenizer **out, struct fault *f)
{
	struct tokenizer_load	 l = { .path = path, .f = f };
	char			*buf;
	size_t			 len;
	int			 r;

	if ((r = path_read(path, TOKENIZER_FILE_MAX, &buf, &len)) != 0)
		return (tokenizer_fault(&l, r, "%s", r == CHAT_ESYSTEM ?
		    strerror(errno) : chat_strerror(r)));
	r = tokenizer_parse(path, buf, len, out, f);
	free(buf);
	return (r);
}

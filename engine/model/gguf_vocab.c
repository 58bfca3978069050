/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF: the tokenizer, written as a tokenizer.json of this family: byte-level
 * BPE over NFC. The tokenizer checks whether tokens and merges fit together, as
 * with any other tokenizer.json.
 */
#include "gguf_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"
#include "xmalloc.h"

#define TOKENS	"tokenizer.ggml.tokens"
#define KINDS	"tokenizer.ggml.token_type"
#define MERGES	"tokenizer.ggml.merges"
#define PRE	"tokenizer.ggml.pre"

/* Kinds of tokens, as numbered in files. */
enum gguf_token {
	TOKEN_NORMAL = 1,	/* from the model's vocabulary */
	TOKEN_UNKNOWN = 2,
	TOKEN_CONTROL = 3,	/* special: not text */
	TOKEN_USER = 4,		/* cut out of a text as a whole */
	TOKEN_UNUSED = 5	/* padding of the vocabulary, without a text */
};

/* Names of splits that are equal to GPT-2's. A file with "default" or without a
 * name also has this split. */
static const char *const gguf_pres[] = {
	"default", "gpt-2", "gpt-neox", "gptneox", "jais", "mpt", "olmo",
	"trillion"
};

/* Text that grows. */
struct gguf_text {
	char	*s;		/* owned */
	size_t	 n, room;
};

/* A tokenizer that is being written. */
struct gguf_tokens {
	uint8_t			*kinds;		/* owned: one for each id */
	uint64_t		 n;		/* tokens */
	struct gguf_text	 vocab, added, all;
};

static enum gguf_error	gguf_split(struct gguf_load *);
static enum gguf_error	gguf_kinds(struct gguf_load *, struct gguf_tokens *);
static enum gguf_error	gguf_each_token(struct gguf_load *,
			    struct gguf_tokens *);
static enum gguf_error	gguf_merges(struct gguf_load *, struct gguf_text *);

/* Append n bytes. */
static void
gguf_text_add(struct gguf_text *t, const char *s, size_t n)
{
	if (n > t->room - t->n) {
		t->room = (t->n + n) * 2 + 256;
		t->s = xreallocarray(t->s, t->room, 1);
	}
	memcpy(t->s + t->n, s, n);
	t->n += n;
}

/* Append a string. */
static void
gguf_text_put(struct gguf_text *t, const char *s)
{
	gguf_text_add(t, s, strlen(s));
}

/* Append n bytes of UTF-8 as a JSON string. */
static void
gguf_text_quote(struct gguf_text *t, const char *s, size_t n)
{
	char	 escape[8];
	size_t	 i, done = 0;

	gguf_text_put(t, "\"");
	for (i = 0; i < n; i++) {
		if ((unsigned char)s[i] >= 0x20 && s[i] != '"' &&
		    s[i] != '\\')
			continue;
		gguf_text_add(t, s + done, i - done);
		snprintf(escape, sizeof escape, "\\u%04x",
		    (unsigned)(unsigned char)s[i]);
		gguf_text_put(t, escape);
		done = i + 1;
	}
	gguf_text_add(t, s + done, n - done);
	gguf_text_put(t, "\"");
}

/* Read the tokenizer, if there is one. */
enum gguf_error
gguf_vocab(struct gguf_load *l)
{
	static const char	 name[] = "tokenizer.ggml.model";
	const struct gguf_key	*k = gguf_find(l, name);
	struct gguf_tokens	 t = { 0 };
	enum gguf_error		 e;
	char			 word[GGUF_WORD_MAX];

	l->out->split_qkv = 1;
	if (k == NULL)
		return (GGUF_OK);
	if ((e = gguf_word(l, k, word)) != GGUF_OK)
		return (e);
	if (strcmp(word, "gpt2") != 0)
		return (gguf_fail(l, GGUF_TOKENIZER, name,
		    "expected gpt2, found %s", word));
	if ((e = gguf_split(l)) != GGUF_OK ||
	    (e = gguf_kinds(l, &t)) != GGUF_OK ||
	    (e = gguf_each_token(l, &t)) != GGUF_OK)
		goto out;
	gguf_text_put(&t.all, "{\"version\":\"1.0\",\"truncation\":null,"
	    "\"padding\":null,\"added_tokens\":[");
	gguf_text_add(&t.all, t.added.s, t.added.n);
	gguf_text_put(&t.all, "],\"normalizer\":{\"type\":\"NFC\"},"
	    "\"pre_tokenizer\":{\"type\":\"ByteLevel\","
	    "\"add_prefix_space\":false,\"trim_offsets\":true},"
	    "\"post_processor\":null,"
	    "\"decoder\":{\"type\":\"ByteLevel\","
	    "\"add_prefix_space\":false,\"trim_offsets\":true},"
	    "\"model\":{\"type\":\"BPE\",\"vocab\":{");
	gguf_text_add(&t.all, t.vocab.s, t.vocab.n);
	gguf_text_put(&t.all, "},\"merges\":[");
	if ((e = gguf_merges(l, &t.all)) != GGUF_OK)
		goto out;
	gguf_text_put(&t.all, "]}}\n");
	l->out->tokenizer_len = t.all.n;
	gguf_text_add(&t.all, "", 1);
	l->out->tokenizer = t.all.s;
	t.all.s = NULL;
out:
	free(t.kinds);
	free(t.vocab.s);
	free(t.added.s);
	free(t.all.s);
	return (e);
}

/*
 * Read how texts are split. Converters have written the name since April 2024.
 * Since May 2024 they also reorder the rows of query_key_value. So a file
 * without the name has the old order of rows.
 */
static enum gguf_error
gguf_split(struct gguf_load *l)
{
	const struct gguf_key	*k = gguf_find(l, PRE);
	enum gguf_error		 e;
	char			 word[GGUF_WORD_MAX];
	size_t			 i;

	if (k == NULL) {
		l->out->split_qkv = 0;
		return (GGUF_OK);
	}
	if ((e = gguf_word(l, k, word)) != GGUF_OK)
		return (e);
	for (i = 0; i < nitems(gguf_pres); i++)
		if (strcmp(word, gguf_pres[i]) == 0)
			return (GGUF_OK);
	return (gguf_fail(l, GGUF_TOKENIZER, PRE, "expected a split of texts "
	    "like GPT-2's, as gpt-2 or olmo, found %s", word));
}

/* Read the number of tokens, and the kind of each. */
static enum gguf_error
gguf_kinds(struct gguf_load *l, struct gguf_tokens *t)
{
	enum gguf_error	 e;
	uint64_t	 n = 0, i;
	uint32_t	 kind = 0;

	if ((e = gguf_array(l, TOKENS, GGUF_STRING, &t->n)) != GGUF_OK ||
	    (e = gguf_array(l, KINDS, GGUF_I32, &n)) != GGUF_OK)
		return (e);
	if (t->n > (uint64_t)l->out->config.vocab)
		return (gguf_fail(l, GGUF_TOKEN, TOKENS, "expected at most "
		    "the %d of token_embd.weight, found %llu",
		    l->out->config.vocab, (unsigned long long)t->n));
	if (n != t->n)
		return (gguf_fail(l, GGUF_TOKEN, KINDS, "expected one for "
		    "each of %llu tokens, found %llu",
		    (unsigned long long)t->n, (unsigned long long)n));
	t->kinds = xcalloc((size_t)n + 1, 1);
	for (i = 0; i < n; i++) {
		if ((e = gguf_take_u32(l, &kind)) != GGUF_OK)
			return (e);
		if (kind < TOKEN_NORMAL || kind > TOKEN_UNUSED)
			return (gguf_fail(l, GGUF_TOKEN, KINDS, "token %llu: "
			    "expected %d to %d, found %d",
			    (unsigned long long)i, TOKEN_NORMAL, TOKEN_UNUSED,
			    (int32_t)kind));
		t->kinds[i] = (uint8_t)kind;
	}
	return (GGUF_OK);
}

/* Read element i of an array of strings, min to max bytes; out has room for max
 * bytes. */
static enum gguf_error
gguf_take_string(struct gguf_load *l, const char *array, uint64_t i,
    char *out, size_t min, size_t max, size_t *n)
{
	enum gguf_error	 e;
	uint64_t	 len = 0;

	if ((e = gguf_take_u64(l, &len)) != GGUF_OK)
		return (e);
	if (len < min || len > max)
		return (gguf_fail(l, GGUF_TOKEN, array, "element %llu: "
		    "expected %zu to %zu bytes, found %llu",
		    (unsigned long long)i, min, max,
		    (unsigned long long)len));
	if ((e = gguf_take(l, out, len)) != GGUF_OK)
		return (e);
	if (memchr(out, 0, (size_t)len) != NULL ||
	    !utf8_valid(out, (size_t)len))
		return (gguf_fail(l, GGUF_TOKEN, array, "element %llu: "
		    "expected UTF-8, found other bytes",
		    (unsigned long long)i));
	*n = (size_t)len;
	return (GGUF_OK);
}

/* No tokenizer has a text that long. */
static enum gguf_error
gguf_check_text(struct gguf_load *l, size_t n)
{
	if (n > GGUF_TOKENIZER_MAX)
		return (gguf_fail(l, GGUF_TOO_BIG, TOKENS, "expected a "
		    "tokenizer of at most %d bytes", GGUF_TOKENIZER_MAX));
	return (GGUF_OK);
}

/* Add one token to the vocabulary, which defines its id, and to the added
 * tokens if it is one. */
static void
gguf_put_token(struct gguf_tokens *t, uint64_t id, const char *s, size_t n)
{
	int	 special = t->kinds[id] != TOKEN_USER;
	char	 text[128];

	if (t->vocab.n > 0)
		gguf_text_put(&t->vocab, ",");
	gguf_text_quote(&t->vocab, s, n);
	snprintf(text, sizeof text, ":%llu", (unsigned long long)id);
	gguf_text_put(&t->vocab, text);
	if (t->kinds[id] == TOKEN_NORMAL)
		return;
	snprintf(text, sizeof text, "%s{\"id\":%llu,\"content\":",
	    t->added.n > 0 ? "," : "", (unsigned long long)id);
	gguf_text_put(&t->added, text);
	gguf_text_quote(&t->added, s, n);
	snprintf(text, sizeof text, ",\"single_word\":false,\"lstrip\":false,"
	    "\"rstrip\":false,\"normalized\":%s,\"special\":%s}",
	    special ? "false" : "true", special ? "true" : "false");
	gguf_text_put(&t->added, text);
}

/* Write all tokens except those without a text. */
static enum gguf_error
gguf_each_token(struct gguf_load *l, struct gguf_tokens *t)
{
	enum gguf_error	 e;
	char		 s[GGUF_TOKEN_MAX];
	uint64_t	 id, n = 0;
	size_t		 len = 0, used;

	if ((e = gguf_array(l, TOKENS, GGUF_STRING, &n)) != GGUF_OK)
		return (e);
	for (id = 0; id < t->n; id++) {
		used = t->kinds[id] != TOKEN_UNUSED;
		if ((e = gguf_take_string(l, TOKENS, id, s, used, sizeof s,
		    &len)) != GGUF_OK)
			return (e);
		if (used)
			gguf_put_token(t, id, s, len);
		if ((e = gguf_check_text(l, t->vocab.n + t->added.n)) !=
		    GGUF_OK)
			return (e);
	}
	return (GGUF_OK);
}

/* Write all merges, each as "left right". */
static enum gguf_error
gguf_merges(struct gguf_load *l, struct gguf_text *all)
{
	enum gguf_error	 e;
	char		 s[2 * GGUF_TOKEN_MAX + 1];
	uint64_t	 i, n = 0;
	size_t		 len = 0;

	if ((e = gguf_array(l, MERGES, GGUF_STRING, &n)) != GGUF_OK)
		return (e);
	for (i = 0; i < n; i++) {
		if ((e = gguf_take_string(l, MERGES, i, s, 3, sizeof s,
		    &len)) != GGUF_OK)
			return (e);
		if (i > 0)
			gguf_text_put(all, ",");
		gguf_text_quote(all, s, len);
		if ((e = gguf_check_text(l, all->n)) != GGUF_OK)
			return (e);
	}
	return (GGUF_OK);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tokenizer as flat tables.  They are written when a model is packed, and
 * read back without parsing tokenizer.json.  The tables hold no value that can
 * be derived from others (for example, which ids are special), so a forged
 * table can't contradict itself.
 *
 * Numbers have 32 bits and are little-endian.  A block consists of
 *   "chatdtok", then the TABLES_NUMBERS numbers of enum tables_head
 *   256 x (kind and count << 8, id, id): what becomes of each byte
 *   each token by id: length << 2 | mapped << 1 | known
 *   each merge by rank: left, right, rank, id
 *   each word that is a token whatever the merges, by its bytes: id
 *   each added token cut from the raw text, by its bytes: id, flags, length;
 *     then each cut from the normalised text
 *   the bytes of the tokens, then of the added tokens, in the order above
 */
#include "tokenizer_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"
#include "xmalloc.h"

#define TABLES_TAG	"chatdtok"
#define TABLES_VERSION	1

#define TABLES_NFC	0x1
#define TABLES_PREFIX	0x2
#define TABLES_SPLIT	0x4
#define TABLES_WHOLE	0x8
#define TABLES_FUSE	0x10
#define TABLES_FLAGS	0x1f

#define TABLES_KNOWN	0x1	/* of a token */
#define TABLES_MAPPED	0x2
#define TABLES_SHIFT	2

enum tables_head {
	TABLES_VERSION_AT,
	TABLES_SIZE,		/* bytes of the whole block */
	TABLES_OPTIONS,
	TABLES_TOKENS,
	TABLES_POOL,		/* bytes of tokens */
	TABLES_UNKNOWN,		/* id, or -1 */
	TABLES_MERGES,
	TABLES_WORDS,
	TABLES_RAW,
	TABLES_NORMAL,
	TABLES_STRINGS,		/* bytes of added tokens */
	TABLES_NUMBERS
};

#define TABLES_HEAD	(sizeof TABLES_TAG - 1 + TABLES_NUMBERS * 4)

/* State of one restoring. */
struct tables {
	const char		*path;		/* borrowed */
	const uint8_t		*next;		/* the next number */
	const uint8_t		*strings;	/* the next added token */
	uint32_t		 left;		/* bytes of strings */
	uint32_t		 head[TABLES_NUMBERS];
	struct tokenizer	*t;		/* borrowed */
	struct fault		*f;		/* borrowed */
};

/* Append a number. */
static void
tables_put(struct textbuf *out, uint32_t v)
{
	const char	 b[4] = { (char)v, (char)(v >> 8), (char)(v >> 16),
			    (char)(v >> 24) };

	textbuf_add(out, b, sizeof b);
}

/* Append what becomes of each byte. */
static void
tables_put_bytes(const struct tokenizer *t, struct textbuf *out)
{
	const struct bpe_byte	*y;
	int			 b, i, ids;

	for (b = 0; b < 256; b++) {
		y = &t->alphabet.byte[b];
		ids = y->how == BPE_TOKEN ? 1 : y->how == BPE_FALLBACK ?
		    y->n : 0;
		tables_put(out, (uint32_t)y->how | (uint32_t)ids << 8);
		for (i = 0; i < 2; i++)
			tables_put(out, i < ids ? (uint32_t)y->id[i] : 0);
	}
}

/* Append merges. */
static void
tables_put_merges(const struct bpe_pair *m, size_t n, struct textbuf *out)
{
	size_t	 i;

	for (i = 0; i < n; i++) {
		tables_put(out, (uint32_t)m[i].left);
		tables_put(out, (uint32_t)m[i].right);
		tables_put(out, m[i].rank);
		tables_put(out, (uint32_t)m[i].id);
	}
}

/* Append a set of added tokens to out, their bytes to strings. */
static void
tables_put_added(const struct added_set *a, struct textbuf *out,
    struct textbuf *strings)
{
	const char	*s;
	size_t		 i, n;
	int32_t		 id;
	unsigned	 flags;

	for (i = 0; i < added_count(a); i++) {
		s = added_item(a, i, &n, &id, &flags);
		tables_put(out, (uint32_t)id);
		tables_put(out, flags);
		tables_put(out, (uint32_t)n);
		textbuf_add(strings, s, n);
	}
}

/* The options as bits. */
static uint32_t
tables_options(const struct tokenizer *t)
{
	return ((t->nfc ? TABLES_NFC : 0) | (t->prefix ? TABLES_PREFIX : 0) |
	    (t->split ? TABLES_SPLIT : 0) | (t->whole ? TABLES_WHOLE : 0) |
	    (t->alphabet.fuse ? TABLES_FUSE : 0));
}

/* Write the numbers in front of all else, as head has them. */
static void
tables_put_head(const uint32_t head[TABLES_NUMBERS], struct textbuf *out)
{
	int	 i;

	textbuf_puts(out, TABLES_TAG);
	for (i = 0; i < TABLES_NUMBERS; i++)
		tables_put(out, head[i]);
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
	tables_put_bytes(t, &body);
	for (i = 0; i < t->n; i++) {
		tables_put(&body, t->token[i].len << TABLES_SHIFT |
		    (t->token[i].mapped ? TABLES_MAPPED : 0) |
		    (t->token[i].known ? TABLES_KNOWN : 0));
		textbuf_add(&pool, t->pool.s + t->token[i].start,
		    t->token[i].len);
	}
	tables_put_merges(merges, nmerges, &body);
	for (i = 0; i < t->words; i++)
		tables_put(&body, (uint32_t)t->word[i]);
	tables_put_added(t->raw, &body, &strings);
	tables_put_added(t->normal, &body, &strings);
	tables_put_head((const uint32_t[TABLES_NUMBERS]){ TABLES_VERSION,
	    (uint32_t)(TABLES_HEAD + body.n + pool.n + strings.n),
	    tables_options(t), (uint32_t)t->n, (uint32_t)pool.n,
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

/* Say what is wrong with the tables; returns CHAT_EFORMAT. */
static int __attribute__((format(printf, 2, 3)))
tables_bad(const struct tables *l, const char *fmt, ...)
{
	char	 what[160];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	fault_set(l->f, "bad_model", NULL, "%s: %s", l->path, what);
	return (CHAT_EFORMAT);
}

/* The number at p. */
static uint32_t
tables_number(const uint8_t *p)
{
	return ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24);
}

/* Take the next number; its room was counted. */
static uint32_t
tables_take(struct tables *l)
{
	l->next += 4;
	return (tables_number(l->next - 4));
}

/* Is this the id of a token that has a text? */
static int
tables_known(const struct tables *l, uint32_t id)
{
	return (id < l->t->n && l->t->token[id].known);
}

/* Hold every count against its limit and the length of it all against the n
 * bytes that there are. */
static int
tables_check(struct tables *l, size_t n)
{
	const uint32_t	*h = l->head;
	uint64_t	 size;

	if (h[TABLES_TOKENS] == 0 || h[TABLES_TOKENS] > TOKENIZER_VOCAB_MAX ||
	    h[TABLES_MERGES] > TOKENIZER_MERGES_MAX ||
	    h[TABLES_WORDS] > h[TABLES_TOKENS] ||
	    h[TABLES_RAW] > TOKENIZER_ADDED_MAX ||
	    h[TABLES_NORMAL] > TOKENIZER_ADDED_MAX - h[TABLES_RAW] ||
	    (h[TABLES_OPTIONS] & ~(uint32_t)TABLES_FLAGS) != 0)
		return (tables_bad(l, "%u tokens, %u merges, %u words, %u and "
		    "%u added tokens and options 0x%x are not those of a "
		    "tokenizer", h[TABLES_TOKENS], h[TABLES_MERGES],
		    h[TABLES_WORDS], h[TABLES_RAW], h[TABLES_NORMAL],
		    h[TABLES_OPTIONS]));
	size = TABLES_HEAD + 256 * 12 + 4 * (uint64_t)h[TABLES_TOKENS] +
	    16 * (uint64_t)h[TABLES_MERGES] + 4 * (uint64_t)h[TABLES_WORDS] +
	    12 * ((uint64_t)h[TABLES_RAW] + h[TABLES_NORMAL]) +
	    h[TABLES_POOL] + h[TABLES_STRINGS];
	if (h[TABLES_SIZE] != size || size > n)
		return (tables_bad(l, "expected %llu bytes, which follow from "
		    "its counts, found %u of %zu", (unsigned long long)size,
		    h[TABLES_SIZE], n));
	return (0);
}

/* Take the tokens, which stand behind what becomes of bytes. */
static int
tables_tokens(struct tables *l, const uint8_t *pool)
{
	struct tokenizer	*t = l->t;
	const uint8_t		*p = l->next + 256 * 12;
	uint32_t		 i, v, len, at = 0;

	t->n = t->size = l->head[TABLES_TOKENS];
	t->token = xcalloc(t->n, sizeof *t->token);
	for (i = 0; i < t->n; i++) {
		v = tables_number(p + (size_t)i * 4);
		len = v >> TABLES_SHIFT;
		if (len > l->head[TABLES_POOL] - at ||
		    (!(v & TABLES_KNOWN) && v != 0))
			return (tables_bad(l, "token %u: its entry 0x%x is "
			    "not sound", i, v));
		t->token[i] = (struct token){ .start = at, .len = len,
		    .known = (v & TABLES_KNOWN) != 0,
		    .mapped = (v & TABLES_MAPPED) != 0 };
		at += len;
	}
	if (at != l->head[TABLES_POOL])
		return (tables_bad(l, "its tokens have %u bytes, expected %u",
		    at, l->head[TABLES_POOL]));
	textbuf_add(&t->pool, (const char *)pool, at);
	return (0);
}

/* Take n added tokens. */
static int
tables_added(struct tables *l, struct added_set *a, uint32_t n)
{
	struct token	*k;
	int32_t		 twice[2];
	uint32_t	 i, id, flags, len;

	for (i = 0; i < n; i++) {
		id = tables_take(l);
		flags = tables_take(l);
		len = tables_take(l);
		if (!tables_known(l, id) || l->t->token[id].added ||
		    (flags & ~(uint32_t)ADDED_FLAGS) != 0 || len == 0 ||
		    len > ADDED_BYTES_MAX || len > l->left ||
		    !utf8_valid((const char *)l->strings, len))
			return (tables_bad(l, "added token %u of %u bytes: "
			    "its entry is not sound", id, len));
		k = &l->t->token[id];
		k->added = 1;
		k->special = (flags & ADDED_SPECIAL) != 0;
		added_add(a, (const char *)l->strings, len, (int32_t)id,
		    flags);
		l->strings += len;
		l->left -= len;
	}
	if (added_seal(a, twice) != 0)
		return (tables_bad(l, "added tokens %d and %d are the same "
		    "text", twice[0], twice[1]));
	return (0);
}

/* Take what becomes of each byte. */
static int
tables_bytes(struct tables *l)
{
	struct bpe_byte	*y;
	uint32_t	 v, ids, id;
	unsigned	 b;
	int		 i;

	for (b = 0; b < 256; b++) {
		y = &l->t->alphabet.byte[b];
		v = tables_take(l);
		ids = v >> 8;
		y->how = (enum bpe_how)(v & 0xff);
		if ((v & 0xff) > BPE_FALLBACK || ids > 2 ||
		    (y->how == BPE_UNKNOWN) != (ids == 0) ||
		    (y->how == BPE_TOKEN && ids != 1))
			return (tables_bad(l, "byte 0x%02x: its entry 0x%x "
			    "is not sound", b, v));
		y->n = y->how == BPE_FALLBACK ? (int)ids : 0;
		for (i = 0; i < 2; i++) {
			id = tables_take(l);
			if (i < (int)ids ? !tables_known(l, id) : id != 0)
				return (tables_bad(l, "byte 0x%02x: %u is no "
				    "token", b, id));
			y->id[i] = (int32_t)id;
		}
	}
	return (0);
}

/* See which tokens of bytes stand for others; none may be special that a
 * text can hold. */
static int
tables_alphabet(struct tables *l)
{
	struct bpe_alphabet	*a = &l->t->alphabet;
	const struct bpe_byte	*y;
	unsigned		 b;
	int			 i;

	for (b = 0; b < 256; b++) {
		y = &a->byte[b];
		if (y->how == BPE_TOKEN && TOKENIZER_IS_UTF8(b) &&
		    l->t->token[y->id[0]].special)
			return (tables_bad(l, "the token of byte 0x%02x is "
			    "special", b));
		for (i = 0; i < y->n; i++)
			tokenizer_stand_in(l->t, y->id[i]);
	}
	a->fuse = (l->head[TABLES_OPTIONS] & TABLES_FUSE) != 0;
	a->unknown = (int32_t)l->head[TABLES_UNKNOWN];
	if (a->unknown == -1)
		return (0);
	if (!tables_known(l, l->head[TABLES_UNKNOWN]))
		return (tables_bad(l, "the unknown token %u is none",
		    l->head[TABLES_UNKNOWN]));
	tokenizer_stand_in(l->t, a->unknown);
	return (0);
}

/* Take the merges. */
static int
tables_merges(struct tables *l)
{
	struct tokenizer	*t = l->t;
	uint32_t		 i, left, right, rank, id, n, last = 0;

	n = l->head[TABLES_MERGES];
	t->bpe = bpe_new(&t->alphabet, n);
	for (i = 0; i < n; i++) {
		left = tables_take(l);
		right = tables_take(l);
		rank = tables_take(l);
		id = tables_take(l);
		if (!tables_known(l, left) || !tables_known(l, right) ||
		    !tables_known(l, id) || (i > 0 && rank <= last))
			return (tables_bad(l, "merge %u of %u and %u into %u, "
			    "rank %u, is not sound", i, left, right, id,
			    rank));
		last = rank;
		t->leak |= t->token[id].special;
		if (bpe_add(t->bpe, (int32_t)left, (int32_t)right, rank,
		    (int32_t)id) != 0)
			return (tables_bad(l, "merge %u: far too many pairs "
			    "fall on one place of a table", i));
	}
	return (0);
}

/* Take the words: all that are mapped and not empty, in order. */
static int
tables_words(struct tables *l)
{
	struct tokenizer	*t = l->t;
	const struct token	*k, *last = NULL;
	uint32_t		 id;
	size_t			 i, want = 0;

	for (i = 0; i < t->n; i++)
		want += t->whole && t->token[i].mapped && t->token[i].len > 0;
	if (l->head[TABLES_WORDS] != want)
		return (tables_bad(l, "expected %zu words, found %u", want,
		    l->head[TABLES_WORDS]));
	t->word = xcalloc(want + 1, sizeof *t->word);
	for (; t->words < want; t->words++, last = k) {
		id = tables_take(l);
		k = tables_known(l, id) ? &t->token[id] : NULL;
		if (k == NULL || !k->mapped || k->len == 0 || (last != NULL &&
		    tokenizer_order(t->pool.s + last->start, last->len,
		    t->pool.s + k->start, k->len) >= 0))
			return (tables_bad(l, "word %zu, token %u, is not in "
			    "its place", t->words, id));
		t->word[t->words] = (int32_t)id;
		t->leak |= k->special;
	}
	return (0);
}

/* Take everything behind the head, of which the sizes are right. What is
 * special is known first: added tokens say it. */
static int
tables_read(struct tables *l, const uint8_t *bytes)
{
	const uint32_t	*h = l->head;
	const uint8_t	*start = l->next, *added, *pool;
	int		 r;

	l->strings = bytes + h[TABLES_SIZE] - h[TABLES_STRINGS];
	l->left = h[TABLES_STRINGS];
	pool = l->strings - h[TABLES_POOL];
	added = pool - 12 * (size_t)(h[TABLES_RAW] + h[TABLES_NORMAL]);
	if ((r = tables_tokens(l, pool)) != 0)
		return (r);
	l->next = added;
	if ((r = tables_added(l, l->t->raw, h[TABLES_RAW])) != 0 ||
	    (r = tables_added(l, l->t->normal, h[TABLES_NORMAL])) != 0)
		return (r);
	if (l->left != 0)
		return (tables_bad(l, "%u bytes are of no added token",
		    l->left));
	l->next = start;
	if ((r = tables_bytes(l)) != 0 || (r = tables_alphabet(l)) != 0)
		return (r);
	l->next = start + 256 * 12 + 4 * (size_t)h[TABLES_TOKENS];
	if ((r = tables_merges(l)) != 0)
		return (r);
	return (tables_words(l));
}

/* Make an empty tokenizer with the options of the head. */
static struct tokenizer *
tables_new(uint32_t options)
{
	struct tokenizer	*t = xcalloc(1, sizeof *t);

	t->nfc = (options & TABLES_NFC) != 0;
	t->prefix = (options & TABLES_PREFIX) != 0;
	t->split = (options & TABLES_SPLIT) != 0;
	t->whole = (options & TABLES_WHOLE) != 0;
	t->raw = added_new();
	t->normal = added_new();
	t->work = tokenizer_work_new();
	return (t);
}

/* Take a tokenizer. */
int
tokenizer_restore(const char *path, const uint8_t *bytes, size_t n,
    struct tokenizer **out, struct fault *f)
{
	struct tables	 l = { .path = path, .f = f };
	int		 i, r;

	if (n < TABLES_HEAD)
		return (tables_bad(&l, "%zu bytes are too few", n));
	l.next = bytes + sizeof TABLES_TAG - 1;
	for (i = 0; i < TABLES_NUMBERS; i++)
		l.head[i] = tables_take(&l);
	if (memcmp(bytes, TABLES_TAG, sizeof TABLES_TAG - 1) != 0 ||
	    l.head[TABLES_VERSION_AT] != TABLES_VERSION) {
		fault_set(f, "bad_model", NULL, "%s: expected tables of "
		    "version %d, found others", path, TABLES_VERSION);
		return (CHAT_EUNSUPPORTED);
	}
	if ((r = tables_check(&l, n)) != 0)
		return (r);
	l.t = tables_new(l.head[TABLES_OPTIONS]);
	if ((r = tables_read(&l, bytes)) != 0) {
		tokenizer_free(l.t);
		return (r);
	}
	*out = l.t;
	return (0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a tokenizer from flat tables (tokenizer_tables.h), so that
 * tokenizer.json need not be parsed.  The tables are not trusted: every number
 * is checked.
 */
#include "tokenizer_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tokenizer_tables.h"
#include "utf8.h"
#include "xmalloc.h"

/* The state of tokenizer_restore. */
struct restore {
	const char		*path;		/* borrowed */
	const uint8_t		*next;		/* the next number to read */
	const uint8_t		*strings;	/* of the next added token */
	uint32_t		 left;		/* bytes left at strings */
	uint32_t		 head[TABLES_NUMBERS];
	struct tokenizer	*t;		/* borrowed */
	struct fault		*f;		/* borrowed */
};

/* Report what is wrong with the tables; returns CHAT_EFORMAT. */
static int __attribute__((format(printf, 2, 3)))
tokenizer_restore_bad(const struct restore *l, const char *fmt, ...)
{
	char	 what[160];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	fault_set(l->f, "bad_model", NULL, "%s: %s", l->path, what);
	return (CHAT_EFORMAT);
}

/* Return the number at p. */
static uint32_t
tokenizer_restore_number(const uint8_t *p)
{
	return ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24);
}

/* Read the next number; tokenizer_restore_check has compared the sizes. */
static uint32_t
tokenizer_restore_take(struct restore *l)
{
	l->next += 4;
	return (tokenizer_restore_number(l->next - 4));
}

/* Is this the id of a token that has a text? */
static int
tokenizer_restore_known(const struct restore *l, uint32_t id)
{
	return (id < l->t->n && l->t->token[id].known);
}

/* Compare every count with its limit, and the size that follows from the
 * counts with the n bytes that there are. */
static int
tokenizer_restore_check(struct restore *l, size_t n)
{
	const uint32_t	*h = l->head;
	uint64_t	 size;

	if (h[TABLES_TOKENS] == 0 || h[TABLES_TOKENS] > TOKENIZER_VOCAB_MAX ||
	    h[TABLES_MERGES] > TOKENIZER_MERGES_MAX ||
	    h[TABLES_WORDS] > h[TABLES_TOKENS] ||
	    h[TABLES_RAW] > TOKENIZER_ADDED_MAX ||
	    h[TABLES_NORMAL] > TOKENIZER_ADDED_MAX - h[TABLES_RAW] ||
	    (h[TABLES_OPTIONS] & ~(uint32_t)TABLES_FLAGS) != 0)
		return (tokenizer_restore_bad(l, "%u tokens, %u merges, "
		    "%u words, %u and %u added tokens and options 0x%x "
		    "are not those of a tokenizer", h[TABLES_TOKENS],
		    h[TABLES_MERGES], h[TABLES_WORDS], h[TABLES_RAW],
		    h[TABLES_NORMAL], h[TABLES_OPTIONS]));
	size = TABLES_HEAD + 256 * 12 + 4 * (uint64_t)h[TABLES_TOKENS] +
	    16 * (uint64_t)h[TABLES_MERGES] + 4 * (uint64_t)h[TABLES_WORDS] +
	    12 * ((uint64_t)h[TABLES_RAW] + h[TABLES_NORMAL]) +
	    h[TABLES_POOL] + h[TABLES_STRINGS];
	if (h[TABLES_SIZE] != size || size > n)
		return (tokenizer_restore_bad(l, "expected %llu bytes, which "
		    "follow from its counts, found %u of %zu",
		    (unsigned long long)size, h[TABLES_SIZE], n));
	return (0);
}

/* Read the tokens, which follow the entries of the 256 bytes. */
static int
tokenizer_restore_tokens(struct restore *l, const uint8_t *pool)
{
	struct tokenizer	*t = l->t;
	const uint8_t		*p = l->next + 256 * 12;
	uint32_t		 i, v, len, at = 0;

	t->n = t->size = l->head[TABLES_TOKENS];
	t->token = xcalloc(t->n, sizeof *t->token);
	for (i = 0; i < t->n; i++) {
		v = tokenizer_restore_number(p + (size_t)i * 4);
		len = v >> TABLES_SHIFT;
		if (len > l->head[TABLES_POOL] - at ||
		    (!(v & TABLES_KNOWN) && v != 0))
			return (tokenizer_restore_bad(l, "token %u: its "
			    "entry 0x%x is malformed", i, v));
		t->token[i] = (struct token){ .start = at, .len = len,
		    .known = (v & TABLES_KNOWN) != 0,
		    .mapped = (v & TABLES_MAPPED) != 0 };
		at += len;
	}
	if (at != l->head[TABLES_POOL])
		return (tokenizer_restore_bad(l, "expected %u bytes of tokens, "
		    "found %u", l->head[TABLES_POOL], at));
	textbuf_add(&t->pool, (const char *)pool, at);
	return (0);
}

/* Read n added tokens. */
static int
tokenizer_restore_added(struct restore *l, struct added_set *a, uint32_t n)
{
	struct token	*k;
	int32_t		 twice[2];
	uint32_t	 i, id, flags, len;

	for (i = 0; i < n; i++) {
		id = tokenizer_restore_take(l);
		flags = tokenizer_restore_take(l);
		len = tokenizer_restore_take(l);
		if (!tokenizer_restore_known(l, id) || l->t->token[id].added ||
		    (flags & ~(uint32_t)ADDED_FLAGS) != 0 || len == 0 ||
		    len > ADDED_BYTES_MAX || len > l->left ||
		    !utf8_valid((const char *)l->strings, len))
			return (tokenizer_restore_bad(l, "added token %u of "
			    "%u bytes: its entry is malformed", id, len));
		k = &l->t->token[id];
		k->added = 1;
		k->special = (flags & ADDED_SPECIAL) != 0;
		added_add(a, (const char *)l->strings, len, (int32_t)id,
		    flags);
		l->strings += len;
		l->left -= len;
	}
	if (added_seal(a, twice) != 0)
		return (tokenizer_restore_bad(l, "added tokens %d and %d are "
		    "the same text", twice[0], twice[1]));
	return (0);
}

/* Read how each byte is encoded. */
static int
tokenizer_restore_bytes(struct restore *l)
{
	struct bpe_byte	*y;
	uint32_t	 v, ids, id;
	unsigned	 b;
	int		 i;

	for (b = 0; b < 256; b++) {
		y = &l->t->alphabet.byte[b];
		v = tokenizer_restore_take(l);
		ids = v >> 8;
		y->how = (enum bpe_how)(v & 0xff);
		if ((v & 0xff) > BPE_FALLBACK || ids > 2 ||
		    (y->how == BPE_UNKNOWN) != (ids == 0) ||
		    (y->how == BPE_TOKEN && ids != 1))
			return (tokenizer_restore_bad(l, "byte 0x%02x: its "
			    "entry 0x%x is malformed", b, v));
		y->n = y->how == BPE_FALLBACK ? (int)ids : 0;
		for (i = 0; i < 2; i++) {
			id = tokenizer_restore_take(l);
			if (i < (int)ids ? !tokenizer_restore_known(l, id) :
			    id != 0)
				return (tokenizer_restore_bad(l, "byte "
				    "0x%02x: %u is not a token", b, id));
			y->id[i] = (int32_t)id;
		}
	}
	return (0);
}

/* Note which tokens stand for bytes that have no token. The token of a byte
 * that can be in a text must not be special. */
static int
tokenizer_restore_alphabet(struct restore *l)
{
	struct bpe_alphabet	*a = &l->t->alphabet;
	const struct bpe_byte	*y;
	unsigned		 b;
	int			 i;

	for (b = 0; b < 256; b++) {
		y = &a->byte[b];
		if (y->how == BPE_TOKEN && TOKENIZER_IS_UTF8(b) &&
		    l->t->token[y->id[0]].special)
			return (tokenizer_restore_bad(l, "the token of byte "
			    "0x%02x is special", b));
		for (i = 0; i < y->n; i++)
			tokenizer_stand_in(l->t, y->id[i]);
	}
	a->fuse = (l->head[TABLES_OPTIONS] & TABLES_FUSE) != 0;
	a->unknown = (int32_t)l->head[TABLES_UNKNOWN];
	if (a->unknown == -1)
		return (0);
	if (!tokenizer_restore_known(l, l->head[TABLES_UNKNOWN]))
		return (tokenizer_restore_bad(l, "unknown token %u is not a "
		    "token", l->head[TABLES_UNKNOWN]));
	tokenizer_stand_in(l->t, a->unknown);
	return (0);
}

/* Read the merges. */
static int
tokenizer_restore_merges(struct restore *l)
{
	struct tokenizer	*t = l->t;
	uint32_t		 i, left, right, rank, id, n, last = 0;

	n = l->head[TABLES_MERGES];
	t->bpe = bpe_new(&t->alphabet, n);
	for (i = 0; i < n; i++) {
		left = tokenizer_restore_take(l);
		right = tokenizer_restore_take(l);
		rank = tokenizer_restore_take(l);
		id = tokenizer_restore_take(l);
		if (!tokenizer_restore_known(l, left) ||
		    !tokenizer_restore_known(l, right) ||
		    !tokenizer_restore_known(l, id) || (i > 0 && rank <= last))
			return (tokenizer_restore_bad(l, "merge %u of %u and "
			    "%u into %u, rank %u, is malformed", i, left, right,
			    id, rank));
		last = rank;
		t->leak |= t->token[id].special;
		if (bpe_add(t->bpe, (int32_t)left, (int32_t)right, rank,
		    (int32_t)id) != 0)
			return (tokenizer_restore_bad(l, "merge %u: too many "
			    "pairs have the same hash", i));
	}
	return (0);
}

/* Read the words: all tokens that are mapped and not empty, in order. */
static int
tokenizer_restore_words(struct restore *l)
{
	struct tokenizer	*t = l->t;
	const struct token	*k, *last = NULL;
	uint32_t		 id;
	size_t			 i, want = 0;

	for (i = 0; i < t->n; i++)
		want += t->whole && t->token[i].mapped && t->token[i].len > 0;
	if (l->head[TABLES_WORDS] != want)
		return (tokenizer_restore_bad(l, "expected %zu words, found %u",
		    want, l->head[TABLES_WORDS]));
	t->word = xcalloc(want + 1, sizeof *t->word);
	for (; t->words < want; t->words++, last = k) {
		id = tokenizer_restore_take(l);
		k = tokenizer_restore_known(l, id) ? &t->token[id] : NULL;
		if (k == NULL || !k->mapped || k->len == 0 || (last != NULL &&
		    tokenizer_order(t->pool.s + last->start, last->len,
		    t->pool.s + k->start, k->len) >= 0))
			return (tokenizer_restore_bad(l, "word %zu, token %u, "
			    "is out of order", t->words, id));
		t->word[t->words] = (int32_t)id;
		t->leak |= k->special;
	}
	return (0);
}

/* Read everything after the head, whose sizes have been checked. The added
 * tokens come first, because they define which tokens are special. */
static int
tokenizer_restore_read(struct restore *l, const uint8_t *bytes)
{
	const uint32_t	*h = l->head;
	const uint8_t	*start = l->next, *added, *pool;
	int		 r;

	l->strings = bytes + h[TABLES_SIZE] - h[TABLES_STRINGS];
	l->left = h[TABLES_STRINGS];
	pool = l->strings - h[TABLES_POOL];
	added = pool - 12 * (size_t)(h[TABLES_RAW] + h[TABLES_NORMAL]);
	if ((r = tokenizer_restore_tokens(l, pool)) != 0)
		return (r);
	l->next = added;
	if ((r = tokenizer_restore_added(l, l->t->raw, h[TABLES_RAW])) != 0 ||
	    (r = tokenizer_restore_added(l, l->t->normal,
	    h[TABLES_NORMAL])) != 0)
		return (r);
	if (l->left != 0)
		return (tokenizer_restore_bad(l, "%u bytes belong to no added "
		    "token", l->left));
	l->next = start;
	if ((r = tokenizer_restore_bytes(l)) != 0 ||
	    (r = tokenizer_restore_alphabet(l)) != 0)
		return (r);
	l->next = start + 256 * 12 + 4 * (size_t)h[TABLES_TOKENS];
	if ((r = tokenizer_restore_merges(l)) != 0)
		return (r);
	return (tokenizer_restore_words(l));
}

/* Make an empty tokenizer with these options. */
static struct tokenizer *
tokenizer_restore_new(uint32_t options)
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

/* Restore a tokenizer. */
int
tokenizer_restore(const char *path, const uint8_t *bytes, size_t n,
    struct tokenizer **out, struct fault *f)
{
	struct restore	 l = { .path = path, .f = f };
	int		 i, r;

	if (n < TABLES_HEAD)
		return (tokenizer_restore_bad(&l, "%zu bytes are too few", n));
	l.next = bytes + sizeof TABLES_TAG - 1;
	for (i = 0; i < TABLES_NUMBERS; i++)
		l.head[i] = tokenizer_restore_take(&l);
	if (memcmp(bytes, TABLES_TAG, sizeof TABLES_TAG - 1) != 0 ||
	    l.head[TABLES_VERSION_AT] != TABLES_VERSION) {
		fault_set(f, "bad_model", NULL, "%s: expected tables of "
		    "version %d, found another version", path, TABLES_VERSION);
		return (CHAT_EUNSUPPORTED);
	}
	if ((r = tokenizer_restore_check(&l, n)) != 0)
		return (r);
	l.t = tokenizer_restore_new(l.head[TABLES_OPTIONS]);
	if ((r = tokenizer_restore_read(&l, bytes)) != 0) {
		tokenizer_free(l.t);
		return (r);
	}
	*out = l.t;
	return (0);
}

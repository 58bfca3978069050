/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the words and signs of a text that comes in pieces. A word is letters
 * and digits; apostrophes in it are left out. Letters of scripts without spaces
 * are words of their own.
 */
#include "injection.h"

#include <string.h>

#include "fold.h"
#include "utf8.h"

#define READ_NEAR	8u	/* bytes that plain ASCII looks back for
				 * folding */
#define READ_BACK	256u	/* the same of other text */

struct read_run {
	const struct injection	*in;
	struct injection_text	*t;
	injection_feature_fn	 fn;
	void			*arg;
};

enum read_kind { READ_SPACE, READ_LETTER, READ_ALONE, READ_APOSTROPHE,
	READ_SIGN, READ_LINE };

/* The kind of a character. Folded text has no capitals. */
static enum read_kind
read_kind(uint32_t c)
{
	if (c < 0x80) {
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		    c == '_')
			return (READ_LETTER);
		if (c == '\n')
			return (READ_LINE);
		if (c == '\'')
			return (READ_APOSTROPHE);
		return (c <= ' ' || c == 0x7f ? READ_SPACE : READ_SIGN);
	}
	if (c == 0x2019 || c == 0x2018)
		return (READ_APOSTROPHE);
	if (c < 0xc0 || c == 0xd7 || c == 0xf7 || (c >= 0x2000 && c < 0x2c00) ||
	    (c >= 0x3000 && c < 0x3040))
		return (c == 0xaa || c == 0xb5 || c == 0xba ? READ_LETTER :
		    c == 0xa0 ? READ_SPACE : READ_SIGN);
	if (c >= 0x2e80 && !(c >= 0xac00 && c < 0xd800))
		return (READ_ALONE);
	return (READ_LETTER);
}

/* End the word that is being read. */
static void
read_end(struct read_run *r)
{
	struct injection_text	*t = r->t;

	if (!t->open)
		return;
	t->open = 0;
	injection_sign(r->in, &t->state, &t->token, r->fn, r->arg);
}

/* Begin a word or a sign. */
static void
read_begin(struct injection_text *t, int word, uint64_t from)
{
	t->open = 1;
	t->token.len = 0;
	t->token.hash = INJECTION_HASH;
	t->token.word = (uint8_t)word;
	t->token.from = from;
}

/* Add a character of n bytes to a word or a sign. */
static inline void
read_letter(struct injection_text *t, const char *s, size_t n, uint64_t from,
    uint64_t to)
{
	size_t	 i;

	if (from - t->token.from > INJECTION_TOKEN * 4)
		t->token.from = from;	/* its beginning gets out of reach */
	for (i = 0; i < n; i++)
		t->token.hash = (t->token.hash ^ (unsigned char)s[i]) *
		    INJECTION_PRIME;
	if (t->token.len + n <= INJECTION_TOKEN) {
		for (i = 0; i < n; i++)
			t->token.text[t->token.len++] = s[i];
	}
	t->token.to = to;
}

/* Take a folded character of n bytes. */
static void
read_character(struct read_run *r, const char *s, size_t n, uint64_t from,
    uint64_t to)
{
	struct injection_text	*t = r->t;
	uint32_t		 c = (unsigned char)*s;
	enum read_kind		 kind;

	if (n > 1 && utf8_decode(s, n, &c) != (int)n)
		c = 0xfffd;
	kind = read_kind(c);
	if (kind == READ_APOSTROPHE && t->open)
		return;
	if (kind != READ_LETTER)
		read_end(r);
	if (kind == READ_SPACE || kind == READ_APOSTROPHE)
		return;
	if (kind == READ_LINE) {
		injection_line(&t->state);
		return;
	}
	if (!t->open)
		read_begin(t, kind != READ_SIGN, from);
	read_letter(t, s, n, from, to);
	if (kind != READ_LETTER)
		read_end(r);
}

/* The first byte of a piece that may matter for the folding of the bytes from
 * done on: in plain ASCII only the letters beside a sign do. */
static size_t
read_skip(const char *text, size_t len, size_t done)
{
	size_t	 skip = done > READ_NEAR ? done - READ_NEAR : 0, i;

	for (i = skip; i < len && !((unsigned char)text[i] & 0x80); i++)
		;
	if (i == len)
		return (skip);
	skip = done > READ_BACK ? done - READ_BACK : 0;
	while (skip > 0 && ((unsigned char)text[skip] & 0xc0) == 0x80)
		skip--;
	return (skip);
}

/* The bytes of the folded character at s, of at most n. */
static size_t
read_length(const char *s, size_t n)
{
	size_t	 k = 1;

	while (k < n && ((unsigned char)s[k] & 0xc0) == 0x80)
		k++;
	return (k);
}

/* Read more of a text. */
void
injection_read(const struct injection *in, struct injection_text *t,
    const char *text, size_t len, uint64_t offset, int final,
    injection_feature_fn fn, void *arg)
{
	struct read_run	 r = { in, t, fn, arg };
	struct fold	 f;
	size_t		 at, end, n, skip, done;

	if (t->done < offset) {		/* what stood before was not seen */
		t->done = offset;
		t->inside = 0;
	}
	done = (size_t)(t->done - offset);
	skip = read_skip(text, len, done);
	fold_piece(&f, text + skip, len - skip, len - skip,
	    (offset + skip == 0 ? FOLD_BEGINS : 0) | (final ? FOLD_ENDS : 0));
	for (at = 0; at < f.len && f.from[at] + skip < done; at++)
		;
	at += t->inside;
	end = final ? f.len : f.tail < f.spans ? f.tail : f.spans;
	for (; at < end; at += n) {
		if (t->open && f.text[at] >= 'a' && f.text[at] <= 'z') {
			read_letter(t, f.text + at, 1, offset + skip +
			    f.from[at], offset + skip + f.to[at]);
			n = 1;
			continue;
		}
		n = read_length(f.text + at, f.len - at);
		read_character(&r, f.text + at, n, offset + skip + f.from[at],
		    offset + skip + f.to[at]);
	}
	if (at < f.len) {
		t->done = offset + skip + f.from[at];
		for (t->inside = 0; at > t->inside &&
		    f.from[at - t->inside - 1] == f.from[at]; t->inside++)
			;
	} else if (f.tail == f.len || final) {
		t->done = offset + len;
		t->inside = 0;
	}
	fold_clear(&f);
	if (final)
		read_end(&r);
}

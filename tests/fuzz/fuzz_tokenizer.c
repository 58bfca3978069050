/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the tokenizer and the prompt builder. If the first byte is odd,
 * a tokenizer.json follows. If it is even, its other bits are options of a
 * tokenizer and a text follows: encoding and decoding must restore the text,
 * and no role tag may be in the prompt.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detok.h"
#include "nfc.h"
#include "roletag.h"
#include "tokenizer.h"
#include "utf8.h"
#include "xmalloc.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Options of a tokenizer, as bits. */
#define FUZZ_PREFIX	0x01	/* add_prefix_space */
#define FUZZ_UNSPLIT	0x02	/* use_regex false */
#define FUZZ_RAW	0x04	/* no normalizer */
#define FUZZ_WHOLE	0x08	/* ignore_merges */
#define FUZZ_LACK	0x10	/* bytes without a token, unk, byte_fallback */
#define FUZZ_FLAGS	0x20	/* flags on added tokens */
#define FUZZ_OPTIONS	0x40

/* Encode a text in steps, each larger than the last. */
static void
fuzz_bits(const struct tokenizer *t, const char *s, size_t n, int special,
    struct idbuf *out)
{
	struct encoding	*e = encoding_new(t, s, n, special);
	size_t		 limit = 1;

	while (!encoding_some(e, limit, out))
		limit += limit / 8 + 1;
	encoding_free(e);
}

/* Encode a text both ways: all ids are tokens, ids of a user's text are not
 * special, and encoding in steps gives the same ids. */
static void
fuzz_encode(const struct tokenizer *t, const char *s, size_t n,
    struct idbuf *user)
{
	struct idbuf	 again = { NULL, 0, 0 };
	size_t		 i;

	tokenizer_encode(t, s, n, 1, &again);
	for (i = 0; i < again.n; i++) {
		if (again.id[i] < 0 || again.id[i] >= tokenizer_size(t))
			abort();
	}
	tokenizer_encode(t, s, n, 0, user);
	for (i = 0; i < user->n; i++) {
		if (user->id[i] < 0 || user->id[i] >= tokenizer_size(t) ||
		    tokenizer_special(t, user->id[i]))
			abort();
	}
	again.n = 0;
	fuzz_bits(t, s, n, 0, &again);
	if (again.n != user->n || (again.n > 0 && memcmp(again.id, user->id,
	    again.n * sizeof *again.id) != 0))
		abort();
	idbuf_clear(&again);
}

/* Parse a file; if it is accepted, encode and decode a text. */
static void
fuzz_file(const char *s, size_t n)
{
	static const char	 sample[] = "Hello <|endoftext|>  it's "
				    "<x> aab e\xcc\x81\t\xe2\x80\x83 <unk>\n";
	struct tokenizer	*t = NULL;
	struct fault		 f = { .code = NULL };
	struct idbuf		 ids = { NULL, 0, 0 };
	struct textbuf		 out = { NULL, 0, 0 };
	int			 r;

	r = tokenizer_parse("file", s, n, &t, &f);
	if ((r == 0) != (t != NULL) || (r != 0 && (f.code == NULL ||
	    strchr(f.message, '\n') != NULL)))
		abort();
	if (t == NULL)
		return;
	fuzz_encode(t, sample, sizeof sample - 1, &ids);
	detok_ids(t, ids.id, ids.n, 0, &out);
	idbuf_clear(&ids);
	textbuf_clear(&out);
	tokenizer_free(t);
}

/* Append the vocabulary: single bytes, some pairs, fallback tokens. */
static void
fuzz_vocab(unsigned options, struct textbuf *s)
{
	char	 item[64], name[5];
	uint32_t c;
	int	 id = 14;

	textbuf_puts(s, "\"vocab\":{\"<|endoftext|>\":0,\"aa\":1,\"aaaa\":2,"
	    "\"ab\":3,\"ba\":4,\"abab\":5,\"<unk>\":6,\"<0x78>\":7,"
	    "\"<0xC4>\":8,\"<0x80>\":9,\"a<0x78>\":10,\"<|\":11,"
	    "\"hello\":12,\"\xc4\xa0hello\":13");
	for (c = 33; c < 324; c++) {
		if ((c > 126 && c < 161) || c == 173 ||
		    ((options & FUZZ_LACK) && (c == 'x' || c == 'y' ||
		    c == 0x100 || c == 0x101)))
			continue;
		name[utf8_encode(c, name)] = '\0';
		snprintf(item, sizeof item, ",\"%s%s\":%d", c == '"' ||
		    c == '\\' ? "\\" : "", name, id++);
		textbuf_puts(s, item);
	}
	textbuf_puts(s, "},\"merges\":[\"a a\",\"aa aa\",\"a b\",\"b a\","
	    "\"ab ab\",\"a <0x78>\",\"< |\"]");
}

/* Append the added tokens; the vocabulary has n entries. */
static void
fuzz_added(unsigned options, int n, struct textbuf *s)
{
	static const struct {
		const char	*content, *flags;
	} added[] = {
		{ "  ", "\"normalized\":true,\"lstrip\":true" },
		{ "   ", "\"rstrip\":true" },
		{ "<x>", "\"rstrip\":true,\"lstrip\":true" },
		{ "<|pad|>", "\"special\":true,\"normalized\":true" },
		{ "aba", "\"single_word\":true" },
		{ "\xe6\x97\xa5!", "\"normalized\":true,\"rstrip\":true" },
	};
	char	 item[160];
	size_t	 i;

	textbuf_puts(s, "\"added_tokens\":[{\"id\":0,\"content\":"
	    "\"<|endoftext|>\",\"special\":true},{\"id\":3,\"content\":"
	    "\"ab\",\"special\":true,\"single_word\":true}");
	for (i = 0; i < nitems(added); i++) {
		/* One that is cut out of the raw text separates characters that
		 * NFC would compose. */
		snprintf(item, sizeof item, ",{\"id\":%d,\"content\":\"%s\","
		    "%s}", n + (int)i, added[i].content,
		    options & FUZZ_FLAGS ? added[i].flags :
		    "\"normalized\":true");
		textbuf_puts(s, item);
	}
	if (options & FUZZ_LACK)
		textbuf_puts(s, ",{\"id\":6,\"content\":\"<unk>\","
		    "\"special\":true}");
	textbuf_puts(s, "]");
}

/* Make a tokenizer with these options. */
static struct tokenizer *
fuzz_tokenizer(unsigned options)
{
	struct tokenizer	*t = NULL;
	struct textbuf		 s = { NULL, 0, 0 };
	struct fault		 f;

	textbuf_puts(&s,
	    "{\"decoder\":{\"type\":\"ByteLevel\"},\"normalizer\":");
	textbuf_puts(&s, options & FUZZ_RAW ? "null" : "{\"type\":\"NFC\"}");
	textbuf_puts(&s, ",\"pre_tokenizer\":{\"type\":\"ByteLevel\","
	    "\"use_regex\":");
	textbuf_puts(&s, options & FUZZ_UNSPLIT ? "false" : "true");
	textbuf_puts(&s, ",\"add_prefix_space\":");
	textbuf_puts(&s, options & FUZZ_PREFIX ? "true" : "false");
	textbuf_puts(&s, "},");
	fuzz_added(options, options & FUZZ_LACK ? 266 : 270, &s);
	textbuf_puts(&s, ",\"model\":{\"ignore_merges\":");
	textbuf_puts(&s, options & FUZZ_WHOLE ? "true," : "false,");
	if (options & FUZZ_LACK)
		textbuf_puts(&s, "\"unk_token\":\"<unk>\",\"fuse_unk\":true,"
		    "\"byte_fallback\":true,");
	fuzz_vocab(options, &s);
	textbuf_puts(&s, "}}");
	if (tokenizer_parse("fuzz", s.s, s.n, &t, &f) != 0) {
		fprintf(stderr, "%s\n", f.message);
		abort();
	}
	textbuf_clear(&s);
	return (t);
}

/* Encode and decode: if no option adds or removes text, the result is the NFC
 * of the input. */
static void
fuzz_text(unsigned options, const char *s, size_t n)
{
	static struct tokenizer	*made[FUZZ_OPTIONS];
	struct tokenizer	*t;
	struct idbuf		 ids = { NULL, 0, 0 };
	struct textbuf		 want = { NULL, 0, 0 }, got = { NULL, 0, 0 };

	if (made[options] == NULL)
		made[options] = fuzz_tokenizer(options);
	t = made[options];
	fuzz_encode(t, s, n, &ids);
	detok_ids(t, ids.id, ids.n, 0, &got);
	if (options & FUZZ_RAW)
		textbuf_add(&want, s, n);
	else
		nfc_add(s, n, &want);
	if ((options & (FUZZ_PREFIX|FUZZ_LACK|FUZZ_FLAGS)) == 0 &&
	    (got.n != want.n ||
	    (got.n > 0 && memcmp(got.s, want.s, got.n) != 0)))
		abort();
	idbuf_clear(&ids);
	textbuf_clear(&want);
	textbuf_clear(&got);
}

/* Defuse: no tag is left, and a second time changes nothing. */
static void
fuzz_roles(const char *s, size_t n)
{
	struct textbuf	 once = { NULL, 0, 0 }, twice = { NULL, 0, 0 };

	roletag_defuse(s, n, &once);
	textbuf_add(&once, "", 1);
	if (strstr(once.s, ROLETAG_HUMAN) != NULL ||
	    strstr(once.s, ROLETAG_BOT) != NULL)
		abort();
	roletag_defuse(once.s, once.n, &twice);
	if (twice.n != once.n || memcmp(twice.s, once.s, once.n) != 0)
		abort();
	textbuf_clear(&once);
	textbuf_clear(&twice);
}

/* One input. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char	*s = (const char *)data + 1;

	if (size < 1)
		return (0);
	if (data[0] & 1) {
		fuzz_file(s, size - 1);
		return (0);
	}
	if (memchr(s, 0, size - 1) != NULL || !utf8_valid(s, size - 1))
		return (0);
	fuzz_text(data[0] >> 1 & (FUZZ_OPTIONS - 1), s, size - 1);
	fuzz_roles(s, size - 1);
	return (0);
}

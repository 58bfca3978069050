/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokenizer of a model: tokenizer.json with byte-level BPE, as the
 * GPT-NeoX models have it.  Ids are equal to the reference tokenizer's (the
 * "tokenizers" library), but for characters newer than the Unicode data of
 * either side.
 *
 * Supported parts of a file: no normalizer, or NFC; the ByteLevel
 * pre-tokenizer with its options; added tokens with all their flags; BPE with
 * merges as strings or pairs, unk_token, fuse_unk, byte_fallback and
 * ignore_merges; the ByteLevel decoder; a post-processor that adds no token.
 * Each part may be the only member of a Sequence.  "truncation" and "padding"
 * are ignored.  Anything else is refused, and the error names it.
 */
#ifndef ENGINE_TOKENIZER_H
#define ENGINE_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "growbuf.h"

#define TOKENIZER_FILE_MAX	(16 * 1024 * 1024)	/* bytes */
#define TOKENIZER_VOCAB_MAX	(1 << 20)		/* ids */
#define TOKENIZER_MERGES_MAX	(1 << 20)
#define TOKENIZER_ADDED_MAX	4096
/* JSON values and keys; each takes some 100 bytes while they are read. */
#define TOKENIZER_VALUES_MAX	(3 << 20)

struct tokenizer;

/*
 * Read the n bytes of a tokenizer.json at text. 0 and *out (owned), or an
 * error with *f filled (code "bad_model"): one line that begins with path,
 * used for nothing else, and says what is wrong. CHAT_EUNSUPPORTED: a
 * tokenizer of another kind; CHAT_ETOOBIG: over a limit above; CHAT_EFORMAT:
 * broken, or it contradicts itself (two tokens of one id, an added token
 * whose id is not the one that the reference tokenizer gives it, two added
 * tokens of one string). A special token that is the token of a byte is not
 * supported: nobody could write that byte. Takes 5 s and 512 MiB at most,
 * whatever the text.
 */
int		 tokenizer_parse(const char *path, const char *text, size_t n,
		    struct tokenizer **out, struct fault *f);

/*
 * Write t as flat tables: *n bytes at *out (owned), the same for the same
 * tokenizer, which tokenizer_restore takes in a small part of the time that
 * tokenizer_parse needs.
 */
void		 tokenizer_save(const struct tokenizer *t, uint8_t **out,
		    size_t *n);

/*
 * Make a tokenizer of such tables, which may have anything behind them in the
 * n bytes and are not needed afterwards. 0 and *out (owned): what it encodes
 * is what the saved one would. Else *f is filled in one line that begins with
 * path; CHAT_EUNSUPPORTED: no tables, or of another version; CHAT_EFORMAT:
 * broken. Everything is checked; memory is at most some forty times n.
 */
int		 tokenizer_restore(const char *path, const uint8_t *bytes,
		    size_t n, struct tokenizer **out, struct fault *f);
void		 tokenizer_free(struct tokenizer *t);

/* One more than the highest id that has a text. */
int		 tokenizer_size(const struct tokenizer *t);

/*
 * Append the ids of n bytes of valid UTF-8 to out. With special true, the
 * names of special tokens (such as <|endoftext|>) become those tokens, as in
 * the reference tokenizer; with special false they are text like any other,
 * which is what a user's text must be: no special token comes out, even
 * where merges lead to one (its bytes stand in its place) or where one is
 * the token for what the vocabulary lacks (it is left out).
 *
 * Time grows as n log n; one word of n bytes takes some 25 n bytes of memory
 * (50 n with byte_fallback) until it is done.
 * t remembers the words it has seen, so that only one thread at a time may
 * encode with it; the ids do not depend on what was encoded before.
 */
void		 tokenizer_encode(const struct tokenizer *t, const char *s,
		    size_t n, int special, struct idbuf *out);

/*
 * The same bit by bit, so that a long text holds nobody up: encoding_new, then
 * encoding_some until it returns 1, which appends to the same out each time
 * (whose last ids may change until then). Each call encodes about limit bytes.
 * t and s are borrowed until encoding_free; several may be on their way.
 */
struct encoding;
struct encoding	*encoding_new(const struct tokenizer *t, const char *s,
		    size_t n, int special);
int		 encoding_some(struct encoding *e, size_t limit,
		    struct idbuf *out);
void		 encoding_free(struct encoding *e);

/*
 * Words are remembered for one account at a time: what is encoded from now on
 * is group's, and words of another's texts are forgotten, so that the time
 * that a text takes does not tell what words others have sent.
 */
void		 tokenizer_serve(const struct tokenizer *t, int64_t group);

/*
 * The bytes of token id (borrowed, *n of them): "" where it has no text. They
 * need not be whole UTF-8 characters: see detok.h.
 */
const char	*tokenizer_bytes(const struct tokenizer *t, int32_t id,
		    size_t *n);

/* Is id a special token, whose text is not for people? */
int		 tokenizer_special(const struct tokenizer *t, int32_t id);

#endif

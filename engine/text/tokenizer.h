/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokenizer of a model: tokenizer.json with byte-level BPE, as the GPT-NeoX
 * models have it. The ids are equal to those of the reference tokenizer (the
 * "tokenizers" library), except for characters that are newer than the Unicode
 * data of one of the two.
 *
 * Supported parts of a file: the normalizer NFC, or none; the ByteLevel
 * pre-tokenizer with its options; added tokens with all their flags; BPE with
 * merges as strings or pairs, unk_token, fuse_unk, byte_fallback and
 * ignore_merges; the ByteLevel decoder; a post-processor that adds no token.
 * Each part may be the only member of a Sequence. "truncation" and "padding"
 * are ignored. Anything else is refused, and the fault message names it.
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
/* JSON values and keys. While the file is read, each takes some 100 bytes. */
#define TOKENIZER_VALUES_MAX	(3 << 20)

struct tokenizer;

/*
 * Read the n bytes of a tokenizer.json at text. Returns 0 and *out (owned), or
 * an error with *f filled (code "bad_model"): one line that begins with path
 * and says what is wrong. path has no other use.
 *   CHAT_EUNSUPPORTED  a tokenizer of another kind, or a special token that is
 *                      the token of a byte: nobody could write that byte
 *   CHAT_ETOOBIG       over a limit above
 *   CHAT_EFORMAT       malformed, or the file contradicts itself: two tokens
 *                      have the same id, two added tokens have the same string,
 *                      or the id of an added token is not the one that the
 *                      reference tokenizer gives it
 *
 * The call takes at most 5 s and 512 MiB, whatever the text is.
 */
int		 tokenizer_parse(const char *path, const char *text, size_t n,
		    struct tokenizer **out, struct fault *f);

/*
 * Write t as flat tables: *n bytes at *out (owned). Equal tokenizers give equal
 * tables. tokenizer_restore needs only a small part of the time of
 * tokenizer_parse.
 */
void		 tokenizer_save(const struct tokenizer *t, uint8_t **out,
		    size_t *n);

/*
 * Make a tokenizer from such tables. The n bytes may have other data after the
 * tables, and are not needed after the call. Returns 0 and *out (owned), which
 * encodes exactly as the saved tokenizer. Else *f is filled with one line that
 * begins with path. CHAT_EUNSUPPORTED: no tables, or tables of another version;
 * CHAT_EFORMAT: malformed tables. Every value is checked. The memory is at most
 * some forty times n.
 */
int		 tokenizer_restore(const char *path, const uint8_t *bytes,
		    size_t n, struct tokenizer **out, struct fault *f);
void		 tokenizer_free(struct tokenizer *t);

/* The highest id that has a text, plus one. */
int		 tokenizer_size(const struct tokenizer *t);

/*
 * Append the ids of n bytes of valid UTF-8 to out. If special is 1, the names
 * of special tokens (such as <|endoftext|>) become those tokens, as in the
 * reference tokenizer. If special is 0, these names are ordinary text. Text of
 * users needs special 0: no special token comes out, even if merges lead to one
 * (the tokens of its bytes replace it) or if one stands for bytes that the
 * vocabulary lacks (it is left out).
 *
 * The time grows as n log n. One word of n bytes takes some 25 n bytes of
 * memory (50 n with byte_fallback) until it is done. t remembers words, so only
 * one thread at a time may encode with it. The ids do not depend on earlier
 * texts.
 */
void		 tokenizer_encode(const struct tokenizer *t, const char *s,
		    size_t n, int special, struct idbuf *out);

/*
 * The same in steps, so that a long text does not delay others: encoding_new,
 * then encoding_some until it returns 1. Each call appends to the same out,
 * whose last ids may change until the end, and encodes about limit bytes. t and
 * s are borrowed until encoding_free. Several encodings may be in progress.
 */
struct encoding;
struct encoding	*encoding_new(const struct tokenizer *t, const char *s,
		    size_t n, int special);
int		 encoding_some(struct encoding *e, size_t limit,
		    struct idbuf *out);
void		 encoding_free(struct encoding *e);

/*
 * Set the account whose texts are encoded from now on. Words are remembered for
 * one account at a time: words of another account are forgotten, so that the
 * time of an encoding does not show which words others have sent.
 */
void		 tokenizer_serve(const struct tokenizer *t, int64_t group);

/*
 * The bytes of token id (borrowed, *n of them): "" if it has no text. They need
 * not be whole UTF-8 characters: see detok.h.
 */
const char	*tokenizer_bytes(const struct tokenizer *t, int32_t id,
		    size_t *n);

/* Is id a special token? Its text is not shown to people. */
int		 tokenizer_special(const struct tokenizer *t, int32_t id);

#endif

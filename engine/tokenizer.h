/*
 * The tokenizer of a model: tokenizer.json with byte-level BPE, as the
 * GPT-NeoX models have it.  Ids are equal to the reference tokenizer's.
 */
#ifndef ENGINE_TOKENIZER_H
#define ENGINE_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "vec.h"

#define TOKENIZER_FILE_MAX	(16 * 1024 * 1024)	/* bytes */
#define TOKENIZER_VOCAB_MAX	(1 << 20)		/* ids */
#define TOKENIZER_MERGES_MAX	(1 << 20)
#define TOKENIZER_ADDED_MAX	4096

struct tokenizer;

/*
 * Read a tokenizer.json. 0 and *out (owned), or an error with *f filled (code
 * "bad_model"): one line that names the file and what is wrong with it. A
 * tokenizer of another kind is CHAT_EUNSUPPORTED.
 */
int		 tokenizer_open(const char *path, struct tokenizer **out,
		    struct fault *f);
int		 tokenizer_parse(const char *path, const char *text, size_t n,
		    struct tokenizer **out, struct fault *f);
void		 tokenizer_free(struct tokenizer *t);

/* One more than the highest id that has a text. */
int		 tokenizer_size(const struct tokenizer *t);

/*
 * Append the ids of n bytes of valid UTF-8 to out. With special true, the
 * names of special tokens (such as <|endoftext|>) become those tokens, as in
 * the reference tokenizer; with special false they are text like any other,
 * which is what a user's text must be. Time grows as n log n.
 */
void		 tokenizer_encode(const struct tokenizer *t, const char *s,
		    size_t n, int special, struct ids *out);

/*
 * The bytes of token id (borrowed, *n of them): "" where it has no text. They
 * need not be whole UTF-8 characters: see detok.h.
 */
const char	*tokenizer_bytes(const struct tokenizer *t, int32_t id,
		    size_t *n);

/* Is id a special token, whose text is not for people? */
int		 tokenizer_special(const struct tokenizer *t, int32_t id);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a tokenizer, for tokenizer.c (encoding), those that read
 * tokenizer.json (tokenizer_load.c, tokenizer_bpe.c, tokenizer_parts.c) and
 * tokenizer_tables.c.
 */
#ifndef ENGINE_TOKENIZER_IMPL_H
#define ENGINE_TOKENIZER_IMPL_H

#include <jansson.h>

#include "added.h"
#include "bpe.h"
#include "tokenizer.h"
#include "growbuf.h"
#include "wordcache.h"

struct token {
	uint32_t	 start, len;	/* its bytes in the pool */
	uint8_t		 known;
	uint8_t		 special;
	uint8_t		 added;		/* in added_tokens */
	uint8_t		 mapped;	/* of the vocabulary, and all of its
					 * characters stand for bytes, so that
					 * a word can be it */
	uint8_t		 stand_in;	/* it stands for what has no token */
};

/* What changes while encoding. */
struct tokenizer_work {
	struct bpe_work		*bpe;		/* owned */
	struct wordcache	*cache;		/* owned */
	int64_t			 group;		/* whose words the cache has */
	struct textbuf		 nfc, spaced;	/* of tokenizer_encode */
};

/*
 * A text goes through: cut out raw added tokens -> NFC -> cut out normalised
 * added tokens -> put a space in front -> split into words -> merge bytes.
 */
struct tokenizer {
	struct token		*token;	/* owned: by id */
	size_t			 n, size;	/* used, allocated */
	struct textbuf		 pool;
	struct bpe_alphabet	 alphabet;
	struct bpe		*bpe;	/* owned */
	int32_t			*word;	/* owned: ids of whole words, ordered by
					 * their bytes (ignore_merges) */
	size_t			 words;
	struct added_set	*raw;	/* owned: cut from the text as it is */
	struct added_set	*normal; /* owned: cut after NFC */
	int			 nfc;
	int			 prefix;	/* a space before each piece */
	int			 split;		/* pieces into words */
	int			 fallback;	/* byte_fallback */
	int			 whole;		/* ignore_merges */
	int			 leak;		/* words can be special */
	struct tokenizer_work	*work;	/* owned */
};

/* State of one reading of a file. */
struct tokenizer_load {
	const char		*path;	/* borrowed */
	struct tokenizer	*t;	/* borrowed */
	json_t			*root;	/* owned */
	json_t			*vocab;	/* borrowed from root */
	struct fault		*f;	/* borrowed */
	int16_t			*byte;	/* borrowed: character below
					 * TOKENIZER_CHARS to byte, or -1 */
	size_t			 fresh;	/* added tokens not in vocab so far */
};

#define TOKENIZER_CHARS	324	/* characters that stand for bytes */

/* Bytes that no UTF-8 text holds need no token. */
#define TOKENIZER_IS_UTF8(b) ((b) != 0xc0 && (b) != 0xc1 && (b) < 0xf5)

/* Say what is wrong with the file, its name in front; returns r. */
int	tokenizer_fault(struct tokenizer_load *l, int r, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));

/* Read everything but added tokens, vocabulary and merges into l->t. 0, or an
 * error with the fault filled. */
int	tokenizer_parts(struct tokenizer_load *l);

/* Read the tokens of bytes, and the merges, once vocabulary and added tokens
 * are there. 0, or an error with the fault filled. */
int	tokenizer_bpe(struct tokenizer_load *l);

/* Note that a token stands for what has none; it may be special. */
void	tokenizer_stand_in(struct tokenizer *t, int32_t id);

/* Make working memory, and release it. */
struct tokenizer_work *tokenizer_work_new(void);
void	tokenizer_work_free(struct tokenizer_work *w);

/* encoding.c: append the token that a word is as a whole; 0 if there is
 * none. */
int	tokenizer_whole(const struct tokenizer *t, const char *s, size_t n,
	    struct idbuf *out);

/* Order n bytes at s against m at z, as t->word is. */
int	tokenizer_order(const char *s, size_t n, const char *z, size_t m);

#endif

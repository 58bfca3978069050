/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a tokenizer: for tokenizer.c and encoding.c, for the files that
 * read tokenizer.json (tokenizer_load.c, tokenizer_bpe.c, tokenizer_parts.c),
 * and for tokenizer_save.c and tokenizer_restore.c.
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
	uint8_t		 mapped;	/* in the vocabulary, and all of its
					 * characters stand for bytes, so that a
					 * word can be equal to it */
	uint8_t		 stand_in;	/* it stands for bytes that have no
					 * token */
};

/* The state that changes while encoding. */
struct tokenizer_work {
	struct bpe_work		*bpe;		/* owned */
	struct wordcache	*cache;		/* owned */
	int64_t			 group;		/* the group whose words the
						 * cache has */
	struct textbuf		 nfc, spaced;	/* buffers of the encoding */
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
	int			 leak;		/* a word can become a special
						 * token */
	struct tokenizer_work	*work;	/* owned */
};

/* The state of tokenizer_parse. */
struct tokenizer_load {
	const char		*path;	/* borrowed */
	struct tokenizer	*t;	/* borrowed */
	json_t			*root;	/* owned */
	json_t			*vocab;	/* borrowed from root */
	struct fault		*f;	/* borrowed */
	int16_t			*byte;	/* borrowed: character below
					 * TOKENIZER_CHARS to byte, or -1 */
	size_t			 fresh;	/* added tokens so far that are not in
					 * vocab */
};

#define TOKENIZER_CHARS	324	/* characters that stand for bytes */

/* A byte that is in no UTF-8 text needs no token. */
#define TOKENIZER_IS_UTF8(b) ((b) != 0xc0 && (b) != 0xc1 && (b) < 0xf5)

/* Report what is wrong with the file; the message begins with its name. Returns
 * r. */
int	tokenizer_fault(struct tokenizer_load *l, int r, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));

/* Read everything except added tokens, vocabulary and merges into l->t. Returns
 * 0, or an error with the fault filled. */
int	tokenizer_parts(struct tokenizer_load *l);

/* Read the tokens of bytes, and the merges, after the vocabulary and the added
 * tokens. Returns 0, or an error with the fault filled. */
int	tokenizer_bpe(struct tokenizer_load *l);

/* Note that a token stands for bytes that have no token; it may be special. */
void	tokenizer_stand_in(struct tokenizer *t, int32_t id);

/* Make working memory, and release it. */
struct tokenizer_work *tokenizer_work_new(void);
void	tokenizer_work_free(struct tokenizer_work *w);

/* Compare n bytes at s with m bytes at z, in the order of t->word. */
int	tokenizer_order(const char *s, size_t n, const char *z, size_t m);

#endif

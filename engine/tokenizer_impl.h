/*
 * The inside of a tokenizer, for tokenizer.c (encoding) and tokenizer_load.c
 * (reading tokenizer.json).
 */
#ifndef ENGINE_TOKENIZER_IMPL_H
#define ENGINE_TOKENIZER_IMPL_H

#include "added.h"
#include "bpe.h"
#include "tokenizer.h"
#include "vec.h"

struct token {
	size_t	 start, len;	/* its bytes in the pool */
	int	 known, special;
};

/*
 * A text goes through: cut out raw added tokens -> NFC -> cut out normalised
 * added tokens -> split into words -> merge bytes.
 */
struct tokenizer {
	struct token		*token;	/* owned: by id */
	size_t			 n;
	struct text		 pool;
	struct bpe		*bpe;	/* owned */
	struct added_set	*raw;	/* owned: cut from the text as it is */
	struct added_set	*normal; /* owned: cut after NFC */
	int			 nfc;
};

#endif

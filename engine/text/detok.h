/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the bytes of tokens to text, piece by piece. Only whole UTF-8 characters
 * come out. Each maximal invalid prefix becomes one U+FFFD, as the Unicode
 * standard recommends. The text does not depend on how the bytes are cut into
 * pieces.
 */
#ifndef ENGINE_DETOK_H
#define ENGINE_DETOK_H

#include <stddef.h>

#include "tokenizer.h"
#include "growbuf.h"

/* It starts as all zeros and owns no memory. */
struct detok {
	char	 held[4];	/* the start of an unfinished character */
	size_t	 n;		/* 0..3 */
};

/* Add n bytes; append the whole characters to out. */
void	detok_add(struct detok *d, const char *s, size_t n,
	    struct textbuf *out);

/* End the text: an unfinished character becomes U+FFFD. d can then be used
 * again. */
void	detok_end(struct detok *d, struct textbuf *out);

/* Append the text of n ids to out. If skip is set, special tokens and with it
 * their text are left out. */
void	detok_ids(const struct tokenizer *t, const int32_t *id, size_t n,
	    int skip, struct textbuf *out);

#endif

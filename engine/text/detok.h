/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of tokens to text, piece by piece: only whole UTF-8 characters come
 * out, and each maximal invalid prefix becomes one U+FFFD, as the Unicode
 * standard recommends.  However the bytes are cut, the text is the same.
 */
#ifndef ENGINE_DETOK_H
#define ENGINE_DETOK_H

#include <stddef.h>

#include "tokenizer.h"
#include "growbuf.h"

/* Starts as all zeros; holds no memory of its own. */
struct detok {
	char	 held[4];	/* the start of an unfinished character */
	size_t	 n;		/* 0..3 */
};

/* Add n bytes; append what is whole to out. */
void	detok_add(struct detok *d, const char *s, size_t n,
	    struct textbuf *out);

/* The end: an unfinished character becomes U+FFFD. d is ready again. */
void	detok_end(struct detok *d, struct textbuf *out);

/* The text of n ids, appended to out; with skip, special tokens and with it
 * their text are left out. */
void	detok_ids(const struct tokenizer *t, const int32_t *id, size_t n,
	    int skip, struct textbuf *out);

#endif

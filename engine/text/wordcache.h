/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words seen lately and the ids they gave: a table of fixed size in which a
 * new word takes the place of an old one.  What it answers is what merging
 * would give, whatever was asked before.
 */
#ifndef ENGINE_WORDCACHE_H
#define ENGINE_WORDCACHE_H

#include <stddef.h>

#include "growbuf.h"

#define WORDCACHE_BYTES	23	/* longest word kept */
#define WORDCACHE_IDS	9	/* most ids of one */

struct wordcache;

struct wordcache *wordcache_new(void);
void	 wordcache_free(struct wordcache *c);

/*
 * Append the ids of the word of n bytes at s to out. room bytes (room >= n)
 * may be read from s on. 1, or 0 where the word is not there.
 */
int	 wordcache_get(const struct wordcache *c, const char *s, size_t n,
	    size_t room, struct idbuf *out);

/* Forget all words. Takes no time. */
void	 wordcache_forget(struct wordcache *c);

/* Keep a word and its ids; does nothing where either is too long. */
void	 wordcache_put(struct wordcache *c, const char *s, size_t n,
	    const int32_t *id, size_t ids);

#endif

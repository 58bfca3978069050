/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache from recent words to their ids: a table of fixed size, in which a new
 * word replaces an old one. The results are always equal to those of merging.
 */
#ifndef ENGINE_WORDCACHE_H
#define ENGINE_WORDCACHE_H

#include <stddef.h>

#include "growbuf.h"

#define WORDCACHE_BYTES	23	/* bytes of the longest word kept */
#define WORDCACHE_IDS	9	/* ids of one word, at most */

struct wordcache;

struct wordcache *wordcache_new(void);
void	 wordcache_free(struct wordcache *c);

/*
 * Append the ids of the word of n bytes at s to out. `room` bytes (room >= n)
 * can be read from s on. Returns 1, or 0 if the word is not in the cache.
 */
int	 wordcache_get(const struct wordcache *c, const char *s, size_t n,
	    size_t room, struct idbuf *out);

/* Forget all words, in constant time. */
void	 wordcache_forget(struct wordcache *c);

/* Keep a word and its ids. Does nothing if it is too long or has too many
 * ids. */
void	 wordcache_put(struct wordcache *c, const char *s, size_t n,
	    const int32_t *id, size_t ids);

#endif

/*
 * Who holds which block of the KV cache.  The cache itself is the backend's;
 * a block is KV_BLOCK positions of one sequence.
 */
#ifndef ENGINE_KVCACHE_H
#define ENGINE_KVCACHE_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct kvcache;

struct kvcache	*kvcache_new(int blocks);
void		 kvcache_free(struct kvcache *kv);

/* Take n blocks at once, numbers to out[n]. 0, or CHAT_ENOMEM where fewer
 * are free (nothing is taken then). */
int		 kvcache_take(struct kvcache *kv, int32_t *out, size_t n);

/* Give n blocks back that were taken. */
void		 kvcache_give(struct kvcache *kv, const int32_t *blocks,
		    size_t n);

/* Blocks that are free. */
int		 kvcache_available(const struct kvcache *kv);

/* Blocks that this many positions need. */
size_t		 kvcache_blocks(size_t positions);

#endif

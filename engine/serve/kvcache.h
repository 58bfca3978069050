/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds which block of the KV cache, and what is in it.  The cache itself
 * is the backend's; a block is KV_BLOCK positions of one sequence.
 *
 * A block that is full is known by its owner, its tokens and the block before
 * it, so that a sequence which begins as another of the same owner did takes
 * its blocks over and computes only what is new.  The owner is an account: how
 * soon a reply begins must not tell what other accounts have sent.  Blocks of
 * KVCACHE_COMMON are found by every account, and hold nothing but words of the
 * administrator's.
 *
 * Blocks that nobody holds stay as they are until their room is needed, the
 * one used longest ago first; of one sequence the last.  Nobody writes into a
 * full block, so sharing needs no copies.
 */
#ifndef ENGINE_KVCACHE_H
#define ENGINE_KVCACHE_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct kvcache;

/* The name of all the tokens up to the end of a full block. */
typedef int64_t kvcache_chain;
#define KVCACHE_START	((kvcache_chain)0)	/* no tokens */

#define KVCACHE_COMMON	((int64_t)-1)	/* owner of what all may find */

struct kvcache	*kvcache_new(int blocks);
void		 kvcache_free(struct kvcache *kv);

/*
 * Take n blocks at once to write into, behind the first have of out: numbers
 * to out[have .. have + n - 1]. Where it can be, each is the next in memory
 * behind the one before, which is read faster. 0, or CHAT_ENOMEM where fewer
 * are available (nothing is taken then).
 */
int		 kvcache_take(struct kvcache *kv, int32_t *out, size_t have,
		    size_t n);

/*
 * Take the full block of that owner (an account from 0, or KVCACHE_COMMON)
 * that holds these KV_BLOCK tokens after chain, if there is one: its number,
 * and *chain moves past it; -1 if there is none.
 */
int32_t		 kvcache_find(struct kvcache *kv, int64_t owner,
		    kvcache_chain *chain, const int32_t *tokens);

/*
 * Say that a block, taken by the caller, has become full with these KV_BLOCK
 * tokens after chain, and whose they are; *chain moves past it. If the owner
 * has another block with the same already, that one goes on being found.
 */
void		 kvcache_fill(struct kvcache *kv, int64_t owner,
		    int32_t block, kvcache_chain *chain,
		    const int32_t *tokens);

/* Give n blocks back that were taken or found, in the order of their
 * sequence. */
void		 kvcache_give(struct kvcache *kv, const int32_t *blocks,
		    size_t n);

/* Blocks that nobody holds, full ones included. */
int		 kvcache_available(const struct kvcache *kv);

/* Blocks that this many positions need. */
size_t		 kvcache_blocks(size_t positions);

#endif

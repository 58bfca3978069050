/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocks of the KV cache: which are in use, and what they hold. The backend
 * has the cache itself. A block is KV_BLOCK positions of one sequence.
 *
 * A full block is identified by its owner, its tokens and the block before it.
 * If a sequence begins like another one of the same owner, it takes over the
 * blocks of the other and computes only the rest. The owner is an account, so
 * that the time until a reply begins does not show what other accounts have
 * sent. Blocks of KVCACHE_COMMON are found by every account; they hold only
 * text of the administrator.
 *
 * A block that nobody holds keeps its content until its memory is needed. The
 * block that was used longest ago is reused first; of one sequence, the last
 * block. Nobody writes into a full block, so blocks are shared without copies.
 */
#ifndef ENGINE_KVCACHE_H
#define ENGINE_KVCACHE_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct kvcache;

/* It identifies all the tokens up to the end of a full block. */
typedef int64_t kvcache_chain;
#define KVCACHE_START	((kvcache_chain)0)	/* no tokens */
/* No tokens of a sequence with adapter n (backend_row). A chain that begins
 * there never meets one that begins elsewhere, so the blocks of an adapter are
 * found by sequences with the same adapter only. */
#define KVCACHE_ADAPTER(n)	(KVCACHE_START - (kvcache_chain)(n))

#define KVCACHE_COMMON	((int64_t)-1)	/* the owner of blocks that every
					 * account may find */

struct kvcache	*kvcache_new(int blocks);
void		 kvcache_free(struct kvcache *kv);

/*
 * Take n empty blocks to write into, and store their numbers in out[have] ..
 * out[have + n - 1]. If possible, each block follows the one before in memory,
 * because reading is then faster. Returns 0, or CHAT_ENOMEM if fewer are
 * available; nothing is taken then.
 */
int		 kvcache_take(struct kvcache *kv, int32_t *out, size_t have,
		    size_t n);

/*
 * Take the full block of that owner (an account from 0, or KVCACHE_COMMON) that
 * holds these KV_BLOCK tokens after chain. Returns its number and advances
 * *chain; returns -1 if there is no such block.
 */
int32_t		 kvcache_find(struct kvcache *kv, int64_t owner,
		    kvcache_chain *chain, const int32_t *tokens);

/*
 * Record that a block, taken by the caller, has become full with these KV_BLOCK
 * tokens of the owner after chain. Advances *chain. If the owner already has
 * another block with the same tokens, kvcache_find keeps finding that one.
 */
void		 kvcache_fill(struct kvcache *kv, int64_t owner,
		    int32_t block, kvcache_chain *chain,
		    const int32_t *tokens);

/* Give back n blocks that were taken or found, in the order of their
 * sequence. */
void		 kvcache_give(struct kvcache *kv, const int32_t *blocks,
		    size_t n);

/* The number of blocks that nobody holds, including full ones. */
int		 kvcache_available(const struct kvcache *kv);

/* The number of blocks that this many positions need. */
size_t		 kvcache_blocks(size_t positions);

#endif

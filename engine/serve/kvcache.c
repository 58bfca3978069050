/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocks of the cache: a stack of empty blocks, so that the block used next
 * is the one given back last, which may still be in the processor's cache; a
 * queue of the full blocks that nobody holds; and a hash table of all full
 * blocks.
 */
#include "kvcache.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "xmalloc.h"

struct kvblock {
	int			 holders;
	/* Only for a full block: */
	kvcache_chain		 chain;		/* 0: not in the hash table */
	kvcache_chain		 before;	/* the chain before this
						 * block */
	int64_t			 owner;
	int32_t			 tokens[KV_BLOCK];
	LIST_ENTRY(kvblock)	 same;		/* next block in its slot of the
						 * table */
	TAILQ_ENTRY(kvblock)	 free;		/* in the queue, if nobody holds
						 * it */
};

TAILQ_HEAD(kvlist, kvblock);

LIST_HEAD(kvslot, kvblock);

struct kvcache {
	struct kvblock			*blocks;	/* owned: [size] */
	int				 size;
	struct kvlist			 empty;		/* empty blocks, the
							 * next one on top */
	struct kvlist			 full;		/* full blocks that
							 * nobody holds; the
							 * first is reused
							 * first */
	int				 n;		/* blocks in both */
	struct kvslot			*slots;		/* owned */
	size_t				 mask;		/* slots - 1 */
	kvcache_chain			 last;		/* number of the next
							 * chain */
};

/* Make a cache with every block empty. */
struct kvcache *
kvcache_new(int blocks)
{
	struct kvcache	*kv;
	size_t		 slots = 1, i;

	while (slots < (size_t)blocks)
		slots *= 2;
	kv = xcalloc(1, sizeof *kv);
	kv->blocks = xcalloc((size_t)blocks, sizeof *kv->blocks);
	kv->slots = xcalloc(slots, sizeof *kv->slots);
	kv->mask = slots - 1;
	kv->n = kv->size = blocks;
	TAILQ_INIT(&kv->empty);
	TAILQ_INIT(&kv->full);
	for (i = 0; i < slots; i++)
		LIST_INIT(&kv->slots[i]);
	for (i = 0; i < (size_t)blocks; i++)
		TAILQ_INSERT_TAIL(&kv->empty, &kv->blocks[i], free);
	return (kv);
}

/* Release it. */
void
kvcache_free(struct kvcache *kv)
{
	if (kv == NULL)
		return;
	free(kv->blocks);
	free(kv->slots);
	free(kv);
}

/* Return the slot for the tokens of an owner after `before`. */
static struct kvslot *
kvcache_slot(const struct kvcache *kv, int64_t owner, kvcache_chain before,
    const int32_t *tokens)
{
	uint64_t	 h = (uint64_t)owner * 0xd6e8feb86659fd93U ^
			    (uint64_t)before;
	int		 i;

	for (i = 0; i < KV_BLOCK; i++)
		h = (h ^ (uint32_t)tokens[i]) * 0x9e3779b97f4a7c15U;
	return (&kv->slots[(size_t)(h >> 20) & kv->mask]);
}

/* Return the owner's full block with these tokens after `before`, or NULL. */
static struct kvblock *
kvcache_known(const struct kvcache *kv, int64_t owner, kvcache_chain before,
    const int32_t *tokens)
{
	struct kvblock	*b;

	LIST_FOREACH(b, kvcache_slot(kv, owner, before, tokens), same)
		if (b->owner == owner && b->before == before &&
		    memcmp(b->tokens, tokens, sizeof b->tokens) == 0)
			return (b);
	return (NULL);
}

/* Return an empty block: the wanted one if it is empty, else any. If no block
 * is empty, the first full one of the queue is emptied. */
static struct kvblock *
kvcache_empty(struct kvcache *kv, int32_t want)
{
	struct kvblock	*b = TAILQ_FIRST(&kv->empty);

	kv->n--;
	if (b == NULL) {
		b = TAILQ_FIRST(&kv->full);
		TAILQ_REMOVE(&kv->full, b, free);
		LIST_REMOVE(b, same);
		b->chain = 0;
		return (b);
	}
	if (want < kv->size && kv->blocks[want].holders == 0 &&
	    kv->blocks[want].chain == 0)
		b = &kv->blocks[want];
	TAILQ_REMOVE(&kv->empty, b, free);
	return (b);
}

/* Compare two numbers. */
static int
kvcache_compare(const void *a, const void *b)
{
	const int32_t	*x = a, *y = b;

	return (*x < *y ? -1 : *x > *y);
}

/* Take blocks. Blocks that another sequence used last are taken from its
 * end. */
int
kvcache_take(struct kvcache *kv, int32_t *out, size_t have, size_t n)
{
	struct kvblock	*b;
	size_t		 i;

	if ((size_t)kv->n < n)
		return (CHAT_ENOMEM);
	for (i = have; i < have + n; i++) {
		b = kvcache_empty(kv, i > 0 ? out[i - 1] + 1 : 0);
		b->holders = 1;
		out[i] = (int32_t)(b - kv->blocks);
	}
	qsort(out + have, n, sizeof *out, kvcache_compare);
	return (0);
}

/* Take a full block. */
int32_t
kvcache_find(struct kvcache *kv, int64_t owner, kvcache_chain *chain,
    const int32_t *tokens)
{
	struct kvblock	*b = kvcache_known(kv, owner, *chain, tokens);

	if (b == NULL)
		return (-1);
	if (b->holders++ == 0) {
		TAILQ_REMOVE(&kv->full, b, free);
		kv->n--;
	}
	*chain = b->chain;
	return ((int32_t)(b - kv->blocks));
}

/* Record that a block has become full. */
void
kvcache_fill(struct kvcache *kv, int64_t owner, int32_t block,
    kvcache_chain *chain, const int32_t *tokens)
{
	struct kvblock	*b = kvcache_known(kv, owner, *chain, tokens);

	if (b == NULL) {
		b = &kv->blocks[block];
		b->chain = ++kv->last;
		b->before = *chain;
		b->owner = owner;
		memcpy(b->tokens, tokens, sizeof b->tokens);
		LIST_INSERT_HEAD(kvcache_slot(kv, owner, *chain, tokens), b,
		    same);
	}
	*chain = b->chain;
}

/* Give blocks back. The first block ends on top of the stack if it is empty,
 * and at the end of the queue if it is full. */
void
kvcache_give(struct kvcache *kv, const int32_t *blocks, size_t n)
{
	struct kvblock	*b;

	while (n-- > 0) {
		b = &kv->blocks[blocks[n]];
		if (--b->holders > 0)
			continue;
		kv->n++;
		if (b->chain == 0)
			TAILQ_INSERT_HEAD(&kv->empty, b, free);
		else
			TAILQ_INSERT_TAIL(&kv->full, b, free);
	}
}

/* Return the number of available blocks. */
int
kvcache_available(const struct kvcache *kv)
{
	return (kv->n);
}

/* Return the number of blocks that this many positions need. */
size_t
kvcache_blocks(size_t positions)
{
	return ((positions + KV_BLOCK - 1) / KV_BLOCK);
}

/*
 * The blocks: a stack of empty ones, so that one given back is the next one
 * used, while its memory may still be near; a queue of full ones that nobody
 * holds; and a hash table of all full ones.
 */
#include "kvcache.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "xmalloc.h"

struct kvblock {
	int			 holders;
	/* Of a full block: */
	kvcache_chain		 chain;		/* 0: it is not known */
	kvcache_chain		 before;	/* of the block in front */
	int32_t			 tokens[KV_BLOCK];
	LIST_ENTRY(kvblock)	 same;		/* in its slot of the table */
	TAILQ_ENTRY(kvblock)	 idle;		/* where nobody holds it */
};

LIST_HEAD(kvslot, kvblock);

struct kvcache {
	struct kvblock			*blocks;	/* owned: [size] */
	int				 size;
	int32_t				*stack;		/* owned: empty ones */
	int				 n;		/* on the stack */
	TAILQ_HEAD(, kvblock)		 idle;		/* next to go first */
	int				 nidle;
	struct kvslot			*slots;		/* owned */
	size_t				 mask;		/* slots - 1 */
	kvcache_chain			 last;		/* given out */
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
	kv->stack = xcalloc((size_t)blocks, sizeof *kv->stack);
	kv->slots = xcalloc(slots, sizeof *kv->slots);
	kv->mask = slots - 1;
	kv->n = kv->size = blocks;
	TAILQ_INIT(&kv->idle);
	for (i = 0; i < slots; i++)
		LIST_INIT(&kv->slots[i]);
	for (i = 0; i < (size_t)blocks; i++)
		kv->stack[i] = blocks - 1 - (int32_t)i;
	return (kv);
}

/* Release it. */
void
kvcache_free(struct kvcache *kv)
{
	if (kv == NULL)
		return;
	free(kv->blocks);
	free(kv->stack);
	free(kv->slots);
	free(kv);
}

/* The slot of what stands behind before. */
static struct kvslot *
kvcache_slot(const struct kvcache *kv, kvcache_chain before,
    const int32_t *tokens)
{
	uint64_t	 h = (uint64_t)before;
	int		 i;

	for (i = 0; i < KV_BLOCK; i++)
		h = (h ^ (uint32_t)tokens[i]) * 0x9e3779b97f4a7c15U;
	return (&kv->slots[(size_t)(h >> 20) & kv->mask]);
}

/* The full block of these tokens behind before, or NULL. */
static struct kvblock *
kvcache_known(const struct kvcache *kv, kvcache_chain before,
    const int32_t *tokens)
{
	struct kvblock	*b;

	LIST_FOREACH(b, kvcache_slot(kv, before, tokens), same)
		if (b->before == before &&
		    memcmp(b->tokens, tokens, sizeof b->tokens) == 0)
			return (b);
	return (NULL);
}

/* An empty block; the oldest full one is emptied where there is none. */
static struct kvblock *
kvcache_empty(struct kvcache *kv)
{
	struct kvblock	*b;

	if (kv->n > 0)
		return (&kv->blocks[kv->stack[--kv->n]]);
	b = TAILQ_FIRST(&kv->idle);
	TAILQ_REMOVE(&kv->idle, b, idle);
	kv->nidle--;
	LIST_REMOVE(b, same);
	b->chain = 0;
	return (b);
}

/* Take blocks. */
int
kvcache_take(struct kvcache *kv, int32_t *out, size_t n)
{
	struct kvblock	*b;
	size_t		 i;

	if ((size_t)kvcache_available(kv) < n)
		return (CHAT_ENOMEM);
	for (i = 0; i < n; i++) {
		b = kvcache_empty(kv);
		b->holders = 1;
		out[i] = (int32_t)(b - kv->blocks);
	}
	return (0);
}

/* Take a full block. */
int32_t
kvcache_find(struct kvcache *kv, kvcache_chain *chain, const int32_t *tokens)
{
	struct kvblock	*b = kvcache_known(kv, *chain, tokens);

	if (b == NULL)
		return (-1);
	if (b->holders++ == 0) {
		TAILQ_REMOVE(&kv->idle, b, idle);
		kv->nidle--;
	}
	*chain = b->chain;
	return ((int32_t)(b - kv->blocks));
}

/* A block has become full. */
void
kvcache_fill(struct kvcache *kv, int32_t block, kvcache_chain *chain,
    const int32_t *tokens)
{
	struct kvblock	*b = kvcache_known(kv, *chain, tokens);

	if (b == NULL) {
		b = &kv->blocks[block];
		b->chain = ++kv->last;
		b->before = *chain;
		memcpy(b->tokens, tokens, sizeof b->tokens);
		LIST_INSERT_HEAD(kvcache_slot(kv, *chain, tokens), b, same);
	}
	*chain = b->chain;
}

/* Give blocks back: the first empty one ends on top, the first full one is
 * the last to go. */
void
kvcache_give(struct kvcache *kv, const int32_t *blocks, size_t n)
{
	struct kvblock	*b;

	while (n-- > 0) {
		b = &kv->blocks[blocks[n]];
		if (--b->holders > 0)
			continue;
		if (b->chain == 0)
			kv->stack[kv->n++] = blocks[n];
		else {
			TAILQ_INSERT_TAIL(&kv->idle, b, idle);
			kv->nidle++;
		}
	}
}

/* Count blocks that can be had. */
int
kvcache_available(const struct kvcache *kv)
{
	return (kv->n + kv->nidle);
}

/* Count the blocks of so many positions. */
size_t
kvcache_blocks(size_t positions)
{
	return ((positions + KV_BLOCK - 1) / KV_BLOCK);
}

/*
 * The free list of KV cache blocks: a stack, so that a block given back is
 * the next one used, while its memory may still be near.
 */
#include "kvcache.h"

#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "xmalloc.h"

struct kvcache {
	int32_t	*stack;		/* owned: the free blocks */
	int	 n, size;
};

/* Make a list with every block free. */
struct kvcache *
kvcache_new(int blocks)
{
	struct kvcache	*kv;
	int		 i;

	kv = xcalloc(1, sizeof *kv);
	kv->stack = xcalloc((size_t)blocks, sizeof *kv->stack);
	kv->n = kv->size = blocks;
	for (i = 0; i < blocks; i++)
		kv->stack[i] = blocks - 1 - i;
	return (kv);
}

/* Release the list. */
void
kvcache_free(struct kvcache *kv)
{
	if (kv == NULL)
		return;
	free(kv->stack);
	free(kv);
}

/* Take blocks. */
int
kvcache_take(struct kvcache *kv, int32_t *out, size_t n)
{
	size_t	 i;

	if ((size_t)kv->n < n)
		return (CHAT_ENOMEM);
	for (i = 0; i < n; i++)
		out[i] = kv->stack[--kv->n];
	return (0);
}

/* Give blocks back, the first on top. */
void
kvcache_give(struct kvcache *kv, const int32_t *blocks, size_t n)
{
	while (n > 0 && kv->n < kv->size)
		kv->stack[kv->n++] = blocks[--n];
}

/* Count free blocks. */
int
kvcache_available(const struct kvcache *kv)
{
	return (kv->n);
}

/* Count the blocks of so many positions. */
size_t
kvcache_blocks(size_t positions)
{
	return ((positions + KV_BLOCK - 1) / KV_BLOCK);
}

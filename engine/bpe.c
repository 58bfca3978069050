/*
 * Byte-pair merging with a heap of candidate pairs over a linked list of
 * symbols, so that a word of any length costs n log n.
 */
#include "bpe.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

struct bpe_merge {
	int32_t		 left, right;	/* left is -1 in a free slot */
	uint32_t	 rank;
	int32_t		 id;
};

struct bpe {
	int32_t			 byte_id[256];
	struct bpe_merge	*slot;	/* owned: open addressing */
	size_t			 mask;	/* slots - 1, slots a power of two */
};

/* A symbol of the word; merged ones leave the list with id -1. */
struct bpe_symbol {
	int32_t		 id;
	int32_t		 prev, next;	/* -1: none */
};

/* A pair that may be merged; stale where its symbols have changed. */
struct bpe_pair {
	uint32_t	 rank;
	int32_t		 pos;		/* the left symbol */
	int32_t		 id;		/* what they become */
};

struct bpe_work {
	struct bpe_symbol	*symbol;	/* owned */
	size_t			 symbols;	/* allocated */
	struct bpe_pair		*heap;		/* owned: smallest first */
	size_t			 n, size;	/* used, allocated */
};

/* Where a pair is or would be. */
static struct bpe_merge *
bpe_slot(const struct bpe *b, int32_t left, int32_t right)
{
	uint64_t	 h;
	size_t		 i;

	h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) *
	    0x9e3779b97f4a7c15U;
	for (i = (size_t)(h >> 20) & b->mask; b->slot[i].left != -1 &&
	    (b->slot[i].left != left || b->slot[i].right != right);
	    i = (i + 1) & b->mask)
		;
	return (&b->slot[i]);
}

/* Make an empty table. */
struct bpe *
bpe_new(const int32_t byte_id[256], size_t merges)
{
	struct bpe	*b;
	size_t		 slots = 16, i;

	while (slots < merges * 2)
		slots *= 2;
	b = xcalloc(1, sizeof *b);
	memcpy(b->byte_id, byte_id, sizeof b->byte_id);
	b->slot = xcalloc(slots, sizeof *b->slot);
	b->mask = slots - 1;
	for (i = 0; i < slots; i++)
		b->slot[i].left = -1;
	return (b);
}

/* Release a table. */
void
bpe_free(struct bpe *b)
{
	if (b == NULL)
		return;
	free(b->slot);
	free(b);
}

/* Add one merge. */
void
bpe_add(struct bpe *b, int32_t left, int32_t right, uint32_t rank, int32_t id)
{
	*bpe_slot(b, left, right) = (struct bpe_merge){ left, right, rank,
	    id };
}

/* Make working memory. */
struct bpe_work *
bpe_work_new(void)
{
	return (xcalloc(1, sizeof(struct bpe_work)));
}

/* Release working memory. */
void
bpe_work_free(struct bpe_work *w)
{
	if (w == NULL)
		return;
	free(w->symbol);
	free(w->heap);
	free(w);
}

/* Does a merge before b? */
static int
bpe_before(const struct bpe_pair *a, const struct bpe_pair *b)
{
	return (a->rank != b->rank ? a->rank < b->rank : a->pos < b->pos);
}

/* Put the pair that begins at symbol pos on the heap, if it merges. */
static void
bpe_push(const struct bpe *b, struct bpe_work *w, int32_t pos)
{
	const struct bpe_merge	*m;
	struct bpe_pair		 p;
	size_t			 i;

	if (pos < 0 || w->symbol[pos].next < 0)
		return;
	m = bpe_slot(b, w->symbol[pos].id, w->symbol[w->symbol[pos].next].id);
	if (m->left == -1)
		return;
	p = (struct bpe_pair){ m->rank, pos, m->id };
	if (w->n == w->size) {
		w->size = w->size * 2 + 64;
		w->heap = xreallocarray(w->heap, w->size, sizeof *w->heap);
	}
	for (i = w->n++; i > 0 && bpe_before(&p, &w->heap[(i - 1) / 2]);
	    i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = p;
}

/* Take the first pair off a heap that is not empty. */
static struct bpe_pair
bpe_pop(struct bpe_work *w)
{
	struct bpe_pair	 top = w->heap[0], last = w->heap[--w->n];
	size_t		 i = 0, k;

	while ((k = i * 2 + 1) < w->n) {
		if (k + 1 < w->n && bpe_before(&w->heap[k + 1], &w->heap[k]))
			k++;
		if (!bpe_before(&w->heap[k], &last))
			break;
		w->heap[i] = w->heap[k];
		i = k;
	}
	w->heap[i] = last;
	return (top);
}

/* Merge symbol pos with its right neighbour, unless the pair is stale. */
static void
bpe_merge(const struct bpe *b, struct bpe_work *w, const struct bpe_pair *p)
{
	struct bpe_symbol	*left = &w->symbol[p->pos], *right;
	const struct bpe_merge	*m;

	if (left->id == -1 || left->next < 0)
		return;
	right = &w->symbol[left->next];
	m = bpe_slot(b, left->id, right->id);
	if (m->left == -1 || m->id != p->id)
		return;
	left->id = p->id;
	left->next = right->next;
	right->id = -1;
	if (left->next >= 0)
		w->symbol[left->next].prev = p->pos;
	bpe_push(b, w, left->prev);
	bpe_push(b, w, p->pos);
}

/* Encode one word. */
void
bpe_encode(const struct bpe *b, struct bpe_work *w, const char *word,
    size_t n, struct ids *out)
{
	struct bpe_pair	 p;
	int32_t		 i;

	if (n == 0)
		return;
	if (w->symbols < n) {
		w->symbols = n * 2;
		w->symbol = xreallocarray(w->symbol, w->symbols,
		    sizeof *w->symbol);
	}
	for (i = 0; (size_t)i < n; i++)
		w->symbol[i] = (struct bpe_symbol){
		    b->byte_id[(unsigned char)word[i]], i - 1,
		    (size_t)i + 1 < n ? i + 1 : -1 };
	w->n = 0;
	for (i = 0; (size_t)i + 1 < n; i++)
		bpe_push(b, w, i);
	while (w->n > 0) {
		p = bpe_pop(w);
		bpe_merge(b, w, &p);
	}
	for (i = 0; i >= 0; i = w->symbol[i].next) {
		if (w->symbol[i].id >= 0)
			ids_add(out, w->symbol[i].id);
	}
}

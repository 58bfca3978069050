/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte-pair merging: short words by looking for the best pair again and
 * again, longer ones with a heap of candidate pairs over a linked list of
 * symbols, so that a word of any length costs n log n.
 */
#include "bpe.h"

#include <stdlib.h>

#include "err.h"
#include "xmalloc.h"

#define BPE_SHORT	32		/* most symbols of a short word */
#define BPE_KEEP	(64 * 1024)	/* symbols kept allocated, at most */
#define BPE_PROBES_MAX	512		/* slots tried; 2^20 random pairs need
					 * about 50 */
#define BPE_FREE	UINT64_MAX	/* no pair, since ids are not
					 * negative */

struct bpe_merge {
	uint64_t	 pair;		/* left << 32 | right */
	uint32_t	 rank;
	int32_t		 id;
};

struct bpe {
	struct bpe_alphabet	 alphabet;
	struct bpe_merge	*slot;	/* owned: open addressing */
	size_t			 mask;	/* slots - 1; slots is a power of two */
};

/* A symbol of a long word. A merged symbol leaves the list and gets id -1. */
struct bpe_symbol {
	int32_t		 id;
	int32_t		 prev, next;	/* index, or -1 */
};

struct bpe_work {
	struct idbuf		 id;		/* the word's symbols */
	struct bpe_symbol	*symbol;	/* owned */
	size_t			 symbols;	/* allocated */
	size_t			 pushed;	/* the pairs of the first
						 * `pushed` symbols have been on
						 * the heap */
	uint64_t		*heap;		/* owned: smallest first, each
						 * rank << 32 | left symbol; an
						 * entry is stale if its symbols
						 * have changed since */
	size_t			 n, size;	/* used, allocated */
};

/* Hash a pair. */
static uint64_t
bpe_hash(uint64_t pair)
{
	pair = (pair ^ pair >> 32) * 0x9e3779b97f4a7c15U;
	return (pair ^ pair >> 32);
}

/* Return the merge of a pair, or NULL. */
static const struct bpe_merge *
bpe_find(const struct bpe *b, int32_t left, int32_t right)
{
	uint64_t	 pair = (uint64_t)(uint32_t)left << 32 |
			    (uint32_t)right;
	size_t		 i = (size_t)bpe_hash(pair) & b->mask;

	for (; b->slot[i].pair != BPE_FREE; i = (i + 1) & b->mask) {
		if (b->slot[i].pair == pair)
			return (&b->slot[i]);
	}
	return (NULL);
}

/* Make an empty table. */
struct bpe *
bpe_new(const struct bpe_alphabet *alphabet, size_t merges)
{
	struct bpe	*b;
	size_t		 slots = 16, i;

	while (slots < merges * 2)
		slots *= 2;
	b = xcalloc(1, sizeof *b);
	b->alphabet = *alphabet;
	b->slot = xreallocarray(NULL, slots, sizeof *b->slot);
	b->mask = slots - 1;
	for (i = 0; i < slots; i++)
		b->slot[i] = (struct bpe_merge){ BPE_FREE, 0, 0 };
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
int
bpe_add(struct bpe *b, int32_t left, int32_t right, uint32_t rank, int32_t id)
{
	uint64_t	 pair = (uint64_t)(uint32_t)left << 32 |
			    (uint32_t)right;
	size_t		 i = (size_t)bpe_hash(pair) & b->mask, probes;

	for (probes = 0; b->slot[i].pair != BPE_FREE &&
	    b->slot[i].pair != pair; probes++) {
		if (probes == BPE_PROBES_MAX)
			return (CHAT_EFORMAT);
		i = (i + 1) & b->mask;
	}
	b->slot[i] = (struct bpe_merge){ pair, rank, id };
	return (0);
}

/* Order by rank. */
static int
bpe_order(const void *a, const void *b)
{
	const struct bpe_pair	*x = a, *y = b;

	return (x->rank < y->rank ? -1 : x->rank > y->rank);
}

/* List the merges. */
struct bpe_pair *
bpe_merges(const struct bpe *b, size_t *n)
{
	const struct bpe_merge	*m;
	struct bpe_pair		*list;
	size_t			 i;

	list = xcalloc(b->mask + 1, sizeof *list);
	for (*n = 0, i = 0; i <= b->mask; i++) {
		m = &b->slot[i];
		if (m->pair != BPE_FREE)
			list[(*n)++] = (struct bpe_pair){
			    (int32_t)(m->pair >> 32),
			    (int32_t)(uint32_t)m->pair, m->rank, m->id };
	}
	qsort(list, *n, sizeof *list, bpe_order);
	return (list);
}

/* Make working memory. */
struct bpe_work *
bpe_work_new(void)
{
	return (xcalloc(1, sizeof(struct bpe_work)));
}

/* Release its memory. */
static void
bpe_work_clear(struct bpe_work *w)
{
	idbuf_clear(&w->id);
	free(w->symbol);
	free(w->heap);
	*w = (struct bpe_work){ .symbol = NULL };
}

/* Release working memory. */
void
bpe_work_free(struct bpe_work *w)
{
	if (w == NULL)
		return;
	bpe_work_clear(w);
	free(w);
}

/* Turn the bytes of a word into symbols. */
static void
bpe_symbols(const struct bpe *b, const char *word, size_t n, struct idbuf *out)
{
	const struct bpe_alphabet	*a = &b->alphabet;
	const struct bpe_byte		*y;
	size_t				 i;
	int				 unknown = 0;

	for (i = 0; i < n; i++) {
		y = &a->byte[(unsigned char)word[i]];
		if (y->how == BPE_FALLBACK) {
			idbuf_append(out, y->id, (size_t)y->n);
			continue;
		}
		if (unknown && (y->how == BPE_TOKEN || !a->fuse)) {
			idbuf_add(out, a->unknown);
			unknown = 0;
		}
		if (y->how == BPE_TOKEN)
			idbuf_add(out, y->id[0]);
		else
			unknown = a->unknown >= 0;
	}
	if (unknown)
		idbuf_add(out, a->unknown);
}

/* Merge the n symbols of a short word in place. Return how many are left. */
static size_t
bpe_short(const struct bpe *b, int32_t *id, size_t n)
{
	const struct bpe_merge	*m[BPE_SHORT];
	size_t			 i, best;

	for (i = 0; i + 1 < n; i++)
		m[i] = bpe_find(b, id[i], id[i + 1]);
	for (; n > 1; n--) {
		for (best = n, i = 0; i + 1 < n; i++) {
			if (m[i] != NULL && (best == n ||
			    m[i]->rank < m[best]->rank))
				best = i;
		}
		if (best == n)
			break;
		id[best] = m[best]->id;
		for (i = best + 1; i + 1 < n; i++) {
			id[i] = id[i + 1];
			if (i + 2 < n)
				m[i] = m[i + 1];
		}
		if (best > 0)
			m[best - 1] = bpe_find(b, id[best - 1], id[best]);
		if (best + 2 < n)
			m[best] = bpe_find(b, id[best], id[best + 1]);
	}
	return (n);
}

/* Put the pair that begins at symbol pos on the heap if it has a merge. */
static void
bpe_push(const struct bpe *b, struct bpe_work *w, int32_t pos)
{
	const struct bpe_merge	*m;
	uint64_t		 p;
	size_t			 i;

	if (pos < 0 || w->symbol[pos].next < 0)
		return;
	m = bpe_find(b, w->symbol[pos].id, w->symbol[w->symbol[pos].next].id);
	if (m == NULL)
		return;
	p = (uint64_t)m->rank << 32 | (uint32_t)pos;
	if (w->n == w->size) {
		w->size = w->size * 2 + 64;
		w->heap = xreallocarray(w->heap, w->size, sizeof *w->heap);
	}
	for (i = w->n++; i > 0 && p < w->heap[(i - 1) / 4]; i = (i - 1) / 4)
		w->heap[i] = w->heap[(i - 1) / 4];
	w->heap[i] = p;
}

/* Remove the first pair from a heap that is not empty. */
static uint64_t
bpe_pop(struct bpe_work *w)
{
	uint64_t	 top = w->heap[0], last = w->heap[--w->n];
	size_t		 i = 0, k, j, end;

	while ((k = i * 4 + 1) < w->n) {
		end = k + 4 < w->n ? k + 4 : w->n;
		for (j = k + 1; j < end; j++) {
			if (w->heap[j] < w->heap[k])
				k = j;
		}
		if (last <= w->heap[k])
			break;
		w->heap[i] = w->heap[k];
		i = k;
	}
	w->heap[i] = last;
	return (top);
}

/* Merge a symbol with its right neighbour unless the pair is stale. A pair that
 * is gone never comes back, because the text of a symbol only grows. */
static void
bpe_merge(const struct bpe *b, struct bpe_work *w, uint64_t pair)
{
	int32_t			 pos = (int32_t)(uint32_t)pair;
	struct bpe_symbol	*left = &w->symbol[pos], *right;
	const struct bpe_merge	*m;

	if (left->id == -1 || left->next < 0)
		return;
	right = &w->symbol[left->next];
	m = bpe_find(b, left->id, right->id);
	if (m == NULL || m->rank != pair >> 32)
		return;
	left->id = m->id;
	left->next = right->next;
	right->id = -1;
	if (left->next >= 0)
		w->symbol[left->next].prev = pos;
	bpe_push(b, w, left->prev);
	bpe_push(b, w, pos);
}

/* Make a linked list of the symbols of a long word. */
static void
bpe_link(struct bpe_work *w)
{
	size_t	 n = w->id.n;
	int32_t	 i;

	if (w->symbols < n) {
		w->symbols = n + n / 2;
		w->symbol = xreallocarray(w->symbol, w->symbols,
		    sizeof *w->symbol);
	}
	for (i = 0; (size_t)i < n; i++)
		w->symbol[i] = (struct bpe_symbol){ w->id.id[i], i - 1,
		    (size_t)i + 1 < n ? i + 1 : -1 };
	w->n = w->pushed = 0;
}

/* Begin a long word. */
void
bpe_start(const struct bpe *b, struct bpe_work *w, const char *word, size_t n)
{
	w->id.n = 0;
	bpe_symbols(b, word, n, &w->id);
	bpe_link(w);
}

/* Merge some more of a long word. All pairs are put on the heap, then
 * removed until it is empty. At the end the symbols that are left are
 * appended to out. */
int
bpe_some(const struct bpe *b, struct bpe_work *w, size_t *limit,
    struct idbuf *out)
{
	size_t	 n = w->id.n;
	int32_t	 i;

	for (; w->pushed + 1 < n && *limit > 0; w->pushed++, --*limit)
		bpe_push(b, w, (int32_t)w->pushed);
	for (; w->n > 0 && *limit > 0; --*limit)
		bpe_merge(b, w, bpe_pop(w));
	if (w->pushed + 1 < n || w->n > 0)
		return (0);
	for (i = n > 0 ? 0 : -1; i >= 0; i = w->symbol[i].next)
		idbuf_add(out, w->symbol[i].id);
	if (n > BPE_KEEP)
		bpe_work_clear(w);
	return (1);
}

/* Encode one word. */
void
bpe_encode(const struct bpe *b, struct bpe_work *w, const char *word,
    size_t n, struct idbuf *out)
{
	size_t	 start = out->n, limit = SIZE_MAX;

	if (n <= BPE_SHORT / 2) {	/* a byte has two symbols at most */
		bpe_symbols(b, word, n, out);
		if (out->n > start)
			out->n = start + bpe_short(b, out->id + start,
			    out->n - start);
		return;
	}
	w->id.n = 0;
	bpe_symbols(b, word, n, &w->id);
	if (w->id.n > BPE_SHORT) {
		bpe_link(w);
		bpe_some(b, w, &limit, out);
		return;
	}
	idbuf_append(out, w->id.id, bpe_short(b, w->id.id, w->id.n));
}

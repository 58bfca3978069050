/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The automaton has a complete table: for each node and each class of bytes the
 * next node.  Bytes that no literal has are one class.
 */
#include "prefilter.h"

#include <stdlib.h>
#include <string.h>

#include "first.h"
#include "literal.h"
#include "xmalloc.h"

#define PREFILTER_NODES	(1u << 17)	/* at most */

/* A literal that ends at a node. */
struct prefilter_end {
	uint32_t	 rule;
	uint32_t	 span;		/* bytes from the start of a match to
					 * its end, at most */
	uint32_t	 next;		/* index, or 0 */
	unsigned char	 len, edges;
};

struct prefilter {
	unsigned char		 class[256];
	size_t			 classes;	/* 0 is for all other bytes */
	uint32_t		*go;		/* owned: [nodes * classes] */
	uint32_t		*ends;		/* owned: [nodes] index, or 0 */
	uint32_t		*also;		/* owned: [nodes] the longest
						 * proper suffix with ends */
	size_t			 nodes, size;
	struct prefilter_end	*list;		/* owned; [0] is not used */
	size_t			 n, list_size;
	size_t			 rules;
};

/* Make an empty automaton. */
struct prefilter *
prefilter_new(size_t rules)
{
	struct prefilter	*pf;
	unsigned		 c;

	pf = xcalloc(1, sizeof *pf);
	pf->rules = rules;
	/* Until it is built there is a class for each byte of ASCII. */
	pf->classes = 128;
	for (c = 0; c < 128; c++)
		pf->class[c] = (unsigned char)c;
	pf->nodes = pf->n = 1;
	pf->size = pf->list_size = 64;
	pf->go = xcalloc(pf->size * pf->classes, sizeof *pf->go);
	pf->ends = xcalloc(pf->size, sizeof *pf->ends);
	pf->list = xcalloc(pf->list_size, sizeof *pf->list);
	return (pf);
}

/* Release an automaton. */
void
prefilter_free(struct prefilter *pf)
{
	if (pf == NULL)
		return;
	free(pf->go);
	free(pf->ends);
	free(pf->also);
	free(pf->list);
	free(pf);
}

/* The node after "at" with byte c; it is made if there is none. */
static uint32_t
prefilter_node(struct prefilter *pf, uint32_t at, unsigned char c)
{
	size_t	 old = pf->size;

	if (pf->go[at * pf->classes + c] != 0)
		return (pf->go[at * pf->classes + c]);
	if (pf->nodes == pf->size) {
		pf->size *= 2;
		pf->go = xreallocarray(pf->go, pf->size, pf->classes *
		    sizeof *pf->go);
		pf->ends = xreallocarray(pf->ends, pf->size,
		    sizeof *pf->ends);
		memset(pf->go + old * pf->classes, 0, old * pf->classes *
		    sizeof *pf->go);
		memset(pf->ends + old, 0, old * sizeof *pf->ends);
	}
	pf->go[at * pf->classes + c] = (uint32_t)pf->nodes;
	return ((uint32_t)pf->nodes++);
}

/* Add the literals of a rule. */
int
prefilter_add(struct prefilter *pf, size_t rule, size_t span,
    const struct literals *literals)
{
	const struct literal	*l;
	uint32_t		 at;
	unsigned		 i;

	if (pf->nodes + literals->n * LITERAL_BYTES > PREFILTER_NODES)
		return (-1);
	for (l = literals->list; l < literals->list + literals->n; l++) {
		for (at = 0, i = 0; i < l->len; i++)
			at = prefilter_node(pf, at, (unsigned char)l->s[i]);
		if (pf->n == pf->list_size) {
			pf->list_size *= 2;
			pf->list = xreallocarray(pf->list, pf->list_size,
			    sizeof *pf->list);
		}
		pf->list[pf->n] = (struct prefilter_end){ (uint32_t)rule,
		    literals->lead ? LITERAL_WIDE : (uint32_t)span,
		    pf->ends[at], l->len, l->edges };
		pf->ends[at] = (uint32_t)pf->n++;
	}
	return (0);
}

/* Give the bytes that literals have a class each, and capitals that of their
 * small letters. */
static void
prefilter_classes(struct prefilter *pf)
{
	unsigned char	 class[256] = { 0 };
	uint32_t	*go;
	size_t		 i, n = 1;
	unsigned	 c;

	for (i = 0; i < pf->nodes; i++) {
		for (c = 0; c < 128; c++) {
			if (pf->go[i * 128 + c] != 0 && class[c] == 0)
				class[c] = (unsigned char)n++;
		}
	}
	go = xcalloc(pf->nodes * n, sizeof *go);
	for (i = 0; i < pf->nodes; i++) {
		for (c = 0; c < 128; c++) {
			if (class[c] != 0)
				go[i * n + class[c]] = pf->go[i * 128 + c];
		}
	}
	for (c = 'A'; c <= 'Z'; c++)
		class[c] = class[c | 0x20];
	free(pf->go);
	pf->go = go;
	pf->classes = n;
	memcpy(pf->class, class, sizeof class);
}

/* Complete the automaton, node by node, the shorter strings first. */
void
prefilter_build(struct prefilter *pf)
{
	uint32_t	*order, *back, node, to;
	size_t		 i, c, n = 1;

	prefilter_classes(pf);
	order = xcalloc(pf->nodes, sizeof *order);
	back = xcalloc(pf->nodes, sizeof *back);
	pf->also = xcalloc(pf->nodes, sizeof *pf->also);
	for (i = 0; i < n; i++) {
		node = order[i];
		for (c = 0; c < pf->classes; c++) {
			to = pf->go[node * pf->classes + c];
			if (to == 0) {
				pf->go[node * pf->classes + c] = node == 0 ?
				    0 : pf->go[back[node] * pf->classes + c];
				continue;
			}
			order[n++] = to;
			back[to] = node == 0 ? 0 :
			    pf->go[back[node] * pf->classes + c];
			pf->also[to] = pf->ends[back[to]] != 0 ? back[to] :
			    pf->also[back[to]];
		}
	}
	free(order);
	free(back);
}

/* Add places to those of a rule. They come in the order of their literals'
 * ends, so lo never decreases. */
static void
hits_add(struct prefilter_hits *h, uint32_t rule, size_t lo, size_t hi)
{
	struct places	*last = &h->list[h->tail[rule]];

	if (h->tail[rule] != 0 && lo <= last->hi + 1) {
		last->hi = hi > last->hi ? hi : last->hi;
		return;
	}
	if (h->n == h->size) {
		h->size *= 2;
		h->list = xreallocarray(h->list, h->size, sizeof *h->list);
	}
	h->list[h->n] = (struct places){ lo, hi, 0 };
	if (h->tail[rule] != 0)
		h->list[h->tail[rule]].next = (uint32_t)h->n;
	else
		h->head[rule] = (uint32_t)h->n;
	h->tail[rule] = (uint32_t)h->n++;
}

/* Make hits empty, for an automaton of that many rules. */
static void
hits_reset(struct prefilter_hits *h, size_t rules)
{
	if (h->rules != rules || h->list == NULL) {
		prefilter_hits_clear(h);
		h->rules = rules;
		h->size = 64;
		h->list = xcalloc(h->size, sizeof *h->list);
		h->head = xcalloc(rules + 1, sizeof *h->head);
		h->tail = xcalloc(rules + 1, sizeof *h->tail);
	}
	memset(h->head, 0, rules * sizeof *h->head);
	memset(h->tail, 0, rules * sizeof *h->tail);
	h->n = 1;
}

/* Note the literals that end at a node. They end before text[end]. wide: one
 * of the last letters takes more than a byte. */
static void
prefilter_ends(const struct prefilter *pf, uint32_t node, const char *text,
    size_t head, size_t from, size_t len, size_t end, int wide,
    struct prefilter_hits *hits)
{
	const struct prefilter_end	*e;
	uint32_t			 i;
	size_t				 start, lo;

	for (; node != 0; node = pf->also[node]) {
		for (i = pf->ends[node]; i != 0; i = e->next) {
			e = &pf->list[i];
			start = end - from < e->len ? from : end - e->len;
			if ((e->edges & LITERAL_LEFT) && !wide &&
			    start > head &&
			    first_is_word((unsigned char)text[start - 1]))
				continue;
			lo = end - from > e->span ? end - e->span : from;
			if ((e->edges & LITERAL_RIGHT) && end < len &&
			    first_is_word((unsigned char)text[end])) {
				/* A match sees an end where its span ends. */
				if (end - lo != e->span)
					continue;
				start = lo;
			}
			hits_add(hits, e->rule, lo, start);
		}
	}
}

/* Pass over a text. */
void
prefilter_scan(const struct prefilter *pf, const char *text, size_t head,
    size_t from, size_t len, struct prefilter_hits *hits)
{
	const uint32_t	*go = pf->go;
	uint32_t	 node = 0;
	size_t		 i, wide = 0;	/* 1 + the end of the last wide one */
	unsigned char	 c;

	hits_reset(hits, pf->rules);
	for (i = from; i < len; i++) {
		c = (unsigned char)text[i];
		if (c == 0xc5 && i + 1 < len && (unsigned char)text[i + 1] ==
		    0xbf) {
			c = 's';		/* U+017F */
			wide = ++i + 1;
		} else if (c == 0xe2 && i + 2 < len &&
		    (unsigned char)text[i + 1] == 0x84 &&
		    (unsigned char)text[i + 2] == 0xaa) {
			c = 'k';		/* U+212A */
			wide = (i += 2) + 1;
		}
		node = go[node * pf->classes + pf->class[c]];
		if (pf->ends[node] != 0 || pf->also[node] != 0)
			prefilter_ends(pf, node, text, head, from, len, i + 1,
			    wide != 0 && i + 1 - wide < LITERAL_WIDE, hits);
	}
}

/* Release hits. */
void
prefilter_hits_clear(struct prefilter_hits *hits)
{
	free(hits->list);
	free(hits->head);
	free(hits->tail);
	memset(hits, 0, sizeof *hits);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A search for added tokens by a trie.
 */
#include "added.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "pretoken.h"
#include "utf8.h"
#include "xmalloc.h"

struct added {
	char		*s;		/* owned */
	size_t		 len;
	int32_t		 id;
	unsigned	 flags;
};

/* A node of the trie. Its children are neighbours in the array, ordered by
 * byte. */
struct added_node {
	uint32_t	 child;		/* the first child */
	uint16_t	 n;		/* number of children */
	uint8_t		 byte;		/* byte of the edge to this node */
	int32_t		 item;		/* the item that ends here, or -1 */
};

struct added_set {
	struct added		*item;		/* owned */
	size_t			 n;
	struct added_node	*node;		/* owned: node 0 is the root */
	size_t			 nodes;
	uint32_t		 first[256];	/* by byte: the child of the
						 * root, or 0 */
};

/* While the trie is built: the items below a node, lo to hi - 1. */
struct added_range {
	size_t	 lo, hi, depth;
};

/* Make an empty set. */
struct added_set *
added_new(void)
{
	return (xcalloc(1, sizeof(struct added_set)));
}

/* Release a set. */
void
added_free(struct added_set *a)
{
	size_t	 i;

	if (a == NULL)
		return;
	for (i = 0; i < a->n; i++)
		free(a->item[i].s);
	free(a->item);
	free(a->node);
	free(a);
}

/* Add one string. */
void
added_add(struct added_set *a, const char *s, size_t n, int32_t id,
    unsigned flags)
{
	a->item = xreallocarray(a->item, a->n + 1, sizeof *a->item);
	a->item[a->n++] = (struct added){ xstrndup(s, n), n, id, flags };
}

/* Order by bytes; a string comes before the strings that begin with it. */
static int
added_cmp(const void *x, const void *y)
{
	const struct added	*a = x, *b = y;
	int			 c;

	c = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);
	if (c != 0)
		return (c);
	return (a->len < b->len ? -1 : a->len > b->len);
}

/* Make the children of node i, which has the items r. */
static void
added_branch(struct added_set *a, struct added_range *range, size_t i)
{
	struct added_range	 r = range[i];
	struct added_node	*node = &a->node[i];
	size_t			 hi;
	uint8_t			 c;

	if (r.lo < r.hi && a->item[r.lo].len == r.depth)
		node->item = (int32_t)r.lo++;
	node->child = (uint32_t)a->nodes;
	for (; r.lo < r.hi; r.lo = hi) {
		c = (uint8_t)a->item[r.lo].s[r.depth];
		for (hi = r.lo; hi < r.hi &&
		    (uint8_t)a->item[hi].s[r.depth] == c; hi++)
			;
		range[a->nodes] = (struct added_range){ r.lo, hi,
		    r.depth + 1 };
		a->node[a->nodes++] = (struct added_node){ 0, 0, c, -1 };
		node->n++;
	}
}

/* Sort the items and build the trie, level by level. */
int
added_seal(struct added_set *a, int32_t twice[2])
{
	struct added_range	*range;
	size_t			 i, bytes = 1;

	if (a->n > 0)
		qsort(a->item, a->n, sizeof *a->item, added_cmp);
	for (i = 0; i < a->n; i++) {
		bytes += a->item[i].len;
		if (i == 0 || added_cmp(&a->item[i - 1], &a->item[i]) != 0)
			continue;
		twice[0] = a->item[i - 1].id;
		twice[1] = a->item[i].id;
		return (CHAT_EFORMAT);
	}
	a->node = xcalloc(bytes, sizeof *a->node);
	range = xcalloc(bytes, sizeof *range);
	range[0].hi = a->n;
	a->node[0].item = -1;
	a->nodes = 1;
	for (i = 0; i < a->nodes; i++)
		added_branch(a, range, i);
	free(range);
	for (i = 0; i < a->node[0].n; i++)
		a->first[a->node[a->node[0].child + i].byte] =
		    a->node[0].child + (uint32_t)i;
	return (0);
}

/* Return the number of strings. */
size_t
added_count(const struct added_set *a)
{
	return (a->n);
}

/* Return string i. */
const char *
added_item(const struct added_set *a, size_t i, size_t *n, int32_t *id,
    unsigned *flags)
{
	*n = a->item[i].len;
	*id = a->item[i].id;
	*flags = a->item[i].flags;
	return (a->item[i].s);
}

/* Return the child of node by byte c, or 0. */
static uint32_t
added_child(const struct added_set *a, const struct added_node *node,
    uint8_t c)
{
	uint32_t	 lo = node->child, hi = lo + node->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (a->node[mid].byte == c)
			return (mid);
		if (a->node[mid].byte < c)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (0);
}

/* Return the longest item that s begins with, or NULL. */
static const struct added *
added_longest(const struct added_set *a, const char *s, size_t n)
{
	uint32_t	 k = a->first[(uint8_t)s[0]];
	int32_t		 item = -1;
	size_t		 i;

	for (i = 1; k != 0; i++) {
		if (a->node[k].item >= 0)
			item = a->node[k].item;
		if (i == n)
			break;
		k = added_child(a, &a->node[k], (uint8_t)s[i]);
	}
	return (item < 0 ? NULL : &a->item[item]);
}

/* Is there a word character right before start or right after stop? */
static int
added_touched(const char *s, size_t n, size_t start, size_t stop)
{
	uint32_t	 cp;
	size_t		 i = start;

	while (i > 0 && ((unsigned char)s[--i] & 0xc0) == 0x80)
		;
	if (start > 0 && utf8_decode(s + i, start - i, &cp) > 0 &&
	    pretoken_wordchar(cp))
		return (1);
	return (stop < n && utf8_decode(s + stop, n - stop, &cp) > 0 &&
	    pretoken_wordchar(cp));
}

/* Return the end of the white space that begins at byte i. Each run is measured
 * only once. */
static size_t
added_space_end(struct added_scan *x, size_t i)
{
	if (i < x->space[0] || i > x->space[1]) {
		x->space[0] = i;
		x->space[1] = i + pretoken_leading(x->s + i, x->n - i);
	}
	return (x->space[1]);
}

/* Fill *m with item t, which was found at byte i. Return 0 if nothing is left
 * of it: the last match took its white space and ended after it. */
static int
added_take(struct added_scan *x, const struct added *t, size_t i,
    struct added_match *m)
{
	*m = (struct added_match){ i, i + t->len, t->id };
	if ((t->flags & ADDED_LSTRIP) && m->start < x->cut)
		m->start = x->cut;
	else if (t->flags & ADDED_LSTRIP)
		m->start -= pretoken_trailing(x->s + x->cut,
		    m->start - x->cut);
	if (t->flags & ADDED_RSTRIP)
		m->stop = added_space_end(x, m->stop);
	x->cut = m->stop;
	return (m->start != m->stop);
}

/* Find the next one. */
int
added_next(struct added_scan *x, struct added_match *m)
{
	const struct added	*t;
	size_t			 i;

	for (i = x->at; i < x->n; i++) {
		if (x->set->first[(uint8_t)x->s[i]] == 0)
			continue;
		if ((t = added_longest(x->set, x->s + i, x->n - i)) == NULL)
			continue;
		x->at = i + t->len;
		if (((t->flags & ADDED_SPECIAL) && !x->special) ||
		    ((t->flags & ADDED_WORD) && added_touched(x->s, x->n, i,
		    i + t->len))) {
			i = x->at - 1;
			continue;
		}
		if (added_take(x, t, i, m))
			return (1);
		i = x->at - 1;
	}
	x->at = x->n;
	return (0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One automaton (Aho-Corasick) for the literals of many rules.  One pass over a
 * text says where a match of each rule may begin.
 */
#ifndef PREFILTER_H
#define PREFILTER_H

#include <stddef.h>
#include <stdint.h>

struct literals;
struct prefilter;

/* Places: a match may begin at lo, hi or between them. */
struct places {
	size_t	 lo, hi;
	uint32_t next;			/* index of the next ones, or 0 */
};

/* What a pass found. Set it to zero before the first pass. */
struct prefilter_hits {
	struct places	*list;		/* owned; list[0] is not used */
	size_t		 n, size;
	uint32_t	*head, *tail;	/* owned: [rules] indices, or 0 */
	size_t		 rules;
};

/* Make an automaton without literals. rules is the number of rules. */
struct prefilter	*prefilter_new(size_t rules);
void			 prefilter_free(struct prefilter *pf);

/* Add the literals of a rule, whose matches see span bytes. 0, or -1 if the
 * automaton is full; the rule's literals then don't count. */
int	 prefilter_add(struct prefilter *pf, size_t rule, size_t span,
	    const struct literals *literals);

/* Complete the automaton; nothing can be added then. */
void	 prefilter_build(struct prefilter *pf);

/*
 * Find the places in text[from..len) where matches that begin there may begin.
 * text[head..len) can be read, head <= from. Places of one rule are in order
 * and don't touch.
 */
void	 prefilter_scan(const struct prefilter *pf, const char *text,
	    size_t head, size_t from, size_t len, struct prefilter_hits *hits);

/* Release what hits owns. */
void	 prefilter_hits_clear(struct prefilter_hits *hits);

#endif

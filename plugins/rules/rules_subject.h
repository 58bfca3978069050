/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A piece of a text in the form that a rule needs: for rules_match.c only.
 */
#ifndef RULES_SUBJECT_H
#define RULES_SUBJECT_H

#include <stddef.h>

#include "fold.h"
#include "prefilter.h"
#include "rules.h"

/* A text in the form that a rule needs. */
struct subject {
	const char		*text;
	size_t			 len;	/* text[head..len) is known */
	size_t			 head;
	size_t			 spans;	/* a match that ends later waits */
	size_t			 known;	/* new text begins after it */
	size_t			 settled;	/* new matches begin here */
	int			 cut;	/* there is more before head */
	int			 begins, ends;	/* nothing before, after */
	const struct fold	*fold;	/* borrowed; NULL: the original */
	size_t			 whole;	/* bytes of the original */
	const struct prefilter_hits *hits;	/* borrowed; NULL: none */
	size_t			 scanned;	/* hits are from there on */
};

/*
 * Fold the end of a piece into *f and *s, as much as the rules of that
 * direction need, or (all) the whole piece; mend is FOLD_PLAIN or 0. The caller
 * calls fold_clear; the subject borrows f.
 */
void	 subject_fold(const struct rules *rs, unsigned direction,
	    const struct rules_piece *p, int all, unsigned mend,
	    struct fold *f, struct subject *s);

#endif

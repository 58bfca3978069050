/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folded form of a piece: how much of the text before the new bytes it
 * needs, and which of its bytes are certain.
 */
#include "rules_subject.h"

#define SUBJECT_CUT	48	/* bytes folded beyond what matches need */

/* The first folded byte that came from byte i of the original or from a byte
 * after it. */
static size_t
subject_folded(const struct fold *f, size_t i)
{
	size_t	 lo = 0, hi = f->len, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (f->to[mid] <= i)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (lo);
}

/* Fold the end of a piece, as much as the rules of that direction need, or all
 * of it; mend is FOLD_PLAIN or 0. */
void
subject_fold(const struct rules *rs, unsigned direction,
    const struct rules_piece *p, int all, unsigned mend, struct fold *f,
    struct subject *s)
{
	size_t	 need = rs->window[direction == RULE_REPLY];
	size_t	 before = rs->before[direction == RULE_REPLY];
	size_t	 back, cut, settled, i;

	for (back = before + SUBJECT_CUT;; back *= 2) {
		i = p->fresh > need ? p->fresh - need : 0;
		i = i > p->settled ? i : p->settled;
		cut = i > back && !all ? i - back : 0;
		while (cut > 0 && (p->text[cut] & 0xc0) == 0x80)
			cut--;
		fold_piece(f, p->text + cut, p->len - cut, p->fresh - cut,
		    (p->begins && cut == 0 ? FOLD_BEGINS : 0) |
		    (p->ends ? FOLD_ENDS : 0) | mend);
		for (i = 0; cut > 0 && i < f->len; i++) {
			f->from[i] += (uint32_t)cut;
			f->to[i] += (uint32_t)cut;
		}
		settled = subject_folded(f, p->settled);
		if (cut == 0 || settled >= f->head + before ||
		    f->known >= f->head + need)
			break;
		fold_clear(f);
	}
	settled = settled < f->tail ? settled : f->tail;
	*s = (struct subject){ f->text, f->tail, f->head, f->spans, f->known,
	    settled, cut > 0, p->begins && cut == 0, p->ends, f, p->len, NULL,
	    0 };
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does an exempting word govern a match?  "Prevent a bombing" is harmless,
 * "plan a bombing, and do not stop" is not.
 */
#ifndef GOVERN_H
#define GOVERN_H

#include <stddef.h>

#define GOVERN_BACK	40	/* bytes read before an exempting match */

struct span {
	size_t	 start, end;
};

/*
 * text[head..len) is known. It governs if it stands in the same clause as the
 * match and is not negated. A clause ends at . ! ? ; and at a line end, and
 * before "and", "but", "then" and "so" if a verb or a subject follows. What is
 * read depends only on the text from GOVERN_BACK bytes before the earlier of
 * the two to the word after them.
 */
int	 govern_exempts(const char *text, size_t head, size_t len,
	    const struct span *match, const struct span *exempt);

/* The first byte in text[from..to) that ends a clause, or to. text[to] is
 * known, or the text ends there (to = len). */
size_t	 govern_clause(const char *text, size_t from, size_t to, size_t len);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A place in a pattern that PCRE2 has compiled.  first.c reads the bytes that
 * matches begin with, literal.c the literals that they have, span.c how long
 * they can be.
 */
#ifndef PATTERN_READER_H
#define PATTERN_READER_H

struct pattern_reader {
	const char	*p, *end;	/* borrowed */
	int		 depth;		/* of groups */
	int		 failed;	/* by unknown syntax */
};

/* Read what follows "(?". 1 for a group, 0 for flags only. *nothing becomes 1
 * if the group matches no bytes: it looks ahead or behind. */
int	pattern_flags(struct pattern_reader *r, int *nothing);

/* Is s next? Then skip it. */
int	pattern_skip(struct pattern_reader *r, const char *s);

#endif

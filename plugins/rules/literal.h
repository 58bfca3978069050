/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Literals of a pattern: a set of short strings of which at least one stands in
 * every match.  A text without them needs no search.
 */
#ifndef LITERAL_H
#define LITERAL_H

#include <stddef.h>

#define LITERAL_BYTES	10	/* kept of one literal */
#define LITERAL_WIDE	30	/* bytes of a text that one may take */
#define LITERALS_MAX	256	/* in a set */

/* What must stand beside a literal: no letter, digit or "_" of ASCII. */
enum { LITERAL_LEFT = 0x1, LITERAL_RIGHT = 0x2 };

/* A literal: bytes of ASCII, letters in lower case. */
struct literal {
	char		 s[LITERAL_BYTES];
	unsigned char	 len;
	unsigned char	 edges;		/* LITERAL_... */
};

struct literals {
	size_t		 n;
	int		 lead;		/* every match begins with one */
	struct literal	 list[];
};

/*
 * The literals of a PCRE2 pattern of len bytes, which compiles (UTF, with case
 * or without). They stand inside the match, not in a lookaround. In the text
 * U+017F counts as "s", U+212A as "k" and a capital as its small letter. Of
 * several sets it is the one whose literals should be rarest in English. The
 * caller frees it. NULL if there is none, or none that is rare.
 */
struct literals	*literals_of(const char *pattern, size_t len);

#endif

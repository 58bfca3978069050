/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The number of bytes that a pattern can look at.
 */
#ifndef SPAN_H
#define SPAN_H

#include <stddef.h>

#define SPAN_MIN	64	/* bytes */
#define SPAN_MAX	1024
#define SPAN_REPEAT	16	/* "*" and "+" add this to their least number */

/*
 * The span of a PCRE2 pattern of len bytes, which compiles: the number of bytes
 * from the start of a match to its end, or to the end of its lookahead. A
 * character counts as 2 bytes (English letters have 1), a repeat without a
 * limit as its least number plus SPAN_REPEAT. SPAN_MIN to SPAN_MAX.
 */
size_t	 span_of(const char *pattern, size_t len);

/* The part of a pattern that makes its matches depend on the place where
 * matching began ("\G", "(*SKIP" or "(*COMMIT"), or NULL. */
const char *span_not_local(const char *pattern, size_t len);

#endif

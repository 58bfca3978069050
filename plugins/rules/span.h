/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of a text a pattern can look at.
 */
#ifndef SPAN_H
#define SPAN_H

#include <stddef.h>

#define SPAN_MIN	64	/* bytes */
#define SPAN_MAX	1024
#define SPAN_REPEAT	16	/* what "*" and "+" count beyond the least */

/*
 * The span of a PCRE2 pattern that compiles, len bytes long: from the start of
 * a match, how many bytes a match may need, with what it looks ahead at. A
 * character counts as 2 bytes (letters of English have 1), a repeat without a
 * bound as SPAN_REPEAT times more than its least number. SPAN_MIN to SPAN_MAX.
 */
size_t	 span_of(const char *pattern, size_t len);

/* What makes the pattern's matches depend on where matching began ("\G",
 * "(*SKIP" or "(*COMMIT"), or NULL. */
const char *span_not_local(const char *pattern, size_t len);

#endif

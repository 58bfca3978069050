/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Added tokens: strings that a tokenizer cuts out of a text whole, leftmost
 * and longest first, before anything else looks at it.
 */
#ifndef ENGINE_ADDED_H
#define ENGINE_ADDED_H

#include <stddef.h>
#include <stdint.h>

#define ADDED_BYTES_MAX	256	/* longest added token */

/* What an added token is. */
#define ADDED_SPECIAL	0x1	/* found only where specials are asked for */
#define ADDED_LSTRIP	0x2	/* takes the white space before it along */
#define ADDED_RSTRIP	0x4	/* ... and after it */
#define ADDED_WORD	0x8	/* only where no word character touches it */
#define ADDED_FLAGS	0xf	/* all of them */

struct added_set;

/* What was found: bytes start to stop of the text are token id. */
struct added_match {
	size_t	 start, stop;
	int32_t	 id;
};

/* A search through one text; all borrowed. Set the first four members, the
 * rest to zero. */
struct added_scan {
	const struct added_set	*set;
	const char		*s;		/* valid UTF-8 */
	size_t			 n;		/* bytes */
	int			 special;	/* find special tokens */
	size_t			 at;		/* bytes looked at */
	size_t			 cut;		/* stop of the last match */
	size_t			 space[2];	/* the white space after it */
};

struct added_set *added_new(void);
void	 added_free(struct added_set *a);

/* Add a string of 1 to ADDED_BYTES_MAX bytes (copied). */
void	 added_add(struct added_set *a, const char *s, size_t n, int32_t id,
	    unsigned flags);

/*
 * After the last string and before the first search. 0, or CHAT_EFORMAT
 * where two tokens have the same string: their ids are in twice.
 */
int	 added_seal(struct added_set *a, int32_t twice[2]);

/* After that: how many strings there are, and number i of them by their bytes
 * (borrowed, *n bytes) with what it was added with. */
size_t	 added_count(const struct added_set *a);
const char *added_item(const struct added_set *a, size_t i, size_t *n,
	    int32_t *id, unsigned *flags);

/*
 * Find the next added token. Returns 1 and fills *m, or 0: the rest of the
 * text, from scan->cut on, has none. What stands between the stop of one
 * match and the start of the next is ordinary text. As in the reference
 * tokenizer, a token that its flags forbid where it stands hides shorter and
 * overlapping ones, and one that took the white space after it along may be
 * followed by one that begins in there: then start, and even stop, may lie
 * below the last stop. Time grows as n times the length of the longest token
 * at worst.
 */
int	 added_next(struct added_scan *scan, struct added_match *m);

#endif

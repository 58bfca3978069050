/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Added tokens: strings that a tokenizer cuts out of a text as a whole,
 * leftmost and longest first, before it does anything else with the text.
 */
#ifndef ENGINE_ADDED_H
#define ENGINE_ADDED_H

#include <stddef.h>
#include <stdint.h>

#define ADDED_BYTES_MAX	256	/* bytes of the longest added token */

/* Flags of an added token. */
#define ADDED_SPECIAL	0x1	/* found only if scan->special is set */
#define ADDED_LSTRIP	0x2	/* takes the white space before it */
#define ADDED_RSTRIP	0x4	/* takes the white space after it */
#define ADDED_WORD	0x8	/* only if no word character touches it */
#define ADDED_FLAGS	0xf	/* all flags */

struct added_set;

/* A match: bytes start to stop of the text are token id. */
struct added_match {
	size_t	 start, stop;
	int32_t	 id;
};

/* A search through one text; all members are borrowed. Set the first four
 * members, and the others to zero. */
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
 * Finish the set, after the last string and before the first search. Returns 0,
 * or CHAT_EFORMAT if two tokens have the same string: twice gets their ids.
 */
int	 added_seal(struct added_set *a, int32_t twice[2]);

/* For a finished set: the number of strings, and string i in the order of bytes
 * (borrowed, *n bytes) with its id and flags. */
size_t	 added_count(const struct added_set *a);
const char *added_item(const struct added_set *a, size_t i, size_t *n,
	    int32_t *id, unsigned *flags);

/*
 * Find the next added token. Returns 1 and fills *m, or returns 0: the rest of
 * the text, from scan->cut on, has none. The bytes between the stop of one
 * match and the start of the next are ordinary text.
 *
 * As in the reference tokenizer, a token whose flags forbid it at its place
 * still hides shorter and overlapping tokens. If a token took the white space
 * after it, the next token may begin inside that white space. Its start, and
 * even its stop, may then be below the last stop.
 *
 * The time grows at worst as n times the length of the longest token.
 */
int	 added_next(struct added_scan *scan, struct added_match *m);

#endif

/*
 * Added tokens: strings that a tokenizer cuts out of a text whole, leftmost
 * and longest first, before anything else looks at it.
 */
#ifndef ENGINE_ADDED_H
#define ENGINE_ADDED_H

#include <stddef.h>
#include <stdint.h>

#define ADDED_BYTES_MAX	256	/* longest added token */

struct added_set;

/* What was found, and where. */
struct added_match {
	size_t	 start, len;	/* bytes */
	int32_t	 id;
};

struct added_set *added_new(void);
void	 added_free(struct added_set *a);

/* Add a string of 1 to ADDED_BYTES_MAX bytes (copied). After the last one
 * call added_seal, and only then added_find. */
void	 added_add(struct added_set *a, const char *s, size_t n, int32_t id,
	    int special);
void	 added_seal(struct added_set *a);

/* Find the first added token in n bytes; special ones count only where
 * special is true. Returns 1 and fills *m, or 0. */
int	 added_find(const struct added_set *a, const char *s, size_t n,
	    int special, struct added_match *m);

#endif

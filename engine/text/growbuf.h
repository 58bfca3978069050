/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two growing arrays of the engine: token ids and bytes of text.  Both
 * live in the caller's memory, start as all zeros and grow by doubling.
 */
#ifndef ENGINE_VEC_H
#define ENGINE_VEC_H

#include <stddef.h>
#include <stdint.h>

struct ids {
	int32_t	*id;		/* owned */
	size_t	 n, size;	/* used, allocated */
};

struct text {
	char	*s;		/* owned; not NUL-ended */
	size_t	 n, size;	/* bytes used, allocated */
};

/* Append one id, or n of them (id may be NULL where n is 0). */
void	ids_add(struct ids *v, int32_t id);
void	ids_append(struct ids *v, const int32_t *id, size_t n);
/* Release the memory; v is empty and usable again. */
void	ids_clear(struct ids *v);

/* Append n bytes (s may be NULL where n is 0), or a NUL-ended string. */
void	text_add(struct text *t, const char *s, size_t n);
void	text_puts(struct text *t, const char *s);
/* Take the first n bytes away; n is at most t->n. */
void	text_shift(struct text *t, size_t n);
/* Release the memory; t is empty and usable again. */
void	text_clear(struct text *t);

#endif

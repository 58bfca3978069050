/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two growing buffers: an idbuf holds token ids, a textbuf holds bytes of
 * text.  The caller holds the struct and sets it to zeros before first use.
 * Both grow by doubling.
 */
#ifndef BASE_GROWBUF_H
#define BASE_GROWBUF_H

#include <stddef.h>
#include <stdint.h>

struct idbuf {
	int32_t	*id;		/* owned */
	size_t	 n, size;	/* used, allocated */
};

struct textbuf {
	char	*s;		/* owned; not NUL-ended */
	size_t	 n, size;	/* bytes used, allocated */
};

/* Append one id, or n of them (id may be NULL if n is 0). */
void	idbuf_add(struct idbuf *v, int32_t id);
void	idbuf_append(struct idbuf *v, const int32_t *id, size_t n);
/* Release the memory; v is empty and usable again. */
void	idbuf_clear(struct idbuf *v);

/* Append n bytes (s may be NULL if n is 0), or a NUL-ended string. */
void	textbuf_add(struct textbuf *t, const char *s, size_t n);
void	textbuf_puts(struct textbuf *t, const char *s);
/* Remove the first n bytes; n is at most t->n. */
void	textbuf_shift(struct textbuf *t, size_t n);
/* Release the memory; t is empty and usable again. */
void	textbuf_clear(struct textbuf *t);

#endif

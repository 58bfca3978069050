/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing buffers of token ids and of text.
 */
#include "growbuf.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

/* Append one id. */
void
idbuf_add(struct idbuf *v, int32_t id)
{
	idbuf_append(v, &id, 1);
}

/* Append n ids. */
void
idbuf_append(struct idbuf *v, const int32_t *id, size_t n)
{
	if (n == 0)
		return;
	if (v->size - v->n < n) {
		v->size = (v->n + n) * 2;
		v->id = xreallocarray(v->id, v->size, sizeof *v->id);
	}
	memcpy(v->id + v->n, id, n * sizeof *id);
	v->n += n;
}

/* Release a buffer of ids. */
void
idbuf_clear(struct idbuf *v)
{
	free(v->id);
	memset(v, 0, sizeof *v);
}

/* Append n bytes. */
void
textbuf_add(struct textbuf *t, const char *s, size_t n)
{
	if (n == 0)
		return;
	if (t->size - t->n < n) {
		t->size = (t->n + n) * 2;
		t->s = xreallocarray(t->s, t->size, 1);
	}
	memcpy(t->s + t->n, s, n);
	t->n += n;
}

/* Append a string. */
void
textbuf_puts(struct textbuf *t, const char *s)
{
	textbuf_add(t, s, strlen(s));
}

/* Remove bytes from the front. */
void
textbuf_shift(struct textbuf *t, size_t n)
{
	if (n == 0)
		return;
	memmove(t->s, t->s + n, t->n - n);
	t->n -= n;
}

/* Release a buffer of text. */
void
textbuf_clear(struct textbuf *t)
{
	free(t->s);
	memset(t, 0, sizeof *t);
}

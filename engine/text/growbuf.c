/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing arrays of token ids and of text.
 */
#include "growbuf.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

/* Append one id. */
void
ids_add(struct ids *v, int32_t id)
{
	ids_append(v, &id, 1);
}

/* Append n ids. */
void
ids_append(struct ids *v, const int32_t *id, size_t n)
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

/* Release an array of ids. */
void
ids_clear(struct ids *v)
{
	free(v->id);
	memset(v, 0, sizeof *v);
}

/* Append n bytes. */
void
text_add(struct text *t, const char *s, size_t n)
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
text_puts(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

/* Take bytes away from the front. */
void
text_shift(struct text *t, size_t n)
{
	if (n == 0)
		return;
	memmove(t->s, t->s + n, t->n - n);
	t->n -= n;
}

/* Release a text. */
void
text_clear(struct text *t)
{
	free(t->s);
	memset(t, 0, sizeof *t);
}

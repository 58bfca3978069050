/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine that runs a checkpoint's pickle to its end, and the table that is
 * then on its stack. pickle_ops.c has the instructions, and pickle_call.c the
 * functions that a pickle can call.
 */
#include "pickle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pickle_impl.h"
#include "xmalloc.h"

#define PICKLE_PROTO		0x80
#define PICKLE_STOP		'.'

static enum pickle_error	pickle_run(struct pickle *);
static enum pickle_error	pickle_result(struct pickle *,
				    struct pickle_table *);

/* Report an error: the file, the byte, and what is wrong. */
enum pickle_error
pickle_fail(struct pickle *p, enum pickle_error why, const char *fmt, ...)
{
	char	 text[300];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	fault_set(p->f, "bad_model", NULL, "%s: pickle, byte %zu: %s",
	    p->path, p->op, text);
	return (why);
}

/* Read a pickle. */
enum pickle_error
pickle_read(const char *path, const uint8_t *bytes, size_t n,
    struct pickle_table *out, struct fault *f)
{
	struct pickle		*p = xcalloc(1, sizeof *p);
	enum pickle_error	 e;

	p->path = path;
	p->bytes = bytes;
	p->n = n;
	p->f = f;
	if (n > PICKLE_BYTES_MAX)
		e = pickle_fail(p, PICKLE_TOO_BIG, "%zu bytes: expected at "
		    "most %d", n, PICKLE_BYTES_MAX);
	else if ((e = pickle_run(p)) == PICKLE_OK)
		e = pickle_result(p, out);
	free(p->objects);
	free(p->members);
	free(p->items);
	free(p->tensors);
	free(p->memo);
	free(p);
	return (e);
}

/* Release a table. */
void
pickle_clear(struct pickle_table *t)
{
	size_t	 i;

	for (i = 0; i < t->n; i++)
		free(t->tensors[i].name);
	free(t->tensors);
	memset(t, 0, sizeof *t);
}

/* Make room for one more element. */
void *
pickle_grow(void *array, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return (array);
	*room = *room == 0 ? 64 : *room * 2;
	return (xreallocarray(array, *room, size));
}

/* Make a new object. */
enum pickle_error
pickle_new(struct pickle *p, enum pickle_kind kind, uint32_t *out)
{
	if (p->nobjects == PICKLE_OBJECTS_MAX)
		return (pickle_fail(p, PICKLE_OBJECTS, "over %d objects",
		    PICKLE_OBJECTS_MAX));
	p->objects = pickle_grow(p->objects, p->nobjects, &p->objects_room,
	    sizeof *p->objects);
	memset(&p->objects[p->nobjects], 0, sizeof *p->objects);
	p->objects[p->nobjects].kind = kind;
	*out = (uint32_t)p->nobjects++;
	return (PICKLE_OK);
}

/* Run it up to its STOP. */
static enum pickle_error
pickle_run(struct pickle *p)
{
	const struct pickle_op	*op;
	uint8_t			 code;
	enum pickle_error	 e;

	if (p->n < 2 || p->bytes[0] != PICKLE_PROTO)
		return (pickle_fail(p, PICKLE_PROTOCOL,
		    "expected a pickle of protocol 2"));
	if (p->bytes[1] != 2)
		return (pickle_fail(p, PICKLE_PROTOCOL, "a pickle of protocol "
		    "%u: expected 2", p->bytes[1]));
	for (p->at = 2; p->at < p->n;) {
		p->op = p->at;
		code = p->bytes[p->at++];
		if (code == PICKLE_STOP)
			return (p->at == p->n ? PICKLE_OK : pickle_fail(p,
			    PICKLE_TRAILING, "bytes after the end"));
		if ((op = pickle_op_find(code)) == NULL)
			return (pickle_fail(p, PICKLE_OPCODE,
			    "unknown opcode 0x%02x", code));
		if (op->run == NULL)
			return (pickle_fail(p, PICKLE_OPCODE,
			    "forbidden opcode %s", op->name));
		if ((e = op->run(p, op->arg)) != PICKLE_OK)
			return (e);
	}
	p->op = p->n;
	return (pickle_fail(p, PICKLE_END, "the pickle has no end"));
}

/* Return the number of items that a dictionary has. */
static size_t
pickle_count(const struct pickle *p, uint32_t dict)
{
	size_t	 i, n = 0;

	for (i = 0; i < p->nitems; i++)
		n += p->items[i].dict == dict;
	return (n);
}

/* Report an item that is not a tensor with a name. */
static enum pickle_error
pickle_no_tensor(struct pickle *p, const struct pickle_object *key)
{
	int	 named = key->kind == PICKLE_K_STRING && key->n > 0;

	return (pickle_fail(p, PICKLE_RESULT, "expected a dictionary of "
	    "tensors by name, found %.*s that is not one", named ?
	    (int)key->n : 8, named ? (const char *)p->bytes + key->first :
	    "an entry"));
}

/* Make a table of tensors from the dictionary on the stack. */
static enum pickle_error
pickle_result(struct pickle *p, struct pickle_table *out)
{
	const struct pickle_object	*key, *value;
	struct pickle_table		 t = { 0 };
	uint32_t			 dict;
	size_t				 i, n;

	if (p->depth != 1 || p->nmarks != 0 ||
	    p->objects[p->stack[0]].kind != PICKLE_K_DICT)
		return (pickle_fail(p, PICKLE_RESULT,
		    "expected a dictionary of tensors"));
	dict = p->stack[0];
	if ((n = pickle_count(p, dict)) > PICKLE_TENSORS_MAX)
		return (pickle_fail(p, PICKLE_OBJECTS, "over %d tensors",
		    PICKLE_TENSORS_MAX));
	t.tensors = xcalloc(n + 1, sizeof *t.tensors);
	for (i = 0; i < p->nitems; i++) {
		if (p->items[i].dict != dict)
			continue;
		key = &p->objects[p->items[i].key];
		value = &p->objects[p->items[i].value];
		if (key->kind != PICKLE_K_STRING || key->n == 0 ||
		    value->kind != PICKLE_K_TENSOR) {
			pickle_clear(&t);
			return (pickle_no_tensor(p, key));
		}
		t.tensors[t.n] = p->tensors[value->first];
		t.tensors[t.n++].name = xstrndup((const char *)p->bytes +
		    key->first, key->n);
	}
	*out = t;
	return (PICKLE_OK);
}

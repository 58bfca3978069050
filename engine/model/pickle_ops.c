/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supported instructions: those of protocol 2 that torch.save writes. Each
 * function gets the machine and the number from the table at the end of this
 * file.
 */
#include <stdio.h>
#include <string.h>

#include "pickle_impl.h"
#include "utf8.h"
#include "xmalloc.h"

#define PICKLE_LINE_MAX		128	/* bytes of the name of a module or
					 * function */

/* Push an object onto the stack. */
static enum pickle_error
pickle_push(struct pickle *p, uint32_t object)
{
	if (p->depth == PICKLE_STACK_MAX)
		return (pickle_fail(p, PICKLE_STACK,
		    "over %d values on the stack", PICKLE_STACK_MAX));
	p->stack[p->depth++] = object;
	return (PICKLE_OK);
}

/* Check that there are n values above the last mark. */
static enum pickle_error
pickle_need(struct pickle *p, size_t n)
{
	size_t	 floor = p->nmarks == 0 ? 0 : p->marks[p->nmarks - 1];

	if (p->depth - floor >= n)
		return (PICKLE_OK);
	return (pickle_fail(p, PICKLE_STACK, "takes %zu values, %zu are there",
	    n, p->depth - floor));
}

/* Return the next n bytes of the pickle. */
static enum pickle_error
pickle_take(struct pickle *p, size_t n, const uint8_t **out)
{
	if (n > p->n - p->at)
		return (pickle_fail(p, PICKLE_END,
		    "the pickle ends inside this"));
	*out = p->bytes + p->at;
	p->at += n;
	return (PICKLE_OK);
}

/* Read an unsigned number of n bytes, 1 to 8. */
static enum pickle_error
pickle_number(struct pickle *p, int n, uint64_t *out)
{
	const uint8_t		*b = NULL;
	enum pickle_error	 e;

	if ((e = pickle_take(p, (size_t)n, &b)) != PICKLE_OK)
		return (e);
	for (*out = 0; n > 0; n--)
		*out = *out << 8 | b[n - 1];
	return (PICKLE_OK);
}

/* Push a new object of that kind. */
static enum pickle_error
pickle_push_new(struct pickle *p, enum pickle_kind kind, int64_t i)
{
	uint32_t		 o;
	enum pickle_error	 e;

	if ((e = pickle_new(p, kind, &o)) != PICKLE_OK)
		return (e);
	p->objects[o].i = i;
	return (pickle_push(p, o));
}

/* NONE. */
static enum pickle_error
pickle_op_none(struct pickle *p, int arg)
{
	(void)arg;
	return (pickle_push_new(p, PICKLE_K_NONE, 0));
}

/* NEWTRUE, NEWFALSE. */
static enum pickle_error
pickle_op_bool(struct pickle *p, int arg)
{
	return (pickle_push_new(p, PICKLE_K_BOOL, arg));
}

/* EMPTY_DICT. */
static enum pickle_error
pickle_op_dict(struct pickle *p, int arg)
{
	(void)arg;
	return (pickle_push_new(p, PICKLE_K_DICT, 0));
}

/* BININT1, BININT2 (unsigned), BININT (signed, 4 bytes). */
static enum pickle_error
pickle_op_int(struct pickle *p, int arg)
{
	uint64_t		 v;
	enum pickle_error	 e;

	if ((e = pickle_number(p, arg, &v)) != PICKLE_OK)
		return (e);
	return (pickle_push_new(p, PICKLE_K_INT, arg == 4 ?
	    (int64_t)(int32_t)(uint32_t)v : (int64_t)v));
}

/* LONG1: a length, then that many bytes of two's complement. */
static enum pickle_error
pickle_op_long(struct pickle *p, int arg)
{
	uint64_t		 n, v = 0;
	enum pickle_error	 e;

	if ((e = pickle_number(p, arg, &n)) != PICKLE_OK)
		return (e);
	if (n > 8)
		return (pickle_fail(p, PICKLE_INTEGER, "an integer of %llu "
		    "bytes: expected at most 8", (unsigned long long)n));
	if ((e = pickle_number(p, (int)n, &v)) != PICKLE_OK)
		return (e);
	if (n > 0 && n < 8 && v >> (8 * n - 1) != 0)
		v |= UINT64_MAX << (8 * n);
	return (pickle_push_new(p, PICKLE_K_INT, (int64_t)v));
}

/* BINUNICODE: a length, then the text. */
static enum pickle_error
pickle_op_string(struct pickle *p, int arg)
{
	const uint8_t		*b = NULL;
	struct pickle_object	*o;
	uint64_t		 n;
	size_t			 i;
	enum pickle_error	 e;

	if ((e = pickle_number(p, arg, &n)) != PICKLE_OK)
		return (e);
	if (n > PICKLE_STRING_MAX)
		return (pickle_fail(p, PICKLE_STRING, "a string of %llu bytes:"
		    " expected at most %d", (unsigned long long)n,
		    PICKLE_STRING_MAX));
	if ((e = pickle_take(p, (size_t)n, &b)) != PICKLE_OK)
		return (e);
	for (i = 0; i < n; i++)
		if (b[i] < ' ' || b[i] == 127)
			return (pickle_fail(p, PICKLE_STRING,
			    "a string with a control character"));
	if (!utf8_valid((const char *)b, (size_t)n))
		return (pickle_fail(p, PICKLE_STRING,
		    "a string that is not UTF-8"));
	if ((e = pickle_push_new(p, PICKLE_K_STRING, 0)) != PICKLE_OK)
		return (e);
	o = &p->objects[p->nobjects - 1];
	o->first = (uint32_t)(b - p->bytes);
	o->n = (uint32_t)n;
	return (PICKLE_OK);
}

/* MARK. */
static enum pickle_error
pickle_op_mark(struct pickle *p, int arg)
{
	(void)arg;
	if (p->nmarks == PICKLE_MARKS_MAX)
		return (pickle_fail(p, PICKLE_MARK, "over %d marks",
		    PICKLE_MARKS_MAX));
	p->marks[p->nmarks++] = (uint32_t)p->depth;
	return (PICKLE_OK);
}

/* Remove the last mark; *first is the index of the first value above it. */
static enum pickle_error
pickle_unmark(struct pickle *p, size_t *first)
{
	if (p->nmarks == 0)
		return (pickle_fail(p, PICKLE_MARK, "takes values up to a "
		    "mark, but there is no mark"));
	*first = p->marks[--p->nmarks];
	return (PICKLE_OK);
}

/* Make a tuple of the top n values, or, if n is negative, of those above the
 * mark. */
static enum pickle_error
pickle_op_tuple(struct pickle *p, int n)
{
	size_t			 first = 0, i;
	uint32_t		 o;
	enum pickle_error	 e;

	if (n < 0)
		e = pickle_unmark(p, &first);
	else if ((e = pickle_need(p, (size_t)n)) == PICKLE_OK)
		first = p->depth - (size_t)n;
	if (e != PICKLE_OK || (e = pickle_new(p, PICKLE_K_TUPLE, &o)) !=
	    PICKLE_OK)
		return (e);
	if (p->depth - first > PICKLE_OBJECTS_MAX - p->nmembers)
		return (pickle_fail(p, PICKLE_OBJECTS, "over %d members",
		    PICKLE_OBJECTS_MAX));
	p->objects[o].first = (uint32_t)p->nmembers;
	p->objects[o].n = (uint32_t)(p->depth - first);
	for (i = first; i < p->depth; i++) {
		p->members = pickle_grow(p->members, p->nmembers,
		    &p->members_room, sizeof *p->members);
		p->members[p->nmembers++] = p->stack[i];
	}
	p->depth = first;
	return (pickle_push(p, o));
}

/* BINPUT, LONG_BINPUT: store the value on top under a number. */
static enum pickle_error
pickle_op_put(struct pickle *p, int arg)
{
	uint64_t		 k;
	size_t			 had = p->memo_room;
	enum pickle_error	 e;

	if ((e = pickle_number(p, arg, &k)) != PICKLE_OK ||
	    (e = pickle_need(p, 1)) != PICKLE_OK)
		return (e);
	if (k >= PICKLE_MEMO_MAX)
		return (pickle_fail(p, PICKLE_MEMO, "memo number %llu: "
		    "expected less than %d", (unsigned long long)k,
		    PICKLE_MEMO_MAX));
	while (k >= p->memo_room)
		p->memo_room = p->memo_room == 0 ? 256 : p->memo_room * 2;
	if (p->memo_room != had) {
		p->memo = xreallocarray(p->memo, p->memo_room,
		    sizeof *p->memo);
		memset(p->memo + had, 0, (p->memo_room - had) *
		    sizeof *p->memo);
	}
	p->memo[k] = p->stack[p->depth - 1] + 1;
	return (PICKLE_OK);
}

/* BINGET, LONG_BINGET: push the value of that number. */
static enum pickle_error
pickle_op_get(struct pickle *p, int arg)
{
	uint64_t		 k;
	enum pickle_error	 e;

	if ((e = pickle_number(p, arg, &k)) != PICKLE_OK)
		return (e);
	if (k >= p->memo_room || p->memo[k] == 0)
		return (pickle_fail(p, PICKLE_MEMO, "memo number %llu was "
		    "never stored", (unsigned long long)k));
	return (pickle_push(p, p->memo[k] - 1));
}

/* Read one line of text, for GLOBAL and INST. In messages, every byte that is
 * not a plain character is replaced. */
static enum pickle_error
pickle_line(struct pickle *p, char out[PICKLE_LINE_MAX])
{
	const uint8_t	*b = p->bytes + p->at, *end;
	size_t		 n, i;

	end = memchr(b, '\n', p->n - p->at);
	if (end == NULL)
		return (pickle_fail(p, PICKLE_END,
		    "the pickle ends inside this"));
	n = (size_t)(end - b);
	for (i = 0; i < n && i < PICKLE_LINE_MAX - 1; i++)
		out[i] = b[i] > ' ' && b[i] < 127 ? (char)b[i] : '?';
	out[i] = '\0';
	p->at += n + 1;
	return (PICKLE_OK);
}

/* GLOBAL, and INST, which would also call it. */
static enum pickle_error
pickle_op_global(struct pickle *p, int inst)
{
	char			 module[PICKLE_LINE_MAX];
	char			 name[PICKLE_LINE_MAX];
	const struct pickle_global *g;
	enum pickle_error	 e;

	if ((e = pickle_line(p, module)) != PICKLE_OK ||
	    (e = pickle_line(p, name)) != PICKLE_OK)
		return (e);
	if ((g = pickle_global_find(module, name)) == NULL)
		return (pickle_fail(p, PICKLE_GLOBAL,
		    "forbidden global \"%s.%s\"", module, name));
	if (inst)
		return (pickle_fail(p, PICKLE_OPCODE,
		    "forbidden opcode INST"));
	if ((e = pickle_push_new(p, PICKLE_K_GLOBAL, 0)) == PICKLE_OK)
		p->objects[p->nobjects - 1].global = g;
	return (e);
}

/* Return the text of a string on the stack, or "?". */
static void
pickle_show(const struct pickle *p, size_t at, char out[PICKLE_LINE_MAX])
{
	const struct pickle_object	*o = &p->objects[p->stack[at]];

	snprintf(out, PICKLE_LINE_MAX, "%.*s", o->kind == PICKLE_K_STRING ?
	    (int)o->n : 1, o->kind == PICKLE_K_STRING ?
	    (const char *)p->bytes + o->first : "?");
}

/* STACK_GLOBAL, of protocol 4, is refused; the message has the name that it
 * would push. */
static enum pickle_error
pickle_op_stack_global(struct pickle *p, int arg)
{
	char			 module[PICKLE_LINE_MAX];
	char			 name[PICKLE_LINE_MAX];
	enum pickle_error	 e;

	(void)arg;
	if ((e = pickle_need(p, 2)) != PICKLE_OK)
		return (e);
	pickle_show(p, p->depth - 2, module);
	pickle_show(p, p->depth - 1, name);
	if (pickle_global_find(module, name) == NULL)
		return (pickle_fail(p, PICKLE_GLOBAL,
		    "forbidden global \"%s.%s\"", module, name));
	return (pickle_fail(p, PICKLE_OPCODE,
	    "forbidden opcode STACK_GLOBAL"));
}

/* BINPERSID: make a storage from its tuple. */
static enum pickle_error
pickle_op_persid(struct pickle *p, int arg)
{
	uint32_t		 o = 0;
	enum pickle_error	 e;

	(void)arg;
	if ((e = pickle_need(p, 1)) != PICKLE_OK ||
	    (e = pickle_storage(p, p->stack[p->depth - 1], &o)) != PICKLE_OK)
		return (e);
	p->stack[p->depth - 1] = o;
	return (PICKLE_OK);
}

/* REDUCE: call a supported name. */
static enum pickle_error
pickle_op_reduce(struct pickle *p, int arg)
{
	const struct pickle_object	*callee, *args;
	uint32_t			 o = 0;
	enum pickle_error		 e;

	(void)arg;
	if ((e = pickle_need(p, 2)) != PICKLE_OK)
		return (e);
	callee = &p->objects[p->stack[p->depth - 2]];
	args = &p->objects[p->stack[p->depth - 1]];
	if (callee->kind != PICKLE_K_GLOBAL || callee->global->call == NULL ||
	    args->kind != PICKLE_K_TUPLE)
		return (pickle_fail(p, PICKLE_CALL,
		    "a call of an object that is not a function"));
	if ((e = callee->global->call(p, args->n == 0 ? NULL : p->members +
	    args->first, args->n, &o)) != PICKLE_OK)
		return (e);
	p->stack[--p->depth - 1] = o;
	return (PICKLE_OK);
}

/* SETITEM, SETITEMS: add keys and values to the dictionary below them. If n is
 * negative, they are the values above the mark. */
static enum pickle_error
pickle_op_items(struct pickle *p, int n)
{
	size_t			 first = 0, i;
	enum pickle_error	 e;

	if (n < 0)
		e = pickle_unmark(p, &first);
	else if ((e = pickle_need(p, (size_t)n)) == PICKLE_OK)
		first = p->depth - (size_t)n;
	if (e != PICKLE_OK)
		return (e);
	if ((p->depth - first) % 2 != 0)
		return (pickle_fail(p, PICKLE_DICT, "a key without a value"));
	if ((e = pickle_need(p, p->depth - first + 1)) != PICKLE_OK)
		return (e);
	if (p->objects[p->stack[first - 1]].kind != PICKLE_K_DICT)
		return (pickle_fail(p, PICKLE_DICT,
		    "items for an object that is not a dictionary"));
	for (i = first; i < p->depth; i += 2) {
		if (p->nitems == PICKLE_OBJECTS_MAX)
			return (pickle_fail(p, PICKLE_OBJECTS,
			    "over %d items", PICKLE_OBJECTS_MAX));
		p->items = pickle_grow(p->items, p->nitems, &p->items_room,
		    sizeof *p->items);
		p->items[p->nitems++] = (struct pickle_item){
			p->stack[first - 1], p->stack[i], p->stack[i + 1] };
	}
	p->depth = first;
	return (PICKLE_OK);
}

/* BUILD: set attributes of an ordered dictionary (torch's _metadata), which are
 * not used here. */
static enum pickle_error
pickle_op_build(struct pickle *p, int arg)
{
	enum pickle_error	 e;

	(void)arg;
	if ((e = pickle_need(p, 2)) != PICKLE_OK)
		return (e);
	if (p->objects[p->stack[p->depth - 2]].kind != PICKLE_K_DICT ||
	    p->objects[p->stack[p->depth - 1]].kind != PICKLE_K_DICT)
		return (pickle_fail(p, PICKLE_DICT, "BUILD: expected the "
		    "attributes of a dictionary"));
	p->depth--;
	return (PICKLE_OK);
}

/* The known instructions. Those without a function are only named in
 * messages. */
static const struct pickle_op pickle_ops[256] = {
	['N'] = { "NONE", pickle_op_none, 0 },
	[0x88] = { "NEWTRUE", pickle_op_bool, 1 },
	[0x89] = { "NEWFALSE", pickle_op_bool, 0 },
	['K'] = { "BININT1", pickle_op_int, 1 },
	['M'] = { "BININT2", pickle_op_int, 2 },
	['J'] = { "BININT", pickle_op_int, 4 },
	[0x8a] = { "LONG1", pickle_op_long, 1 },
	['X'] = { "BINUNICODE", pickle_op_string, 4 },
	['('] = { "MARK", pickle_op_mark, 0 },
	['t'] = { "TUPLE", pickle_op_tuple, -1 },
	[')'] = { "EMPTY_TUPLE", pickle_op_tuple, 0 },
	[0x85] = { "TUPLE1", pickle_op_tuple, 1 },
	[0x86] = { "TUPLE2", pickle_op_tuple, 2 },
	[0x87] = { "TUPLE3", pickle_op_tuple, 3 },
	['}'] = { "EMPTY_DICT", pickle_op_dict, 0 },
	['s'] = { "SETITEM", pickle_op_items, 2 },
	['u'] = { "SETITEMS", pickle_op_items, -1 },
	['q'] = { "BINPUT", pickle_op_put, 1 },
	['r'] = { "LONG_BINPUT", pickle_op_put, 4 },
	['h'] = { "BINGET", pickle_op_get, 1 },
	['j'] = { "LONG_BINGET", pickle_op_get, 4 },
	['c'] = { "GLOBAL", pickle_op_global, 0 },
	['i'] = { "INST", pickle_op_global, 1 },
	[0x93] = { "STACK_GLOBAL", pickle_op_stack_global, 0 },
	['Q'] = { "BINPERSID", pickle_op_persid, 0 },
	['R'] = { "REDUCE", pickle_op_reduce, 0 },
	['b'] = { "BUILD", pickle_op_build, 0 },
	['o'] = { "OBJ", NULL, 0 },
	[0x81] = { "NEWOBJ", NULL, 0 },
	[0x82] = { "EXT1", NULL, 0 },
	[0x83] = { "EXT2", NULL, 0 },
	[0x84] = { "EXT4", NULL, 0 },
	[0x8b] = { "LONG4", NULL, 0 },
	[0x92] = { "NEWOBJ_EX", NULL, 0 },
	['P'] = { "PERSID", NULL, 0 }
};

/* Find an instruction. */
const struct pickle_op *
pickle_op_find(uint8_t code)
{
	return (pickle_ops[code].name != NULL ? &pickle_ops[code] : NULL);
}

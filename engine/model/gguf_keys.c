/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF: the keys. The names and positions are kept. Strings and arrays stay in
 * the file until they are needed.
 */
#include "gguf_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "le.h"
#include "utf8.h"
#include "xmalloc.h"

/* Types of values; width is 0 if it is not fixed. */
static const struct {
	const char	*name;
	unsigned	 width;		/* bytes */
} gguf_types[GGUF_TYPES] = {
	[GGUF_U8] = { "uint8", 1 }, [GGUF_I8] = { "int8", 1 },
	[GGUF_U16] = { "uint16", 2 }, [GGUF_I16] = { "int16", 2 },
	[GGUF_U32] = { "uint32", 4 }, [GGUF_I32] = { "int32", 4 },
	[GGUF_F32] = { "float32", 4 }, [GGUF_BOOLEAN] = { "a boolean", 1 },
	[GGUF_STRING] = { "a string", 0 }, [GGUF_ARRAY] = { "an array", 0 },
	[GGUF_U64] = { "uint64", 8 }, [GGUF_I64] = { "int64", 8 },
	[GGUF_F64] = { "float64", 8 }
};

static enum gguf_error	gguf_key_name(struct gguf_load *, char **);
static enum gguf_error	gguf_value(struct gguf_load *, struct gguf_key *);

/* Compare keys by name. */
static int
gguf_compare_keys(const void *a, const void *b)
{
	const struct gguf_key	*x = a, *y = b;

	return (strcmp(x->name, y->name));
}

/* Read and sort all keys. */
enum gguf_error
gguf_keys(struct gguf_load *l, uint64_t n)
{
	struct gguf_key	*k;
	enum gguf_error	 e;
	size_t		 i;

	/* gguf_header has bounded n. */
	l->keys = xcalloc((size_t)n + 1, sizeof *l->keys);
	while (l->nkeys < n) {
		k = &l->keys[l->nkeys];
		if ((e = gguf_key_name(l, &k->name)) != GGUF_OK)
			return (e);
		l->nkeys++;
		if ((e = gguf_value(l, k)) != GGUF_OK)
			return (e);
	}
	qsort(l->keys, l->nkeys, sizeof *l->keys, gguf_compare_keys);
	for (i = 1; i < l->nkeys; i++)
		if (gguf_compare_keys(&l->keys[i - 1], &l->keys[i]) == 0)
			return (gguf_fail(l, GGUF_KEY_TWICE, l->keys[i].name,
			    "is in the file twice"));
	return (GGUF_OK);
}

/* Read the name of a key; the caller owns it. */
static enum gguf_error
gguf_key_name(struct gguf_load *l, char **out)
{
	enum gguf_error	 e;
	uint64_t	 n = 0;
	char		*s;

	if ((e = gguf_take_u64(l, &n)) != GGUF_OK)
		return (e);
	if (n == 0 || n > GGUF_KEY_MAX)
		return (gguf_fail(l, GGUF_KEY, NULL, "key %zu: expected a "
		    "name of 1 to %d bytes, found %llu", l->nkeys,
		    GGUF_KEY_MAX, (unsigned long long)n));
	s = xcalloc(1, (size_t)n + 1);
	if ((e = gguf_take(l, s, n)) == GGUF_OK && !gguf_is_text(s, n))
		e = gguf_fail(l, GGUF_KEY, NULL, "key %zu: its name is not "
		    "printable text", l->nkeys);
	if (e == GGUF_OK)
		*out = s;
	else
		free(s);
	return (e);
}

/* Read a type. */
static enum gguf_error
gguf_take_type(struct gguf_load *l, const char *key, enum gguf_type *out)
{
	enum gguf_error	 e;
	uint32_t	 type = 0;

	if ((e = gguf_take_u32(l, &type)) != GGUF_OK)
		return (e);
	if (type >= GGUF_TYPES)
		return (gguf_fail(l, GGUF_TYPE, key, "expected a type from 0 "
		    "to %d, found %u", GGUF_TYPES - 1, type));
	*out = (enum gguf_type)type;
	return (GGUF_OK);
}

/* Skip the elements of an array. */
static enum gguf_error
gguf_skip_array(struct gguf_load *l, const struct gguf_key *k)
{
	enum gguf_error	 e;
	uint64_t	 i, n = 0, size;

	if (k->elem == GGUF_ARRAY)
		return (gguf_fail(l, GGUF_NESTED, k->name,
		    "expected an array of values, found one of arrays"));
	size = k->elem == GGUF_STRING ? 8 : gguf_types[k->elem].width;
	if (k->n > (l->size - l->at) / size)
		return (gguf_fail(l, GGUF_SHORT, k->name, "an array of %llu "
		    "elements, but the file ends at %llu",
		    (unsigned long long)k->n, (unsigned long long)l->size));
	if (k->elem != GGUF_STRING)
		return (gguf_skip(l, k->n * size));
	for (i = 0; i < k->n; i++)
		if ((e = gguf_take_u64(l, &n)) != GGUF_OK ||
		    (e = gguf_skip(l, n)) != GGUF_OK)
			return (e);
	return (GGUF_OK);
}

/* Read the type and the value of a key. */
static enum gguf_error
gguf_value(struct gguf_load *l, struct gguf_key *k)
{
	enum gguf_error	 e;
	uint8_t		 b[8] = { 0 };

	if ((e = gguf_take_type(l, k->name, &k->type)) != GGUF_OK)
		return (e);
	if (k->type == GGUF_ARRAY) {
		if ((e = gguf_take_type(l, k->name, &k->elem)) != GGUF_OK ||
		    (e = gguf_take_u64(l, &k->n)) != GGUF_OK)
			return (e);
		k->at = l->at;
		return (gguf_skip_array(l, k));
	}
	if (k->type == GGUF_STRING) {
		if ((e = gguf_take_u64(l, &k->n)) != GGUF_OK)
			return (e);
		k->at = l->at;
		return (gguf_skip(l, k->n));
	}
	if ((e = gguf_take(l, b, gguf_types[k->type].width)) != GGUF_OK)
		return (e);
	k->bits = le_u64(b);
	if (k->type == GGUF_BOOLEAN && k->bits > 1)
		return (gguf_fail(l, GGUF_BOOL, k->name, "expected a boolean "
		    "of 0 or 1, found %u", (unsigned)k->bits));
	return (GGUF_OK);
}

/* Find the key of that name. */
const struct gguf_key *
gguf_find(const struct gguf_load *l, const char *name)
{
	struct gguf_key	 key = { .name = (char *)(uintptr_t)name };

	return (bsearch(&key, l->keys, l->nkeys, sizeof key,
	    gguf_compare_keys));
}

/* Find the key of that name, which must exist. */
enum gguf_error
gguf_need(struct gguf_load *l, const char *name, const struct gguf_key **out)
{
	if ((*out = gguf_find(l, name)) == NULL)
		return (gguf_fail(l, GGUF_MISSING, name,
		    "expected a key of that name, found none"));
	return (GGUF_OK);
}

/* Report that the value has another type than the key needs. */
static enum gguf_error
gguf_wrong_type(struct gguf_load *l, const struct gguf_key *k,
    const char *expected)
{
	return (gguf_fail(l, GGUF_WRONG_TYPE, k->name, "expected %s, found "
	    "%s%s%s", expected, gguf_types[k->type].name,
	    k->type == GGUF_ARRAY ? " of " : "",
	    k->type == GGUF_ARRAY ? gguf_types[k->elem].name : ""));
}

/* Return the number of a key if its type is numeric. */
static int
gguf_widen(const struct gguf_key *k, enum gguf_kind kind, double *out)
{
	uint32_t	 bits = (uint32_t)k->bits;
	unsigned	 shift = 64 - 8 * gguf_types[k->type].width;
	float		 x;

	switch (k->type) {
	case GGUF_U8:
	case GGUF_U16:
	case GGUF_U32:
	case GGUF_U64:
		*out = (double)k->bits;
		return (kind != GGUF_TRUTH);
	case GGUF_I8:
	case GGUF_I16:
	case GGUF_I32:
	case GGUF_I64:
		*out = (double)((int64_t)(k->bits << shift) >> shift);
		return (kind != GGUF_TRUTH);
	case GGUF_F32:
		memcpy(&x, &bits, sizeof x);
		*out = (double)x;
		return (kind == GGUF_REAL);
	case GGUF_F64:
		memcpy(out, &k->bits, sizeof *out);
		return (kind == GGUF_REAL);
	case GGUF_BOOLEAN:
		*out = (double)k->bits;
		return (kind == GGUF_TRUTH);
	case GGUF_STRING:
	case GGUF_ARRAY:
	case GGUF_TYPES:
		break;
	}
	return (0);
}

/* Return the number of a key. */
enum gguf_error
gguf_number(struct gguf_load *l, const struct gguf_key *k,
    enum gguf_kind kind, double *out)
{
	static const char *const expected[] = {
		[GGUF_INTEGER] = "an integer", [GGUF_REAL] = "a number",
		[GGUF_TRUTH] = "a boolean"
	};

	if (!gguf_widen(k, kind, out))
		return (gguf_wrong_type(l, k, expected[kind]));
	return (GGUF_OK);
}

/* Return the string of a key. */
enum gguf_error
gguf_word(struct gguf_load *l, const struct gguf_key *k,
    char out[GGUF_WORD_MAX])
{
	uint64_t	 n = k->n < GGUF_WORD_MAX ? k->n : GGUF_WORD_MAX - 1;
	uint64_t	 at = l->at;
	enum gguf_error	 e;

	if (k->type != GGUF_STRING)
		return (gguf_wrong_type(l, k, "a string"));
	l->at = k->at;
	if ((e = gguf_take(l, out, n)) != GGUF_OK)
		return (e);
	l->at = at;
	n = utf8_whole(out, (size_t)n);
	out[n] = '\0';
	if (!gguf_is_text(out, (size_t)n))
		snprintf(out, GGUF_WORD_MAX, "(no text)");
	return (GGUF_OK);
}

/* Go to an array. */
enum gguf_error
gguf_array(struct gguf_load *l, const char *name, enum gguf_type elem,
    uint64_t *n)
{
	const struct gguf_key	*k;
	enum gguf_error		 e;
	char			 expected[48];

	if ((e = gguf_need(l, name, &k)) != GGUF_OK)
		return (e);
	if (k->type != GGUF_ARRAY || k->elem != elem) {
		snprintf(expected, sizeof expected, "an array of %s",
		    gguf_types[elem].name);
		return (gguf_wrong_type(l, k, expected));
	}
	l->at = k->at;
	*n = k->n;
	return (GGUF_OK);
}

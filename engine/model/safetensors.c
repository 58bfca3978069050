/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a safetensors file. It is not trusted: no number in it is used
 * before it has been checked against the real size of the file.
 */
#include "safetensors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fileio.h"
#include "json.h"
#include "le.h"
#include "xmalloc.h"

/* Every type of the format, with its size in bits. */
static const struct st_dtype {
	const char	*name;
	int		 bits;
	int		 readable;
	enum dtype	 dtype;
} st_dtypes[] = {
	{ "F16", 16, 1, DTYPE_F16 },
	{ "BF16", 16, 1, DTYPE_BF16 },
	{ "F32", 32, 1, DTYPE_F32 },
	{ "F64", 64, 1, DTYPE_F64 },
	{ "BOOL", 8, 0, 0 },
	{ "U8", 8, 0, 0 },
	{ "I8", 8, 0, 0 },
	{ "F8_E4M3", 8, 0, 0 },
	{ "F8_E5M2", 8, 0, 0 },
	{ "U16", 16, 0, 0 },
	{ "I16", 16, 0, 0 },
	{ "U32", 32, 0, 0 },
	{ "I32", 32, 0, 0 },
	{ "U64", 64, 0, 0 },
	{ "I64", 64, 0, 0 }
};

static enum st_error	st_fail(struct fault *, enum st_error, const char *,
			    const char *, const char *, ...)
			    __attribute__((format(printf, 5, 6)));
static enum st_error	st_entry(const char *, const char *, json_t *,
			    uint64_t, struct st_tensor *, struct fault *);
static enum st_error	st_shape(const char *, json_t *, struct st_tensor *,
			    uint64_t *, struct fault *);
static enum st_error	st_offsets(const char *, json_t *, uint64_t,
			    struct st_tensor *, struct fault *);
static enum st_error	st_metadata(const char *, json_t *, struct fault *);
static enum st_error	st_layout(const char *, const struct st_table *,
			    uint64_t, struct fault *);

/* Check the header's length. */
enum st_error
safetensors_length(const char *path, const uint8_t start[8], uint64_t size,
    uint64_t *header, struct fault *f)
{
	uint64_t	 n;

	if (size < 8)
		return (st_fail(f, ST_NO_LENGTH, path, NULL,
		    "expected at least 8 bytes, found %llu",
		    (unsigned long long)size));
	n = le_u64(start);
	if (n > SAFETENSORS_HEADER_MAX)
		return (st_fail(f, ST_HEADER_TOO_BIG, path, NULL,
		    "expected a header of at most %d bytes, found %llu",
		    SAFETENSORS_HEADER_MAX, (unsigned long long)n));
	if (n > size - 8)
		return (st_fail(f, ST_HEADER_PAST_END, path, NULL,
		    "a header of %llu bytes in a file of %llu",
		    (unsigned long long)n, (unsigned long long)size));
	*header = n;
	return (ST_OK);
}

/* Compare tensors by their first byte; an empty tensor comes before others. */
static int
st_compare(const void *a, const void *b)
{
	const struct st_tensor	*x = a, *y = b;

	if (x->begin != y->begin)
		return (x->begin < y->begin ? -1 : 1);
	return (x->end < y->end ? -1 : x->end > y->end);
}

/* Read a header. */
enum st_error
safetensors_parse(const char *path, const char *header, size_t n,
    uint64_t data, struct st_table *out, struct fault *f)
{
	struct st_table	 t = { 0 };
	struct fault	 why;
	enum st_error	 r = ST_OK;
	json_t		*obj, *v;
	const char	*key;

	if (json_line_parse_max(header, n, SAFETENSORS_VALUES_MAX, &obj,
	    &why) != 0)
		return (st_fail(f, ST_JSON, path, NULL, "header: %s",
		    why.message));
	t.tensors = xcalloc(json_object_size(obj) + 1, sizeof *t.tensors);
	json_object_foreach(obj, key, v) {
		if (strcmp(key, "__metadata__") == 0) {
			r = st_metadata(path, v, f);
			t.metadata = json_incref(v);
		} else {
			r = st_entry(path, key, v, data,
			    &t.tensors[t.n], f);
			if (r == ST_OK)
				t.tensors[t.n++].name = xstrdup(key);
		}
		if (r != ST_OK)
			goto out;
	}
	qsort(t.tensors, t.n, sizeof *t.tensors, st_compare);
	if ((r = st_layout(path, &t, data, f)) != ST_OK)
		goto out;
	*out = t;
	memset(&t, 0, sizeof t);
out:
	json_decref(obj);
	safetensors_clear(&t);
	return (r);
}

/* Read the header of a file. */
int
safetensors_read(const char *path, int fd, uint64_t size, uint64_t *data,
    struct st_table *out, struct fault *f)
{
	uint8_t		 start[8] = { 0 };
	uint64_t	 n;
	char		*buf;
	int		 r = 0;

	if (size >= 8 && (r = fileio_read(fd, start, 8, 0)) != 0)
		return (fault_set(f, "bad_model", NULL, "%s: reading: %s",
		    path, fileio_why(r)));
	if (safetensors_length(path, start, size, &n, f) != ST_OK)
		return (CHAT_EFORMAT);
	*data = 8 + n;
	buf = xmalloc(n + 1);
	if ((r = fileio_read(fd, buf, n, 8)) != 0)
		fault_set(f, "bad_model", NULL, "%s: reading: %s", path,
		    fileio_why(r));
	else if (safetensors_parse(path, buf, n, size - *data, out, f) !=
	    ST_OK)
		r = CHAT_EFORMAT;
	free(buf);
	return (r);
}

/* Release a table. */
void
safetensors_clear(struct st_table *t)
{
	size_t	 i;

	for (i = 0; i < t->n; i++)
		free(t->tensors[i].name);
	free(t->tensors);
	json_decref(t->metadata);
	memset(t, 0, sizeof *t);
}

/* Report one line: the file, the tensor, and what is wrong with it. */
static enum st_error
st_fail(struct fault *f, enum st_error why, const char *path,
    const char *tensor, const char *fmt, ...)
{
	char	 text[256];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (tensor == NULL)
		fault_set(f, "bad_model", NULL, "%s: %s", path, text);
	else
		fault_set(f, "bad_model", NULL, "%s: %.100s: %s", path, tensor,
		    text);
	return (why);
}

/* Check that the metadata has only strings. */
static enum st_error
st_metadata(const char *path, json_t *v, struct fault *f)
{
	const char	*key;
	json_t		*s;

	if (!json_is_object(v))
		return (st_fail(f, ST_METADATA, path, "__metadata__",
		    "expected an object"));
	json_object_foreach(v, key, s)
		if (!json_is_string(s))
			return (st_fail(f, ST_METADATA, path, "__metadata__",
			    "%.60s: expected a string", key));
	return (ST_OK);
}

/* Read the entry of one tensor into t; the caller sets the name. */
static enum st_error
st_entry(const char *path, const char *name, json_t *v, uint64_t data,
    struct st_tensor *t, struct fault *f)
{
	const struct st_dtype	*d = NULL;
	struct fault		 why;
	enum st_error		 r;
	const char		*word;
	uint64_t		 elems = 0, bits;
	size_t			 i;

	if (!json_is_object(v) || json_object_size(v) != 3 ||
	    json_object_get(v, "dtype") == NULL ||
	    json_object_get(v, "shape") == NULL ||
	    json_object_get(v, "data_offsets") == NULL)
		return (st_fail(f, ST_ENTRY, path, name,
		    "expected an object of dtype, shape and data_offsets"));
	word = json_string_value(json_object_get(v, "dtype"));
	for (i = 0; i < nitems(st_dtypes) && word != NULL; i++)
		if (strcmp(word, st_dtypes[i].name) == 0)
			d = &st_dtypes[i];
	if (d == NULL)
		return (st_fail(f, ST_DTYPE, path, name,
		    "dtype: expected one like F16, BF16 or F32, found %.20s",
		    word != NULL ? word : "no string"));
	t->readable = d->readable;
	t->dtype = d->dtype;
	t->dtype_name = d->name;
	r = st_shape(name, json_object_get(v, "shape"), t, &elems, &why);
	if (r == ST_OK)
		r = st_offsets(name, json_object_get(v, "data_offsets"), data,
		    t, &why);
	if (r != ST_OK)
		return (st_fail(f, r, path, NULL, "%s", why.message));
	if (__builtin_mul_overflow(elems, (uint64_t)d->bits, &bits))
		return (st_fail(f, ST_OVERFLOW, path, name,
		    "shape: the size in bits overflows 64 bits"));
	if (bits / 8 != t->end - t->begin)
		return (st_fail(f, ST_LENGTH, path, name,
		    "data_offsets: expected %llu bytes, found %llu",
		    (unsigned long long)(bits / 8),
		    (unsigned long long)(t->end - t->begin)));
	return (ST_OK);
}

/* Read the shape, and compute its product. */
static enum st_error
st_shape(const char *name, json_t *v, struct st_tensor *t, uint64_t *elems,
    struct fault *f)
{
	json_t	*d;
	size_t	 i;

	if (!json_is_array(v) || json_array_size(v) > SAFETENSORS_DIMS_MAX)
		return (st_fail(f, ST_SHAPE, name, NULL,
		    "shape: expected an array of at most %d integers",
		    SAFETENSORS_DIMS_MAX));
	*elems = 1;
	t->dims = (int)json_array_size(v);
	for (i = 0; i < json_array_size(v); i++) {
		d = json_array_get(v, i);
		if (!json_is_integer(d) || json_integer_value(d) < 0)
			return (st_fail(f, ST_SHAPE, name, NULL,
			    "shape[%zu]: expected an integer from 0", i));
		t->shape[i] = json_integer_value(d);
		if (__builtin_mul_overflow(*elems, (uint64_t)t->shape[i],
		    elems) || *elems > INT64_MAX)
			return (st_fail(f, ST_OVERFLOW, name, NULL,
			    "shape: the product overflows 63 bits"));
	}
	return (ST_OK);
}

/* Read the place of the bytes. */
static enum st_error
st_offsets(const char *name, json_t *v, uint64_t data, struct st_tensor *t,
    struct fault *f)
{
	json_t	*b = json_array_get(v, 0), *e = json_array_get(v, 1);

	if (json_array_size(v) != 2 || !json_is_integer(b) ||
	    !json_is_integer(e) || json_integer_value(b) < 0 ||
	    json_integer_value(e) < 0)
		return (st_fail(f, ST_OFFSETS, name, NULL,
		    "data_offsets: expected two integers from 0"));
	t->begin = (uint64_t)json_integer_value(b);
	t->end = (uint64_t)json_integer_value(e);
	if (t->end < t->begin)
		return (st_fail(f, ST_REVERSED, name, NULL,
		    "data_offsets: the end %llu is before the begin %llu",
		    (unsigned long long)t->end,
		    (unsigned long long)t->begin));
	if (t->end > data)
		return (st_fail(f, ST_PAST_END, name, NULL,
		    "data_offsets: expected an end up to %llu, found %llu",
		    (unsigned long long)data, (unsigned long long)t->end));
	return (ST_OK);
}

/* Check that each tensor, sorted by begin, starts where the one before it
 * ends. */
static enum st_error
st_layout(const char *path, const struct st_table *t, uint64_t data,
    struct fault *f)
{
	uint64_t	 at = 0;
	size_t		 i;

	for (i = 0; i < t->n; i++) {
		if (t->tensors[i].begin < at)
			return (st_fail(f, ST_OVERLAP, path,
			    t->tensors[i].name,
			    "starts at %llu inside %.100s",
			    (unsigned long long)t->tensors[i].begin,
			    t->tensors[i - 1].name));
		if (t->tensors[i].begin > at)
			return (st_fail(f, ST_HOLE, path, t->tensors[i].name,
			    "expected to start at %llu, found %llu",
			    (unsigned long long)at,
			    (unsigned long long)t->tensors[i].begin));
		at = t->tensors[i].end;
	}
	if (at != data)
		return (st_fail(f, ST_TRAILING, path, NULL,
		    "expected %llu bytes of data, found %llu",
		    (unsigned long long)at, (unsigned long long)data));
	return (ST_OK);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF: the tensors of a file, under the names that folders use.
 */
#include "gguf_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtype.h"
#include "xmalloc.h"

/* Types of elements as numbered in files; bytes is the size of a block. The
 * missing numbers are obsolete or newer types. */
static const struct gguf_dtype {
	uint32_t	 number;
	const char	*name;
	unsigned	 block, bytes;
	int		 readable;
	enum dtype	 dtype;
} gguf_dtypes[] = {
	{ 0, "F32", 1, 4, 1, DTYPE_F32 },
	{ 1, "F16", 1, 2, 1, DTYPE_F16 },
	{ 2, "Q4_0", 32, 18, 1, DTYPE_Q4_0 },
	{ 3, "Q4_1", 32, 20, 0, 0 },
	{ 6, "Q5_0", 32, 22, 0, 0 },
	{ 7, "Q5_1", 32, 24, 0, 0 },
	{ 8, "Q8_0", 32, 34, 1, DTYPE_Q8_0 },
	{ 9, "Q8_1", 32, 40, 0, 0 },
	{ 10, "Q2_K", 256, 84, 0, 0 },
	{ 11, "Q3_K", 256, 110, 0, 0 },
	{ 12, "Q4_K", 256, 144, 1, DTYPE_Q4_K },
	{ 13, "Q5_K", 256, 176, 0, 0 },
	{ 14, "Q6_K", 256, 210, 1, DTYPE_Q6_K },
	{ 15, "Q8_K", 256, 292, 0, 0 },
	{ 16, "IQ2_XXS", 256, 66, 0, 0 },
	{ 17, "IQ2_XS", 256, 74, 0, 0 },
	{ 18, "IQ3_XXS", 256, 98, 0, 0 },
	{ 19, "IQ1_S", 256, 50, 0, 0 },
	{ 20, "IQ4_NL", 32, 18, 0, 0 },
	{ 21, "IQ3_S", 256, 110, 0, 0 },
	{ 22, "IQ2_S", 256, 82, 0, 0 },
	{ 23, "IQ4_XS", 256, 136, 0, 0 },
	{ 24, "I8", 1, 1, 0, 0 },
	{ 25, "I16", 1, 2, 0, 0 },
	{ 26, "I32", 1, 4, 0, 0 },
	{ 27, "I64", 1, 8, 0, 0 },
	{ 28, "F64", 1, 8, 1, DTYPE_F64 },
	{ 29, "IQ1_M", 256, 56, 0, 0 },
	{ 30, "BF16", 1, 2, 1, DTYPE_BF16 },
	{ 34, "TQ1_0", 256, 54, 0, 0 },
	{ 35, "TQ2_0", 256, 66, 0, 0 },
	{ 39, "MXFP4", 32, 17, 0, 0 },
	{ 40, "NVFP4", 64, 36, 0, 0 },
	{ 41, "Q1_0", 128, 18, 0, 0 }
};

/* The parts of a model; the names of those in layers follow "blk.N.". */
static const struct {
	const char	*name;
	enum tensor	 part;
} gguf_parts[] = {
	{ "attn_norm.weight", TENSOR_NORM1 },
	{ "attn_norm.bias", TENSOR_NORM1_BIAS },
	{ "ffn_norm.weight", TENSOR_NORM2 },
	{ "ffn_norm.bias", TENSOR_NORM2_BIAS },
	{ "attn_qkv.weight", TENSOR_QKV },
	{ "attn_qkv.bias", TENSOR_QKV_BIAS },
	{ "attn_output.weight", TENSOR_ATTN },
	{ "attn_output.bias", TENSOR_ATTN_BIAS },
	{ "ffn_up.weight", TENSOR_UP },
	{ "ffn_up.bias", TENSOR_UP_BIAS },
	{ "ffn_down.weight", TENSOR_DOWN },
	{ "ffn_down.bias", TENSOR_DOWN_BIAS },
	{ "token_embd.weight", TENSOR_EMBED },
	{ "output_norm.weight", TENSOR_NORM },
	{ "output_norm.bias", TENSOR_NORM_BIAS },
	{ "output.weight", TENSOR_HEAD }
};

static enum gguf_error	gguf_alignment(struct gguf_load *, uint64_t *);
static enum gguf_error	gguf_entry(struct gguf_load *, struct st_tensor *);
static enum gguf_error	gguf_name(struct gguf_load *, char [], size_t);
static enum gguf_error	gguf_shape(struct gguf_load *, const char *,
			    struct st_tensor *, uint64_t *);
static enum gguf_error	gguf_size(struct gguf_load *, const char *,
			    struct st_tensor *, uint64_t);
static enum gguf_error	gguf_place(struct gguf_load *, uint64_t);
static enum gguf_error	gguf_layout(struct gguf_load *);
static enum gguf_error	gguf_names(struct gguf_load *);

/* Read all tensors. */
enum gguf_error
gguf_tensors(struct gguf_load *l)
{
	struct st_table	*t = &l->out->table;
	enum gguf_error	 e;
	uint64_t	 align = GGUF_ALIGNED;

	if ((e = gguf_alignment(l, &align)) != GGUF_OK)
		return (e);
	/* gguf_header has limited the number */
	t->tensors = xcalloc((size_t)l->ntensors + 1, sizeof *t->tensors);
	while (t->n < l->ntensors) {
		if ((e = gguf_entry(l, &t->tensors[t->n])) != GGUF_OK)
			return (e);
		t->n++;
	}
	if ((e = gguf_place(l, align)) != GGUF_OK ||
	    (e = gguf_layout(l)) != GGUF_OK)
		return (e);
	return (gguf_names(l));
}

/* Read the alignment of the data and of each tensor in it. */
static enum gguf_error
gguf_alignment(struct gguf_load *l, uint64_t *out)
{
	const struct gguf_key	*k = gguf_find(l, "general.alignment");
	enum gguf_error		 e;
	double			 x = 0;

	if (k == NULL)
		return (GGUF_OK);
	if ((e = gguf_number(l, k, GGUF_INTEGER, &x)) != GGUF_OK)
		return (e);
	if (!(x >= 8 && x <= GGUF_ALIGNMENT_MAX) ||
	    ((uint64_t)x & ((uint64_t)x - 1)) != 0)
		return (gguf_fail(l, GGUF_ALIGNMENT, k->name, "expected a "
		    "power of two from 8 to %d, found %.0f",
		    GGUF_ALIGNMENT_MAX, x));
	*out = (uint64_t)x;
	return (GGUF_OK);
}

/* Return the name that folders use for a tensor (owned), or NULL. */
static char *
gguf_translate(const char *name)
{
	char		 known[TENSOR_NAME_MAX], again[32];
	const char	*rest = name;
	unsigned long	 layer = 0;
	char		*end;
	size_t		 i;
	int		 in_layer = strncmp(name, "blk.", 4) == 0;

	if (in_layer) {
		layer = strtoul(name + 4, &end, 10);
		/* A layer number has only one spelling: no sign, no leading
		 * zeros. */
		snprintf(again, sizeof again, "blk.%lu.", layer);
		if (layer > INT32_MAX || *end != '.' ||
		    strncmp(name, again, strlen(again)) != 0)
			return (NULL);
		rest = end + 1;
	}
	for (i = 0; i < nitems(gguf_parts); i++) {
		if (in_layer != (gguf_parts[i].part < TENSOR_LAYER_COUNT) ||
		    strcmp(rest, gguf_parts[i].name) != 0)
			continue;
		tensor_name(gguf_parts[i].part, (int)layer, known);
		return (xstrdup(known));
	}
	return (NULL);
}

/* Read one tensor. Until gguf_place, begin is the offset and end the size. */
static enum gguf_error
gguf_entry(struct gguf_load *l, struct st_tensor *t)
{
	enum gguf_error	 e;
	uint64_t	 elems = 1;
	char		 name[GGUF_NAME_MAX + 1];

	if ((e = gguf_name(l, name, sizeof name)) != GGUF_OK ||
	    (e = gguf_shape(l, name, t, &elems)) != GGUF_OK ||
	    (e = gguf_size(l, name, t, elems)) != GGUF_OK ||
	    (e = gguf_take_u64(l, &t->begin)) != GGUF_OK)
		return (e);
	t->name = xstrdup(name);
	return (GGUF_OK);
}

/* Read its name. */
static enum gguf_error
gguf_name(struct gguf_load *l, char out[], size_t size)
{
	enum gguf_error	 e;
	uint64_t	 n = 0;

	if ((e = gguf_take_u64(l, &n)) != GGUF_OK)
		return (e);
	if (n == 0 || n >= size)
		return (gguf_fail(l, GGUF_NAME, NULL, "tensor %zu: expected "
		    "a name of 1 to %zu bytes, found %llu", l->out->table.n,
		    size - 1, (unsigned long long)n));
	if ((e = gguf_take(l, out, n)) != GGUF_OK)
		return (e);
	out[n] = '\0';
	if (!gguf_is_text(out, (size_t)n))
		return (gguf_fail(l, GGUF_NAME, NULL, "tensor %zu: its name "
		    "is not printable text", l->out->table.n));
	return (GGUF_OK);
}

/* Read its dimensions (in files the columns come first) and their product. */
static enum gguf_error
gguf_shape(struct gguf_load *l, const char *name, struct st_tensor *t,
    uint64_t *elems)
{
	enum gguf_error	 e;
	uint32_t	 dims = 0, i;
	uint64_t	 d = 0;

	if ((e = gguf_take_u32(l, &dims)) != GGUF_OK)
		return (e);
	if (dims == 0 || dims > GGUF_DIMS_MAX)
		return (gguf_fail(l, GGUF_DIMS, name, "expected 1 to %d "
		    "dimensions, found %u", GGUF_DIMS_MAX, dims));
	t->dims = (int)dims;
	for (i = 0; i < dims; i++) {
		if ((e = gguf_take_u64(l, &d)) != GGUF_OK)
			return (e);
		if (d == 0)
			return (gguf_fail(l, GGUF_ZERO, name,
			    "dimension %u: expected 1 or more, found 0", i));
		if (__builtin_mul_overflow(*elems, d, elems) ||
		    *elems > INT64_MAX)
			return (gguf_fail(l, GGUF_OVERFLOW, name, "dimension "
			    "%u: the number of elements overflows 63 bits",
			    i));
		t->shape[dims - 1 - i] = (int64_t)d;
	}
	return (GGUF_OK);
}

/* Read its type, and compute its size in bytes. */
static enum gguf_error
gguf_size(struct gguf_load *l, const char *name, struct st_tensor *t,
    uint64_t elems)
{
	const struct gguf_dtype	*d = NULL;
	enum gguf_error		 e;
	uint32_t		 number = 0;
	size_t			 i;

	if ((e = gguf_take_u32(l, &number)) != GGUF_OK)
		return (e);
	for (i = 0; i < nitems(gguf_dtypes); i++)
		if (gguf_dtypes[i].number == number)
			d = &gguf_dtypes[i];
	if (d == NULL)
		return (gguf_fail(l, GGUF_DTYPE, name, "expected the number "
		    "of a type like F16 or Q8_0, found %u", number));
	if (t->shape[t->dims - 1] % d->block != 0)
		return (gguf_fail(l, GGUF_BLOCK, name, "expected rows of "
		    "whole blocks of %u for %s, found %lld", d->block,
		    d->name, (long long)t->shape[t->dims - 1]));
	if (__builtin_mul_overflow(elems / d->block, (uint64_t)d->bytes,
	    &t->end) || t->end > INT64_MAX)
		return (gguf_fail(l, GGUF_OVERFLOW, name,
		    "the size in bytes overflows 63 bits"));
	t->readable = d->readable;
	t->dtype = d->dtype;
	t->dtype_name = d->name;
	return (GGUF_OK);
}

/* Turn offsets and sizes into begin and end in the file. The data starts at the
 * first aligned byte after the entries. */
static enum gguf_error
gguf_place(struct gguf_load *l, uint64_t align)
{
	uint64_t	 data = (l->at + align - 1) & ~(align - 1), size;
	struct st_tensor *t;
	size_t		 i;

	for (i = 0; i < l->out->table.n; i++) {
		t = &l->out->table.tensors[i];
		if (t->begin % align != 0)
			return (gguf_fail(l, GGUF_OFFSET, t->name, "expected "
			    "an offset that is a multiple of %llu, found %llu",
			    (unsigned long long)align,
			    (unsigned long long)t->begin));
		size = t->end;
		if (__builtin_add_overflow(data, t->begin, &t->begin) ||
		    __builtin_add_overflow(t->begin, size, &t->end) ||
		    t->end > l->size)
			return (gguf_fail(l, GGUF_PAST_END, t->name, "its "
			    "%llu bytes reach past the end of the file, which "
			    "is %llu bytes long", (unsigned long long)size,
			    (unsigned long long)l->size));
	}
	return (GGUF_OK);
}

/* Compare tensors by their first byte. */
static int
gguf_compare_begin(const void *a, const void *b)
{
	const struct st_tensor	*x = a, *y = b;

	return (x->begin < y->begin ? -1 : x->begin > y->begin);
}

/* Sort the table, and check that no byte belongs to two tensors. */
static enum gguf_error
gguf_layout(struct gguf_load *l)
{
	struct st_tensor	*t = l->out->table.tensors;
	size_t			 i;

	qsort(t, l->out->table.n, sizeof *t, gguf_compare_begin);
	for (i = 1; i < l->out->table.n; i++)
		if (t[i].begin < t[i - 1].end)
			return (gguf_fail(l, GGUF_OVERLAP, t[i].name,
			    "starts at %llu inside %.100s",
			    (unsigned long long)t[i].begin, t[i - 1].name));
	return (GGUF_OK);
}

/* Compare tensors by name, through pointers to them. */
static int
gguf_compare_names(const void *a, const void *b)
{
	const struct st_tensor	*const *x = a, *const *y = b;

	return (strcmp((*x)->name, (*y)->name));
}

/* Replace the names by those of folders, and check that no two are equal. */
static enum gguf_error
gguf_names(struct gguf_load *l)
{
	struct st_table		 *t = &l->out->table;
	const struct st_tensor	**by_name;
	enum gguf_error		  e = GGUF_OK;
	char			 *name;
	size_t			  i;

	by_name = xcalloc(t->n + 1, sizeof *by_name);
	for (i = 0; i < t->n; i++) {
		if ((name = gguf_translate(t->tensors[i].name)) != NULL) {
			free(t->tensors[i].name);
			t->tensors[i].name = name;
		}
		by_name[i] = &t->tensors[i];
	}
	qsort(by_name, t->n, sizeof *by_name, gguf_compare_names);
	for (i = 1; i < t->n && e == GGUF_OK; i++)
		if (gguf_compare_names(&by_name[i - 1], &by_name[i]) == 0)
			e = gguf_fail(l, GGUF_NAME_TWICE, by_name[i]->name,
			    "is in the file twice");
	free(by_name);
	return (e);
}

/* Return the tensor of a part. */
const struct st_tensor *
gguf_tensor(const struct gguf_load *l, enum tensor part)
{
	const struct st_table	*t = &l->out->table;
	char			 name[TENSOR_NAME_MAX];
	size_t			 i;

	tensor_name(part, 0, name);
	for (i = 0; i < t->n; i++)
		if (strcmp(t->tensors[i].name, name) == 0)
			return (&t->tensors[i]);
	return (NULL);
}

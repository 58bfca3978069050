/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that a checkpoint's pickle may use, and the objects that their
 * calls make: ordered dictionaries, storages and tensors.
 */
#include <string.h>

#include "pickle_impl.h"
#include "xmalloc.h"

#define PICKLE_TENSOR_ARGS	6	/* of _rebuild_tensor_v2 */

/* A tensor's size and stride, in elements. */
struct pickle_view {
	int64_t	 size[PICKLE_DIMS_MAX], stride[PICKLE_DIMS_MAX];
	int	 dims;
};

static enum pickle_error	pickle_call_dict(struct pickle *,
				    const uint32_t *, size_t, uint32_t *);
static enum pickle_error	pickle_call_tensor(struct pickle *,
				    const uint32_t *, size_t, uint32_t *);
static enum pickle_error	pickle_call_parameter(struct pickle *,
				    const uint32_t *, size_t, uint32_t *);

/* Every supported name. */
static const struct pickle_global pickle_globals[] = {
	{ "collections", "OrderedDict", pickle_call_dict, 0, 0 },
	{ "torch._utils", "_rebuild_tensor_v2", pickle_call_tensor, 0, 0 },
	{ "torch._utils", "_rebuild_parameter", pickle_call_parameter, 0, 0 },
	{ "torch", "HalfStorage", NULL, 1, PICKLE_F16 },
	{ "torch", "BFloat16Storage", NULL, 1, PICKLE_BF16 },
	{ "torch", "FloatStorage", NULL, 1, PICKLE_F32 },
	{ "torch", "DoubleStorage", NULL, 1, PICKLE_F64 },
	{ "torch", "ByteStorage", NULL, 1, PICKLE_U8 },
	{ "torch", "BoolStorage", NULL, 1, PICKLE_BOOL },
	{ "torch", "LongStorage", NULL, 1, PICKLE_I64 }
};

/* Find a name. */
const struct pickle_global *
pickle_global_find(const char *module, const char *name)
{
	size_t	 i;

	for (i = 0; i < nitems(pickle_globals); i++)
		if (strcmp(module, pickle_globals[i].module) == 0 &&
		    strcmp(name, pickle_globals[i].name) == 0)
			return (&pickle_globals[i]);
	return (NULL);
}

/* Bytes of one element. */
size_t
pickle_type_size(enum pickle_type t)
{
	static const size_t	 sizes[] = {
		[PICKLE_F16] = 2, [PICKLE_BF16] = 2, [PICKLE_F32] = 4,
		[PICKLE_F64] = 8, [PICKLE_U8] = 1, [PICKLE_BOOL] = 1,
		[PICKLE_I64] = 8
	};

	return (sizes[t]);
}

/* Make an ordered dictionary; there are no arguments. */
static enum pickle_error
pickle_call_dict(struct pickle *p, const uint32_t *args, size_t n,
    uint32_t *out)
{
	(void)args;
	if (n != 0)
		return (pickle_fail(p, PICKLE_CALL,
		    "OrderedDict: expected no arguments"));
	return (pickle_new(p, PICKLE_K_DICT, out));
}

/* Make a parameter: it is the tensor in it. */
static enum pickle_error
pickle_call_parameter(struct pickle *p, const uint32_t *args, size_t n,
    uint32_t *out)
{
	if (n != 3 || p->objects[args[0]].kind != PICKLE_K_TENSOR)
		return (pickle_fail(p, PICKLE_CALL, "_rebuild_parameter: "
		    "expected a tensor and two more arguments"));
	*out = args[0];
	return (PICKLE_OK);
}

/* Make the storage of ('storage', type, key, location, elements). */
enum pickle_error
pickle_storage(struct pickle *p, uint32_t pid, uint32_t *out)
{
	const struct pickle_object	*t = &p->objects[pid], *m[5], *key;
	const struct pickle_global	*type;
	uint32_t			 first, n;
	int64_t				 elems;
	size_t				 i;
	enum pickle_error		 e;

	for (i = 0; i < nitems(m) && t->kind == PICKLE_K_TUPLE &&
	    t->n == nitems(m); i++)
		m[i] = &p->objects[p->members[t->first + i]];
	if (i < nitems(m) || m[0]->kind != PICKLE_K_STRING || m[0]->n != 7 ||
	    memcmp(p->bytes + m[0]->first, "storage", 7) != 0 ||
	    m[1]->kind != PICKLE_K_GLOBAL || !m[1]->global->storage ||
	    m[2]->kind != PICKLE_K_STRING || m[3]->kind != PICKLE_K_STRING ||
	    m[4]->kind != PICKLE_K_INT || m[4]->i < 0)
		return (pickle_fail(p, PICKLE_STORAGE, "a persistent id that "
		    "is not a storage"));
	key = m[2];
	for (i = 0; i < key->n; i++)
		if (strchr("0123456789", p->bytes[key->first + i]) == NULL)
			break;
	if (key->n == 0 || key->n >= PICKLE_KEY_MAX || i < key->n)
		return (pickle_fail(p, PICKLE_STORAGE, "a storage whose key "
		    "is not a number"));
	type = m[1]->global;
	first = key->first;
	n = key->n;
	elems = m[4]->i;
	if ((e = pickle_new(p, PICKLE_K_STORAGE, out)) != PICKLE_OK)
		return (e);
	p->objects[*out].global = type;
	p->objects[*out].first = first;
	p->objects[*out].n = n;
	p->objects[*out].i = elems;
	return (PICKLE_OK);
}

/* Store the non-negative numbers of a tuple in v. Return how many there are, or
 * -1. */
static int
pickle_dims(const struct pickle *p, uint32_t tuple,
    int64_t v[PICKLE_DIMS_MAX])
{
	const struct pickle_object	*t = &p->objects[tuple], *m;
	uint32_t			 i;

	if (t->kind != PICKLE_K_TUPLE || t->n > PICKLE_DIMS_MAX)
		return (-1);
	for (i = 0; i < t->n; i++) {
		m = &p->objects[p->members[t->first + i]];
		if (m->kind != PICKLE_K_INT || m->i < 0)
			return (-1);
		v[i] = m->i;
	}
	return ((int)t->n);
}

/* Return the number of elements from the first to the last of a view, and
 * whether they are in order without gaps. Returns -1 if a number overflows. */
static int
pickle_extent(const struct pickle_view *v, int64_t *extent, int *contiguous)
{
	int64_t	 count = 1, last = 0, step;
	int	 i;

	*contiguous = 1;
	for (i = v->dims - 1; i >= 0; i--) {
		if (v->size[i] > 1 && v->stride[i] != count)
			*contiguous = 0;
		if (v->size[i] > 0 && (__builtin_mul_overflow(v->size[i] - 1,
		    v->stride[i], &step) || __builtin_add_overflow(last, step,
		    &last)))
			return (-1);
		if (__builtin_mul_overflow(count, v->size[i], &count))
			return (-1);
	}
	if (count == 0)
		*contiguous = 1;
	*extent = count == 0 ? 0 : last;
	return (count == 0 ? 0 : __builtin_add_overflow(last, 1, extent) ?
	    -1 : 0);
}

/* Can two places of a view be the same element? They can't if each dimension,
 * in order of strides, steps over all elements of the smaller ones. The view is
 * not empty, and its extent fits into 64 bits. */
static int
pickle_overlaps(const struct pickle_view *v)
{
	int64_t	 reach = 0, least;
	int	 used[PICKLE_DIMS_MAX] = { 0 }, i, k, n;

	for (n = 0; n < v->dims; n++) {
		for (k = -1, i = 0; i < v->dims; i++)
			if (!used[i] && v->size[i] > 1 && (k == -1 ||
			    v->stride[i] < v->stride[k]))
				k = i;
		if (k == -1)
			break;
		used[k] = 1;
		least = v->stride[k];
		if (least <= reach)
			return (1);
		reach += (v->size[k] - 1) * least;
	}
	return (0);
}

/* Make a tensor from (storage, offset, size, stride, requires_grad, hooks) and
 * an optional metadata argument. */
static enum pickle_error
pickle_call_tensor(struct pickle *p, const uint32_t *args, size_t n,
    uint32_t *out)
{
	const struct pickle_object	*s, *offset;
	struct pickle_tensor		 t = { 0 };
	struct pickle_view		 v;
	int64_t				 end;
	int				 i;
	enum pickle_error		 e;

	if ((n != PICKLE_TENSOR_ARGS && n != PICKLE_TENSOR_ARGS + 1) ||
	    (s = &p->objects[args[0]])->kind != PICKLE_K_STORAGE ||
	    (offset = &p->objects[args[1]])->kind != PICKLE_K_INT ||
	    (v.dims = pickle_dims(p, args[2], v.size)) == -1 ||
	    pickle_dims(p, args[3], v.stride) != v.dims)
		return (pickle_fail(p, PICKLE_CALL, "_rebuild_tensor_v2: "
		    "expected a storage, an offset, sizes and strides"));
	memcpy(t.key, p->bytes + s->first, s->n);
	t.type = s->global->type;
	t.elems = s->i;
	t.offset = offset->i;
	t.dims = v.dims;
	memcpy(t.shape, v.size, (size_t)v.dims * sizeof *v.size);
	if (pickle_extent(&v, &t.extent, &t.contiguous) != 0 ||
	    t.offset < 0 || __builtin_add_overflow(t.offset, t.extent,
	    &end) || end > t.elems)
		return (pickle_fail(p, PICKLE_TENSOR, "a tensor that reaches "
		    "past its storage of %lld elements",
		    (long long)t.elems));
	t.overlaps = !t.contiguous && pickle_overlaps(&v);
	for (i = 0; i < v.dims; i++)
		t.stride[i] = v.size[i] > 1 ? v.stride[i] : 0;
	if (p->ntensors == PICKLE_TENSORS_MAX)
		return (pickle_fail(p, PICKLE_OBJECTS, "over %d tensors",
		    PICKLE_TENSORS_MAX));
	if ((e = pickle_new(p, PICKLE_K_TENSOR, out)) != PICKLE_OK)
		return (e);
	p->tensors = pickle_grow(p->tensors, p->ntensors, &p->tensors_room,
	    sizeof *p->tensors);
	p->objects[*out].first = (uint32_t)p->ntensors;
	p->tensors[p->ntensors++] = t;
	return (PICKLE_OK);
}

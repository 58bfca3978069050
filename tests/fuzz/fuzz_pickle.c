/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the pickle of a checkpoint. An accepted table keeps its
 * guarantees.
 */
#include "fuzz.h"

#include "pickle.h"

/* A view is inside of its storage. */
static void
fuzz_tensor(const struct pickle_tensor *t)
{
	int64_t	 count = 1;
	int	 i;

	if (t->name == NULL || t->name[0] == '\0' || t->offset < 0 ||
	    t->extent < 0 || t->extent > t->elems ||
	    t->offset > t->elems - t->extent || t->dims < 0 ||
	    t->dims > PICKLE_DIMS_MAX || pickle_type_size(t->type) == 0 ||
	    t->key[0] == '\0' || memchr(t->key, '\0', sizeof t->key) == NULL)
		abort();
	for (i = 0; i < t->dims; i++)
		if (t->shape[i] < 0 || __builtin_mul_overflow(count,
		    t->shape[i], &count))
			abort();
	if (t->contiguous && count != t->extent)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pickle_table	 t;
	struct fault		 f = { 0 };
	size_t			 i;

	if (pickle_read("file", data, size, &t, &f) != PICKLE_OK) {
		fuzz_fault(&f);
		return (0);
	}
	for (i = 0; i < t.n; i++)
		fuzz_tensor(&t.tensors[i]);
	pickle_clear(&t);
	return (0);
}

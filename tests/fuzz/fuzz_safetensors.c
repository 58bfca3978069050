/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the header of a safetensors file. The input is used twice: as a
 * file, with length, header and data; and as a header with a separate number of
 * data bytes, so that a mutation may change the header's length.
 */
#include "fuzz.h"

#include "safetensors.h"

/* A tensor has the bytes of its shape, and a unique name. */
static void
fuzz_tensor(const struct st_tensor *t)
{
	uint64_t	 bytes = 1;
	int		 i;

	if (t->name == NULL || t->dtype_name == NULL || t->dims < 0 ||
	    t->dims > SAFETENSORS_DIMS_MAX)
		abort();
	for (i = 0; i < t->dims; i++)
		if (t->shape[i] < 0 || __builtin_mul_overflow(bytes,
		    (uint64_t)t->shape[i], &bytes))
			abort();
	if (bytes > 0 && (t->end - t->begin) % bytes != 0)
		abort();
	if ((bytes == 0) != (t->end == t->begin))
		abort();
}

/* The tensors of an accepted table cover the data exactly, in order. */
static void
fuzz_header(const char *header, size_t n, uint64_t data)
{
	struct st_table	 t;
	struct fault	 f = { 0 };
	uint64_t	 at = 0;
	size_t		 i;

	if (safetensors_parse("file", header, n, data, &t, &f) != ST_OK) {
		fuzz_fault(&f);
		return;
	}
	for (i = 0; i < t.n; i++) {
		if (t.tensors[i].begin != at || t.tensors[i].end < at)
			abort();
		at = t.tensors[i].end;
		fuzz_tensor(&t.tensors[i]);
	}
	if (at != data)
		abort();
	safetensors_clear(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t		 start[8] = { 0 };
	struct fault	 f = { 0 };
	uint64_t	 n;

	memcpy(start, data, size < 8 ? size : 8);
	if (safetensors_length("file", start, size, &n, &f) != ST_OK)
		fuzz_fault(&f);
	else if (n > size - 8)
		abort();
	else
		fuzz_header((const char *)data + 8, (size_t)n, size - 8 - n);
	if (size < 8)
		return (0);
	n = start[0] | (uint64_t)start[1] << 8 | (uint64_t)start[2] << 16;
	fuzz_header((const char *)data + 8, size - 8, n);
	return (0);
}

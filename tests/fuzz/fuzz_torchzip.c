/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a whole pytorch_model.bin: its zip records and, if these are
 * valid, the pickle inside. Accepted members and tensors are inside the file.
 */
#include "fuzz.h"

#include <sys/mman.h>

#include <unistd.h>

#include "torchbin.h"
#include "torchzip.h"

/* No member reaches out of the file or into another one. */
static void
fuzz_zip(const struct torchzip *z, size_t size)
{
	const struct tz_member	*a, *b;
	size_t			 i, k;

	for (i = 0; i < z->n; i++) {
		a = &z->members[i];
		if (a->at > size || a->size > size - a->at ||
		    torchzip_find(z, a->name) != a)
			abort();
		for (k = 0; k < i && k < 64; k++) {
			b = &z->members[k];
			if (a->at < b->at + b->size && b->at < a->at +
			    a->size)
				abort();
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct torchzip	 z;
	struct st_table	 t;
	struct fault	 f = { 0 };
	size_t		 i;
	int		 fd = memfd_create("fuzz", 0);

	if (fd == -1 || write(fd, data, size) != (ssize_t)size)
		abort();
	if (torchzip_read("file", fd, size, &z, &f) == TZ_OK) {
		fuzz_zip(&z, size);
		torchzip_clear(&z);
	} else
		fuzz_fault(&f);
	f.code = NULL;
	if (torchbin_read("file", fd, size, &t, &f) == 0) {
		for (i = 0; i < t.n; i++)
			if (t.tensors[i].end < t.tensors[i].begin ||
			    t.tensors[i].end > size)
				abort();
		safetensors_clear(&t);
	} else
		fuzz_fault(&f);
	close(fd);
	return (0);
}

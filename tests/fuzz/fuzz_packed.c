/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a whole packed file, opened as the engine opens it. An accepted
 * file keeps the guarantees of packed.h and weights.h: every part that the
 * configuration requires is inside the mapped file, and a step stays inside its
 * arrays.
 *
 * An input that begins with "{" is a header up to the first newline, then the
 * data. The header gets its length and its padding as in packed_write.c, so
 * that a mutation need not keep the length.
 */
#include "fuzz.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

#include "fuzz_backend.h"
#include "packed.h"

/* Write all of it. */
static void
fuzz_write(int fd, const void *bytes, size_t n)
{
	if (write(fd, bytes, n) != (ssize_t)n)
		abort();
}

/* Make the file for an input. */
static int
fuzz_file(const uint8_t *data, size_t size)
{
	const uint8_t	*end = memchr(data, '\n', size);
	char		 spaces[PACKED_ALIGN];
	uint8_t		 start[8];
	size_t		 n, all;
	int		 fd = memfd_create("fuzz", 0), i;

	if (fd == -1 || fchmod(fd, 0600) == -1)
		abort();
	if (size == 0 || data[0] != '{' || end == NULL) {
		fuzz_write(fd, data, size);
		return (fd);
	}
	n = (size_t)(end - data);
	all = (8 + n + PACKED_ALIGN - 1) / PACKED_ALIGN * PACKED_ALIGN;
	for (i = 0; i < 8; i++)
		start[i] = (uint8_t)((all - 8) >> 8 * i);
	memset(spaces, ' ', sizeof spaces);
	fuzz_write(fd, start, 8);
	fuzz_write(fd, data, n);
	fuzz_write(fd, spaces, all - 8 - n);
	fuzz_write(fd, end + 1, size - n - 1);
	return (fd);
}

/* Digits of a checksum. */
static void
fuzz_digits(const char *s)
{
	size_t	 i;

	for (i = 0; i < 64; i++)
		if (!isxdigit((unsigned char)s[i]))
			abort();
	if (s[64] != '\0')
		abort();
}

/* Check the metadata and the places of the tensors. */
static void
fuzz_packed(const struct model *m, const struct packed *p, size_t size)
{
	const struct st_tensor	*t;
	const char		*path;
	size_t			 i, n;

	if (p->size != size || p->data > size || p->data % PACKED_ALIGN != 0)
		abort();
	for (i = 0; i < p->table.n; i++) {
		t = &p->table.tensors[i];
		if (t->end < t->begin || t->end > size - p->data ||
		    t->begin % 64 != 0)
			abort();
	}
	if (strncmp(p->source, "sha256:", 7) != 0 ||
	    strcmp(model_digest(m), p->source) != 0)
		abort();
	fuzz_digits(p->source + 7);
	fuzz_digits(p->sha256);
	n = strlen(model_name(m));
	if (n < 1 || n > 1024)
		abort();
	if (model_tokenizer(m, &n, &path) == NULL ||
	    (size_t)model_bytes(m) != size - p->data)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model	*m;
	struct stat	 st;
	struct fault	 f = { 0 };
	char		 path[32];
	int		 fd = fuzz_file(data, size);

	if (fstat(fd, &st) == -1)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (model_open(path, &m, &f) != 0)
		fuzz_fault(&f);
	else {
		if (model_packed(m) != NULL) {
			fuzz_packed(m, model_packed(m), (size_t)st.st_size);
			fuzz_backend(m, "auto");
		}
		model_free(m);
	}
	close(fd);
	return (0);
}

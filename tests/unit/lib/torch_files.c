/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zip files as torch.save writes them: stored members whose data begin at
 * multiples of 64.
 */
#include "torch_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define ALIGN	64

/* CRC-32, bit by bit. */
uint32_t
torch_crc(const void *bytes, size_t n)
{
	const uint8_t	*p = bytes;
	uint32_t	 c = UINT32_MAX;
	int		 k;

	for (; n > 0; n--)
		for (c ^= *p++, k = 0; k < 8; k++)
			c = c & 1 ? 0xedb88320 ^ c >> 1 : c >> 1;
	return (~c);
}

/* Put a number. */
void
torch_poke(uint8_t *b, int width, uint64_t v)
{
	for (; width > 0; width--, v >>= 8)
		*b++ = (uint8_t)v;
}

/* Write a number. */
static void
torch_put(FILE *fp, int width, uint64_t v)
{
	uint8_t	 b[8];

	torch_poke(b, width, v);
	fwrite(b, 1, (size_t)width, fp);
}

/* Write the fields that local headers and entries of the directory have in
 * common: from the version to the CRC. */
static void
torch_put_common(FILE *fp, const struct torch_member *m, int options,
    int local)
{
	torch_put(fp, 2, 0);
	torch_put(fp, 2, options & TORCH_LATER ? 0x808 : 0);
	torch_put(fp, 2, 0);		/* stored */
	torch_put(fp, 4, 0);		/* time, date */
	torch_put(fp, 4, local && options & TORCH_LATER ? 0 :
	    torch_crc(m->bytes, m->n));
}

/* Write a member: header, bytes, and sizes after the bytes. */
static void
torch_put_member(FILE *fp, const struct torch_member *m, int options,
    size_t *data)
{
	int	 big = options & TORCH_LOCAL64;
	size_t	 extra = big ? 24 : 4, pad;
	size_t	 at = (size_t)ftell(fp) + 30 + strlen(m->name) + extra;
	size_t	 size = options & TORCH_LATER ? 0 : m->n;

	pad = (ALIGN - at % ALIGN) % ALIGN;
	torch_put(fp, 4, 0x04034b50);
	torch_put_common(fp, m, options, 1);
	torch_put(fp, 4, big ? 0xffffffff : size);
	torch_put(fp, 4, big ? 0xffffffff : size);
	torch_put(fp, 2, strlen(m->name));
	torch_put(fp, 2, extra + pad);
	fputs(m->name, fp);
	if (big) {
		torch_put(fp, 4, 1 | 16 << 16);
		torch_put(fp, 8, size);
		torch_put(fp, 8, size);
	}
	fputs("FB", fp);
	torch_put(fp, 2, pad);
	fprintf(fp, "%.*s", (int)pad, "ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ"
	    "ZZZZZZZZZZZZZZZZZZZZZZZZZ");
	*data = (size_t)ftell(fp);
	fwrite(m->bytes, 1, m->n, fp);
	if ((options & TORCH_LATER) == 0)
		return;
	torch_put(fp, 4, 0x08074b50);
	torch_put(fp, 4, torch_crc(m->bytes, m->n));
	torch_put(fp, 4, m->n);
	torch_put(fp, 4, m->n);
}

/* An entry of the directory. */
static void
torch_put_entry(FILE *fp, const struct torch_member *m, int options,
    size_t local)
{
	int	 big = options & TORCH_EXTRA64;

	torch_put(fp, 4, 0x02014b50);
	torch_put(fp, 2, 0);
	torch_put_common(fp, m, options, 0);
	torch_put(fp, 4, big ? 0xffffffff : m->n);
	torch_put(fp, 4, big ? 0xffffffff : m->n);
	torch_put(fp, 2, strlen(m->name));
	torch_put(fp, 2, big ? 28 : 0);
	torch_put(fp, 2, 0);
	torch_put(fp, 8, 0);		/* disk, attributes */
	torch_put(fp, 4, big ? 0xffffffff : local);
	fputs(m->name, fp);
	if (!big)
		return;
	torch_put(fp, 2, 1);
	torch_put(fp, 2, 24);
	torch_put(fp, 8, m->n);
	torch_put(fp, 8, m->n);
	torch_put(fp, 8, local);
}

/* The records at the end. */
static void
torch_put_end(FILE *fp, size_t n, int options, size_t dir,
    struct torch_file *out)
{
	size_t	 size = (size_t)ftell(fp) - dir;
	int	 big = options & TORCH_EXTRA64;

	out->end64 = (size_t)ftell(fp);
	if (options & TORCH_END64) {
		torch_put(fp, 4, 0x06064b50);
		torch_put(fp, 8, 44);
		torch_put(fp, 4, 0);
		torch_put(fp, 8, 0);
		torch_put(fp, 8, n);
		torch_put(fp, 8, n);
		torch_put(fp, 8, size);
		torch_put(fp, 8, dir);
		out->locator = (size_t)ftell(fp);
		torch_put(fp, 4, 0x07064b50);
		torch_put(fp, 4, 0);
		torch_put(fp, 8, out->end64);
		torch_put(fp, 4, 1);
	}
	out->end = (size_t)ftell(fp);
	torch_put(fp, 4, 0x06054b50);
	torch_put(fp, 4, 0);
	torch_put(fp, 2, big ? 0xffff : n);
	torch_put(fp, 2, big ? 0xffff : n);
	torch_put(fp, 4, big ? 0xffffffff : size);
	torch_put(fp, 4, big ? 0xffffffff : dir);
	torch_put(fp, 2, 0);
}

/* A zip file. */
void
torch_zip(const struct torch_member *m, size_t n, int options,
    struct torch_file *out)
{
	FILE	*fp;
	size_t	 i, dir;

	memset(out, 0, sizeof *out);
	fp = open_memstream((char **)&out->bytes, &out->n);
	assert_non_null(fp);
	assert_true(n <= TORCH_MEMBERS_MAX);
	for (i = 0; i < n; i++) {
		out->local[i] = (size_t)ftell(fp);
		torch_put_member(fp, &m[i], options, &out->data[i]);
	}
	dir = (size_t)ftell(fp);
	for (i = 0; i < n; i++) {
		out->central[i] = (size_t)ftell(fp);
		torch_put_entry(fp, &m[i], options, out->local[i]);
	}
	torch_put_end(fp, n, options, dir, out);
	assert_int_equal(fclose(fp), 0);
}

/* A file without a name. */
int
torch_open(const void *bytes, size_t n)
{
	int	 fd = memfd_create("torch", MFD_CLOEXEC);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, bytes, n), n);
	return (fd);
}

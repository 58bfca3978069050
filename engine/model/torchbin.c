/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pytorch_model.bin: for every tensor of its pickle, the zip member with its
 * storage is found, and the tensor must be inside of it.
 */
#include "torchbin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fileio.h"
#include "pickle.h"
#include "torchzip.h"
#include "xmalloc.h"

#define TORCHBIN_PREFIX_MAX	256	/* bytes of the archive's own name */

/* Element types by their name in a table. */
static const struct {
	const char	*name, *overlapping;
	int		 readable;
	enum dtype	 dtype;
} torchbin_types[] = {
	[PICKLE_F16] = { "F16", "F16 with overlapping strides", 1, DTYPE_F16 },
	[PICKLE_BF16] = { "BF16", "BF16 with overlapping strides", 1,
	    DTYPE_BF16 },
	[PICKLE_F32] = { "F32", "F32 with overlapping strides", 1, DTYPE_F32 },
	[PICKLE_F64] = { "F64", "F64 with overlapping strides", 1, DTYPE_F64 },
	[PICKLE_U8] = { "U8", "U8 with overlapping strides", 0, 0 },
	[PICKLE_BOOL] = { "BOOL", "BOOL with overlapping strides", 0, 0 },
	[PICKLE_I64] = { "I64", "I64 with overlapping strides", 0, 0 }
};

/* The state of torchbin_read. */
struct torchbin {
	const char		*path;
	int			 fd;
	struct torchzip		 zip;
	char			 prefix[TORCHBIN_PREFIX_MAX];
	const struct tz_member	*pickle;	/* borrowed from zip */
	struct fault		*f;
};

static int	torchbin_find_pickle(struct torchbin *);
static int	torchbin_check_order(struct torchbin *);
static int	torchbin_load(struct torchbin *, const struct tz_member *,
		    uint8_t **);
static int	torchbin_place(struct torchbin *, struct pickle_table *,
		    struct st_table *);

/* Read the table of a file. */
int
torchbin_read(const char *path, int fd, uint64_t size, struct st_table *out,
    struct fault *f)
{
	struct torchbin		 b = { .path = path, .fd = fd, .f = f };
	struct pickle_table	 tensors = { 0 };
	uint8_t			*bytes = NULL;
	int			 r;

	if (torchzip_read(path, fd, size, &b.zip, f) != TZ_OK)
		return (CHAT_EFORMAT);
	if ((r = torchbin_find_pickle(&b)) != 0 ||
	    (r = torchbin_check_order(&b)) != 0 ||
	    (r = torchbin_load(&b, b.pickle, &bytes)) != 0)
		goto out;
	if (pickle_read(path, bytes, (size_t)b.pickle->size, &tensors, f) !=
	    PICKLE_OK)
		r = CHAT_EFORMAT;
	else
		r = torchbin_place(&b, &tensors, out);
out:
	free(bytes);
	pickle_clear(&tensors);
	torchzip_clear(&b.zip);
	return (r);
}

/* Find the one member NAME/data.pkl, and NAME. */
static int
torchbin_find_pickle(struct torchbin *b)
{
	const char	*name, *slash;
	size_t		 i;

	for (i = 0; i < b->zip.n; i++) {
		name = b->zip.members[i].name;
		slash = strchr(name, '/');
		if (slash == NULL || strcmp(slash, "/data.pkl") != 0)
			continue;
		if (b->pickle != NULL)
			return (fault_set(b->f, "bad_model", NULL,
			    "%s: two members data.pkl", b->path));
		if ((size_t)(slash - name) >= sizeof b->prefix)
			return (fault_set(b->f, "bad_model", NULL, "%s: a "
			    "name of over %d bytes", b->path,
			    TORCHBIN_PREFIX_MAX - 1));
		snprintf(b->prefix, sizeof b->prefix, "%.*s",
		    (int)(slash - name), name);
		b->pickle = &b->zip.members[i];
	}
	if (b->pickle == NULL)
		return (fault_set(b->f, "bad_model", NULL, "%s: a zip file, "
		    "but no member data.pkl in it: not written by PyTorch",
		    b->path));
	return (0);
}

/* Check the byte order, which newer files contain. */
static int
torchbin_check_order(struct torchbin *b)
{
	char			*name = xasprintf("%s/byteorder", b->prefix);
	const struct tz_member	*m = torchzip_find(&b->zip, name);
	char			 word[7] = "";

	free(name);
	if (m == NULL)
		return (0);
	if (m->size != 6 || fileio_read(b->fd, word, 6, m->at) != 0 ||
	    strcmp(word, "little") != 0)
		return (fault_set(b->f, "bad_model", NULL,
		    "%s: byteorder: expected little", b->path));
	return (0);
}

/* CRC-32 as in zip files. */
static uint32_t
torchbin_crc(const uint8_t *p, size_t n)
{
	uint32_t	 table[256], c, i, k;

	for (i = 0; i < nitems(table); i++) {
		for (c = i, k = 0; k < 8; k++)
			c = c & 1 ? 0xedb88320 ^ c >> 1 : c >> 1;
		table[i] = c;
	}
	for (c = UINT32_MAX; n > 0; n--)
		c = table[(c ^ *p++) & 0xff] ^ c >> 8;
	return (~c);
}

/* Read the whole pickle into *out (owned by the caller). */
static int
torchbin_load(struct torchbin *b, const struct tz_member *m, uint8_t **out)
{
	int	 r;

	if (m->size > PICKLE_BYTES_MAX)
		return (fault_set(b->f, "bad_model", NULL, "%s: a pickle of "
		    "%llu bytes: expected at most %d", b->path,
		    (unsigned long long)m->size, PICKLE_BYTES_MAX));
	*out = xmalloc((size_t)m->size + 1);
	if ((r = fileio_read(b->fd, *out, (size_t)m->size, m->at)) != 0)
		return (fault_set(b->f, "bad_model", NULL, "%s: reading: %s",
		    b->path, fileio_why(r)));
	/* 0 means that torch did not compute it. */
	if (m->crc != 0 && torchbin_crc(*out, (size_t)m->size) !=
	    m->crc)
		return (fault_set(b->f, "bad_model", NULL, "%s: data.pkl: its "
		    "checksum does not match: the file is damaged", b->path));
	return (0);
}

/* Compare tensors by name. */
static int
torchbin_compare(const void *a, const void *b)
{
	const struct pickle_tensor	*x = a, *y = b;

	return (strcmp(x->name, y->name));
}

/* Find the place of one tensor in the file. The name is taken from p. */
static int
torchbin_place_one(struct torchbin *b, struct pickle_tensor *p,
    struct st_tensor *t)
{
	char			*name = xasprintf("%s/data/%s", b->prefix,
				    p->key);
	const struct tz_member	*m = torchzip_find(&b->zip, name);
	uint64_t		 size = pickle_type_size(p->type);

	free(name);
	if (m == NULL)
		return (fault_set(b->f, "bad_model", NULL,
		    "%s: %.100s: its storage %s is not in the file", b->path,
		    p->name, p->key));
	if (m->size % size != 0 || m->size / size != (uint64_t)p->elems)
		return (fault_set(b->f, "bad_model", NULL,
		    "%s: %.100s: expected a storage of %lld elements of %llu "
		    "bytes, found %llu bytes", b->path, p->name,
		    (long long)p->elems, (unsigned long long)size,
		    (unsigned long long)m->size));
	t->readable = torchbin_types[p->type].readable && !p->overlaps;
	t->dtype = torchbin_types[p->type].dtype;
	t->dtype_name = p->overlaps ? torchbin_types[p->type].overlapping :
	    torchbin_types[p->type].name;
	t->dims = p->dims;
	memcpy(t->shape, p->shape, sizeof p->shape);
	t->strided = !p->contiguous;
	memcpy(t->stride, p->stride, sizeof p->stride);
	t->begin = m->at + (uint64_t)p->offset * size;
	t->end = t->begin + (uint64_t)p->extent * size;
	t->name = p->name;
	p->name = NULL;
	return (0);
}

/* Make a table from the tensors of a pickle. */
static int
torchbin_place(struct torchbin *b, struct pickle_table *from,
    struct st_table *out)
{
	struct st_table	 t = { 0 };
	size_t		 i;
	int		 r = 0;

	if (from->n > 1)
		qsort(from->tensors, from->n, sizeof *from->tensors,
		    torchbin_compare);
	for (i = 1; i < from->n; i++)
		if (torchbin_compare(&from->tensors[i - 1],
		    &from->tensors[i]) == 0)
			return (fault_set(b->f, "bad_model", NULL,
			    "%s: %.100s: is in the file twice", b->path,
			    from->tensors[i].name));
	t.tensors = xcalloc(from->n + 1, sizeof *t.tensors);
	for (i = 0; i < from->n && r == 0; i++)
		if ((r = torchbin_place_one(b, &from->tensors[i],
		    &t.tensors[t.n])) == 0)
			t.n++;
	if (r != 0)
		safetensors_clear(&t);
	else
		*out = t;
	return (r);
}

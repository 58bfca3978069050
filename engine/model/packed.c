/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packed files: reading and writing the metadata that makes a safetensors file
 * a packed file.
 */
#include "packed.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fileio.h"
#include "json.h"
#include "xmalloc.h"

#define PACKED_DIGEST	"sha256:"
#define PACKED_HEX	(SHA256_HEX - 1)
#define PACKED_NAME_MAX	1024	/* bytes of a name: that of a folder, with
				 * U+FFFD for bytes that are not UTF-8 */
#define PACKED_SLICE	((uint64_t)4 * 1024 * 1024)	/* bytes read at a
							 * time */

/* The metadata: a word of limited length, or a prefix and the digits of a
 * checksum. */
static const struct {
	const char	*key;
	const char	*prefix;	/* NULL for a word */
} packed_keys[] = {
	{ "layout", NULL },
	{ "precision", NULL },
	{ "name", NULL },
	{ "source", PACKED_DIGEST },
	{ "sha256", "" }
};

/* Does a table have the key of a packed file? */
int
packed_is(const struct st_table *t)
{
	return (json_object_get(t->metadata, "chatd_packed") != NULL);
}

/* Does a file begin like a packed file? */
int
packed_begins(int fd)
{
	static const char words[] = "{\"__metadata__\":{\"chatd_packed\"";
	char		  start[sizeof words - 1];

	return (fileio_read(fd, start, sizeof start, 8) == 0 &&
	    memcmp(start, words, sizeof start) == 0);
}

/* Is s (NULL if missing) a valid value of metadata number i? */
static int
packed_fits(size_t i, const char *s)
{
	const char	*prefix = packed_keys[i].prefix;
	size_t		 n = prefix != NULL ? strlen(prefix) : 0;

	if (s == NULL)
		return (0);
	if (prefix == NULL)
		return (s[0] != '\0' && strlen(s) <= PACKED_NAME_MAX);
	return (strncmp(s, prefix, n) == 0 &&
	    strlen(s + n) == PACKED_HEX &&
	    strspn(s + n, "0123456789abcdef") == PACKED_HEX);
}

/* Check the version, the metadata and the place of the data. */
static int
packed_check(const struct packed *p, struct fault *f)
{
	const json_t	*meta = p->table.metadata;
	const char	*s = msg_string(meta, "chatd_packed");
	size_t		 i;

	if (strcmp(s, PACKED_VERSION) != 0)
		return (fault_set(f, "bad_model", NULL, "%s: expected a "
		    "packed file of version " PACKED_VERSION ", found %.20s%s"
		    ": pack the model again", p->path, s, strcmp(s, "1") == 0 ?
		    ", of an older chatd" : ""));
	for (i = 0; i < nitems(packed_keys); i++)
		if (!packed_fits(i, msg_string(meta, packed_keys[i].key)))
			return (fault_set(f, "bad_model", NULL, "%s: "
			    "__metadata__: %s is missing or malformed",
			    p->path, packed_keys[i].key));
	if (p->data % PACKED_ALIGN != 0)
		return (fault_set(f, "bad_model", NULL, "%s: expected the "
		    "data at a multiple of %d, found it at %llu", p->path,
		    PACKED_ALIGN, (unsigned long long)p->data));
	for (i = 0; i < p->table.n; i++)
		if (p->table.tensors[i].begin % 64 != 0)
			return (fault_set(f, "bad_model", NULL, "%s: %.100s: "
			    "expected to start at a multiple of 64, found "
			    "%llu", p->path, p->table.tensors[i].name,
			    (unsigned long long)p->table.tensors[i].begin));
	return (0);
}

/* Make a packed file from an open file. */
int
packed_open(const char *path, int fd, uint64_t size, uint64_t data,
    struct st_table *table, struct packed **out, struct fault *f)
{
	struct packed	*p = xcalloc(1, sizeof *p);
	int		 r;

	p->path = xstrdup(path);
	p->fd = fd;
	p->size = size;
	p->data = data;
	p->table = *table;
	memset(table, 0, sizeof *table);
	if ((r = packed_check(p, f)) != 0) {
		packed_free(p);
		return (r);
	}
	p->layout = msg_string(p->table.metadata, "layout");
	p->precision = msg_string(p->table.metadata, "precision");
	p->name = msg_string(p->table.metadata, "name");
	p->source = msg_string(p->table.metadata, "source");
	p->sha256 = msg_string(p->table.metadata, "sha256");
	*out = p;
	return (0);
}

/* Release it. */
void
packed_free(struct packed *p)
{
	if (p == NULL)
		return;
	safetensors_clear(&p->table);
	close(p->fd);
	free(p->path);
	free(p);
}

/* Find a tensor. */
const struct st_tensor *
packed_find(const struct packed *p, const char *name)
{
	size_t	 i;

	for (i = 0; i < p->table.n; i++)
		if (strcmp(p->table.tensors[i].name, name) == 0)
			return (&p->table.tensors[i]);
	return (NULL);
}

/* Read n bytes of the data from byte `at` on. */
int
packed_read(const struct packed *p, void *out, size_t n, uint64_t at,
    struct fault *f)
{
	int	 r = fileio_read(p->fd, out, n, p->data + at);

	if (r != 0)
		fault_set(f, "bad_model", NULL, "%s: reading: %s", p->path,
		    fileio_why(r));
	return (r);
}

/* Return the bytes of a tensor of type U8. */
int
packed_bytes(const struct packed *p, const char *name, size_t max,
    uint8_t **bytes, size_t *n, struct fault *f)
{
	const struct st_tensor	*t = packed_find(p, name);
	uint8_t			*buf;
	int			 r;

	if (t == NULL || strcmp(t->dtype_name, "U8") != 0)
		return (fault_set(f, "bad_model", NULL, "%s: expected a "
		    "tensor %s of type U8, found none", p->path, name));
	if (t->end - t->begin > max)
		return (fault_set(f, "bad_model", NULL, "%s: %s: expected at "
		    "most %zu bytes, found %llu", p->path, name, max,
		    (unsigned long long)(t->end - t->begin)));
	buf = xmalloc((size_t)(t->end - t->begin) + 1);
	if ((r = packed_read(p, buf, (size_t)(t->end - t->begin),
	    t->begin, f)) != 0) {
		free(buf);
		return (r);
	}
	*n = (size_t)(t->end - t->begin);
	buf[*n] = '\0';
	*bytes = buf;
	return (0);
}

/* Return a text that is kept as a tensor. */
int
packed_text(const struct packed *p, const char *name, size_t max,
    char **text, size_t *n, struct fault *f)
{
	uint8_t	*buf;
	int	 r;

	if ((r = packed_bytes(p, name, max, &buf, n, f)) != 0)
		return (r);
	while (*n > 0 && buf[*n - 1] == ' ')
		(*n)--;
	buf[*n] = '\0';
	*text = (char *)buf;
	return (0);
}

/* Compare the data with its checksum. */
int
packed_verify(const struct packed *p, void (*progress)(void *arg,
    int64_t bytes, int64_t total), void *arg, struct fault *f)
{
	struct sha256	 sum;
	char		 hex[SHA256_HEX];
	uint8_t		*buf = xmalloc(PACKED_SLICE);
	uint64_t	 at, n, size = p->size - p->data;
	int		 r = 0;

	sha256_init(&sum);
	for (at = 0; at < size && r == 0; at += n) {
		n = size - at < PACKED_SLICE ? size - at : PACKED_SLICE;
		if ((r = packed_read(p, buf, (size_t)n, at, f)) != 0)
			break;
		sha256_add(&sum, buf, (size_t)n);
		if (progress != NULL)
			progress(arg, (int64_t)(at + n), (int64_t)size);
	}
	free(buf);
	sha256_end(&sum, hex);
	if (r == 0 && strcmp(hex, p->sha256) != 0)
		r = fault_set(f, "bad_model", NULL, "%s: expected data with "
		    "the SHA-256 %s, found %s: the file is damaged", p->path,
		    p->sha256, hex);
	return (r);
}

/* Add the entry of one tensor. */
static json_t *
packed_entry(const struct packed_tensor *t)
{
	json_t	*o = json_object(), *a = json_array();
	int	 i;

	for (i = 0; i < t->dims; i++)
		json_array_append_new(a, json_integer(t->shape[i]));
	msg_set_string(o, "dtype", t->dtype);
	msg_set(o, "shape", a);
	a = json_array();
	json_array_append_new(a, json_integer((json_int_t)t->begin));
	json_array_append_new(a, json_integer((json_int_t)t->end));
	msg_set(o, "data_offsets", a);
	return (o);
}

/* Write a header. */
char *
packed_header(const char *layout, const char *precision, const char *name,
    const char *source, const char *sha256, const struct packed_tensor *t,
    size_t nt, size_t *n)
{
	static const char zeros[PACKED_HEX + 1] = "0000000000000000"
	    "000000000000000000000000000000000000000000000000";
	json_t	*root = json_object(), *meta = json_object();
	char	*line, *out, *none = xasprintf(PACKED_DIGEST "%s", zeros);
	size_t	 len, i;

	msg_set_string(meta, "chatd_packed", PACKED_VERSION);
	msg_set_string(meta, "layout", layout);
	msg_set_string(meta, "precision", precision);
	msg_set_string(meta, "name", name);
	msg_set_string(meta, "source", source != NULL ? source : none);
	msg_set_string(meta, "sha256", sha256 != NULL ? sha256 : zeros);
	msg_set(root, "__metadata__", meta);
	for (i = 0; i < nt; i++)
		msg_set(root, t[i].name, packed_entry(&t[i]));
	line = msg_line(root, &len);
	len--;				/* the newline */
	*n = (8 + len + PACKED_ALIGN - 1) / PACKED_ALIGN * PACKED_ALIGN;
	out = xmalloc(*n);
	for (i = 0; i < 8; i++)
		out[i] = (char)((*n - 8) >> 8 * i & 0xff);
	memcpy(out + 8, line, len);
	memset(out + 8 + len, ' ', *n - 8 - len);
	free(line);
	free(none);
	json_decref(root);
	return (out);
}

/*
 * The weight files of a Hugging Face folder, safetensors or PyTorch's.  They
 * are read with pread, not mapped: a file that shrinks or sits on a failing
 * disk is an error message, not a signal, and a slice at a time bounds the
 * memory used.
 */
#include "hf.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fileio.h"
#include "json.h"
#include "path.h"
#include "torchbin.h"
#include "xmalloc.h"

#define HF_INDEX_MAX	(32 * 1024 * 1024)	/* bytes of an index file */
#define HF_FILES_MAX	4096			/* shards */

struct hf_file {
	char		*name;		/* owned: inside the folder */
	char		*path;		/* owned */
	int		 fd;
	uint64_t	 data;		/* byte to which offsets are relative */
	struct st_table	 table;
};

/* A container: how its files are called and how a table is read. */
struct hf_format {
	const char	*one, *index;
	int		 (*read)(struct hf_file *, uint64_t, struct fault *);
};

struct hf {
	struct hf_file		*files;		/* owned; in order of names */
	size_t			 nfiles;
	struct hf_tensor	*tensors;	/* owned; in order of names */
	size_t			 ntensors;
	const struct hf_format	*format;
};

static int	hf_open_file(struct hf *, const char *, const char *,
		    struct fault *);
static int	hf_open_index(struct hf *, const char *, const char *,
		    struct fault *);
static int	hf_open_shards(struct hf *, const char *, const char *,
		    json_t *, struct fault *);
static int	hf_check_index(struct hf *, const char *, json_t *,
		    struct fault *);
static int	hf_read_safetensors(struct hf_file *, uint64_t,
		    struct fault *);
static int	hf_read_torchbin(struct hf_file *, uint64_t, struct fault *);
static int	hf_collect(struct hf *, struct fault *);

/* In order of preference. */
static const struct hf_format hf_formats[] = {
	{ "model.safetensors", "model.safetensors.index.json",
	    hf_read_safetensors },
	{ "pytorch_model.bin", "pytorch_model.bin.index.json",
	    hf_read_torchbin }
};

/* Is there a file of that name in the folder? */
static int
hf_there(const char *folder, const char *name)
{
	char	*path = path_join(folder, name);
	int	 there = access(path, F_OK) == 0;

	free(path);
	return (there);
}

/* Open the folder's weights. */
int
hf_open(const char *path, struct hf **out, struct fault *f)
{
	const struct hf_format	*w;
	struct hf		*h = xcalloc(1, sizeof *h);
	size_t			 i;
	int			 r;

	for (i = 0; i < nitems(hf_formats) && h->format == NULL; i++) {
		w = &hf_formats[i];
		if (hf_there(path, w->one) || hf_there(path, w->index))
			h->format = w;
	}
	if (h->format == NULL)
		r = fault_set(f, "bad_model", NULL, "%s: expected "
		    "model.safetensors or pytorch_model.bin, or an index of "
		    "one of them, found none", path);
	else if (hf_there(path, h->format->one))
		r = hf_open_file(h, path, h->format->one, f);
	else
		r = hf_open_index(h, path, h->format->index, f);
	if (r == 0 && h->tensors == NULL)
		r = hf_collect(h, f);
	if (r == 0) {
		*out = h;
		h = NULL;
	}
	hf_free(h);
	return (r);
}

/* Release all files. */
void
hf_free(struct hf *h)
{
	size_t	 i;

	if (h == NULL)
		return;
	for (i = 0; i < h->nfiles; i++) {
		safetensors_clear(&h->files[i].table);
		if (h->files[i].fd != -1)
			close(h->files[i].fd);
		free(h->files[i].name);
		free(h->files[i].path);
	}
	free(h->files);
	free(h->tensors);
	free(h);
}

/* Add one weight file. */
static int
hf_open_file(struct hf *h, const char *folder, const char *name,
    struct fault *f)
{
	struct hf_file	*file;
	struct stat	 st;

	h->files = xreallocarray(h->files, h->nfiles + 1, sizeof *h->files);
	file = &h->files[h->nfiles++];
	memset(file, 0, sizeof *file);
	file->name = xstrdup(name);
	file->path = path_join(folder, name);
	file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd == -1)
		return (fault_set(f, "bad_model", NULL, "%s: %s", file->path,
		    strerror(errno)));
	if (fstat(file->fd, &st) == -1 || !S_ISREG(st.st_mode))
		return (fault_set(f, "bad_model", NULL,
		    "%s: not a regular file", file->path));
	return (h->format->read(file, (uint64_t)st.st_size, f));
}

/* Read and check the table of an open safetensors file of size bytes. */
static int
hf_read_safetensors(struct hf_file *file, uint64_t size, struct fault *f)
{
	uint8_t		 start[8] = { 0 };
	uint64_t	 n;
	char		*buf;
	int		 r = 0;

	if (size >= 8 && (r = fileio_read(file->fd, start, 8, 0)) != 0)
		return (fault_set(f, "bad_model", NULL, "%s: reading: %s",
		    file->path, chat_strerror(r)));
	if (safetensors_length(file->path, start, size, &n, f) != ST_OK)
		return (CHAT_EFORMAT);
	file->data = 8 + n;
	buf = xmalloc(n + 1);
	if ((r = fileio_read(file->fd, buf, n, 8)) != 0)
		fault_set(f, "bad_model", NULL, "%s: reading: %s",
		    file->path, chat_strerror(r));
	else if (safetensors_parse(file->path, buf, n, size - file->data,
	    &file->table, f) != ST_OK)
		r = CHAT_EFORMAT;
	free(buf);
	return (r);
}

/* Read and check the table of an open file of PyTorch of size bytes. */
static int
hf_read_torchbin(struct hf_file *file, uint64_t size, struct fault *f)
{
	return (torchbin_read(file->path, file->fd, size, &file->table, f));
}

/* Open every shard that an index names. */
static int
hf_open_index(struct hf *h, const char *folder, const char *name,
    struct fault *f)
{
	struct fault	 why;
	json_t		*obj = NULL, *map;
	char		*index = path_join(folder, name), *text = NULL;
	size_t		 n;
	int		 r;

	if ((r = path_read(index, HF_INDEX_MAX, &text, &n)) != 0) {
		fault_set(f, "bad_model", NULL, "%s: %s", index,
		    r == CHAT_ESYSTEM ? strerror(errno) : chat_strerror(r));
		goto out;
	}
	if (json_line_parse(text, n, &obj, &why) != 0) {
		r = fault_set(f, "bad_model", NULL, "%s: %s", index,
		    why.message);
		goto out;
	}
	map = json_object_get(obj, "weight_map");
	if (!json_is_object(map)) {
		r = fault_set(f, "bad_model", NULL,
		    "%s: weight_map: expected an object", index);
		goto out;
	}
	if ((r = hf_open_shards(h, folder, index, map, f)) != 0 ||
	    (r = hf_collect(h, f)) != 0)
		goto out;
	r = hf_check_index(h, index, map, f);
out:
	json_decref(obj);
	free(index);
	free(text);
	return (r);
}

/* Order of names, for qsort and bsearch of strings. */
static int
hf_compare_names(const void *a, const void *b)
{
	return (strcmp(*(const char *const *)a, *(const char *const *)b));
}

/* A name with no folder in it. */
static int
hf_is_plain(const char *name)
{
	return (name != NULL && name[0] != '\0' && name[0] != '.' &&
	    strchr(name, '/') == NULL && strlen(name) < 256);
}

/* Open the distinct files of a weight map, in order of names. */
static int
hf_open_shards(struct hf *h, const char *folder, const char *index,
    json_t *map, struct fault *f)
{
	const char	*key, *name, **names;
	json_t		*v;
	size_t		 n = 0, i;
	int		 r = 0;

	names = xcalloc(json_object_size(map) + 1, sizeof *names);
	json_object_foreach(map, key, v) {
		name = json_string_value(v);
		if (!hf_is_plain(name)) {
			r = fault_set(f, "bad_model", NULL,
			    "%s: %.100s: expected a file of this folder, found "
			    "%.100s", index, key,
			    name != NULL ? name : "no string");
			goto out;
		}
		names[n++] = name;
	}
	qsort(names, n, sizeof *names, hf_compare_names);
	for (i = 0; i < n && r == 0; i++) {
		if (i > 0 && strcmp(names[i], names[i - 1]) == 0)
			continue;
		if (h->nfiles == HF_FILES_MAX)
			r = fault_set(f, "bad_model", NULL,
			    "%s: over %d files", index, HF_FILES_MAX);
		else
			r = hf_open_file(h, folder, names[i], f);
	}
out:
	free(names);
	return (r);
}

/* Order of tensors' names. */
static int
hf_compare(const void *a, const void *b)
{
	const struct hf_tensor	*x = a, *y = b;

	return (strcmp(x->st->name, y->st->name));
}

/* Gather the tensors of all files; a name in two files is an error. */
static int
hf_collect(struct hf *h, struct fault *f)
{
	struct hf_tensor	*t;
	size_t			 i, j, n = 0;

	for (i = 0; i < h->nfiles; i++)
		n += h->files[i].table.n;
	h->tensors = xcalloc(n + 1, sizeof *h->tensors);
	for (i = 0; i < h->nfiles; i++)
		for (j = 0; j < h->files[i].table.n; j++) {
			t = &h->tensors[h->ntensors++];
			t->st = &h->files[i].table.tensors[j];
			t->file = i;
			t->at = h->files[i].data + t->st->begin;
		}
	qsort(h->tensors, n, sizeof *h->tensors, hf_compare);
	for (i = 1; i < n; i++)
		if (hf_compare(&h->tensors[i - 1], &h->tensors[i]) == 0)
			return (fault_set(f, "bad_model", NULL,
			    "%s: %.100s: is in %s too",
			    h->files[h->tensors[i].file].path,
			    h->tensors[i].st->name,
			    h->files[h->tensors[i - 1].file].name));
	return (0);
}

/* Each tensor of the index is in the file the index says, and no other. */
static int
hf_check_index(struct hf *h, const char *index, json_t *map, struct fault *f)
{
	struct hf_tensor	 t;
	const char		*key, *name;
	json_t			*v;
	size_t			 i;

	json_object_foreach(map, key, v)
		if (hf_find(h, key, &t) != 0 ||
		    strcmp(h->files[t.file].name, json_string_value(v)) != 0)
			return (fault_set(f, "bad_model", NULL,
			    "%s: %.100s: not in %.100s", index, key,
			    json_string_value(v)));
	for (i = 0; i < h->ntensors; i++) {
		name = h->tensors[i].st->name;
		if (json_object_get(map, name) == NULL)
			return (fault_set(f, "bad_model", NULL,
			    "%s: %.100s: is in %.100s but not in the index",
			    index, name, h->files[h->tensors[i].file].name));
	}
	return (0);
}

/* Look a tensor up by name. */
int
hf_find(const struct hf *h, const char *name, struct hf_tensor *out)
{
	struct st_tensor	 st = { .name = (char *)(uintptr_t)name };
	struct hf_tensor	 key = { .st = &st }, *t;

	t = bsearch(&key, h->tensors, h->ntensors, sizeof key, hf_compare);
	if (t == NULL)
		return (CHAT_ENOTFOUND);
	*out = *t;
	return (0);
}

/* Tensor i in order of names. */
int
hf_at(const struct hf *h, size_t i, struct hf_tensor *out)
{
	if (i >= h->ntensors)
		return (CHAT_ENOTFOUND);
	*out = h->tensors[i];
	return (0);
}

/* Read a piece of a tensor. */
int
hf_read(const struct hf *h, const struct hf_tensor *t, uint64_t off,
    void *out, size_t n, struct fault *f)
{
	int	 r;

	if ((r = fileio_read(h->files[t->file].fd, out, n, t->at + off)) == 0)
		return (0);
	fault_set(f, "bad_model", NULL, "%s: %.100s: reading: %s",
	    h->files[t->file].path, t->st->name, r == CHAT_ESYSTEM ?
	    strerror(errno) : "the file has become shorter");
	return (r);
}

/* Path of weight file i. */
const char *
hf_file(const struct hf *h, size_t i)
{
	return (i < h->nfiles ? h->files[i].path : NULL);
}

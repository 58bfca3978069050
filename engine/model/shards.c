/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The weight files of a model (safetensors, PyTorch or one GGUF file): it finds
 * the files, and records which tensor is in which file.
 */
#include "shards.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fileio.h"
#include "json.h"
#include "path.h"
#include "torchbin.h"
#include "xmalloc.h"

#define SHARDS_INDEX_MAX (32 * 1024 * 1024)	/* bytes of an index file */
#define SHARDS_INDEX_VALUES (512 * 1024)	/* names in it */
#define SHARDS_FILES_MAX 4096			/* shards */

struct shard {
	char		*name;		/* owned: name inside the folder */
	char		*path;		/* owned */
	int		 fd;
	uint64_t	 size;
	uint64_t	 data;		/* byte to which offsets are relative */
	struct st_table	 table;
};

/* A container: the names of its files, and how its table is read. */
struct shards_format {
	const char	*name, *one, *index;
	int		 (*read)(struct shard *, uint64_t, struct fault *);
};

struct shards {
	struct shard		*files;		/* owned; in order of names */
	size_t			 nfiles;
	struct shard_tensor	*tensors;	/* owned; in order of names */
	size_t			 ntensors;
	const char		*name;		/* name of the format: static */
	const struct shards_format *format;	/* NULL for one wrapped file */
};

static int	shards_open_file(struct shards *, const char *, const char *,
		    struct fault *);
static int	shards_open_index(struct shards *, const char *, const char *,
		    struct fault *);
static int	shards_open_shards(struct shards *, const char *, const char *,
		    json_t *, struct fault *);
static int	shards_check_index(struct shards *, const char *, json_t *,
		    struct fault *);
static int	shards_read_safetensors(struct shard *, uint64_t,
		    struct fault *);
static int	shards_read_torchbin(struct shard *, uint64_t,
		    struct fault *);
static int	shards_collect(struct shards *, struct fault *);

/* In order of preference. */
static const struct shards_format shards_formats[] = {
	{ "safetensors", "model.safetensors",
	    "model.safetensors.index.json", shards_read_safetensors },
	{ "PyTorch", "pytorch_model.bin", "pytorch_model.bin.index.json",
	    shards_read_torchbin }
};

/* Is there a file of that name in the folder? */
static int
shards_there(const char *folder, const char *name)
{
	char	*path = path_join(folder, name);
	int	 there = access(path, F_OK) == 0;

	free(path);
	return (there);
}

/* Open the weights of a folder. */
int
shards_open(const char *path, struct shards **out, struct fault *f)
{
	const struct shards_format *w;
	struct shards	*s = xcalloc(1, sizeof *s);
	size_t		 i;
	int		 r;

	for (i = 0; i < nitems(shards_formats) && s->format == NULL; i++) {
		w = &shards_formats[i];
		if (shards_there(path, w->one) || shards_there(path, w->index))
			s->format = w;
	}
	s->name = s->format != NULL ? s->format->name : "";
	if (s->format == NULL)
		r = fault_set(f, "bad_model", NULL, "%s: expected "
		    "model.safetensors or pytorch_model.bin, or an index of "
		    "one of them, found none", path);
	else if (shards_there(path, s->format->one))
		r = shards_open_file(s, path, s->format->one, f);
	else
		r = shards_open_index(s, path, s->format->index, f);
	if (r == 0 && s->tensors == NULL)
		r = shards_collect(s, f);
	if (r == 0) {
		*out = s;
		s = NULL;
	}
	shards_free(s);
	return (r);
}

/* Wrap one open file. */
int
shards_wrap(const char *path, int fd, uint64_t size, struct st_table *table,
    const char *format, struct shards **out, struct fault *f)
{
	struct shards	*s = xcalloc(1, sizeof *s);
	const char	*slash = strrchr(path, '/');
	int		 r;

	s->name = format;
	s->files = xcalloc(1, sizeof *s->files);
	s->nfiles = 1;
	s->files[0].name = xstrdup(slash != NULL ? slash + 1 : path);
	s->files[0].path = xstrdup(path);
	s->files[0].fd = fd;
	s->files[0].size = size;
	s->files[0].table = *table;
	memset(table, 0, sizeof *table);
	if ((r = shards_collect(s, f)) == 0) {
		*out = s;
		s = NULL;
	}
	shards_free(s);
	return (r);
}

/* Release all files. */
void
shards_free(struct shards *s)
{
	size_t	 i;

	if (s == NULL)
		return;
	for (i = 0; i < s->nfiles; i++) {
		safetensors_clear(&s->files[i].table);
		if (s->files[i].fd != -1)
			close(s->files[i].fd);
		free(s->files[i].name);
		free(s->files[i].path);
	}
	free(s->files);
	free(s->tensors);
	free(s);
}

/* Add one weight file. */
static int
shards_open_file(struct shards *s, const char *folder, const char *name,
    struct fault *f)
{
	struct shard	*file;
	int		 r;

	s->files = xreallocarray(s->files, s->nfiles + 1, sizeof *s->files);
	file = &s->files[s->nfiles++];
	memset(file, 0, sizeof *file);
	file->name = xstrdup(name);
	file->path = path_join(folder, name);
	if ((r = fileio_open(file->path, &file->fd, &file->size, f)) != 0)
		return (r);
	return (s->format->read(file, file->size, f));
}

/* Read and check the table of an open safetensors file of size bytes. */
static int
shards_read_safetensors(struct shard *file, uint64_t size, struct fault *f)
{
	return (safetensors_read(file->path, file->fd, size, &file->data,
	    &file->table, f));
}

/* Read and check the table of an open PyTorch file of size bytes. */
static int
shards_read_torchbin(struct shard *file, uint64_t size, struct fault *f)
{
	return (torchbin_read(file->path, file->fd, size, &file->table, f));
}

/* Open every shard of an index. */
static int
shards_open_index(struct shards *s, const char *folder, const char *name,
    struct fault *f)
{
	struct fault	 why;
	json_t		*obj = NULL, *map;
	char		*index = path_join(folder, name), *text = NULL;
	size_t		 n;
	int		 r;

	if ((r = fileio_text(index, SHARDS_INDEX_MAX, &text, &n, f)) != 0)
		goto out;
	if (json_line_parse_max(text, n, SHARDS_INDEX_VALUES, &obj,
	    &why) != 0) {
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
	if ((r = shards_open_shards(s, folder, index, map, f)) != 0 ||
	    (r = shards_collect(s, f)) != 0)
		goto out;
	r = shards_check_index(s, index, map, f);
out:
	json_decref(obj);
	free(index);
	free(text);
	return (r);
}

/* Compare names, for qsort and bsearch of strings. */
static int
shards_compare_names(const void *a, const void *b)
{
	return (strcmp(*(const char *const *)a, *(const char *const *)b));
}

/* Is this a name without a folder? */
static int
shards_is_plain(const char *name)
{
	return (name != NULL && name[0] != '\0' && name[0] != '.' &&
	    strchr(name, '/') == NULL && strlen(name) < 256);
}

/* Open each file of a weight map once, in order of names. */
static int
shards_open_shards(struct shards *s, const char *folder, const char *index,
    json_t *map, struct fault *f)
{
	const char	*key, *name, **names;
	json_t		*v;
	size_t		 n = 0, i;
	int		 r = 0;

	names = xcalloc(json_object_size(map) + 1, sizeof *names);
	json_object_foreach(map, key, v) {
		name = json_string_value(v);
		if (!shards_is_plain(name)) {
			r = fault_set(f, "bad_model", NULL,
			    "%s: %.100s: expected a file of this folder, found "
			    "%.100s", index, key,
			    name != NULL ? name : "no string");
			goto out;
		}
		names[n++] = name;
	}
	qsort(names, n, sizeof *names, shards_compare_names);
	for (i = 0; i < n && r == 0; i++) {
		if (i > 0 && strcmp(names[i], names[i - 1]) == 0)
			continue;
		if (s->nfiles == SHARDS_FILES_MAX)
			r = fault_set(f, "bad_model", NULL,
			    "%s: over %d files", index, SHARDS_FILES_MAX);
		else
			r = shards_open_file(s, folder, names[i], f);
	}
out:
	free(names);
	return (r);
}

/* Compare tensors by name. */
static int
shards_compare(const void *a, const void *b)
{
	const struct shard_tensor	*x = a, *y = b;

	return (strcmp(x->st->name, y->st->name));
}

/* Collect the tensors of all files; a name in two files is an error. */
static int
shards_collect(struct shards *s, struct fault *f)
{
	struct shard_tensor	*t;
	size_t			 i, j, n = 0;

	for (i = 0; i < s->nfiles; i++)
		n += s->files[i].table.n;
	s->tensors = xcalloc(n + 1, sizeof *s->tensors);
	for (i = 0; i < s->nfiles; i++)
		for (j = 0; j < s->files[i].table.n; j++) {
			t = &s->tensors[s->ntensors++];
			t->st = &s->files[i].table.tensors[j];
			t->file = i;
			t->at = s->files[i].data + t->st->begin;
		}
	qsort(s->tensors, n, sizeof *s->tensors, shards_compare);
	for (i = 1; i < n; i++)
		if (shards_compare(&s->tensors[i - 1], &s->tensors[i]) == 0)
			return (fault_set(f, "bad_model", NULL,
			    "%s: %.100s: is in %s too",
			    s->files[s->tensors[i].file].path,
			    s->tensors[i].st->name,
			    s->files[s->tensors[i - 1].file].name));
	return (0);
}

/* Check that each tensor of the index is in the file that the index names, and
 * that no other tensor exists. */
static int
shards_check_index(struct shards *s, const char *index, json_t *map,
    struct fault *f)
{
	struct shard_tensor	 t;
	const char		*key, *name;
	json_t			*v;
	size_t			 i;

	json_object_foreach(map, key, v)
		if (shards_find(s, key, &t) != 0 ||
		    strcmp(s->files[t.file].name, json_string_value(v)) != 0)
			return (fault_set(f, "bad_model", NULL,
			    "%s: %.100s: not in %.100s", index, key,
			    json_string_value(v)));
	for (i = 0; i < s->ntensors; i++) {
		name = s->tensors[i].st->name;
		if (json_object_get(map, name) == NULL)
			return (fault_set(f, "bad_model", NULL,
			    "%s: %.100s: is in %.100s but not in the index",
			    index, name, s->files[s->tensors[i].file].name));
	}
	return (0);
}

/* Find a tensor by name. */
int
shards_find(const struct shards *s, const char *name, struct shard_tensor *out)
{
	struct st_tensor	 st = { .name = (char *)(uintptr_t)name };
	struct shard_tensor	 key = { .st = &st }, *t;

	t = bsearch(&key, s->tensors, s->ntensors, sizeof key, shards_compare);
	if (t == NULL)
		return (CHAT_ENOTFOUND);
	*out = *t;
	return (0);
}

/* Return tensor i in order of names. */
int
shards_at(const struct shards *s, size_t i, struct shard_tensor *out)
{
	if (i >= s->ntensors)
		return (CHAT_ENOTFOUND);
	*out = s->tensors[i];
	return (0);
}

/* Read a piece of a file. */
int
shards_read(const struct shards *s, size_t i, uint64_t off, void *out,
    size_t n, struct fault *f)
{
	int	 r;

	if ((r = fileio_read(s->files[i].fd, out, n, off)) == 0)
		return (0);
	fault_set(f, "bad_model", NULL, "%s: reading: %s", s->files[i].path,
	    fileio_why(r));
	return (r);
}

/* Return path and size of weight file i. */
const char *
shards_file(const struct shards *s, size_t i, uint64_t *size)
{
	if (i >= s->nfiles)
		return (NULL);
	*size = s->files[i].size;
	return (s->files[i].path);
}

/* Return the container's name. */
const char *
shards_format(const struct shards *s)
{
	return (s->name);
}

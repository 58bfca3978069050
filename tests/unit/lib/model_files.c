/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying a model's folder with changes.
 */
#include "model_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend.h"
#include "log.h"
#include "model.h"
#include "neox.h"
#include "path.h"

#define FILE_MAX	(1024 * 1024)

/* Write bytes to folder/name. */
void
model_files_put(const char *folder, const char *name, const void *bytes,
    size_t n)
{
	char	*path = path_join(folder, name);
	FILE	*fp = fopen(path, "w");

	assert_non_null(fp);
	assert_int_equal(fwrite(bytes, 1, n, fp), n);
	assert_int_equal(fclose(fp), 0);
	free(path);
}

/* Write an object to folder/name. */
void
model_files_put_json(const char *folder, const char *name, json_t *obj)
{
	char	*text = json_dumps(obj, 0);

	model_files_put(folder, name, text, strlen(text));
	free(text);
	json_decref(obj);
}

/* Count files. */
int
model_files_count(const char *folder)
{
	DIR		*d = opendir(folder);
	struct dirent	*e;
	int		 n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return (n);
}

/* Change a tensor. */
void
model_files_poke(const char *folder, const char *tensor, size_t off,
    const void *bytes, size_t n)
{
	char		*path = path_join(folder, "model.safetensors"), *all;
	uint64_t	 header;
	json_t		*obj, *o;
	size_t		 size;
	int		 fd = open(path, O_WRONLY);

	assert_int_equal(path_read(path, FILE_MAX, &all, &size), 0);
	memcpy(&header, all, 8);
	obj = json_loadb(all + 8, header, 0, NULL);
	o = json_object_get(json_object_get(obj, tensor), "data_offsets");
	assert_non_null(o);
	assert_int_equal(pwrite(fd, bytes, n, (off_t)(8 + header + off) +
	    json_integer_value(json_array_get(o, 0))), n);
	close(fd);
	json_decref(obj);
	free(all);
	free(path);
}

/* Open what is not sound. */
void
model_files_not_opened(const char *path, const char *words)
{
	struct model	*m;
	struct fault	 f;

	if (model_open(path, &m, &f) == 0)
		fail_msg("opened; expected \"%s\"", words);
	assert_string_equal(f.code, "bad_model");
	if (strstr(f.message, words) == NULL)
		fail_msg("expected \"%s\" in: %s", words, f.message);
}

/* Read weights that are not sound. */
void
model_files_refused(const char *folder, const char *precision,
    const char *tensor, const char *words)
{
	struct backend_options	 opt = { .precision = precision,
		.device = "cpu", .isa = "auto", .threads = 1 };
	struct backend		*b;
	struct model		*m;
	struct fault		 f;

	if (model_open(folder, &m, &f) != 0)
		fail_msg("%s", f.message);
	assert_int_equal(backend_open(m, &opt, &b, &f), CHAT_EFORMAT);
	assert_string_equal(f.code, "bad_model");
	if (strstr(f.message, tensor) == NULL ||
	    strstr(f.message, words) == NULL)
		fail_msg("expected %s and \"%s\" in: %s", tensor, words,
		    f.message);
	model_free(m);
}

/* A new folder with the sound one's config.json. */
char *
model_files_folder(const char *whole)
{
	char	*folder = neox_folder(), *path, *text;
	size_t	 n;

	path = path_join(whole, "config.json");
	assert_int_equal(path_read(path, FILE_MAX, &text, &n), 0);
	model_files_put(folder, "config.json", text, n);
	free(text);
	free(path);
	return (folder);
}

/* Does the copy have tensor number i? */
static int
model_files_kept(const struct change *c, const char *name, int i)
{
	if (c->also != NULL && strcmp(name, c->also) == 0)
		return (1);
	if (c->drop != NULL && strcmp(name, c->drop) == 0)
		return (0);
	return (c->keep == 0 || i % 2 == c->keep - 1);
}

/* Copy the sound weights to folder/name with changes. Tensors that it has
 * are added to map, if there is one. */
void
model_files_put_weights(const char *whole, const char *folder,
    const char *name, const struct change *c, json_t *map)
{
	char		*path = path_join(whole, "model.safetensors"), *all;
	json_t		*from, *to = json_object(), *v, *o;
	const char	*key;
	char		*out, *text;
	size_t		 n, nout;
	uint64_t	 header;
	int64_t		 begin, end, at = 0;
	int		 i = 0;
	FILE		*fp = open_memstream(&out, &nout);

	assert_int_equal(path_read(path, FILE_MAX, &all, &n), 0);
	memcpy(&header, all, 8);
	from = json_loadb(all + 8, header, 0, NULL);
	assert_non_null(from);
	json_object_foreach(from, key, v) {
		if (!model_files_kept(c, key, i++))
			continue;
		o = json_object_get(v, "data_offsets");
		begin = json_integer_value(json_array_get(o, 0));
		end = json_integer_value(json_array_get(o, 1));
		fwrite(all + 8 + header + begin, 1, (size_t)(end - begin),
		    fp);
		v = json_deep_copy(v);
		json_object_set_new(v, "data_offsets", json_pack("[II]", at,
		    at + end - begin));
		json_object_set_new(to, key, v);
		at += end - begin;
		if (map != NULL)
			json_object_set_new(map, key, json_string(name));
	}
	if (c->extra != NULL) {
		fwrite("0123456789abcdef0123456789abcdef", 1, 32, fp);
		json_object_set_new(to, c->extra, json_pack("{s:s,s:[i],"
		    "s:[II]}", "dtype", c->extra_dtype, "shape",
		    c->extra_shape, "data_offsets", at, at + 32));
	}
	assert_int_equal(fclose(fp), 0);
	text = json_dumps(to, 0);
	header = strlen(text);
	free(path);
	path = path_join(folder, name);
	fp = fopen(path, "w");
	assert_non_null(fp);
	fwrite(&header, 8, 1, fp);
	fwrite(text, header, 1, fp);
	fwrite(out, nout, 1, fp);
	assert_int_equal(fclose(fp), 0);
	json_decref(from);
	json_decref(to);
	free(text);
	free(out);
	free(all);
	free(path);
}

/* Open a model and return the text written to stderr. */
char *
model_files_stderr(const char *folder)
{
	char		*path = path_join(folder, "stderr"), *text;
	FILE		*fp = fopen(path, "w+e");
	struct model	*m;
	struct fault	 f;
	size_t		 n;
	int		 keep = dup(2), r;

	assert_non_null(fp);
	log_init("model_files", LOG_LEVEL_INFO);
	dup2(fileno(fp), 2);
	r = model_open(folder, &m, &f);
	fflush(stderr);
	dup2(keep, 2);
	close(keep);
	log_init("model_files", LOG_LEVEL_ERROR);
	if (r != 0)
		fail_msg("%s", f.message);
	model_free(m);
	fclose(fp);
	assert_int_equal(path_read(path, FILE_MAX, &text, &n), 0);
	free(path);
	return (text);
}

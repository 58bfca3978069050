/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model folders: one file or shards, and the messages if a file differs from
 * config.json or the index.
 */
#include "model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "json.h"
#include "log.h"
#include "model_files.h"
#include "neox.h"
#include "tensors.h"
#include "path.h"
#include "xmalloc.h"

#define NAME	"gpt_neox.layers.1.attention.dense.weight"
#define SHARD1	"model-00001-of-00002.safetensors"
#define SHARD2	"model-00002-of-00002.safetensors"
#define INDEX	"model.safetensors.index.json"
#define ONE	"model.safetensors"
#define FILE_MAX (1024 * 1024)

static const struct neox_spec spec = { "model", 2, 32, 2, 48, 20, 64, 0.5,
	"gelu", 1, 0, 1, 0.1 };

static char	*whole;		/* a valid folder that is not changed */

/* Write the valid folder. */
static int
setup(void **state)
{
	(void)state;
	log_init("t_model", LOG_LEVEL_WARN);
	whole = neox_folder();
	neox_write(whole, &spec, 77);
	return (0);
}

/* Remove it. */
static int
teardown(void **state)
{
	(void)state;
	neox_remove(whole);
	return (0);
}

/* Write two shards and their index; *index owns the returned weight_map. */
static json_t *
put_shards(const char *folder, json_t **index)
{
	static const struct change even = { .keep = 1 }, odd = { .keep = 2 };
	json_t	*map = json_object();

	model_files_put_weights(whole, folder, SHARD1, &even, map);
	model_files_put_weights(whole, folder, SHARD2, &odd, map);
	*index = json_pack("{s:{s:i},s:o}", "metadata", "total_size", 1,
	    "weight_map", map);
	return (map);
}

/* Shards have the same numbers as one file. */
static void
shards_read_like_one_file(void **state)
{
	char		*folder = model_files_folder(whole);
	struct model	*a, *b;
	struct fault	 f;
	json_t		*index;
	double		*x, *y;

	(void)state;
	(void)put_shards(folder, &index);
	model_files_put_json(folder, INDEX, index);
	assert_int_equal(model_open(whole, &a, &f), 0);
	if (model_open(folder, &b, &f) != 0)
		fail_msg("%s", f.message);
	assert_int_equal(model_parameters(a), model_parameters(b));
	x = neox_read(a, TENSOR_ATTN, 1);
	y = neox_read(b, TENSOR_ATTN, 1);
	assert_memory_equal(x, y, 32 * 32 * sizeof *x);
	assert_true(x[0] != 0);
	free(x);
	free(y);
	model_free(a);
	model_free(b);
	neox_remove(folder);
}

/* One changed entry of the index. */
static void
a_wrong_index_is_refused(void **state)
{
	static const struct {
		const char	*name, *file, *words;
	} cases[] = {
		{ NAME, "model-00003-of-00003.safetensors",
		    "model-00003-of-00003.safetensors: No such file" },
		{ NAME, "../" SHARD1, "expected a file of this folder" },
		{ NAME, "/etc/passwd", "expected a file of this folder" },
		{ NAME, "sub/" SHARD1, "expected a file of this folder" },
		{ NAME, "", "expected a file of this folder" },
		{ NAME, "..", "expected a file of this folder" },
		{ NAME, NULL, "no string" },
		{ "no.such.tensor", SHARD1, "no.such.tensor: not in" }
	};
	char	*folder = model_files_folder(whole);
	json_t	*index, *map;
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		map = put_shards(folder, &index);
		json_object_set_new(map, cases[i].name,
		    cases[i].file != NULL ? json_string(cases[i].file) :
		    json_integer(1));
		model_files_put_json(folder, INDEX, index);
		model_files_not_opened(folder, cases[i].words);
	}
	map = put_shards(folder, &index);
	json_object_del(map, NAME);
	model_files_put_json(folder, INDEX, index);
	model_files_not_opened(folder, NAME ": is in");
	model_files_put(folder, INDEX, "{}", 2);
	model_files_not_opened(folder, "weight_map: expected an object");
	model_files_put(folder, INDEX, "{\"weight_map\":[]}", 17);
	model_files_not_opened(folder, "weight_map: expected an object");
	model_files_put(folder, INDEX, "x", 1);
	model_files_not_opened(folder, INDEX);
	neox_remove(folder);
}

/* A shard may be a link to a file elsewhere, since the owner of the folder made
 * it. A name must not be in the index twice. */
static void
a_shard_may_be_a_link(void **state)
{
	char		*folder = model_files_folder(whole), *text;
	char		*other = neox_folder(), *from, *to;
	struct model	*m;
	struct fault	 f;
	json_t		*index;

	(void)state;
	(void)put_shards(folder, &index);
	model_files_put_json(folder, INDEX, index);
	from = path_join(folder, SHARD2);
	to = path_join(other, "blob");
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(symlink(to, from), 0);
	if (model_open(folder, &m, &f) != 0)
		fail_msg("%s", f.message);
	model_free(m);
	text = xasprintf("{\"weight_map\":{\"%s\":\"%s\",\"%s\":\"%s\"}}",
	    NAME, SHARD1, NAME, SHARD2);
	model_files_put(folder, INDEX, text, strlen(text));
	model_files_not_opened(folder, INDEX ": duplicate object key");
	assert_int_equal(unlink(to), 0);
	(void)put_shards(other, &index);
	model_files_put_json(folder, INDEX, index);
	model_files_not_opened(folder, SHARD2 ": No such file or directory");
	free(text);
	free(from);
	free(to);
	neox_remove(other);
	neox_remove(folder);
}

/* A tensor that is in two shards. */
static void
a_tensor_in_two_shards_is_refused(void **state)
{
	static const struct change even = { .keep = 1, .also = NAME };
	static const struct change odd = { .keep = 2, .also = NAME };
	char	*folder = model_files_folder(whole);
	json_t	*map = json_object();

	(void)state;
	model_files_put_weights(whole, folder, "a.safetensors", &even, map);
	model_files_put_weights(whole, folder, "b.safetensors", &odd, map);
	model_files_put_json(folder, INDEX,
	    json_pack("{s:o}", "weight_map", map));
	model_files_not_opened(folder, NAME ": is in");
	neox_remove(folder);
}

/* Missing tensors, wrong shapes, and types that weights can't have. */
static void
tensors_that_do_not_fit_the_config_are_named(void **state)
{
	static const struct {
		struct change	 change;
		const char	*words;
	} cases[] = {
		{ { .drop = NAME },
		    NAME ": expected a tensor of that name" },
		{ { .drop = "embed_out.weight" }, "embed_out.weight: expected "
		    "a tensor of that name" },
		{ { .drop = "gpt_neox.final_layer_norm.bias",
		    .extra = "gpt_neox.final_layer_norm.bias",
		    .extra_dtype = "F32", .extra_shape = 8 },
		    "gpt_neox.final_layer_norm.bias: expected shape [32] from "
		    "config.json, found [8]" },
		{ { .drop = "gpt_neox.final_layer_norm.bias",
		    .extra = "gpt_neox.final_layer_norm.bias",
		    .extra_dtype = "U8", .extra_shape = 32 },
		    "expected F16, BF16, F32 or F64, found U8" }
	};
	char	*folder = model_files_folder(whole);
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		model_files_put_weights(whole, folder, ONE, &cases[i].change,
		    NULL);
		model_files_not_opened(folder, cases[i].words);
	}
	neox_remove(folder);
}

/* Buffers of older files are skipped silently, other tensors with a warning. */
static void
only_unknown_tensors_cause_a_warning(void **state)
{
	static const struct {
		const char	*name, *dtype;
		int		 elems, warned;
	} cases[] = {
		{ "gpt_neox.layers.0.attention.bias", "U8", 32, 0 },
		{ "gpt_neox.layers.1.attention.masked_bias", "F32", 8, 0 },
		{ "gpt_neox.layers.0.attention.rotary_emb.inv_freq", "F16",
		    16, 0 },
		{ "gpt_neox.layers.0.attention.extra", "F16", 16, 1 },
		{ "gpt_neox.layers.7.attention.bias", "U8", 32, 0 },
		{ "lm_head.weight", "I64", 4, 1 }
	};
	struct change	 c = { 0 };
	char		*folder = model_files_folder(whole), *said;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		c.extra = cases[i].name;
		c.extra_dtype = cases[i].dtype;
		c.extra_shape = cases[i].elems;
		model_files_put_weights(whole, folder, ONE, &c, NULL);
		said = model_files_stderr(folder);
		if ((strstr(said, cases[i].name) != NULL) != cases[i].warned ||
		    (said[0] != '\0') != cases[i].warned)
			fail_msg("%s: said: %s", cases[i].name, said);
		free(said);
	}
	neox_remove(folder);
}

/* Paths that are not folders, and folders without a model. */
static void
folders_without_a_model_are_refused(void **state)
{
	char	*folder = neox_folder(), *file;

	(void)state;
	model_files_not_opened("/nowhere/at/all", "No such file or directory");
	model_files_not_opened(folder,
	    "config.json: No such file or directory");
	model_files_put(folder, "config.json", "{}", 2);
	model_files_not_opened(folder, "model_type");
	file = path_join(folder, "config.json");
	model_files_not_opened(file, "expected a folder");
	free(file);
	neox_remove(folder);
	folder = model_files_folder(whole);
	model_files_not_opened(folder, "found none");
	model_files_put(folder, "pytorch_model.bin", "PK", 2);
	model_files_not_opened(folder, "expected a zip file of PyTorch");
	model_files_put(folder, "model.safetensors", "1234567", 7);
	model_files_not_opened(folder, "expected at least 8 bytes, found 7");
	model_files_put(folder, ONE, "\377\377\377\377\377\377\377\377", 8);
	model_files_not_opened(folder, "expected a header of at most");
	model_files_put(folder, "model.safetensors", "\2\0\0\0\0\0\0\0{}", 10);
	model_files_not_opened(folder, "expected a tensor of that name");
	neox_remove(folder);
}

/* Cut at every multiple of 64 bytes: always an error. */
static void
a_cut_file_is_refused(void **state)
{
	char	*folder = model_files_folder(whole), *path, *all;
	size_t	 n, cut;

	(void)state;
	path = path_join(whole, "model.safetensors");
	assert_int_equal(path_read(path, FILE_MAX, &all, &n), 0);
	for (cut = 0; cut < n; cut += cut < 5000 ? 64 : 4096) {
		model_files_put(folder, "model.safetensors", all, cut);
		model_files_not_opened(folder, "model.safetensors");
	}
	free(all);
	free(path);
	neox_remove(folder);
}

/* Take a slice and do nothing. */
static int
take_nothing(void *arg, const struct model_slice *s, struct fault *f)
{
	(void)arg;
	(void)s;
	(void)f;
	return (0);
}

/* If a file shrinks after it was opened, this is an error, not a signal. */
static void
a_file_that_shrinks_is_reported(void **state)
{
	static const struct change same = { 0 };
	char		*folder = model_files_folder(whole), *path;
	struct model	*m;
	struct fault	 f;

	(void)state;
	model_files_put_weights(whole, folder, ONE, &same, NULL);
	assert_int_equal(model_open(folder, &m, &f), 0);
	path = path_join(folder, "model.safetensors");
	assert_int_equal(truncate(path, 4096), 0);
	assert_int_equal(model_stream(m, take_nothing, NULL, &f),
	    CHAT_EFORMAT);
	assert_null(model_digest(m));
	assert_non_null(strstr(f.message, path));
	assert_non_null(strstr(f.message, "has become shorter"));
	model_free(m);
	free(path);
	neox_remove(folder);
}

/* The slices of a stream so far. */
struct seen {
	const struct model *m;
	enum tensor	 part;
	int		 layer;
	int64_t		 next;		/* next expected row */
	int		 parts;
};

/* Rows are complete and in order, in multiples of 16 except for the last
 * slice. */
static int
take_in_order(void *arg, const struct model_slice *s, struct fault *f)
{
	struct seen	*seen = arg;
	int64_t		 rows, cols;

	(void)f;
	if (s->first == 0) {
		assert_int_equal(seen->next, 0);
		seen->part = s->part;
		seen->layer = s->layer;
		seen->parts++;
	}
	assert_int_equal(s->part, seen->part);
	assert_int_equal(s->layer, seen->layer);
	assert_int_equal(s->first, seen->next);
	tensor_shape(s->part, model_config(seen->m), &rows, &cols);
	assert_int_equal(s->rows, rows);
	assert_int_equal(s->cols, cols == 0 ? 1 : cols);
	assert_int_equal(s->row_bytes, s->cols * 4);
	seen->next = s->first + s->count;
	if (seen->next == s->rows)
		seen->next = 0;
	else
		assert_int_equal(s->count % 16, 0);
	return (0);
}

/* An error ends the reading. */
static int
take_never(void *arg, const struct model_slice *s, struct fault *f)
{
	(void)arg;
	(void)s;
	return (fault_set(f, "bad_model", NULL, "never"));
}

/* Each tensor is streamed once. */
static void
slices_are_rows_in_order(void **state)
{
	struct seen	 seen = { 0 };
	struct model	*m;
	struct fault	 f;

	(void)state;
	assert_int_equal(model_open(whole, &m, &f), 0);
	seen.m = m;
	assert_int_equal(model_stream(m, take_in_order, &seen, &f), 0);
	assert_int_equal(seen.parts, 12 * model_config(m)->layers + 4);
	assert_int_equal(model_stream(m, take_never, NULL, &f),
	    CHAT_EFORMAT);
	assert_string_equal(f.message, "never");
	model_free(m);
}

/* The name is that of the last folder; the path is as given. */
static void
names_are_of_the_last_folder(void **state)
{
	char		*slash = xasprintf("%s//", whole);
	struct model	*m;
	struct fault	 f;

	(void)state;
	assert_int_equal(model_open(slash, &m, &f), 0);
	assert_string_equal(model_path(m), slash);
	assert_string_equal(model_name(m), strrchr(whole, '/') + 1);
	model_free(m);
	free(slash);
}

/* The digest is that of the shell's tools, and changes with every file. */
static void
the_digest_is_what_sha256sum_gives(void **state)
{
	char		*folder = model_files_folder(whole), *cmd, line[65];
	struct model	*m;
	struct fault	 f;
	json_t		*index;
	FILE		*fp;

	(void)state;
	(void)put_shards(folder, &index);
	model_files_put_json(folder, INDEX, index);
	model_files_put(folder, "tokenizer.json", "{}", 2);
	cmd = xasprintf("cd '%s' && sha256sum config.json tokenizer.json "
	    "model-*.safetensors | sha256sum", folder);
	fp = popen(cmd, "r");
	assert_non_null(fp);
	assert_non_null(fgets(line, sizeof line, fp));
	pclose(fp);
	assert_int_equal(model_open(folder, &m, &f), 0);
	assert_null(model_digest(m));
	assert_int_equal(model_stream(m, take_nothing, NULL, &f), 0);
	assert_memory_equal(model_digest(m), "sha256:", 7);
	assert_string_equal(model_digest(m) + 7, line);
	assert_int_equal(model_bytes_read(m), model_bytes(m));
	model_free(m);
	model_files_put(folder, "tokenizer.json", "{ }", 3);
	assert_int_equal(model_open(folder, &m, &f), 0);
	assert_int_equal(model_stream(m, take_nothing, NULL, &f), 0);
	assert_string_not_equal(model_digest(m) + 7, line);
	model_free(m);
	neox_remove(folder);
	free(cmd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shards_read_like_one_file),
		cmocka_unit_test(a_wrong_index_is_refused),
		cmocka_unit_test(a_shard_may_be_a_link),
		cmocka_unit_test(a_tensor_in_two_shards_is_refused),
		cmocka_unit_test(tensors_that_do_not_fit_the_config_are_named),
		cmocka_unit_test(
		    only_unknown_tensors_cause_a_warning),
		cmocka_unit_test(folders_without_a_model_are_refused),
		cmocka_unit_test(a_cut_file_is_refused),
		cmocka_unit_test(a_file_that_shrinks_is_reported),
		cmocka_unit_test(slices_are_rows_in_order),
		cmocka_unit_test(names_are_of_the_last_folder),
		cmocka_unit_test(the_digest_is_what_sha256sum_gives)
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}

/*
 * Packed files: the same bits as from the model they were made of, and a
 * refusal in words for each way in which one can be wrong.
 */
#include "packed.h"

#include <sys/stat.h>

#include <errno.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model_files.h"
#include "neox.h"
#include "pack.h"
#include "path.h"
#include "xmalloc.h"

#define TOKENS	40

static const struct neox_spec specs[] = {
	{ "tied", 2, 40, 2, 96, 50, 96, 0.4, "gelu_fast", 1, 1, 1, 0.1 },
	{ "untied", 2, 48, 2, 80, 33, 96, 0.25, "gelu", 0, 0, 0, 0.1 }
};

static char	*folder;
static char	*models[nitems(specs)];

/* Write the models; a tokenizer is not looked into. */
static int
setup(void **state)
{
	size_t	 i;

	(void)state;
	folder = neox_folder();
	for (i = 0; i < nitems(specs); i++) {
		models[i] = neox_folder();
		neox_write(models[i], &specs[i], 31 + i);
		model_files_put(models[i], "tokenizer.json", "{\"a\": 1}", 8);
	}
	return (0);
}

/* Take them away. */
static int
teardown(void **state)
{
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(specs); i++)
		neox_remove(models[i]);
	neox_remove(folder);
	return (0);
}

/* Pack a model; the path is owned by the caller. */
static char *
pack(const char *from, const char *precision)
{
	struct backend_options	 opt = { .precision = precision,
		.threads = 2 };
	char		*out = xasprintf("%s/packed", folder);
	struct model	*m;
	struct fault	 f;

	assert_int_equal(model_open(from, &m, &f), 0);
	if (pack_write(m, NULL, 0, out, &opt, &f) != 0)
		fail_msg("%s", f.message);
	model_free(m);
	return (out);
}

/* Files in the folder. */
static int
count_files(void)
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

/* Every precision and shape, from the folder and from the packed file. */
static void
a_packed_model_gives_the_same_bits(void **state)
{
	static const char *const precisions[] = { "fp32", "bf16", "int8",
		"int4" };
	struct backend_info	 info;
	struct backend		*b;
	int32_t			 ids[TOKENS];
	float			*want, *got;
	char			*path;
	size_t			 i, p, t;

	(void)state;
	for (i = 0; i < nitems(specs); i++)
		for (p = 0; p < nitems(precisions); p++) {
			for (t = 0; t < TOKENS; t++)
				ids[t] = (int32_t)(t * 7 % (size_t)specs[i].V);
			b = neox_open(models[i], precisions[p], "auto", 1);
			want = neox_run(b, ids, TOKENS, 0, 0);
			b->ops->free(b);
			path = pack(models[i], precisions[p]);
			b = neox_open(path, "auto", "auto", 2);
			b->ops->info(b, &info);
			assert_string_equal(info.precision, precisions[p]);
			got = neox_run(b, ids, TOKENS, 0, 0);
			assert_memory_equal(want, got, TOKENS *
			    (size_t)specs[i].V * sizeof *got);
			b->ops->free(b);
			free(want);
			free(got);
			free(path);
		}
	assert_int_equal(count_files(), 1);
}

/* Name, digest, configuration, tokenizer. */
static void
a_packed_model_is_what_it_was_packed_from(void **state)
{
	struct model	*a, *b;
	struct fault	 f;
	char		*path = pack(models[1], "int8");
	const char	*text, *where;
	size_t		 n;

	(void)state;
	assert_int_equal(model_open(models[1], &a, &f), 0);
	if (model_open(path, &b, &f) != 0)
		fail_msg("%s", f.message);
	free(neox_read(a, TENSOR_NORM, 0));
	assert_string_equal(model_digest(b), model_digest(a));
	assert_string_equal(model_name(b), model_name(a));
	assert_string_equal(model_format(b), "packed");
	assert_memory_equal(model_config(b), model_config(a),
	    sizeof(struct model_config));
	assert_int_equal(model_parameters(b), model_parameters(a));
	text = model_tokenizer(b, &n, &where);
	assert_int_equal(n, 8);
	assert_string_equal(text, "{\"a\": 1}");
	assert_int_equal(packed_verify(model_packed(b), NULL, NULL, &f), 0);
	model_free(a);
	model_free(b);
	free(path);
}

/* Loading must fail with words. */
static void
expect_refusal(const char *path, const char *precision, const char *words)
{
	struct backend_options	 opt = { .precision = precision,
		.device = "cpu", .isa = "auto", .threads = 1 };
	struct backend	*b = NULL;
	struct model	*m = NULL;
	struct fault	 f;

	if (model_open(path, &m, &f) == 0 &&
	    backend_open(m, &opt, &b, &f) == 0)
		fail_msg("opened; expected \"%s\"", words);
	assert_string_equal(f.code, "bad_model");
	if (strstr(f.message, words) == NULL)
		fail_msg("expected \"%s\" in: %s", words, f.message);
	model_free(m);
}

/* Put other bytes of the same length in the place of the first old. */
static void
change(const char *path, const char *old, const char *new)
{
	char	*text, *at;
	size_t	 n;
	FILE	*fp;

	assert_int_equal(strlen(old), strlen(new));
	assert_int_equal(path_read(path, 1 << 24, &text, &n), 0);
	at = memmem(text, n, old, strlen(old));
	assert_non_null(at);
	fp = fopen(path, "r+");
	assert_non_null(fp);
	assert_int_equal(fseek(fp, at - text, SEEK_SET), 0);
	assert_int_equal(fwrite(new, strlen(new), 1, fp), 1);
	fclose(fp);
	free(text);
}

/* One change of the header each. */
static void
what_is_wrong_in_a_packed_file_is_named(void **state)
{
	static const struct {
		const char	*old, *new, *words;
	} cases[] = {
		{ "\"chatd_packed\":\"1\"", "\"chatd_packed\":\"2\"",
		    "expected a packed file of version 1, found 2" },
		{ "\"chatd_packed\"", "\"chatd_backed\"",
		    "found a safetensors file" },
		{ "\"precision\":\"int8\"", "\"precision\":\"int4\"",
		    "type or shape is not that of" },
		{ "\"precision\":\"int8\"", "\"precision\":\"int9\"",
		    "expected auto, fp32, bf16, int8 or int4, found int9" },
		{ "\"source\":", "\"sourse\":",
		    "source is missing or malformed" },
		{ "\"sha256\":", "\"sha265\":",
		    "sha256 is missing or malformed" },
		{ "layers.1.mlp.dense_4h_to_h.weight.scale",
		    "layers.1.mlp.dense_4h_to_h.weight.scala",
		    "weight.scale: expected a tensor of that name" },
		{ "\"config.json\"", "\"config.jsan\"",
		    "expected a tensor config.json" },
		{ "\"hidden_size\": 48", "\"hidden_size\": 64",
		    "type or shape is not that of" },
		{ "\"hidden_size\": 48", "\"hidden_size\": 4x",
		    "packed: config.json: " }
	};
	char	*path;
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		path = pack(models[1], "int8");
		change(path, cases[i].old, cases[i].new);
		expect_refusal(path, "auto", cases[i].words);
		free(path);
	}
	path = pack(models[1], "int8");
	expect_refusal(path, "bf16", "is packed in int8, and bf16 is asked");
	free(path);
}

/* A cut anywhere is told; a flipped bit is found by its checksum. */
static void
damage_is_found(void **state)
{
	char		*path = pack(models[0], "int4"), *text;
	struct model	*m;
	struct fault	 f;
	size_t		 n, cut;
	FILE		*fp;

	(void)state;
	assert_int_equal(path_read(path, 1 << 24, &text, &n), 0);
	for (cut = n - 1; cut > 0; cut = cut > 4096 ? cut - 4096 : cut / 2) {
		assert_int_equal(truncate(path, (off_t)cut), 0);
		expect_refusal(path, "auto", path);
	}
	text[n - 5] ^= 4;
	fp = fopen(path, "w");
	assert_non_null(fp);
	assert_int_equal(fwrite(text, n, 1, fp), 1);
	assert_int_equal(fclose(fp), 0);
	assert_int_equal(model_open(path, &m, &f), 0);
	assert_int_equal(packed_verify(model_packed(m), NULL, NULL, &f),
	    CHAT_EFORMAT);
	assert_non_null(strstr(f.message, "the file is damaged"));
	model_free(m);
	free(text);
	free(path);
}

/* What can't be packed, or not there, and leaves no file behind. */
static void
what_can_not_be_packed_is_told(void **state)
{
	struct backend_options	 opt = { .precision = "int8", .threads = 1 };
	char		*path = pack(models[0], "int8"), *bad, *none;
	struct model	*m;
	struct fault	 f;

	(void)state;
	assert_int_equal(model_open(path, &m, &f), 0);
	assert_int_not_equal(pack_write(m, NULL, 0, path, &opt, &f), 0);
	assert_non_null(strstr(f.message, "is packed already, in int8"));
	model_free(m);
	assert_int_equal(model_open(models[0], &m, &f), 0);
	assert_int_not_equal(pack_write(m, NULL, 0, folder, &opt, &f), 0);
	assert_non_null(strstr(f.message, strerror(EISDIR)));
	none = xasprintf("%s/nowhere/x", folder);
	assert_int_not_equal(pack_write(m, NULL, 0, none, &opt, &f), 0);
	assert_non_null(strstr(f.message, none));
	opt.precision = "int3";
	assert_int_not_equal(pack_write(m, NULL, 0, path, &opt, &f), 0);
	assert_non_null(strstr(f.message, "found int3"));
	model_free(m);
	bad = model_files_folder(models[1]);
	model_files_put_weights(models[1], bad, "model.safetensors",
	    &(struct change){ 0 }, NULL);
	assert_int_equal(model_open(bad, &m, &f), 0);
	opt.precision = "int8";
	assert_int_not_equal(pack_write(m, NULL, 0, path, &opt, &f), 0);
	assert_non_null(strstr(f.message, "expected a tokenizer"));
	model_free(m);
	assert_int_equal(count_files(), 1);
	neox_remove(bad);
	free(none);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packed_model_gives_the_same_bits),
		cmocka_unit_test(a_packed_model_is_what_it_was_packed_from),
		cmocka_unit_test(what_is_wrong_in_a_packed_file_is_named),
		cmocka_unit_test(damage_is_found),
		cmocka_unit_test(what_can_not_be_packed_is_told)
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}

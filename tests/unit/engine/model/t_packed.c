/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packed files: their bits are those of the original model, and each kind of
 * error is refused with a message.
 */
#include "packed.h"

#include <sys/stat.h>

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
#include "cpu_pack.h"
#include "path.h"
#include "xmalloc.h"

#define TOKENS	40

static const struct neox_spec specs[] = {
	{ "tied", 2, 40, 2, 96, 50, 96, 0.4, "gelu_fast", 1, 1, 1, 0.1 },
	{ "untied", 2, 48, 2, 80, 33, 96, 0.25, "gelu", 0, 0, 0, 0.1 }
};

static char	*folder;
static char	*models[nitems(specs)];

/* Write the models; the tokenizer is not read. */
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

/* Remove them. */
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
	if (cpu_pack_write(m, NULL, 0, out, &opt, &f) != 0)
		fail_msg("%s", f.message);
	model_free(m);
	return (out);
}

/* Every precision and shape: the folder and the packed file are equal. */
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
	assert_int_equal(model_files_count(folder), 1);
}

/* Name, digest, configuration and tokenizer are kept. */
static void
a_packed_model_keeps_the_facts_of_its_source(void **state)
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

/* Loading must fail with these words. */
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

/* Replace the first `old` by other bytes of the same length. */
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

/* One change of the header in each row. */
static void
errors_in_a_packed_file_are_named(void **state)
{
	static const struct {
		const char	*old, *new, *words;
	} cases[] = {
		{ "\"chatd_packed\":\"2\"", "\"chatd_packed\":\"1\"",
		    "expected a packed file of version 2, found 1, of an older "
		    "chatd: pack the model again" },
		{ "\"chatd_packed\":\"2\"", "\"chatd_packed\":\"3\"",
		    "expected a packed file of version 2, found 3: pack" },
		{ "\"layout\":\"cpu-1\"", "\"layout\":\"gpu-1\"",
		    "packed: __metadata__: layout: expected cpu-1 for device "
		    "cpu, found gpu-1: pack the model again" },
		{ "\"layout\":", "\"lay0ut\":",
		    "layout is missing or malformed" },
		{ "\"chatd_packed\"", "\"chatd_backed\"",
		    "found a safetensors file" },
		{ "\"precision\":\"int8\"", "\"precision\":\"int4\"",
		    "type or shape is not that of" },
		{ "\"precision\":\"int8\"", "\"precision\":\"int9\"",
		    "packed: __metadata__: precision: expected fp32, bf16, "
		    "int8 or int4, found int9" },
		{ "\"source\":", "\"sourse\":",
		    "source is missing or malformed" },
		{ "\"sha256\":", "\"sha265\":",
		    "sha256 is missing or malformed" },
		{ "\"source\":\"sha256:", "\"source\":\"sha512:",
		    "source is missing or malformed" },
		{ "\"precision\":\"int8\",", "\"precision\":\"\",    ",
		    "precision is missing or malformed" },
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
		unlink(path);	/* only a packed file is replaced */
		free(path);
	}
	path = pack(models[1], "int8");
	expect_refusal(path, "bf16", "is packed in int8, not in bf16");
	free(path);
}

/* A cut at any place is reported; the checksum finds a flipped bit. */
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

/* Packing refuses a model or a path, and leaves no file. */
static void
a_model_that_can_not_be_packed_is_reported(void **state)
{
	struct backend_options	 opt = { .precision = "int8", .threads = 1 };
	char		*path = pack(models[0], "int8"), *bad, *none;
	struct model	*m;
	struct fault	 f;

	(void)state;
	assert_int_equal(model_open(path, &m, &f), 0);
	assert_int_not_equal(cpu_pack_write(m, NULL, 0, path, &opt, &f), 0);
	assert_non_null(strstr(f.message, "is packed already, in int8"));
	model_free(m);
	assert_int_equal(model_open(models[0], &m, &f), 0);
	assert_int_not_equal(cpu_pack_write(m, NULL, 0, folder, &opt, &f), 0);
	assert_non_null(strstr(f.message, "found a folder"));
	none = xasprintf("%s/nowhere/x", folder);
	assert_int_not_equal(cpu_pack_write(m, NULL, 0, none, &opt, &f), 0);
	assert_non_null(strstr(f.message, none));
	opt.precision = "int3";
	assert_int_not_equal(cpu_pack_write(m, NULL, 0, path, &opt, &f), 0);
	assert_non_null(strstr(f.message, "found \"int3\""));
	model_free(m);
	bad = model_files_folder(models[1]);
	model_files_put_weights(models[1], bad, "model.safetensors",
	    &(struct change){ 0 }, NULL);
	assert_int_equal(model_open(bad, &m, &f), 0);
	opt.precision = "int8";
	assert_int_not_equal(cpu_pack_write(m, NULL, 0, path, &opt, &f), 0);
	assert_non_null(strstr(f.message, "expected a tokenizer"));
	model_free(m);
	assert_int_equal(model_files_count(folder), 1);
	neox_remove(bad);
	free(none);
	free(path);
}

/* Write a packed file of two texts: config of n bytes and tokenizer of m. Its
 * data begins `shift` bytes later than allowed. */
static char *
put_texts(const char *name, const char *sha256, uint64_t n, uint64_t m,
    size_t shift)
{
	struct packed_tensor	 t[] = {
		{ "config.json", "U8", 1, { (int64_t)n }, 0, n },
		{ "tokenizer.json", "U8", 1, { (int64_t)m }, n, n + m }
	};
	char			*head, *file;
	size_t			 len;

	head = packed_header("cpu-1", "int8", name, NULL, sha256, t,
	    nitems(t), &len);
	assert_int_equal(len % PACKED_ALIGN, 0);
	file = xcalloc(1, len + shift + n + m);
	memcpy(file, head, len);
	memset(file + len, ' ', shift + n + m);
	file[0] = (char)((len - 8 + shift) & 0xff);
	file[1] = (char)((len - 8 + shift) >> 8 & 0xff);
	model_files_put(folder, "packed", file, len + shift + n + m);
	free(head);
	free(file);
	return (path_join(folder, "packed"));
}

/* Headers that only another program would write. */
static void
a_container_that_is_not_ours_is_reported(void **state)
{
	char	 name[1026], sha256[65];
	char	*path;

	(void)state;
	path = put_texts("x", NULL, 64, 64, 8);
	expect_refusal(path, "auto", "expected the data at a multiple of "
	    "4096, found it at 4104");
	free(path);
	path = put_texts("x", NULL, 60, 68, 0);
	expect_refusal(path, "auto", "tokenizer.json: expected to start at a "
	    "multiple of 64, found 60");
	free(path);
	path = put_texts("x", NULL, 2 << 20, 64, 0);
	expect_refusal(path, "auto", "config.json: expected at most 1048576 "
	    "bytes, found 2097152");
	free(path);
	memset(sha256, 'F', sizeof sha256);
	sha256[sizeof sha256 - 1] = '\0';
	path = put_texts("x", sha256, 64, 64, 0);
	expect_refusal(path, "auto", "sha256 is missing or malformed");
	free(path);
	memset(name, 'n', sizeof name);
	name[sizeof name - 1] = '\0';
	path = put_texts(name, NULL, 64, 64, 0);
	expect_refusal(path, "auto", "name is missing or malformed");
	free(path);
	name[sizeof name - 2] = '\0';
	path = put_texts(name, NULL, 64, 64, 0);
	expect_refusal(path, "auto", "packed: config.json: ");
	free(path);
}

/* Note the progress of packed_verify. */
static void
count(void *arg, int64_t bytes, int64_t total)
{
	int64_t	*last = arg;

	assert_true(bytes > *last && bytes <= total);
	*last = bytes;
}

/* A file that becomes shorter after it was opened. */
static void
a_file_cut_while_it_is_open_is_reported(void **state)
{
	char		*path = pack(models[0], "fp32");
	struct model	*m;
	struct fault	 f;
	int64_t		 last = 0;

	(void)state;
	assert_int_equal(model_open(path, &m, &f), 0);
	assert_int_equal(packed_verify(model_packed(m), count, &last, &f), 0);
	assert_int_equal(last, model_bytes(m));
	assert_int_equal(truncate(path, 8192), 0);
	assert_int_equal(packed_verify(model_packed(m), count,
	    &(int64_t){ 0 }, &f), CHAT_EFORMAT);
	assert_non_null(strstr(f.message, "the file has become shorter"));
	model_free(m);
	free(path);
}

/* A folder's name of any bytes becomes valid text in the packed file. */
static void
any_name_of_a_folder_can_be_packed(void **state)
{
	char		*from, *path, name[256];
	struct model	*m;
	struct fault	 f;

	(void)state;
	memset(name, 0xff, sizeof name - 1);
	name[sizeof name - 1] = '\0';
	from = path_join(folder, name);
	assert_int_equal(rename(models[1], from), 0);
	path = pack(from, "int8");
	if (model_open(path, &m, &f) != 0)
		fail_msg("%s", f.message);
	assert_int_equal(strlen(model_name(m)), 3 * 255);
	model_free(m);
	assert_int_equal(rename(from, models[1]), 0);
	free(from);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packed_model_gives_the_same_bits),
		cmocka_unit_test(a_packed_model_keeps_the_facts_of_its_source),
		cmocka_unit_test(errors_in_a_packed_file_are_named),
		cmocka_unit_test(damage_is_found),
		cmocka_unit_test(a_model_that_can_not_be_packed_is_reported),
		cmocka_unit_test(a_container_that_is_not_ours_is_reported),
		cmocka_unit_test(a_file_cut_while_it_is_open_is_reported),
		cmocka_unit_test(any_name_of_a_folder_can_be_packed)
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}

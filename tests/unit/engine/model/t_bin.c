/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders with pytorch_model.bin: the tensors of neox-tiny are equal to those
 * of its safetensors file, bit for bit. Damaged files are refused or harmless.
 */
#include "shards.h"

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
#include "path.h"
#include "torch_files.h"
#include "torchzip.h"
#include "xmalloc.h"

#define FILE_MAX	(1024 * 1024)
#define BIN_SIZE	261783
#define BIN		"pytorch_model.bin"
#define INDEX		"pytorch_model.bin.index.json"
#define SHARD1		"pytorch_model-00001-of-00002.bin"
#define SHARD2		"pytorch_model-00002-of-00002.bin"
#define NAME		"gpt_neox.layers.1.attention.dense.weight"
#define FLIPS		10000

static char	*tiny;		/* tests/data/neox-tiny */
static struct shards *reference;	/* its safetensors file */

/* Open the reference. */
static int
setup(void **state)
{
	const char	*src = getenv("srcdir");
	struct fault	 f;

	(void)state;
	log_init("t_bin", LOG_LEVEL_WARN);
	tiny = xasprintf("%s/tests/data/neox-tiny", src == NULL ? "." : src);
	if (shards_open(tiny, &reference, &f) != 0)
		fail_msg("%s", f.message);
	return (0);
}

/* Close it. */
static int
teardown(void **state)
{
	(void)state;
	shards_free(reference);
	free(tiny);
	return (0);
}

/* Copy tiny/from to folder/to. */
static void
copy(const char *from, const char *folder, const char *to)
{
	char	*path = path_join(tiny, from), *text;
	size_t	 n;

	assert_int_equal(path_read(path, FILE_MAX, &text, &n), 0);
	model_files_put(folder, to, text, n);
	free(text);
	free(path);
}

/* A folder with the whole .bin, or the shards. */
static char *
bin_folder(int sharded)
{
	char	*folder = neox_folder();

	copy("config.json", folder, "config.json");
	if (!sharded)
		copy(BIN, folder, BIN);
	else {
		copy("sharded/" INDEX, folder, INDEX);
		copy("sharded/" SHARD1, folder, SHARD1);
		copy("sharded/" SHARD2, folder, SHARD2);
	}
	return (folder);
}

/* Return the name of a tensor that differs from the reference, or NULL. */
static const char *
differs(const struct shards *h)
{
	struct shard_tensor	 a, b;
	uint8_t			*x, *y;
	size_t			 i, n;
	int			 same = 1;

	for (i = 0; same && shards_at(reference, i, &a) == 0; i++) {
		n = (size_t)(a.st->end - a.st->begin);
		if (shards_find(h, a.st->name, &b) != 0 || a.st->dtype !=
		    b.st->dtype || !b.st->readable || a.st->dims !=
		    b.st->dims || memcmp(a.st->shape, b.st->shape,
		    (size_t)a.st->dims * sizeof *a.st->shape) != 0 ||
		    b.st->end - b.st->begin != n)
			return (a.st->name);
		x = xmalloc(n + 1);
		y = xmalloc(n + 1);
		same = shards_read(reference, a.file, a.at, x, n, NULL) == 0 &&
		    shards_read(h, b.file, b.at, y, n, NULL) == 0 &&
		    memcmp(x, y, n) == 0;
		free(x);
		free(y);
	}
	return (same ? NULL : a.st->name);
}

/* One file and shards have the same content as the safetensors file. */
static void
tensors_are_those_of_the_safetensors_file(void **state)
{
	struct shards	*h;
	struct model	*m;
	struct fault	 f;
	char		*folder;
	int		 sharded;

	(void)state;
	for (sharded = 0; sharded < 2; sharded++) {
		folder = bin_folder(sharded);
		if (shards_open(folder, &h, &f) != 0)
			fail_msg("%s", f.message);
		if (differs(h) != NULL)
			fail_msg("%s differs", differs(h));
		shards_free(h);
		if (model_open(folder, &m, &f) != 0)
			fail_msg("%s", f.message);
		assert_int_equal(model_parameters(m), 116288);
		model_free(m);
		neox_remove(folder);
	}
}

/* If both exist, the .bin is not even opened. */
static void
safetensors_are_preferred(void **state)
{
	char		*folder = neox_folder();
	struct shards	*h;
	struct fault	 f;
	uint64_t	 size;

	(void)state;
	copy("model.safetensors", folder, "model.safetensors");
	model_files_put(folder, BIN, "broken", 6);
	assert_int_equal(shards_open(folder, &h, &f), 0);
	assert_non_null(strstr(shards_file(h, 0, &size),
	    "model.safetensors"));
	assert_string_equal(shards_format(h), "safetensors");
	assert_null(shards_file(h, 1, &size));
	shards_free(h);
	neox_remove(folder);
}

/* The digest is that of the .bin files. */
static void
the_digest_is_what_sha256sum_gives(void **state)
{
	char		*folder, *cmd, line[65];
	struct model	*m;
	struct fault	 f;
	FILE		*fp;
	int		 sharded;

	(void)state;
	for (sharded = 0; sharded < 2; sharded++) {
		folder = bin_folder(sharded);
		cmd = xasprintf("cd '%s' && sha256sum config.json "
		    "pytorch_model*.bin | sha256sum", folder);
		fp = popen(cmd, "r");
		assert_non_null(fp);
		assert_non_null(fgets(line, sizeof line, fp));
		pclose(fp);
		assert_int_equal(model_open(folder, &m, &f), 0);
		free(neox_read(m, TENSOR_NORM, 0));
		assert_string_equal(model_digest(m) + 7, line);
		model_free(m);
		free(cmd);
		neox_remove(folder);
	}
}

/* One changed entry of the index. */
static void
a_wrong_index_is_refused(void **state)
{
	static const struct {
		const char	*name, *file, *words;
	} cases[] = {
		{ NAME, "pytorch_model-00003-of-00003.bin",
		    "pytorch_model-00003-of-00003.bin: No such file" },
		{ NAME, "../" SHARD2, "expected a file of this folder" },
		{ NAME, "/etc/passwd", "expected a file of this folder" },
		{ NAME, SHARD1, NAME ": not in " SHARD1 },
		{ "no.such.tensor", SHARD1, "no.such.tensor: not in" },
		{ NAME, NULL, NAME ": is in " SHARD2 " but not in the index" }
	};
	static const char twice[] = "{\"weight_map\":{\"a\":\"" SHARD1 "\","
	    "\"a\":\"" SHARD2 "\"}}";
	char	*folder = bin_folder(1), *path = path_join(folder, INDEX);
	json_t	*index, *map;
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		copy("sharded/" INDEX, folder, INDEX);
		index = json_load_file(path, 0, NULL);
		map = json_object_get(index, "weight_map");
		if (cases[i].file == NULL)
			json_object_del(map, cases[i].name);
		else
			json_object_set_new(map, cases[i].name,
			    json_string(cases[i].file));
		model_files_put_json(folder, INDEX, index);
		model_files_not_opened(folder, cases[i].words);
	}
	model_files_put(folder, INDEX, twice, sizeof twice - 1);
	model_files_not_opened(folder, INDEX ": ");
	copy("sharded/" INDEX, folder, INDEX);
	copy("sharded/" SHARD1, folder, SHARD2);
	model_files_not_opened(folder, "is in " SHARD1 " too");
	free(path);
	neox_remove(folder);
}

/* Cut every 512 bytes, and at every byte near both ends: always an error. */
static void
a_cut_file_is_refused(void **state)
{
	char		*folder = bin_folder(0), *path;
	struct fault	 f;
	struct shards	*h;
	off_t		 cut;

	(void)state;
	path = path_join(folder, BIN);
	for (cut = BIN_SIZE; cut-- > 0; ) {
		if (cut > 4096 && cut < BIN_SIZE - 4096 && cut % 512 != 0)
			continue;
		assert_int_equal(truncate(path, cut), 0);
		if (shards_open(folder, &h, &f) == 0)
			fail_msg("cut at %lld: taken", (long long)cut);
		assert_non_null(strstr(f.message, BIN));
	}
	free(path);
	neox_remove(folder);
}

/* Mark every byte of a file that is outside of all storages. */
static uint8_t *
headers(const char *path, size_t *n)
{
	const struct tz_member	*m;
	struct torchzip		 z;
	struct fault		 f;
	uint8_t			*is;
	char			*text;
	size_t			 i;
	int			 fd;

	assert_int_equal(path_read(path, FILE_MAX, &text, n), 0);
	fd = torch_open(text, *n);
	assert_int_equal(torchzip_read(path, fd, *n, &z, &f), TZ_OK);
	close(fd);
	free(text);
	is = xmalloc(*n);
	memset(is, 1, *n);
	for (i = 0; i < z.n; i++) {
		m = &z.members[i];
		if (strstr(m->name, "/data/") != NULL)
			memset(is + m->at, 0, (size_t)m->size);
	}
	torchzip_clear(&z);
	return (is);
}

/* Flip bits in the headers and the pickle: an error, or the same numbers. */
static void
a_turned_bit_is_refused_or_harmless(void **state)
{
	char		*folder = bin_folder(0), *path;
	uint64_t	 seed = 20;
	struct fault	 f;
	struct shards	*h;
	uint8_t		*is, b;
	uint32_t	 at, bit;
	size_t		 n;
	FILE		*fp;
	int		 i, refused = 0;

	(void)state;
	path = path_join(folder, BIN);
	is = headers(path, &n);
	fp = fopen(path, "r+");
	assert_non_null(fp);
	for (i = 0; i < FLIPS; i++) {
		do
			at = neox_random(&seed, (uint32_t)n);
		while (!is[at]);
		bit = neox_random(&seed, 8);
		assert_int_equal(pread(fileno(fp), &b, 1, at), 1);
		b ^= (uint8_t)(1 << bit);
		assert_int_equal(pwrite(fileno(fp), &b, 1, at), 1);
		if (shards_open(folder, &h, &f) != 0)
			refused++;
		else {
			if (differs(h) != NULL)
				fail_msg("byte %u, bit %u: %s differs", at,
				    bit, differs(h));
			shards_free(h);
		}
		b ^= (uint8_t)(1 << bit);
		assert_int_equal(pwrite(fileno(fp), &b, 1, at), 1);
	}
	assert_in_range(refused, FLIPS / 4, FLIPS);
	fclose(fp);
	free(is);
	free(path);
	neox_remove(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tensors_are_those_of_the_safetensors_file),
		cmocka_unit_test(safetensors_are_preferred),
		cmocka_unit_test(the_digest_is_what_sha256sum_gives),
		cmocka_unit_test(a_wrong_index_is_refused),
		cmocka_unit_test(a_cut_file_is_refused),
		cmocka_unit_test(a_turned_bit_is_refused_or_harmless)
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}

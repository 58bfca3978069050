/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model folders with one damaged file, cut short or with a flipped bit: opening
 * returns an error that names the file, or a valid table. t_bin.c tests damaged
 * pytorch_model.bin files with a checksum.
 */
#include "shards.h"

#include <sys/stat.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dtype.h"
#include "log.h"
#include "model_files.h"
#include "neox.h"
#include "path.h"
#include "torch_files.h"
#include "torchzip.h"
#include "xmalloc.h"

#define FILE_MAX	(1024 * 1024)
#define FLIPS		10000
#define STEP		4096
#define ONE		"model.safetensors"
#define INDEX		"model.safetensors.index.json"
#define BIN		"pytorch_model.bin"

static const struct neox_spec spec = { "damage", 1, 8, 2, 8, 12, 16, 0.5,
	"gelu", 1, 0, 1, 0.1 };

/* A file in a folder. */
struct file {
	char	*folder, *path;		/* owned */
	char	*bytes;			/* owned: the original bytes */
	size_t	 n;
	size_t	 from, to;		/* headers: the part to damage */
};

static char	*whole, *sharded, *bin;		/* valid folders */

/* Write a folder of shards. */
static char *
put_shards(void)
{
	static const struct change even = { .keep = 1 }, odd = { .keep = 2 };
	char	*folder = model_files_folder(whole);
	json_t	*map = json_object();

	model_files_put_weights(whole, folder, "a.safetensors", &even, map);
	model_files_put_weights(whole, folder, "b.safetensors", &odd, map);
	model_files_put_json(folder, INDEX, json_pack("{s:o}", "weight_map",
	    map));
	return (folder);
}

/* Copy the .bin of neox-tiny, whose pickle was written by torch. */
static char *
put_bin(void)
{
	const char	*src = getenv("srcdir");
	char		*tiny, *path, *text, *folder;
	size_t		 n;

	tiny = xasprintf("%s/tests/data/neox-tiny", src == NULL ? "." : src);
	folder = model_files_folder(tiny);
	path = path_join(tiny, BIN);
	assert_int_equal(path_read(path, FILE_MAX, &text, &n), 0);
	model_files_put(folder, BIN, text, n);
	free(text);
	free(path);
	free(tiny);
	return (folder);
}

/* Make the valid folders. */
static int
setup(void **state)
{
	(void)state;
	log_init("t_damage", LOG_LEVEL_ERROR);
	whole = neox_folder();
	neox_write(whole, &spec, 77);
	sharded = put_shards();
	bin = put_bin();
	return (0);
}

/* Remove them. */
static int
teardown(void **state)
{
	(void)state;
	neox_remove(whole);
	neox_remove(sharded);
	neox_remove(bin);
	return (0);
}

/* Open a file, all of which counts as headers. */
static struct file
file_get(const char *folder, const char *name)
{
	struct file	 a = { .folder = xstrdup(folder) };

	a.path = path_join(folder, name);
	assert_int_equal(path_read(a.path, FILE_MAX, &a.bytes, &a.n), 0);
	a.to = a.n;
	return (a);
}

/* Restore the original file, and release it. */
static void
file_end(struct file *a)
{
	model_files_put("", a->path, a->bytes, a->n);
	free(a->folder);
	free(a->path);
	free(a->bytes);
}

/* Every tensor has the bytes of its shape, inside its file. */
static void
check_sound(const struct shards *h)
{
	struct shard_tensor	 t;
	uint64_t		 n;
	size_t			 i;
	int			 k;

	for (i = 0; shards_at(h, i, &t) == 0; i++) {
		assert_non_null(shards_file(h, t.file, &n));
		assert_true(t.st->end >= t.st->begin);
		assert_true(t.at <= n && t.st->end - t.st->begin <= n - t.at);
		if (!t.st->readable)
			continue;
		for (n = 1, k = 0; k < t.st->dims; k++)
			assert_false(__builtin_mul_overflow(n,
			    (uint64_t)t.st->shape[k], &n));
		assert_int_equal(t.st->end - t.st->begin, n *
		    dtype_block_size(t.st->dtype));
	}
}

/* Open the folder. Return 1 if it is refused with a message. */
static int
refused(const struct file *a)
{
	struct fault	 f = { .code = NULL };
	struct model	*m;
	struct shards	*h;

	if (shards_open(a->folder, &h, &f) == 0) {
		check_sound(h);
		shards_free(h);
	}
	if (model_open(a->folder, &m, &f) == 0) {
		model_free(m);
		return (0);
	}
	assert_non_null(f.code);
	assert_string_equal(f.code, "bad_model");
	if (strstr(f.message, a->folder) == NULL || strlen(f.message) <
	    strlen(a->folder) + 5 || strchr(f.message, '\n') != NULL)
		fail_msg("an error without words: %s", f.message);
	return (1);
}

/* Cut at every byte of the headers, and at every 4 KiB after them. The last
 * newline of a text may be missing. */
static void
cut_everywhere(struct file *a)
{
	size_t	 cut = a->n;

	cut -= a->bytes[cut - 1] == '\n';
	while (cut-- > 0) {
		if (cut >= a->to && cut % STEP != 0)
			continue;
		assert_int_equal(truncate(a->path, (off_t)cut), 0);
		if (!refused(a))
			fail_msg("%s cut at %zu: taken", a->path, cut);
	}
	file_end(a);
}

/* Flip bits in the headers, one at a time. At least `least` of them must be
 * refused. */
static void
flip_everywhere(struct file *a, int least)
{
	uint64_t	 seed = 10;
	uint32_t	 at;
	char		 b;
	int		 fd = open(a->path, O_WRONLY), i, n = 0;

	assert_int_not_equal(fd, -1);
	for (i = 0; i < FLIPS; i++) {
		at = (uint32_t)a->from + neox_random(&seed, (uint32_t)(a->to -
		    a->from));
		b = (char)(a->bytes[at] ^ 1 << neox_random(&seed, 8));
		assert_int_equal(pwrite(fd, &b, 1, at), 1);
		n += refused(a);
		assert_int_equal(pwrite(fd, &a->bytes[at], 1, at), 1);
	}
	close(fd);
	if (n < least)
		fail_msg("%d of %d refused, expected %d", n, FLIPS, least);
	assert_false(refused(a));
	file_end(a);
}

/* Open model.safetensors; its headers are the length and the header. */
static struct file
safetensors(void)
{
	struct file	 a = file_get(whole, ONE);
	uint64_t	 n;

	memcpy(&n, a.bytes, 8);
	a.to = 8 + (size_t)n;
	return (a);
}

/* Open a pytorch_model.bin whose pickle has no checksum, and damage the
 * pickle. */
static struct file
pickle(void)
{
	struct file		 a = file_get(bin, BIN);
	const struct tz_member	*m;
	struct torchzip		 z;
	struct fault		 f;
	uint8_t			*b;
	uint8_t			 crc[4];
	int			 fd = torch_open(a.bytes, a.n), found = 0;

	assert_int_equal(torchzip_read("bin", fd, a.n, &z, &f), TZ_OK);
	close(fd);
	m = torchzip_find(&z, "pytorch_model/data.pkl");
	assert_non_null(m);
	torch_poke(crc, 4, m->crc);
	for (b = (uint8_t *)a.bytes; b < (uint8_t *)a.bytes + a.n - 4; b++)
		if (memcmp(b, crc, 4) == 0) {
			memset(b, 0, 4);
			found++;
		}
	assert_int_equal(found, 2);	/* its descriptor, the directory */
	a.from = (size_t)m->at;
	a.to = (size_t)(m->at + m->size);
	torchzip_clear(&z);
	model_files_put("", a.path, a.bytes, a.n);
	return (a);
}

/* Each file that a folder can have, cut. */
static void
a_cut_file_is_refused(void **state)
{
	struct file	 files[] = { file_get(whole, "config.json"),
			    safetensors(), file_get(sharded, "config.json"),
			    file_get(sharded, INDEX) };
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(files); i++)
		cut_everywhere(&files[i]);
}

/* A flipped bit in config.json. */
static void
a_bit_of_config_is_refused_or_harmless(void **state)
{
	struct file	 a = file_get(whole, "config.json");

	(void)state;
	flip_everywhere(&a, FLIPS / 2);
}

/* A flipped bit in a safetensors header. */
static void
a_bit_of_safetensors_is_refused_or_harmless(void **state)
{
	struct file	 a = safetensors();

	(void)state;
	flip_everywhere(&a, FLIPS / 2);
}

/* A flipped bit in an index. */
static void
a_bit_of_an_index_is_refused_or_harmless(void **state)
{
	struct file	 a = file_get(sharded, INDEX);

	(void)state;
	flip_everywhere(&a, FLIPS / 2);
}

/* A flipped bit in a pickle without a checksum. */
static void
a_bit_of_a_pickle_is_refused_or_harmless(void **state)
{
	struct file	 a = pickle();

	(void)state;
	flip_everywhere(&a, FLIPS / 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut_file_is_refused),
		cmocka_unit_test(a_bit_of_config_is_refused_or_harmless),
		cmocka_unit_test(a_bit_of_safetensors_is_refused_or_harmless),
		cmocka_unit_test(a_bit_of_an_index_is_refused_or_harmless),
		cmocka_unit_test(a_bit_of_a_pickle_is_refused_or_harmless)
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}

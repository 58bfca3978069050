/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of the encoder's model file: each is refused, with a message that says
 * what is wrong.
 */
#include "encoder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "encoder_fixture.h"
#include "xmalloc.h"

static uint8_t	*good;
static size_t	 good_n;

/* Opening these bytes fails with these words in the message. */
static void
refused(const uint8_t *bytes, size_t n, int digest, const char *words)
{
	struct encoder	*e = NULL;
	struct fault	 f = { .message = "" };
	uint8_t		*copy = xmalloc(n + 1);
	char		*path;

	memcpy(copy, bytes, n);
	path = encfix_write(copy, n, digest);
	assert_int_not_equal(encoder_open(path, "plain", &e, &f), 0);
	assert_null(e);
	if (strstr(f.message, words) == NULL)
		fail_msg("\"%s\" in \"%s\"", words, f.message);
	assert_non_null(strstr(f.message, path));
	unlink(path);
	free(path);
	free(copy);
}

/* With 4 bytes at a place of the file changed, and a right digest. */
static void
refused_with(size_t at, uint32_t value, const char *words)
{
	uint8_t	*bytes = xmalloc(good_n);

	memcpy(bytes, good, good_n);
	memcpy(bytes + at, &value, sizeof value);
	refused(bytes, good_n, 1, words);
	free(bytes);
}

/* Where a part of the good file is. */
static size_t
place(const struct encoder *e, const void *part)
{
	return ((size_t)((const uint8_t *)part - e->file));
}

/* Cut files. */
static void
test_a_cut_file_is_refused(void **state)
{
	size_t	 n;

	(void)state;
	refused(good, 0, 0, "bytes");
	refused(good, 100, 0, "bytes");
	for (n = 300; n < good_n; n += 777)
		refused(good, n, 0, "its header says");
}

/* A part that is missing, in a file whose size and digest are right. */
static void
test_a_missing_part_is_refused(void **state)
{
	uint8_t		*bytes = xmalloc(good_n);
	uint64_t	 size;
	size_t		 n;

	(void)state;
	for (n = 512; n + 64 < good_n; n += 512) {
		memcpy(bytes, good, n);
		size = n;
		memcpy(bytes + 16, &size, sizeof size);
		refused(bytes, n, 1, "");
	}
	memcpy(bytes, good, good_n);
	size = good_n - 1024;
	memcpy(bytes + 16, &size, sizeof size);
	refused(bytes, good_n - 1024, 1, "ends inside layer 1");
	free(bytes);
}

/* The digest. */
static void
test_a_changed_byte_is_refused(void **state)
{
	uint8_t	*bytes = xmalloc(good_n);
	size_t	 at;

	(void)state;
	for (at = 300; at < good_n; at += 1501) {
		memcpy(bytes, good, good_n);
		bytes[at] ^= 1;
		refused(bytes, good_n, 0, "digest");
	}
	free(bytes);
}

/* The header. */
static void
test_sizes_out_of_range_are_refused(void **state)
{
	static const struct {
		size_t		 at;
		uint32_t	 value;
		const char	*words;
	} faults[] = {
		{ 0, 0, "no model file" },
		{ 8, 2, "version 2" },
		{ 24, 24, "hidden is 24" },
		{ 24, 0, "hidden is 0" },
		{ 24, 0xfffffff0, "hidden is" },
		{ 28, 3, "16 lanes in 3 heads" },
		{ 28, 4, "lanes of a head is 4" },
		{ 28, 0, "heads is 0" },
		{ 32, 0, "layers is 0" },
		{ 32, 13, "layers is 13" },
		{ 36, 0, "positions is 0" },
		{ 40, 0, "vocabulary is 0" },
		{ 40, 1000000, "vocabulary is" },
		{ 44, 65, "outputs is 65" },
		{ 44, 7, "output 6 has no valid name" },
		{ 44, 5, "more names than outputs" },
		{ 40, 100, "the vocabulary: token" },
		{ 72, 0x7fc00000, "eps" },
		{ 76, 5000, "[UNK] is 5000" },
		{ 88, 24, "ffn is 24" },
		{ 88, 48, "" },
		{ 32, 1, "bytes after the last layer" },
	};
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(faults); i++)
		refused_with(faults[i].at, faults[i].value, faults[i].words);
}

/* Numbers. */
static void
test_numbers_that_are_none_are_refused(void **state)
{
	struct encoder	*e = encfix_encoder("plain");
	float		 nan = NAN, inf = INFINITY, minus = -1, huge = 1e30f;
	uint32_t	 v;
	size_t		 scale = place(e, e->layer[1].up.scale) + 8;
	size_t		 norm = place(e, e->layer[0].norm2_gamma);

	(void)state;
	memcpy(&v, &nan, 4);
	refused_with(scale, v, "layer 1, feed-forward: number 2 is");
	refused_with(norm, v, "layer 0, LayerNorm 2: number 0 is");
	memcpy(&v, &inf, 4);
	refused_with(scale, v, "layer 1, feed-forward");
	memcpy(&v, &minus, 4);
	refused_with(scale, v, "number 2 is -1");
	memcpy(&v, &huge, 4);
	refused_with(place(e, e->head), v, "the head");
	refused_with(place(e, e->layer[0].qkv.w), 0x7f7f7f7f,
	    "layer 0, attention: row 0: weights that overflow");
	encoder_free(e);
}

/* The good one. */
static void
test_the_good_file_and_its_copy_open(void **state)
{
	struct encoder	*e = NULL;
	struct fault	 f = { .message = "" };
	char		*path = encfix_write(good, good_n, 1);

	(void)state;
	if (encoder_open(path, "plain", &e, &f) != 0)
		fail_msg("%s", f.message);
	assert_string_equal(e->name, "tiny");
	assert_string_equal(e->names[1], "request.violence");
	encoder_free(e);
	assert_int_not_equal(encoder_open(path, "vax", &e, &f), 0);
	assert_non_null(strstr(f.message, "\"vax\""));
	unlink(path);
	assert_int_not_equal(encoder_open(path, "plain", &e, &f), 0);
	assert_non_null(strstr(f.message, "No such file"));
	free(path);
}

/* Run the tests. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_a_cut_file_is_refused),
		cmocka_unit_test(test_a_missing_part_is_refused),
		cmocka_unit_test(test_a_changed_byte_is_refused),
		cmocka_unit_test(test_sizes_out_of_range_are_refused),
		cmocka_unit_test(test_numbers_that_are_none_are_refused),
		cmocka_unit_test(test_the_good_file_and_its_copy_open),
	};
	int	 r;

	good = encfix_bytes(&good_n);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	free(good);
	return (r);
}

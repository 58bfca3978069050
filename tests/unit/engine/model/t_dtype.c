/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Number formats of weights: quantized blocks give exactly the numbers of the
 * reference, and lengths that are not whole chunks are converted completely.
 */
#include "dtype.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "path.h"
#include "xmalloc.h"

#define FILE_MAX	(64 * 1024)
#define PLAIN_MAX	70	/* elements: more than four chunks */

static const struct {
	const char	*name;
	enum dtype	 type;
	size_t		 elems;
} vectors[] = {
	{ "q8_0", DTYPE_Q8_0, 24 * 32 },
	{ "q4_0", DTYPE_Q4_0, 24 * 32 },
	{ "q4_k", DTYPE_Q4_K, 6 * 256 },
	{ "q6_k", DTYPE_Q6_K, 6 * 256 }
};

/* Read a file of tests/data/gguf (owned), with one byte before it, so that
 * nothing in it is aligned. */
static uint8_t *
read_data(const char *name, const char *suffix, size_t size)
{
	const char	*src = getenv("srcdir");
	char		*path = xasprintf("%s/tests/data/gguf/%s.%s",
			    src == NULL ? "." : src, name, suffix);
	char		*text;
	uint8_t		*bytes = xmalloc(size + 1);
	size_t		 n;

	if (path_read(path, FILE_MAX, &text, &n) != 0)
		fail_msg("%s: can't be read", path);
	assert_int_equal(n, size);
	memcpy(bytes + 1, text, n);
	free(text);
	free(path);
	return (bytes);
}

/* Every vector, all at once and block by block. */
static void
blocks_give_the_numbers_of_the_reference(void **state)
{
	enum dtype	 t;
	uint8_t		*blocks, *want;
	float		*got;
	size_t		 i, k, n, block, size;

	(void)state;
	for (i = 0; i < nitems(vectors); i++) {
		t = vectors[i].type;
		n = vectors[i].elems;
		block = dtype_block(t);
		size = dtype_block_size(t);
		blocks = read_data(vectors[i].name, "blocks", n / block *
		    size);
		want = read_data(vectors[i].name, "f32", n * 4);
		got = xcalloc(n, sizeof *got);
		dtype_to_f32(t, blocks + 1, got, n);
		for (k = 0; k < n; k++)
			if (memcmp(want + 1 + k * 4, &got[k], 4) != 0)
				fail_msg("%s[%zu]: %a is not the reference's",
				    vectors[i].name, k, (double)got[k]);
		memset(got, 0xff, n * sizeof *got);
		for (k = 0; k < n; k += block)
			dtype_to_f32(t, blocks + 1 + k / block * size,
			    got + k, block);
		assert_memory_equal(want + 1, got, n * 4);
		free(blocks);
		free(want);
		free(got);
	}
}

/* Splitting Q4_0 into quants and scales loses nothing. */
static void
q4_0_is_split_without_loss(void **state)
{
	enum { N = 24 * 32 };
	uint8_t		*blocks = read_data("q4_0", "blocks", N / 32 * 18);
	uint8_t		*want = read_data("q4_0", "f32", N * 4);
	int8_t		 q[N];
	uint16_t	 d[N / 32];
	float		 scale, x;
	size_t		 i;

	(void)state;
	dtype_q4_0(blocks + 1, q, d, N);
	for (i = 0; i < N; i++) {
		assert_in_range(q[i] + 8, 0, 15);
		assert_int_equal(d[i / 32], blocks[1 + i / 32 * 18] |
		    blocks[2 + i / 32 * 18] << 8);
		dtype_to_f32(DTYPE_F16, &d[i / 32], &scale, 1);
		x = scale * (float)q[i];
		assert_memory_equal(want + 1 + i * 4, &x, 4);
	}
	free(blocks);
	free(want);
}

/* Any number of plain elements gives the same as each alone, and no more are
 * written. */
static void
plain_types_are_read_at_any_length(void **state)
{
	uint8_t		 in[PLAIN_MAX * 8 + 1];
	float		 all[PLAIN_MAX + 1], one;
	enum dtype	 t;
	size_t		 i, n, k;

	(void)state;
	for (i = 0; i < sizeof in; i++)
		in[i] = (uint8_t)(i * 37 % 251 & 0x3f);
	for (t = DTYPE_F16; t <= DTYPE_F64; t++)
		for (n = 0; n <= PLAIN_MAX; n++) {
			memset(all, 0xff, sizeof all);
			dtype_to_f32(t, in + 1, all, n);
			for (k = 0; k < n; k++) {
				dtype_to_f32(t,
				    in + 1 + k * dtype_block_size(t), &one, 1);
				assert_memory_equal(&one, &all[k], 4);
			}
			assert_memory_equal(&all[n], "\377\377\377\377", 4);
		}
}

/* Sizes and names. */
static void
every_type_has_a_size_and_a_name(void **state)
{
	static const struct {
		enum dtype	 t;
		size_t		 block, size;
		const char	*name;
	} cases[] = {
		{ DTYPE_F16, 1, 2, "F16" }, { DTYPE_BF16, 1, 2, "BF16" },
		{ DTYPE_F32, 1, 4, "F32" }, { DTYPE_F64, 1, 8, "F64" },
		{ DTYPE_Q8_0, 32, 34, "Q8_0" }, { DTYPE_Q4_0, 32, 18, "Q4_0" },
		{ DTYPE_Q4_K, 256, 144, "Q4_K" },
		{ DTYPE_Q6_K, 256, 210, "Q6_K" }
	};
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		assert_int_equal(dtype_block(cases[i].t), cases[i].block);
		assert_int_equal(dtype_block_size(cases[i].t), cases[i].size);
		assert_string_equal(dtype_name(cases[i].t), cases[i].name);
		assert_true(cases[i].block <= DTYPE_BLOCK_MAX);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_give_the_numbers_of_the_reference),
		cmocka_unit_test(q4_0_is_split_without_loss),
		cmocka_unit_test(plain_types_are_read_at_any_length),
		cmocka_unit_test(every_type_has_a_size_and_a_name)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF files as containers: valid ones are read, and each kind of error has its
 * own code and a message that names the key or the tensor.
 */
#include "gguf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gguf_files.h"
#include "torch_files.h"
#include "xmalloc.h"

#define VOCAB	300
#define EPS	"gptneox.attention.layer_norm_epsilon"
#define HEADS	"gptneox.attention.head_count"
#define ARCH	"general.architecture"
#define ALIGN	"general.alignment"

/* Bytes of a string, and of numbers, as in files. */
#define S(n, s)	n "\0\0\0\0\0\0\0" s
#define ONE	"\1\0\0\0"
#define MAX64	"\377\377\377\377\377\377\377\377"
#define HUGE	"\0\0\0\0\0\0\0\200"	/* 2^63 */

#define LETTERS16 "aaaaaaaaaaaaaaaa"
#define LETTERS64 LETTERS16 LETTERS16 LETTERS16 LETTERS16

static int	seen[GGUF_TOKEN + 1];

/* The expected result of a file, and words of its message. */
static void
expect(const char *which, int fd, size_t size, enum gguf_error error,
    const char *words)
{
	struct gguf	 g;
	struct fault	 f = { 0 };
	enum gguf_error	 e = gguf_read("some.gguf", fd, size, &g, &f);

	close(fd);
	seen[e] = 1;
	if (e == GGUF_OK)
		gguf_clear(&g);
	if (e != error)
		fail_msg("%s: expected %d, found %d: %s", which, error, e,
		    e == GGUF_OK ? "taken" : f.message);
	if (e == GGUF_OK)
		return;
	assert_string_equal(f.code, "bad_model");
	if (strncmp(f.message, "some.gguf: ", 11) != 0 ||
	    strstr(f.message, words) == NULL)
		fail_msg("%s: expected \"%s\" in: %s", which, words,
		    f.message);
}

/* The same for a file that is not finished. */
static void
expect_file(const char *which, struct gguf_file *g, enum gguf_error error,
    const char *words)
{
	size_t	 n;
	int	 fd = gguf_file_open(g, &n);

	expect(which, fd, n, error, words);
}

/* Change bytes of a valid file. */
static const struct {
	enum gguf_error	 error;
	size_t		 at;
	int		 width;
	uint64_t	 value;
	const char	*words;
} headers[] = {
	{ GGUF_OK, 4, 4, 2, "" },
	{ GGUF_OK, 4, 4, 3, "" },
	{ GGUF_MAGIC, 0, 4, 0x46554746, "expected a GGUF file" },
	{ GGUF_VERSION, 4, 4, 0, "found 0" },
	{ GGUF_VERSION, 4, 4, 1, "expected version 2 or 3, found 1" },
	{ GGUF_VERSION, 4, 4, 4, "found 4" },
	{ GGUF_BIG_ENDIAN, 4, 4, 0x03000000, "big-endian" },
	{ GGUF_BIG_ENDIAN, 4, 4, 0x02000000, "big-endian" },
	{ GGUF_COUNT, 8, 8, UINT64_MAX, "18446744073709551615 tensors" },
	{ GGUF_COUNT, 8, 8, 1000, "1000 tensors in a file" },
	{ GGUF_COUNT, 16, 8, UINT64_MAX, "18446744073709551615 keys" },
	{ GGUF_COUNT, 16, 8, 4000, "4000 keys in a file" }
};

/* Errors in the header. */
static void
headers_are_checked(void **state)
{
	struct gguf_file g;
	uint8_t		*bytes;
	char		 which[32];
	size_t		 i, n;

	(void)state;
	for (i = 0; i < nitems(headers); i++) {
		gguf_file_frame(&g, NULL, VOCAB);
		bytes = gguf_file_end(&g, &n);
		torch_poke(bytes + headers[i].at, headers[i].width,
		    headers[i].value);
		snprintf(which, sizeof which, "header %zu", i);
		expect(which, torch_open(bytes, n), n, headers[i].error,
		    headers[i].words);
		free(bytes);
	}
	expect("empty", torch_open("", 0), 0, GGUF_MAGIC, "expected a GGUF");
	expect("cut", torch_open("GGUF\3", 5), 5, GGUF_SHORT, "at least 24");
}

/* A key that is added to a valid file, or replaces one of its keys. */
static const struct {
	enum gguf_error	 error;
	const char	*key;
	uint32_t	 type;
	size_t		 n;
	const char	*value, *words;
} keys[] = {
	{ GGUF_OK, "any", PUT_U8, 1, "\1", "" },
	{ GGUF_OK, "any", PUT_STRING, 8, S("\0", ""), "" },
	{ GGUF_OK, "any", PUT_ARRAY, 12 + 2 * 9, "\10\0\0\0" S("\2", "")
	    S("\1", "a") S("\1", "b"), "" },
	{ GGUF_OK, "any", PUT_ARRAY, 12, "\14\0\0\0" S("\0", ""), "" },
	{ GGUF_OK, "any", PUT_F64, 8, MAX64, "" },
	{ GGUF_KEY, "", PUT_U8, 1, "\1", "key 9: expected a name of 1 to" },
	{ GGUF_KEY, "a\1", PUT_U8, 1, "\1", "key 9: its name is not print" },
	{ GGUF_KEY, "\377", PUT_U8, 1, "\1", "key 9: its name is not print" },
	{ GGUF_KEY_TWICE, "gptneox.block_count", PUT_U32, 4, ONE,
	    "gptneox.block_count: is in the file twice" },
	{ GGUF_TYPE, "any", 13, 4, ONE, "any: expected a type from 0 to 12, "
	    "found 13" },
	{ GGUF_TYPE, "any", UINT32_MAX, 4, ONE, "found 4294967295" },
	{ GGUF_TYPE, "any", PUT_ARRAY, 12, "\15\0\0\0" S("\1", ""),
	    "found 13" },
	{ GGUF_NESTED, "any", PUT_ARRAY, 12, "\11\0\0\0" S("\1", ""),
	    "any: expected an array of values" },
	{ GGUF_BOOL, "any", PUT_BOOL, 1, "\2", "any: expected a boolean of" },
	{ GGUF_SHORT, "any", PUT_STRING, 8, HUGE, "9223372036854775808" },
	{ GGUF_SHORT, "any", PUT_STRING, 8, MAX64, "but the file ends at" },
	{ GGUF_SHORT, "any", PUT_ARRAY, 12, "\0\0\0\0" MAX64,
	    "any: an array of 18446744073709551615" },
	{ GGUF_SHORT, "any", PUT_ARRAY, 12, "\12\0\0\0" HUGE,
	    "any: an array of 9223372036854775808" },
	{ GGUF_SHORT, "any", PUT_ARRAY, 12, "\10\0\0\0" HUGE, "any: an" },
	{ GGUF_SHORT, "any", PUT_ARRAY, 20, "\10\0\0\0" S("\2", "") MAX64,
	    "expected 18446744073709551615 bytes" },
	{ GGUF_WRONG_TYPE, HEADS, PUT_F32, 4, "\0\0\0\100",
	    HEADS ": expected an integer, found float32" },
	{ GGUF_WRONG_TYPE, HEADS, PUT_STRING, 9, S("\1", "2"),
	    "expected an integer, found a string" },
	{ GGUF_WRONG_TYPE, HEADS, PUT_BOOL, 1, "\1", "found a boolean" },
	{ GGUF_WRONG_TYPE, HEADS, PUT_ARRAY, 16, "\4\0\0\0" S("\1", "") ONE,
	    "found an array of uint32" },
	{ GGUF_WRONG_TYPE, EPS, PUT_BOOL, 1, "\1", "expected a number" },
	{ GGUF_WRONG_TYPE, ARCH, PUT_U32, 4, ONE, "expected a string" },
	{ GGUF_WRONG_TYPE, ALIGN, PUT_STRING, 9, S("\1", "8"), ALIGN },
	{ GGUF_WRONG_TYPE, "split.count", PUT_F32, 4, ONE, "split.count" },
	{ GGUF_ARCHITECTURE, ARCH, PUT_STRING, 13, S("\5", "llama"),
	    ARCH ": expected gptneox, found llama" },
	{ GGUF_ARCHITECTURE, ARCH, PUT_STRING, 16, S("\10", "gptneox"),
	    "found (no text)" },
	{ GGUF_ARCHITECTURE, ARCH, PUT_STRING, 10, S("\2", "\377\377"),
	    "found (no text)" },
	{ GGUF_SPLIT, "split.count", PUT_U16, 2, "\3\0", "one of 3 files" },
	{ GGUF_OK, "split.count", PUT_U16, 2, "\1\0", "" },
	{ GGUF_OK, ALIGN, PUT_U64, 8, S("\40", ""), "" },
	{ GGUF_ALIGNMENT, ALIGN, PUT_U32, 4, "\0\0\0\0", "from 8 to" },
	{ GGUF_ALIGNMENT, ALIGN, PUT_U32, 4, "\3\0\0\0", "found 3" },
	{ GGUF_ALIGNMENT, ALIGN, PUT_U32, 4, "\4\0\0\0", "found 4" },
	{ GGUF_ALIGNMENT, ALIGN, PUT_U32, 4, "\60\0\0\0", "found 48" },
	{ GGUF_ALIGNMENT, ALIGN, PUT_I32, 4, "\340\377\377\377",
	    "found -32" },
	{ GGUF_ALIGNMENT, ALIGN, PUT_U64, 8, "\0\0\0\0\0\1\0\0",
	    ALIGN ": expected a power of two from 8 to 1048576, found 1099" }
};

/* Is key in the valid file? */
static int
in_frame(const char *key)
{
	return (strcmp(key, HEADS) == 0 || strcmp(key, EPS) == 0 ||
	    strcmp(key, ARCH) == 0);
}

/* Errors of keys and their values. */
static void
keys_are_checked(void **state)
{
	struct gguf_file g;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(keys); i++) {
		gguf_file_frame(&g, in_frame(keys[i].key) ? keys[i].key : NULL,
		    VOCAB);
		gguf_file_key(&g, keys[i].key, keys[i].type, keys[i].value,
		    keys[i].n);
		expect_file(keys[i].key, &g, keys[i].error, keys[i].words);
	}
}

/* Names of keys that can't be written as strings, and limits. */
static void
odd_keys_are_refused(void **state)
{
	struct gguf_file g;
	char		*name = xcalloc(GGUF_KEY_MAX + 2, 1), text[32];
	uint8_t		*bytes;
	size_t		 i, n;

	(void)state;
	memset(name, 'a', GGUF_KEY_MAX);
	gguf_file_frame(&g, NULL, VOCAB);
	gguf_file_u32(&g, name, 1);
	expect_file("long", &g, GGUF_OK, "");
	name[GGUF_KEY_MAX] = 'a';
	gguf_file_frame(&g, NULL, VOCAB);
	gguf_file_u32(&g, name, 1);
	expect_file("longer", &g, GGUF_KEY, "found 65536");
	free(name);
	gguf_file_frame(&g, NULL, VOCAB);
	gguf_file_u32(&g, "with?nul", 1);
	bytes = gguf_file_end(&g, &n);
	*(uint8_t *)memchr(bytes, '?', n) = 0;
	expect("nul", torch_open(bytes, n), n, GGUF_KEY, "not printable");
	free(bytes);
	gguf_file_frame(&g, NULL, VOCAB);
	for (i = g.nkeys; i < GGUF_KEYS_MAX + 1; i++) {
		snprintf(text, sizeof text, "key.%zu", i);
		gguf_file_u32(&g, text, 1);
	}
	expect_file("many", &g, GGUF_COUNT, "4097 keys");
}

/* The keys of a file are larger than the limit: none of them is accepted. */
static void
endless_keys_are_refused(void **state)
{
	static const struct {
		uint64_t	 string;
		enum gguf_error	 error;
	} cases[] = {
		{ GGUF_METADATA_MAX, GGUF_TOO_BIG },
		{ GGUF_METADATA_MAX - 4096, GGUF_KEY },
		{ GGUF_METADATA_MAX * 2ull, GGUF_SHORT }
	};
	struct gguf_file g;
	uint8_t		*bytes;
	size_t		 i, n;
	int		 fd;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		gguf_file_begin(&g);
		g.nkeys = 1;	/* and one of zeros */
		gguf_file_key(&g, "a", PUT_STRING, &cases[i].string, 8);
		bytes = gguf_file_end(&g, &n);
		fd = torch_open(bytes, 24 + 9 + 4 + 8);
		assert_int_equal(ftruncate(fd, GGUF_METADATA_MAX + 1000), 0);
		expect("endless", fd, GGUF_METADATA_MAX + 1000, cases[i].error,
		    cases[i].error == GGUF_TOO_BIG ? "of over 67108864" :
		    "");
		free(bytes);
	}
}

/* A tensor that is added to a valid file. */
static const struct {
	enum gguf_error	 error;
	const char	*name;
	uint32_t	 type, dims;
	uint64_t	 shape[5], offset;
	const char	*words;
} tensors[] = {
	{ GGUF_OK, "any", 0, 1, { 8 }, 9600, "" },
	{ GGUF_OK, "any", 0, 4, { 2, 2, 2, 1 }, 9600, "" },
	{ GGUF_NAME, "", 0, 1, { 8 }, 9600, "tensor 1: expected a name of" },
	{ GGUF_NAME, "a\n", 0, 1, { 8 }, 9600, "tensor 1: its name is no" },
	{ GGUF_NAME, "\300\200", 0, 1, { 8 }, 9600, "tensor 1: its name" },
	{ GGUF_OK, LETTERS64, 0, 1, { 8 }, 9600, "" },
	{ GGUF_NAME, LETTERS64 "a", 0, 1, { 8 }, 9600, "to 64 bytes, found" },
	{ GGUF_NAME_TWICE, "token_embd.weight", 0, 1, { 8 }, 9600,
	    "is in the file twice" },
	{ GGUF_NAME_TWICE, "gpt_neox.embed_in.weight", 0, 1, { 8 }, 9600,
	    "gpt_neox.embed_in.weight: is in the file twice" },
	{ GGUF_DIMS, "any", 0, 0, { 0 }, 9600, "any: expected 1 to 4" },
	{ GGUF_DIMS, "any", 0, 5, { 1, 1, 1, 1, 1 }, 9600, "found 5" },
	{ GGUF_ZERO, "any", 0, 1, { 0 }, 9600, "any: dimension 0" },
	{ GGUF_ZERO, "any", 0, 2, { 8, 0 }, 9600, "any: dimension 1" },
	{ GGUF_OVERFLOW, "any", 0, 1, { UINT64_MAX }, 9600, "any: dim" },
	{ GGUF_OVERFLOW, "any", 0, 2, { 1ull << 32, 1ull << 32 }, 9600,
	    "any: dimension 1" },
	{ GGUF_OVERFLOW, "any", 0, 4, { 1ull << 16, 1ull << 16, 1ull << 16,
	    1ull << 16 }, 9600, "any: dimension 3" },
	{ GGUF_OVERFLOW, "any", 0, 1, { 1ull << 62 }, 9600, "in bytes" },
	{ GGUF_DTYPE, "any", 4, 1, { 32 }, 9600, "found 4" },
	{ GGUF_DTYPE, "any", 31, 1, { 32 }, 9600, "found 31" },
	{ GGUF_DTYPE, "any", 42, 1, { 32 }, 9600, "found 42" },
	{ GGUF_DTYPE, "any", UINT32_MAX, 1, { 32 }, 9600, "4294967295" },
	{ GGUF_BLOCK, "any", 8, 1, { 33 }, 9600, "whole blocks of 32 for" },
	{ GGUF_BLOCK, "any", 2, 2, { 16, 2 }, 9600, "Q4_0, found 16" },
	{ GGUF_BLOCK, "any", 12, 2, { 32, 8 }, 9600, "of 256 for Q4_K" },
	{ GGUF_OFFSET, "any", 0, 1, { 8 }, 9601, "any: expected an offset" },
	{ GGUF_OFFSET, "any", 0, 1, { 8 }, 9616, "multiple of 32" },
	{ GGUF_OFFSET, "any", 0, 1, { 8 }, UINT64_MAX, "18446744073709551" },
	{ GGUF_PAST_END, "any", 0, 1, { 9 }, 9600, "any: its 36 bytes" },
	{ GGUF_PAST_END, "any", 0, 1, { 8 }, 9632, "reach past the end" },
	{ GGUF_PAST_END, "any", 0, 1, { 8 }, UINT64_MAX - 31, "past" },
	{ GGUF_PAST_END, "any", 0, 1, { 2048 }, UINT64_MAX - 4095, "past" },
	{ GGUF_PAST_END, "any", 0, 1, { 1ull << 60 }, 9600, "past" },
	{ GGUF_OVERLAP, "any", 0, 1, { 8 }, 9568, "any: starts at" },
	{ GGUF_OVERLAP, "any", 0, 1, { 8 }, 0, "inside" }
};

/* Errors of tensors. The valid file has 9600 bytes of data, and 32 more for the
 * added tensor. */
static void
tensors_are_checked(void **state)
{
	static const uint8_t	 room[32];
	const uint64_t		 eight = 8;
	struct gguf_file	 g;
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(tensors); i++) {
		gguf_file_frame(&g, NULL, VOCAB);
		gguf_file_entry(&g, tensors[i].name, strlen(tensors[i].name),
		    tensors[i].type, tensors[i].dims, tensors[i].shape,
		    tensors[i].offset);
		fwrite(room, 1, sizeof room, g.data);
		expect_file(tensors[i].name, &g, tensors[i].error,
		    tensors[i].words);
	}
	gguf_file_frame(&g, NULL, VOCAB);
	gguf_file_entry(&g, "a\0b", 3, 0, 1, &eight, 9600);
	expect_file("NUL in a name", &g, GGUF_NAME, "not printable text");
}

/* Data with other alignments. */
static void
alignments_are_kept(void **state)
{
	static const uint32_t	 aligns[] = { 8, 64, 4096, 1024 * 1024 };
	const uint64_t		 shape = 3;
	struct gguf_file	 g;
	struct gguf		 read;
	struct fault		 f;
	size_t			 i, n;
	int			 fd;

	(void)state;
	for (i = 0; i < nitems(aligns); i++) {
		gguf_file_frame(&g, NULL, VOCAB);
		g.align = aligns[i];
		gguf_file_u32(&g, ALIGN, aligns[i]);
		gguf_file_tensor(&g, "any", 0, 1, &shape, "0123456789ab", 12);
		fd = gguf_file_open(&g, &n);
		if (gguf_read("some.gguf", fd, n, &read, &f) != GGUF_OK)
			fail_msg("%u: %s", aligns[i], f.message);
		assert_int_equal(read.table.n, 2);
		assert_int_equal(read.table.tensors[0].begin % aligns[i], 0);
		assert_int_equal(read.table.tensors[1].begin % aligns[i], 0);
		assert_int_equal(read.table.tensors[1].end, n);
		assert_int_equal(read.table.tensors[1].begin, n - 12);
		gguf_clear(&read);
		close(fd);
	}
}

/* Types that are not readable are in the table, too. */
static void
other_types_are_reported(void **state)
{
	static const struct {
		uint32_t	 number;
		const char	*name;
		size_t		 bytes;		/* of 256 elements */
	} cases[] = {
		{ 3, "Q4_1", 160 }, { 6, "Q5_0", 176 }, { 7, "Q5_1", 192 },
		{ 9, "Q8_1", 320 }, { 10, "Q2_K", 84 }, { 11, "Q3_K", 110 },
		{ 13, "Q5_K", 176 }, { 15, "Q8_K", 292 },
		{ 16, "IQ2_XXS", 66 }, { 20, "IQ4_NL", 144 }, { 24, "I8", 256 },
		{ 27, "I64", 2048 }, { 35, "TQ2_0", 66 }, { 39, "MXFP4", 136 }
	};
	static const uint8_t	 zeros[2048];
	const uint64_t		 shape = 256;
	struct gguf_file	 g;
	struct gguf		 read;
	struct fault		 f;
	const struct st_tensor	*t;
	size_t			 i, n;
	int			 fd;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		gguf_file_frame(&g, NULL, VOCAB);
		gguf_file_tensor(&g, "any", cases[i].number, 1, &shape, zeros,
		    cases[i].bytes);
		fd = gguf_file_open(&g, &n);
		if (gguf_read("some.gguf", fd, n, &read, &f) != GGUF_OK)
			fail_msg("%s: %s", cases[i].name, f.message);
		t = &read.table.tensors[1];
		assert_false(t->readable);
		assert_string_equal(t->dtype_name, cases[i].name);
		assert_int_equal(t->end, n);
		assert_int_equal(t->end - t->begin, cases[i].bytes);
		gguf_clear(&read);
		close(fd);
	}
}

/* Cut at every byte: inside keys and entries the file is too short, inside the
 * data the tensor is. */
static void
a_cut_file_is_refused(void **state)
{
	struct gguf_file g;
	struct gguf	 read;
	struct fault	 f;
	enum gguf_error	 e;
	uint8_t		*bytes;
	size_t		 n, cut;
	int		 fd;

	(void)state;
	gguf_file_frame(&g, NULL, VOCAB);
	bytes = gguf_file_end(&g, &n);
	fd = torch_open(bytes, n);
	for (cut = 0; cut < n; cut++) {
		e = gguf_read("some.gguf", fd, cut, &read, &f);
		if (e != (cut < 4 ? GGUF_MAGIC : GGUF_SHORT) &&
		    e != GGUF_COUNT && e != GGUF_PAST_END)
			fail_msg("cut at %zu: %d", cut, e);
	}
	close(fd);
	free(bytes);
}

/* The file has become shorter after it was opened. */
static void
a_file_that_shrinks_is_reported(void **state)
{
	struct gguf_file g;
	uint8_t		*bytes;
	size_t		 n;

	(void)state;
	gguf_file_frame(&g, NULL, VOCAB);
	bytes = gguf_file_end(&g, &n);
	expect("shrunk", torch_open(bytes, 100), n, GGUF_READ,
	    "has become shorter");
	expect("no file", -1, n, GGUF_READ, "reading: Bad file descriptor");
	free(bytes);
}

/* An empty file; and no error of a container is left untested. */
static void
every_error_was_tried(void **state)
{
	struct gguf_file g;
	int		 i;

	(void)state;
	gguf_file_begin(&g);
	expect_file("no keys", &g, GGUF_MISSING, ARCH ": expected a key of");
	for (i = 0; i < GGUF_CONFIG; i++)
		if (!seen[i])
			fail_msg("error %d was not tried", i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_checked),
		cmocka_unit_test(keys_are_checked),
		cmocka_unit_test(odd_keys_are_refused),
		cmocka_unit_test(endless_keys_are_refused),
		cmocka_unit_test(tensors_are_checked),
		cmocka_unit_test(alignments_are_kept),
		cmocka_unit_test(other_types_are_reported),
		cmocka_unit_test(a_cut_file_is_refused),
		cmocka_unit_test(a_file_that_shrinks_is_reported),
		cmocka_unit_test(every_error_was_tried)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Safetensors headers: valid ones are read, and each kind of error has its own
 * code and a message that names the tensor.
 */
#include "safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "memory.h"
#include "xmalloc.h"

#define A(dtype, shape, offsets) "\"a\":{\"dtype\":\"" dtype \
	"\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define B(dtype, shape, offsets) "\"b\":{\"dtype\":\"" dtype \
	"\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

/* Valid headers. */
static const struct {
	const char	*header;
	uint64_t	 data;
	size_t		 n;
} good[] = {
	{ "{}", 0, 0 },
	{ "{" A("F32", "[2,3]", "[0,24]") "}   ", 24, 1 },
	{ "{" B("F16", "[5]", "[4,14]") "," A("BF16", "[2]", "[0,4]") "}",
	    14, 2 },
	{ "{" A("F64", "[]", "[0,8]") "}", 8, 1 },
	{ "{" A("U8", "[0,7]", "[0,0]") "," B("I64", "[1]", "[0,8]") "}", 8,
	    2 },
	{ "{\"__metadata__\":{\"format\":\"pt\"},"
	    A("BOOL", "[1,1,4,4]", "[0,16]") "}", 16, 1 }
};

/* Every error, most in several ways, and words of the message. */
static const struct {
	enum st_error	 error;
	const char	*header;
	uint64_t	 data;
	const char	*words;
} bad[] = {
	{ ST_JSON, "", 0, "header" },
	{ ST_JSON, "[]", 0, "header" },
	{ ST_JSON, "{", 0, "header" },
	{ ST_JSON, "{} x", 0, "header" },
	{ ST_JSON, "{\"a\":1,\"a\":1}", 0, "header" },
	{ ST_JSON, "{\"a\\u0000\":1}", 0, "header" },
	{ ST_JSON, "{\"\xff\":1}", 0, "header" },
	{ ST_METADATA, "{\"__metadata__\":[]}", 0, "__metadata__" },
	{ ST_METADATA, "{\"__metadata__\":{\"k\":1}}", 0, "k" },
	{ ST_ENTRY, "{\"a\":1}", 0, "a: expected an object" },
	{ ST_ENTRY, "{\"a\":{}}", 0, "a" },
	{ ST_ENTRY, "{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 4, "a" },
	{ ST_ENTRY, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],"
	    "\"data_offsets\":[0,4],\"extra\":1}}", 4, "a" },
	{ ST_DTYPE, "{" A("F31", "[1]", "[0,4]") "}", 4, "found F31" },
	{ ST_DTYPE, "{\"a\":{\"dtype\":4,\"shape\":[1],"
	    "\"data_offsets\":[0,4]}}", 4, "found no string" },
	{ ST_SHAPE, "{" A("F32", "1", "[0,4]") "}", 4, "a: shape" },
	{ ST_SHAPE, "{" A("F32", "[-1]", "[0,4]") "}", 4, "shape[0]" },
	{ ST_SHAPE, "{" A("F32", "[1,1.5]", "[0,4]") "}", 4, "shape[1]" },
	{ ST_SHAPE, "{" A("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4,
	    "at most 8" },
	{ ST_OVERFLOW, "{" A("F32", "[4294967296,4294967296]", "[0,0]") "}",
	    0, "a: shape" },
	{ ST_OVERFLOW, "{" A("F32", "[4611686018427387904,2]", "[0,0]") "}",
	    0, "a: shape" },
	{ ST_OVERFLOW, "{" A("F64", "[4611686018427387904]", "[0,0]") "}", 0,
	    "a: shape" },
	{ ST_OFFSETS, "{" A("F32", "[1]", "4") "}", 4, "a: data_offsets" },
	{ ST_OFFSETS, "{" A("F32", "[1]", "[0,4,8]") "}", 4,
	    "a: data_offsets" },
	{ ST_OFFSETS, "{" A("F32", "[1]", "[-4,4]") "}", 4,
	    "a: data_offsets" },
	{ ST_OFFSETS, "{" A("F32", "[1]", "[0,4.0]") "}", 4,
	    "a: data_offsets" },
	{ ST_REVERSED, "{" A("F32", "[1]", "[4,0]") "}", 4,
	    "the end 0 is before the begin 4" },
	{ ST_PAST_END, "{" A("F32", "[2]", "[0,8]") "}", 7,
	    "an end up to 7, found 8" },
	{ ST_PAST_END, "{" A("F32", "[1]",
	    "[9223372036854775803,9223372036854775807]") "}", 4, "a:" },
	{ ST_LENGTH, "{" A("F32", "[2]", "[0,4]") "}", 4,
	    "expected 8 bytes, found 4" },
	{ ST_LENGTH, "{" A("F16", "[0]", "[0,4]") "}", 4,
	    "expected 0 bytes, found 4" },
	{ ST_OVERLAP, "{" A("F32", "[2]", "[0,8]") ","
	    B("F32", "[2]", "[4,12]") "}", 12, "b: starts at 4 inside a" },
	{ ST_OVERLAP, "{" A("F32", "[2]", "[0,8]") ","
	    B("F32", "[2]", "[0,8]") "}", 8, "inside" },
	{ ST_HOLE, "{" A("F32", "[1]", "[0,4]") ","
	    B("F32", "[1]", "[8,12]") "}", 12,
	    "b: expected to start at 4, found 8" },
	{ ST_HOLE, "{" A("F32", "[1]", "[4,8]") "}", 8,
	    "a: expected to start at 0" },
	{ ST_TRAILING, "{" A("F32", "[1]", "[0,4]") "}", 5,
	    "expected 4 bytes of data, found 5" },
	{ ST_TRAILING, "{}", 1, "expected 0 bytes" }
};

/* The 8 bytes of the length. */
static const struct {
	enum st_error	 error;
	uint64_t	 length, size;
} lengths[] = {
	{ ST_OK, 2, 10 },
	{ ST_OK, SAFETENSORS_HEADER_MAX, UINT64_MAX },
	{ ST_NO_LENGTH, 0, 0 },
	{ ST_NO_LENGTH, 0, 7 },
	{ ST_HEADER_PAST_END, 3, 10 },
	{ ST_HEADER_PAST_END, 1, 8 },
	{ ST_HEADER_TOO_BIG, SAFETENSORS_HEADER_MAX + 1, UINT64_MAX },
	{ ST_HEADER_TOO_BIG, UINT64_MAX, 10 }
};

/* Valid headers are read, in the order of the data. */
static void
sound_headers_are_read(void **state)
{
	struct st_table	 t;
	struct fault	 f;
	size_t		 i, k;

	(void)state;
	for (i = 0; i < nitems(good); i++) {
		if (safetensors_parse("file", good[i].header,
		    strlen(good[i].header), good[i].data, &t, &f) != ST_OK)
			fail_msg("%s: %s", good[i].header, f.message);
		assert_int_equal(t.n, good[i].n);
		for (k = 1; k < t.n; k++)
			assert_true(t.tensors[k].begin >=
			    t.tensors[k - 1].end);
		safetensors_clear(&t);
	}
	assert_int_equal(safetensors_parse("file", good[2].header,
	    strlen(good[2].header), good[2].data, &t, &f), ST_OK);
	assert_string_equal(t.tensors[0].name, "a");
	assert_int_equal(t.tensors[0].dtype, DTYPE_BF16);
	assert_true(t.tensors[0].readable);
	assert_string_equal(t.tensors[1].name, "b");
	assert_int_equal(t.tensors[1].dims, 1);
	assert_int_equal(t.tensors[1].shape[0], 5);
	assert_int_equal(t.tensors[1].begin, 4);
	assert_int_equal(t.tensors[1].end, 14);
	safetensors_clear(&t);
}

/* Each malformed one is refused, and no error is left untested. */
static void
every_error_has_its_answer(void **state)
{
	int		 seen[ST_TRAILING + 1] = { 0 };
	struct st_table	 t;
	struct fault	 f;
	enum st_error	 e;
	uint8_t		 start[8];
	uint64_t	 n;
	size_t		 i, k;

	(void)state;
	for (i = 0; i < nitems(bad); i++) {
		e = safetensors_parse("the-file", bad[i].header,
		    strlen(bad[i].header), bad[i].data, &t, &f);
		if (e != bad[i].error)
			fail_msg("%s: error %d, expected %d", bad[i].header, e,
			    bad[i].error);
		assert_string_equal(f.code, "bad_model");
		if (strncmp(f.message, "the-file: ", 10) != 0 ||
		    strstr(f.message, bad[i].words) == NULL)
			fail_msg("expected \"%s\" in: %s", bad[i].words,
			    f.message);
		seen[e] = 1;
	}
	for (i = 0; i < nitems(lengths); i++) {
		for (k = 0; k < 8; k++)
			start[k] = (uint8_t)(lengths[i].length >> 8 * k);
		e = safetensors_length("the-file", start, lengths[i].size, &n,
		    &f);
		assert_int_equal(e, lengths[i].error);
		if (e == ST_OK)
			assert_true(n == lengths[i].length);
		seen[e] = 1;
	}
	for (i = 0; i < nitems(seen); i++)
		if (!seen[i])
			fail_msg("error %zu was not tried", i);
}

/* A truncated header is refused and never read past its end: the copy ends
 * where the memory ends. */
static void
a_cut_header_is_refused(void **state)
{
	const char	*whole = good[2].header;
	struct st_table	 t;
	struct fault	 f;
	char		*copy;
	size_t		 n;

	(void)state;
	for (n = 0; n < strlen(whole); n++) {
		copy = xmalloc(n + 1);
		memcpy(copy, whole, n);
		copy[n] = 'x';
		assert_int_equal(safetensors_parse("file", copy, n,
		    good[2].data, &t, &f), ST_JSON);
		free(copy);
	}
}

/* Too many JSON values are refused before they take memory. */
static int
flood(void *arg)
{
	const char	*form = arg;
	struct st_table	 t;
	struct fault	 f;
	size_t		 n = 0, i;
	char		*s = xmalloc(SAFETENSORS_HEADER_MAX + 64);

	s[n++] = '{';
	for (i = 0; n < SAFETENSORS_HEADER_MAX - 64; i++)
		n += (size_t)sprintf(s + n, form, i == 0 ? "" : ",", i);
	s[n++] = '}';
	i = safetensors_parse("file", s, n, 0, &t, &f) == ST_JSON &&
	    strstr(f.message, "at most 409600 are") != NULL;
	free(s);
	return ((int)i);
}

/* Objects, arrays, numbers and strings, in 16 MiB. */
static void
a_header_full_of_nothing_is_refused(void **state)
{
	static char	 forms[][64] = { "%s\"%zx\":{}", "%s\"%zx\":[]",
			    "%s\"%zx\":[[],[],[],[],[],[],[],[]]",
			    "%s\"%zx\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
			    "%s\"%zx\":\"\"" };
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(forms); i++)
		memory_run(flood, forms[i], 32);
}

/* The maximal number of tensors. */
static int
crowd(void *arg)
{
	struct st_table	 t;
	struct fault	 f;
	size_t		 n = 1, i;
	char		*s = xmalloc(SAFETENSORS_HEADER_MAX);

	(void)arg;
	s[0] = '{';
	for (i = 0; i < SAFETENSORS_VALUES_MAX / 12; i++)
		n += (size_t)sprintf(s + n, "%s\"gpt_neox.layers.%zu\":"
		    "{\"dtype\":\"F16\",\"shape\":[1,1],\"data_offsets\":"
		    "[%zu,%zu]}", i == 0 ? "" : ",", i, 2 * i, 2 * i + 2);
	s[n++] = '}';
	if (safetensors_parse("file", s, n, 2 * i, &t, &f) != ST_OK) {
		fprintf(stderr, "%s\n", f.message);
		return (0);
	}
	i = t.n;
	safetensors_clear(&t);
	free(s);
	return (i == SAFETENSORS_VALUES_MAX / 12);
}

/* The maximal number of matrices is read. */
static void
a_header_of_many_tensors_is_read(void **state)
{
	(void)state;
	memory_run(crowd, NULL, 64);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound_headers_are_read),
		cmocka_unit_test(every_error_has_its_answer),
		cmocka_unit_test(a_cut_header_is_refused),
		cmocka_unit_test(a_header_full_of_nothing_is_refused),
		cmocka_unit_test(a_header_of_many_tensors_is_read)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

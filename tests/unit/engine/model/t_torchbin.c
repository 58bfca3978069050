/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pytorch_model.bin: tensors are at the places of their storages, and the
 * pickle is checked against the zip file.
 */
#include "torchbin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "torch_files.h"
#include "xmalloc.h"

#define NUMBERS		"0123456789abcdef"	/* a storage of 16 bytes */
#define KEY		PK_STRING("\x01", "a")
#define ENTRY(type, elems, offset, size, stride) KEY \
	PK_TENSOR(PK_STORAGE(type, "0", elems), offset, size, stride)
#define ONE(type, elems, offset, size, stride) PK_START "}" \
	ENTRY(type, elems, offset, size, stride) "s."
#define P(s)		s, sizeof s - 1

/* Read a file with that pickle and these additional members. */
static int
read_file(const char *pickle, size_t n, const struct torch_member *more,
    size_t nmore, struct torch_file *file, struct st_table *t,
    struct fault *f)
{
	struct torch_member	 m[TORCH_MEMBERS_MAX] = {
					{ "x/data.pkl", pickle, n } };
	int			 fd, r;

	memcpy(m + 1, more, nmore * sizeof *more);
	torch_zip(m, 1 + nmore, TORCH_AS_TORCH, file);
	fd = torch_open(file->bytes, file->n);
	r = torchbin_read("some.bin", fd, file->n, t, f);
	close(fd);
	free(file->bytes);
	return (r);
}

/* Views of a storage of 16 bytes are at the right places. */
static void
views_are_placed_in_the_file(void **state)
{
	static const struct torch_member storage = { "x/data/0", NUMBERS, 16 };
	static const struct {
		const char	*pickle;
		size_t		 n;
		const char	*dtype;
		int		 readable;
		size_t		 at, bytes;
	} cases[] = {
		{ P(ONE("HalfStorage", "K\x08", "K\0", "K\x08\x85",
		    "K\x01\x85")), "F16", 1, 0, 16 },
		{ P(ONE("BFloat16Storage", "K\x08", "K\x02", "K\x03\x85",
		    "K\x01\x85")), "BF16", 1, 4, 6 },
		{ P(ONE("FloatStorage", "K\x04", "K\x03", "K\x01\x85",
		    "K\x01\x85")), "F32", 1, 12, 4 },
		{ P(ONE("DoubleStorage", "K\x02", "K\x01", ")", ")")), "F64",
		    1, 8, 8 },
		{ P(ONE("LongStorage", "K\x02", "K\0", "K\x02\x85",
		    "K\x01\x85")), "I64", 0, 0, 16 },
		{ P(ONE("ByteStorage", "K\x10", "K\0", "K\x10\x85",
		    "K\x01\x85")), "U8", 0, 0, 16 },
		{ P(ONE("BoolStorage", "K\x10", "K\x0f", "K\x01\x85",
		    "K\x01\x85")), "BOOL", 0, 15, 1 },
		{ P(ONE("FloatStorage", "K\x04", "K\0", "K\x02K\x02\x86",
		    "K\x01K\x02\x86")), "F32", 1, 0, 16 },
		{ P(ONE("FloatStorage", "K\x04", "K\x01", "K\x02\x85",
		    "K\x02\x85")), "F32", 1, 4, 12 },
		{ P(ONE("FloatStorage", "K\x04", "K\0", "K\x02K\x02\x86",
		    "K\x01K\x01\x86")), "F32 with overlapping strides", 0,
		    0, 12 },
		{ P(ONE("FloatStorage", "K\x04", "K\0", "K\x08\x85",
		    "K\0\x85")), "F32 with overlapping strides", 0, 0, 4 },
		{ P(ONE("FloatStorage", "K\x04", "K\x04", "K\0\x85",
		    "K\x01\x85")), "F32", 1, 16, 0 }
	};
	struct torch_file	 file;
	struct st_table		 t;
	struct fault		 f;
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		if (read_file(cases[i].pickle, cases[i].n, &storage, 1, &file,
		    &t, &f) != 0)
			fail_msg("case %zu: %s", i, f.message);
		assert_int_equal(t.n, 1);
		assert_string_equal(t.tensors[0].dtype_name, cases[i].dtype);
		assert_int_equal(t.tensors[0].readable, cases[i].readable);
		assert_int_equal(t.tensors[0].begin, file.data[1] +
		    cases[i].at);
		assert_int_equal(t.tensors[0].end - t.tensors[0].begin,
		    cases[i].bytes);
		safetensors_clear(&t);
	}
}

/* Two tensors of one storage. */
static void
storages_are_shared(void **state)
{
	static const struct torch_member storage = { "x/data/0", NUMBERS, 16 };
	static const char	 pickle[] = PK_START "}(" KEY
	    PK_TENSOR(PK_STORAGE("HalfStorage", "0", "K\x08"), "K\0",
	    "K\x04\x85", "K\x01\x85") PK_STRING("\x01", "b")
	    PK_TENSOR(PK_STORAGE("HalfStorage", "0", "K\x08"), "K\x02",
	    "K\x06\x85", "K\x01\x85") "u.";
	struct torch_file	 file;
	struct st_table		 t;
	struct fault		 f;

	(void)state;
	assert_int_equal(read_file(P(pickle), &storage, 1, &file, &t, &f), 0);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.tensors[0].end, file.data[1] + 8);
	assert_int_equal(t.tensors[1].begin, file.data[1] + 4);
	assert_int_equal(t.tensors[1].end, file.data[1] + 16);
	safetensors_clear(&t);
}

/* The zip file and the pickle are valid, but do not fit together. */
static void
claims_are_held_against_the_file(void **state)
{
	static const char	 pickle[] = ONE("HalfStorage", "K\x08", "K\0",
				    "K\x08\x85", "K\x01\x85");
	static const char	 twice[] = PK_START "}("
	    ENTRY("HalfStorage", "K\x08", "K\0", ")", ")")
	    ENTRY("HalfStorage", "K\x08", "K\0", ")", ")") "u.";
	static const struct {
		const char		*pickle;
		size_t			 n;
		struct torch_member	 more[2];
		size_t			 nmore;
		const char		*words;
	} cases[] = {
		{ P(pickle), { { 0 } }, 0, "its storage 0 is not in" },
		{ P(pickle), { { "x/data/1", NUMBERS, 16 } }, 1,
		    "a: its storage 0 is not in" },
		{ P(pickle), { { "x/data/0", NUMBERS, 15 } }, 1,
		    "a: expected a storage of 8 elements of 2 bytes, found "
		    "15 bytes" },
		{ P(pickle), { { "x/data/0", NUMBERS, 14 } }, 1,
		    "found 14 bytes" },
		{ P(pickle), { { "x/data/0", NUMBERS, 0 } }, 1,
		    "found 0 bytes" },
		{ P(twice), { { "x/data/0", NUMBERS, 16 } }, 1,
		    "a: is in the file twice" },
		{ P(pickle), { { "x/data/0", NUMBERS, 16 },
		    { "x/byteorder", "big", 3 } }, 2, "expected little" },
		{ P(pickle), { { "x/data/0", NUMBERS, 16 },
		    { "y/data.pkl", "", 0 } }, 2, "two members data.pkl" },
		{ P("cos\nsystem\n"), { { "x/data/0", NUMBERS, 16 } }, 1,
		    "expected a pickle" }
	};
	struct torch_file	 file;
	struct st_table		 t;
	struct fault		 f;
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		if (read_file(cases[i].pickle, cases[i].n, cases[i].more,
		    cases[i].nmore, &file, &t, &f) == 0)
			fail_msg("taken; expected \"%s\"", cases[i].words);
		if (strstr(f.message, cases[i].words) == NULL)
			fail_msg("expected \"%s\" in: %s", cases[i].words,
			    f.message);
	}
}

/* Zip files from other programs, and a pickle that was changed. */
static void
other_zip_files_and_changed_pickles_are_refused(void **state)
{
	static const struct torch_member other = { "x/y/data.pkl", "1", 1 };
	static const struct torch_member sound = { "x/data.pkl",
		P(PK_START "}.") };
	struct torch_file	 file;
	struct st_table		 t;
	struct fault		 f;
	int			 fd;

	(void)state;
	torch_zip(&other, 1, TORCH_AS_TORCH, &file);
	fd = torch_open(file.bytes, file.n);
	assert_int_not_equal(torchbin_read("x", fd, file.n, &t, &f), 0);
	assert_non_null(strstr(f.message, "no member data.pkl"));
	close(fd);
	free(file.bytes);
	torch_zip(&sound, 1, TORCH_AS_TORCH, &file);
	file.bytes[file.data[0] + 2] = ']';
	fd = torch_open(file.bytes, file.n);
	assert_int_not_equal(torchbin_read("x", fd, file.n, &t, &f), 0);
	assert_non_null(strstr(f.message, "its checksum does not match"));
	close(fd);
	torch_poke(file.bytes + file.central[0] + 16, 4, 0);	/* none */
	torch_poke(file.bytes + file.data[0] + sound.n + 4, 4, 0);
	fd = torch_open(file.bytes, file.n);
	assert_int_not_equal(torchbin_read("x", fd, file.n, &t, &f), 0);
	assert_non_null(strstr(f.message, "unknown opcode"));
	close(fd);
	free(file.bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(views_are_placed_in_the_file),
		cmocka_unit_test(storages_are_shared),
		cmocka_unit_test(claims_are_held_against_the_file),
		cmocka_unit_test(
		    other_zip_files_and_changed_pickles_are_refused)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

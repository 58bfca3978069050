/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zip files of torch.save: valid ones are read, and each contradiction in a
 * file has its own error.
 */
#include "torchzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "torch_files.h"
#include "xmalloc.h"

/* Records of a file, from which offsets are counted. */
enum where { START, LOCAL0, LOCAL1, CENTRAL0, CENTRAL1, EXTRA1, END64,
	LOCATOR, END, BEHIND0, LOCAL1_EXTRA };

static const struct torch_member members[] = {
	{ "m/data.pkl", "first", 5 },
	{ "m/data/0", "0123456789", 10 },
	{ "m/version", "3\n", 2 }
};

static int	seen[TZ_DESCRIPTOR + 1];	/* errors that occurred */

/* Read bytes as a file. */
static enum tz_error
read_bytes(const void *bytes, size_t n, struct torchzip *z, struct fault *f)
{
	int		 fd = torch_open(bytes, n);
	enum tz_error	 e = torchzip_read("some.bin", fd, n, z, f);

	close(fd);
	seen[e] = 1;
	return (e);
}

/* Every form of valid files. */
static void
sound_files_are_read(void **state)
{
	static const int options[] = { 0, TORCH_LATER, TORCH_END64,
		TORCH_AS_TORCH, TORCH_END64 | TORCH_EXTRA64,
		TORCH_AS_TORCH | TORCH_EXTRA64, TORCH_LOCAL64,
		TORCH_AS_TORCH | TORCH_LOCAL64 | TORCH_EXTRA64 };
	const struct tz_member	*m;
	struct torch_file	 file;
	struct torchzip		 z;
	struct fault		 f;
	size_t			 i, k;

	(void)state;
	for (i = 0; i < nitems(options); i++) {
		torch_zip(members, nitems(members), options[i], &file);
		if (read_bytes(file.bytes, file.n, &z, &f) != TZ_OK)
			fail_msg("options %d: %s", options[i], f.message);
		assert_int_equal(z.n, nitems(members));
		for (k = 0; k < nitems(members); k++) {
			m = torchzip_find(&z, members[k].name);
			assert_non_null(m);
			assert_int_equal(m->at, file.data[k]);
			assert_int_equal(m->size, members[k].n);
			assert_int_equal(m->crc, torch_crc(members[k].bytes,
			    members[k].n));
		}
		assert_null(torchzip_find(&z, "m/data"));
		torchzip_clear(&z);
		free(file.bytes);
	}
}

/* One changed number of a valid file. */
static const struct {
	enum tz_error	 error;
	int		 options;
	enum where	 where;
	int		 at, width;
	uint64_t	 value;
	const char	*words;
} lies[] = {
	{ TZ_NOT_ZIP, TORCH_AS_TORCH, START, 0, 1, 'Q', "expected a zip" },
	{ TZ_END, 0, END, 0, 1, 'Q', "not an end record" },
	{ TZ_COMMENT, 0, END, 20, 2, 1, "a comment" },
	{ TZ_DISKS, 0, END, 4, 2, 1, "several disks" },
	{ TZ_DISKS, 0, END, 6, 2, 1, "several disks" },
	{ TZ_DISKS, 0, END, 8, 2, 2, "several disks" },
	{ TZ_DISKS, TORCH_AS_TORCH, LOCATOR, 4, 4, 1, "several disks" },
	{ TZ_DISKS, TORCH_AS_TORCH, LOCATOR, 16, 4, 2, "several disks" },
	{ TZ_DISKS, TORCH_AS_TORCH, END64, 16, 4, 1, "several disks" },
	{ TZ_DISKS, TORCH_AS_TORCH, END64, 20, 4, 1, "several disks" },
	{ TZ_DISKS, TORCH_AS_TORCH, END64, 24, 8, 1, "several disks" },
	{ TZ_DISKS, 0, CENTRAL0, 34, 2, 1, "several disks" },
	{ TZ_LOCATOR, 0, END, 12, 4, 0xffffffff, "no such record" },
	{ TZ_LOCATOR, 0, END, 16, 4, 0xffffffff, "no such record" },
	{ TZ_LOCATOR, 0, END, 8, 4, 0xffffffff, "no such record" },
	{ TZ_LOCATOR, TORCH_AS_TORCH | TORCH_EXTRA64, LOCATOR, 0, 1, 'Q',
	    "no such record" },
	{ TZ_END64, TORCH_AS_TORCH, LOCATOR, 8, 8, 7, "not right before" },
	{ TZ_END64, TORCH_AS_TORCH, LOCATOR, 8, 8, UINT64_MAX,
	    "not right before" },
	{ TZ_END64, TORCH_AS_TORCH, END64, 0, 1, 'Q', "no ZIP64 end" },
	{ TZ_END64, TORCH_AS_TORCH, END64, 4, 8, 45, "no ZIP64 end" },
	{ TZ_DISAGREE, TORCH_AS_TORCH, END64, 40, 8, 46, "end records differ" },
	{ TZ_DISAGREE, TORCH_AS_TORCH, END64, 48, 8, 46, "end records differ" },
	{ TZ_DIRECTORY, 0, END, 12, 4, 46, "does not end" },
	{ TZ_DIRECTORY, 0, END, 16, 4, 0x7fffffff, "does not end" },
	{ TZ_DIRECTORY, TORCH_AS_TORCH | TORCH_EXTRA64, END64, 40, 8,
	    UINT64_MAX, "does not end" },
	{ TZ_DIRECTORY, TORCH_AS_TORCH | TORCH_EXTRA64, END64, 48, 8,
	    UINT64_MAX - 8, "does not end" },
	{ TZ_ENTRY, 0, END, 8, 4, 0x00040004, "4 members in" },
	{ TZ_ENTRY, 0, END, 8, 4, 0x00020002, "after the last entry" },
	{ TZ_ENTRY, 0, END, 8, 4, 0x40004000, "16384 members" },
	{ TZ_ENTRY, 0, CENTRAL1, 0, 1, 'Q', "ends before its last" },
	{ TZ_ENTRY, 0, CENTRAL1, 28, 2, 0xffff, "an entry past" },
	{ TZ_ENTRY, 0, CENTRAL1, 32, 2, 0xffff, "an entry past" },
	{ TZ_ENCRYPTED, 0, CENTRAL1, 8, 2, 1, "encrypted" },
	{ TZ_FLAGS, 0, CENTRAL1, 8, 2, 0x20, "flags 0x20" },
	{ TZ_COMPRESSED, 0, CENTRAL1, 10, 2, 8, "compressed" },
	{ TZ_SIZES, 0, CENTRAL1, 20, 4, 9, "two sizes, 9 and 10" },
	{ TZ_SIZES, TORCH_AS_TORCH | TORCH_EXTRA64, EXTRA1, 4, 8, 9,
	    "two sizes" },
	{ TZ_EXTRA, 0, CENTRAL1, 42, 4, 0xffffffff, "no ZIP64 field" },
	{ TZ_EXTRA, TORCH_AS_TORCH | TORCH_EXTRA64, EXTRA1, 0, 2, 9,
	    "no ZIP64 field" },
	{ TZ_EXTRA, TORCH_AS_TORCH | TORCH_EXTRA64, EXTRA1, 2, 2, 25,
	    "broken extra" },
	{ TZ_EXTRA, TORCH_AS_TORCH | TORCH_EXTRA64, EXTRA1, 2, 2, 22,
	    "broken extra" },
	{ TZ_LOCAL, 0, LOCAL1, 0, 1, 'Q', "m/data/0: no header" },
	{ TZ_NAMES, 0, LOCAL1, 30, 1, 'n', "m/data/0: has another name" },
	{ TZ_NAMES, 0, LOCAL1, 26, 2, 7, "m/data/0: has another name" },
	{ TZ_LOCAL_LIES, 0, LOCAL1, 8, 2, 8, "m/data/0: its own header" },
	{ TZ_LOCAL_LIES, 0, LOCAL1, 6, 2, 8, "m/data/0: its own header" },
	{ TZ_LOCAL_LIES, 0, LOCAL1, 18, 4, 9, "m/data/0: its own header" },
	{ TZ_LOCAL_LIES, 0, LOCAL1, 18, 8, 0, "m/data/0: its own header" },
	{ TZ_LOCAL_LIES, 0, LOCAL1, 14, 4, 5, "m/data/0: its own header" },
	{ TZ_LOCAL_LIES, 0, LOCAL1, 14, 4, 0, "m/data/0: its own header" },
	{ TZ_LOCAL_LIES, TORCH_AS_TORCH, LOCAL1, 14, 4, 5, "its own header" },
	{ TZ_LOCAL_LIES, TORCH_AS_TORCH, LOCAL1, 18, 8, 0x900000009,
	    "its own header" },
	{ TZ_LOCAL_LIES, TORCH_LOCAL64, LOCAL1_EXTRA, 4, 8, 9, "own header" },
	{ TZ_LOCAL_LIES, TORCH_LOCAL64, LOCAL1_EXTRA, 12, 8, 9, "own header" },
	{ TZ_LOCAL_LIES, TORCH_LOCAL64, LOCAL1, 18, 4, 9, "own header" },
	{ TZ_EXTRA, TORCH_LOCAL64, LOCAL1_EXTRA, 0, 2, 2, "no ZIP64 field" },
	{ TZ_EXTRA, TORCH_LOCAL64, LOCAL1_EXTRA, 2, 2, 999, "broken extra" },
	{ TZ_EXTRA, 0, LOCAL1, 18, 8, UINT64_MAX, "no ZIP64 field" },
	{ TZ_OVERLAP, 0, CENTRAL1, 42, 4, 0, "m/data/0: starts at 0" },
	{ TZ_OVERLAP, TORCH_AS_TORCH, CENTRAL1, 42, 4, 1, "inside" },
	{ TZ_PAST_END, 0, CENTRAL1, 42, 4, 0x7fffffff, "past the members" },
	{ TZ_PAST_END, TORCH_AS_TORCH | TORCH_EXTRA64, EXTRA1, 20, 8,
	    UINT64_MAX, "past the members" },
	{ TZ_PAST_END, 0, LOCAL1, 28, 2, 0xffff, "reach past" },
	{ TZ_HOLE, 0, LOCAL1, 28, 2, 4, "belong to no member" },
	{ TZ_HOLE, TORCH_AS_TORCH, LOCAL1, 28, 2, 4, "belong to no member" },
	{ TZ_DESCRIPTOR, TORCH_AS_TORCH, CENTRAL1, 16, 4, 1,
	    "differs from" },
	{ TZ_DESCRIPTOR, TORCH_AS_TORCH, BEHIND0, 0, 1, 'Q',
	    "differs from" },
	{ TZ_DESCRIPTOR, TORCH_AS_TORCH, BEHIND0, 8, 4, 6,
	    "differs from" },
	{ TZ_DESCRIPTOR, TORCH_AS_TORCH, BEHIND0, 12, 4, 6,
	    "differs from" }
};

/* Return the first byte of a record. */
static size_t
place(const struct torch_file *file, enum where w)
{
	const size_t	 at[] = { 0, file->local[0], file->local[1],
			    file->central[0], file->central[1],
			    file->central[1] + 46 + 8, file->end64,
			    file->locator, file->end,
			    file->data[0] + members[0].n,
			    file->local[1] + 30 + 8 };

	return (at[w]);
}

/* Each contradiction has its error. */
static void
every_lie_has_its_answer(void **state)
{
	struct torch_file	 file;
	struct torchzip		 z;
	struct fault		 f;
	enum tz_error		 e;
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(lies); i++) {
		torch_zip(members, nitems(members), lies[i].options, &file);
		torch_poke(file.bytes + place(&file, lies[i].where) +
		    lies[i].at, lies[i].width, lies[i].value);
		e = read_bytes(file.bytes, file.n, &z, &f);
		if (e == TZ_OK)
			fail_msg("lie %zu: taken; expected \"%s\"", i,
			    lies[i].words);
		if (e != lies[i].error || strstr(f.message, lies[i].words) ==
		    NULL)
			fail_msg("lie %zu: expected %d \"%s\", found %d %s", i,
			    lies[i].error, lies[i].words, e, f.message);
		assert_memory_equal(f.message, "some.bin: ", 10);
		free(file.bytes);
	}
}

/* Names that lead out of the archive, or are not valid. */
static void
names_are_plain_paths(void **state)
{
	static const struct {
		const char	*name;
		enum tz_error	 error;
	} cases[] = {
		{ "m/data/0", TZ_OK },
		{ "m/.data/serialization_id", TZ_OK },
		{ "m\303\244dchen/data.pkl", TZ_OK },
		{ "", TZ_NAME },
		{ "/etc/passwd", TZ_NAME },
		{ "../m/data/0", TZ_NAME },
		{ "m/../../x", TZ_NAME },
		{ "m/..", TZ_NAME },
		{ "..", TZ_NAME },
		{ "m/./x", TZ_NAME },
		{ "m//x", TZ_NAME },
		{ "m/", TZ_NAME },
		{ "m\\..\\x", TZ_NAME },
		{ "C:x", TZ_NAME },
		{ "m/\nx", TZ_NAME },
		{ "m/\177x", TZ_NAME },
		{ "m/\377", TZ_NAME }
	};
	struct torch_member	 m = { NULL, "x", 1 };
	struct torch_file	 file;
	struct torchzip		 z;
	struct fault		 f;
	enum tz_error		 e;
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		m.name = cases[i].name;
		torch_zip(&m, 1, TORCH_AS_TORCH, &file);
		if ((e = read_bytes(file.bytes, file.n, &z, &f)) == TZ_OK)
			torchzip_clear(&z);
		if (e != cases[i].error)
			fail_msg("%s: expected %d, found %d", cases[i].name,
			    cases[i].error, e);
		free(file.bytes);
	}
}

/* A name above the limit. */
static void
long_names_are_refused(void **state)
{
	char			 name[TORCHZIP_NAME_MAX + 2];
	struct torch_member	 m = { name, "x", 1 };
	struct torch_file	 file;
	struct torchzip		 z;
	struct fault		 f;

	(void)state;
	memset(name, 'a', sizeof name);
	name[TORCHZIP_NAME_MAX] = '\0';
	torch_zip(&m, 1, TORCH_AS_TORCH, &file);
	assert_int_equal(read_bytes(file.bytes, file.n, &z, &f), TZ_OK);
	torchzip_clear(&z);
	free(file.bytes);
	name[TORCHZIP_NAME_MAX] = 'a';
	name[TORCHZIP_NAME_MAX + 1] = '\0';
	torch_zip(&m, 1, TORCH_AS_TORCH, &file);
	assert_int_equal(read_bytes(file.bytes, file.n, &z, &f), TZ_TOO_BIG);
	free(file.bytes);
}

/* A directory above the limit is not read; the file is mostly a hole. */
static void
long_directories_are_refused(void **state)
{
	const uint64_t		 big = TORCHZIP_DIRECTORY_MAX + 1;
	struct torch_file	 file;
	struct torchzip		 z;
	struct fault		 f;
	size_t			 dir;
	int			 fd;

	(void)state;
	torch_zip(members, nitems(members), TORCH_AS_TORCH, &file);
	dir = file.central[0];
	torch_poke(file.bytes + file.end64 + 40, 8, big);
	torch_poke(file.bytes + file.locator + 8, 8, dir + big);
	torch_poke(file.bytes + file.end + 12, 4, big);
	fd = torch_open(file.bytes, dir);
	assert_int_equal(pwrite(fd, file.bytes + file.end64, file.n -
	    file.end64, (off_t)(dir + big)), file.n - file.end64);
	assert_int_equal(torchzip_read("some.bin", fd, dir + big + file.n -
	    file.end64, &z, &f), TZ_TOO_BIG);
	assert_non_null(strstr(f.message, "a directory of 3 members"));
	close(fd);
	free(file.bytes);
}

/* Two members of the same name. */
static void
duplicate_names_are_refused(void **state)
{
	static const struct torch_member twice[] = { { "m/x", "1", 1 },
		{ "m/y", "2", 1 }, { "m/x", "3", 1 } };
	struct torch_file	 file;
	struct torchzip		 z;
	struct fault		 f;

	(void)state;
	torch_zip(twice, nitems(twice), TORCH_AS_TORCH, &file);
	assert_int_equal(read_bytes(file.bytes, file.n, &z, &f), TZ_DUPLICATE);
	assert_non_null(strstr(f.message, "m/x: is in the file twice"));
	free(file.bytes);
}

/* Two entries: the second one shares the bytes of the first. */
static void
shared_bytes_are_refused(void **state)
{
	static const struct torch_member same[] = { { "m/x", "11111", 5 },
		{ "m/y", "22222", 5 } };
	struct torch_file	 file;
	struct torchzip		 z;
	struct fault		 f;

	(void)state;
	torch_zip(same, nitems(same), TORCH_AS_TORCH, &file);
	torch_poke(file.bytes + file.central[0] + 20, 4, 40);
	torch_poke(file.bytes + file.central[0] + 24, 4, 40);
	assert_int_equal(read_bytes(file.bytes, file.n, &z, &f), TZ_OVERLAP);
	assert_non_null(strstr(f.message, "m/y: starts at"));
	free(file.bytes);
}

/* Bytes between members that belong to no member. */
static void
holes_are_refused(void **state)
{
	static const char	 zeros[64];
	static const struct torch_member one[] = { { "m/x", zeros, 64 },
		{ "m/y", "22222", 5 } };
	static const struct torch_member last[] = { { "m/x", zeros, 64 } };
	struct torch_file	 file;
	struct torchzip		 z;
	struct fault		 f;

	(void)state;
	torch_zip(one, nitems(one), TORCH_AS_TORCH, &file);
	torch_poke(file.bytes + file.central[0] + 20, 4, 8);
	torch_poke(file.bytes + file.central[0] + 24, 4, 8);
	assert_int_equal(read_bytes(file.bytes, file.n, &z, &f), TZ_HOLE);
	free(file.bytes);
	torch_zip(last, nitems(last), TORCH_AS_TORCH, &file);
	torch_poke(file.bytes + file.central[0] + 20, 4, 8);
	torch_poke(file.bytes + file.central[0] + 24, 4, 8);
	assert_int_equal(read_bytes(file.bytes, file.n, &z, &f), TZ_HOLE);
	free(file.bytes);
}

/* A valid directory inside a comment is not found. */
static void
an_end_record_in_a_comment_is_not_found(void **state)
{
	struct torch_file	 file;
	struct torchzip		 z;
	struct fault		 f;
	uint8_t			*b;

	(void)state;
	torch_zip(members, nitems(members), 0, &file);
	b = xcalloc(1, file.n + 40);
	memcpy(b, file.bytes, file.n);
	torch_poke(b + file.end + 20, 2, 40);
	assert_int_equal(read_bytes(b, file.n + 40, &z, &f), TZ_END);
	memcpy(b + file.n + 18, file.bytes + file.end, 22);
	assert_int_equal(read_bytes(b, file.n + 40, &z, &f), TZ_DIRECTORY);
	free(b);
	free(file.bytes);
}

/* Forms that have a message of their own. */
static void
other_forms_are_named(void **state)
{
	static const char	 legacy[] = "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9"
				    " j\xa8P\x19.\x80\x02M\xe9\x03.";
	char			 tar[1024] = "storages";
	struct torchzip		 z;
	struct fault		 f;

	(void)state;
	memcpy(tar + 257, "ustar", 5);
	assert_int_equal(read_bytes(tar, sizeof tar, &z, &f), TZ_LEGACY);
	assert_non_null(strstr(f.message, "written by PyTorch before 1.6"));
	assert_int_equal(read_bytes(legacy, sizeof legacy, &z, &f), TZ_LEGACY);
	assert_int_equal(read_bytes("", 0, &z, &f), TZ_NOT_ZIP);
	assert_int_equal(read_bytes("PK\3\4", 4, &z, &f), TZ_END);
}

/* Cut at every byte. */
static void
a_cut_file_is_refused(void **state)
{
	struct torch_file	 file;
	struct torchzip		 z;
	struct fault		 f;
	size_t			 cut;

	(void)state;
	torch_zip(members, nitems(members), TORCH_AS_TORCH, &file);
	for (cut = 0; cut < file.n; cut++)
		if (read_bytes(file.bytes, cut, &z, &f) == TZ_OK)
			fail_msg("cut at %zu: taken", cut);
	free(file.bytes);
}

/* The file has become shorter after it was opened. */
static void
a_file_that_shrinks_is_reported(void **state)
{
	struct torch_file	 file;
	struct torchzip		 z;
	struct fault		 f;
	int			 fd;

	(void)state;
	torch_zip(members, nitems(members), TORCH_AS_TORCH, &file);
	fd = torch_open(file.bytes, file.n - 30);
	assert_int_equal(torchzip_read("some.bin", fd, file.n, &z, &f),
	    TZ_READ);
	seen[TZ_READ] = 1;
	assert_non_null(strstr(f.message, "has become shorter"));
	close(fd);
	free(file.bytes);
}

/* The tests above have met each error, so this is the last one. */
static void
no_error_is_left_untried(void **state)
{
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(seen); i++)
		if (!seen[i])
			fail_msg("error %zu was not met", i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound_files_are_read),
		cmocka_unit_test(every_lie_has_its_answer),
		cmocka_unit_test(names_are_plain_paths),
		cmocka_unit_test(long_names_are_refused),
		cmocka_unit_test(long_directories_are_refused),
		cmocka_unit_test(duplicate_names_are_refused),
		cmocka_unit_test(shared_bytes_are_refused),
		cmocka_unit_test(holes_are_refused),
		cmocka_unit_test(an_end_record_in_a_comment_is_not_found),
		cmocka_unit_test(other_forms_are_named),
		cmocka_unit_test(a_cut_file_is_refused),
		cmocka_unit_test(a_file_that_shrinks_is_reported),
		cmocka_unit_test(no_error_is_left_untried)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packing under failures: no space, no names, system calls that fail one at a
 * time, a source that changes, an end by a signal.  In each case the new file
 * is whole, or the old file stays.
 */
#include "cpu_pack.h"

#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend.h"
#include "faults.h"
#include "model_files.h"
#include "neox.h"
#include "path.h"
#include "xmalloc.h"

#define FILE_MAX	(1 << 24)
/* The beginning of a packed file: only a packed file may be replaced. */
#define OLD		"\1\1\1\1\1\1\1\1{\"__metadata__\":" \
			"{\"chatd_packed\":\"0\"}}"
#define TMPFILE_BIT	(O_TMPFILE & ~O_DIRECTORY)

#ifndef SYS_rename		/* some machines have the newer call only */
#define SYS_rename	SYS_renameat2
#endif

static const struct neox_spec spec = { "small", 2, 96, 2, 160, 33, 64, 0.5,
	"gelu", 1, 0, 1, 0.1 };

static char	*model;		/* folder of the model */
static struct model *source;	/* the same, open */
static char	*folder;	/* of the packed file */
static char	*out;		/* folder/packed */

/* Write the model. */
static int
setup(void **state)
{
	struct fault	 f;

	(void)state;
	model = neox_folder();
	neox_write(model, &spec, 41);
	model_files_put(model, "tokenizer.json", "{}", 2);
	assert_int_equal(model_open(model, &source, &f), 0);
	return (0);
}

/* Remove the model. */
static int
teardown(void **state)
{
	(void)state;
	model_free(source);
	neox_remove(model);
	return (0);
}

/* Make a folder with a file that packing is to replace. */
static int
begin(void **state)
{
	(void)state;
	folder = neox_folder();
	out = path_join(folder, "packed");
	model_files_put(folder, "packed", OLD, strlen(OLD));
	return (0);
}

/* Remove the folder. */
static int
end(void **state)
{
	(void)state;
	neox_remove(folder);
	free(out);
	return (0);
}

/* Pack the model in a folder to out. Returns the result of cpu_pack_write. */
static int
pack(const char *from, const char *precision, void (*progress)(void *,
    int64_t, int64_t), void *arg, struct fault *f)
{
	struct backend_options	 opt = { .precision = precision,
		.threads = 2, .progress = progress, .progress_arg = arg };
	struct model		*m;
	int			 r;

	if ((r = model_open(from, &m, f)) != 0)
		return (r);
	r = cpu_pack_write(m, NULL, 0, out, &opt, f);
	model_free(m);
	return (r);
}

/* Does the file at path have these bytes? */
static int
same(const char *path, const void *bytes, size_t n)
{
	char	*text;
	size_t	 len;
	int	 is;

	assert_int_equal(path_read(path, FILE_MAX, &text, &len), 0);
	is = len == n && memcmp(text, bytes, n) == 0;
	free(text);
	return (is);
}

/* The folder has the old file and no other. */
static void
expect_old(void)
{
	assert_true(same(out, OLD, strlen(OLD)));
	assert_int_equal(model_files_count(folder), 1);
}

enum { AS_EXPECTED, NOT_AS_EXPECTED, NOT_HERE };

/* In a child: pack, and look for words in the message (NULL: success). */
static int
try(const char *to, const char *words)
{
	struct backend_options	 opt = { .precision = "int8", .threads = 2 };
	struct fault		 f = { 0 };
	int			 r;

	r = cpu_pack_write(source, NULL, 0, to, &opt, &f);
	if (words == NULL ? r == 0 : r != 0 && f.code != NULL &&
	    strcmp(f.code, "bad_file") == 0 && strstr(f.message, words) !=
	    NULL)
		return (AS_EXPECTED);
	fprintf(stderr, "expected \"%s\", found %d, \"%s\"\n",
	    words != NULL ? words : "success", r, f.message);
	return (NOT_AS_EXPECTED);
}

/* A system call that fails, and the result. */
struct failure {
	const char	*name;
	struct refusal	 call;
	const char	*words;		/* NULL: packing succeeds */
	int		 written;	/* the new file is there */
};

/* In a child: pack with a call refused. */
static int
try_refused(void *arg)
{
	const struct failure	*c = arg;

	if (!faults_refuse(&c->call))
		return (NOT_HERE);
	return (try(out, c->words));
}

#define NO_TMPFILE	SYS_openat, 2, TMPFILE_BIT, TMPFILE_BIT

static const struct failure failures[] = {
	{ "no files without a name", { NO_TMPFILE, EOPNOTSUPP }, NULL, 1 },
	{ "an old kernel", { NO_TMPFILE, EISDIR }, NULL, 1 },
	{ "a folder that is not ours", { NO_TMPFILE, EACCES },
	    "creating: Permission denied", 0 },
	{ "no space", { SYS_fallocate, 0, 0, 0, ENOSPC },
	    "reserving space: No space left on device", 0 },
	{ "a bad disk", { SYS_fallocate, 0, 0, 0, EIO },
	    "reserving space: Input/output error", 0 },
	{ "space can't be reserved", { SYS_fallocate, 0, 0, 0, EOPNOTSUPP },
	    NULL, 1 },
	{ "no mapping", { SYS_mmap, 3, MAP_TYPE, MAP_SHARED, ENODEV },
	    "mapping: No such device", 0 },
	{ "a disk that fails late", { SYS_msync, 0, 0, 0, EIO },
	    "writing: Input/output error", 0 },
	{ "or at the end", { SYS_fsync, 0, 0, 0, EIO },
	    "writing: Input/output error", 0 },
	{ "no links", { SYS_linkat, 0, 0, 0, EPERM },
	    "naming: Operation not permitted", 0 },
	{ "no renaming", { SYS_rename, 0, 0, 0, EACCES },
	    "naming: Permission denied", 0 },
	{ "no folder to sync", { SYS_openat, 2, O_TMPFILE, O_DIRECTORY,
	    EMFILE }, "opening its folder: Too many open files", 1 }
};

/* Each call fails once. The file is then the whole new one, or the old one. */
static void
a_call_that_fails_leaves_the_old_file_or_a_whole_one(void **state)
{
	struct fault	 f;
	char		*want;
	size_t		 n, i;
	int		 r;

	(void)state;
	assert_int_equal(pack(model, "int8", NULL, NULL, &f), 0);
	assert_int_equal(path_read(out, FILE_MAX, &want, &n), 0);
	for (i = 0; i < nitems(failures); i++) {
		model_files_put(folder, "packed", OLD, strlen(OLD));
		r = faults_child(try_refused, (void *)(uintptr_t)&failures[i]);
		if (r == NOT_HERE)
			skip();		/* the kernel has no such filters */
		if (r != AS_EXPECTED)
			fail_msg("%s: %d", failures[i].name, r);
		if (failures[i].written) {
			assert_true(same(out, want, n));
			assert_int_equal(model_files_count(folder), 1);
		} else
			expect_old();
	}
	free(want);
}

/* In a child: the name that the file has until it is whole already exists. */
static int
try_taken(void *arg)
{
	char	*temp = xasprintf("%s.part-%ld", out, (long)getpid());
	char	*words = xasprintf("%s: already exists", temp);
	int	 r;

	if (arg != NULL && !faults_refuse(arg))
		return (NOT_HERE);
	model_files_put(folder, strrchr(temp, '/') + 1, "precious", 8);
	r = try(out, words);
	if (access(temp, F_OK) == -1)
		r = NOT_AS_EXPECTED;
	unlink(temp);
	free(words);
	free(temp);
	return (r);
}

/* A file of another program under that name is reported, and stays. */
static void
a_file_of_another_is_left_alone(void **state)
{
	int	 r;

	(void)state;
	assert_int_equal(faults_child(try_taken, NULL), AS_EXPECTED);
	expect_old();
	r = faults_child(try_taken, (void *)(uintptr_t)&failures[0].call);
	if (r == NOT_HERE)
		skip();
	assert_int_equal(r, AS_EXPECTED);
	expect_old();
}

/* In a child: files may have at most 4 KiB. */
static int
try_limited(void *arg)
{
	struct rlimit	 rl = { 4096, 4096 };

	(void)arg;
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &rl) == -1)
		return (NOT_HERE);
	return (try(out, "reserving space: File too large"));
}

/* A limit of the file size. */
static void
a_limit_of_size_is_reported(void **state)
{
	(void)state;
	assert_int_equal(faults_child(try_limited, NULL), AS_EXPECTED);
	expect_old();
}

/* In a child: a file system of 16 KiB, less than the packed file needs. */
static int
try_full(void *arg)
{
	char	*to = path_join(arg, "packed"), *words;
	int	 r;

	if (!faults_mounts() ||
	    mount("tmpfs", arg, "tmpfs", 0, "size=16k") == -1)
		return (NOT_HERE);
	words = xasprintf("%s: needs 206.6 KiB of disk, 16.0 KiB are free", to);
	r = try(to, words);
	if (rmdir(to) != -1 || errno != ENOENT)
		r = NOT_AS_EXPECTED;
	free(words);
	free(to);
	return (r);
}

/* A full disk. */
static void
a_full_disk_is_reported_before_anything_is_read(void **state)
{
	int	 r = faults_child(try_full, folder);

	(void)state;
	if (r == NOT_HERE)
		skip();		/* we may not mount here */
	assert_int_equal(r, AS_EXPECTED);
	expect_old();
}

/* At the first progress call, cut the weight file in half. */
static void
cut_source(void *arg, int64_t bytes, int64_t total)
{
	if (bytes == 0)
		assert_int_equal(truncate(arg, total / 2), 0);
}

/* The model changes while it is packed. */
static void
a_source_that_shrinks_while_it_is_read_is_reported(void **state)
{
	struct fault	 f = { 0 };
	char		*copy = neox_folder(), *weights;

	(void)state;
	neox_write(copy, &spec, 42);
	model_files_put(copy, "tokenizer.json", "{}", 2);
	weights = path_join(copy, "model.safetensors");
	assert_int_equal(pack(copy, "bf16", cut_source, weights, &f),
	    CHAT_EFORMAT);
	assert_memory_equal(f.message, weights, strlen(weights));
	assert_non_null(strstr(f.message, "the file has become shorter"));
	expect_old();
	free(weights);
	neox_remove(copy);
}

/* Replace the last number of the weight file. */
static void
put_last(const char *copy, float x)
{
	char	*weights = path_join(copy, "model.safetensors");
	int	 fd = open(weights, O_RDWR | O_CLOEXEC);

	assert_int_not_equal(fd, -1);
	assert_int_equal(pwrite(fd, &x, sizeof x, lseek(fd, -4, SEEK_END)),
	    sizeof x);
	close(fd);
	free(weights);
}

/* A number that is NaN, infinite or too large, in every precision. */
static void
a_nan_weight_leaves_no_file(void **state)
{
	static const struct {
		const char	*precision;
		float		 x;
		const char	*words;
	} cases[] = {
		{ "fp32", NAN, "expected finite numbers, found nan" },
		{ "bf16", 3.4e38f, ", too large for bf16" },
		{ "int8", INFINITY, "expected finite numbers, found inf" },
		{ "int4", -600000, "found -600000 in row 32, column 95, too "
		    "large for int4" }
	};
	struct fault	 f = { 0 };
	char		*copy = neox_folder();
	size_t		 i;

	(void)state;
	neox_write(copy, &spec, 43);
	model_files_put(copy, "tokenizer.json", "{}", 2);
	for (i = 0; i < nitems(cases); i++) {
		put_last(copy, cases[i].x);
		assert_int_equal(pack(copy, cases[i].precision, NULL, NULL,
		    &f), CHAT_EFORMAT);
		if (strstr(f.message, cases[i].words) == NULL)
			fail_msg("expected \"%s\" in: %s", cases[i].words,
			    f.message);
		expect_old();
	}
	neox_remove(copy);
}

/* After half of the progress, end by a signal. */
static void
die_halfway(void *arg, int64_t bytes, int64_t total)
{
	(void)arg;
	if (bytes > total / 2)
		raise(SIGKILL);
}

/* In a child: pack, and be killed before the end. */
static int
try_killed(void *arg)
{
	struct fault	 f;

	(void)arg;
	pack(model, "int4", die_halfway, NULL, &f);
	return (NOT_AS_EXPECTED);
}

/* A process that is killed in the middle of packing. */
static void
a_process_that_is_killed_leaves_nothing(void **state)
{
	int	 fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	(void)state;
	if (fd == -1)
		skip();		/* there are no files without a name here */
	close(fd);
	assert_int_equal(faults_child(try_killed, NULL), -SIGKILL);
	expect_old();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_call_that_fails_leaves_the_old_file_or_a_whole_one,
		    begin, end),
		cmocka_unit_test_setup_teardown(
		    a_file_of_another_is_left_alone, begin, end),
		cmocka_unit_test_setup_teardown(a_limit_of_size_is_reported,
		    begin, end),
		cmocka_unit_test_setup_teardown(
		    a_full_disk_is_reported_before_anything_is_read, begin,
		    end),
		cmocka_unit_test_setup_teardown(
		    a_source_that_shrinks_while_it_is_read_is_reported, begin,
		    end),
		cmocka_unit_test_setup_teardown(
		    a_nan_weight_leaves_no_file, begin, end),
		cmocka_unit_test_setup_teardown(
		    a_process_that_is_killed_leaves_nothing, begin, end)
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and folders that are not a model or can't be opened: the message for
 * each names the path.
 */
#include "model.h"

#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "faults.h"
#include "log.h"
#include "model_files.h"
#include "neox.h"
#include "path.h"
#include "xmalloc.h"

#define WEIGHTS	"model.safetensors"
#define INDEX	"model.safetensors.index.json"
#define KINDS	"expected a folder with config.json, a GGUF file or a packed " \
	"file"

static const struct neox_spec spec = { "kinds", 1, 16, 2, 24, 20, 64, 0.5,
	"gelu", 1, 0, 1, 0.1 };

static char	*whole;		/* a valid model */

/* Write it. */
static int
setup(void **state)
{
	(void)state;
	log_init("t_model_kinds", LOG_LEVEL_INFO);
	whole = neox_folder();
	neox_write(whole, &spec, 61);
	model_files_put(whole, "tokenizer.json", "{}", 2);
	return (0);
}

/* Remove it. */
static int
teardown(void **state)
{
	(void)state;
	neox_remove(whole);
	return (0);
}

/* Opening path must fail; the message has `where` and words. */
static int
refused(const char *path, const char *where, const char *words)
{
	struct model	*m;
	struct fault	 f = { 0 };

	if (model_open(path, &m, &f) == 0) {
		model_free(m);
		return (0);
	}
	if (strcmp(f.code, "bad_model") == 0 && strstr(f.message, where) !=
	    NULL && strstr(f.message, words) != NULL)
		return (1);
	fprintf(stderr, "expected \"%s\" of %s: %s\n", words, where,
	    f.message);
	return (0);
}

/* The kind of object that replaces a file. */
enum made { MADE_FOLDER, MADE_FIFO, MADE_LOOP, MADE_OPEN, MADE_LARGE };

/* Make it at path. */
static void
make(const char *path, enum made what)
{
	int	 fd;

	switch (what) {
	case MADE_FOLDER:
		assert_int_equal(mkdir(path, 0700), 0);
		return;
	case MADE_FIFO:
		assert_int_equal(mkfifo(path, 0600), 0);
		return;
	case MADE_LOOP:
		assert_int_equal(symlink(path, path), 0);
		return;
	case MADE_OPEN:
	case MADE_LARGE:
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		assert_int_not_equal(fd, -1);
		assert_int_equal(fchmod(fd, what == MADE_OPEN ? 0666 : 0600),
		    0);
		assert_int_equal(ftruncate(fd, what == MADE_LARGE ? 40 << 20 :
		    100), 0);
		close(fd);
	}
}

/* Another object in a model's folder. */
static void
other_things_in_a_folder_are_reported(void **state)
{
	static const struct {
		const char	*name;
		enum made	 what;
		const char	*words;
	} cases[] = {
		{ "config.json", MADE_FOLDER, "" },
		{ "config.json", MADE_LARGE, "" },
		{ "tokenizer.json", MADE_LARGE, "" },
		{ "tokenizer.json", MADE_FOLDER, "" },
		{ WEIGHTS, MADE_FOLDER, "not a regular file" },
		{ WEIGHTS, MADE_FIFO, "not a regular file" },
		{ WEIGHTS, MADE_OPEN, "may be written by anybody" },
		{ "pytorch_model.bin", MADE_FIFO, "not a regular file" },
		{ INDEX, MADE_FOLDER, "" },
		{ INDEX, MADE_LARGE, "" }
	};
	char	*folder, *path;
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		folder = model_files_folder(whole);
		path = path_join(folder, cases[i].name);
		unlink(path);
		make(path, cases[i].what);
		assert_true(refused(folder, path, cases[i].words));
		free(path);
		neox_remove(folder);
	}
}

/* Another object instead of a model's one file. */
static void
other_things_than_files_are_reported(void **state)
{
	static const struct {
		enum made	 what;
		const char	*words;
	} cases[] = {
		{ MADE_FOLDER, "No such file or directory" },
		{ MADE_FIFO, "not a regular file" },
		{ MADE_LOOP, "Too many levels of symbolic links" },
		{ MADE_OPEN, "may be written by anybody" },
		{ MADE_LARGE, KINDS }
	};
	char	*folder = neox_folder(), *path = path_join(folder, "model");
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		make(path, cases[i].what);
		assert_true(refused(path, path, cases[i].words));
		assert_int_equal(cases[i].what == MADE_FOLDER ? rmdir(path) :
		    unlink(path), 0);
	}
	free(path);
	neox_remove(folder);
}

/* Files of known kinds, recognised by their first bytes. */
static void
files_that_are_no_models_are_reported(void **state)
{
	static const struct {
		const char	*bytes;
		size_t		 n;
		const char	*words;
	} cases[] = {
		{ "", 0, KINDS },
		{ "GGUF", 4, KINDS },
		{ "GGUF\3\0\0\0\0\0", 10, "expected" },
		{ "PK\3\4xxxxxx", 10, "one of PyTorch: give its folder" },
		{ "\2\0\0\0\0\0\0\0{}", 10, "a safetensors file: give its "
		    "folder" },
		{ "\3\0\0\0\0\0\0\0{}", 10, "a header of 3 bytes" },
		{ "{\"model_type\":1}", 16, KINDS }
	};
	char	*folder = neox_folder(), *path = path_join(folder, "model");
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		model_files_put(folder, "model", cases[i].bytes, cases[i].n);
		assert_true(refused(path, path, cases[i].words));
	}
	free(path);
	neox_remove(folder);
}

/* An existing file that can't be opened. */
struct closed {
	const char	*path;
	struct refusal	 call;
};

/* In a child: open it. */
static int
try_closed(void *arg)
{
	const struct closed	*c = arg;

	if (!faults_refuse(&c->call))
		return (2);
	return (!refused(c->path, c->path, "Too many open files"));
}

/* No more descriptors: for the folder, for its weights, for one file. */
static void
paths_that_can_not_be_opened_are_reported(void **state)
{
	char		*weights = path_join(whole, WEIGHTS);
	struct closed	 cases[] = {
		{ whole, { SYS_openat, 2, O_DIRECTORY, O_DIRECTORY, EMFILE } },
		{ whole, { SYS_openat, 2, O_NONBLOCK, O_NONBLOCK, EMFILE } },
		{ weights, { SYS_openat, 2, O_NONBLOCK, O_NONBLOCK, EMFILE } }
	};
	size_t		 i;
	int		 r;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		if ((r = faults_child(try_closed, &cases[i])) == 2)
			skip();		/* the kernel does not support such
					 * filters */
		assert_int_equal(r, 0);
	}
	free(weights);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_things_in_a_folder_are_reported),
		cmocka_unit_test(other_things_than_files_are_reported),
		cmocka_unit_test(files_that_are_no_models_are_reported),
		cmocka_unit_test(paths_that_can_not_be_opened_are_reported)
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a model: they are read as a whole or not at all, and only if no
 * other account can change them.
 */
#include "fileio.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model_files.h"
#include "neox.h"
#include "path.h"
#include "torch_files.h"
#include "xmalloc.h"

/* Permissions, and the words of the refusal; NULL: accepted. */
static const struct {
	mode_t		 mode;
	int		 folder;
	const char	*words;
} modes[] = {
	{ 0600, 0, NULL },
	{ 0644, 0, NULL },
	{ 0664, 0, "its group (mode 0664): chmod g-w it" },
	{ 0620, 0, "its group (mode 0620): chmod g-w it" },
	{ 0666, 0, "anybody (mode 0666): chmod go-w it" },
	{ 0602, 0, "anybody (mode 0602): chmod o-w it" },
	/* a sticky bit on a file does not help */
	{ 01666, 0, "anybody (mode 1666): chmod go-w it" },
	{ 0755, 1, NULL },
	{ 0775, 1, "its group (mode 0775): chmod g-w it" },
	{ 0777, 1, "anybody (mode 0777): chmod go-w it" },
	{ 01777, 1, NULL },
	{ 01775, 1, NULL }
};

/* Each mode, on the open file. */
static void
files_that_others_may_write_are_refused(void **state)
{
	char		*folder = neox_folder(), *path, *words;
	struct fault	 f;
	size_t		 i;
	int		 fd, r;

	(void)state;
	model_files_put(folder, "file", "x", 1);
	path = path_join(folder, "file");
	for (i = 0; i < nitems(modes); i++) {
		fd = open(modes[i].folder ? folder : path, O_RDONLY);
		assert_int_not_equal(fd, -1);
		assert_int_equal(fchmod(fd, modes[i].mode), 0);
		r = fileio_trusted(fd, "the/name", &f);
		close(fd);
		if ((r != 0) != (modes[i].words != NULL))
			fail_msg("mode %o: %d", modes[i].mode, r);
		if (r == 0)
			continue;
		words = xasprintf("the/name: may be written by %s",
		    modes[i].words);
		assert_int_equal(r, CHAT_EFORMAT);
		assert_string_equal(f.code, "bad_model");
		assert_string_equal(f.message, words);
		free(words);
	}
	free(path);
	neox_remove(folder);
}

/* Open path, and check whether it is refused with these words (NULL:
 * accepted). */
static void
check_open(const char *path, const char *words)
{
	struct fault	 f = { .message = "" };
	uint64_t	 size;
	int		 fd, r;

	r = fileio_open(path, &fd, &size, &f);
	if (r == 0)
		close(fd);
	if (words == NULL && r != 0)
		fail_msg("%s", f.message);
	if (words != NULL && (r == 0 || strstr(f.message, words) == NULL))
		fail_msg("%s: %s, not %s", path, f.message, words);
}

/* The owner of a file, of its folder, and of a link to it. */
static void
files_of_other_owners_are_refused(void **state)
{
	static const struct {
		const char	*name;
		uid_t		 uid;
		int		 refused;
	} cases[] = {
		{ "file", 0, 0 }, { "file", 4711, 1 }, { "file", 0, 0 },
		{ "link", 4711, 1 }, { "link", 0, 0 },
		{ "", 4711, 1 }, { "", 0, 0 }
	};
	char	*folder, *path, *link;
	size_t	 i;

	(void)state;
	if (geteuid() != 0)
		skip();		/* only root can give files away */
	folder = neox_folder();
	path = path_join(folder, "file");
	link = path_join(folder, "link");
	model_files_put(folder, "file", "x", 1);
	assert_int_equal(symlink("file", link), 0);
	for (i = 0; i < nitems(cases); i++) {
		free(path);
		path = path_join(folder, cases[i].name);
		assert_int_equal(lchown(path, cases[i].uid, 0), 0);
		check_open(link, cases[i].refused ? "belongs to user 4711, "
		    "which is neither root nor user 0" : NULL);
	}
	free(path);
	free(link);
	neox_remove(folder);
}

/* A link is checked at its end, and at each folder on the way. */
static void
links_are_checked_at_their_target(void **state)
{
	static const struct { const char *folder; mode_t mode;
	    const char *words; } cases[] = {
		{ "a", 0777, "/a: may be written by anybody" },
		{ "b", 0777, "/b: may be written by anybody" },
		{ "c", 0775, "/c: may be written by its group" },
		{ "c", 01777, NULL },
		{ "d", 0777, NULL },		/* not on the way */
	};
	static const char *const folders[] = { "a", "b", "c", "d" };
	char	*top = neox_folder(), *path, *to;
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(folders); i++) {
		path = path_join(top, folders[i]);
		assert_int_equal(mkdir(path, 0755), 0);
		free(path);
	}
	/* a/file -> ../b/link -> TOP/c/file */
	model_files_put(top, "c/file", "x", 1);
	path = path_join(top, "b/link");
	to = path_join(top, "c/file");
	assert_int_equal(symlink(to, path), 0);
	free(path);
	path = path_join(top, "a/file");
	assert_int_equal(symlink("../b/link", path), 0);
	check_open(path, NULL);
	assert_int_equal(chmod(to, 0666), 0);
	check_open(path, "a/file: may be written by anybody");
	assert_int_equal(chmod(to, 0644), 0);
	for (i = 0; i < nitems(cases); i++) {
		free(to);
		to = path_join(top, cases[i].folder);
		assert_int_equal(chmod(to, cases[i].mode), 0);
		check_open(path, cases[i].words);
		assert_int_equal(chmod(to, 0755), 0);
	}
	free(to);
	free(path);
	neox_remove(top);
}

/* A link that alternates between a valid file and one that anybody may write to
 * never opens the second. */
static void
a_link_that_is_swapped_opens_nothing_unsound(void **state)
{
	char		*folder = neox_folder(), *path, *temp;
	struct fault	 f;
	uint64_t	 size;
	char		 byte;
	pid_t		 pid;
	int		 fd, i, opened = 0;

	(void)state;
	model_files_put(folder, "good", "g", 1);
	model_files_put(folder, "bad", "b", 1);
	path = path_join(folder, "bad");
	assert_int_equal(chmod(path, 0666), 0);
	free(path);
	path = path_join(folder, "link");
	temp = path_join(folder, "temp");
	assert_int_equal(symlink("good", path), 0);
	if ((pid = fork()) == 0) {
		for (i = 0;; i++) {
			if (symlink(i % 2 ? "good" : "bad", temp) == -1 ||
			    rename(temp, path) == -1)
				_exit(1);
		}
	}
	for (i = 0; i < 20000; i++) {
		if (fileio_open(path, &fd, &size, &f) != 0)
			continue;
		assert_int_equal(read(fd, &byte, 1), 1);
		assert_int_equal(byte, 'g');
		close(fd);
		opened++;
	}
	kill(pid, SIGKILL);
	waitpid(pid, &i, 0);
	assert_true(opened > 0);
	free(temp);
	free(path);
	neox_remove(folder);
}

/* The opened file is checked, not the file that now has its name. */
static void
a_file_put_in_its_place_changes_nothing(void **state)
{
	char		*folder = neox_folder(), *path, *other;
	struct fault	 f;
	int		 fd;

	(void)state;
	model_files_put(folder, "file", "bad", 3);
	model_files_put(folder, "other", "good", 4);
	path = path_join(folder, "file");
	other = path_join(folder, "other");
	assert_int_equal(chmod(path, 0666), 0);
	fd = open(path, O_RDONLY);
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(fileio_trusted(fd, path, &f), CHAT_EFORMAT);
	close(fd);
	assert_int_equal(fileio_trusted(-1, path, &f), CHAT_EFORMAT);
	assert_non_null(strstr(f.message, "Bad file descriptor"));
	free(other);
	free(path);
	neox_remove(folder);
}

/* The kind of object under a name, and the words of the refusal. */
static const struct {
	const char	*name, *text;		/* NULL: nothing is made */
	const char	*words;			/* after the path */
} files[] = {
	{ "fine", "{\"a\": 1}", NULL },
	{ "empty", "", NULL },
	{ "none", NULL, ": No such file or directory" },
	{ ".", NULL, ": not a regular file" },
	{ "pointer", "version https://git-lfs.github.com/spec/v1\n", ": a Git "
	    "LFS pointer, not the file itself: fetch it with git lfs pull" },
	{ "nearly", "version https://git-lf", NULL },
	{ "long", "0123456789012345678901234567890123456789", ": expected at "
	    "most 30 bytes, found 40" }
};

/* Read each one as a whole. */
static void
a_text_is_read_or_its_fault_is_named(void **state)
{
	char		*folder = neox_folder(), *path, *text, *words;
	struct fault	 f;
	size_t		 i, n;
	int		 r;

	(void)state;
	for (i = 0; i < nitems(files); i++) {
		if (files[i].text != NULL)
			model_files_put(folder, files[i].name, files[i].text,
			    strlen(files[i].text));
		path = path_join(folder, files[i].name);
		text = NULL;
		r = fileio_text(path, 30, &text, &n, &f);
		if (files[i].words == NULL) {
			assert_int_equal(r, 0);
			assert_int_equal(n, strlen(files[i].text));
			assert_string_equal(text, files[i].text);
		} else {
			words = xasprintf("%s%s", path, files[i].words);
			assert_int_equal(r, CHAT_EFORMAT);
			assert_string_equal(f.message, words);
			assert_null(text);
			free(words);
		}
		free(text);
		free(path);
	}
	neox_remove(folder);
}

/* Reading returns all bytes, or an error. */
static void
reading_is_all_or_nothing(void **state)
{
	int	 fd = torch_open("0123456789", 10);
	char	 b[11] = "";

	(void)state;
	assert_int_equal(fileio_read(fd, b, 10, 0), 0);
	assert_string_equal(b, "0123456789");
	assert_int_equal(fileio_read(fd, b, 3, 7), 0);
	assert_memory_equal(b, "789", 3);
	assert_int_equal(fileio_read(fd, b, 0, 99), 0);
	assert_int_equal(fileio_read(fd, b, 4, 7), CHAT_EFORMAT);
	assert_int_equal(fileio_read(fd, b, 1, 10), CHAT_EFORMAT);
	assert_int_equal(fileio_read(fd, b, 1, UINT64_MAX), CHAT_ESYSTEM);
	close(fd);
	assert_int_equal(fileio_read(-1, b, 1, 0), CHAT_ESYSTEM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_that_others_may_write_are_refused),
		cmocka_unit_test(files_of_other_owners_are_refused),
		cmocka_unit_test(links_are_checked_at_their_target),
		cmocka_unit_test(a_link_that_is_swapped_opens_nothing_unsound),
		cmocka_unit_test(a_file_put_in_its_place_changes_nothing),
		cmocka_unit_test(a_text_is_read_or_its_fault_is_named),
		cmocka_unit_test(reading_is_all_or_nothing)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

/*
 * Bytes of weight files: read whole or not at all, and only from files that
 * not everybody can change.
 */
#include "fileio.h"

#include <sys/stat.h>

#include <fcntl.h>
#include <setjmp.h>
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

/* Permissions, and whether they are refused. */
static const struct {
	mode_t	 mode;
	int	 folder, refused;
} modes[] = {
	{ 0600, 0, 0 },
	{ 0644, 0, 0 },
	{ 0664, 0, 0 },		/* the owner chose the group */
	{ 0666, 0, 1 },
	{ 0602, 0, 1 },
	{ 01666, 0, 1 },	/* sticky says nothing on a file */
	{ 0755, 1, 0 },
	{ 0775, 1, 0 },
	{ 0777, 1, 1 },
	{ 01777, 1, 0 }
};

/* Each mode, on the open file. */
static void
what_anybody_may_write_is_refused(void **state)
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
		if ((r != 0) != modes[i].refused)
			fail_msg("mode %o: %d", modes[i].mode, r);
		if (r == 0)
			continue;
		words = xasprintf("the/name: may be written by anybody (mode "
		    "%04o): chmod o-w it", modes[i].mode);
		assert_int_equal(r, CHAT_EFORMAT);
		assert_string_equal(f.code, "bad_model");
		assert_string_equal(f.message, words);
		free(words);
	}
	free(path);
	neox_remove(folder);
}

/* What counts is what was opened, not what now has its name. */
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

/* What is there under a name, and what is said of it. */
static const struct {
	const char	*name, *text;		/* NULL: nothing is made */
	const char	*words;			/* behind the path; NULL: fine */
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

/* Each, read whole. */
static void
a_text_is_there_or_its_fault_is_named(void **state)
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

/* All of it, or an error. */
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
		cmocka_unit_test(what_anybody_may_write_is_refused),
		cmocka_unit_test(a_file_put_in_its_place_changes_nothing),
		cmocka_unit_test(a_text_is_there_or_its_fault_is_named),
		cmocka_unit_test(reading_is_all_or_nothing)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

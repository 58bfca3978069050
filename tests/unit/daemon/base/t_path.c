/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths: joining, folders made with a mode, small files read whole.
 */
#include "path.h"

#include <sys/stat.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "err.h"
#include "xmalloc.h"

static char	 folder[] = "/tmp/t_base_path.XXXXXX";

/* A folder of our own for all cases. */
static int
setup(void **state)
{
	(void)state;
	return (mkdtemp(folder) == NULL ? -1 : 0);
}

/* Remove it. */
static int
teardown(void **state)
{
	char	*cmd = xasprintf("rm -rf %s", folder);
	int	 r = system(cmd);

	(void)state;
	free(cmd);
	return (r);
}

/* One slash between the parts. */
static void
join_puts_one_slash(void **state)
{
	static const struct {
		const char	*a, *b, *out;
	} cases[] = {
		{ "a", "b", "a/b" },
		{ "a/", "b", "a/b" },
		{ "a//", "b", "a/b" },
		{ "/", "b", "/b" },
		{ "/x/", "b/c", "/x/b/c" },
		{ "a", "/b", "/b" },
		{ "", "b", "b" },
	};
	char	*s;
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		s = path_join(cases[i].a, cases[i].b);
		assert_string_equal(s, cases[i].out);
		free(s);
	}
}

/* The folder of a path, one that can be opened. */
static void
a_path_has_a_folder(void **state)
{
	static const char *const paths[][2] = { { "a", "." }, { "", "." },
		{ "/a", "/" }, { "/", "/" }, { "a/b", "a" },
		{ "/a/b/c", "/a/b" }, { "../a", ".." } };
	char	*s;
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(paths); i++) {
		s = path_folder(paths[i][0]);
		assert_string_equal(s, paths[i][1]);
		free(s);
	}
}

/* Every missing folder is made, with the mode asked for. */
static void
mkdirs_makes_every_missing_folder(void **state)
{
	struct stat	 st;
	char		*path, *upper;

	(void)state;
	upper = path_join(folder, "one");
	path = path_join(upper, "two/three/");
	assert_int_equal(path_mkdirs(path, 0700), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(upper, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(path_mkdirs(path, 0755), 0);	/* there already */
	free(path);
	free(upper);
}

/* A file in the way is an error, not a folder. */
static void
mkdirs_refuses_a_file_in_the_way(void **state)
{
	char	*file, *below;
	FILE	*fp;

	(void)state;
	file = path_join(folder, "file");
	below = path_join(file, "below");
	assert_non_null(fp = fopen(file, "w"));
	fclose(fp);
	assert_int_equal(path_mkdirs(file, 0700), CHAT_ESYSTEM);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(path_mkdirs(below, 0700), CHAT_ESYSTEM);
	assert_int_equal(errno, ENOTDIR);
	free(file);
	free(below);
}

/* The content, the NUL after it, and the limit. */
static void
read_takes_a_file_up_to_its_limit(void **state)
{
	static const char	 text[] = "a\0b\n";
	char			*path, *buf;
	size_t			 len;
	FILE			*fp;

	(void)state;
	path = path_join(folder, "small");
	assert_non_null(fp = fopen(path, "w"));
	assert_int_equal(fwrite(text, 1, 4, fp), 4);
	fclose(fp);
	assert_int_equal(path_read(path, 4, &buf, &len), 0);
	assert_int_equal(len, 4);
	assert_memory_equal(buf, text, 5);
	free(buf);
	assert_int_equal(path_read(path, 3, &buf, &len), CHAT_ETOOBIG);
	free(path);
}

/* Only regular files are read. Opening a fifo does not block. */
static void
read_refuses_other_kinds_of_files(void **state)
{
	char	*path, *buf;
	size_t	 len;

	(void)state;
	assert_int_equal(path_read(folder, 100, &buf, &len), CHAT_EFORMAT);
	path = path_join(folder, "fifo");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(path_read(path, 100, &buf, &len), CHAT_EFORMAT);
	free(path);
	path = path_join(folder, "gone");
	assert_int_equal(path_read(path, 100, &buf, &len), CHAT_ESYSTEM);
	assert_int_equal(errno, ENOENT);
	free(path);
}

/* A folder goes with all that is in it; what a link leads to stays. */
static void
remove_takes_a_folder_and_follows_no_link(void **state)
{
	char	*top = path_join(folder, "top"), *deep, *link, *kept;

	(void)state;
	deep = path_join(top, "a/b/c");
	link = path_join(top, "a/link");
	kept = path_join(folder, "kept/inside");
	assert_int_equal(path_mkdirs(deep, 0700), 0);
	assert_int_equal(path_mkdirs(kept, 0700), 0);
	assert_int_equal(symlink("../../kept", link), 0);
	path_remove(top);
	assert_int_equal(access(top, F_OK), -1);
	assert_int_equal(access(kept, F_OK), 0);
	assert_int_equal(symlink("kept", top), 0);
	path_remove(top);
	assert_int_equal(access(top, F_OK), -1);
	assert_int_equal(access(kept, F_OK), 0);
	free(kept);
	free(link);
	free(deep);
	free(top);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(join_puts_one_slash),
		cmocka_unit_test(a_path_has_a_folder),
		cmocka_unit_test(mkdirs_makes_every_missing_folder),
		cmocka_unit_test(mkdirs_refuses_a_file_in_the_way),
		cmocka_unit_test(read_takes_a_file_up_to_its_limit),
		cmocka_unit_test(read_refuses_other_kinds_of_files),
		cmocka_unit_test(remove_takes_a_folder_and_follows_no_link),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}

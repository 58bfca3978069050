/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.json: what is written is read, and a write that fails leaves the file
 * before.
 */
#include "choice.h"

#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "faults.h"
#include "path.h"
#include "xmalloc.h"

#ifndef SYS_renameat		/* some machines have the newer call only */
#define SYS_renameat	SYS_renameat2
#endif

static char	dir[] = "/tmp/t_choice.XXXXXX";

/* What is remembered, with that model as the current one. */
static struct choice
made(const char *path)
{
	struct choice	 c = { .chosen = 1 };

	c.configured = xstrdup("/srv/a \"model\"");
	c.current.path = xstrdup(path);
	c.current.digest = xstrdup("sha256:1");
	c.previous.path = xstrdup("/srv/before");
	return (c);
}

static void
put(const char *path)
{
	struct choice	 c = made(path);
	struct fault	 f;

	assert_int_equal(choice_write(dir, &c, &f), 0);
	choice_clear(&c);
}

/* The current path that the file has. */
static void
has(const char *path)
{
	struct choice	 c;
	struct fault	 f;

	assert_int_equal(choice_read(dir, &c, &f), 0);
	assert_string_equal(c.current.path, path);
	choice_clear(&c);
}

static void
test_what_is_written_is_read(void **state)
{
	struct choice	 c;
	struct fault	 f;

	(void)state;
	put("/srv/new");
	assert_int_equal(choice_read(dir, &c, &f), 0);
	assert_int_equal(c.chosen, 1);
	assert_string_equal(c.configured, "/srv/a \"model\"");
	assert_string_equal(c.current.path, "/srv/new");
	assert_string_equal(c.current.digest, "sha256:1");
	assert_string_equal(c.previous.path, "/srv/before");
	assert_null(c.previous.digest);
	choice_clear(&c);
}

static void
test_nothing_is_remembered_without_the_file(void **state)
{
	struct choice	 c;
	struct fault	 f;

	(void)state;
	assert_int_equal(choice_read("/nonexistent", &c, &f), CHAT_ENOTFOUND);
	assert_null(c.current.path);
}

/* In a child: a system call fails during the write. Exits with 0 if the write
 * has failed with that error, and 77 if the kernel can't do this. */
static int
write_refused(void *arg)
{
	const struct refusal	*call = arg;
	struct choice		 c = made("/srv/newest");
	struct fault		 f = { 0 };
	int			 r;

	if (!faults_refuse(call))
		return (77);
	r = choice_write(dir, &c, &f);
	choice_clear(&c);
	return (r == CHAT_ESYSTEM && strstr(f.message, dir) != NULL &&
	    strstr(f.message, strerror(call->error)) != NULL ? 0 : 1);
}

static void
test_a_write_that_fails_leaves_the_file_before(void **state)
{
	static const struct refusal calls[] = {
		{ SYS_openat, 2, 0x1, 0x1, EACCES },	/* O_WRONLY */
		{ SYS_write, 0, 0, 0, ENOSPC },
		{ SYS_fsync, 0, 0, 0, EIO },
		{ SYS_renameat, 0, 0, 0, EROFS },
	};
	char	*left = path_join(dir, "model.json.new");
	size_t	 i;
	int	 r;

	(void)state;
	put("/srv/new");
	for (i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		r = faults_child(write_refused,
		    (void *)(uintptr_t)&calls[i]);
		if (r == 77)
			skip();
		assert_int_equal(r, 0);
		has("/srv/new");
		assert_int_equal(access(left, F_OK), -1);
	}
	free(left);
}

static void
test_the_file_is_private_whatever_the_umask(void **state)
{
	char		*name = path_join(dir, "model.json");
	struct stat	 st;
	mode_t		 old = umask(0);

	(void)state;
	put("/srv/new");
	umask(old);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	free(name);
}

static int
begin(void **state)
{
	(void)state;
	return (mkdtemp(dir) == NULL ? -1 : 0);
}

static int
end(void **state)
{
	char	*name = path_join(dir, "model.json");

	(void)state;
	unlink(name);
	free(name);
	return (rmdir(dir));
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_nothing_is_remembered_without_the_file),
		cmocka_unit_test(
		    test_a_write_that_fails_leaves_the_file_before),
		cmocka_unit_test(test_the_file_is_private_whatever_the_umask),
	};

	return (cmocka_run_group_tests(tests, begin, end));
}

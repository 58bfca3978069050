/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing a device: each way that a CUDA device can't be had has its own
 * words, and none of them needs CUDA to be tried.
 */
#include "backend.h"

#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "neox.h"
#include "xmalloc.h"

static const struct neox_spec tiny = { "tiny", 1, 16, 1, 32, 8, 32, 0.5,
	"gelu", 1, 0, 1, 0.1 };

static char	*folder;	/* a model, and a place for modules */

/* Write the model. */
static int
setup(void **state)
{
	(void)state;
	folder = neox_folder();
	neox_write(folder, &tiny, 1);
	return (0);
}

/* Take it away. */
static int
teardown(void **state)
{
	(void)state;
	neox_remove(folder);
	return (0);
}

/* Try to open a device with modules in the folder given; the message must
 * hold words. */
static void
expect_no_device(const char *device, const char *modules, const char *words)
{
	struct backend_options	 opt = { .precision = "bf16",
		.device = device, .isa = "auto" };
	struct backend		*b;
	struct model		*m;
	struct fault		 f;

	assert_int_equal(setenv("CHATD_MODULES", modules, 1), 0);
	assert_int_equal(model_open(folder, &m, &f), 0);
	assert_int_equal(backend_open(m, &opt, &b, &f), CHAT_EUNSUPPORTED);
	model_free(m);
	assert_string_equal(f.code, "no_device");
	assert_string_equal(f.field, "device");
	if (strstr(f.message, words) == NULL)
		fail_msg("expected \"%s\" in: %s", words, f.message);
}

/* Only cpu and cuda:N are devices. */
static void
words_that_are_no_device_are_refused(void **state)
{
	static const char *const words[] = { "", "gpu", "cuda", "cuda:",
		"cuda:x", "cuda:-1", "cuda:1x", "cuda: 1", "cuda:1000",
		"cuda:99999999999999999999", "CPU", "cpu:0" };
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(words); i++)
		expect_no_device(words[i], folder, "expected cpu or cuda:N");
}

/* No module there. */
static void
a_missing_module_is_told(void **state)
{
	(void)state;
	expect_no_device("cuda:0", folder, "the CUDA module is not installed");
	expect_no_device("cuda:0", "/nowhere", "/nowhere/chatd-cuda.so");
}

/* Put a file in the module's place. */
static void
put_module(const void *bytes, size_t n)
{
	char	*path = xasprintf("%s/chatd-cuda.so", folder);
	FILE	*fp = fopen(path, "w");

	assert_non_null(fp);
	assert_int_equal(fwrite(bytes, 1, n, fp), n);
	assert_int_equal(fclose(fp), 0);
	free(path);
}

/* A module there that is none. */
static void
a_broken_module_is_told(void **state)
{
	(void)state;
	put_module("no library", 10);
	expect_no_device("cuda:0", folder, "the CUDA module can't be used");
}

/* Where a folder of the build is. */
static char *
build_path(const char *name)
{
	const char	*build = getenv("CHATD_BUILD");

	return (xasprintf("%s/%s", build != NULL ? build : ".", name));
}

/* Link a built file into the module's place; 0 where it was not built. */
static int
link_module(const char *name)
{
	char	*from = build_path(name), *to;
	int	 r;

	to = xasprintf("%s/chatd-cuda.so", folder);
	(void)unlink(to);
	r = access(from, F_OK) == 0;
	if (r) {
		char	*full = realpath(from, NULL);

		assert_non_null(full);
		assert_int_equal(symlink(full, to), 0);
		free(full);
	}
	free(from);
	free(to);
	return (r);
}

/* A sound library that is something else. */
static void
another_library_is_told(void **state)
{
	(void)state;
	if (!link_module(".libs/tests_module_other.so"))
		skip();
	expect_no_device("cuda:0", folder, "found another library");
}

/* A module of another release. */
static void
a_module_of_another_release_is_told(void **state)
{
	(void)state;
	if (!link_module(".libs/tests_module_old.so"))
		skip();
	expect_no_device("cuda:0", folder, "found 0.0.0");
}

/* A module whose libraries are not there. */
static void
missing_libraries_are_told(void **state)
{
	(void)state;
	if (!link_module(".libs/tests_module_lost.so"))
		skip();
	expect_no_device("cuda:0", folder, "the CUDA libraries are missing");
}

/* The real one: no driver, no device, or no kernels, by machine; never a
 * success, and never anybody else's words. */
static void
the_module_says_what_this_machine_lacks(void **state)
{
	static const char *const words[] = { "no CUDA driver", "at least",
		"no CUDA device", "expected a device up to", "looking for" };
	struct backend_options	 opt = { .precision = "bf16",
		.device = "cuda:999", .isa = "auto" };
	struct backend		*b;
	struct model		*m;
	struct fault		 f;
	size_t			 i;

	(void)state;
	if (!link_module(".libs/chatd-cuda.so"))
		skip();
	assert_int_equal(setenv("CHATD_MODULES", folder, 1), 0);
	assert_int_equal(model_open(folder, &m, &f), 0);
	assert_int_equal(backend_open(m, &opt, &b, &f), CHAT_EUNSUPPORTED);
	model_free(m);
	print_message("    %s\n", f.message);
	assert_string_equal(f.code, "no_device");
	for (i = 0; i < nitems(words); i++)
		if (strstr(f.message, words[i]) != NULL)
			return;
	fail_msg("%s", f.message);
}

/* The CPU needs no module. */
static void
the_cpu_opens_without_modules(void **state)
{
	struct backend_info	 info;
	struct backend		*b;

	(void)state;
	assert_int_equal(setenv("CHATD_MODULES", "/nowhere", 1), 0);
	b = neox_open(folder, "bf16", "auto", 1);
	b->ops->info(b, &info);
	assert_string_equal(info.device, "cpu");
	b->ops->free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_that_are_no_device_are_refused),
		cmocka_unit_test(a_missing_module_is_told),
		cmocka_unit_test(a_broken_module_is_told),
		cmocka_unit_test(another_library_is_told),
		cmocka_unit_test(a_module_of_another_release_is_told),
		cmocka_unit_test(missing_libraries_are_told),
		cmocka_unit_test(the_module_says_what_this_machine_lacks),
		cmocka_unit_test(the_cpu_opens_without_modules)
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing a device: each way in which a device can be missing has its own
 * message, and none of these tests needs CUDA.  A module works through
 * backend_host alone.
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

#include "dtype.h"
#include "model.h"
#include "model_files.h"
#include "neox.h"
#include "path.h"
#include "pool.h"
#include "xmalloc.h"

static const struct neox_spec tiny = { "tiny", 1, 16, 1, 32, 8, 32, 0.5,
	"gelu", 1, 0, 1, 0.1 };

static char	*folder;	/* a model */
static char	*modules;	/* owned: where the module of a test is */

/* Write the model. */
static int
setup(void **state)
{
	(void)state;
	folder = neox_folder();
	neox_write(folder, &tiny, 1);
	model_files_put(folder, "tokenizer.json", "{}", 2);
	return (0);
}

/* Remove it. */
static int
teardown(void **state)
{
	(void)state;
	neox_remove(folder);
	free(modules);
	return (0);
}

/* Each call for a device, with modules in the folder where, must fail with a
 * message that holds words. */
static void
expect_no_device(const char *device, const char *where, const char *words)
{
	struct backend_options	 opt = { .precision = "bf16",
		.device = device, .isa = "auto" };
	struct backend_plan	 plan;
	struct backend		*b;
	struct model		*m;
	struct fault		 f[3];
	char			*out = path_join(folder, "packed");
	size_t			 i;

	assert_int_equal(setenv("CHATD_MODULES", where, 1), 0);
	assert_int_equal(model_open(folder, &m, f), 0);
	assert_int_equal(backend_open(m, &opt, &b, &f[0]), CHAT_EUNSUPPORTED);
	assert_int_equal(backend_plan(m, &opt, &plan, &f[1]),
	    CHAT_EUNSUPPORTED);
	assert_int_equal(backend_pack(m, &opt, NULL, 0, out, &f[2]),
	    CHAT_EUNSUPPORTED);
	model_free(m);
	for (i = 0; i < nitems(f); i++) {
		assert_string_equal(f[i].code, "no_device");
		assert_string_equal(f[i].field, "device");
		if (strstr(f[i].message, words) == NULL)
			fail_msg("expected \"%s\" in: %s", words,
			    f[i].message);
	}
	assert_int_equal(access(out, F_OK), -1);
	free(out);
}

/* Only cpu, cuda and cuda:N are devices. */
static void
unknown_devices_are_refused(void **state)
{
	static const char *const words[] = { "", "gpu", "cuda:",
		"cuda:x", "cuda:-1", "cuda:1x", "cuda: 1", "cuda:1000",
		"cuda:99999999999999999999", "CPU", "cpu:0" };
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(words); i++)
		expect_no_device(words[i], folder,
		    "expected auto, cpu, cuda, cuda:N, or a list");
}

/* A folder without a module. */
static void
a_missing_module_is_reported(void **state)
{
	(void)state;
	expect_no_device("cuda:0", folder, "the CUDA module is not installed");
	expect_no_device("cuda:0", "/nowhere", "/nowhere/chatd-cuda.so");
}

/* Make a new folder for modules, still empty: a module that was opened stays
 * open, and dlopen finds it by its path. Returns the path of the module, owned
 * by the caller. */
static char *
new_modules(void)
{
	static int	 n;

	free(modules);
	modules = xasprintf("%s/modules-%d", folder, n++);
	assert_int_equal(mkdir(modules, 0700), 0);
	return (path_join(modules, "chatd-cuda.so"));
}

/* Put a file in the module's place. */
static void
put_module(const void *bytes, size_t n)
{
	char	*path = new_modules();
	FILE	*fp = fopen(path, "w");

	assert_non_null(fp);
	assert_int_equal(fwrite(bytes, 1, n, fp), n);
	assert_int_equal(fclose(fp), 0);
	free(path);
}

/* A file that is not a module. */
static void
a_broken_module_is_reported(void **state)
{
	(void)state;
	put_module("no library", 10);
	expect_no_device("cuda:0", modules, "the CUDA module can't be used");
}

/* The path of a folder or file of the build; owned by the caller. */
static char *
build_path(const char *name)
{
	const char	*build = getenv("CHATD_BUILD");

	return (xasprintf("%s/%s", build != NULL ? build : ".", name));
}

/* Link a built file to the place of the module. Returns 0 if it was not
 * built. */
static int
link_module(const char *name)
{
	char	*from = build_path(name), *to = new_modules();
	int	 r;

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

/* A valid library that is not a module. */
static void
another_library_is_reported(void **state)
{
	(void)state;
	if (!link_module(".libs/tests_module_other.so"))
		skip();
	expect_no_device("cuda:0", modules, "found another library");
}

/* A module of another release. */
static void
a_module_of_another_release_is_reported(void **state)
{
	(void)state;
	if (!link_module(".libs/tests_module_old.so"))
		skip();
	expect_no_device("cuda:0", modules, "found 0.0.0");
}

/* A module whose libraries are missing. */
static void
missing_libraries_are_reported(void **state)
{
	(void)state;
	if (!link_module(".libs/tests_module_lost.so"))
		skip();
	expect_no_device("cuda:0", modules, "the CUDA libraries are missing");
}

/* A module of this release that was built with another header. */
static void
a_driver_of_another_version_is_reported(void **state)
{
	char	*words = xasprintf("expected a driver of version %d and %zu "
		    "bytes, found version %d and %zu bytes", BACKEND_VERSION,
		    sizeof(struct backend_driver), BACKEND_VERSION + 1,
		    sizeof(struct backend_driver) + 8);

	(void)state;
	if (!link_module(".libs/tests_module_later.so"))
		skip();
	expect_no_device("cuda:0", modules, words);
	free(words);
}

/* Sum the bits of the weights. */
static int
sum_slice(void *arg, const struct model_slice *s, struct fault *f)
{
	uint64_t	*sum = arg;
	uint32_t	 bits;
	float		*row = xcalloc((size_t)s->cols, sizeof *row);
	int64_t		 i, k;

	(void)f;
	for (i = 0; i < s->count; i++) {
		dtype_to_f32(s->dtype, s->bytes + (size_t)i * s->row_bytes,
		    row, (size_t)s->cols);
		for (k = 0; k < s->cols; k++) {
			memcpy(&bits, &row[k], sizeof bits);
			*sum += bits;
		}
	}
	free(row);
	return (0);
}

/* Progress: the last bytes. */
static void
keep_progress(void *arg, int64_t bytes, int64_t total)
{
	assert_true(bytes <= total);
	*(int64_t *)arg = bytes;
}

/* The options for the module that works through backend_host. */
static struct backend_options
host_options(int64_t *bytes)
{
	return ((struct backend_options){ .precision = "auto",
		.device = "cuda:3", .isa = "auto", .threads = 2,
		.progress = keep_progress, .progress_arg = bytes });
}

/* Open a model with that module, and compare the result of a step with sum. */
static void
expect_sum(const char *path, uint64_t sum)
{
	int64_t			 bytes = 0;
	struct backend_options	 opt = host_options(&bytes);
	float			*logits = xcalloc((size_t)tiny.V,
				    sizeof *logits);
	struct backend_row	 row = { .logits = logits };
	struct backend_info	 info;
	struct backend		*b;
	struct model		*m;
	struct fault		 f;
	int			 v;

	assert_int_equal(model_open(path, &m, &f), 0);
	if (backend_open(m, &opt, &b, &f) != 0)
		fail_msg("%s", f.message);
	b->ops->info(b, &info);
	assert_int_equal(info.parameters, model_parameters(m));
	assert_int_equal(info.threads, 2 < pool_cores() ? 2 : info.threads);
	if (model_packed(m) == NULL)
		assert_int_equal(bytes, model_bytes(m));
	assert_int_equal(b->ops->step(b, &row, 1), 0);
	for (v = 0; v < tiny.V; v++)
		assert_int_equal(logits[v], (sum + (uint64_t)v) % 65521);
	b->ops->free(b);
	model_free(m);
	free(logits);
}

/* Pack a model with opt; the path is owned by the caller. */
static char *
pack(const struct backend_options *opt)
{
	char		*out = path_join(folder, "packed");
	struct model	*m;
	struct fault	 f;

	assert_int_equal(model_open(folder, &m, &f), 0);
	if (backend_pack(m, opt, NULL, 0, out, &f) != 0)
		fail_msg("%s", f.message);
	model_free(m);
	return (out);
}

/* Read, pack, load and step, without a symbol of the engine. */
static void
a_module_needs_the_host_alone(void **state)
{
	int64_t			 bytes;
	struct backend_options	 opt = host_options(&bytes);
	struct backend_plan	 plan;
	struct model		*m;
	struct fault		 f;
	uint64_t		 sum = 0;
	char			*out;

	(void)state;
	if (!link_module(".libs/tests_module_host.so"))
		skip();
	assert_int_equal(setenv("CHATD_MODULES", modules, 1), 0);
	assert_int_equal(model_open(folder, &m, &f), 0);
	assert_int_equal(model_stream(m, sum_slice, &sum, &f), 0);
	assert_int_equal(backend_plan(m, &opt, &plan, &f), 0);
	assert_int_equal(plan.weights, 4 * model_parameters(m));
	assert_int_equal(plan.work, 3);		/* the device's number */
	assert_true(plan.free > 0);
	opt.precision = "int3";
	assert_int_equal(backend_plan(m, &opt, &plan, &f), CHAT_EFORMAT);
	assert_string_equal(f.message, "cuda:3: precision: expected auto or "
	    "fp32, found int3");
	model_free(m);
	expect_sum(folder, sum);
	opt.precision = "auto";
	out = pack(&opt);
	assert_int_equal(model_open(out, &m, &f), 0);
	assert_int_equal(backend_check(m, &opt, &f), 0);
	assert_int_equal(backend_pack(m, &opt, NULL, 0, out, &f),
	    CHAT_EFORMAT);
	assert_non_null(strstr(f.message, "is packed already, in fp32"));
	model_free(m);
	expect_sum(out, sum);
	unlink(out);
	free(out);
}

/* Each call with a packed file of another device must fail with words. */
static void
expect_other_layout(const char *path, const char *device, const char *words)
{
	struct backend_options	 opt = { .precision = "auto",
		.device = device, .isa = "auto" };
	struct backend_plan	 plan;
	struct backend		*b;
	struct model		*m;
	struct fault		 f[3];
	size_t			 i;

	assert_int_equal(model_open(path, &m, f), 0);
	assert_int_equal(backend_open(m, &opt, &b, &f[0]), CHAT_EFORMAT);
	assert_int_equal(backend_plan(m, &opt, &plan, &f[1]), CHAT_EFORMAT);
	assert_int_equal(backend_check(m, &opt, &f[2]), CHAT_EFORMAT);
	model_free(m);
	for (i = 0; i < nitems(f); i++) {
		assert_string_equal(f[i].code, "bad_model");
		assert_memory_equal(f[i].message, path, strlen(path));
		if (strstr(f[i].message, words) == NULL)
			fail_msg("expected \"%s\" in: %s", words,
			    f[i].message);
	}
}

/* A packed file serves the device that it was packed for. */
static void
a_packed_file_of_another_device_is_refused(void **state)
{
	int64_t			 bytes;
	struct backend_options	 host = host_options(&bytes), cpu = host;
	char			*out;

	(void)state;
	if (!link_module(".libs/tests_module_host.so"))
		skip();
	assert_int_equal(setenv("CHATD_MODULES", modules, 1), 0);
	cpu.device = "cpu";
	out = pack(&host);
	expect_other_layout(out, "cpu", "layout: expected cpu-1 for device "
	    "cpu, found sum-1: pack the model again");
	free(out);
	out = pack(&cpu);
	expect_other_layout(out, "cuda:0", "layout: expected sum-1 for device "
	    "cuda:0, found cpu-1: pack the model again");
	if (link_module(".libs/chatd-cuda.so")) {
		assert_int_equal(setenv("CHATD_MODULES", modules, 1), 0);
		expect_other_layout(out, "cuda:0", "layout: expected cuda-1 "
		    "for device cuda:0, found cpu-1: pack the model again");
	}
	if (link_module(".libs/tests_module_sticky.so")) {
		assert_int_equal(setenv("CHATD_MODULES", modules, 1), 0);
		expect_other_layout(out, "cuda:0", "cuda:0 can't read packed "
		    "files: load the model it was packed from");
	}
	unlink(out);
	free(out);
}

/* The real module reports that this machine has no driver, no device or no
 * kernels. It never succeeds here, and no message is one of backend.c. */
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
	assert_int_equal(setenv("CHATD_MODULES", modules, 1), 0);
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

/* The check of rows that all backends share: each value at its limits. */
static void
rows_are_checked(void **state)
{
	const struct backend_info info = { .vocab = 100, .context = 70,
		.kv_blocks = 9, .best_max = 40, .adapters = 2 };
	static const uint8_t	 seen[100];
	static const int32_t	 good[3] = { 0, 8, 3 }, low[3] = { 0, 8, -1 };
	static const int32_t	 high[3] = { 0, 9, 3 };
	static float		 out[100];
	struct backend_best	 one = { .k = 1 }, most = { .k = 40,
				    .penalty = 0.1, .seen = seen };
	struct backend_best	 none = { .k = 0 }, more = { .k = 41 };
	struct backend_best	 zero = { .k = 1, .seen = seen };
	const struct {
		struct backend_row	 row;
		int			 r;
	} cases[] = {
		{ { 0, 0, good, 0, NULL, NULL }, 0 },
		{ { 99, 69, good, 0, out, NULL }, 0 },
		{ { 99, 69, good, 0, NULL, &one }, 0 },
		{ { 99, 69, good, 0, NULL, &most }, 0 },
		{ { 0, 31, high, 0, NULL, NULL }, 0 },
		{ { 0, 63, low, 0, NULL, NULL }, 0 },
		{ { -1, 0, good, 0, NULL, NULL }, CHAT_ESHAPE },
		{ { 100, 0, good, 0, NULL, NULL }, CHAT_ESHAPE },
		{ { 0, -1, good, 0, NULL, NULL }, CHAT_ESHAPE },
		{ { 0, 70, good, 0, NULL, NULL }, CHAT_ESHAPE },
		{ { 0, 32, high, 0, NULL, NULL }, CHAT_ESHAPE },
		{ { 0, 64, low, 0, NULL, NULL }, CHAT_ESHAPE },
		{ { 0, 0, good, 2, NULL, NULL }, 0 },
		{ { 0, 0, good, 3, NULL, NULL }, CHAT_ESHAPE },
		{ { 0, 0, good, -1, NULL, NULL }, CHAT_ESHAPE },
		{ { 0, 0, good, 0, out, &one }, CHAT_ESHAPE },
		{ { 0, 0, good, 0, NULL, &none }, CHAT_ESHAPE },
		{ { 0, 0, good, 0, NULL, &more }, CHAT_ESHAPE },
		{ { 0, 0, good, 0, NULL, &zero }, CHAT_ESHAPE }
	};
	struct backend_info	 less = info;
	struct backend_row	 two[2];
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		two[0] = cases[0].row;
		two[1] = cases[i].row;
		if (backend_rows_check(&info, two, 2) != cases[i].r)
			fail_msg("case %zu", i);
		assert_int_equal(backend_rows_check(&info, two, 1), 0);
	}
	assert_int_equal(backend_rows_check(&info, two, -1), CHAT_ESHAPE);
	two[0] = cases[3].row;
	less.vocab = 39;
	two[0].token = 0;
	assert_int_equal(backend_rows_check(&less, two, 1), CHAT_ESHAPE);
	less.best_max = 0;
	two[0].best = &one;
	assert_int_equal(backend_rows_check(&less, two, 1), CHAT_ESHAPE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_devices_are_refused),
		cmocka_unit_test(a_missing_module_is_reported),
		cmocka_unit_test(a_broken_module_is_reported),
		cmocka_unit_test(another_library_is_reported),
		cmocka_unit_test(a_module_of_another_release_is_reported),
		cmocka_unit_test(missing_libraries_are_reported),
		cmocka_unit_test(a_driver_of_another_version_is_reported),
		cmocka_unit_test(a_module_needs_the_host_alone),
		cmocka_unit_test(a_packed_file_of_another_device_is_refused),
		cmocka_unit_test(the_module_says_what_this_machine_lacks),
		cmocka_unit_test(the_cpu_opens_without_modules),
		cmocka_unit_test(rows_are_checked)
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}

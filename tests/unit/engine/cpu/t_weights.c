/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading weights: progress is reported, and missing memory is an error.
 */
#include <config.h>

#include "weights.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend.h"
#include "faults.h"
#include "model_files.h"
#include "neox.h"
#include "cpu_pack.h"
#include "path.h"
#include "xmalloc.h"

static const struct neox_spec spec = { "small", 2, 40, 2, 96, 50, 96, 0.4,
	"gelu_fast", 1, 1, 1, 0.1 };

static char	*folder;	/* of the model; "packed" in it is packed */

/* Write a model. */
static int
setup(void **state)
{
	(void)state;
	folder = neox_folder();
	neox_write(folder, &spec, 51);
	model_files_put(folder, "tokenizer.json", "{}", 2);
	return (0);
}

/* Remove the model. */
static int
teardown(void **state)
{
	(void)state;
	neox_remove(folder);
	return (0);
}

/* Pack the model; the path is owned by the caller. */
static char *
pack(const char *precision)
{
	struct backend_options	 opt = { .precision = precision,
		.threads = 1 };
	char		*out = path_join(folder, "packed");
	struct model	*m;
	struct fault	 f;

	assert_int_equal(model_open(folder, &m, &f), 0);
	if (cpu_pack_write(m, NULL, 0, out, &opt, &f) != 0)
		fail_msg("%s", f.message);
	model_free(m);
	return (out);
}

/* The progress that was reported while a file is loaded. */
struct reported {
	int64_t	 bytes, total;
	int	 times;
};

/* Check that bytes grow, up to the total. */
static void
report(void *arg, int64_t bytes, int64_t total)
{
	struct reported	*t = arg;

	assert_true(bytes >= t->bytes && bytes <= total);
	*t = (struct reported){ bytes, total, t->times + 1 };
}

/* Progress ends with all bytes. */
static void
loading_a_packed_file_reports_progress(void **state)
{
	struct reported	 t = { 0, 0, 0 };
	struct backend_options	 opt = { .precision = "auto",
		.device = "cpu", .isa = "auto", .threads = 1,
		.progress = report, .progress_arg = &t };
	char		*path = pack("bf16");
	struct backend	*b;
	struct model	*m;
	struct fault	 f;

	(void)state;
	assert_int_equal(model_open(path, &m, &f), 0);
	assert_int_equal(backend_open(m, &opt, &b, &f), 0);
	assert_true(t.times >= 2 && t.bytes == t.total);
	assert_int_equal(t.total, model_bytes(m));
	b->ops->free(b);
	model_free(m);
	free(path);
}

/* A system call for memory that the kernel refuses. */
struct shortage {
	struct refusal	 call;
	int		 packed;	/* the model is packed */
	const char	*code, *words;
};

/* In a child: open a backend. */
static int
try_shortage(void *arg)
{
	const struct shortage	*s = arg;
	struct backend_options	 opt = { .precision = "int8",
		.device = "cpu", .isa = "auto", .threads = 1 };
	char		*path = s->packed ? path_join(folder, "packed") :
			    folder;
	struct backend	*b;
	struct model	*m;
	struct fault	 f = { 0 };

	if (model_open(path, &m, &f) != 0)
		return (1);
	if (!faults_refuse(&s->call))
		return (2);
	if (backend_open(m, &opt, &b, &f) == 0 ||
	    strcmp(f.code, s->code) != 0 || strstr(f.message, s->words) ==
	    NULL) {
		fprintf(stderr, "expected \"%s\": %s\n", s->words, f.message);
		return (1);
	}
	return (0);
}

/* Memory for converted weights, mapped weights, and the cache. */
static void
missing_memory_is_reported(void **state)
{
	static const struct shortage cases[] = {
		{ { SYS_mmap, 1, UINT32_MAX, 2 << 20, ENOMEM }, 0, "no_memory",
		    "no memory for 0 MiB of weights in int8" },
		{ { SYS_mmap, 3, MAP_TYPE, MAP_SHARED, ENODEV }, 1,
		    "bad_model", "mapping: No such device" },
		{ { SYS_mmap, 3, MAP_NORESERVE, MAP_NORESERVE, ENOMEM }, 0,
		    "no_memory", "no memory for a KV cache of 384 positions" }
	};
	size_t	 i, n = nitems(cases);
	int	 r;

	(void)state;
#ifdef WITH_SANITIZER
	n--;		/* it takes memory in the same way for itself */
#endif
	free(pack("int8"));
	for (i = 0; i < n; i++) {
		r = faults_child(try_shortage, (void *)(uintptr_t)&cases[i]);
		if (r == 2)
			skip();		/* the kernel has no such filters */
		assert_int_equal(r, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loading_a_packed_file_reports_progress),
		cmocka_unit_test(missing_memory_is_reported)
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that a model needs, computed before the model is read.
 */
#include <config.h>

#include "cpu_plan.h"

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend.h"
#include "faults.h"
#include "meminfo.h"
#include "xmalloc.h"

#define GIB	(1024.0 * 1024 * 1024)

/* GPT-NeoXT-Chat-Base-20B. */
static const struct model_config big = { .layers = 44, .channels = 6144,
	.heads = 64, .lanes = 96, .inner = 24576, .vocab = 50432,
	.context = 2048, .rotary = 24, .rotary_base = 10000, .norm_eps = 1e-5f,
	.parallel = 1, .attn_bias = 1 };

static const struct backend_options opt = { .threads = 2, .rows = 256 };

/* The sizes of the 20B model. */
static void
the_sizes_of_the_20b_model(void **state)
{
	/* 20,554,567,680 parameters: 4 or 2 bytes each; 1 and a scale for
	 * each row; 4.5 bits; norms and biases in fp32 */
	static const double	 weights[] = { 82.2e9, 41.1e9, 20.6e9, 11.6e9 };
	struct backend_plan		 plan;
	int			 p;

	(void)state;
	for (p = 0; p < PREC_COUNT; p++) {
		cpu_plan_make(&big, (enum precision)p, &opt, &plan);
		if ((double)plan.weights < weights[p] * 0.99 ||
		    (double)plan.weights > weights[p] * 1.01)
			fail_msg("%s: %.2f GB of weights", precision_name(
			    (enum precision)p), (double)plan.weights / 1e9);
		/* one context: 2 * 44 * 6144 numbers a position */
		assert_int_equal(plan.cache, 2048LL * 2 * 44 * 6144 *
		    (p == PREC_FP32 ? 4 : 2));
		assert_true(plan.work < 300 << 20);
		assert_int_equal(plan.total, plan.weights + plan.cache +
		    plan.work);
	}
}

/* The messages if memory is short. */
static void
a_model_too_large_is_refused_with_advice(void **state)
{
	static const struct {
		enum precision	 p;
		double		 gib;
		const char	*words;		/* NULL: it fits */
	} cases[] = {
		{ PREC_BF16, 100, NULL },
		{ PREC_INT8, 22, NULL },
		{ PREC_INT8, 19.8, "GiB in int8, 19.8 GiB are free: try int4 "
		    "(1" },
		{ PREC_BF16, 22, "GiB in bf16, 22.0 GiB are free: try int8 "
		    "(2" },
		{ PREC_INT4, 12, "GiB in int4, 12.0 GiB are free: 2.1 GiB of "
		    "it are for the cache, see kv_tokens" },
		{ PREC_INT4, 3, "GiB in int4, 3.0 GiB are free: the least is "
		    "13.0 GiB in int4" },
		{ PREC_FP32, 0.5, "512.0 MiB are free: the least is 13.0 GiB "
		    "in int4" }
	};
	struct fault	 f;
	size_t		 i;
	int		 r;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		r = cpu_plan_check("big", &big, cases[i].p, &opt,
		    (int64_t)(cases[i].gib * GIB), &f);
		if (cases[i].words == NULL) {
			assert_int_equal(r, 0);
			continue;
		}
		assert_int_equal(r, CHAT_ENOMEM);
		assert_string_equal(f.code, "no_memory");
		assert_memory_equal(f.message, "big: needs ", 11);
		if (strstr(f.message, cases[i].words) == NULL)
			fail_msg("expected \"%s\" in: %s", cases[i].words,
			    f.message);
	}
}

/* The cache has kv_tokens positions, rounded up to whole blocks. */
static void
the_cache_follows_kv_tokens(void **state)
{
	struct backend_options	 o = opt;
	struct kv_shape		 kv;
	size_t			 n;

	(void)state;
	o.kv_tokens = 100;
	cpu_plan_cache(&big, PREC_INT8, &o, &kv, &n);
	assert_int_equal(n, 100);
	assert_int_equal(kv.blocks, 4);
	assert_int_equal(kv.elem, ELEM_BF16);
}

/* The element type and the bytes of the cache, for each kv_precision. */
static void
the_cache_follows_kv_precision(void **state)
{
	static const struct {
		enum precision	 p;
		const char	*asked, *is;	/* is NULL: refused */
		size_t		 head;		/* bytes of one head's part */
	} cases[] = {
		{ PREC_FP32, "auto", "fp32", 2 * 32 * 96 * 4 },
		{ PREC_FP32, "fp32", "fp32", 2 * 32 * 96 * 4 },
		{ PREC_FP32, "bf16", "bf16", 2 * 32 * 96 * 2 },
		{ PREC_FP32, "int8", "int8", 2 * 32 * (96 + 4) },
		{ PREC_BF16, NULL, "bf16", 2 * 32 * 96 * 2 },
		{ PREC_INT8, "auto", "bf16", 2 * 32 * 96 * 2 },
		{ PREC_INT4, "bf16", "bf16", 2 * 32 * 96 * 2 },
		{ PREC_INT4, "int8", "int8", 2 * 32 * (96 + 4) },
		{ PREC_BF16, "fp32", NULL, 0 },
		{ PREC_INT8, "int4", NULL, 0 },
		{ PREC_INT8, "", NULL, 0 }
	};
	struct backend_options	 o = opt;
	struct kv_shape		 kv;
	struct backend_plan		 plan, usual;
	struct fault		 f;
	enum elem		 e;
	size_t			 i, n;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		o.kv_precision = cases[i].asked;
		if (cases[i].is == NULL) {
			assert_int_equal(cpu_plan_elem(cases[i].p,
			    cases[i].asked, &e, &f), CHAT_EFORMAT);
			assert_string_equal(f.field, "kv_precision");
			continue;
		}
		assert_int_equal(cpu_plan_elem(cases[i].p, cases[i].asked, &e,
		    &f), 0);
		assert_string_equal(cpu_plan_elem_name(e), cases[i].is);
		cpu_plan_cache(&big, cases[i].p, &o, &kv, &n);
		assert_int_equal(kv.elem, e);
		assert_int_equal(kv.keys + kv.values, cases[i].head);
		cpu_plan_make(&big, cases[i].p, &o, &plan);
		assert_int_equal(plan.cache, (long long)cases[i].head * 64 *
		    44 * 64);
		cpu_plan_make(&big, cases[i].p, &opt, &usual);
		assert_int_equal(plan.total - plan.cache, usual.total -
		    usual.cache);
	}
}

/* By default, half the bytes per position give twice the positions. */
static void
a_quantized_cache_holds_more(void **state)
{
	struct model_config	 c = big;
	struct backend_options	 o = opt;
	struct kv_shape		 kv;
	size_t			 n, quantized;

	(void)state;
	c.layers = 11;
	cpu_plan_cache(&c, PREC_BF16, &o, &kv, &n);
	o.kv_precision = "int8";
	cpu_plan_cache(&c, PREC_BF16, &o, &kv, &quantized);
	assert_true(n > 2048 && quantized < 4 * 2048);
	assert_in_range(quantized, n * 192 / 100, (n + 1) * 192 / 100);
}

/* The free memory is at most the limit of address space. */
static void
free_memory_respects_the_address_limit(void **state)
{
	struct rlimit	 rl;
	int64_t		 all = meminfo_free(), left;
	int		 status;
	pid_t		 pid;

	(void)state;
	assert_true(all > 0 && all < INT64_MAX);
#ifdef WITH_SANITIZER
	skip();		/* it needs its own address space */
#endif
	if ((pid = fork()) == 0) {
		rl.rlim_cur = rl.rlim_max = (rlim_t)512 << 20;
		if (setrlimit(RLIMIT_AS, &rl) == -1)
			_exit(1);
		left = meminfo_free();
		_exit(left > 0 && left < 512 << 20 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A version of cgroups: the names of its files. */
struct kind {
	const char	*line;		/* in /proc/self/cgroup, after N */
	const char	*mount, *limit, *usage, *cache;
};

static const struct kind kinds[] = {
	{ "::", "/sys/fs/cgroup", "memory.max", "memory.current",
	    "anon 99999999\ninactive_file" },
	{ ":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes",
	    "memory.usage_in_bytes", "cache 1\ntotal_inactive_file" }
};

/* The limits of a cgroup and of the topmost one, and the free MiB. */
static const struct cgroup {
	const char	*limit, *top;	/* words of their limits */
	int		 used, cache, top_used;
	int		 left;		/* -1: cgroups limit nothing */
} cgroups[] = {
	{ "67108864", "max", 48, 0, 48, 16 },
	{ "67108864", "max", 48, 40, 48, 56 },	/* cache can be dropped */
	{ "67108864", "max", 48, 50, 48, 16 },	/* cache above usage */
	{ "67108864", "max", 80, 0, 80, 0 },
	{ "max", "33554432", 1, 0, 8, 24 },	/* the upper one has less */
	{ "67108864", "33554432", 60, 0, 8, 4 },
	{ "max", "max", 1, 0, 1, -1 },
	{ "9223372036854771712", "max", 1, 0, 1, -1 }	/* v1: no limit */
};

struct cgroup_case {
	const struct kind	*kind;
	const struct cgroup	*c;
};

/* Write a file of a cgroup. */
static void
put(const char *folder, const char *name, const char *text)
{
	char	*path = xasprintf("%s/%s", folder, name);
	FILE	*fp = fopen(path, "we");

	if (fp == NULL || fputs(text, fp) == EOF || fclose(fp) != 0)
		abort();
	free(path);
}

/* Write all files of a cgroup. */
static void
put_cgroup(const struct kind *k, const char *folder, const char *limit,
    int used, int cache)
{
	char	 text[128];

	put(folder, k->limit, limit);
	snprintf(text, sizeof text, "%lld\n", (long long)used << 20);
	put(folder, k->usage, text);
	snprintf(text, sizeof text, "%s %lld\n", k->cache,
	    (long long)cache << 20);
	put(folder, "memory.stat", text);
}

/* Make the folder of our own cgroup, and those above it. Returns its path
 * (owned by the caller), or NULL if this process is in no cgroup or in the
 * topmost one. */
static char *
make_cgroup(const struct kind *k)
{
	FILE	*fp = fopen("/proc/self/cgroup", "re");
	char	 line[4096], *folder = NULL, *at;

	while (fp != NULL && folder == NULL &&
	    fgets(line, sizeof line, fp) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if ((at = strchr(line, ':')) != NULL && strncmp(at, k->line,
		    strlen(k->line)) == 0 && at[strlen(k->line) + 1] != '\0')
			folder = xasprintf("%s%s", k->mount, at +
			    strlen(k->line));
	}
	if (fp != NULL)
		fclose(fp);
	for (at = folder != NULL ? strchr(folder + 1, '/') : NULL;
	    at != NULL; at = strchr(at + 1, '/')) {
		*at = '\0';
		(void)mkdir(folder, 0700);
		*at = '/';
	}
	if (folder != NULL)
		(void)mkdir(folder, 0700);
	return (folder);
}

/* In a child: make cgroup files, and check the free memory. */
static int
try_cgroup(void *arg)
{
	const struct cgroup_case	*t = arg;
	char				*folder;
	int64_t				 left;

	if (!faults_mounts() || mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0,
	    NULL) == -1 || (folder = make_cgroup(t->kind)) == NULL)
		return (2);
	put_cgroup(t->kind, t->kind->mount, t->c->top, t->c->top_used, 0);
	put_cgroup(t->kind, folder, t->c->limit, t->c->used, t->c->cache);
	left = meminfo_free();
	free(folder);
	if (t->c->left < 0)
		return (left > 64 << 20 ? 0 : 1);
	return (left == (int64_t)t->c->left << 20 ? 0 : 1);
}

/* The free memory is at most the limits of the cgroup and of those above it, in
 * both versions. */
static void
free_memory_respects_cgroup_limits(void **state)
{
	struct cgroup_case	 t;
	size_t			 i, k;
	int			 r, seen = 0;

	(void)state;
	for (k = 0; k < nitems(kinds); k++)
		for (i = 0; i < nitems(cgroups); i++) {
			t.kind = &kinds[k];
			t.c = &cgroups[i];
			if ((r = faults_child(try_cgroup, &t)) == 2)
				break;
			if (r != 0)
				fail_msg("%s, case %zu: %d", t.kind->limit, i,
				    r);
			seen++;
		}
	if (seen == 0)
		skip();		/* no mounts, or no cgroup to be in */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sizes_of_the_20b_model),
		cmocka_unit_test(a_model_too_large_is_refused_with_advice),
		cmocka_unit_test(the_cache_follows_kv_tokens),
		cmocka_unit_test(the_cache_follows_kv_precision),
		cmocka_unit_test(a_quantized_cache_holds_more),
		cmocka_unit_test(free_memory_respects_the_address_limit),
		cmocka_unit_test(free_memory_respects_cgroup_limits)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

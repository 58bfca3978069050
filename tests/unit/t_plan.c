/*
 * What a model needs, known before it is read.
 */
#include <config.h>

#include "plan.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend.h"
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
	struct plan		 plan;
	int			 p;

	(void)state;
	for (p = 0; p < PREC_COUNT; p++) {
		plan_make(&big, (enum precision)p, &opt, &plan);
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

/* What is told where memory is short. */
static void
what_does_not_fit_is_told_with_a_way_out(void **state)
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
		r = plan_check("big", &big, cases[i].p, &opt,
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

/* The cache is as many positions as were asked for, in whole blocks. */
static void
the_cache_follows_kv_tokens(void **state)
{
	struct backend_options	 o = opt;
	struct kv_shape		 kv;
	size_t			 n;

	(void)state;
	o.kv_tokens = 100;
	plan_cache(&big, PREC_INT8, &o, &kv, &n);
	assert_int_equal(n, 100);
	assert_int_equal(kv.blocks, 4);
	assert_int_equal(kv.elem, ELEM_BF16);
}

/* The limit of address space counts. */
static void
free_memory_is_what_the_limit_leaves(void **state)
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sizes_of_the_20b_model),
		cmocka_unit_test(what_does_not_fit_is_told_with_a_way_out),
		cmocka_unit_test(the_cache_follows_kv_tokens),
		cmocka_unit_test(free_memory_is_what_the_limit_leaves)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

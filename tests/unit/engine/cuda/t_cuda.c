/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CUDA backend: its logits are near those of a plain pass in double
 * precision over random models, and their bits do not depend on how a prompt
 * is cut, on the other rows of a step, or on the blocks of the cache.
 *
 * It needs a device: CHATD_TEST_DEVICE, or cuda:0 if that can be opened.
 * CHATD_MODULES may name a folder with a module for the stand-in of
 * tests/cuda-host.
 */
#include "backend.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model_files.h"
#include "neox.h"
#include "path.h"
#include "xmalloc.h"

#define TOKENS	71	/* three cache blocks, the last one partly used */
#define LONG	300	/* three sections of attention */

/* Shapes that differ in residual, rotary lanes, head sizes, activation, tied
 * head, and biases. */
static const struct neox_spec specs[] = {
	{ "parallel", 2, 64, 4, 96, 50, 96, 0.25, "gelu_fast", 1, 0, 1, 0.1 },
	{ "sequential", 2, 48, 2, 80, 33, 96, 0.25, "gelu", 0, 0, 1, 0.1 },
	{ "all-rotary", 1, 64, 2, 64, 17, 80, 1.0, "gelu_new", 1, 0, 1, 0.1 },
	{ "head-96", 2, 192, 2, 160, 40, 100, 0.25, "gelu", 1, 0, 1, 0.07 },
	{ "tied", 2, 64, 1, 128, 100, 96, 0.5, "gelu", 1, 1, 1, 0.1 },
	{ "no-bias", 1, 40, 4, 36, 20, 72, 0.4, "gelu", 0, 1, 0, 0.1 },
	{ "long", 1, 128, 1, 64, 16, 320, 0.25, "gelu_fast", 1, 0, 1, 0.1 }
};

/*
 * How far the logits may be from those in double precision: the root of the
 * mean square of the difference, in terms of that of the logits. The weights
 * themselves are rounded to 8 bits in int8 and to 4 in int4.
 */
static const struct {
	const char	*precision;
	double		 error;
} precisions[] = {
	{ "fp16", 0.003 }, { "bf16", 0.025 }, { "int8", 0.03 },
	{ "int4", 0.3 }, { "fp16+kv8", 0.02 }, { "bf16+kv8", 0.03 },
	{ "int4+kv8", 0.3 }
};

static char	*folders[nitems(specs)];
static int32_t	 ids[LONG];

/* Write every model once. */
static int
setup(void **state)
{
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(specs); i++) {
		folders[i] = neox_folder();
		neox_write(folders[i], &specs[i], 1234 + i);
		model_files_put(folders[i], "tokenizer.json", "{}", 2);
	}
	return (0);
}

/* Remove the models. */
static int
teardown(void **state)
{
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(specs); i++)
		neox_remove(folders[i]);
	return (0);
}

/* Draw ids for model i; the number of its tokens. */
static int
draw_ids(size_t i)
{
	uint64_t	 seed = i;
	int		 t, n = specs[i].context > LONG ? LONG : TOKENS;

	for (t = 0; t < n; t++)
		ids[t] = (int32_t)neox_random(&seed, (uint32_t)specs[i].V);
	return (n);
}

/* The root of the mean square of x - y, in terms of that of y. */
static double
distance(const float *x, const double *y, size_t n)
{
	double	 d = 0, all = 0;
	size_t	 i;

	for (i = 0; i < n; i++) {
		d += (x[i] - y[i]) * (x[i] - y[i]);
		all += y[i] * y[i];
	}
	return (sqrt(d / all));
}

/* Every model in every precision. */
static void
logits_are_near_those_in_double_precision(void **state)
{
	struct backend	*b;
	double		*want, d;
	float		*got;
	size_t		 i, p;
	int		 n;

	(void)state;
	for (i = 0; i < nitems(specs); i++) {
		n = draw_ids(i);
		want = neox_oracle(folders[i], ids, n);
		for (p = 0; p < nitems(precisions); p++) {
			b = neox_open(folders[i], precisions[p].precision,
			    "auto", 1);
			got = neox_run(b, ids, n, 0, 0);
			d = distance(got, want, (size_t)n *
			    (size_t)specs[i].V);
			if (!(d <= precisions[p].error))
				fail_msg("%s in %s: expected at most %g, "
				    "found %g", specs[i].name,
				    precisions[p].precision,
				    precisions[p].error, d);
			free(got);
			b->ops->free(b);
		}
		free(want);
	}
}

/* A prompt at once, cut in several ways, and token by token (as graphs). */
static void
the_cut_of_a_prompt_does_not_matter(void **state)
{
	static const int	 chunks[] = { 1, 7, 16, 17, 64, 65, -1 };
	struct backend		*b;
	float			*want, *got;
	size_t			 i, p, k, size;
	int			 n;

	(void)state;
	for (i = 0; i < nitems(specs); i++) {
		n = draw_ids(i);
		p = i % nitems(precisions);
		size = (size_t)n * (size_t)specs[i].V * sizeof *want;
		b = neox_open(folders[i], precisions[p].precision, "auto", 1);
		want = neox_run(b, ids, n, 0, 0);
		for (k = 0; k < nitems(chunks); k++) {
			got = neox_run(b, ids, n, chunks[k], 0);
			if (memcmp(got, want, size) != 0)
				fail_msg("%s in %s: chunks of %d tokens give "
				    "other bits", specs[i].name,
				    precisions[p].precision, chunks[k]);
			free(got);
		}
		free(want);
		b->ops->free(b);
	}
}

/* A packed file gives the same bits as the model that it was packed from. */
static void
a_packed_model_gives_the_same_bits(void **state)
{
	struct backend_options	 opt = { .device = neox_device(),
		.isa = "auto", .rows = NEOX_ROWS, .threads = 1 };
	char			*path = path_join(folders[4], "packed");
	struct backend		*b;
	struct model		*m;
	struct fault		 f;
	float			*want, *got;
	size_t			 p;
	int			 n = draw_ids(4);

	(void)state;
	for (p = 0; p < 4; p++) {
		opt.precision = precisions[p].precision;
		b = neox_open(folders[4], opt.precision, "auto", 1);
		want = neox_run(b, ids, n, 0, 0);
		b->ops->free(b);
		assert_int_equal(model_open(folders[4], &m, &f), 0);
		if (backend_pack(m, &opt, NULL, 0, path, &f) != 0)
			fail_msg("%s", f.message);
		model_free(m);
		assert_int_equal(model_open(path, &m, &f), 0);
		opt.precision = "auto";
		if (backend_open(m, &opt, &b, &f) != 0)
			fail_msg("%s", f.message);
		model_free(m);
		got = neox_run(b, ids, n, 0, 0);
		assert_memory_equal(got, want, (size_t)n *
		    (size_t)specs[4].V * sizeof *want);
		b->ops->free(b);
		free(want);
		free(got);
	}
	free(path);
}

/* The limits for --bench: rates above 0, and the bytes of all weights but the
 * table of embeddings. */
static void
the_device_can_be_measured(void **state)
{
	struct backend_limits	 l;
	struct backend		*b = neox_open(folders[0], "fp16", "auto", 1);
	const struct neox_spec	*s = &specs[0];
	int64_t			 least = 2 * ((int64_t)s->L * (4 * s->C * s->C +
				    2 * s->C * s->F) + (int64_t)s->V * s->C);
	int			 i;

	(void)state;
	b->ops->limits(b, &l);
	assert_true(l.peak > 0 && l.nfigures == 2);
	for (i = 0; i < l.nfigures; i++)
		assert_true(l.figures[i].value > 0);
	assert_true(l.touched >= least && l.touched < 2 * least);
	assert_true(b->ops->read_rate(b) > 0);
	b->ops->free(b);
}

/* Can the device be used? If not, say why. */
static int
device_is_there(void)
{
	struct backend_options	 opt = { .precision = "auto",
		.device = neox_device(), .isa = "auto", .threads = 1 };
	struct backend_plan	 plan;
	struct model		*m;
	struct fault		 f;
	char			*folder = neox_folder();
	int			 r;

	neox_write(folder, &specs[0], 1);
	assert_int_equal(model_open(folder, &m, &f), 0);
	if ((r = backend_plan(m, &opt, &plan, &f)) != 0)
		print_message("skipped: %s\n", f.message);
	model_free(m);
	neox_remove(folder);
	return (r == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logits_are_near_those_in_double_precision),
		cmocka_unit_test(the_cut_of_a_prompt_does_not_matter),
		cmocka_unit_test(a_packed_model_gives_the_same_bits),
		cmocka_unit_test(the_device_can_be_measured),
	};

	setenv("CHATD_TEST_DEVICE", "cuda:0", 0);
	if (!device_is_there())
		return (77);
	return (cmocka_run_group_tests(tests, setup, teardown));
}

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

#include "best.h"
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

/* Give the rows t to t + n - 1 their wishes, in a mix that changes with t:
 * logits, one, several, or all of the largest, with and without a penalty. */
static void
wish(struct backend_row *rows, int n, int V, float *logits,
    struct backend_best *best, const uint8_t *seen)
{
	int	 i;

	for (i = 0; i < n; i++) {
		rows[i].logits = NULL;
		rows[i].best = NULL;
		if (rows[i].pos % 5 == 0) {
			rows[i].logits = logits + (size_t)i * (size_t)V;
			continue;
		}
		rows[i].best = &best[i];
		best[i].k = rows[i].pos % 3 == 0 ? 1 : rows[i].pos % 3 == 1 ?
		    V / 2 : V;
		best[i].penalty = 1.3;
		best[i].seen = rows[i].pos % 2 ? seen : NULL;
	}
}

/* Compare what a row has got with its logits. */
static void
check_wish(const struct backend_row *row, const float *want, int V)
{
	struct backend_best	 best;
	const size_t		 k = row->best != NULL ? (size_t)row->best->k :
				    0;

	if (row->logits != NULL) {
		assert_memory_equal(row->logits, want, (size_t)V *
		    sizeof *want);
		return;
	}
	best = *row->best;
	best_find(&best, want, V);
	assert_int_equal(row->best->bad, best.bad);
	assert_memory_equal(row->best->id, best.id, k * sizeof best.id[0]);
	if (k > 1)
		assert_memory_equal(row->best->logit, best.logit,
		    k * sizeof best.logit[0]);
}

/* The largest logits are those of all, in steps of any size and mix: prompts
 * (without a graph), single rows of one sequence, and graphs of several. */
static void
the_largest_logits_are_those_of_all(void **state)
{
	static const int	 chunks[] = { 1, 7, TOKENS };
	struct backend_best	*best = xcalloc(TOKENS, sizeof *best);
	struct backend_row	 rows[TOKENS];
	int32_t			 blocks[TOKENS];
	uint8_t			 seen[128];
	struct backend		*b;
	float			*want, *got;
	size_t			 i, c;
	int			 n, t, k, take, V;

	(void)state;
	for (t = 0; t < (int)nitems(seen); t++)
		seen[t] = t % 3 == 0;
	for (i = 0; i < nitems(specs) - 1; i++) {
		n = draw_ids(i);
		V = specs[i].V;
		b = neox_open(folders[i], "fp16", "auto", 1);
		want = neox_run(b, ids, n, 0, 0);
		got = xcalloc((size_t)(n * V), sizeof *got);
		for (c = 0; c < nitems(chunks); c++)
			for (t = 0; t < n; t += take) {
				take = chunks[c] < n - t ? chunks[c] : n - t;
				for (k = 0; k < take; k++) {
					blocks[t + k] = t + k;
					rows[k] = (struct backend_row){
					    .token = ids[t + k], .pos = t + k,
					    .blocks = blocks };
				}
				wish(rows, take, V, got, best, seen);
				assert_int_equal(b->ops->step(b, rows, take),
				    0);
				for (k = 0; k < take; k++)
					check_wish(&rows[k], want +
					    (size_t)(t + k) * (size_t)V, V);
			}
		free(want);
		free(got);
		b->ops->free(b);
	}
	free(best);
}

/* Rows of several sequences, all at their first position, are a graph; each
 * wants something else. */
static void
a_graph_serves_any_mix(void **state)
{
	enum { N = 11 };
	struct backend_best	*best = xcalloc(N, sizeof *best);
	struct backend_row	 rows[N];
	int32_t			 block[N];
	uint8_t			 seen[128] = { 1, 0, 1 };
	const int		 V = specs[0].V;
	struct backend		*b = neox_open(folders[0], "fp16", "auto", 1);
	float			*got = xcalloc((size_t)(N * V), sizeof *got);
	float			*want;
	int			 round, t, k, size;

	(void)state;
	for (round = 0; round < 12; round++) {
		size = round % N + 1;
		for (t = 0; t < size; t++) {
			block[t] = t;
			rows[t] = (struct backend_row){ .token = (t + round) %
			    V, .blocks = &block[t] };
			k = (t * 7 + round) % 4;
			if (k == 0) {
				rows[t].logits = got + t * V;
				continue;
			}
			best[t] = (struct backend_best){ .k = k == 1 ? 1 :
			    k * 7, .penalty = 0.7, .seen = k == 3 ? seen :
			    NULL };
			rows[t].best = &best[t];
		}
		assert_int_equal(b->ops->step(b, rows, size), 0);
		for (t = 0; t < size; t++) {
			want = neox_run(b, &rows[t].token, 1, 0, 20);
			check_wish(&rows[t], want, V);
			free(want);
		}
	}
	free(got);
	free(best);
	b->ops->free(b);
}

/* Rows with values out of range are refused, and the next step works. */
static void
rows_out_of_range_are_refused(void **state)
{
	struct backend	*b = neox_open(folders[0], "fp16", "auto", 1);
	struct backend_info info;
	int32_t		 good[1] = { 0 }, high[1];
	uint8_t		 seen[64] = { 0 };
	float		 out[64];
	struct backend_best fine = { .k = 50, .penalty = 1, .seen = seen };
	struct backend_best many = { .k = 51, .penalty = 1 };
	struct backend_best none = { .penalty = 1 };
	struct backend_best odd = { .k = 1, .seen = seen };
	struct backend_row cases[] = {
		{ .token = specs[0].V, .blocks = good, .logits = out },
		{ .pos = -1, .blocks = good, .logits = out },
		{ .blocks = high, .logits = out },
		{ .blocks = good, .logits = out, .best = &fine },
		{ .blocks = good, .best = &many },
		{ .blocks = good, .best = &none },
		{ .blocks = good, .best = &odd }
	};
	struct backend_row row = { .blocks = good, .best = &fine };
	size_t		 i;

	(void)state;
	b->ops->info(b, &info);
	high[0] = info.kv_blocks;
	assert_int_equal(info.best_max, BACKEND_BEST_MAX);
	for (i = 0; i < nitems(cases); i++)
		assert_int_equal(b->ops->step(b, &cases[i], 1), CHAT_ESHAPE);
	assert_int_equal(b->ops->step(b, &row, -1), CHAT_ESHAPE);
	assert_int_equal(b->ops->step(b, &row, 0), 0);
	assert_int_equal(b->ops->step(b, &row, 1), 0);
	b->ops->free(b);
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
		cmocka_unit_test(the_largest_logits_are_those_of_all),
		cmocka_unit_test(a_graph_serves_any_mix),
		cmocka_unit_test(rows_out_of_range_are_refused),
		cmocka_unit_test(the_device_can_be_measured),
	};

	setenv("CHATD_TEST_DEVICE", "cuda:0", 0);
	if (!device_is_there())
		return (77);
	return (cmocka_run_group_tests(tests, setup, teardown));
}

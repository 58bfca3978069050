/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of the CPU backend: the rows, options and weights that it refuses,
 * its progress while it loads, and its description.
 */
#include "backend.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model_files.h"
#include "neox.h"
#include "xmalloc.h"

static const struct neox_spec spec = { "parallel", 2, 64, 4, 96, 50, 96, 0.25,
	"gelu_fast", 1, 0, 1, 0.1 };

static char	*folder;

/* Write the model. */
static int
setup(void **state)
{
	(void)state;
	folder = neox_folder();
	neox_write(folder, &spec, 1234);
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

/* Rows with values out of range are refused before memory is read. */
static void
rows_out_of_range_are_refused(void **state)
{
	struct backend	*b = neox_open(folder, "fp32", "auto", 1);
	struct backend_info info;
	int32_t		 good[3] = { 0, 1, 2 }, low[1] = { -1 }, high[1];
	float		 out[64];
	struct backend_best best = { .k = 1, .penalty = 1 };
	struct backend_row cases[] = {
		{ .token = -1, .blocks = good, .logits = out },
		{ .token = spec.V, .blocks = good, .logits = out },
		{ .pos = -1, .blocks = good, .logits = out },
		{ .pos = spec.context, .blocks = good, .logits = out },
		{ .blocks = low, .logits = out },
		{ .blocks = high, .logits = out },
		{ .blocks = good, .best = &best }	/* it has none */
	};
	struct backend_row fine = { .blocks = good, .logits = out };
	size_t		 i;

	(void)state;
	b->ops->info(b, &info);
	high[0] = info.kv_blocks;
	assert_int_equal(b->ops->step(b, &fine, 0), 0);	/* the first step */
	for (i = 0; i < nitems(cases); i++)
		assert_int_equal(b->ops->step(b, &cases[i], 1), CHAT_ESHAPE);
	assert_int_equal(b->ops->step(b, &fine, -1), CHAT_ESHAPE);
	assert_int_equal(b->ops->step(b, &fine, 1), 0);
	assert_int_equal(b->ops->step(b, &fine, 0), 0);
	b->ops->free(b);
}

/* A model with x in tensor `name` must be refused, with words. */
static void
expect_refusal(const char *name, float x, const char *precision,
    const char *words)
{
	char	*copy = neox_folder();

	neox_write(copy, &spec, 5);
	model_files_poke(copy, name, sizeof x, &x, sizeof x);
	model_files_refused(copy, precision, name, words);
	neox_remove(copy);
}

/*
 * A sequence that overflowed leaves NaN in its cache blocks. The next sequence
 * in the same blocks must not be changed by them.
 */
static void
old_content_of_the_cache_is_never_read(void **state)
{
	static const char *const precisions[] = { "fp32", "bf16", "fp32+kv8" };
	const size_t	 bytes = 41 * sizeof(float) * (size_t)spec.V;
	const float	 large = 3e38f;
	int32_t		 bad[64], ids[41];
	char		*copy = neox_folder();
	struct backend	*b;
	float		*clean, *dirty, *again;
	size_t		 p, i;
	int		 chunk;

	(void)state;
	neox_write(copy, &spec, 5);
	/* the sum of so large an embedding overflows in the first norm */
	for (i = 0; i < (size_t)spec.C; i++)
		model_files_poke(copy, "gpt_neox.embed_in.weight",
		    (7 * (size_t)spec.C + i) * sizeof large, &large,
		    sizeof large);
	for (i = 0; i < nitems(bad); i++)
		bad[i] = 7;
	for (i = 0; i < nitems(ids); i++)
		ids[i] = (int32_t)(i % 7);
	for (p = 0; p < nitems(precisions); p++)
		for (chunk = 0; chunk < 4; chunk++) {
			b = neox_open(copy, precisions[p], "auto", 1);
			clean = neox_run(b, ids, nitems(ids), chunk, 0);
			assert_true(isfinite(clean[0]));
			dirty = neox_run(b, bad, nitems(bad), 0, 0);
			assert_true(isnan(dirty[0]));
			again = neox_run(b, ids, nitems(ids), chunk, 0);
			assert_memory_equal(clean, again, bytes);
			free(clean);
			free(dirty);
			free(again);
			b->ops->free(b);
		}
	neox_remove(copy);
}

/* A file with NaN or infinity is refused, and the message says where. */
static void
weights_that_are_not_finite_are_refused(void **state)
{
	(void)state;
	expect_refusal("gpt_neox.layers.1.mlp.dense_h_to_4h.weight", NAN,
	    "fp32", "found nan in row 0, column 1");
	expect_refusal("gpt_neox.layers.0.input_layernorm.bias", INFINITY,
	    "bf16", "found inf");
	expect_refusal("gpt_neox.embed_in.weight", -INFINITY, "bf16",
	    "found -inf");
	expect_refusal("embed_out.weight", 3.4e38f, "bf16",
	    "too large for bf16");
}

/* The message for an option that can't be met says which ones can be. */
static void
options_that_can_not_be_met_are_refused(void **state)
{
	static const struct {
		struct backend_options	 opt;
		const char		*code, *field, *words;
	} cases[] = {
		{ { .precision = "int3", .device = "cpu", .isa = "auto" },
		    "bad_model", "precision", "int8 or int4" },
		{ { .precision = "fp32", .device = "cpu", .isa = "auto",
		    .kv_precision = "int4" }, "bad_field", "kv_precision",
		    "expected auto, fp32, bf16 or int8, found \"int4\"" },
		{ { .precision = "bf16", .device = "cpu", .isa = "auto",
		    .kv_precision = "fp32" }, "bad_field", "kv_precision",
		    "fp32 needs weights in fp32, but they are in bf16" },
		{ { .precision = "fp32", .device = "cpu", .isa = "mmx" },
		    "no_device", "isa", "scalar, reference, found mmx" },
		{ { .precision = "fp32", .device = "tpu", .isa = "auto" },
		    "no_device", "device", "cuda:0=30,cpu=14, found tpu" }
	};
	struct backend	*b;
	struct model	*m;
	struct fault	 f;
	size_t		 i;

	(void)state;
	assert_int_equal(model_open(folder, &m, &f), 0);
	for (i = 0; i < nitems(cases); i++) {
		assert_int_not_equal(backend_open(m, &cases[i].opt, &b, &f),
		    0);
		assert_string_equal(f.code, cases[i].code);
		assert_string_equal(f.field, cases[i].field);
		if (strstr(f.message, cases[i].words) == NULL)
			fail_msg("expected \"%s\" in: %s", cases[i].words,
			    f.message);
	}
	model_free(m);
}

/* Calls of progress. */
struct calls {
	int	 n;
	int64_t	 bytes, total;
};

/* Note a call. */
static void
note_progress(void *arg, int64_t bytes, int64_t total)
{
	struct calls	*c = arg;

	assert_true(bytes >= c->bytes && bytes <= total);
	c->n++;
	c->bytes = bytes;
	c->total = total;
}

/* Progress goes from 0 to the last byte. */
static void
loading_reports_its_progress(void **state)
{
	struct calls	 c = { 0 };
	struct backend_options opt = { .precision = "bf16", .device = "cpu",
		.isa = "auto", .threads = 1, .kv_tokens = 100,
		.progress = note_progress, .progress_arg = &c };
	struct backend_info info;
	struct backend	*b;
	struct model	*m;
	struct fault	 f;

	(void)state;
	assert_int_equal(model_open(folder, &m, &f), 0);
	assert_int_equal(backend_open(m, &opt, &b, &f), 0);
	model_free(m);
	assert_true(c.n > spec.L);
	assert_true(c.bytes > 0 && c.bytes == c.total);
	b->ops->info(b, &info);
	assert_int_equal(info.kv_blocks, 4);
	assert_int_equal(info.context, spec.context);
	assert_int_equal(info.layers, spec.L);
	assert_true(info.parameters * 4 < c.total);
	assert_string_equal(info.precision, "bf16");
	assert_string_equal(info.kv_precision, "bf16");
	/* 128 positions of two layers, keys and values of 64 channels */
	assert_int_equal(info.kv_bytes, 128 * 2 * 2 * 64 * 2);
	assert_string_equal(info.device, "cpu");
	b->ops->free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_out_of_range_are_refused),
		cmocka_unit_test(old_content_of_the_cache_is_never_read),
		cmocka_unit_test(weights_that_are_not_finite_are_refused),
		cmocka_unit_test(options_that_can_not_be_met_are_refused),
		cmocka_unit_test(loading_reports_its_progress)
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}

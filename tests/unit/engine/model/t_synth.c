/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Synthetic models: the same seed gives the same numbers, whatever the number
 * of threads is, and the logits are finite.
 */
#include "weights_random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend.h"
#include "dtype.h"
#include "layout.h"
#include "model.h"
#include "pool.h"
#include "tokenizer.h"
#include "xmalloc.h"

/* A piece with more than one block of random numbers. */
static const struct model_config config = { .layers = 1, .channels = 768,
	.heads = 12, .lanes = 64, .inner = 3072, .vocab = 304, .context = 64,
	.rotary = 16, .rotary_base = 10000, .norm_eps = 1e-5f, .parallel = 1,
	.attn_bias = 1, .eos = -1 };

/* Return the weights of a seed; owned. */
static uint8_t *
fill(const struct layout *l, uint64_t seed, int threads)
{
	struct pool	*pool = pool_new(threads);
	uint8_t		*base = xcalloc(1, l->size);

	weights_random_fill(l, base, seed, pool);
	pool_free(pool);
	return (base);
}

/* The numbers depend only on the seed. */
static void
a_seed_gives_the_same_weights_always(void **state)
{
	struct layout	 l;
	uint8_t		*one, *three, *other;
	int		 p;

	(void)state;
	for (p = 0; p < PREC_COUNT; p++) {
		layout_init(&l, &config, (enum precision)p);
		one = fill(&l, 1, 1);
		three = fill(&l, 1, 3);
		other = fill(&l, 2, 1);
		assert_memory_equal(one, three, l.size);
		assert_memory_not_equal(one, other, l.size);
		free(one);
		free(three);
		free(other);
		layout_clear(&l);
	}
}

/* Gains are 1, biases are 0, and scales fit numbers of +-0.035. */
static void
weights_are_small_and_norms_do_nothing(void **state)
{
	const struct piece	*q;
	struct layout		 l;
	const float		*x;
	float			 half;
	uint8_t			*base;
	size_t			 i, k;
	int			 p, gain;

	(void)state;
	for (p = 0; p < PREC_COUNT; p++) {
		layout_init(&l, &config, (enum precision)p);
		base = fill(&l, 7, 2);
		for (i = 0; i < l.n; i++) {
			q = &l.pieces[i];
			x = (const float *)(const void *)(base + q->at);
			gain = q->part == TENSOR_NORM || q->part ==
			    TENSOR_NORM1 || q->part == TENSOR_NORM2;
			for (k = 0; q->dims == 1 && !q->scales && k <
			    q->size / 4; k++)
				assert_true(x[k] == (gain ? 1 : 0));
			for (k = 0; p == PREC_FP32 && q->dims > 1 &&
			    k < q->size / 4; k++)
				assert_true(fabsf(x[k]) <= 0.035f);
			if (q->scales && p == PREC_INT8)
				assert_true(fabsf(x[5] * 127 - 0.035f) <
				    1e-6f);
			if (q->scales && p == PREC_INT4) {
				dtype_to_f32(DTYPE_F16, x, &half, 1);
				assert_true(fabsf(half * 8 - 0.035f) < 1e-4f);
			}
		}
		free(base);
		layout_clear(&l);
	}
}

/* A model of a published shape has a tokenizer that fits. */
static void
every_shape_is_a_model(void **state)
{
	static const struct {
		const char	*name;
		int64_t		 parameters;	/* as published */
	} shapes[] = {
		{ "pythia-160m", 162322944 }, { "pythia-410m", 405334016 },
		{ "pythia-1.4b", 1414647808 }, { "pythia-6.9b", 6857302016 },
		{ "20b", 20554567680 }
	};
	struct tokenizer	*tok;
	struct model		*m;
	struct fault		 f;
	const char		*text, *path;
	uint64_t		 seed;
	size_t			 i, n;

	(void)state;
	for (i = 0; i < nitems(shapes); i++) {
		assert_int_equal(model_synth(shapes[i].name, 40 + i, &m, &f),
		    0);
		assert_true(model_is_synth(m, &seed));
		assert_int_equal(seed, 40 + i);
		assert_int_equal(model_parameters(m), shapes[i].parameters);
		assert_string_equal(model_format(m), "random");
		assert_non_null(strstr(model_name(m), shapes[i].name));
		assert_non_null(model_digest(m));
		assert_null(model_packed(m));
		text = model_tokenizer(m, &n, &path);
		assert_non_null(text);
		if (tokenizer_parse(path, text, n, &tok, &f) != 0)
			fail_msg("%s", f.message);
		assert_int_equal(tokenizer_size(tok), 257);
		tokenizer_free(tok);
		model_free(m);
	}
	assert_int_equal(model_synth("21b", 1, &m, &f), CHAT_EFORMAT);
	assert_string_equal(f.code, "bad_model");
	assert_non_null(strstr(f.message, "20b, found 21b"));
}

/* It computes, and the logits are finite. */
static void
a_random_model_gives_finite_logits(void **state)
{
	struct backend_options	 opt = { .precision = "int4",
		.device = "cpu", .isa = "auto", .threads = 2,
		.kv_tokens = KV_BLOCK, .rows = 2 };
	struct backend_row	 rows[2];
	struct backend_info	 info;
	struct backend		*b;
	struct model		*m;
	struct fault		 f;
	int32_t			 block = 0;
	float			*logits;
	int			 i;

	(void)state;
	assert_int_equal(model_synth("pythia-160m", 1, &m, &f), 0);
	if (backend_open(m, &opt, &b, &f) != 0)
		fail_msg("%s", f.message);
	b->ops->info(b, &info);
	logits = xcalloc((size_t)info.vocab, sizeof *logits);
	for (i = 0; i < 2; i++)
		rows[i] = (struct backend_row){ .token = 72 + i, .pos = i,
			.blocks = &block, .logits = i == 1 ? logits : NULL };
	assert_int_equal(b->ops->step(b, rows, 2), 0);
	for (i = 0; i < info.vocab; i++)
		assert_true(isfinite(logits[i]));
	assert_true(logits[0] != logits[1]);
	free(logits);
	b->ops->free(b);
	model_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seed_gives_the_same_weights_always),
		cmocka_unit_test(weights_are_small_and_norms_do_nothing),
		cmocka_unit_test(every_shape_is_a_model),
		cmocka_unit_test(a_random_model_gives_finite_logits)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sampler against the reference distributions, and everything that makes it
 * repeatable: ties, random numbers, the exponential function.
 */
#include "sampler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "best.h"
#include "engine_data.h"
#include "path.h"
#include "xmalloc.h"

#define VOCAB		320	/* of neox-tiny */
#define NPY_MAX		(1 << 20)
#define TOLERANCE	2e-7	/* the file rounds to 8 digits, logits are
				 * float32 */

/* Return row `row` of the reference logits. The caller frees it. */
static float *
read_logits(int row)
{
	char		*path, *buf;
	size_t		 len, start;
	float		*out = xcalloc(VOCAB, sizeof *out);

	path = data_path("neox-tiny/expected-logits.npy");
	assert_int_equal(path_read(path, NPY_MAX, &buf, &len), 0);
	start = 10 + (unsigned char)buf[8] + 256 * (size_t)(unsigned char)
	    buf[9] + (size_t)row * VOCAB * sizeof *out;
	assert_true(start + VOCAB * sizeof *out <= len);
	memcpy(out, buf + start, VOCAB * sizeof *out);
	free(buf);
	free(path);
	return (out);
}

/* Return a number of an object, or a default. */
static double
number(const json_t *v, const char *key, double dflt)
{
	v = json_object_get(v, key);
	return (v == NULL ? dflt : json_number_value(v));
}

/* Return the probability of id in a prepared sampler. */
static double
probability(const struct sampler *s, int32_t id)
{
	int	 i;

	for (i = 0; i < s->kept; i++) {
		if (s->item[i].id == id)
			return (s->item[i].weight / s->total);
	}
	return (0);
}

/* Compare one reference distribution. */
static void
check_distribution(struct sampler *s, const json_t *v, const json_t *seq)
{
	struct sampler_params	 p = { number(v, "temperature", 1),
				    (int)number(v, "top_k", 0),
				    number(v, "top_p", 1),
				    number(v, "repetition_penalty", 1), 0 };
	uint8_t			 seen[VOCAB] = { 0 };
	struct idbuf		 ids = data_ids(json_object_get(seq, "ids"));
	const json_t		*top = json_object_get(v, "top"), *pair;
	float			*logits;
	double			 want, got;
	size_t			 i;

	for (i = 0; i < ids.n; i++)
		seen[ids.id[i]] = 1;
	logits = read_logits((int)number(seq, "first_row", 0) +
	    (int)number(seq, "rows", 0) - 1);
	assert_int_equal(sampler_prepare(s, &p, logits, seen), 0);
	assert_int_equal(s->kept, (int)number(v, "kept", -1));
	assert_true(json_array_size(top) > 0);
	json_array_foreach(top, i, pair) {
		want = json_number_value(json_array_get(pair, 1));
		got = probability(s, (int32_t)json_integer_value(
		    json_array_get(pair, 0)));
		if (!(fabs(got - want) <= TOLERANCE))
			fail_msg("item %zu: got %.9g, want %.9g", i, got,
			    want);
	}
	free(logits);
	idbuf_clear(&ids);
}

/* Every distribution of the file. */
static void
distributions_equal_the_reference(void **state)
{
	json_t		*root = data_json("neox-tiny/expected.json");
	json_t		*list = json_object_get(root, "sampling"), *v;
	struct sampler	*s = sampler_new(VOCAB);
	size_t		 i;

	(void)state;
	assert_int_equal(json_array_size(list), 7);
	json_array_foreach(list, i, v)
		check_distribution(s, v, json_array_get(json_object_get(root,
		    "sequences"), (size_t)number(v, "prompt", 0)));
	sampler_free(s);
	json_decref(root);
}

/* Temperature 0 takes the largest logit, and of equal ones the lowest id. */
static void
greedy_takes_the_largest(void **state)
{
	static const struct { float logits[4]; double penalty; int32_t id; }
	cases[] = {
		{ { 1, 3, 2, 0 }, 1, 1 }, { { 5, 1, 5, 5 }, 1, 0 },
		{ { -1, -INFINITY, -1, -2 }, 1, 0 },
		{ { 1, 3, 2.5f, 0 }, 2, 2 },	/* 1 is a seen id */
		{ { -4, -3, -3.5f, -9 }, 2, 2 },
	};
	static const uint8_t	 seen[4] = { 0, 1, 0, 0 };
	struct sampler		*s = sampler_new(4);
	struct sampler_params	 p = { .top_k = 3, .top_p = 0.5 };
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		p.penalty = cases[i].penalty;
		assert_int_equal(sampler_prepare(s, &p, cases[i].logits,
		    seen), 0);
		assert_int_equal(sampler_draw(s, 7, 0), cases[i].id);
	}
	sampler_free(s);
}

/* Of equal logits, the lower ids are kept. */
static void
ties_go_to_the_lower_id(void **state)
{
	static const float	 logits[6] = { 1, 2, 2, 2, 2, 0 };
	struct sampler		*s = sampler_new(6);
	struct sampler_params	 p = { 1, 2, 1, 1, 0 };

	(void)state;
	assert_int_equal(sampler_prepare(s, &p, logits, NULL), 0);
	assert_int_equal(s->kept, 2);
	assert_int_equal(s->item[0].id, 1);
	assert_int_equal(s->item[1].id, 2);
	p.top_k = 0;
	p.top_p = 0.5;
	assert_int_equal(sampler_prepare(s, &p, logits, NULL), 0);
	assert_int_equal(s->kept, 3);
	assert_int_equal(s->item[2].id, 3);
	sampler_free(s);
}

/* top_p keeps at least one item, and all items if it is 1. */
static void
extremes_keep_something(void **state)
{
	static const float	 logits[3] = { 0, 80, 0 };
	static const struct { struct sampler_params p; int kept; } cases[] = {
		{ { 1, 0, 0, 1, 0 }, 1 }, { { 1, 0, 1e-300, 1, 0 }, 1 },
		{ { 1, 0, 1, 1, 0 }, 3 }, { { 1, 3, 1, 1, 0 }, 3 },
		{ { 1, 1, 1, 1, 0 }, 1 }, { { 1e-300, 2, 0.9, 1, 0 }, 1 },
		{ { 2, 2, 0, 1, 0 }, 1 },
	};
	struct sampler		*s = sampler_new(3);
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		assert_int_equal(sampler_prepare(s, &cases[i].p, logits,
		    NULL), 0);
		assert_int_equal(s->kept, cases[i].kept);
		assert_int_equal(sampler_draw(s, i, 5), 1);
	}
	sampler_free(s);
}

/* top_p keeps the smallest set that reaches it. */
static void
top_p_keeps_the_smallest_set(void **state)
{
	static const float	 logits[4] = { 0, 0, 0, 0 };
	static const struct { struct sampler_params p; int kept; } cases[] = {
		{ { 1, 2, 0.5, 1, 0 }, 1 }, { { 1, 2, 0.501, 1, 0 }, 2 },
		{ { 1, 0, 0.5, 1, 0 }, 2 }, { { 1, 0, 0.501, 1, 0 }, 3 },
		{ { 1, 4, 0.75, 1, 0 }, 3 }, { { 1, 3, 0.999, 1, 0 }, 3 },
	};
	struct sampler		*s = sampler_new(4);
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		assert_int_equal(sampler_prepare(s, &cases[i].p, logits,
		    NULL), 0);
		assert_int_equal(s->kept, cases[i].kept);
	}
	sampler_free(s);
}

/* NaN is an error, not a token. */
static void
nan_logits_are_errors(void **state)
{
	static const float	 bad[][2] = { { NAN, 0 }, { 0, NAN },
		{ INFINITY, 0 }, { -INFINITY, -INFINITY } };
	struct sampler		*s = sampler_new(2);
	struct sampler_params	 p = { 0, 0, 1, 1, 0 };
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(bad); i++)
		assert_int_equal(sampler_prepare(s, &p, bad[i], NULL),
		    CHAT_EFORMAT);
	sampler_free(s);
}

/* Draw a logit that is often that of another id, and may be anything. */
static float
draw_logit(uint64_t *n, int kind)
{
	static const float	 odd[] = { 0, -0.0f, -INFINITY, 1e-42f, -1e-42f,
		3e38f, -3e38f, 1, -1, 1e-40f };
	uint64_t		 r = sampler_random(99, (*n)++);

	if (kind == 0)
		return ((float)(int32_t)r * 0x1p-28f);
	if (kind == 1)
		return ((float)(int32_t)(r % 7) - 3);
	return (odd[r % nitems(odd)]);
}

/* Compare a sampler that got the largest logits with one that got all. */
static void
check_best(struct sampler *a, struct sampler *b, const struct sampler_params *p,
    const float *logits, const uint8_t *seen)
{
	struct backend_best	 best = { .penalty = p->penalty, .seen = seen };
	int			 i, r;

	best.k = sampler_best(b, p, BACKEND_BEST_MAX);
	assert_int_equal(best.k, p->temperature == 0 ? 1 : p->top_k);
	best_find(&best, logits, b->vocab);
	r = sampler_prepare(a, p, logits, seen);
	assert_int_equal(sampler_prepare_best(b, p, &best), r);
	if (r != 0)
		return;
	assert_int_equal(a->kept, b->kept);
	assert_memory_equal(&a->total, &b->total, sizeof a->total);
	for (i = 0; i < a->kept; i++) {
		assert_int_equal(a->item[i].id, b->item[i].id);
		assert_memory_equal(&a->item[i].weight, &b->item[i].weight,
		    sizeof a->item[i].weight);
	}
	for (i = 0; i < 20; i++)
		assert_int_equal(sampler_draw(a, 5, (uint64_t)i),
		    sampler_draw(b, 5, (uint64_t)i));
}

/* Distributions from the largest logits are those from all, bit for bit: with
 * ties, infinities and NaN, and for any k, temperature, top_p and penalty. */
static void
the_largest_logits_give_the_same_draws(void **state)
{
	enum { V = 300 };
	static const int	 ks[] = { 1, 2, 40, 255, 256 };
	static const double	 temperatures[] = { 0, 1e-3, 0.7, 1, 5 };
	static const double	 tops[] = { 0, 0.5, 0.95, 1 };
	static const double	 penalties[] = { 1, 0.01, 0.9, 1.3, 10 };
	struct sampler		*a = sampler_new(V), *b = sampler_new(V);
	struct sampler_params	 p = { 0, 0, 1, 1, 0 };
	float			 logits[V];
	uint8_t			 seen[V];
	uint64_t		 n = 0;
	int			 i, round;

	(void)state;
	for (round = 0; round < 600; round++) {
		for (i = 0; i < V; i++) {
			logits[i] = draw_logit(&n, round % 3);
			seen[i] = sampler_random(7, n++) % 4 == 0;
		}
		if (round % 20 == 7)
			logits[round % V] = NAN;
		if (round % 20 == 8)
			logits[round % V] = INFINITY;
		p.top_k = ks[round / 3 % (int)nitems(ks)];
		p.temperature = temperatures[round / 5 % (int)nitems(
		    temperatures)];
		p.top_p = tops[round / 7 % (int)nitems(tops)];
		p.penalty = penalties[round / 11 % (int)nitems(penalties)];
		check_best(a, b, &p, logits, round % 2 ? seen : NULL);
	}
	for (i = 0; i < V; i++)
		logits[i] = -INFINITY;
	check_best(a, b, &p, logits, NULL);
	sampler_free(a);
	sampler_free(b);
}

/* Without top_k, or with a larger one than there is room for, all logits are
 * needed. */
static void
other_parameters_need_all_logits(void **state)
{
	static const struct { struct sampler_params p; int max, best; }
	cases[] = {
		{ { 1, 0, 1, 1, 0 }, 256, 0 }, { { 1, 0, 0.9, 1, 0 }, 256, 0 },
		{ { 1, 300, 1, 1, 0 }, 300, 0 }, { { 1, 299, 1, 1, 0 }, 299,
		299 }, { { 1, 41, 1, 1, 0 }, 40, 0 }, { { 1, 40, 1, 1, 0 }, 40,
		40 }, { { 0, 0, 1, 1, 0 }, 1, 1 }, { { 0, 300, 1, 1, 0 }, 1,
		1 }, { { 0, 0, 1, 1, 0 }, 0, 0 }
	};
	struct sampler		*s = sampler_new(300);
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++)
		assert_int_equal(sampler_best(s, &cases[i].p, cases[i].max),
		    cases[i].best);
	sampler_free(s);
}

/* Known answers of Philox4x32-10 (Random123's kat_vectors in which the counter
 * words above the second are 0), and distinct steps. */
static void
random_numbers_are_philox(void **state)
{
	(void)state;
	assert_true(sampler_random(0, 0) == 0xe169c58d6627e8d5U);
	assert_true(sampler_random(0, 1) != sampler_random(0, 0));
	assert_true(sampler_random(1, 0) != sampler_random(0, 0));
	assert_true(sampler_random(1ULL << 40, 0) != sampler_random(0, 0));
}

/* Draws follow the weights: chi-squared over 4 items, 3 degrees of freedom. A
 * fair sampler exceeds 16.27 once in a thousand times; the seed is fixed. */
static void
draws_follow_the_weights(void **state)
{
	static const float	 logits[4] = { 0, 1, 2, -1 };
	struct sampler		*s = sampler_new(4);
	struct sampler_params	 p = { 1, 0, 1, 1, 0 };
	int			 hits[4] = { 0 }, i, n = 20000;
	double			 chi = 0, want;

	(void)state;
	assert_int_equal(sampler_prepare(s, &p, logits, NULL), 0);
	for (i = 0; i < n; i++)
		hits[sampler_draw(s, 42, (uint64_t)i)]++;
	for (i = 0; i < 4; i++) {
		want = n * probability(s, i);
		chi += (hits[i] - want) * (hits[i] - want) / want;
	}
	assert_true(chi < 16.27);
	sampler_free(s);
}

/* The exponential, to two units in the last place. */
static void
exponential_is_exact_enough(void **state)
{
	double	 x, rel;

	(void)state;
	for (x = -700; x <= 0; x += 0.0137) {
		rel = fabs(sampler_exp(x) / exp(x) - 1);
		if (!(rel <= 5e-16))
			fail_msg("exp(%g) is off by %g", x, rel);
	}
	assert_true(sampler_exp(0) == 1);
	assert_true(sampler_exp(-800) == 0);
	assert_true(sampler_exp(-INFINITY) == 0);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(distributions_equal_the_reference),
		cmocka_unit_test(greedy_takes_the_largest),
		cmocka_unit_test(ties_go_to_the_lower_id),
		cmocka_unit_test(extremes_keep_something),
		cmocka_unit_test(top_p_keeps_the_smallest_set),
		cmocka_unit_test(nan_logits_are_errors),
		cmocka_unit_test(the_largest_logits_give_the_same_draws),
		cmocka_unit_test(other_parameters_need_all_logits),
		cmocka_unit_test(random_numbers_are_philox),
		cmocka_unit_test(draws_follow_the_weights),
		cmocka_unit_test(exponential_is_exact_enough),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

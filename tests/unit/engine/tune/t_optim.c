/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The optimisers: AdamW's losses are those of torch over 50 steps (the table of
 * t_net.c), AdamW in 8 bits ends within 1 % of that, Muon's steps are nearly
 * orthogonal, and a state that was written and read goes on with the same bits.
 */
#include "optim.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine_data.h"
#include "err.h"
#include "optim8.h"
#include "pool.h"
#include "rng.h"
#include "xmalloc.h"

#define STEPS	50
#define VOCAB	50

static struct pool	*pool;
static double		 want[STEPS];	/* of torch */

/* The first model of reference.py, and its documents. */
static struct net *
make(struct net_batch *b, double *total)
{
	static const int	 lens[] = { 5, 37, 70 };
	struct model_config	 c = { .layers = 2, .channels = 48,
				    .heads = 3, .lanes = 16, .inner = 64,
				    .vocab = VOCAB, .context = 128,
				    .rotary = 4, .rotary_base = 10000,
				    .norm_eps = 1e-5f, .parallel = 1,
				    .attn_bias = 1 };
	struct net		*n;
	struct fault		 f;
	int32_t			 id[70];
	float			 w[70];
	size_t			 d, i, at = 0;
	int			 k, norm;

	assert_int_equal(net_new(&c, 128, mat_find("scalar"), pool, &n, &f),
	    0);
	for (k = 0; k < n->tensors; k++) {
		norm = n->tensor[k].part == TENSOR_NORM1 ||
		    n->tensor[k].part == TENSOR_NORM2 ||
		    n->tensor[k].part == TENSOR_NORM;
		for (i = 0; i < n->tensor[k].n; i++)
			n->param[n->tensor[k].at + i] = (float)(0.2 *
			    sin(0.7 * (double)i * (double)i + k) + norm);
	}
	memset(b, 0, sizeof *b);
	*total = 0;
	for (d = 0; d < nitems(lens); at += (size_t)lens[d++]) {
		for (k = 0; k < lens[d]; k++) {
			i = at + (size_t)k;
			id[k] = (int32_t)((7 * i + 3) % VOCAB);
			w[k] = i % 3 == 0 ? 0.3f : 1.0f;
			*total += k > 0 ? (double)w[k] : 0;
		}
		net_batch_add(b, id, w, lens[d]);
	}
	return (n);
}

/* AdamW as in reference.py: without decay, which torch has for vectors, too. */
static struct optim *
adam(struct net *n, enum optim_kind kind)
{
	struct optim_options	 o = { .kind = kind, .rate = 1e-3,
				    .embed_rate = 1e-3, .vector_rate = 1e-3,
				    .beta1 = 0.9, .beta2 = 0.95,
				    .eps = 1e-8 };

	return (optim_new(&o, n));
}

/* One step; the loss before it. */
static double
step(struct net *n, const struct net_batch *b, double total, struct optim *o)
{
	double	 loss;

	net_zero(n);
	net_forward(n, b);
	loss = net_loss(n, b, NULL, (float)(1 / total)) / total;
	net_backward(n, b);
	optim_step(o, 1);
	return (loss);
}

/* Read the losses of torch. */
static int
setup(void **state)
{
	char	*path = data_path("tune/reference.txt"), line[2048], *s, *end;
	FILE	*f = fopen(path, "r");
	int	 i = 0;

	(void)state;
	pool = pool_new(1);
	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, "adamw ", 6) == 0)
			for (s = line + 6; i < STEPS; s = end) {
				want[i] = strtod(s, &end);
				if (end == s)
					break;
				i++;
			}
	if (f != NULL)
		fclose(f);
	free(path);
	return (i == STEPS ? 0 : -1);
}

/* Release. */
static int
teardown(void **state)
{
	(void)state;
	pool_free(pool);
	return (0);
}

static void
test_losses_of_adamw_are_those_of_torch(void **state)
{
	struct net_batch	 b;
	double			 total, got;
	struct net		*n = make(&b, &total);
	struct optim		*o = adam(n, OPTIM_ADAMW);
	int			 i;

	(void)state;
	for (i = 0; i < STEPS; i++) {
		got = step(n, &b, total, o);
		if (fabs(got - want[i]) > 1e-3)
			fail_msg("step %d: loss %f, torch has %f", i, got,
			    want[i]);
	}
	optim_free(o);
	net_free(n);
	net_batch_clear(&b);
}

static void
test_adamw_in_8_bits_ends_within_1_percent(void **state)
{
	static const enum optim_kind kinds[] = { OPTIM_ADAMW, OPTIM_ADAMW8 };
	struct net_batch	 b;
	struct net		*n;
	struct optim		*o;
	double			 total, last[2];
	size_t			 bytes[2];
	int			 i, k;

	(void)state;
	for (k = 0; k < 2; k++) {
		n = make(&b, &total);
		o = adam(n, kinds[k]);
		for (i = 0; i < STEPS / 2; i++)
			last[k] = step(n, &b, total, o);
		bytes[k] = optim_bytes(o);
		optim_free(o);
		net_free(n);
		net_batch_clear(&b);
	}
	if (fabs(last[1] - last[0]) > 0.01 * last[0])
		fail_msg("loss %f in 8 bits, %f in 32", last[1], last[0]);
	assert_true(bytes[1] * 3 < bytes[0]);
}

static void
test_moments_in_8_bits_are_near(void **state)
{
	struct optim8	*q = optim8_new(2 * OPTIM8_BLOCK, 1);
	float		 x[OPTIM8_BLOCK], y[OPTIM8_BLOCK];
	uint64_t	 rng = 1;
	size_t		 i;

	(void)state;
	for (i = 0; i < OPTIM8_BLOCK; i++)
		x[i] = (float)(rng_normal(&rng) * 1e-3);
	x[0] = 0;
	optim8_pack(q, OPTIM8_BLOCK, x, OPTIM8_BLOCK);
	optim8_unpack(q, OPTIM8_BLOCK, y, OPTIM8_BLOCK);
	assert_true(y[0] == 0);
	for (i = 0; i < OPTIM8_BLOCK; i++)
		if (fabsf(x[i] - y[i]) > 0.06f * fabsf(x[i]) + 2e-5f)
			fail_msg("%g became %g", (double)x[i], (double)y[i]);
	optim8_free(q);
}

static void
test_steps_of_muon_are_nearly_orthogonal(void **state)
{
	struct optim_options	 opt = { .kind = OPTIM_MUON, .rate = 1,
				    .embed_rate = 1e-3, .vector_rate = 1e-3,
				    .beta1 = 0.9, .beta2 = 0.95,
				    .eps = 1e-8, .momentum = 0.95 };
	struct net_batch	 b;
	double			 total, dot, want_dot, row = 0;
	struct net		*n = make(&b, &total);
	struct optim		*o = optim_new(&opt, n);
	float			*p = net_param(n, TENSOR_ATTN, 1), *old;
	const int		 C = n->c.channels;
	size_t			 size = (size_t)C * (size_t)C * sizeof *p;
	int			 i, j, k;

	(void)state;
	old = xmalloc(size);
	memcpy(old, p, size);
	step(n, &b, total, o);
	for (i = 0; i < C * C; i++)
		old[i] -= p[i];
	for (i = 0; i < C; i++)
		for (j = 0; j < C; j++) {
			for (dot = 0, k = 0; k < C; k++)
				dot += (double)old[i * C + k] *
				    (double)old[j * C + k];
			want_dot = i == j ? 1 : 0;
			/* The iteration ends with singular values between
			 * about 0.7 and 1.2; small ones stay smaller. */
			if (fabs(dot - want_dot) > 0.6)
				fail_msg("rows %d, %d: %g", i, j, dot);
			row += i == j ? dot : 0;
		}
	assert_true(row > 0.4 * C && row < 1.5 * C);
	free(old);
	optim_free(o);
	net_free(n);
	net_batch_clear(&b);
}

static void
test_a_state_that_was_read_goes_on_with_the_same_bits(void **state)
{
	static const enum optim_kind kinds[] = { OPTIM_ADAMW, OPTIM_ADAMW8,
		OPTIM_MUON };
	struct net_batch	 b;
	double			 total;
	struct net		*n[2];
	struct optim		*o[2];
	FILE			*f;
	size_t			 k;
	int			 i;

	(void)state;
	for (k = 0; k < nitems(kinds); k++) {
		n[0] = make(&b, &total);
		o[0] = adam(n[0], kinds[k]);
		for (i = 0; i < 3; i++)
			step(n[0], &b, total, o[0]);
		assert_non_null(f = tmpfile());
		assert_int_equal(optim_write(o[0], f), 0);
		rewind(f);
		net_batch_clear(&b);
		n[1] = make(&b, &total);
		memcpy(n[1]->param, n[0]->param, n[0]->n * sizeof(float));
		o[1] = adam(n[1], kinds[k]);
		assert_int_equal(optim_read(o[1], f), 0);
		assert_int_equal(optim_read(o[1], f), -1);	/* its end */
		fclose(f);
		optim_free(o[1]);
		o[1] = adam(n[1], kinds[k]);
		assert_non_null(f = tmpfile());
		assert_int_equal(optim_write(o[0], f), 0);
		rewind(f);
		assert_int_equal(optim_read(o[1], f), 0);
		fclose(f);
		for (i = 0; i < 2; i++)
			step(n[i], &b, total, o[i]);
		assert_memory_equal(n[0]->param, n[1]->param,
		    n[0]->n * sizeof(float));
		for (i = 0; i < 2; i++) {
			optim_free(o[i]);
			net_free(n[i]);
		}
		net_batch_clear(&b);
	}
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_losses_of_adamw_are_those_of_torch),
		cmocka_unit_test(test_adamw_in_8_bits_ends_within_1_percent),
		cmocka_unit_test(test_moments_in_8_bits_are_near),
		cmocka_unit_test(test_steps_of_muon_are_nearly_orthogonal),
		cmocka_unit_test(
		    test_a_state_that_was_read_goes_on_with_the_same_bits)
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}

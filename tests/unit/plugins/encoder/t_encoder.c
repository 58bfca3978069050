/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pass of the encoder: against the reference library (tiny.json), against
 * plain sums of the same weights without rounded inputs, and the instruction
 * sets against each other, bit by bit.
 */
#include "encoder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "encoder_fixture.h"
#include "encoder_kernels.h"
#include "xmalloc.h"

/* Largest differences of a logit; the logits of the tiny model reach about 3.
 * Rounded inputs and weights against floats, and rounded inputs alone. */
#define REFERENCE_DIFF	0.30
#define ROUNDED_DIFF	0.08

static json_t	*cases;

/* The ids of a text, at most as many as the model takes. */
static size_t
ids_of(const struct encoder *e, const char *text, size_t len, uint32_t *ids)
{
	struct wordpiece_token	 out[ENCODER_TOKENS];
	size_t			 n, i;

	n = wordpiece_cut(&e->words, text, len, out, e->tokens - 2);
	ids[0] = e->id_cls;
	for (i = 0; i < n; i++)
		ids[i + 1] = out[i].id;
	ids[n + 1] = e->id_sep;
	return (n + 2);
}

/* A weight of a matrix. */
static double
weight(const struct encoder_matrix *m, uint32_t row, uint32_t col)
{
	return ((double)m->scale[row] * m->w[((size_t)(row / 16) * m->k / 4 +
	    col / 4) * 64 + row % 16 * 4 + col % 4]);
}

/* y = W ((x - shift) * mul) + bias. */
static void
slow_multiply(const struct encoder_matrix *m, const double *x,
    const float *shift, const float *mul, double *y)
{
	uint32_t	 i, j;
	double		 v;

	for (i = 0; i < m->n; i++) {
		y[i] = (double)m->bias[i];
		for (j = 0; j < m->k; j++) {
			v = x[j];
			if (shift != NULL)
				v = (v - (double)shift[j]) * (double)mul[j];
			y[i] += weight(m, i, j) * v;
		}
	}
}

/* LayerNorm. */
static void
slow_norm(double *x, const float *gamma, const float *beta, size_t h,
    double eps)
{
	double	 mean = 0, var = 0;
	size_t	 i;

	for (i = 0; i < h; i++)
		mean += x[i] / (double)h;
	for (i = 0; i < h; i++)
		var += (x[i] - mean) * (x[i] - mean) / (double)h;
	for (i = 0; i < h; i++)
		x[i] = (x[i] - mean) / sqrt(var + eps) * (double)gamma[i] +
		    (double)beta[i];
}

/* One layer for n tokens x[n][h]. */
static void
slow_layer(const struct encoder *e, const struct encoder_layer *l, size_t n,
    double *x)
{
	size_t	 h = e->hidden, d = h / e->heads, i, j, k, hd;
	double	*qkv = xcalloc(n * 3 * h, sizeof *qkv), sum, p[64];
	double	*ctx = xcalloc(n * h, sizeof *ctx), y[64], mid[256];

	for (i = 0; i < n; i++)
		slow_multiply(&l->qkv, x + i * h, l->in_shift, l->in_mul,
		    qkv + i * 3 * h);
	for (hd = 0; hd < e->heads; hd++) {
		for (i = 0; i < n; i++) {
			for (sum = 0, j = 0; j < n; j++) {
				p[j] = 0;
				for (k = hd * d; k < (hd + 1) * d; k++)
					p[j] += qkv[i * 3 * h + k] *
					    qkv[j * 3 * h + h + k];
				p[j] = exp(p[j] / sqrt((double)d));
				sum += p[j];
			}
			for (j = 0; j < n; j++)
				for (k = hd * d; k < (hd + 1) * d; k++)
					ctx[i * h + k] += p[j] / sum *
					    qkv[j * 3 * h + 2 * h + k];
		}
	}
	for (i = 0; i < n; i++) {
		slow_multiply(&l->out, ctx + i * h, NULL, NULL, y);
		for (k = 0; k < h; k++)
			x[i * h + k] += y[k];
		slow_norm(x + i * h, l->norm1_gamma, l->norm1_beta, h,
		    (double)e->eps);
		slow_multiply(&l->up, x + i * h, l->mid_shift, l->mid_mul, mid);
		for (k = 0; k < l->up.n; k++)
			mid[k] *= (1 + erf(mid[k] / sqrt(2))) / 2;
		slow_multiply(&l->down, mid, NULL, NULL, y);
		for (k = 0; k < h; k++)
			x[i * h + k] += y[k];
		slow_norm(x + i * h, l->norm2_gamma, l->norm2_beta, h,
		    (double)e->eps);
	}
	free(qkv);
	free(ctx);
}

/* The pass in plain sums of doubles. */
static void
slow_pass(const struct encoder *e, const uint32_t *ids, size_t n, float *logit)
{
	size_t	 h = e->hidden, i, k;
	double	*x = xcalloc(n * h, sizeof *x), sum;

	for (i = 0; i < n; i++) {
		for (k = 0; k < h; k++)
			x[i * h + k] = (double)e->word_scale[ids[i]] *
			    e->word[ids[i] * h + k] +
			    (double)e->position[i * h + k];
		slow_norm(x + i * h, e->norm_gamma, e->norm_beta, h,
		    (double)e->eps);
	}
	for (i = 0; i < e->layers; i++)
		slow_layer(e, &e->layer[i], n, x);
	for (i = 0; i < e->outputs; i++) {
		sum = (double)e->head_bias[i];
		for (k = 0; k < h; k++)
			sum += (double)e->head[i * h + k] * x[k];
		logit[i] = (float)sum;
	}
	free(x);
}

/* The reference library. */
static void
test_outputs_are_those_of_the_reference(void **state)
{
	struct encoder	*e = encfix_encoder("auto");
	uint32_t	 ids[ENCODER_TOKENS];
	float		 logit[ENCODER_OUTPUTS_MAX];
	json_t		*c, *t;
	size_t		 i, k, n;
	double		 want, top = 0;

	(void)state;
	json_array_foreach(cases, i, c) {
		t = json_object_get(c, "text");
		n = ids_of(e, json_string_value(t), json_string_length(t),
		    ids);
		assert_int_equal(encoder_pass(e, ids, n, logit), 0);
		for (k = 0; k < e->outputs; k++) {
			want = json_number_value(json_array_get(
			    json_object_get(c, "logits"), k));
			top = fmax(top, fabs(want));
			if (!(fabs(want - (double)logit[k]) <= REFERENCE_DIFF))
				fail_msg("\"%s\": output %zu is %g, not %g",
				    json_string_value(t), k,
				    (double)logit[k], want);
		}
	}
	assert_true(top > 1);
	encoder_free(e);
}

/* Plain sums. */
static void
test_rounded_inputs_change_little(void **state)
{
	struct encoder	*e = encfix_encoder("auto");
	uint32_t	 ids[ENCODER_TOKENS];
	float		 logit[ENCODER_OUTPUTS_MAX];
	float		 want[ENCODER_OUTPUTS_MAX];
	size_t		 i, k, n;

	(void)state;
	for (n = 2; n <= e->tokens; n++) {
		for (i = 0; i < n; i++)
			ids[i] = (uint32_t)(i * 37 + n * 11) % e->words.n;
		assert_int_equal(encoder_pass(e, ids, n, logit), 0);
		slow_pass(e, ids, n, want);
		for (k = 0; k < e->outputs; k++)
			if (!(fabsf(want[k] - logit[k]) <= ROUNDED_DIFF))
				fail_msg("%zu tokens: output %zu is %g, "
				    "not %g", n, k, (double)logit[k],
				    (double)want[k]);
	}
	encoder_free(e);
}

/* Instruction sets: whole passes. */
static void
test_each_instruction_set_gives_the_same_bits(void **state)
{
	struct encoder	*plain = encfix_encoder("plain"), *e;
	uint32_t	 ids[ENCODER_TOKENS];
	float		 a[ENCODER_OUTPUTS_MAX], b[ENCODER_OUTPUTS_MAX];
	size_t		 i, n;
	int		 isa;

	(void)state;
	for (isa = 0; encoder_isas[isa] != NULL; isa++) {
		if ((e = encfix_encoder(encoder_isas[isa])) == NULL)
			continue;
		for (n = 2; n <= e->tokens; n++) {
			for (i = 0; i < n; i++)
				ids[i] = (uint32_t)(i * i + n) % e->words.n;
			assert_int_equal(encoder_pass(plain, ids, n, a), 0);
			assert_int_equal(encoder_pass(e, ids, n, b), 0);
			assert_memory_equal(a, b, e->outputs * sizeof *a);
			assert_int_equal(encoder_agrees(e, ids, n), 0);
		}
		encoder_free(e);
	}
	encoder_free(plain);
}

/* Instruction sets: products at the bounds, which must not saturate. */
static void
test_products_at_the_bounds_are_exact(void **state)
{
	enum { N = 48, K = 64, ROWS = 13 };
	static int8_t		 w[N * K];
	static uint8_t		 q8[ROWS * K];
	static float		 ones[N], zeros[N], scale[ROWS];
	static float		 a[ROWS * N], b[ROWS * N];
	int32_t			 sums[N] = { 0 }, zero[ROWS];
	struct encoder_matrix	 m = { zeros, ones, w, sums, N, K };
	const struct encoder_kernels	*k;
	size_t			 i;
	int			 isa;

	(void)state;
	for (i = 0; i < sizeof w; i++)	/* 4 times 32 or -32 in each group */
		w[i] = (int8_t)((i / 64) % 3 == 0 ? 32 : (i / 64) % 3 == 1 ?
		    -32 : (int)(i * 7 % 64) - 32);
	for (i = 0; i < sizeof q8; i++)
		q8[i] = i / K % 2 == 0 ? 255 : (uint8_t)(i * 31);
	for (i = 0; i < N; i++)
		ones[i] = 1;
	for (i = 0; i < ROWS; i++) {
		scale[i] = 1;
		zero[i] = (int32_t)i * 19;
	}
	for (i = 0; i < N; i++)
		sums[i] = (int32_t)i - 20;
	encoder_plain.gemm(&m, 0, N, q8, scale, zero, ROWS, a, N);
	assert_true(a[0] != 0);
	for (isa = 0; encoder_isas[isa] != NULL; isa++) {
		if ((k = encoder_kernels_find(encoder_isas[isa])) == NULL)
			continue;
		memset(b, 0, sizeof b);
		k->gemm(&m, 0, N, q8, scale, zero, ROWS, b, N);
		assert_memory_equal(a, b, sizeof a);
		k->gemm(&m, 16, N, q8, scale, zero, ROWS, b, N);
		assert_memory_equal(a + 16, b, (N - 16) * sizeof *a);
	}
}

/* GELU. */
static void
test_gelu_is_close_to_the_function(void **state)
{
	float	 x[16000];
	double	 v, want;
	int	 i;

	(void)state;
	for (i = 0; i < 16000; i++)
		x[i] = (float)(i - 8000) / 500;
	encoder_kernels_find("auto")->gelu(x, 16000);
	for (i = 0; i < 16000; i++) {
		v = (double)((float)(i - 8000) / 500);
		want = v * (1 + erf(v / sqrt(2))) / 2;
		if (!(fabs((double)x[i] - want) <= 1e-6 * (1 + fabs(v))))
			fail_msg("gelu(%g) is %g, not %g", v, (double)x[i],
			    want);
	}
}

/* Run the tests. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_outputs_are_those_of_the_reference),
		cmocka_unit_test(test_rounded_inputs_change_little),
		cmocka_unit_test(test_each_instruction_set_gives_the_same_bits),
		cmocka_unit_test(test_products_at_the_bounds_are_exact),
		cmocka_unit_test(test_gelu_is_close_to_the_function),
	};
	char	*path = encfix_path("tiny.json");
	json_t	*root = json_load_file(path, JSON_ALLOW_NUL, NULL);
	int	 r;

	cases = json_object_get(root, "cases");
	r = cmocka_run_group_tests(tests, NULL, NULL);
	json_decref(root);
	free(path);
	return (r);
}

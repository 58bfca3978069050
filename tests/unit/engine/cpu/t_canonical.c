/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worked examples of doc/canonical.md, on every instruction set. The page
 * must have each value that is computed here, with its bits, under the same
 * heading.
 */
#include "kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dtype.h"
#include "fpmode.h"
#include "layout_index.h"
#include "neox.h"
#include "quant.h"
#include "xmalloc.h"

#define K_MAX	64

static char			*page;
static const struct kernels	*kern;		/* the variant in use */

/* Run a test with each variant, in the mode that the engine computes in. */
static void
every_isa(void (*test)(void))
{
	const char	*isa;
	uint64_t	 mode;
	int		 at = 0;

	while ((isa = neox_isa(&at)) != NULL) {
		kern = neox_kernels(isa);
		mode = fpmode_enter();
		test();
		fpmode_leave(mode);
	}
}

/* Check that x has the bits of want, and that the page has them under the
 * heading. */
static void
shown(const char *heading, float x, float want)
{
	char		*title = xasprintf("### %s\n", heading), *value, *from;
	char		*to;
	uint32_t	 bits;

	memcpy(&bits, &x, 4);
	if (memcmp(&x, &want, 4) != 0)
		fail_msg("%s: %s: %.9g (0x%08x), not %.9g", kern->name,
		    heading, (double)x, bits, (double)want);
	value = xasprintf("%.9g (0x%08x)", (double)x, bits);
	if ((from = strstr(page, title)) == NULL)
		fail_msg("doc/canonical.md: no %s", title);
	to = strstr(from + 1, "\n###");
	from = strstr(from, value);
	if (from == NULL || (to != NULL && from > to))
		fail_msg("doc/canonical.md: %s: no %s", heading, value);
	free(title);
	free(value);
}

/* A dot product of K numbers in bf16, by the kernel. */
static float
dot_bf16(const float *x, const float *w, int K)
{
	float		 out[PANEL] = { 0 };
	uint16_t	 panel[K_MAX * PANEL] = { 0 };
	struct matmul	 m = { .a = x, .lda = (size_t)K, .rows = 1, .K = K,
		.N = PANEL, .elem = ELEM_BF16, .w = panel, .end = MM_STORE,
		.out = out, .ldo = PANEL };
	int		 k;

	for (k = 0; k < K; k++)
		panel[layout_index(ELEM_BF16, (size_t)K, 0, (size_t)k)] =
		    dtype_bf16(w[k]);
	kern->matmul(&m, 0, 1);
	return (out[0]);
}

/* A dot product in another order: from left to right. */
static float
dot_plain(const float *x, const float *w, int K)
{
	float	 sum = 0;
	int	 k;

	for (k = 0; k < K; k++)
		sum = fmaf(x[k], w[k], sum);
	return (sum);
}

/* Two chains. */
static void
two_chains(void)
{
	static const float	 x[] = { 16777216, 1, 1, 1, -16777216, 1 };
	static const float	 w[] = { 1, 1, 1, 1, 1, 1 };

	shown("Two chains", dot_bf16(x, w, 6), 3);
	shown("Two chains", dot_plain(x, w, 6), 1);
}

/* Blocks of 32. */
static void
blocks_of_32(void)
{
	float	 x[34] = { 16777216, [32] = 1, [33] = 1 }, w[34];
	int	 k;

	for (k = 0; k < 34; k++)
		w[k] = 1;
	shown("Blocks of 32", dot_bf16(x, w, 34), 16777218);
	shown("Blocks of 32", dot_plain(x, w, 34), 16777216);
}

/* Denormals are zero. */
static void
denormals(void)
{
	float	 x[32], w[32];
	int	 k;

	for (k = 0; k < 32; k++) {
		x[k] = 0x1p-100f;
		w[k] = 0x1p-30f;
	}
	shown("Denormals", dot_bf16(x, w, 32), 0);
	x[0] = 0x1p-96f;
	shown("Denormals", dot_bf16(x, w, 32), 0x1.fp-126f);
}

/* Rounding to bf16. */
static void
rounding(void)
{
	static const float	 in[16] = { 1.00390625f, 1.01171875f,
					1.00390637f };
	float			 out[16];

	kern->round_bf16(in, out, 16);
	shown("Rounding to bf16", out[0], 1);
	shown("Rounding to bf16", out[1], 1.015625f);
	shown("Rounding to bf16", out[2], 1.0078125f);
}

/* The input of a product with weights in int8 or int4: one row, one column. */
struct quantized {
	struct qrows	 q;
	float		 x[K_MAX];
	uint8_t		 u[K_MAX];
	float		 scale8[PANEL];
	uint16_t	 scale4[K_MAX / GROUP * PANEL];
	uint8_t		 panel[K_MAX * PANEL];
	/* the row in int8 */
	int8_t		 q8[K_MAX];
	int32_t		 sums[K_MAX / GROUP], total, outlier[K_MAX];
	int		 noutliers;
	float		 scale;
};

/* Round the row, and multiply. */
static float
dot_quantized(struct quantized *s, enum elem elem)
{
	float		 out[PANEL];
	struct matmul	 m = { .a = s->x, .q = &s->q, .lda = K_MAX, .rows = 1,
		.K = K_MAX, .N = PANEL, .elem = elem, .w = s->panel,
		.scales = elem == ELEM_I8 ? (const void *)s->scale8 :
		s->scale4, .end = MM_STORE, .out = out, .ldo = PANEL };

	s->q = (struct qrows){ K_MAX, s->q8, s->sums, &s->total, &s->scale,
		s->outlier, &s->noutliers };
	kern->quantize(s->x, K_MAX, &s->q, 0);
	kern->matmul(&m, 0, 1);
	return (out[0]);
}

/* int8 with an outlier lane. */
static void
int8_outlier_lane(void)
{
	static const float	 w[K_MAX] = { 0.49609375f, -0.25f, 0.125f,
					0.0625f };
	struct quantized	 s = { .x = { 1.984375f, -0.51f, 8, 0.25f } };
	int			 k;

	quant_int8(w, K_MAX, s.u, &s.scale8[0]);
	for (k = 0; k < K_MAX; k++)
		s.panel[layout_index(ELEM_I8, K_MAX, 0, (size_t)k)] = s.u[k];
	shown("int8", dot_quantized(&s, ELEM_I8), 2.12896729f);
	shown("int8", s.scale, 0.015625f);
	shown("int8", s.scale8[0], 0.00390625f);
	assert_memory_equal(s.q8, ((int8_t[]){ 127, -33, 0, 16 }), 4);
	assert_memory_equal(s.u, ((uint8_t[]){ 255, 64, 160, 144 }), 4);
	assert_int_equal(s.noutliers, 1);
	assert_int_equal(s.outlier[0], 2);
}

/* int4 with two groups and an outlier lane. */
static void
int4_two_groups(void)
{
	static const float	 w[K_MAX] = { -4, 1.5f, [32] = 1, [33] = -0.25f,
					[34] = 0.5f };
	struct quantized		 s = { .x = { 1.984375f, 1, [32] = 0.5f,
					[33] = -1, [34] = 8 } };
	uint16_t		 half[2];
	float			 scale[2];
	int			 k;

	quant_int4(w, K_MAX, s.u, half);
	for (k = 0; k < K_MAX; k++)
		s.panel[layout_index(ELEM_I4, K_MAX, 0, (size_t)k)] |=
		    (uint8_t)(s.u[k] << layout_shift((size_t)k));
	s.scale4[layout_scale(ELEM_I4, K_MAX, 0, 0)] = half[0];
	s.scale4[layout_scale(ELEM_I4, K_MAX, 0, GROUP)] = half[1];
	dtype_to_f32(DTYPE_F16, half, scale, 2);
	shown("int4", scale[0], 0.5f);
	shown("int4", scale[1], -0.125f);
	shown("int4", dot_quantized(&s, ELEM_I4), -1.6875f);
	assert_memory_equal(s.u, ((uint8_t[]){ 0, 11 }), 2);
	assert_memory_equal(s.u + 32, ((uint8_t[]){ 0, 10, 4 }), 3);
	assert_memory_equal(s.q8, ((int8_t[]){ 127, 64 }), 2);
	assert_memory_equal(s.q8 + 32, ((int8_t[]){ 32, -64, 0 }), 3);
}

/* Layer norm: the sum of 16 lanes, and the result. */
static void
layer_norm(void)
{
	static const float	 far[16] = { 16777216, [4] = 1, [8] = 1,
					[12] = 1 };
	static const float	 near[16] = { 3, 1, 3, 1 }, gain[16] = { 1.5f };
	static const float	 bias[16] = { 0.25390625f };
	float			 mean, rstd, sum = 0, out[16];
	int			 i;

	kern->moments(far, 16, 1e-5f, &mean, &rstd);
	shown("Layer norm", mean, 1048576.125f);
	for (i = 0; i < 16; i++)
		sum += far[i];
	shown("Layer norm", sum / 16, 1048576);
	kern->moments(near, 4, 0, &mean, &rstd);
	shown("Layer norm", mean, 2);
	shown("Layer norm", rstd, 1);
	kern->normalize(near, 4, mean, rstd, gain, bias, 1, out);
	shown("Layer norm", out[0], 1.75f);
}

#define LANES	16

/* Attention of one head over n positions. Query, keys and values have one lane
 * that is not zero. */
static float
attend(float query, const float *key, const float *value, int n)
{
	uint16_t		 cache[2 * KV_BLOCK * LANES] = { 0 };
	int32_t			 block = 0;
	float			 qkv[3 * LANES] = { query }, out[LANES];
	float			 scratch[KV_BLOCK + LANES];
	struct backend_row	 row = { .pos = n - 1, .blocks = &block };
	struct attend		 a = { .rows = &row, .kv = { .elem = ELEM_BF16,
		.H = 1, .D = LANES, .blocks = 1 }, .cache = (uint8_t *)cache,
		.qkv = qkv,
		.ldqkv = 3 * LANES, .out = out, .ldo = LANES, .scale = 0.25f };
	uint16_t		*values = cache + KV_BLOCK * LANES;
	int			 i;

	kv_sizes(&a.kv);
	for (i = 0; i < n; i++) {
		cache[i * 2] = dtype_bf16(key[i]);
		values[i / 2 * 32 + i % 2] = dtype_bf16(value[i]);
	}
	kern->attend(&a, 0, 0, 1, scratch);
	return (out[0]);
}

/* Softmax, and the sum of the values. */
static void
attention(void)
{
	static const float	 same[] = { 1, 1, 1 }, value[] = { 1, 2, 4 };
	static const float	 key[] = { 1, 0 }, late[] = { 0, 8 };
	static const float	 in[16] = { -1, 0 };
	float			 out[16];

	shown("Attention", attend(4, same, value, 3), 2.328125f);
	kern->exp(in, out, 16);
	shown("Attention", out[0], 0.36787945f);
	shown("Attention", out[1], 1);
	kern->round_bf16(out, out, 16);
	shown("Attention", out[0], 0.3671875f);
	shown("Attention", attend(4, key, late, 2), 2.140625f);
}

/* A cache in int8 with two positions: the first one has a key, the second one
 * a value. */
static void
attention_int8(void)
{
	float			 qkv[2][3 * LANES] = {
		{ [LANES] = 1.984375f, 0.02f },
		{ 2, 2, [2 * LANES] = 3.04f, 7.9375f } };
	int32_t			 block = 0;
	struct backend_row	 rows[] = { { .pos = 0, .blocks = &block },
		{ .pos = 1, .blocks = &block } };
	float			 cache[KV_BLOCK * (LANES / 2 + 2)] = { 0 };
	float			 out[2][LANES], scratch[KV_BLOCK + LANES];
	struct attend		 a = { .rows = rows, .kv = { .elem = ELEM_Q8,
		.H = 1, .D = LANES, .blocks = 1 }, .cache = (uint8_t *)cache,
		.qkv = qkv[0], .ldqkv = 3 * LANES, .out = out[0],
		.ldo = LANES, .scale = 0.25f };
	const int8_t		*keys = (int8_t *)cache, *values;
	const float		 weight[16] = { -1 };

	kv_sizes(&a.kv);
	values = keys + kv_values(&a.kv, 0, 0);
	assert_int_equal(a.kv.block, sizeof cache);
	kern->rotary(&a, qkv[0], 0, 2, qkv[0], 0);
	assert_memory_equal(keys, ((int8_t[]){ 127, 1, 0, 0 }), 4);
	assert_memory_equal(values, ((int8_t[]){ 0, 49, 0, 127, 0, 0 }), 6);
	shown("Attention over int8", ((const float *)(const void *)(values -
	    KV_SCALES))[0], 0.015625f);
	shown("Attention over int8", ((const float *)(const void *)(values +
	    a.kv.values - KV_SCALES))[1], 0.0625f);
	kern->exp(weight, out[0], 16);
	shown("Attention over int8", out[0][0], 0.36787945f);
	kern->attend(&a, 0, 1, 2, scratch);
	shown("Attention over int8", out[1][0], 0.82421875f);
	out[0][0] = 49 * 0.0625f * 0.3671875f / 1.36787945f;
	kern->round_bf16(out[0], out[0], 16);
	shown("Attention over int8", out[0][0], 0.8203125f);
}

/* exp and both forms of GELU. */
static void
functions(void)
{
	static const float	 in[16] = { 1, -1, 0 };
	float			 out[16];

	kern->exp(in, out, 16);
	shown("exp and GELU", out[0], 2.71828175f);
	kern->gelu_erf(in, out, 16);
	shown("exp and GELU", out[0], 0.841344714f);
	shown("exp and GELU", out[1], -0.158655256f);
	kern->gelu_tanh(in, out, 16);
	shown("exp and GELU", out[0], 0.841192007f);
}

#define EXAMPLE(name, fn)						\
static void								\
name(void **state)							\
{									\
	(void)state;							\
	every_isa(fn);							\
}

EXAMPLE(even_and_odd_k_have_separate_sums, two_chains)
EXAMPLE(each_32_k_have_a_separate_sum, blocks_of_32)
EXAMPLE(denormals_are_zero, denormals)
EXAMPLE(bf16_is_rounded_to_even, rounding)
EXAMPLE(int8_keeps_outliers_in_fp32, int8_outlier_lane)
EXAMPLE(int4_sums_group_by_group, int4_two_groups)
EXAMPLE(norms_sum_over_sixteen_lanes, layer_norm)
EXAMPLE(attention_divides_at_the_end, attention)
EXAMPLE(attention_over_int8_does_not_round_weights, attention_int8)
EXAMPLE(functions_do_not_use_the_c_library, functions)

/* Read the page. */
static int
setup(void **state)
{
	const char	*src = getenv("srcdir");
	char		*path = xasprintf("%s/doc/canonical.md", src != NULL ?
			    src : ".");
	FILE		*fp = fopen(path, "r");
	size_t		 size = 0;

	(void)state;
	if (fp == NULL || getdelim(&page, &size, '\0', fp) == -1)
		fail_msg("%s: can't be read", path);
	fclose(fp);
	free(path);
	return (0);
}

/* Release it. */
static int
teardown(void **state)
{
	(void)state;
	free(page);
	return (0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(even_and_odd_k_have_separate_sums),
		cmocka_unit_test(each_32_k_have_a_separate_sum),
		cmocka_unit_test(denormals_are_zero),
		cmocka_unit_test(bf16_is_rounded_to_even),
		cmocka_unit_test(int8_keeps_outliers_in_fp32),
		cmocka_unit_test(int4_sums_group_by_group),
		cmocka_unit_test(norms_sum_over_sixteen_lanes),
		cmocka_unit_test(attention_divides_at_the_end),
		cmocka_unit_test(attention_over_int8_does_not_round_weights),
		cmocka_unit_test(functions_do_not_use_the_c_library)
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}

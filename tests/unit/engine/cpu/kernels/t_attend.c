/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KV cache in int8: the numbers that are written to it, and attention,
 * which must have the same bits as the reference kernels.
 */
#include "kernels.h"
#include "layout_index.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dtype.h"
#include "fpmode.h"
#include "neox.h"
#include "cpu_plan.h"
#include "xmalloc.h"

#define HEADS	2
#define ROWS	75	/* positions: two whole blocks and a part */
#define LANES	128	/* of a head, at most */
#define WIDTH	((size_t)HEADS * 3 * LANES)

/* Lanes of a head. Some are not a multiple of 16, 32 or 64. */
static const int	 sizes[] = { 10, 32, 48, 64, 80, 96, 128 };

/* One sequence: its input, its cache, and its output. */
struct sequence {
	struct backend_row	 rows[ROWS];
	int32_t			 blocks[3];
	float			 in[ROWS][WIDTH], qkv[ROWS][WIDTH];
	float			 out[ROWS][HEADS * LANES];
	float			 scratch[ATTEND_ROWS * (96 + LANES)];
	struct attend		 a;
	uint8_t			*cache;		/* owned */
};

/* The input query, key or value (0 to 2) of head h at position t. */
static float *
part(struct sequence *s, int t, int h, int which)
{
	return (s->in[t] + (h * 3 + which) * s->a.kv.D);
}

/*
 * Draw a sequence of heads of D lanes. Some lanes are much larger than the
 * others. Some keys and values are zero, or too small for a scale. The cache is
 * filled with bytes whose scales are NaN.
 */
static struct sequence *
sequence_new(int D, uint64_t seed)
{
	const struct model_config c = { .layers = 1, .heads = HEADS,
		.lanes = D, .context = 96 };
	const struct backend_options opt = { .kv_precision = "int8" };
	struct sequence	*s = xcalloc(1, sizeof *s);
	size_t		 n;
	int		 t, i;

	memcpy(s->blocks, (const int32_t[]){ 2, 0, 1 }, sizeof s->blocks);
	s->a = (struct attend){ .rows = s->rows, .qkv = s->qkv[0],
		.ldqkv = WIDTH, .out = s->out[0], .ldo = HEADS * LANES,
		.scale = 1 / sqrtf((float)D) };
	cpu_plan_cache(&c, PREC_BF16, &opt, &s->a.kv, &n);
	n = s->a.kv.block * (size_t)s->a.kv.blocks;
	s->a.cache = s->cache = xcalloc(n, 1);
	memset(s->cache, 0xff, n);
	for (t = 0; t < ROWS; t++) {
		s->rows[t] = (struct backend_row){ .pos = t,
			.blocks = s->blocks };
		for (i = 0; i < HEADS * 3 * D; i++) {
			s->in[t][i] = (float)neox_random(&seed, 1 << 24) *
			    0x1p-22f - 2;
			if (i % 31 == 7)
				s->in[t][i] *= 20;
		}
	}
	memset(part(s, 5, 0, 1), 0, (size_t)D * sizeof(float));
	memset(part(s, 6, 1, 2), 0, (size_t)D * sizeof(float));
	for (i = 0; i < D; i++)
		part(s, 40, 1, 1)[i] = part(s, 41, 0, 2)[i] = 1e-37f;
	return (s);
}

/* Release it. */
static void
sequence_free(struct sequence *s)
{
	free(s->cache);
	free(s);
}

/* Write all positions to the cache, and run attention `run` rows at a time. */
static void
sequence_run(struct sequence *s, const struct kernels *k, int run)
{
	int	 h, t;

	memcpy(s->qkv, s->in, sizeof s->in);
	for (h = 0; h < HEADS; h++) {
		k->rotary(&s->a, s->qkv[0], h, ROWS, s->qkv[0], 0);
		for (t = 0; t < ROWS; t += run)
			k->attend(&s->a, h, t, t + run < ROWS ? t + run :
			    ROWS, s->scratch);
	}
}

/* Compare the output with that of the reference kernels. */
static void
expect_reference(struct sequence *s, const char *isa, int run)
{
	const int	 D = s->a.kv.D;
	float		 got[ROWS][HEADS * LANES];
	int		 t, i;

	memcpy(got, s->out, sizeof got);
	sequence_run(s, &kernels_reference, 1);
	for (t = 0; t < ROWS; t++)
		for (i = 0; i < HEADS * D; i++)
			if (memcmp(&got[t][i], &s->out[t][i], 4) != 0)
				fail_msg("%s, %d lanes, runs of %d: position "
				    "%d, head %d, lane %d: %.9g, not %.9g",
				    isa, D, run, t, i / D, i % D,
				    (double)got[t][i], (double)s->out[t][i]);
}

/* Every size of heads, each instruction set, one or several rows at a time. */
static void
attention_in_int8_equals_the_reference(void **state)
{
	static const int	 runs[] = { 1, 3, ATTEND_ROWS };
	const uint64_t		 mode = fpmode_enter();
	struct sequence		*s;
	const char		*isa;
	size_t			 i, r;
	int			 at;

	(void)state;
	for (i = 0; i < nitems(sizes); i++)
		for (at = 0; (isa = neox_isa(&at)) != NULL; )
			for (r = 0; r < nitems(runs); r++) {
				s = sequence_new(sizes[i], i + 1);
				sequence_run(s, neox_kernels(isa), runs[r]);
				expect_reference(s, isa, runs[r]);
				sequence_free(s);
			}
	fpmode_leave(mode);
}

/* The address in the cache of lane i of head h at position t, of the key or
 * the value, and its scale. */
static int8_t *
stored(struct sequence *s, int t, int h, int i, int value, float *scale)
{
	const struct kv_shape	*kv = &s->a.kv;
	const size_t		 n = (size_t)(h * kv->blocks + s->blocks[t /
				    32]);
	uint8_t			*p = s->cache + n * kv->keys;

	if (value)
		p = s->cache + (size_t)(kv->H * kv->blocks) * kv->keys +
		    n * kv->values;
	memcpy(scale, p + (value ? kv->values : kv->keys) - 128 + t % 32 * 4,
	    sizeof *scale);
	t %= 32;
	if (value)
		p += layout_index(ELEM_Q8, KV_BLOCK, (size_t)i, (size_t)t);
	else
		p += layout_index(ELEM_Q8, (size_t)kv->D, (size_t)t,
		    (size_t)i);
	return ((int8_t *)p);
}

/* Each stored number differs by at most half a step from the input, and the
 * largest of a head is stored as 127. */
static void
stored_numbers_are_within_half_a_step(void **state)
{
	struct sequence	*s = sequence_new(80, 9);
	const float	*x;
	float		 scale;
	double		 step;
	int		 t, h, i, v, q, top;

	(void)state;
	sequence_run(s, &kernels_scalar, 1);
	for (t = 0; t < ROWS; t++)
		for (h = 0; h < HEADS; h++)
			for (v = 0; v < 2; v++) {
				x = part(s, t, h, 1 + v);
				for (top = 0, i = 0; i < 80; i++) {
					q = *stored(s, t, h, i, v, &scale);
					step = scale > 0 ? (double)scale *
					    0.5001 : 0x1p-126 * 127;
					assert_true(fabs((double)x[i] - q *
					    (double)scale) <= step);
					top = abs(q) > top ? abs(q) : top;
				}
				assert_int_equal(top, scale > 0 ? 127 : 0);
			}
	sequence_free(s);
}

/* If a key or value is NaN or infinite, all positions that see it get NaN. All
 * other positions and heads do not change, though the cache holds it beside
 * their own keys and values. */
static void
nan_reaches_only_the_positions_that_see_it(void **state)
{
	static const float	 bad[] = { NAN, INFINITY, -INFINITY };
	struct sequence		*s, *good;
	const char		*isa;
	size_t			 b;
	int			 at, t;

	(void)state;
	for (at = 0; (isa = neox_isa(&at)) != NULL; )
		for (b = 0; b < nitems(bad) * 2; b++) {
			good = sequence_new(48, 3);
			s = sequence_new(48, 3);
			part(s, 33, 1, b % 2 == 0 ? 1 : 2)[11] = bad[b / 2];
			sequence_run(good, neox_kernels(isa), ATTEND_ROWS);
			sequence_run(s, neox_kernels(isa), ATTEND_ROWS);
			for (t = 0; t < ROWS; t++) {
				assert_memory_equal(s->out[t], good->out[t],
				    48 * sizeof(float));
				if (t >= 33)
					assert_true(isnan(s->out[t][48]));
				else
					assert_memory_equal(s->out[t] + 48,
					    good->out[t] + 48, 48 *
					    sizeof(float));
			}
			sequence_free(good);
			sequence_free(s);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attention_in_int8_equals_the_reference),
		cmocka_unit_test(stored_numbers_are_within_half_a_step),
		cmocka_unit_test(nan_reaches_only_the_positions_that_see_it)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

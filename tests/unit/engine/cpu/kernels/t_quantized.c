/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int8 and int4: rounding of weights and of activations, and products, which
 * must have the same bits as the reference kernels.
 */
#include "layout_index.h"
#include "quant.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dtype.h"
#include "fpmode.h"
#include "kernels.h"
#include "layout.h"
#include "neox.h"
#include "xmalloc.h"

/* Draw a number between -scale and scale. */
static float
draw(uint64_t *seed, float scale)
{
	return (((float)neox_random(seed, 1 << 24) * 0x1p-23f - 1) * scale);
}

/* In int8, each number differs by at most half a step from its weight. */
static void
int8_weights_are_within_half_a_step(void **state)
{
	float	 w[77], scale, top;
	uint8_t	 u[77];
	uint64_t seed = 5;
	int	 k, round;

	(void)state;
	for (round = 0; round < 100; round++) {
		for (top = 0, k = 0; k < 77; k++) {
			w[k] = draw(&seed, 0.3f);
			top = fabsf(w[k]) > top ? fabsf(w[k]) : top;
		}
		quant_int8(w, 77, u, &scale);
		assert_true(fabsf(scale - top / 127) < 1e-6f * top);
		for (k = 0; k < 77; k++) {
			assert_true(u[k] >= 1);
			assert_true(fabsf(w[k] - (float)(u[k] - 128) * scale) <=
			    scale * 0.5001f);
		}
	}
	memset(w, 0, sizeof w);
	quant_int8(w, 77, u, &scale);
	assert_true(scale == 0 && u[0] == 128 && u[76] == 128);
	w[3] = 1e-37f;		/* 1 / scale would overflow */
	quant_int8(w, 77, u, &scale);
	assert_true(u[0] == 128 && u[3] == 128);
}

/* Convert an fp16 to a float. */
static float
half(uint16_t h)
{
	float	 x;

	dtype_to_f32(DTYPE_F16, &h, &x, 1);
	return (x);
}

/* In int4, the error is never larger than with the scale max / -8, and a group
 * that int4 can hold exactly is stored exactly. */
static void
int4_weights_are_as_near_as_the_plain_scale(void **state)
{
	float	 w[70], top, d, e, err, plain;
	uint8_t	 u[96];
	uint16_t scale[3];
	uint64_t seed = 6;
	int	 k, q, round;

	(void)state;
	for (round = 0; round < 200; round++) {
		for (k = 0; k < 70; k++)
			w[k] = draw(&seed, 1) * draw(&seed, 1);
		quant_int4(w, 70, u, scale);
		for (k = 70; k < 96; k++)
			assert_int_equal(u[k], 8);
		for (top = 0, k = 0; k < 32; k++)
			top = fabsf(w[k]) > fabsf(top) ? w[k] : top;
		d = half(dtype_f16(top / -8));
		for (err = plain = 0, k = 0; k < 32; k++) {
			assert_true(u[k] <= 15);
			e = w[k] - (float)(u[k] - 8) * half(scale[0]);
			err += e * e;
			q = (int)rintf(w[k] / d);
			e = w[k] - (float)(q > 7 ? 7 : q) * d;
			plain += e * e;
		}
		assert_true(err <= plain * 1.0001f);
	}
	for (k = 0; k < 64; k++)
		w[k] = (float)(k % 16 - 8) * 0.25f;
	quant_int4(w, 64, u, scale);
	for (k = 0; k < 64; k++)
		assert_true((float)(u[k] - 8) * half(scale[k / 32]) == w[k]);
	memset(w, 0, sizeof w);
	quant_int4(w, 64, u, scale);
	assert_true(half(scale[1]) == 0 && u[40] == 8);
	w[40] = QUANT_INT4_MAX;		/* some scales tried are infinite */
	quant_int4(w, 64, u, scale);
	assert_true((float)(u[40] - 8) * half(scale[1]) == QUANT_INT4_MAX);
	assert_true(u[41] == 8);
}

/* Draw a row of numbers between -x and x, with -x and 0. */
static void
draw_row(float *w, int n, float x, uint64_t *seed)
{
	int	 k;

	for (k = 0; k < n; k++)
		w[k] = draw(seed, 1) * x;
	w[n / 3] = -x;
	w[n / 2] = 0;
}

/* Very large and very small numbers never give NaN or infinity, with denormals
 * or without. */
static void
numbers_of_any_size_can_be_rounded(void **state)
{
	static const float	 sizes[] = { FLT_MAX, 1e30f, 600000,
		QUANT_INT4_MAX, 65504 * 7.9f, 65504, 1, 1e-4f, 1e-7f, 1e-30f,
		FLT_MIN * 128, FLT_MIN * 126, FLT_MIN, FLT_MIN / 2, 1e-44f };
	float	 w[64], scale, top;
	double	 step;
	uint16_t half4[2];
	uint8_t	 u[64];
	uint64_t seed = 7, mode;
	size_t	 i;
	int	 k, flush;

	(void)state;
	for (i = 0; i < 2 * nitems(sizes); i++) {
		flush = i % 2 == 1;
		top = sizes[i / 2];
		draw_row(w, 64, top, &seed);
		mode = flush ? fpmode_enter() : 0;
		quant_int4(w, 64, u, half4);
		quant_int8(w, 64, u, &scale);
		if (flush)
			fpmode_leave(mode);
		assert_true(isfinite(scale) && (scale == 0 ||
		    scale >= FLT_MIN));
		step = scale > 0 ? (double)scale * 0.5001 :
		    (double)FLT_MIN * 128;
		for (k = 0; k < 64; k++)
			if (u[k] < 1 || fabs((double)w[k] - (u[k] - 128) *
			    (double)scale) > step)
				fail_msg("int8: %g is %d of %g", (double)w[k],
				    u[k] - 128, (double)scale);
		quant_int4(w, 64, u, half4);
		for (k = 0; k < 64; k++) {
			step = (double)half(half4[k / 32]);
			assert_true(isfinite(step) && u[k] <= 15);
			if (top > QUANT_INT4_MAX)
				continue;
			/* scales in fp16 are multiples of 2^-24 */
			if (fabs((double)w[k] - (u[k] - 8) * step) >
			    (double)top / 7 + 0x1p-21)
				fail_msg("int4: %g is %d of %g", (double)w[k],
				    u[k] - 8, step);
		}
	}
}

#define ROWS	9
#define COLS	100
#define OUTS	37
#define COLS_UP	128
#define OUTS_UP	48

/* The input and the output of a product. */
struct product {
	float		 a[ROWS][COLS];
	struct qrows	 q;
	uint8_t		 u[OUTS_UP][COLS_UP];	/* weights, row by row */
	float		 scale8[OUTS_UP];
	uint16_t	 scale4[OUTS_UP][COLS_UP / GROUP];
	uint8_t		 panels[OUTS_UP * COLS_UP];
	uint16_t	 scales4[OUTS_UP * COLS_UP / GROUP];
	float		 bias[OUTS_UP];
	float		 out[ROWS][OUTS_UP];
	int8_t		 q8[ROWS * COLS_UP];
	int32_t		 sums[ROWS * COLS_UP / GROUP], total[ROWS];
	int32_t		 outlier[ROWS * COLS_UP], noutliers[ROWS];
	float		 scale[ROWS];
};

/* Draw a product. Some lanes are outliers, one row is zero, and one row has a
 * NaN. */
static struct product *
product_new(enum elem elem, uint64_t seed)
{
	struct product	*p = xcalloc(1, sizeof *p);
	float		 w[COLS_UP] = { 0 };
	int		 n, k, r;

	p->q = (struct qrows){ COLS_UP, p->q8, p->sums, p->total, p->scale,
		p->outlier, p->noutliers };
	for (r = 0; r < ROWS; r++)
		for (k = 0; k < COLS; k++) {
			p->a[r][k] = r == 4 ? 0 : draw(&seed, 2);
			if (r % 3 == 1 && r != 4 && k % 29 == 3)
				p->a[r][k] *= 50;
		}
	p->a[7][98] = NAN;
	for (n = 0; n < OUTS_UP; n++) {
		for (k = 0; k < COLS; k++)
			w[k] = n < OUTS ? draw(&seed, 0.4f) : 0;
		p->bias[n] = n < OUTS ? draw(&seed, 1) : 0;
		if (elem == ELEM_I8) {
			quant_int8(w, COLS, p->u[n], &p->scale8[n]);
			memset(p->u[n] + COLS, 128, COLS_UP - COLS);
			for (k = 0; k < COLS_UP; k++)
				p->panels[layout_index(elem, COLS_UP,
				    (size_t)n, (size_t)k)] = p->u[n][k];
			continue;
		}
		quant_int4(w, COLS, p->u[n], p->scale4[n]);
		for (k = 0; k < COLS_UP; k++)
			p->panels[layout_index(elem, COLS_UP, (size_t)n,
			    (size_t)k)] |= (uint8_t)(p->u[n][k] <<
			    layout_shift((size_t)k));
		for (k = 0; k < COLS_UP; k += GROUP)
			p->scales4[layout_scale(elem, COLS_UP, (size_t)n,
			    (size_t)k)] = p->scale4[n][k / GROUP];
	}
	return (p);
}

/* Check the rounded activations: within half a step, outliers listed, sums
 * right. */
static void
check_rows(const struct product *p)
{
	int	 r, k, i, sum, n;

	for (r = 0; r < ROWS; r++) {
		for (n = 0, sum = 0, k = 0; k < COLS_UP; k++) {
			i = p->q8[r * COLS_UP + k];
			sum += i;
			if (k < COLS && !(fabsf(p->a[r][k]) <= OUTLIER)) {
				assert_int_equal(i, 0);
				assert_int_equal(p->outlier[r * COLS_UP + n++],
				    k);
			} else if (k < COLS)
				assert_true(fabsf(p->a[r][k] - (float)i *
				    p->scale[r]) <= p->scale[r] * 0.5001f);
			else
				assert_int_equal(i, 0);
			if (k % GROUP == GROUP - 1) {
				assert_int_equal(p->sums[(r * COLS_UP + k) /
				    GROUP], sum);
				sum = 0;
			}
		}
		assert_int_equal(p->noutliers[r], n);
	}
	assert_int_equal(p->noutliers[4], 0);
	assert_true(p->scale[4] == 0);
	assert_int_equal(p->noutliers[1], 4);
}

/* Compare p->out with the reference kernels: the same bits, or both NaN. */
static void
expect_reference(struct product *p, struct matmul *m, const char *isa)
{
	float	 want[ROWS][OUTS_UP];
	int	 r, n;

	m->out = want[0];
	kernels_reference.matmul(m, 0, OUTS_UP / PANEL);
	m->out = p->out[0];
	for (r = 0; r < m->rows; r++)
		for (n = 0; n < OUTS; n++) {
			if (isnan(want[r][n]) && isnan(p->out[r][n]))
				continue;
			if (memcmp(&want[r][n], &p->out[r][n], 4) != 0)
				fail_msg("%s: row %d, column %d: %.9g, not "
				    "%.9g", isa, r, n, (double)p->out[r][n],
				    (double)want[r][n]);
		}
}

/* Each instruction set, some rows and panels at a time. */
static void
products_equal_the_reference(void **state)
{
	const struct kernels	*kern;
	struct product		*p;
	struct matmul		 m;
	const char		*isa;
	enum elem		 elem;
	int			 at, r, rows, i4;

	(void)state;
	for (i4 = 0; i4 < 2; i4++) {
		elem = i4 ? ELEM_I4 : ELEM_I8;
		for (at = 0; (isa = neox_isa(&at)) != NULL; ) {
			kern = neox_kernels(isa);
			p = product_new(elem, 77);
			for (r = 0; r < ROWS; r++)
				kern->quantize(p->a[r], COLS, &p->q, r);
			check_rows(p);
			m = (struct matmul){ .a = p->a[0], .q = &p->q,
			    .lda = COLS, .K = COLS, .N = OUTS, .elem = elem,
			    .w = p->panels, .scales = i4 ?
			    (const void *)p->scales4 : p->scale8,
			    .bias = p->bias, .end = MM_STORE,
			    .out = p->out[0], .ldo = OUTS_UP };
			for (rows = 1; rows <= ROWS; rows += ROWS - 1) {
				memset(p->out, 0x7f, sizeof p->out);
				m.rows = rows;
				kern->matmul(&m, 0, 1);
				kern->matmul(&m, 1, OUTS_UP / PANEL);
				expect_reference(p, &m, isa);
			}
			assert_true(isnan(p->out[7][0]));
			free(p);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(int8_weights_are_within_half_a_step),
		cmocka_unit_test(int4_weights_are_as_near_as_the_plain_scale),
		cmocka_unit_test(numbers_of_any_size_can_be_rounded),
		cmocka_unit_test(products_equal_the_reference)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

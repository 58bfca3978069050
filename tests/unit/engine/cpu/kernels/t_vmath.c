/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The elementary functions of the CPU kernels: their errors, and that every
 * variant gives the same bits, also for unusual numbers; and the order of sums
 * in products.
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
#include "neox.h"
#include "xmalloc.h"

#define NUMBERS	(1 << 16)

/* Unusual floats: denormals, infinities, ends of ranges. */
static const float odd[] = { 0.0f, -0.0f, 1e-45f, -1e-45f, 1e-40f, -1e-40f,
	1.17549435e-38f, -1.17549435e-38f, 3.40282347e38f, -3.40282347e38f,
	INFINITY, -INFINITY, 1.0f, -1.0f, 0.5f, 13.99f, -13.99f, 14.0f,
	-14.0f, 14.01f, -14.01f, 86.5f, -86.5f, -86.49f, 88.5f, 88.49f, 88.72f,
	-88.0f, 1e30f, -1e30f, 1e19f, -1e19f, 3.0f, -3.0f, 0.34657359f };

static float	 in[NUMBERS], out[NUMBERS];

/* Fill in with any floats but NaN: its bits are not promised. */
static void
fill_bits(uint64_t seed)
{
	uint32_t	 bits;
	size_t		 i;

	for (i = 0; i < NUMBERS; i++)
		do {
			bits = neox_random(&seed, 1 << 16) << 16 |
			    neox_random(&seed, 1 << 16);
			memcpy(&in[i], &bits, 4);
		} while (isnan(in[i]));
	memcpy(in, odd, sizeof odd);
}

/* Fill in with evenly spaced numbers from a to b. */
static void
fill_range(double a, double b)
{
	int	 i;

	for (i = 0; i < NUMBERS; i++)
		in[i] = (float)(a + (b - a) * i / (NUMBERS - 1));
}

/* The largest error of out, in units of the last place of the exact value, or
 * of low if low is larger. */
static double
worst_ulp(double (*exact)(double), double low)
{
	double	 want, unit, e, worst = 0;
	int	 i;

	for (i = 0; i < NUMBERS; i++) {
		want = exact((double)in[i]);
		unit = ldexp(1, ilogb(fmax(fabs(want), low)) - 23);
		e = fabs((double)out[i] - want) / unit;
		worst = e > worst || isnan(e) ? e : worst;
	}
	return (worst);
}

/* x/2 (1 + erf(x / sqrt 2)), computed by erfc, which is also exact for large
 * negative x. */
static double
exact_gelu_erf(double x)
{
	return (x / 2 * erfc(-x / sqrt(2)));
}

/* x/2 (1 + tanh(u)) = x / (1 + exp(-2u)). */
static double
exact_gelu_tanh(double x)
{
	double	 u = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);

	return (x / (1 + exp(-2 * u)));
}

/* The errors over the ranges in use. The limits are those of vmath.h. */
static void
errors_stay_below_the_limits_of_vmath_h(void **state)
{
	const struct kernels *k = kernels_find("auto");
	const struct {
		const char	*name;
		void		(*fn)(const float *, float *, int);
		double		(*exact)(double);
		double		 from, to, low, limit;
	} cases[] = {
		{ "exp", k->exp, exp, -86.5, 88.5, 0, 1.5 },
		{ "exp", k->exp, exp, -1, 1, 0, 1.5 },
		{ "gelu_erf", k->gelu_erf, exact_gelu_erf, -14, 14, 0x1p-20,
		    5 },
		{ "gelu_erf", k->gelu_erf, exact_gelu_erf, -1, 1, 0x1p-20, 5 },
		{ "gelu_tanh", k->gelu_tanh, exact_gelu_tanh, -10, 10,
		    0x1p-20, 20 },
		{ "gelu_tanh", k->gelu_tanh, exact_gelu_tanh, -1, 1, 0x1p-20,
		    5 }
	};
	double	 e;
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		fill_range(cases[i].from, cases[i].to);
		cases[i].fn(in, out, NUMBERS);
		e = worst_ulp(cases[i].exact, cases[i].low);
		print_message("    %s from %g to %g: %.2f ulp\n",
		    cases[i].name, cases[i].from, cases[i].to, e);
		assert_true(e < cases[i].limit);
	}
}

/* Beyond the ends of the ranges, at infinity, and NaN. */
static void
ends_are_exact(void **state)
{
	const struct kernels *k = kernels_find("auto");
	float	 x[16] = { -86.6f, -INFINITY, 88.6f, INFINITY, 0, -20, 20,
		    NAN };
	float	 y[16];

	(void)state;
	k->exp(x, y, 16);
	assert_true(y[0] == 0 && y[1] == 0);
	assert_true(isinf(y[2]) && isinf(y[3]) && y[4] == 1);
	assert_true(isnan(y[7]));
	k->gelu_erf(x, y, 16);
	assert_true(y[3] == INFINITY && y[4] == 0 && y[5] == 0 && y[6] == 20);
	assert_true(isnan(y[7]));
	k->gelu_tanh(x, y, 16);
	assert_true(y[3] == INFINITY && y[4] == 0 && y[5] == 0 && y[6] == 20);
	assert_true(isnan(y[7]));
}

/* Compare with another way to round to bf16: take the nearer neighbour, and on
 * a tie the even one. */
static void
rounding_to_bf16_is_to_nearest_even(void **state)
{
	const struct kernels *k = kernels_find("auto");
	uint32_t	 bits, down, up;
	float		 lo, hi, want;
	double		 a, b;
	int		 i;

	(void)state;
	fill_bits(3);
	for (i = 1000; i < 2000; i++) {		/* ties */
		memcpy(&bits, &in[i], 4);
		bits = (bits & 0xffff0000) | 0x8000;
		memcpy(&in[i], &bits, 4);
		if (isnan(in[i]))
			in[i] = 1;
	}
	k->round_bf16(in, out, NUMBERS);
	for (i = 0; i < NUMBERS; i++) {
		memcpy(&bits, &in[i], 4);
		down = bits & 0xffff0000;
		up = down + 0x10000;
		memcpy(&lo, &down, 4);
		memcpy(&hi, &up, 4);
		if (isinf(in[i]) || lo == in[i])
			want = in[i];
		else if (isinf(hi))	/* half way to what would be 2^128 */
			want = fabs((double)in[i]) < 0x1.ffp127 ? lo : hi;
		else {
			a = fabs((double)in[i] - (double)lo);
			b = fabs((double)hi - (double)in[i]);
			want = a < b || (a == b && (down >> 16 & 1) == 0) ?
			    lo : hi;
		}
		if (memcmp(&want, &out[i], 4) != 0)
			fail_msg("%.9g: %.9g, expected %.9g", (double)in[i],
			    (double)out[i], (double)want);
		bits = (uint32_t)dtype_bf16(in[i]) << 16;
		assert_memory_equal(&bits, &want, 4);
	}
}

/* Apply function number `which` of a variant to in. */
static void
map(const struct kernels *k, int which, float *to)
{
	void	(*all[])(const float *, float *, int) = { k->exp, k->gelu_erf,
		k->gelu_tanh, k->round_bf16 };

	all[which](in, to, NUMBERS);
}

/* Compare every variant with scalar on the numbers in in. */
static void
compare_variants(int which)
{
	static float	 want[NUMBERS];
	const char	*isa;
	int		 at, i;

	map(&kernels_scalar, which, want);
	for (at = 0; (isa = neox_isa(&at)) != NULL; ) {
		map(neox_kernels(isa), which, out);
		for (i = 0; i < NUMBERS; i++)
			if (memcmp(&want[i], &out[i], 4) != 0 &&
			    !(isnan(want[i]) && isnan(out[i])))
				fail_msg("%s %d of %a: %a, expected %a", isa,
				    which, (double)in[i], (double)out[i],
				    (double)want[i]);
	}
}

/* The same bits, with denormals taken as zero (as in a step) and without. */
static void
variants_give_the_same_bits(void **state)
{
	uint64_t	 seed, mode;
	int		 which;

	(void)state;
	for (seed = 1; seed <= 4; seed++) {
		if (seed < 4)
			fill_bits(seed);
		else
			fill_range(-20, 20);
		for (which = 0; which < 4; which++) {
			compare_variants(which);
			mode = fpmode_enter();
			compare_variants(which);
			fpmode_leave(mode);
		}
	}
}

/* The shape of a product. */
struct shape {
	int	 rows, K, N;
};

/* n random numbers. */
static float *
random_floats(size_t n, uint64_t *seed)
{
	float	*x = xcalloc(n, sizeof *x);
	size_t	 i;

	for (i = 0; i < n; i++)
		x[i] = (float)neox_random(seed, 1 << 20) / 777777 - 1;
	return (x);
}

/* Small and uneven shapes, by each variant. */
static void
products_are_summed_in_the_canonical_order(void **state)
{
	static const struct shape shapes[] = { { 1, 2, 1 }, { 1, 96, 130 },
		{ 3, 30, 16 }, { 7, 34, 17 }, { 8, 600, 33 }, { 15, 1090, 16 },
		{ 67, 64, 15 } };
	const struct shape *s;
	float		*a, *w, *bias, *want, *got;
	const char	*isa;
	uint64_t	 seed = 9;
	size_t		 i, ldo;
	int		 at, r;

	(void)state;
	for (i = 0; i < nitems(shapes); i++) {
		s = &shapes[i];
		ldo = ROUND_UP((size_t)s->N, PANEL);
		a = random_floats((size_t)(s->rows * s->K), &seed);
		w = random_floats(ldo * (size_t)s->K, &seed);
		bias = random_floats(ldo, &seed);
		want = xcalloc((size_t)s->rows * ldo, sizeof *want);
		got = xcalloc((size_t)s->rows * ldo, sizeof *got);
		struct matmul m = { .a = a, .lda = (size_t)s->K,
			.rows = s->rows, .K = s->K, .N = s->N,
			.elem = ELEM_F32, .w = w, .bias = bias,
			.end = MM_STORE, .out = want, .ldo = ldo };

		kernels_reference.matmul(&m, 0, (int)ldo / PANEL);
		m.out = got;
		for (at = 0; (isa = neox_isa(&at)) != NULL; ) {
			neox_kernels(isa)->matmul(&m, 0, (int)ldo / PANEL);
			for (r = 0; r < s->rows; r++)
				assert_memory_equal(want + (size_t)r * ldo,
				    got + (size_t)r * ldo,
				    (size_t)s->N * sizeof *got);
		}
		free(a);
		free(w);
		free(bias);
		free(want);
		free(got);
	}
}

/* Every number of fp16. */
static void
halves_widen_exactly(void **state)
{
	uint8_t	 raw[2];
	double	 want;
	float	 x;
	int	 h, e, m;

	(void)state;
	for (h = 0; h < 65536; h++) {
		raw[0] = (uint8_t)h;
		raw[1] = (uint8_t)(h >> 8);
		dtype_to_f32(DTYPE_F16, raw, &x, 1);
		e = h >> 10 & 31;
		m = h & 1023;
		if (e == 31 && m != 0) {
			assert_true(isnan(x));
			continue;
		}
		want = e == 31 ? INFINITY : e == 0 ? ldexp(m, -24) :
		    ldexp(1024 + m, e - 25);
		assert_true((double)x == (h & 0x8000 ? -want : want));
		assert_int_equal(!!signbit(x), h >> 15);
	}
}

/* The other types. */
static void
other_types_are_read(void **state)
{
	static const uint8_t f32[] = { 0, 0, 0xc0, 0x3f };
	static const uint8_t bf16[] = { 0x20, 0xc0 };
	static const uint8_t f64[] = { 0, 0, 0, 0, 0, 0, 0xf4, 0xbf };
	float	 x;

	(void)state;
	dtype_to_f32(DTYPE_F32, f32, &x, 1);
	assert_true(x == 1.5f);
	dtype_to_f32(DTYPE_BF16, bf16, &x, 1);
	assert_true(x == -2.5f);
	dtype_to_f32(DTYPE_F64, f64, &x, 1);
	assert_true(x == -1.25f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_stay_below_the_limits_of_vmath_h),
		cmocka_unit_test(ends_are_exact),
		cmocka_unit_test(rounding_to_bf16_is_to_nearest_even),
		cmocka_unit_test(variants_give_the_same_bits),
		cmocka_unit_test(products_are_summed_in_the_canonical_order),
		cmocka_unit_test(halves_widen_exactly),
		cmocka_unit_test(other_types_are_read)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

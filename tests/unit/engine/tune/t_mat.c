/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of the trainer, against a loop in double: each variant of the
 * arithmetic; and the device that CHATD_TEST_DEVICE names, whose module may be
 * in the folder CHATD_MODULES.
 */
#include "mat.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "err.h"
#include "mat_device.h"
#include "pool.h"
#include "rng.h"
#include "xmalloc.h"

#define GUARD	12345.5f	/* in numbers that no product may write */
#define WIDE	7		/* columns of C that are not the product's */

static const char *const isas[] = { "scalar", "avx2", "avx512",
	"avx512bf16", "avx512fp16", "amx" };

static const struct shape {
	int	 M, N, K;
} shapes[] = { { 1, 1, 1 }, { 1, 33, 17 }, { 5, 3, 2 }, { 31, 32, 33 },
	{ 70, 64, 48 }, { 129, 1, 65 }, { 40, 50, 1030 } };

/* One product: its operands, and what it must give. */
struct product {
	struct shape	 s;
	int		 add;
	float		*x, *y, *c;
	double		*want, *size;	/* size: the sum of absolute values */
	struct mat_in	 a, b;
};

/* A number that bf16 has. */
static float
number(uint64_t *seed)
{
	float		 v = (float)rng_normal(seed);
	uint32_t	 u;

	memcpy(&u, &v, sizeof u);
	u &= 0xffff0000;
	memcpy(&v, &u, sizeof v);
	return (v);
}

/* An operand in one of the two orders, its lines further apart than they are
 * long. */
static struct mat_in
operand(float **x, int rows, int k, int across, uint64_t *seed)
{
	const int	 ld = (across ? rows : k) + 3;
	const size_t	 n = (size_t)(across ? k : rows) * (size_t)ld;
	struct mat_in	 in = { NULL, across ? 1 : ld, across ? ld : 1 };
	size_t		 i;

	in.x = *x = mat_floats(n);
	for (i = 0; i < n; i++)
		(*x)[i] = number(seed);
	return (in);
}

/* Draw a product. */
static void
product_init(struct product *p, struct shape s, int order, int add)
{
	uint64_t	 seed = rng_seed((uint64_t)s.K, (uint64_t)order);
	const size_t	 n = (size_t)s.M * (size_t)(s.N + WIDE);
	double		 v;
	int		 i, j, k;
	size_t		 at;

	p->s = s;
	p->add = add;
	p->a = operand(&p->x, s.M, s.K, order & 1, &seed);
	p->b = operand(&p->y, s.N, s.K, order >> 1, &seed);
	p->c = mat_floats(n);
	p->want = xcalloc(n, sizeof *p->want);
	p->size = xcalloc(n, sizeof *p->size);
	for (i = 0; i < s.M; i++)
		for (j = 0; j < s.N + WIDE; j++) {
			at = (size_t)i * (size_t)(s.N + WIDE) + (size_t)j;
			p->c[at] = j < s.N && add ? number(&seed) : GUARD;
			p->want[at] = j < s.N && !add ? 0 : (double)p->c[at];
			for (k = 0; j < s.N && k < s.K; k++) {
				v = (double)p->a.x[i * p->a.rs +
				    k * p->a.cs] *
				    (double)p->b.x[j * p->b.rs + k * p->b.cs];
				p->want[at] += v;
				p->size[at] += fabs(v);
			}
		}
}

/* Release it. */
static void
product_clear(struct product *p)
{
	free(p->x);
	free(p->y);
	free(p->c);
	free(p->want);
	free(p->size);
}

/* Compare: |c - want| <= 1e-5 * size + 1e-6; sums in fp16 have 11 bits. */
static void
product_check(const struct product *p, const char *what)
{
	const int	 ld = p->s.N + WIDE;
	const double	 tol = strcmp(what, "avx512fp16") == 0 ? 2e-3 : 1e-5;
	int		 i;

	for (i = 0; i < p->s.M * ld; i++)
		if (!(fabs((double)p->c[i] - p->want[i]) <=
		    tol * p->size[i] + (i % ld < p->s.N ? 1e-6 : 0)))
			fail_msg("%s: %d x %d x %d, strides %td %td, %td %td, "
			    "add %d: [%d][%d]: found %g, expected %g", what,
			    p->s.M, p->s.N, p->s.K, p->a.rs, p->a.cs, p->b.rs,
			    p->b.cs, p->add, i / ld, i % ld,
			    (double)p->c[i], p->want[i]);
}

/* All shapes in all orders, at once and with an operand that is used again. */
static void
check_products(struct mat *m, const char *what)
{
	struct product	 p;
	void		*b;
	size_t		 i;
	int		 k;

	for (i = 0; i < nitems(shapes); i++) {
		/* Its order and its content change. */
		b = mat_operand(m, shapes[i].N, shapes[i].K);
		for (k = 0; k < 16; k++) {
			product_init(&p, shapes[i], k & 3, k >> 2 & 1);
			if (k < 8) {
				mat_mul(m, p.s.M, p.s.N, p.s.K, p.a, p.b, p.c,
				    p.s.N + WIDE, p.add);
			} else {
				mat_prepare(m, p.s.N, p.s.K, p.b, b);
				mat_mul_packed(m, p.s.M, p.s.N, p.s.K, p.a, b,
				    p.c, p.s.N + WIDE, p.add);
			}
			product_check(&p, what);
			product_clear(&p);
		}
		mat_operand_free(m, b);
	}
}

/* Every variant multiplies as a loop does. */
static void
products_are_right(void **state)
{
	const struct mat_kind	*kind;
	struct pool		*pool = pool_new(3);
	struct mat		 m;
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(isas); i++)
		if ((kind = mat_find(isas[i])) != NULL) {
			mat_init(&m, kind, pool);
			check_products(&m, isas[i]);
			mat_clear(&m);
		}
	pool_free(pool);
}

/* Multiply x[n] by 2^e. */
static void
scale(float *x, size_t n, int e)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		x[i] = ldexpf(x[i], e);
}

/* Powers of 2 in the operands are found again in the product, to the bit: no
 * variant has too small a range. */
static void
products_keep_powers_of_two(void **state)
{
	enum { M = 33, N = 40, K = 100 };
	static const int	 power[][2] = { { 40, -40 }, { -50, 3 },
				    { 30, 31 }, { -20, -45 } };
	const struct mat_kind	*kind;
	struct pool		*pool = pool_new(2);
	struct mat		 m;
	float			*a = mat_floats(M * K), *b = mat_floats(N * K);
	float			*c = mat_floats(M * N), *d = mat_floats(M * N);
	uint64_t		 seed = 3;
	size_t			 i, k;

	(void)state;
	for (i = 0; i < M * K; i++)
		a[i] = number(&seed);
	for (i = 0; i < N * K; i++)
		b[i] = number(&seed);
	for (i = 0; i < nitems(isas); i++) {
		if ((kind = mat_find(isas[i])) == NULL)
			continue;
		mat_init(&m, kind, pool);
		for (k = 0; k < nitems(power); k++) {
			mat_mul(&m, M, N, K, (struct mat_in){ a, K, 1 },
			    (struct mat_in){ b, 1, N }, c, N, 0);
			scale(a, M * K, power[k][0]);
			scale(b, N * K, power[k][1]);
			mat_mul(&m, M, N, K, (struct mat_in){ a, K, 1 },
			    (struct mat_in){ b, 1, N }, d, N, 0);
			scale(a, M * K, -power[k][0]);
			scale(b, N * K, -power[k][1]);
			scale(d, M * N, -power[k][0] - power[k][1]);
			if (memcmp(c, d, M * N * sizeof *c) != 0)
				fail_msg("%s: powers %d and %d change the "
				    "product", isas[i], power[k][0],
				    power[k][1]);
		}
		mat_clear(&m);
	}
	free(a);
	free(b);
	free(c);
	free(d);
	pool_free(pool);
}

/* What is not a number stays visible, and zeros are no fault. */
static void
products_show_what_is_not_finite(void **state)
{
	static const float	 odd[] = { INFINITY, -INFINITY, NAN };
	const struct mat_kind	*kind;
	struct pool		*pool = pool_new(1);
	struct mat		 m;
	float			*a = mat_floats(64 * 64);
	float			*c = mat_floats(64 * 64);
	size_t			 i, k;

	(void)state;
	for (i = 0; i < nitems(isas); i++) {
		if ((kind = mat_find(isas[i])) == NULL)
			continue;
		mat_init(&m, kind, pool);
		memset(a, 0, 64 * 64 * sizeof *a);
		mat_mul(&m, 64, 64, 64, (struct mat_in){ a, 64, 1 },
		    (struct mat_in){ a, 64, 1 }, c, 64, 0);
		for (k = 0; k < 64 * 64; k++)
			assert_true(c[k] == 0);
		for (k = 0; k < nitems(odd); k++) {
			a[5 * 64 + 7] = odd[k];
			mat_mul(&m, 64, 64, 64, (struct mat_in){ a, 64, 1 },
			    (struct mat_in){ a, 64, 1 }, c, 64, 0);
			if (isfinite(c[5 * 64 + 5]))
				fail_msg("%s: %f became %f", isas[i],
				    (double)odd[k], (double)c[5 * 64 + 5]);
		}
		mat_clear(&m);
	}
	free(a);
	free(c);
	pool_free(pool);
}

/* The device of the environment; skips without one. */
static struct mat_device *
device(void)
{
	const char		*name = getenv("CHATD_TEST_DEVICE");
	struct mat_device	*d;
	struct fault		 f;

	if (name == NULL)
		skip();
	if (mat_device_open(name, &d, &f) != 0)
		fail_msg("%s", f.message);
	assert_non_null(d);
	return (d);
}

/* So does a device. */
static void
products_of_a_device_are_right(void **state)
{
	struct mat_device	*d = device();
	struct pool		*pool = pool_new(3);
	struct mat		 m;

	(void)state;
	mat_init(&m, mat_find("scalar"), pool);
	m.device = d;
	check_products(&m, mat_device_name(d));
	mat_clear(&m);
	mat_device_free(d);
	pool_free(pool);
}

/* A second run gives the same bits, with another number of threads. Operands
 * are rounded as bf16 is. */
static void
bits_of_a_device_are_the_same_again(void **state)
{
	struct mat_device	*d = device();
	struct product		 p, q;
	struct pool		*pool;
	struct mat		 m;
	int			 i;

	(void)state;
	product_init(&p, shapes[6], 1, 0);
	product_init(&q, shapes[6], 1, 0);
	for (i = 0; i < 1033 * 40; i++)
		p.x[i] *= 1.001f;
	for (i = 0; i < 2; i++) {
		pool = pool_new(1 + 2 * i);
		mat_init(&m, mat_find("scalar"), pool);
		m.device = d;
		mat_mul(&m, p.s.M, p.s.N, p.s.K, p.a, p.b, i == 0 ? p.c : q.c,
		    p.s.N + WIDE, 0);
		assert_true(m.flops == 2.0 * 40 * 50 * 1030);
		mat_clear(&m);
		pool_free(pool);
	}
	assert_memory_equal(p.c, q.c, 40 * (50 + WIDE) * sizeof *p.c);
	product_clear(&p);
	product_clear(&q);
	mat_device_free(d);
}

/* NaN and infinity arrive, and too large numbers become infinity. */
static void
a_device_keeps_nan_and_infinity(void **state)
{
	static const float	 x[] = { NAN, INFINITY, 3.4e38f, 1.00390625f };
	const struct mat_in	 a = { x, 1, 4 };
	const float		 one = 1;
	struct mat_device	*d = device();
	struct pool		*pool = pool_new(1);
	struct mat		 m;
	float			 c[4];

	(void)state;
	mat_init(&m, mat_find("scalar"), pool);
	m.device = d;
	mat_mul(&m, 4, 1, 1, a, (struct mat_in){ &one, 1, 1 }, c, 1, 0);
	assert_true(isnan(c[0]));
	assert_true(isinf(c[1]) && isinf(c[2]));
	assert_true(c[3] == 1);		/* a tie goes to the even one */
	mat_clear(&m);
	mat_device_free(d);
	pool_free(pool);
}

/* Products without elements change nothing. */
static void
nothing_is_multiplied(void **state)
{
	const char		*name = getenv("CHATD_TEST_DEVICE");
	const float		 x = 2;
	const struct mat_in	 in = { &x, 1, 1 };
	struct pool		*pool = pool_new(1);
	struct mat		 m;
	struct fault		 f;
	float			 c = GUARD;
	void			*b;

	(void)state;
	mat_init(&m, mat_find("scalar"), pool);
	assert_int_equal(mat_device_open(name != NULL ? name : "cpu",
	    &m.device, &f), 0);
	mat_mul(&m, 0, 1, 1, in, in, &c, 1, 0);
	mat_mul(&m, 1, 0, 1, in, in, &c, 1, 0);
	mat_mul(&m, 1, 1, 0, in, in, &c, 1, 0);
	b = mat_operand(&m, 1, 1);
	mat_prepare(&m, 1, 1, in, b);
	mat_mul_packed(&m, 0, 1, 1, in, b, &c, 1, 0);
	assert_true(c == GUARD);
	mat_mul_packed(&m, 1, 1, 1, in, b, &c, 1, 1);
	assert_true(c == GUARD + 4);
	mat_operand_free(&m, b);
	mat_operand_free(&m, NULL);
	mat_device_free(m.device);
	mat_clear(&m);
	pool_free(pool);
}

/* Names of devices. */
static void
a_device_has_a_name(void **state)
{
	static const char *const bad[] = { "gpu", "", "cuda:", "cuda:x",
		"cuda:1,cuda:2", "cuda:1000", "cuda:-1" };
	struct mat_device	*d = NULL;
	struct fault		 f;
	size_t			 i;

	(void)state;
	assert_int_equal(mat_device_open("cpu", &d, &f), 0);
	assert_null(d);
	mat_device_free(d);
	for (i = 0; i < nitems(bad); i++) {
		assert_int_equal(mat_device_open(bad[i], &d, &f),
		    CHAT_EUNSUPPORTED);
		assert_string_equal(f.code, "no_device");
		if (strstr(f.message, "expected auto, cpu, cuda or cuda:N, "
		    "found ") == NULL)
			fail_msg("%s: %s", bad[i], f.message);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(products_are_right),
		cmocka_unit_test(products_keep_powers_of_two),
		cmocka_unit_test(products_show_what_is_not_finite),
		cmocka_unit_test(products_of_a_device_are_right),
		cmocka_unit_test(bits_of_a_device_are_the_same_again),
		cmocka_unit_test(a_device_keeps_nan_and_infinity),
		cmocka_unit_test(nothing_is_multiplied),
		cmocka_unit_test(a_device_has_a_name),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

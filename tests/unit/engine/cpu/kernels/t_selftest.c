/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tiles in plain C: what they compute and what they refuse; and the
 * self-test, after which a variant that gives other bits is not used.
 */
#include "isa.h"

#include <sys/wait.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dtype.h"
#include "neox.h"
#include "tile_soft.h"
#include "selftest.h"
#include "xmalloc.h"

/* Call `what` in a child. Returns its exit status, or the signal that ended
 * it. */
static int
ends_with(void (*what)(struct tile_config *))
{
	struct tile_config	 c = { .palette = 1, .bytes = { 64, 64, 64 },
				    .rows = { 16, 16, 16 } };
	int			 status;
	pid_t			 pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(1);
		signal(SIGABRT, SIG_DFL);
		what(&c);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return (WIFSIGNALED(status) ? WTERMSIG(status) :
	    WEXITSTATUS(status));
}

static uint8_t	 block[16][64];

#define TILE_USE(name, change)						\
static void								\
name(struct tile_config *c)						\
{									\
	change;								\
	tile_configure(c);						\
	tile_load(1, block, 64);					\
	tile_load(2, block, 64);					\
	tile_zero(0);							\
	tile_dot_bf16(0, 1, 2);						\
	tile_dot_ss8(0, 1, 2);						\
	tile_dot_su8(0, 1, 2);						\
	tile_store(0, block, 64);					\
	tile_release();							\
}

TILE_USE(use_right, c->rows[0] = c->rows[1] = 3)
TILE_USE(use_half, (c->bytes[1] = 32, c->rows[2] = 8))
TILE_USE(use_palette, c->palette = 2)
TILE_USE(use_reserved, c->reserved[13] = 1)
TILE_USE(use_many_rows, c->rows[0] = c->rows[1] = 17)
TILE_USE(use_wide_rows, c->bytes[0] = c->bytes[2] = 68)
TILE_USE(use_no_rows, c->rows[3] = 4)
TILE_USE(use_ninth, c->rows[8] = c->bytes[8] = 4)
TILE_USE(use_none, c->rows[0] = c->bytes[0] = 0)
TILE_USE(use_short_b, c->rows[2] = 15)
TILE_USE(use_few_rows, c->rows[1] = 15)
TILE_USE(use_narrow, c->bytes[0] = 60)

/* A use without a configuration. */
static void
use_nothing(struct tile_config *c)
{
	(void)c;
	tile_load(1, block, 64);
}

/* A use after tile_release. */
static void
use_released(struct tile_config *c)
{
	use_right(c);
	tile_zero(0);
}

/* A use of the same register twice. */
static void
use_twice(struct tile_config *c)
{
	tile_configure(c);
	tile_dot_bf16(0, 1, 1);
}

/* A use that the processor refuses ends the program. */
static void
tiles_in_plain_c_refuse_wrong_uses(void **state)
{
	static void (*const wrong[])(struct tile_config *) = { use_palette,
		use_reserved, use_many_rows, use_wide_rows, use_no_rows,
		use_ninth, use_none, use_short_b, use_few_rows, use_narrow,
		use_nothing, use_released, use_twice };
	size_t	 i;

	(void)state;
	assert_int_equal(ends_with(use_right), 0);
	assert_int_equal(ends_with(use_half), 0);
	for (i = 0; i < nitems(wrong); i++)
		if (ends_with(wrong[i]) != SIGABRT)
			fail_msg("wrong use %zu is accepted", i);
}

/* One product of each kind, computed by hand from the manual. */
static void
tiles_in_plain_c_compute_as_in_the_manual(void **state)
{
	struct tile_config	 c = { .palette = 1, .bytes = { 4, 8, 4 },
				    .rows = { 1, 1, 2 } };
	const float	a[4] = { 1.5f, -2, 0x1p-70f, 4 };
	const float	b[4] = { 3, 0.5f, 0x1p-70f, 0.25f };
	uint16_t	a16[4], b16[2][2];
	int8_t		qa[8] = { -128, 127, -1, 2, 3, -4, 5, -6 };
	uint8_t		qb[2][4] = { { 255, 200, 128, 1 }, { 127, 9, 8, 0 } };
	float		sum = 10;
	int32_t		total = 7, want;
	int		i;

	(void)state;
	for (i = 0; i < 4; i++) {
		a16[i] = dtype_bf16(a[i]);
		b16[i / 2][i % 2] = dtype_bf16(b[i]);
	}
	tile_configure(&c);
	tile_load(0, &sum, 64);
	tile_load(1, a16, 64);
	tile_load(2, b16, 4);
	tile_dot_bf16(0, 1, 2);
	tile_store(0, &sum, 64);
	assert_true(sum == 10 + ((4.5f + 0) + (-1 + 1)));
	tile_load(0, &total, 64);
	tile_load(1, qa, 64);
	tile_load(2, qb, 4);
	tile_dot_su8(0, 1, 2);
	tile_store(0, &total, 64);
	for (want = 7, i = 0; i < 8; i++)
		want += qa[i] * qb[i / 4][i % 4];
	assert_int_equal(total, want);
	tile_dot_ss8(0, 1, 2);
	tile_store(0, &total, 64);
	for (i = 0; i < 8; i++)
		want += qa[i] * (int8_t)qb[i / 4][i % 4];
	assert_int_equal(total, want);
	tile_release();
}

/* The loops for --bench use tiles correctly. Variants without tiles do not have
 * these loops. */
static void
bench_loops_for_tiles_need_tiles(void **state)
{
	(void)state;
	assert_true(kernels_amx_soft.spin_tile16(2) == 0);
	assert_true(kernels_amx_soft.spin_tile8(2) == 0);
	assert_null(kernels_scalar.spin_tile16);
	assert_null(kernels_scalar.spin_tile8);
}

static const enum elem	 elems[] = { ELEM_BF16, ELEM_I8, ELEM_I4 };
static const struct matmul *spoilt;	/* spoil spoils products of its elem */

/* Like scalar, but products of one type of elements have one wrong bit. */
static void
spoil(const struct matmul *m, int first, int last)
{
	uint32_t	 bits;

	kernels_scalar.matmul(m, first, last);
	if (m->elem != spoilt->elem || m->rows < 17)
		return;
	memcpy(&bits, &m->out[16 * m->ldo + 3], sizeof bits);
	bits ^= 1;
	memcpy(&m->out[16 * m->ldo + 3], &bits, sizeof bits);
}

/* Like scalar, but with one wrong bit. */
static void
spoil_attention(const struct attend *a, int h, int first, int last,
    float *scratch)
{
	uint32_t	 bits;

	kernels_scalar.attend(a, h, first, last, scratch);
	memcpy(&bits, &a->out[(size_t)(last - 1) * a->ldo], sizeof bits);
	bits ^= 1;
	memcpy(&a->out[(size_t)(last - 1) * a->ldo], &bits, sizeof bits);
}

/* For variants that can run here. */
static int
there(void)
{
	return (1);
}

/* A variant is chosen only if it gives the same bits. */
static void
a_variant_with_other_bits_is_not_used(void **state)
{
	struct kernels		 wrong = kernels_scalar;
	struct matmul		 m = { .rows = 1 };
	struct isa_variant	 v[] = { { &wrong, there, &kernels_scalar },
				    { &kernels_scalar, there, NULL } };
	size_t			 i;

	(void)state;
	wrong.name = "wrong";
	assert_true(selftest_agree(&kernels_amx_soft, &kernels_scalar));
	assert_ptr_equal(isa_pick(v, 2, "auto"), &wrong);
	assert_ptr_equal(isa_pick(v, 2, "wrong"), &wrong);
	spoilt = &m;
	wrong.matmul = spoil;
	assert_ptr_equal(isa_pick(v, 2, "scalar"), &kernels_scalar);
	for (i = 0; i < nitems(elems); i++) {
		m.elem = elems[i];
		assert_ptr_equal(isa_pick(v, 2, "auto"), &kernels_scalar);
		assert_null(isa_pick(v, 2, "wrong"));
	}
	wrong.matmul = kernels_scalar.matmul;
	assert_ptr_equal(isa_pick(v, 2, "wrong"), &wrong);
	wrong.attend = spoil_attention;
	assert_null(isa_pick(v, 2, "wrong"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    tiles_in_plain_c_refuse_wrong_uses),
		cmocka_unit_test(tiles_in_plain_c_compute_as_in_the_manual),
		cmocka_unit_test(bench_loops_for_tiles_need_tiles),
		cmocka_unit_test(a_variant_with_other_bits_is_not_used)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

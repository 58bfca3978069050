/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotary positions and cache writes: the fast loops leave the same bits in
 * the rows and in the cache as the plain ones.
 */
#include "rotary.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fpmode.h"
#include "neox.h"
#include "xmalloc.h"

#define HEADS	2
#define BLOCKS	3
#define ROWS	(BLOCKS * KV_BLOCK - 7)	/* the last block is not full */

typedef void rotary_fn(const struct attend *, float *, int, int,
    const float *, int);

/* One sequence, as it goes in and as it comes out. */
struct turned {
	struct backend_row	 rows[ROWS];
	int32_t			 blocks[BLOCKS];
	struct attend		 a;
	size_t			 floats, bytes;	/* of qkv, of the cache */
	float			*qkv;		/* owned: [ROWS][HEADS][3][D] */
	uint8_t			*cache;		/* owned */
};

/* Draw a sequence of heads of D lanes.  Some numbers are large; one key is
 * zero, one value too small for a scale in int8; the cache is full of ones. */
static struct turned *
turned_new(enum elem elem, int D, uint64_t seed)
{
	struct turned	*s = xcalloc(1, sizeof *s);
	const size_t	 head = 3 * (size_t)D;
	size_t		 i;
	int		 t;

	memcpy(s->blocks, (const int32_t[]){ 2, 0, 1 }, sizeof s->blocks);
	for (t = 0; t < ROWS; t++)
		s->rows[t] = (struct backend_row){ .pos = t,
			.blocks = s->blocks };
	s->floats = ROWS * HEADS * head;
	s->qkv = xcalloc(s->floats, sizeof *s->qkv);
	for (i = 0; i < s->floats; i++) {
		s->qkv[i] = (float)neox_random(&seed, 1 << 24) * 0x1p-22f - 2;
		if (i % 31 == 7)
			s->qkv[i] *= 20;
	}
	for (i = 0; i < (size_t)D; i++) {
		s->qkv[5 * HEADS * head + (size_t)D + i] = 0;
		s->qkv[40 * HEADS * head + head + 2 * (size_t)D + i] = 1e-37f;
	}
	s->a = (struct attend){ .rows = s->rows, .qkv = s->qkv,
		.ldqkv = HEADS * head, .kv = { .elem = elem, .H = HEADS,
		.D = D, .blocks = BLOCKS } };
	kv_sizes(&s->a.kv);
	s->bytes = s->a.kv.block * BLOCKS;
	s->a.cache = s->cache = xcalloc(s->bytes, 1);
	memset(s->cache, 0xff, s->bytes);
	return (s);
}

/* Its end. */
static void
turned_free(struct turned *s)
{
	free(s->qkv);
	free(s->cache);
	free(s);
}

/* Run all heads, from position first on, in runs of that many rows. */
static void
turned_run(struct turned *s, rotary_fn *rotary, const float *table, int rot,
    int first, int run)
{
	struct attend	 a = s->a;
	uint64_t	 mode = fpmode_enter();
	int		 h, t;

	for (h = 0; h < HEADS; h++)
		for (t = first; t < ROWS; t += run) {
			a.rows = s->rows + t;
			rotary(&a, s->qkv + (size_t)t * a.ldqkv, h,
			    ROWS - t < run ? ROWS - t : run, table, rot);
		}
	fpmode_leave(mode);
}

/* Two that went in alike came out alike. */
static void
expect_alike(const struct turned *x, const struct turned *want,
    const char *what, int rot)
{
	if (memcmp(x->qkv, want->qkv, x->floats * sizeof *x->qkv) != 0)
		fail_msg("%s: element %d, %d lanes, %d turned: other rows",
		    what, x->a.kv.elem, x->a.kv.D, rot);
	if (memcmp(x->cache, want->cache, x->bytes) != 0)
		fail_msg("%s: element %d, %d lanes, %d turned: another cache",
		    what, x->a.kv.elem, x->a.kv.D, rot);
}

/* One shape: each variant, one row and all rows at once, from an even and
 * from an odd position. */
static void
compare(enum elem elem, int D, int rot)
{
	static const struct {
		int	 first, run;
	} cuts[] = { { 0, ROWS }, { 0, 1 }, { 3, 5 } };
	float		*table = rotary_table(ROWS, rot, 10000);
	struct turned	*s, *want;
	const char	*isa;
	size_t		 i;
	int		 at;

	assert_non_null(table);
	for (i = 0; i < nitems(cuts); i++) {
		want = turned_new(elem, D, (uint64_t)(D + rot));
		turned_run(want, rotary_reference_head, table, rot,
		    cuts[i].first, cuts[i].run);
		for (at = 0; (isa = neox_isa(&at)) != NULL; ) {
			s = turned_new(elem, D, (uint64_t)(D + rot));
			turned_run(s, neox_kernels(isa)->rotary, table, rot,
			    cuts[i].first, cuts[i].run);
			expect_alike(s, want, isa, rot);
			turned_free(s);
		}
		turned_free(want);
	}
	free(table);
}

static const enum elem	 elems[] = { ELEM_F32, ELEM_BF16, ELEM_Q8 };

/* Every kind of cache; heads that are no multiple of 16 among them, turned in
 * part and as a whole. */
static void
rows_and_cache_have_the_bits_of_the_reference(void **state)
{
	static const int lanes[] = { 2, 10, 32, 48, 64, 80, 96, 128 };
	size_t		 i, j;
	int		 part;

	(void)state;
	for (i = 0; i < nitems(elems); i++)
		for (j = 0; j < nitems(lanes); j++)
			for (part = 1; part <= 4; part++)
				if (lanes[j] * part / 8 > 0)
					compare(elems[i], lanes[j],
					    lanes[j] * part / 8 * 2);
}

/* NaN and infinity leave the same bits, too, also beside finite numbers. */
static void
what_is_not_finite_has_the_bits_of_the_reference(void **state)
{
	static const float	 bad[] = { NAN, INFINITY, -INFINITY };
	struct turned		*s, *want;
	size_t			 i, b, at;

	(void)state;
	for (i = 0; i < nitems(elems); i++)
		for (b = 0; b < nitems(bad) * 3; b++) {
			s = turned_new(elems[i], 48, 3);
			want = turned_new(elems[i], 48, 3);
			/* in a query, in a key, in a value */
			at = 33 * HEADS * 144 + b % 3 * 48 + 40;
			s->qkv[at] = want->qkv[at] = bad[b / 3];
			turned_run(s, rotary_head, s->qkv, 0, 0, ROWS);
			turned_run(want, rotary_reference_head, want->qkv, 0,
			    0, ROWS);
			expect_alike(s, want, "not finite", 0);
			turned_free(s);
			turned_free(want);
		}
}

/* A table turns (1, 0) to (cos, sin) of the angle: the pair of lane i is lane
 * i + rot / 2. */
static void
a_pair_is_turned_by_its_angle(void **state)
{
	const int	 D = 10, rot = 6, pos = 70, lane = 1;
	const double	 angle = pos * pow(10000, -2.0 * lane / rot);
	float		*table = rotary_table(ROWS, rot, 10000);
	rotary_fn	*fn[] = { rotary_head, rotary_reference_head };
	struct turned	*s;
	float		*q;
	size_t		 i;

	(void)state;
	assert_non_null(table);
	for (i = 0; i < nitems(fn); i++) {
		s = turned_new(ELEM_F32, D, 1);
		q = s->qkv + (size_t)pos * s->a.ldqkv;
		memset(q, 0, (size_t)D * sizeof *q);
		q[lane] = 1;
		q[rot] = 5;
		turned_run(s, fn[i], table, rot, 0, ROWS);
		assert_true(fabs((double)q[lane] - cos(angle)) < 1e-6);
		assert_true(fabs((double)q[lane + rot / 2] - sin(angle)) <
		    1e-6);
		assert_true(q[0] == 0 && q[2] == 0 && q[rot] == 5);
		turned_free(s);
	}
	free(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_and_cache_have_the_bits_of_the_reference),
		cmocka_unit_test(
		    what_is_not_finite_has_the_bits_of_the_reference),
		cmocka_unit_test(a_pair_is_turned_by_its_angle)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

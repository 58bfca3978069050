/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The number of rows of prompts in a step.
 */
#include "pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Without replies: the number doubles while steps are fast, and halves if they
 * are slow. */
static void
prompts_alone_grow_while_steps_are_fast(void **state)
{
	struct pace	 p;
	int		 want;

	(void)state;
	pace_init(&p, 256);
	for (want = PACE_FIRST_ROWS; want < 256; want *= 2) {
		assert_int_equal(pace_rows(&p, 0), want);
		pace_note(&p, 0, want, 0.01);
	}
	assert_int_equal(pace_rows(&p, 0), 256);
	pace_note(&p, 0, 256, 0.01);
	assert_int_equal(pace_rows(&p, 0), 256);
	pace_note(&p, 0, 100, 5);	/* not full, so nothing is learned */
	assert_int_equal(pace_rows(&p, 0), 256);
	pace_note(&p, 0, 256, 0.6);	/* neither fast nor slow */
	assert_int_equal(pace_rows(&p, 0), 256);
	for (want = 128; want >= PACE_FIRST_ROWS / 2; want /= 2) {
		pace_note(&p, 0, want * 2, 1.5);
		assert_int_equal(pace_rows(&p, 0), want);
	}
	pace_note(&p, 0, 8, 99);
	assert_int_equal(pace_rows(&p, 0), 8);
	pace_init(&p, 3);
	pace_note(&p, 0, 3, 0.01);
	assert_int_equal(pace_rows(&p, 0), 3);
	pace_note(&p, 0, 3, 99);
	assert_int_equal(pace_rows(&p, 0), 3);
}

/* On a machine where a step takes 10 ms, and each row of a prompt 1 ms more,
 * the steps with replies take at most twice as long as the replies alone, and
 * prompts use most of that time. This holds even if one step in ten takes ten
 * times as long. */
static void
replies_wait_twice_as_long_at_most(void **state)
{
	struct pace	 p;
	double		 took;
	int		 noise, i, rows, late, total, alone;

	(void)state;
	for (noise = 0; noise < 2; noise++) {
		pace_init(&p, 256);
		late = total = alone = 0;
		for (i = 0; i < 2000; i++) {
			rows = pace_rows(&p, 4);
			took = 0.010 + 0.001 * rows;
			late += took > 0.020;
			pace_note(&p, 4, rows, noise && i * 7 % 10 == 0 ?
			    took * 10 : took);
			total += rows;
			alone += rows == 0;
		}
		assert_int_equal(late, 0);
		assert_true(total > 2000 * 5);
		assert_true(alone >= 2000 / (PACE_REFRESH + 1) && alone < 80);
	}
}

/* If there are far more replies than before, their time is measured again. */
static void
other_replies_are_measured_anew(void **state)
{
	struct pace	 p;
	int		 i;

	(void)state;
	pace_init(&p, 256);
	for (i = 0; i < 20; i++)
		pace_note(&p, 4, pace_rows(&p, 4), 0.010);
	assert_true(pace_rows(&p, 4) > 0);
	assert_true(pace_rows(&p, 5) > 0);
	assert_int_equal(pace_rows(&p, 8), 0);
	pace_note(&p, 8, 0, 0.020);
	pace_note(&p, 8, 0, 0.020);
	assert_true(pace_rows(&p, 8) > 0);
}

/* A machine that becomes slow is noticed, and the number of rows never becomes
 * 0. */
static void
a_slow_machine_still_reads_prompts(void **state)
{
	struct pace	 p;
	int		 i, rows, read = 0;

	(void)state;
	pace_init(&p, 256);
	pace_note(&p, 1, 0, 0.010);
	for (i = 0; i < 300; i++) {
		rows = pace_rows(&p, 1);
		pace_note(&p, 1, rows, i < 100 || rows == 0 ? 0.010 : 0.500);
		if (i >= 200)
			read += rows;
	}
	assert_int_equal(pace_rows(&p, 1), PACE_LEAST_ROWS);
	assert_true(read >= 90 * PACE_LEAST_ROWS);
}

/* A step never has more rows than its limit. */
static void
replies_come_first(void **state)
{
	struct pace	 p;

	(void)state;
	pace_init(&p, 8);
	pace_note(&p, 7, 0, 0.010);
	pace_note(&p, 7, 0, 0.010);
	assert_int_equal(pace_rows(&p, 7), 1);
	assert_int_equal(pace_rows(&p, 8), 0);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(prompts_alone_grow_while_steps_are_fast),
		cmocka_unit_test(replies_wait_twice_as_long_at_most),
		cmocka_unit_test(other_replies_are_measured_anew),
		cmocka_unit_test(a_slow_machine_still_reads_prompts),
		cmocka_unit_test(replies_come_first),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

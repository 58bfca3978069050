/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that are cancelled or paused at any moment: others are not affected,
 * and a paused reply goes on as if nothing had been.
 */
#include "scheduler.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "engine_data.h"
#include "sched_fixture.h"

/* A job can be cancelled at any moment; it ends there, and others are not
 * affected. */
static void
cancel_ends_one_reply_only(void **state)
{
	struct idbuf	 want = fixture_alone(2, 30, 40, 0.7);
	struct idbuf	 first = fixture_alone(1, 50, 40, 0.7);
	struct fixture	*x;
	int		 at, i;

	(void)state;
	for (at = 0; at < 45; at += 3) {
		x = fixture_new(64, 16);
		scheduler_add(x->sched, fixture_job(1, 50, 40, 0.7, NULL));
		scheduler_add(x->sched, fixture_job(2, 30, 40, 0.7, NULL));
		for (i = 0; i < at; i++)
			scheduler_step(x->sched);
		scheduler_cancel(x->sched, 1);
		scheduler_cancel(x->sched, 17);		/* there is no such
							 * job */
		assert_int_equal(x->rec[1].dones, 1);
		if (x->rec[1].ids.n < 40)
			assert_int_equal(x->rec[1].stop, STOP_CANCELLED);
		assert_int_equal(x->rec[1].made, x->rec[1].ids.n);
		if (x->rec[1].ids.n > 0)
			assert_memory_equal(x->rec[1].ids.id, first.id,
			    x->rec[1].ids.n * sizeof *first.id);
		assert_false(scheduler_has(x->sched, 1));
		fixture_finish(x);
		assert_int_equal(data_ids_differ("other", &x->rec[2].ids,
		    &want), 0);
		fixture_free(x);
	}
	idbuf_clear(&want);
	idbuf_clear(&first);
}

/* A paused reply generates no tokens, and later continues as if it had not been
 * paused. */
static void
pause_and_continue_change_nothing(void **state)
{
	struct idbuf	 want = fixture_alone(1, 50, 40, 0.7);
	struct fixture	*x = fixture_new(64, 16);
	size_t		 n;
	int		 i;

	(void)state;
	scheduler_add(x->sched, fixture_job(1, 50, 40, 0.7, NULL));
	scheduler_add(x->sched, fixture_job(2, 10, 60, 0.7, NULL));
	for (i = 0; i < 10; i++)
		scheduler_step(x->sched);
	scheduler_pause(x->sched, 1, 1);
	n = x->rec[1].ids.n;
	assert_true(n > 0 && n < 40);
	fixture_finish(x);
	assert_int_equal(x->rec[1].ids.n, n);
	assert_int_equal(x->rec[2].dones, 1);
	scheduler_pause(x->sched, 1, 0);
	fixture_finish(x);
	assert_int_equal(data_ids_differ("paused", &x->rec[1].ids, &want), 0);
	fixture_free(x);
	idbuf_clear(&want);
}

/* A paused job that waits lets others pass; all paused jobs can be ended. */
static void
paused_jobs_hold_nobody_up(void **state)
{
	struct fixture	*x = fixture_new(64, 16);

	(void)state;
	scheduler_add(x->sched, fixture_job(1, 5, 5, 0, NULL));
	scheduler_pause(x->sched, 1, 1);
	scheduler_add(x->sched, fixture_job(2, 5, 5, 0, NULL));
	fixture_finish(x);
	assert_int_equal(x->rec[1].started, 0);
	assert_int_equal(x->rec[2].dones, 1);
	scheduler_cancel_paused(x->sched);
	assert_int_equal(x->rec[1].dones, 1);
	assert_int_equal(x->rec[1].stop, STOP_CANCELLED);
	assert_int_equal(scheduler_step(x->sched), 0);
	fixture_free(x);
}

/* A paused reply does not hold blocks that a runnable job needs. */
static void
paused_replies_make_room(void **state)
{
	struct idbuf	 want = fixture_alone(1, 90, 100, 0.7);
	struct fixture	*x = fixture_new(8, 64);
	int		 i;

	(void)state;
	scheduler_add(x->sched, fixture_job(1, 90, 100, 0.7, NULL));
	for (i = 0; i < 50; i++)
		scheduler_step(x->sched);
	scheduler_pause(x->sched, 1, 1);
	scheduler_add(x->sched, fixture_job(2, 190, 60, 0.7, NULL));
	fixture_finish(x);
	assert_int_equal(x->rec[2].dones, 1);
	assert_int_equal(x->rec[1].dones, 0);
	scheduler_pause(x->sched, 1, 0);
	fixture_finish(x);
	assert_int_equal(x->rec[1].dones, 1);
	assert_int_equal(data_ids_differ("paused", &x->rec[1].ids, &want), 0);
	fixture_free(x);
	idbuf_clear(&want);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(cancel_ends_one_reply_only),
		cmocka_unit_test(pause_and_continue_change_nothing),
		cmocka_unit_test(paused_jobs_hold_nobody_up),
		cmocka_unit_test(paused_replies_make_room),
	};

	return (cmocka_run_group_tests(tests, data_setup_tiny,
	    data_teardown));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues of jobs with a limit on the running weight of each account.
 */
#include "ahead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <event2/event.h>

#include <cmocka.h>

#include "budget.h"
#include "xmalloc.h"

#define JOBS	1000

struct job {
	struct ahead_job	 job;
	char			 name;
	int			 at_once;	/* leaves as soon as it runs */
};

static char	 gone[JOBS + 1];	/* names of the jobs, in the order they
					 * ran */
static size_t	 ngone;
static int	 depth, deepest;

/* Note that a job runs. */
static void
job_go(void *arg)
{
	struct job	*j = arg;

	gone[ngone++] = j->name;
	gone[ngone] = '\0';
	if (++depth > deepest)
		deepest = depth;
	if (j->at_once)
		ahead_leave(&j->job);
	depth--;
}

/* Add a job. */
static void
enter(struct ahead *a, struct job *j, char name, uid_t uid, size_t weight)
{
	j->name = name;
	ahead_enter(a, &j->job, uid, weight, job_go, j);
}

/* Begin a test. */
static int
setup(void **state)
{
	(void)state;
	ngone = 0;
	gone[0] = '\0';
	depth = deepest = 0;
	return (0);
}

/* Each account runs jobs up to the limit; the others follow when these
 * leave. */
static void
test_each_account_runs_jobs_up_to_the_limit(void **state)
{
	struct ahead	*a = ahead_new(10, NULL);
	struct job	 j[6] = {};

	(void)state;
	enter(a, &j[0], 'a', 1, 4);
	enter(a, &j[1], 'b', 1, 6);
	enter(a, &j[2], 'c', 1, 1);
	enter(a, &j[3], 'd', 1, 1);
	enter(a, &j[4], 'X', 2, 10);
	assert_string_equal(gone, "abX");
	assert_ptr_equal(ahead_waiting(a, 1), &j[2]);
	assert_null(ahead_waiting(a, 2));
	assert_null(ahead_waiting(a, 3));
	ahead_leave(&j[0].job);
	assert_string_equal(gone, "abXcd");
	ahead_leave(&j[0].job);		/* leaving twice does nothing */
	ahead_leave(&j[1].job);
	ahead_leave(&j[2].job);
	ahead_leave(&j[3].job);
	ahead_leave(&j[4].job);
	ahead_free(a);
}

/* A job above the limit runs alone, and no other overtakes it. */
static void
test_a_job_above_the_limit_runs_alone(void **state)
{
	struct ahead	*a = ahead_new(10, NULL);
	struct job	 j[3] = {};

	(void)state;
	enter(a, &j[0], 'a', 1, 1);
	enter(a, &j[1], 'H', 1, 100);
	enter(a, &j[2], 'c', 1, 1);
	assert_string_equal(gone, "a");
	ahead_leave(&j[0].job);
	assert_string_equal(gone, "aH");
	ahead_leave(&j[1].job);
	assert_string_equal(gone, "aHc");
	ahead_leave(&j[2].job);
	ahead_free(a);
}

/* A waiting job may leave; it never runs. */
static void
test_a_waiting_job_may_leave(void **state)
{
	struct ahead	*a = ahead_new(1, NULL);
	struct job	 j[3] = {};
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(j); i++)
		enter(a, &j[i], (char)('a' + i), 1, 1);
	ahead_leave(&j[1].job);
	ahead_leave(&j[0].job);
	assert_string_equal(gone, "ac");
	ahead_leave(&j[2].job);
	ahead_free(a);
}

/* The stack does not grow if many jobs leave while they run. */
static void
test_jobs_that_leave_at_once_do_not_nest(void **state)
{
	static struct job	 j[JOBS];
	struct ahead		*a = ahead_new(1, NULL);
	size_t			 i;

	(void)state;
	memset(j, 0, sizeof j);
	for (i = 0; i < JOBS; i++) {
		j[i].at_once = i > 0;
		enter(a, &j[i], 'x', 1, 1);
	}
	assert_int_equal(ngone, 1);
	ahead_leave(&j[0].job);
	assert_int_equal(ngone, JOBS);
	assert_int_equal(deepest, 1);
	ahead_free(a);
}

/* The wake callback, which this test does not need. */
static void
wake(void *arg)
{
	(void)arg;
}

/* Without budget a job waits, and runs when there is budget. */
static void
test_a_job_waits_for_its_accounts_budget(void **state)
{
	struct event_base	*base = event_base_new();
	struct budget		*b = budget_new(base, wake, NULL);
	struct ahead		*a = ahead_new(10, b);
	struct job		 j[2] = {};

	(void)state;
	budget_charge(b, 1, 100000000);
	enter(a, &j[0], 'a', 1, 1);
	enter(a, &j[1], 'X', 2, 1);
	assert_string_equal(gone, "X");
	ahead_more(a);
	assert_string_equal(gone, "X");
	ahead_leave(&j[0].job);
	ahead_leave(&j[1].job);
	ahead_free(a);
	budget_free(b);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test_setup(
		    test_each_account_runs_jobs_up_to_the_limit, setup),
		cmocka_unit_test_setup(test_a_job_above_the_limit_runs_alone,
		    setup),
		cmocka_unit_test_setup(test_a_waiting_job_may_leave, setup),
		cmocka_unit_test_setup(test_jobs_that_leave_at_once_do_not_nest,
		    setup),
		cmocka_unit_test_setup(
		    test_a_job_waits_for_its_accounts_budget, setup),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

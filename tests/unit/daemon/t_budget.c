/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Budgets: a quarter of the loop's time for each account.
 */
#include "budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int	 woken;

static void
wake(void *arg)
{
	(void)arg;
	woken++;
}

/* An account that takes little time never waits. After much work it waits four
 * times as long as the work took, whatever other accounts do. */
static void
test_an_account_waits_after_much_work(void **state)
{
	struct event_base	*base = event_base_new();
	struct budget		*b = budget_new(base, wake, NULL);
	int64_t			 ms;

	(void)state;
	assert_int_equal(budget_wait(b, 1), 0);
	budget_charge(b, 1, 1000);
	assert_int_equal(budget_wait(b, 1), 0);
	budget_charge(b, 1, 100000);
	ms = budget_wait(b, 1);
	if (ms < 1 || ms > 4 * 101 - 20)
		fail_msg("%lld ms", (long long)ms);
	assert_int_equal(budget_wait(b, 2), 0);
	budget_charge(b, 2, 1000);
	assert_int_equal(budget_wait(b, 2), 0);
	assert_true(budget_wait(b, 1) <= ms);
	budget_charge(b, 1, 1000000);
	assert_true(budget_wait(b, 1) > ms);
	budget_free(b);
	event_base_free(base);
}

/* A waiting account is woken once. */
static void
test_a_waiting_account_is_woken_once(void **state)
{
	struct event_base	*base = event_base_new();
	struct budget		*b = budget_new(base, wake, NULL);

	(void)state;
	woken = 0;
	budget_later(b, 1);
	budget_later(b, 2);
	event_base_dispatch(base);
	assert_int_equal(woken, 1);
	budget_free(b);
	event_base_free(base);
}

/* Without a budget nothing is limited. */
static void
test_no_budget_limits_nothing(void **state)
{
	(void)state;
	budget_charge(NULL, 1, 1000000000);
	assert_int_equal(budget_wait(NULL, 1), 0);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_an_account_waits_after_much_work),
		cmocka_unit_test(test_a_waiting_account_is_woken_once),
		cmocka_unit_test(test_no_budget_limits_nothing),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

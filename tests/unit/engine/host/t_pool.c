/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool: every item is done once, with any number of threads, and the caller
 * sees all results.
 */
#include "pool.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "err.h"
#include "xmalloc.h"

#define ITEMS	200000		/* more than a ticket holds */

struct run {
	int		 size;		/* of the pool */
	unsigned char	*times;		/* [item] */
	_Atomic int	 busy[8];	/* [thread]: in a call */
	_Atomic int	 wrong;
};

/* Count an item; note a thread number out of range or used twice at once. */
static void
count_item(void *arg, int item, int thread)
{
	struct run	*r = arg;

	if (thread < 0 || thread >= r->size ||
	    atomic_fetch_add(&r->busy[thread], 1) != 0)
		atomic_fetch_add(&r->wrong, 1);
	else
		atomic_fetch_sub(&r->busy[thread], 1);
	r->times[item]++;
}

/* Runs of no item, one, few, many, and more items than a ticket counts. */
static void
every_item_is_done_once(void **state)
{
	static const int	 counts[] = { 0, 1, 2, 3, 17, 1000, ITEMS };
	struct run		 r = { 0 };
	struct pool		*p;
	size_t			 i;
	int			 size, k;

	(void)state;
	r.times = xcalloc(ITEMS, 1);
	for (size = 1; size <= 5; size++) {
		p = pool_new(size);
		assert_int_equal(r.size = pool_size(p), size);
		for (i = 0; i < nitems(counts); i++) {
			memset(r.times, 0, ITEMS);
			pool_run(p, counts[i], count_item, &r);
			for (k = 0; k < ITEMS; k++)
				assert_int_equal(r.times[k], k < counts[i]);
		}
		assert_int_equal(r.wrong, 0);
		pool_free(p);
	}
	free(r.times);
}

/* Add the numbers of the run before: plain memory, so that a missing order
 * between runs shows, above all under the thread sanitizer. */
static void
add_neighbours(void *arg, int item, int thread)
{
	uint32_t	**v = arg;

	(void)thread;
	v[1][item] = v[0][item] + v[0][(item + 1) % 64] + 1;
}

/* Thousands of runs that each read what the run before wrote. */
static void
a_run_sees_what_the_run_before_wrote(void **state)
{
	uint32_t	 a[2][64], want[2][64], *v[2];
	struct pool	*p = pool_new(3);
	int		 i, k;

	(void)state;
	memset(a, 0, sizeof a);
	memset(want, 0, sizeof want);
	for (i = 0; i < 3000; i++) {
		v[0] = a[i & 1];
		v[1] = a[~i & 1];
		pool_run(p, 64, add_neighbours, v);
		for (k = 0; k < 64; k++)
			want[~i & 1][k] = want[i & 1][k] +
			    want[i & 1][(k + 1) % 64] + 1;
		assert_memory_equal(a[~i & 1], want[~i & 1], sizeof a[0]);
	}
	pool_free(p);
}

/* Threads that have gone to sleep wake for the next run, and for the end. */
static void
sleeping_threads_wake(void **state)
{
	struct timespec	 rest = { .tv_nsec = 20 * 1000 * 1000 };
	unsigned char	 times[64];
	struct run	 r = { .size = 3, .times = times };
	struct pool	*p = pool_new(3);
	int		 i, k;

	(void)state;
	for (i = 0; i < 5; i++) {
		nanosleep(&rest, NULL);
		memset(times, 0, sizeof times);
		pool_run(p, 64, count_item, &r);
		for (k = 0; k < 64; k++)
			assert_int_equal(times[k], 1);
	}
	nanosleep(&rest, NULL);
	pool_free(p);
	pool_free(NULL);
}

/* 0 means one thread for each core that we may use. */
static void
zero_threads_are_as_many_as_cores(void **state)
{
	struct pool	*p = pool_new(0);

	(void)state;
	assert_true(pool_size(p) >= 1);
	assert_true(pool_size(p) <= POOL_THREADS_MAX);
	pool_free(p);
}

/* The cores on which each thread may run. */
static void
note_cores(void *arg, int item, int thread)
{
	cpu_set_t	*cores = arg;

	(void)item;
	assert_int_equal(sched_getaffinity(0, sizeof *cores, &cores[thread]),
	    0);
	usleep(1000);		/* so that every thread gets one */
}

/* Each pinned thread has a core of its own. Too many threads are refused. */
static void
pinned_threads_have_a_core_each(void **state)
{
	cpu_set_t	 all, both, cores[POOL_THREADS_MAX];
	struct pool	*p = pool_new(0);
	int		 i, j;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
	memset(cores, 0, sizeof cores);
	if (pool_size(p) <= CPU_COUNT(&all)) {
		assert_int_equal(pool_pin(p), 0);
		pool_run(p, pool_size(p) * 20, note_cores, cores);
	}
	for (i = 0; i < pool_size(p); i++) {
		if (CPU_COUNT(&cores[i]) == 0)
			continue;
		assert_int_equal(CPU_COUNT(&cores[i]), 1);
		for (j = 0; j < i; j++) {
			CPU_AND(&both, &cores[i], &cores[j]);
			assert_int_equal(CPU_COUNT(&both), 0);
		}
	}
	assert_int_equal(CPU_COUNT(&cores[0]), 1);
	pool_free(p);
	p = pool_new(2);		/* this thread has one core now */
	assert_int_equal(pool_pin(p), CHAT_ESYSTEM);
	pool_free(p);
	assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_item_is_done_once),
		cmocka_unit_test(a_run_sees_what_the_run_before_wrote),
		cmocka_unit_test(sleeping_threads_wake),
		cmocka_unit_test(zero_threads_are_as_many_as_cores),
		cmocka_unit_test(pinned_threads_have_a_core_each)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

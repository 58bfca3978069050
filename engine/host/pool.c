/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool.  A run is announced by one 64-bit ticket: the number of the run,
 * the number of its items, and the next item.  Threads take items by compare
 * and swap on the ticket.  So a thread that the system has not scheduled does
 * not delay the others.  A thread that wakes late finds a newer ticket, and
 * can't take an item of the old run.  Inside a step the next run follows within
 * microseconds, so a thread spins for it a short time before it sleeps.
 */
#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cgroup.h"
#include "err.h"
#include "fpmode.h"
#include "xmalloc.h"

#define POOL_SPINS	4000	/* some tens of microseconds */

#define TICKET(run, n, next) \
	((uint64_t)(run) << 32 | (uint64_t)(n) << 16 | (uint64_t)(next))
#define TICKET_RUN(t)	((uint32_t)((t) >> 32))
#define TICKET_N(t)	((int)((t) >> 16 & 0xffff))
#define TICKET_NEXT(t)	((int)((t) & 0xffff))

struct pool_thread {
	struct pool	*pool;		/* borrowed: ends after its threads */
	int		 index;
	pthread_t	 id;
};

struct pool {
	int			 size;
	struct pool_thread	*threads;	/* owned; [0] is the caller */
	_Atomic uint64_t	 ticket;
	_Atomic uint32_t	 done;		/* items finished in this run */
	/* The run's work. It is read before the ticket is taken, and used only
	 * if that succeeds. */
	void			(*_Atomic fn)(void *, int, int);
	void *_Atomic		 arg;
	_Atomic int		 base;		/* number of its first item */
	_Atomic int		 sleepers, waiting, quit;
	pthread_mutex_t		 lock;
	pthread_cond_t		 work;		/* a run, or the end */
	pthread_cond_t		 finished;	/* the last item is done */
};

static void	 pool_share(struct pool *, int, int,
		    void (*)(void *, int, int), void *);
static void	*pool_thread(void *);
static int	 pool_take(struct pool *, uint64_t, int);
static int	 pool_sleep(struct pool *, uint64_t);

/* Let the other thread of the core run while this one spins. */
static inline void
pool_pause(void)
{
#if defined(__SSE__)
	_mm_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Lower *arg to the processor time that a cgroup allows, in cores. */
static void
pool_quota(void *arg, const char *folder, int version)
{
	int	*least = arg;
	int64_t	 quota, period;
	char	 max[32];

	if (version == 2) {
		quota = cgroup_file(folder, "cpu.max", "");
		snprintf(max, sizeof max, "%lld ", (long long)quota);
		period = cgroup_file(folder, "cpu.max", max);
	} else {
		quota = cgroup_file(folder, "cpu.cfs_quota_us", "");
		period = cgroup_file(folder, "cpu.cfs_period_us", "");
	}
	if (quota > 0 && period > 0 && (quota - 1) / period + 1 < *least)
		*least = (int)((quota - 1) / period + 1);
}

/* Cores this process may use. */
int
pool_cores(void)
{
	cpu_set_t	 set;
	int		 n = 1;

	if (sched_getaffinity(0, sizeof set, &set) == 0)
		n = CPU_COUNT(&set);
	cgroup_each("cpu", pool_quota, &n);
	return (n);
}

/* Start the threads. */
struct pool *
pool_new(int n)
{
	struct pool	*p = xcalloc(1, sizeof *p);

	if (n <= 0)
		n = pool_cores();
	if (n > POOL_THREADS_MAX)
		n = POOL_THREADS_MAX;
	p->threads = xcalloc((size_t)n, sizeof *p->threads);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->finished, NULL);
	for (p->size = 1; p->size < n; p->size++) {
		p->threads[p->size].pool = p;
		p->threads[p->size].index = p->size;
		if (pthread_create(&p->threads[p->size].id, NULL, pool_thread,
		    &p->threads[p->size]) != 0)
			break;
	}
	return (p);
}

/* End the threads. */
void
pool_free(struct pool *p)
{
	int	 i;

	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	atomic_store(&p->quit, 1);
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (i = 1; i < p->size; i++)
		pthread_join(p->threads[i].id, NULL);
	pthread_cond_destroy(&p->finished);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p->threads);
	free(p);
}

/* Pin the threads, in the order of the cores. */
int
pool_pin(struct pool *p)
{
	cpu_set_t	 all, one;
	pthread_t	 id;
	int		 i, core = -1, bound = 0;

	if (sched_getaffinity(0, sizeof all, &all) == -1 ||
	    p->size > CPU_COUNT(&all))
		return (CHAT_ESYSTEM);
	for (i = 0; i < p->size; i++) {
		do
			core++;
		while (!CPU_ISSET(core, &all));
		CPU_ZERO(&one);
		CPU_SET(core, &one);
		id = i == 0 ? pthread_self() : p->threads[i].id;
		bound += pthread_setaffinity_np(id, sizeof one, &one) == 0;
	}
	return (bound == p->size ? 0 : CHAT_ESYSTEM);
}

/* The number of threads. */
int
pool_size(const struct pool *p)
{
	return (p->size);
}

/* Run all items, at most POOL_ITEMS_MAX per ticket. */
void
pool_run(struct pool *p, int n, void (*fn)(void *arg, int item, int thread),
    void *arg)
{
	uint64_t	 mode = fpmode_enter();
	int		 i, count;

	if (p->size == 1 || n <= 1)
		for (i = 0; i < n; i++)
			fn(arg, i, 0);
	else
		for (i = 0; i < n; i += count) {
			count = n - i < POOL_ITEMS_MAX ? n - i :
			    POOL_ITEMS_MAX;
			pool_share(p, i, count, fn, arg);
		}
	fpmode_leave(mode);
}

/* Announce n items from base on, help, and wait for the last. */
static void
pool_share(struct pool *p, int base, int n, void (*fn)(void *, int, int),
    void *arg)
{
	uint64_t	 t;
	int		 spins;

	atomic_store(&p->done, 0);
	atomic_store(&p->fn, fn);
	atomic_store(&p->arg, arg);
	atomic_store(&p->base, base);
	t = TICKET(TICKET_RUN(atomic_load(&p->ticket)) + 1, n, 0);
	atomic_store(&p->ticket, t);
	if (atomic_load(&p->sleepers) > 0) {
		pthread_mutex_lock(&p->lock);
		pthread_cond_broadcast(&p->work);
		pthread_mutex_unlock(&p->lock);
	}
	while (pool_take(p, atomic_load(&p->ticket), 0))
		;
	for (spins = 0; spins < POOL_SPINS &&
	    atomic_load(&p->done) < (uint32_t)n; spins++)
		pool_pause();
	if (atomic_load(&p->done) == (uint32_t)n)
		return;
	pthread_mutex_lock(&p->lock);
	atomic_store(&p->waiting, 1);
	while (atomic_load(&p->done) < (uint32_t)n)
		pthread_cond_wait(&p->finished, &p->lock);
	atomic_store(&p->waiting, 0);
	pthread_mutex_unlock(&p->lock);
}

/* Try to take and do one item of ticket t. 0 if it has no item left; else 1,
 * also if another thread was faster. */
static int
pool_take(struct pool *p, uint64_t t, int thread)
{
	void	(*fn)(void *, int, int) = atomic_load(&p->fn);
	void	 *arg = atomic_load(&p->arg);
	int	  base = atomic_load(&p->base);
	uint32_t  n = (uint32_t)TICKET_N(t);

	if (TICKET_NEXT(t) >= TICKET_N(t))
		return (0);
	if (!atomic_compare_exchange_strong(&p->ticket, &t, t + 1))
		return (1);
	fn(arg, base + TICKET_NEXT(t), thread);
	if (atomic_fetch_add(&p->done, 1) + 1 == n &&
	    atomic_load(&p->waiting)) {
		pthread_mutex_lock(&p->lock);
		pthread_cond_signal(&p->finished);
		pthread_mutex_unlock(&p->lock);
	}
	return (1);
}

/* The main function of a thread. */
static void *
pool_thread(void *arg)
{
	struct pool_thread	*self = arg;
	struct pool		*p = self->pool;
	uint64_t		 t;
	int			 spins = 0;

	(void)fpmode_enter();
	for (;;) {
		t = atomic_load(&p->ticket);
		if (pool_take(p, t, self->index)) {
			spins = 0;
			continue;
		}
		if (++spins < POOL_SPINS) {
			pool_pause();
			continue;
		}
		if (!pool_sleep(p, t))
			return (NULL);
		spins = 0;
	}
}

/* Sleep until the ticket is no longer t. 0 at the end. */
static int
pool_sleep(struct pool *p, uint64_t t)
{
	int	 quit;

	pthread_mutex_lock(&p->lock);
	atomic_fetch_add(&p->sleepers, 1);
	while (!(quit = atomic_load(&p->quit)) &&
	    atomic_load(&p->ticket) == t)
		pthread_cond_wait(&p->work, &p->lock);
	atomic_fetch_sub(&p->sleepers, 1);
	pthread_mutex_unlock(&p->lock);
	return (!quit);
}

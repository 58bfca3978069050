/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of threads that runs numbered pieces of work.  Any thread may take any
 * piece, so the result of a piece must depend on its number alone.
 */
#ifndef HOST_POOL_H
#define HOST_POOL_H

#define POOL_THREADS_MAX	256
#define POOL_ITEMS_MAX		65535	/* handed out at a time */

struct pool;

/*
 * A pool of n threads, the caller of pool_run among them; n 0 means one per
 * core that this process may use. The pool has fewer threads if the system
 * gives no more; never NULL. Threads run in the mode of fpmode.h.
 */
struct pool	*pool_new(int n);
/* End the threads. NULL is fine. */
void		 pool_free(struct pool *p);

/* Cores that this process may use, by its affinity and its control groups. */
int		 pool_cores(void);

/* Keep each thread, the caller among them, on a core of its own. 0, or
 * CHAT_ESYSTEM if there are too few or the system refuses. */
int		 pool_pin(struct pool *p);

/* Threads, the caller's included. */
int		 pool_size(const struct pool *p);

/*
 * Call fn(arg, item, thread) for each item from 0 to n - 1, and return when
 * all are done: what they wrote is then seen by the caller. thread is from 0
 * to pool_size - 1, and never the same in two calls at once. One run at a
 * time.
 */
void		 pool_run(struct pool *p, int n,
		    void (*fn)(void *arg, int item, int thread), void *arg);

#endif

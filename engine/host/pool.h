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
 * A pool of n threads. The caller of pool_run is one of them. n 0 means one per
 * core that this process may use. The pool has fewer threads if the system does
 * not give n. Never NULL. Threads run in the mode of fpmode.h.
 */
struct pool	*pool_new(int n);
/* End the threads. NULL is fine. */
void		 pool_free(struct pool *p);

/* Cores that this process may use, by its affinity and its control groups. */
int		 pool_cores(void);

/* Pin each thread, also the caller's, to a core of its own. Returns 0, or
 * CHAT_ESYSTEM if there are too few cores or the system refuses. */
int		 pool_pin(struct pool *p);

/* The number of threads, with the caller's. */
int		 pool_size(const struct pool *p);

/*
 * Call fn(arg, item, thread) for each item from 0 to n - 1, and return when all
 * are done. The caller then sees everything that they have written. thread is
 * from 0 to pool_size - 1; two calls at the same time never have the same one.
 * There is one run at a time.
 */
void		 pool_run(struct pool *p, int n,
		    void (*fn)(void *arg, int item, int thread), void *arg);

#endif

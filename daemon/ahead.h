/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs of accounts for a helper, with a limit on the weight that an account may
 * have there at a time. Further jobs of the account wait here, in order of
 * arrival. So the jobs of one account take bounded room in the helper, and
 * other accounts wait for that much only.
 */
#ifndef DAEMON_AHEAD_H
#define DAEMON_AHEAD_H

#include <sys/queue.h>
#include <sys/types.h>

#include <stddef.h>

struct ahead;
struct ahead_account;
struct budget;

/* A job, embedded in the object that it is about. Zeroed before ahead_enter. */
struct ahead_job {
	TAILQ_ENTRY(ahead_job)	 entry;		/* while it waits */
	struct ahead_account	*account;	/* borrowed; NULL: not
						 * entered */
	size_t			 weight;
	int			 waits;
	void			(*go)(void *arg);
	void			*arg;		/* borrowed */
};

/*
 * Make queues that let each account run jobs of the total weight most, or a
 * single heavier job. With a budget (borrowed, or NULL) a job also waits until
 * its account has budget; call ahead_more when that may be so.
 */
struct ahead	*ahead_new(size_t most, struct budget *budget);

/* Release it; all jobs must have left. NULL does nothing. */
void		 ahead_free(struct ahead *a);

/*
 * Add a job of uid; ahead_leave removes it. go is called when it is the job's
 * turn, perhaps before this returns, and may call ahead_leave. Other jobs of
 * the account whose turn comes meanwhile run before this returns.
 */
void		 ahead_enter(struct ahead *a, struct ahead_job *j, uid_t uid,
		    size_t weight, void (*go)(void *arg), void *arg);

/* The job is over, or no longer needed: the next job of its account may run.
 * Does nothing for a job that has not entered. */
void		 ahead_leave(struct ahead_job *j);

/* The argument of the account's first waiting job; NULL if none waits. */
void		*ahead_waiting(const struct ahead *a, uid_t uid);

/* Waiting jobs may have budget again: run them. */
void		 ahead_more(struct ahead *a);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work of accounts that goes somewhere by small amounts: of each account a
 * limited weight is ahead (with a helper, say), and the rest waits here in the
 * order in which it came.  So what one account asks for takes bounded room
 * there, and others wait for that only.
 */
#ifndef DAEMON_AHEAD_H
#define DAEMON_AHEAD_H

#include <sys/queue.h>
#include <sys/types.h>

#include <stddef.h>

struct ahead;
struct ahead_account;
struct budget;

/* A piece of work; a member of what it is about. Zeroed before it enters. */
struct ahead_job {
	TAILQ_ENTRY(ahead_job)	 entry;		/* while it waits */
	struct ahead_account	*account;	/* borrowed; NULL: not in */
	size_t			 weight;
	int			 waits;
	void			(*go)(void *arg);
	void			*arg;		/* borrowed */
};

/*
 * A place with room for work of the weight most of each account, or for a
 * single heavier job. With a budget (borrowed, or NULL) a job waits until its
 * account has some left, too; call ahead_more when that may be so.
 */
struct ahead	*ahead_new(size_t most, struct budget *budget);

/* Release it; no job is in. NULL does nothing. */
void		 ahead_free(struct ahead *a);

/*
 * Enter a job of uid, which leaves by ahead_leave. go is called when its turn
 * comes, perhaps at once, and may have it leave. Others of the account that
 * have their turn meanwhile go before this returns.
 */
void		 ahead_enter(struct ahead *a, struct ahead_job *j, uid_t uid,
		    size_t weight, void (*go)(void *arg), void *arg);

/* It is over, or need not be done: the next of its account may go. Nothing
 * for one that is not in. */
void		 ahead_leave(struct ahead_job *j);

/* The argument of the account's first job that waits, NULL if none does. */
void		*ahead_waiting(const struct ahead *a, uid_t uid);

/* There may be budget for those who wait. */
void		 ahead_more(struct ahead *a);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of jobs for each account, with a limit on the weight of running jobs.
 */
#include "ahead.h"

#include <stdlib.h>

#include "budget.h"
#include "xmalloc.h"

struct ahead_account {
	TAILQ_ENTRY(ahead_account) entry;
	struct ahead		*ahead;		/* borrowed */
	uid_t			 uid;
	size_t			 jobs, weight;	/* running */
	int			 busy;		/* ahead_run is on the stack */
	TAILQ_HEAD(, ahead_job)	 waiting;	/* borrowed */
};

struct ahead {
	size_t			 most;
	struct budget		*budget;	/* borrowed, or NULL */
	TAILQ_HEAD(, ahead_account) accounts;	/* owned: with jobs */
};

/* Make an empty set of queues. */
struct ahead *
ahead_new(size_t most, struct budget *budget)
{
	struct ahead	*a = xcalloc(1, sizeof *a);

	a->most = most;
	a->budget = budget;
	TAILQ_INIT(&a->accounts);
	return (a);
}

/* Release it. */
void
ahead_free(struct ahead *a)
{
	free(a);
}

/* Find an account, NULL if it has no job. */
static struct ahead_account *
ahead_find(const struct ahead *a, uid_t uid)
{
	struct ahead_account	*ac;

	TAILQ_FOREACH(ac, &a->accounts, entry) {
		if (ac->uid == uid)
			break;
	}
	return (ac);
}

/* May the account's first waiting job run? */
static int
ahead_may(struct ahead_account *ac)
{
	const struct ahead_job	*j = TAILQ_FIRST(&ac->waiting);
	struct ahead		*a = ac->ahead;
	int64_t			 ms;

	if (j == NULL || (ac->jobs > 0 && ac->weight + j->weight > a->most))
		return (0);
	if ((ms = budget_wait(a->budget, ac->uid)) == 0)
		return (1);
	budget_later(a->budget, ms);
	return (0);
}

/* Run an account's jobs while there is room. Frees an account without jobs. */
static void
ahead_run(struct ahead_account *ac)
{
	struct ahead_job	*j;

	if (ac->busy)
		return;			/* the call on the stack continues */
	ac->busy = 1;
	while (ahead_may(ac)) {
		j = TAILQ_FIRST(&ac->waiting);
		TAILQ_REMOVE(&ac->waiting, j, entry);
		j->waits = 0;
		ac->jobs++;
		ac->weight += j->weight;
		j->go(j->arg);
	}
	ac->busy = 0;
	if (ac->jobs > 0 || !TAILQ_EMPTY(&ac->waiting))
		return;
	TAILQ_REMOVE(&ac->ahead->accounts, ac, entry);
	free(ac);
}

/* Add a job. */
void
ahead_enter(struct ahead *a, struct ahead_job *j, uid_t uid, size_t weight,
    void (*go)(void *), void *arg)
{
	struct ahead_account	*ac = ahead_find(a, uid);

	if (ac == NULL) {
		ac = xcalloc(1, sizeof *ac);
		ac->ahead = a;
		ac->uid = uid;
		TAILQ_INIT(&ac->waiting);
		TAILQ_INSERT_TAIL(&a->accounts, ac, entry);
	}
	*j = (struct ahead_job){ .account = ac, .weight = weight,
	    .waits = 1, .go = go, .arg = arg };
	TAILQ_INSERT_TAIL(&ac->waiting, j, entry);
	ahead_run(ac);
}

/* Remove a job. */
void
ahead_leave(struct ahead_job *j)
{
	struct ahead_account	*ac = j->account;

	if (ac == NULL)
		return;
	j->account = NULL;
	if (j->waits) {
		j->waits = 0;
		TAILQ_REMOVE(&ac->waiting, j, entry);
	} else {
		ac->jobs--;
		ac->weight -= j->weight;
	}
	ahead_run(ac);
}

/* Return the first waiting job's argument. */
void *
ahead_waiting(const struct ahead *a, uid_t uid)
{
	const struct ahead_account	*ac = ahead_find(a, uid);

	return (ac == NULL || TAILQ_EMPTY(&ac->waiting) ? NULL :
	    TAILQ_FIRST(&ac->waiting)->arg);
}

/* Run the jobs of all accounts that may run now. */
void
ahead_more(struct ahead *a)
{
	struct ahead_account	*ac, *next;

	for (ac = TAILQ_FIRST(&a->accounts); ac != NULL; ac = next) {
		next = TAILQ_NEXT(ac, entry);
		ahead_run(ac);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token buckets. An account has one while it has recently spent more time than
 * it may. The bucket is filled with a quarter of the time that passes.
 */
#include "budget.h"

#include <sys/queue.h>

#include <stdlib.h>

#include "clock.h"
#include "xmalloc.h"

#define BUDGET_SHARE	4	/* an account gets 1/4 of the time */
#define BUDGET_BURST	5000	/* microseconds saved up at most */

struct budget_account {
	TAILQ_ENTRY(budget_account) entry;
	uid_t			 uid;
	int64_t			 full;	/* microseconds: when it is full */
};

struct budget {
	TAILQ_HEAD(, budget_account) accounts;	/* owned */
	struct event	*ev;			/* owned: an account waits */
	void		(*wake)(void *);
	void		*arg;			/* borrowed */
};

/* Call wake: an account has budget again. */
static void
budget_woken(evutil_socket_t fd, short what, void *arg)
{
	struct budget	*b = arg;

	(void)fd;
	(void)what;
	b->wake(b->arg);
}

/* Make a set of full buckets. */
struct budget *
budget_new(struct event_base *base, void (*wake)(void *), void *arg)
{
	struct budget	*b = xcalloc(1, sizeof *b);

	TAILQ_INIT(&b->accounts);
	b->ev = evtimer_new(base, budget_woken, b);
	b->wake = wake;
	b->arg = arg;
	return (b);
}

/* Release it. */
void
budget_free(struct budget *b)
{
	struct budget_account	*a;

	if (b == NULL)
		return;
	while ((a = TAILQ_FIRST(&b->accounts)) != NULL) {
		TAILQ_REMOVE(&b->accounts, a, entry);
		free(a);
	}
	event_free(b->ev);
	free(b);
}

/* Compute how long an account waits. */
int64_t
budget_wait(const struct budget *b, uid_t uid)
{
	const struct budget_account	*a;
	int64_t				 us;

	if (b == NULL)
		return (0);
	TAILQ_FOREACH(a, &b->accounts, entry) {
		if (a->uid == uid)
			break;
	}
	if (a == NULL)
		return (0);
	us = a->full - clock_micros() - BUDGET_BURST * BUDGET_SHARE;
	return (us > 0 ? (us + 999) / 1000 : 0);
}

/* Arm the timer. If it is armed already, it stays: its time is soon enough. */
void
budget_later(struct budget *b, int64_t ms)
{
	struct timeval	 tv = { ms / 1000, ms % 1000 * 1000 };

	if (!event_pending(b->ev, EV_TIMEOUT, NULL))
		event_add(b->ev, &tv);
}

/* Charge an account. Accounts whose bucket is full again are removed. */
void
budget_charge(struct budget *b, uid_t uid, int64_t us)
{
	struct budget_account	*a, *next, *mine = NULL;
	int64_t			 now;

	if (b == NULL || us <= 0)
		return;
	now = clock_micros();
	for (a = TAILQ_FIRST(&b->accounts); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		if (a->uid == uid)
			mine = a;
		else if (a->full <= now) {
			TAILQ_REMOVE(&b->accounts, a, entry);
			free(a);
		}
	}
	if (mine == NULL) {
		mine = xcalloc(1, sizeof *mine);
		mine->uid = uid;
		TAILQ_INSERT_TAIL(&b->accounts, mine, entry);
	}
	if (mine->full < now)
		mine->full = now;
	mine->full += us * BUDGET_SHARE;
}

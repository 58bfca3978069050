/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns of accounts: deficit round robin (Shreedhar and Varghese, 1996) over
 * the accounts, plain round robin over the connections of each.
 */
#include "turns.h"

#include <stdlib.h>

#include "budget.h"
#include "clock.h"
#include "xmalloc.h"

TAILQ_HEAD(places, turn);
TAILQ_HEAD(accounts, account);

struct account {
	TAILQ_ENTRY(account)	 entry;		/* all */
	TAILQ_ENTRY(account)	 ready_entry;
	struct turns		*turns;		/* borrowed */
	uid_t			 uid;
	int			 places;
	int			 ready;		/* in the round */
	int			 busy;		/* its turn is on the stack */
	long long		 credit;	/* bytes; below 0: owed */
	struct places		 waiting;
};

struct turns {
	struct event	*ev;		/* owned: a connection waits */
	long long	 slice;
	struct budget	*budget;	/* borrowed, or NULL */
	struct accounts	 accounts;	/* owned: those with places */
	struct accounts	 ready;		/* those of them that wait */
	struct turn	*current;	/* borrowed: running; NULL: none, or
					 * cleared */
};

static void	turns_run(evutil_socket_t, short, void *);

/* Make turns without accounts. */
struct turns *
turns_new(struct event_base *base, size_t slice, struct budget *budget)
{
	struct turns	*t;

	t = xcalloc(1, sizeof *t);
	t->slice = (long long)slice;
	t->budget = budget;
	/* A timer, since the loop runs an event made active by hand before it
	 * looks at any descriptor again. */
	t->ev = evtimer_new(base, turns_run, t);
	TAILQ_INIT(&t->accounts);
	TAILQ_INIT(&t->ready);
	return (t);
}

/* Release, with all places cleared. */
void
turns_free(struct turns *t)
{
	if (t == NULL)
		return;
	event_free(t->ev);
	free(t);
}

/* Find or make the account of a uid. */
static struct account *
turns_account(struct turns *t, uid_t uid)
{
	struct account	*a;

	TAILQ_FOREACH(a, &t->accounts, entry) {
		if (a->uid == uid)
			return (a);
	}
	a = xcalloc(1, sizeof *a);
	a->turns = t;
	a->uid = uid;
	TAILQ_INIT(&a->waiting);
	TAILQ_INSERT_TAIL(&t->accounts, a, entry);
	return (a);
}

/* Release an account without places. */
static void
account_settle(struct account *a)
{
	if (a->places > 0 || a->busy)
		return;
	if (a->ready)
		TAILQ_REMOVE(&a->turns->ready, a, ready_entry);
	TAILQ_REMOVE(&a->turns->accounts, a, entry);
	free(a);
}

/* Give a connection a place. */
void
turn_init(struct turn *p, struct turns *t, uid_t uid,
    size_t (*run)(void *, size_t, int *), void *arg)
{
	*p = (struct turn){ .account = turns_account(t, uid), .run = run,
	    .arg = arg };
	p->account->places++;
}

/* Take a place away. */
void
turn_clear(struct turn *p)
{
	struct account	*a = p->account;

	if (a == NULL)
		return;
	if (p->waiting)
		TAILQ_REMOVE(&a->waiting, p, entry);
	if (a->turns->current == p)
		a->turns->current = NULL;
	p->account = NULL;
	a->places--;
	account_settle(a);
}

/* Join the round. */
void
turn_want(struct turn *p)
{
	static const struct timeval	 now = { 0, 0 };
	struct account			*a = p->account;

	if (p->waiting)
		return;
	p->waiting = 1;
	TAILQ_INSERT_TAIL(&a->waiting, p, entry);
	if (!a->ready) {
		a->ready = 1;
		TAILQ_INSERT_TAIL(&a->turns->ready, a, ready_entry);
	}
	/* The timer may wait for the budget of others. */
	if (a->turns->current == NULL)
		event_add(a->turns->ev, &now);
}

/* Count the places of an account. */
int
turn_places(const struct turn *p)
{
	return (p->account->places);
}

/* Run one connection. Returns its cost. */
static long long
account_place(struct account *a)
{
	struct turns	*t = a->turns;
	struct turn	*p = TAILQ_FIRST(&a->waiting);
	size_t		 cost;
	int		 more = 0;

	TAILQ_REMOVE(&a->waiting, p, entry);
	p->waiting = 0;
	t->current = p;
	cost = p->run(p->arg, (size_t)a->credit, &more);
	if (t->current == p && more && !p->waiting) {
		p->waiting = 1;
		TAILQ_INSERT_TAIL(&a->waiting, p, entry);
	}
	t->current = NULL;
	return ((long long)cost);
}

/* Run one account's turn. Returns its cost. */
static long long
account_turn(struct account *a)
{
	struct turns	*t = a->turns;
	const int64_t	 began = clock_micros();
	const uid_t	 uid = a->uid;
	long long	 cost, spent = 0;

	TAILQ_REMOVE(&t->ready, a, ready_entry);
	a->ready = 0;
	a->busy = 1;
	a->credit += t->slice;
	while (a->credit > 0 && !TAILQ_EMPTY(&a->waiting)) {
		cost = account_place(a);
		a->credit -= cost;
		spent += cost;
	}
	a->busy = 0;
	/* An account without work keeps no credit, but keeps its debt. */
	if (a->credit > 0)
		a->credit = 0;
	if (!TAILQ_EMPTY(&a->waiting) && !a->ready) {
		a->ready = 1;
		TAILQ_INSERT_TAIL(&t->ready, a, ready_entry);
	}
	account_settle(a);
	budget_charge(t->budget, uid, clock_micros() - began);
	return (spent);
}

/* Find the first account in the round that has budget left. *ms becomes the
 * time until the first of the skipped accounts has budget. */
static struct account *
turns_next(const struct turns *t, int64_t *ms)
{
	struct account	*a;
	int64_t		 wait;

	*ms = 0;
	TAILQ_FOREACH(a, &t->ready, ready_entry) {
		if ((wait = budget_wait(t->budget, a->uid)) == 0)
			break;
		if (*ms == 0 || wait < *ms)
			*ms = wait;
	}
	return (a);
}

/* Run turns until they have cost one slice, then return to the event loop. */
static void
turns_run(evutil_socket_t fd, short what, void *arg)
{
	struct turns	*t = arg;
	struct account	*a;
	struct timeval	 tv = { 0, 0 };
	long long	 spent = 0;
	int64_t		 ms = 0;

	(void)fd;
	(void)what;
	while (spent < t->slice && (a = turns_next(t, &ms)) != NULL)
		spent += account_turn(a);
	if (TAILQ_EMPTY(&t->ready))
		return;
	if (spent < t->slice)		/* no waiting account has budget */
		tv = (struct timeval){ ms / 1000, ms % 1000 * 1000 };
	event_add(t->ev, &tv);
}

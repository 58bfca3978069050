/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts take turns when their lines are read. Reading and parsing lines is
 * the one kind of work that chatd does for clients itself. An account that
 * sends much waits; accounts that send little do not wait for it. An account is
 * a uid, with any number of connections.
 */
#ifndef DAEMON_TURNS_H
#define DAEMON_TURNS_H

#include <sys/queue.h>
#include <sys/types.h>

#include <event2/event.h>

struct account;
struct budget;
struct turns;

/* The place of one connection. */
struct turn {
	TAILQ_ENTRY(turn)	 entry;
	struct account		*account;	/* borrowed, NULL before
						 * turn_init */
	int			 waiting;
	/* Work until the cost reaches max, and return the cost, which may be
	 * higher. Sets *more if there is more to do: the place then waits
	 * again. May clear its own place and free it. */
	size_t			(*run)(void *arg, size_t max, int *more);
	void			*arg;		/* borrowed */
};

/*
 * Make turns of slice bytes. If an account takes more in a turn, the excess is
 * taken off its next turns. Between two turns the event loop handles everything
 * else. The time of a turn is charged to the budget (borrowed, or NULL), and an
 * account without budget gets no turn. Free it after the last place is cleared.
 */
struct turns	*turns_new(struct event_base *base, size_t slice,
		    struct budget *budget);
void		 turns_free(struct turns *t);

/* Give a connection of uid a place, with run and arg as above; take it away.
 * turn_clear does nothing if the place was never given. */
void		 turn_init(struct turn *p, struct turns *t, uid_t uid,
		    size_t (*run)(void *, size_t, int *), void *arg);
void		 turn_clear(struct turn *p);

/* Have run called soon. Several calls before that count as one. */
void		 turn_want(struct turn *p);

/* The number of places of this one's account. */
int		 turn_places(const struct turn *p);

#endif

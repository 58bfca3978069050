/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts take turns at being heard.  What the lines of clients cost to read
 * and to parse is the one work that chatd does for them itself; whoever sends
 * much waits, and not those who send little.  An account is a uid, however
 * many connections it has.
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
	/* Work until it has cost max, and return what it has cost, which may
	 * be more. *more is set where there is more to do: the place then
	 * waits again. May clear its own place and free it. */
	size_t			(*run)(void *arg, size_t max, int *more);
	void			*arg;		/* borrowed */
};

/*
 * Turns of slice bytes each: an account gets as many at its turn, what it
 * took above them is taken off its next ones, and between two turns the event
 * loop looks after everything else. What a turn takes is charged to the budget
 * (borrowed, or NULL), and an account that has none left has no turn. Free
 * after the last place is cleared.
 */
struct turns	*turns_new(struct event_base *base, size_t slice,
		    struct budget *budget);
void		 turns_free(struct turns *t);

/* Give a connection of uid a place, with run and arg as above; take it away
 * (nothing happens to one that was never given). */
void		 turn_init(struct turn *p, struct turns *t, uid_t uid,
		    size_t (*run)(void *, size_t, int *), void *arg);
void		 turn_clear(struct turn *p);

/* Have run called soon; asked again before that, it is called once. */
void		 turn_want(struct turn *p);

/* Places that the account of this one has. */
int		 turn_places(const struct turn *p);

#endif

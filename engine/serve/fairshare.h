/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has had how much of the engine.  Requests of one account make a group;
 * what it has been served is counted in rows computed.  One that comes new
 * starts where the least served of the others is, so that it neither has to
 * catch up nor is owed for the time it was away (virtual token counters: Sheng
 * et al., "Fairness in Serving Large Language Models", OSDI 2024).  A group is
 * away while it has no jobs, or paused ones only.  One without jobs is
 * remembered while it was served more than it would start with: else it would
 * pass, by leaving and coming back, who has always one more request waiting.
 */
#ifndef ENGINE_SHARE_H
#define ENGINE_SHARE_H

#include <sys/queue.h>

#include <stdint.h>

#define SHARE_AWAY_MAX	256	/* groups without jobs remembered */

struct share {
	LIST_ENTRY(share) entry;
	int64_t		 group;
	int		 jobs;		/* that the group has */
	int		 awake;		/* of them not paused; 0: away */
	int		 running;	/* of them in steps */
	int64_t		 served;	/* rows computed for it */
};

LIST_HEAD(share_list, share);

/* A job of that group has come, not paused: its share, valid until the last of
 * its jobs has left. */
struct share	*fairshare_join(struct share_list *list, int64_t group);
/* A job of that share has left; it is not paused. Once all jobs have, the list
 * is empty. */
void		 fairshare_leave(struct share_list *list, struct share *sh);

/* A job of that share is paused, or goes on. */
void		 fairshare_pause(struct share_list *list, struct share *sh,
		    int paused);

/* Is it a's turn before b's? Who runs less comes first, then who was served
 * less. */
int		 fairshare_before(const struct share *a, const struct share *b);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fair shares of the engine.  The requests of one account form a group.  The
 * service of a group is counted in computed rows.  A new group starts with the
 * count of the least served group that is present: it neither has to catch up
 * nor is it owed anything for its absence (virtual token counters: Sheng et
 * al., "Fairness in Serving Large Language Models", OSDI 2024).  A group is
 * away if it has no jobs or only paused jobs.  A group without jobs is
 * remembered as long as its count is above the one it would start with.
 * Otherwise an account could leave, come back, and be served before an account
 * that always has a request waiting.
 */
#ifndef ENGINE_FAIRSHARE_H
#define ENGINE_FAIRSHARE_H

#include <sys/queue.h>

#include <stdint.h>

#define FAIRSHARE_AWAY_MAX	256	/* groups without jobs remembered */

struct fairshare {
	LIST_ENTRY(fairshare) entry;
	int64_t		 group;
	int		 jobs;		/* that the group has */
	int		 awake;		/* of them not paused; 0: away */
	int		 running;	/* of them in steps */
	int64_t		 served;	/* rows computed for it */
};

LIST_HEAD(fairshare_list, fairshare);

/*
 * Add a job, not paused, to the group.  The result is valid until the last
 * job of the group has left.
 */
struct fairshare *fairshare_join(struct fairshare_list *list, int64_t group);
/*
 * Remove a job that is not paused.  The list is empty once all jobs of all
 * groups have left.
 */
void	fairshare_leave(struct fairshare_list *list, struct fairshare *sh);

/* Pause a job of the group (paused is 1), or continue it (0). */
void	fairshare_pause(struct fairshare_list *list, struct fairshare *sh,
	    int paused);

/*
 * Return 1 if a is served before b: the group with fewer running jobs comes
 * first, then the group that was served less.
 */
int	fairshare_before(const struct fairshare *a, const struct fairshare *b);

#endif

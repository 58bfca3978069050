/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The groups at work.
 */
#include "fairshare.h"

#include <stdlib.h>

#include "xmalloc.h"

/* Where a group starts that was away: with the least that one of those had
 * which are there; where all are away, with the most. */
static int64_t
fairshare_start(const struct share_list *list)
{
	const struct share	*sh;
	int64_t			 least = INT64_MAX, most = 0;

	LIST_FOREACH(sh, list, entry) {
		if (sh->awake > 0 && sh->served < least)
			least = sh->served;
		if (sh->served > most)
			most = sh->served;
	}
	return (least < most ? least : most);
}

/* A job is paused, or goes on. */
void
fairshare_pause(struct share_list *list, struct share *sh, int paused)
{
	const int64_t	 start = fairshare_start(list);

	if (paused)
		sh->awake--;
	else if (sh->awake++ == 0 && sh->served < start)
		sh->served = start;
}

/* A job has come. */
struct share *
fairshare_join(struct share_list *list, int64_t group)
{
	struct share	*sh;

	LIST_FOREACH(sh, list, entry) {
		if (sh->group == group)
			break;
	}
	if (sh == NULL) {
		sh = xcalloc(1, sizeof *sh);
		sh->group = group;
		LIST_INSERT_HEAD(list, sh, entry);
	}
	sh->jobs++;
	fairshare_pause(list, sh, 0);
	return (sh);
}

/* Forget the groups that are away and would start with no more, and where
 * they are too many, who had least of them. */
static void
fairshare_forget(struct share_list *list)
{
	const int64_t	 start = fairshare_start(list);
	struct share	*sh, *next, *last = NULL;
	int		 n = 0;

	for (sh = LIST_FIRST(list); sh != NULL; sh = next) {
		next = LIST_NEXT(sh, entry);
		if (sh->jobs > 0)
			continue;
		if (sh->served <= start) {
			LIST_REMOVE(sh, entry);
			free(sh);
			continue;
		}
		n++;
		if (last == NULL || sh->served < last->served)
			last = sh;
	}
	if (n > SHARE_AWAY_MAX) {
		LIST_REMOVE(last, entry);
		free(last);
	}
}

/* A job has left. */
void
fairshare_leave(struct share_list *list, struct share *sh)
{
	fairshare_pause(list, sh, 1);
	if (--sh->jobs == 0)
		fairshare_forget(list);
}

/* Whose turn is it? */
int
fairshare_before(const struct share *a, const struct share *b)
{
	if (a->running != b->running)
		return (a->running < b->running);
	return (a->served < b->served);
}

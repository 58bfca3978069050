/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The groups of accounts and their fair shares of the engine.
 */
#include "fairshare.h"

#include <stdlib.h>

#include "xmalloc.h"

/*
 * Return the count that a group starts with after it was away: the least among
 * the groups that are present.  If all groups are away, it is the largest.
 */
static int64_t
fairshare_start(const struct fairshare_list *list)
{
	const struct fairshare	*sh;
	int64_t			 least = INT64_MAX, most = 0;

	LIST_FOREACH(sh, list, entry) {
		if (sh->awake > 0 && sh->served < least)
			least = sh->served;
		if (sh->served > most)
			most = sh->served;
	}
	return (least < most ? least : most);
}

/* Pause a job, or continue it. */
void
fairshare_pause(struct fairshare_list *list, struct fairshare *sh, int paused)
{
	const int64_t	 start = fairshare_start(list);

	if (paused)
		sh->awake--;
	else if (sh->awake++ == 0 && sh->served < start)
		sh->served = start;
}

/* Add a job. */
struct fairshare *
fairshare_join(struct fairshare_list *list, int64_t group)
{
	struct fairshare	*sh;

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

/*
 * Forget each group without jobs whose count is not above the start.  If too
 * many groups without jobs remain, forget the least served of them, too.
 */
static void
fairshare_forget(struct fairshare_list *list)
{
	const int64_t	 start = fairshare_start(list);
	struct fairshare	*sh, *next, *last = NULL;
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
	if (n > FAIRSHARE_AWAY_MAX) {
		LIST_REMOVE(last, entry);
		free(last);
	}
}

/* Remove a job. */
void
fairshare_leave(struct fairshare_list *list, struct fairshare *sh)
{
	fairshare_pause(list, sh, 1);
	if (--sh->jobs == 0)
		fairshare_forget(list);
}

/* Return 1 if a is served before b. */
int
fairshare_before(const struct fairshare *a, const struct fairshare *b)
{
	if (a->running != b->running)
		return (a->running < b->running);
	return (a->served < b->served);
}

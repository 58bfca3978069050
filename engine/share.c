/*
 * The groups at work.
 */
#include "share.h"

#include <stdlib.h>

#include "xmalloc.h"

/* What the least served of those that are there had; -1: nobody is. */
static int64_t
share_least(const struct share_list *list)
{
	const struct share	*sh;
	int64_t			 least = -1;

	LIST_FOREACH(sh, list, entry) {
		if (sh->jobs > 0 && (least == -1 || sh->served < least))
			least = sh->served;
	}
	return (least);
}

/* A job has come. */
struct share *
share_join(struct share_list *list, int64_t group)
{
	struct share	*sh;
	int64_t		 least = share_least(list);

	LIST_FOREACH(sh, list, entry) {
		if (sh->group == group)
			break;
	}
	if (sh == NULL) {
		sh = xcalloc(1, sizeof *sh);
		sh->group = group;
		LIST_INSERT_HEAD(list, sh, entry);
	}
	if (sh->jobs++ == 0 && sh->served < least)
		sh->served = least;
	return (sh);
}

/* Forget the groups that are away and would start with no more, and where
 * they are too many, who had least of them. */
static void
share_forget(struct share_list *list)
{
	const int64_t	 least = share_least(list);
	struct share	*sh, *next, *last = NULL;
	int		 n = 0;

	for (sh = LIST_FIRST(list); sh != NULL; sh = next) {
		next = LIST_NEXT(sh, entry);
		if (sh->jobs > 0)
			continue;
		if (least == -1 || sh->served <= least) {
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
share_leave(struct share_list *list, struct share *sh)
{
	if (--sh->jobs == 0)
		share_forget(list);
}

/* Whose turn is it? */
int
share_before(const struct share *a, const struct share *b)
{
	if (a->running != b->running)
		return (a->running < b->running);
	return (a->served < b->served);
}

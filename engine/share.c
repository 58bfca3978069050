/*
 * The groups at work.
 */
#include "share.h"

#include <stdlib.h>

#include "xmalloc.h"

/* A job has come. */
struct share *
share_join(struct share_list *list, int64_t group)
{
	struct share	*sh, *new;
	int64_t		 least = -1;

	LIST_FOREACH(sh, list, entry) {
		if (sh->group == group) {
			sh->jobs++;
			return (sh);
		}
		if (least == -1 || sh->served < least)
			least = sh->served;
	}
	new = xcalloc(1, sizeof *new);
	new->group = group;
	new->jobs = 1;
	new->served = least == -1 ? 0 : least;
	LIST_INSERT_HEAD(list, new, entry);
	return (new);
}

/* A job has left. */
void
share_leave(struct share *sh)
{
	if (--sh->jobs > 0)
		return;
	LIST_REMOVE(sh, entry);
	free(sh);
}

/* Whose turn is it? */
int
share_before(const struct share *a, const struct share *b)
{
	if (a->running != b->running)
		return (a->running < b->running);
	return (a->served < b->served);
}

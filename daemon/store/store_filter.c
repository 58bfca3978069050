/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which exchanges a request is about: the conditions of list, show, search and
 * stats.  STORE_FILTER in store.h has them as SQL.
 */
#include "store.h"

#include <string.h>

#include "vocabulary.h"
#include "xmalloc.h"

/* Is something stored under this name? Accounts have the latest name, exchanges
 * that of their time. */
static int
store_filter_name(struct store *st, const char *name, struct fault *f)
{
	sqlite3_stmt	*q;
	int		 r;

	if ((r = sql_open(st, &q, "SELECT 1 FROM account WHERE name = ?1 "
	    "UNION ALL SELECT 1 FROM exchange WHERE name = ?1 LIMIT 1", "s",
	    name)) != 0 || (r = sql_step(st, q)) < 0)
		return (r);
	if (r == 0)
		return (fault_set(f, "not_found", "user", "user: nothing is "
		    "stored under the name \"%s\"", name));
	sql_end(q);
	return (0);
}

/* Check the words of a filter, and find out what its user is. */
int
store_filter_read(struct store *st, struct store_filter *ft, int admin,
    struct fault *f)
{
	const char	*p;

	ft->given = ft->model != NULL || ft->category != NULL ||
	    ft->rating != NULL || ft->reason != NULL;
	ft->any = ft->given || ft->since != 0 || ft->until != 0 ||
	    ft->user != NULL;
	ft->uid = -1;
	if (ft->rating != NULL &&
	    vocabulary_find(vocabulary_ratings, ft->rating) == -1)
		return (vocabulary_fault(f, "bad_field", "rating",
		    vocabulary_ratings, ft->rating));
	if (ft->reason != NULL &&
	    vocabulary_find(vocabulary_reasons, ft->reason) == -1)
		return (vocabulary_fault(f, "bad_field", "reason",
		    vocabulary_reasons, ft->reason));
	if (ft->reason != NULL && ft->rating != NULL &&
	    strcmp(ft->rating, "none") == 0)
		return (fault_set(f, "bad_field", "reason",
		    "reason: a reply without a rating has no reason"));
	if (ft->category != NULL && vocabulary_category(ft->category) == -1)
		return (vocabulary_fault(f, "bad_field", "category",
		    vocabulary_categories, ft->category));
	if (ft->user == NULL)
		return (0);
	if (!admin)
		return (fault_set(f, "denied", "user",
		    "user: for operators only"));
	if (*ft->user == '\0')
		return (fault_set(f, "bad_field", "user",
		    "user: expected a name or a number, found nothing"));
	for (p = ft->user; *p >= '0' && *p <= '9' && p - ft->user < 15; p++)
		ft->uid = (ft->uid == -1 ? 0 : ft->uid) * 10 + (*p - '0');
	if (*p == '\0') {
		ft->user = NULL;
		return (0);
	}
	ft->uid = -1;
	return (store_filter_name(st, ft->user, f));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count: how many replies there are, how they were rated, what the filters have
 * found, and how far the raters agree.
 *
 * The store looks at STORE_LOOK replies in one slice.  The sums so far travel
 * in the answer's "next" and come back with the request for the next slice, so
 * the store keeps no state.
 *
 * Agreement is Cohen's kappa of the thumbs that two raters gave to the same
 * replies (J. Cohen, "A coefficient of agreement for nominal scales", 1960).
 * The owners of the replies count as one rater, "users".
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "vocabulary.h"
#include "xmalloc.h"

#define COUNT_RATERS	16	/* raters of one reply that are compared */
#define COUNT_PAIRS	64	/* pairs of raters in an answer */
#define COUNT_MODELS	256	/* models in an answer */

struct count_args {
	int64_t		 uid, after, limit;
	int		 admin, all;
	json_t		*sums;		/* borrowed: those of the last slice */
	struct store_filter filter;
};

/* A rating that counts, of the reply that is looked at. */
struct count_rating {
	char		 who[24];	/* "users", or the uid of an operator */
	int		 thumb;
};

/* ?1 the user, ?2 the last reply looked at, ?3 whether everybody's count. */
#define COUNT_SCAN \
	"SELECT r.id, (?3 OR e.uid = ?1) AND " STORE_FILTER ", r.state, " \
	"m.name, e.uid FROM reply r JOIN exchange e ON e.id = r.exchange " \
	"JOIN model m ON m.id = r.model WHERE r.id > ?2 ORDER BY r.id"

static int	store_count_reply(struct store *, const struct count_args *,
		    json_t *, sqlite3_stmt *);
static int	store_count_ratings(struct store *, const struct count_args *,
		    json_t *, int64_t, int64_t);
static int	store_count_findings(struct store *, json_t *, int64_t);
static void	store_count_pair(json_t *, const struct count_rating *,
		    const struct count_rating *);
static void	store_count_answer(json_t *, const json_t *, int);

#define A(member) offsetof(struct count_args, member)
static const struct field store_count_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "after", FIELD_INT, FIELD_NULLABLE, 0, JSON_INT_MAX, A(after) },
	{ "limit", FIELD_INT, 0, 1, 1, A(limit) },
	{ "sums", FIELD_OBJECT, FIELD_NULLABLE, 0, 0, A(sums) },
	{ "admin", FIELD_BOOL, 0, 0, 0, A(admin) },
	{ "all", FIELD_BOOL, 0, 0, 0, A(all) },
	STORE_FILTER_FIELDS(A(filter)),
};
#undef A

/* Add n to the member key of the object at name in sums. */
static void
store_count_add(json_t *sums, const char *name, const char *key, int64_t n)
{
	json_t	*o = json_object_get(sums, name);

	if (!json_is_object(o)) {
		o = json_object();
		msg_set(sums, name, o);
	}
	msg_set_int(o, key, msg_int(o, key, 0) + n);
}

/* count */
int
store_count(struct store *st, struct store_request *req)
{
	struct count_args	 a = { .limit = 1 };
	sqlite3_stmt		*q;
	json_t			*sums = NULL, *next;
	int			 r, looked = 0;

	if ((r = fields_read(req->msg, store_count_fields,
	    nitems(store_count_fields), &a, &req->fault)) != 0 ||
	    (r = store_filter_read(st, &a.filter, a.admin,
	    &req->fault)) != 0)
		return (r);
	if (a.all && !a.admin)
		return (fault_set(&req->fault, "denied", "all",
		    "all: for operators only"));
	if ((r = sql_open(st, &q, COUNT_SCAN, "iiii" STORE_FILTER_TYPES,
	    a.uid, a.after, (int64_t)a.all, (int64_t)a.admin,
	    STORE_FILTER_ARGS(&a.filter))) != 0)
		return (r);
	sums = a.sums != NULL ? json_deep_copy(a.sums) : json_object();
	while ((r = sql_step(st, q)) == 1 && looked++ < STORE_LOOK) {
		a.after = sqlite3_column_int64(q, 0);
		if (sqlite3_column_int(q, 1) &&
		    (r = store_count_reply(st, &a, sums, q)) < 0) {
			sql_end(q);
			break;
		}
	}
	if (r == 1) {
		sql_end(q);
		next = json_object();
		msg_set_int(next, "after", a.after);
		msg_set_int(next, "limit", 1);
		msg_set(next, "sums", json_incref(sums));
		msg_set(req->done, "next", next);
	} else if (r == 0)
		store_count_answer(req->done, sums, a.all);
	json_decref(sums);
	return (r < 0 ? r : 0);
}

/* Count the reply at q. */
static int
store_count_reply(struct store *st, const struct count_args *a, json_t *sums,
    sqlite3_stmt *q)
{
	int64_t		 reply = sqlite3_column_int64(q, 0);
	const char	*model = (const char *)sqlite3_column_text(q, 3);
	json_t		*models = json_object_get(sums, "models");
	int		 r;

	store_count_add(sums, "states",
	    (const char *)sqlite3_column_text(q, 2), 1);
	if (json_object_get(models, model) != NULL ||
	    json_object_size(models) < COUNT_MODELS)
		store_count_add(sums, "models", model, 1);
	if ((r = store_count_ratings(st, a, sums, reply,
	    sqlite3_column_int64(q, 4))) != 0)
		return (r);
	return (store_count_findings(st, sums, reply));
}

/* Count the ratings of a reply that count: those of the owner, and with "all"
 * those of the operators too. */
static int
store_count_ratings(struct store *st, const struct count_args *a, json_t *sums,
    int64_t reply, int64_t owner)
{
	struct count_rating	 by[COUNT_RATERS];
	sqlite3_stmt		*q;
	json_t			*reasons, *reason;
	size_t			 i, j, n = 0;
	int			 r, thumb;

	if ((r = sql_open(st, &q, "SELECT thumb, reasons, ideal IS NOT NULL, "
	    "comment IS NOT NULL, uid FROM rating a WHERE reply = ?1 "
	    "AND (uid = ?2 OR ?3) AND NOT EXISTS (SELECT 1 FROM rating "
	    "WHERE supersedes = a.id) ORDER BY uid <> ?2, uid", "iii", reply,
	    owner, (int64_t)a->all)) != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1) {
		thumb = sqlite3_column_int(q, 0);
		for (i = 0; vocabulary_thumb_values[i] != thumb; i++)
			;
		store_count_add(sums, "ratings", vocabulary_thumbs[i], 1);
		if (sqlite3_column_int(q, 2))
			store_count_add(sums, "ratings", "ideal", 1);
		if (sqlite3_column_int(q, 3))
			store_count_add(sums, "ratings", "comment", 1);
		reasons = json_loads((const char *)sqlite3_column_text(q, 1),
		    0, NULL);
		json_array_foreach(reasons, i, reason) {
			if (json_is_string(reason))
				store_count_add(sums, "reasons",
				    json_string_value(reason), 1);
		}
		json_decref(reasons);
		if (n == COUNT_RATERS)
			continue;
		if (sqlite3_column_int64(q, 4) == owner)
			strcpy(by[n].who, "users");
		else
			snprintf(by[n].who, sizeof by[n].who, "%lld",
			    (long long)sqlite3_column_int64(q, 4));
		by[n++].thumb = thumb;
	}
	if (n == 0)
		store_count_add(sums, "ratings", "none", 1);
	for (i = 0; a->all && i < n; i++)
		for (j = i + 1; j < n; j++)
			store_count_pair(sums, &by[i], &by[j]);
	return (r);
}

/* Count how two raters have rated one reply: nine counts for each pair, a row
 * for each thumb of the first. */
static void
store_count_pair(json_t *sums, const struct count_rating *one,
    const struct count_rating *two)
{
	json_t	*pairs = json_object_get(sums, "pairs"), *list;
	char	*key = xasprintf("%s %s", one->who, two->who);
	size_t	 at = (size_t)(one->thumb + 1) * 3 + (size_t)(two->thumb + 1);
	int	 i;

	if (!json_is_object(pairs)) {
		pairs = json_object();
		msg_set(sums, "pairs", pairs);
	}
	if ((list = json_object_get(pairs, key)) == NULL &&
	    json_object_size(pairs) < COUNT_PAIRS) {
		list = json_array();
		for (i = 0; i < 9; i++)
			json_array_append_new(list, json_integer(0));
		msg_set(pairs, key, list);
	}
	if (json_array_get(list, at) != NULL)
		json_array_set_new(list, at, json_integer(1 +
		    json_integer_value(json_array_get(list, at))));
	free(key);
}

/* Count a reply under each category of what was found in it or in its prompt
 * and acted upon. */
static int
store_count_findings(struct store *st, json_t *sums, int64_t reply)
{
	sqlite3_stmt	*q;
	int		 r;

	if ((r = sql_open(st, &q, "SELECT DISTINCT category FROM verdict "
	    "WHERE reply = ? AND action <> 'allow'", "i", reply)) != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1)
		store_count_add(sums, "categories",
		    (const char *)sqlite3_column_text(q, 0), 1);
	return (r);
}

/* Cohen's kappa of nine counts. Returns 1 and *kappa, or 0 if it is not
 * defined: there is nothing, or chance alone gives full agreement. */
static int
store_count_kappa(const double *n, double *same, double *total, double *kappa)
{
	double	 row[3] = { 0 }, column[3] = { 0 }, chance = 0;
	int	 i, j;

	*same = *total = 0;
	for (i = 0; i < 3; i++) {
		*same += n[i * 3 + i];
		for (j = 0; j < 3; j++) {
			*total += n[i * 3 + j];
			row[i] += n[i * 3 + j];
			column[j] += n[i * 3 + j];
		}
	}
	for (i = 0; i < 3 && *total > 0; i++)
		chance += row[i] / *total * (column[i] / *total);
	if (*total == 0 || chance >= 1)
		return (0);
	*kappa = (*same / *total - chance) / (1 - chance);
	return (1);
}

/* Make the answer from the sums. */
static void
store_count_answer(json_t *done, const json_t *sums, int all)
{
	static const char *const groups[] = { "states", "models", "ratings",
	    "reasons", "categories" };
	json_t		*list, *o, *counts;
	const char	*key;
	double		 n[9], same, total, kappa;
	size_t		 i;

	for (i = 0; i < nitems(groups); i++) {
		o = json_object_get(sums, groups[i]);
		msg_set(done, groups[i], json_is_object(o) ? json_incref(o) :
		    json_object());
	}
	if (!all)
		return;
	list = json_array();
	json_object_foreach(json_object_get(sums, "pairs"), key, counts) {
		for (i = 0; i < 9; i++)
			n[i] = (double)json_integer_value(
			    json_array_get(counts, i));
		o = json_object();
		msg_set_string(o, "raters", key);
		if (store_count_kappa(n, &same, &total, &kappa))
			msg_set_real(o, "kappa", kappa);
		else
			msg_set(o, "kappa", json_null());
		msg_set_int(o, "same", (int64_t)same);
		msg_set_int(o, "replies", (int64_t)total);
		msg_set(o, "counts", json_incref(counts));
		json_array_append_new(list, o);
	}
	msg_set(done, "agreement", list);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ratings: a user's opinion of a reply.  A new rating adds a row that
 * supersedes the last one.  So old ratings are kept, and only the newest one
 * counts.  The rating of a blocked reply by somebody else is the decision of an
 * operator about it.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "vocabulary.h"
#include "xmalloc.h"

#define RATE_NO_THUMB	2	/* no thumb is given */

struct rate_args {
	const char	*ideal, *comment, *name;
	int64_t		 uid, exchange, reply, thumb, time;
	int64_t		 owner;		/* whose exchange it is */
	struct account_quota quota;
	json_t		*reasons;
	int		 admin;		/* the decision of an operator */
};

static int	store_rating_reasons(const json_t *, char **, struct fault *);
static int	store_rating_find(struct store *, struct rate_args *,
		    struct fault *);
static int	store_rating_count(struct store *, const struct rate_args *,
		    int64_t, struct store_request *);

#define A(member) offsetof(struct rate_args, member)
static const struct field store_rating_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "exchange", FIELD_INT, FIELD_REQUIRED, 1, JSON_INT_MAX,
	    A(exchange) },
	{ "reply", FIELD_INT, FIELD_NULLABLE, 1, JSON_INT_MAX, A(reply) },
	{ "thumb", FIELD_INT, FIELD_NULLABLE, -1, 1, A(thumb) },
	{ "reasons", FIELD_ARRAY, FIELD_NULLABLE, 0, 0, A(reasons) },
	{ "ideal", FIELD_STRING, FIELD_NULLABLE, 0, 0, A(ideal) },
	{ "comment", FIELD_STRING, FIELD_NULLABLE, 0, 0, A(comment) },
	{ "name", FIELD_STRING, FIELD_NULLABLE, 0, 256, A(name) },
	{ "time", FIELD_INT, FIELD_REQUIRED, 0, JSON_INT_MAX, A(time) },
	{ "admin", FIELD_BOOL, 0, 0, 0, A(admin) },
	ACCOUNT_FIELDS(A(quota)),
};
#undef A

/* Make the list of reasons as it is stored: each one once, in the order of the
 * vocabulary. */
static int
store_rating_reasons(const json_t *reasons, char **out, struct fault *f)
{
	json_t		*v, *sorted;
	const char	*s;
	size_t		 i;
	unsigned	 mask = 0;
	int		 k;

	json_array_foreach(reasons, i, v) {
		s = json_string_value(v);
		k = s == NULL ? -1 : vocabulary_find(vocabulary_reasons, s);
		if (k == -1)
			return (vocabulary_fault(f, "bad_field", "reasons",
			    vocabulary_reasons, s));
		mask |= 1u << k;
	}
	sorted = json_array();
	for (k = 0; vocabulary_reasons[k] != NULL; k++) {
		if (mask & 1u << k)
			json_array_append_new(sorted,
			    json_string(vocabulary_reasons[k]));
	}
	*out = json_dumps(sorted, JSON_COMPACT);
	json_decref(sorted);
	return (0);
}

/* Find the reply and its owner. A reply of another user is found only by an
 * operator who decides about it; then it must be blocked. */
static int
store_rating_find(struct store *st, struct rate_args *a, struct fault *f)
{
	sqlite3_stmt	*q;
	int		 r;

	if ((r = sql_open(st, &q, "SELECT r.id, e.uid FROM reply r "
	    "JOIN exchange e ON e.id = r.exchange WHERE e.id = ?1 AND "
	    "CASE WHEN ?4 THEN e.uid <> ?2 AND r.state = 'blocked' "
	    "ELSE e.uid = ?2 END AND ?3 IN (0, r.id) ORDER BY r.id DESC "
	    "LIMIT 1", "iiii", a->exchange, a->uid, a->reply,
	    (int64_t)a->admin)) != 0 || (r = sql_step(st, q)) < 0)
		return (r);
	if (r == 0)
		return (fault_set(f, "not_found", "exchange",
		    a->admin ? "no exchange %lld of another user with such a "
		    "reply that was blocked" :
		    "no exchange %lld with such a reply",
		    (long long)a->exchange));
	a->reply = sqlite3_column_int64(q, 0);
	a->owner = sqlite3_column_int64(q, 1);
	sql_end(q);
	return (0);
}

/* Count the new row, and check the quota of the user. An operator who decides
 * adds to what the owner has stored, whatever the quota. */
static int
store_rating_count(struct store *st, const struct rate_args *a, int64_t rating,
    struct store_request *req)
{
	int64_t	bytes = 0;

	if (sql_int(st, &bytes, "SELECT length(CAST(reasons AS BLOB)) + "
	    "ifnull(length(CAST(ideal AS BLOB)), 0) + "
	    "ifnull(length(CAST(comment AS BLOB)), 0) FROM rating "
	    "WHERE id = ?", "i", rating) < 0 ||
	    account_grow(st, a->exchange, a->owner, STORE_ROW + bytes) != 0)
		return (CHAT_ESYSTEM);
	return (a->admin ? 0 : account_check(st, req, a->uid, 0, &a->quota));
}

/*
 * rate: store an opinion. With a thumb it replaces the last opinion. Without a
 * thumb it changes the last one: fields that are not given stay as they are.
 */
int
store_rate(struct store *st, struct store_request *req)
{
	struct rate_args	 a = { .thumb = RATE_NO_THUMB };
	char			*reasons = NULL;
	int64_t			 rating;
	int			 r;

	if ((r = fields_read(req->msg, store_rating_fields,
	    nitems(store_rating_fields), &a, &req->fault)) != 0 ||
	    (a.reasons != NULL && (r = store_rating_reasons(a.reasons, &reasons,
	    &req->fault)) != 0) ||
	    (r = store_rating_find(st, &a, &req->fault)) != 0)
		goto out;
	if ((r = sql_run(st, "INSERT INTO rating (reply, uid, thumb, reasons, "
	    "ideal, comment, created, supersedes, name) SELECT ?1, ?2, "
	    "CASE WHEN ?8 THEN coalesce(o.thumb, 0) ELSE ?3 END, "
	    "coalesce(?4, CASE WHEN ?8 THEN o.reasons END, '[]'), "
	    "coalesce(?5, CASE WHEN ?8 THEN o.ideal END), "
	    "coalesce(?6, CASE WHEN ?8 THEN o.comment END), ?7, o.id, ?9 "
	    "FROM (SELECT 1) LEFT JOIN rating o ON o.id = (SELECT max(id) "
	    "FROM rating WHERE reply = ?1 AND uid = ?2)", "iiisssiis",
	    a.reply, a.uid, a.thumb, reasons, a.ideal, a.comment, a.time,
	    (int64_t)(a.thumb == RATE_NO_THUMB), a.name)) != 0)
		goto out;
	rating = sqlite3_last_insert_rowid(st->db);
	msg_set_int(req->done, "rating", rating);
	msg_set_int(req->done, "reply", a.reply);
	r = store_rating_count(st, &a, rating, req);
out:
	free(reasons);
	return (r);
}

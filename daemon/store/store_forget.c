/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forget and expire: remove what a user has said in a range of time, all that
 * an account has stored, or what is older than the retention allows.  Each
 * carries out one slice, so that other writes wait for a short time only; the
 * answer says whether there is more.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "xmalloc.h"

#define FORGET_SLICE	100	/* exchanges removed at a time */

struct forget_args {
	const char	*user, *name;
	int64_t		 uid, since, until;
	int		 all, admin;
};

struct expire_args {
	int64_t		 rated, unrated;
};

static int	store_forget_whose(struct store *, struct forget_args *,
		    struct fault *);
static int	store_forget_run(struct store *, const char *,
		    const struct forget_args *, int64_t *, int64_t *);
static int	store_forget_said(struct store *, const struct forget_args *,
		    int64_t *, int64_t *, int64_t *);
static int	store_forget_left(struct store *, int64_t, int, int64_t *);
static int	store_forget_ratings(struct store *, int64_t, int64_t *);
static int	store_forget_rest(struct store *, const struct forget_args *,
		    int64_t *, int64_t *);

#define A(member) offsetof(struct forget_args, member)
static const struct field store_forget_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "name", FIELD_STRING, FIELD_NULLABLE, 0, 256, A(name) },
	{ "user", FIELD_STRING, FIELD_NULLABLE, 1, 256, A(user) },
	{ "since", FIELD_INT, FIELD_NULLABLE, 0, JSON_INT_MAX, A(since) },
	{ "until", FIELD_INT, FIELD_NULLABLE, 0, JSON_INT_MAX, A(until) },
	{ "all", FIELD_BOOL, 0, 0, 0, A(all) },
	{ "admin", FIELD_BOOL, 0, 0, 0, A(admin) },
};
#undef A

#define A(member) offsetof(struct expire_args, member)
static const struct field store_expire_fields[] = {
	{ "rated", FIELD_INT, 0, 0, JSON_INT_MAX, A(rated) },
	{ "unrated", FIELD_INT, 0, 0, JSON_INT_MAX, A(unrated) },
};
#undef A

/* Whose data is meant? */
static int
store_forget_whose(struct store *st, struct forget_args *a, struct fault *f)
{
	if (a->all == (a->since != 0 || a->until != 0))
		return (fault_set(f, "bad_field", "all", "expected either all "
		    "or a range of time"));
	if (a->until != 0 && a->until <= a->since)
		return (fault_set(f, "bad_field", "until", "until: expected "
		    "a time after \"since\""));
	if (a->until == 0)
		a->until = INT64_MAX;
	if (a->user == NULL)
		return (0);
	if (!a->admin)
		return (fault_set(f, "denied", "user", "user: for operators "
		    "only"));
	return (account_find(st, a->user, "user", &a->uid, f));
}

/* Remove at most *left rows, and count them. */
static int
store_forget_run(struct store *st, const char *sql, const struct forget_args *a,
    int64_t *left, int64_t *count)
{
	int64_t	n;
	int	r;

	if (*left == 0)
		return (0);
	if ((r = sql_run(st, sql, "iiii", a->uid, a->since, a->until,
	    *left)) != 0)
		return (r);
	n = sqlite3_changes(st->db);
	*count += n;
	*left -= n;
	return (0);
}

/* Remove at most *left exchanges of conversations, and count them and the
 * conversations that are empty then. */
static int
store_forget_said(struct store *st, const struct forget_args *a, int64_t *left,
    int64_t *exchanges, int64_t *conversations)
{
	struct {
		int64_t	exchange, conversation;
		int	titled;		/* its prompt made the title */
	}		 said[FORGET_SLICE];
	sqlite3_stmt	*q;
	char		*title;
	int		 i, n = 0, r;

	if ((r = sql_open(st, &q, "SELECT e.id, c.id, c.title, e.prompt "
	    "FROM conversation c JOIN exchange e ON e.conversation = c.id "
	    "WHERE c.uid = ?1 AND e.created >= ?2 AND e.created < ?3 "
	    "LIMIT ?4", "iiii", a->uid, a->since, a->until, *left)) != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1) {
		said[n].exchange = sqlite3_column_int64(q, 0);
		said[n].conversation = sqlite3_column_int64(q, 1);
		title = store_title((const char *)sqlite3_column_text(q, 3));
		said[n++].titled = strcmp(title, (const char *)
		    sqlite3_column_text(q, 2)) == 0;
		free(title);
	}
	for (i = 0; r == 0 && i < n; i++)
		r = sql_run(st, "DELETE FROM exchange WHERE id = ?", "i",
		    said[i].exchange);
	for (i = 0; r == 0 && i < n; i++)
		r = store_forget_left(st, said[i].conversation,
		    said[i].titled, conversations);
	*exchanges += n;
	*left -= n;
	return (r);
}

/* A conversation has lost an exchange: remove and count it if it is empty, else
 * (titled) give it a title that is not what was removed. */
static int
store_forget_left(struct store *st, int64_t conversation, int titled,
    int64_t *count)
{
	sqlite3_stmt	*q;
	char		*title;
	int		 r;

	if ((r = sql_run(st, "DELETE FROM conversation WHERE id = ?1 AND "
	    "NOT EXISTS (SELECT 1 FROM exchange WHERE conversation = ?1)", "i",
	    conversation)) != 0)
		return (r);
	*count += sqlite3_changes(st->db);
	if (!titled || (r = sql_open(st, &q, "SELECT prompt FROM exchange "
	    "WHERE conversation = ? ORDER BY id LIMIT 1", "i",
	    conversation)) != 0 || (r = sql_step(st, q)) != 1)
		return (r);
	title = store_title((const char *)sqlite3_column_text(q, 0));
	sql_end(q);
	r = sql_run(st, "UPDATE conversation SET title = ?2 WHERE id = ?1",
	    "is", conversation, title);
	free(title);
	return (r);
}

/* Remove at most *left ratings that an account has given to the replies of
 * others. Their exchanges become smaller. */
static int
store_forget_ratings(struct store *st, int64_t uid, int64_t *left)
{
	sqlite3_stmt	*q;
	int64_t		 exchange[FORGET_SLICE];
	int		 i, n = 0, r;

	if (*left == 0)
		return (0);
	if ((r = sql_open(st, &q, "SELECT DISTINCT r.exchange FROM rating a "
	    "JOIN reply r ON r.id = a.reply WHERE a.uid = ?1 LIMIT ?2", "ii",
	    uid, *left)) != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1)
		exchange[n++] = sqlite3_column_int64(q, 0);
	for (i = 0; r == 0 && i < n; i++) {
		if ((r = sql_run(st, "DELETE FROM rating WHERE uid = ?1 AND "
		    "reply IN (SELECT id FROM reply WHERE exchange = ?2)",
		    "ii", uid, exchange[i])) == 0)
			r = sql_run(st, "UPDATE size SET bytes = (SELECT bytes "
			    "FROM v_size v WHERE v.exchange = ?1) "
			    "WHERE exchange = ?1", "i", exchange[i]);
	}
	*left -= n;
	return (r);
}

/* All exchanges of the account are gone: remove the rest. */
static int
store_forget_rest(struct store *st, const struct forget_args *a, int64_t *left,
    int64_t *count)
{
	int	r;

	if ((r = store_forget_run(st, "DELETE FROM conversation WHERE id IN "
	    "(SELECT id FROM conversation c WHERE uid = ?1 AND "
	    "created >= ?2 AND created < ?3 AND NOT EXISTS "
	    "(SELECT 1 FROM exchange WHERE conversation = c.id) LIMIT ?4)", a,
	    left, count)) != 0 || !a->all ||
	    (r = store_forget_ratings(st, a->uid, left)) != 0 || *left == 0)
		return (r);
	if ((r = sql_run(st, "DELETE FROM draft WHERE uid = ?", "i",
	    a->uid)) != 0)
		return (r);
	return (sql_run(st, "DELETE FROM account WHERE uid = ?", "i", a->uid));
}

/* forget */
int
store_forget(struct store *st, struct store_request *req)
{
	struct forget_args	a = { 0 };
	int64_t			left = FORGET_SLICE, exchanges = 0, rest = 0;
	int			r;

	if ((r = fields_read(req->msg, store_forget_fields,
	    nitems(store_forget_fields), &a, &req->fault)) != 0 ||
	    (r = store_forget_whose(st, &a, &req->fault)) != 0 ||
	    (r = store_forget_said(st, &a, &left, &exchanges, &rest)) != 0 ||
	    (r = store_forget_run(st, "DELETE FROM exchange WHERE id IN "
	    "(SELECT id FROM exchange WHERE uid = ?1 AND conversation IS NULL "
	    "AND created >= ?2 AND created < ?3 LIMIT ?4)", &a, &left,
	    &exchanges)) != 0 ||
	    (r = store_forget_rest(st, &a, &left, &rest)) != 0)
		return (r);
	msg_set_int(req->done, "uid", a.uid);
	msg_set_int(req->done, "exchanges", exchanges);
	msg_set_int(req->done, "conversations", rest);
	msg_set_bool(req->done, "more", left == 0);
	st->wipe = st->purge = st->shrink = 1;
	return (0);
}

/* SQL: has a reply of the exchange e a rating? */
#define EXPIRE_RATED(e) \
	"EXISTS (SELECT 1 FROM reply r JOIN rating a ON a.reply = r.id " \
	"WHERE r.exchange = " e ")"
/* SQL: is a reply of the exchange e being written? */
#define EXPIRE_RUNNING(e) \
	"EXISTS (SELECT 1 FROM reply r WHERE r.exchange = " e " AND " \
	"r.state = 'running')"

/*
 * expire: remove the conversations and the raw prompts in which nothing has
 * been said since a time: "rated" those that have a rating, "unrated" the
 * others. 0: keep them. An exchange that is running stays.
 */
int
store_expire(struct store *st, struct store_request *req)
{
	struct expire_args	a = { 0 };
	int64_t			conversations, raw = 0;
	int			r;

	if ((r = fields_read(req->msg, store_expire_fields,
	    nitems(store_expire_fields), &a, &req->fault)) != 0)
		return (r);
	if ((r = sql_run(st, "DELETE FROM conversation WHERE id IN "
	    "(SELECT id FROM (SELECT c.id, c.updated, EXISTS (SELECT 1 "
	    "FROM exchange e WHERE e.conversation = c.id AND "
	    EXPIRE_RATED("e.id") ") AS rated FROM conversation c "
	    "WHERE c.updated < max(?1, ?2) AND NOT EXISTS (SELECT 1 "
	    "FROM exchange e WHERE e.conversation = c.id AND "
	    EXPIRE_RUNNING("e.id") ")) WHERE updated < "
	    "CASE WHEN rated THEN ?1 ELSE ?2 END LIMIT ?3)", "iii", a.rated,
	    a.unrated, (int64_t)FORGET_SLICE / 10)) != 0)
		return (r);
	conversations = sqlite3_changes(st->db);
	if ((r = sql_run(st, "DELETE FROM exchange WHERE id IN "
	    "(SELECT e.id FROM exchange e WHERE e.conversation IS NULL "
	    "AND e.created < CASE WHEN " EXPIRE_RATED("e.id") " THEN ?1 "
	    "ELSE ?2 END AND NOT " EXPIRE_RUNNING("e.id") " LIMIT ?3)", "iii",
	    a.rated, a.unrated, (int64_t)FORGET_SLICE)) != 0)
		return (r);
	raw = sqlite3_changes(st->db);
	msg_set_int(req->done, "conversations", conversations);
	msg_set_int(req->done, "exchanges", raw);
	msg_set_bool(req->done, "more", conversations == FORGET_SLICE / 10 ||
	    raw == FORGET_SLICE);
	if (conversations + raw > 0)
		st->wipe = st->purge = st->shrink = 1;
	return (0);
}

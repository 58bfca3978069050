/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ratings: a person's opinion of a reply.  A new rating adds a row that
 * supersedes the last one of the same person.  So old ratings are kept, and
 * only the newest one counts.  With "admin" it is the opinion of an operator
 * about any reply; about a blocked reply of somebody else it is a decision.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "suggest.h"
#include "utf8.h"
#include "vocabulary.h"
#include "xmalloc.h"

#define RATE_NO_THUMB	2	/* no thumb is given */
#define RATE_MAX	100	/* ratings that one person may give one reply */

/* SQL: the bytes of the texts of rating a, as v_size counts them. */
#define RATING_BYTES \
	"length(CAST(a.reasons AS BLOB)) + " \
	"ifnull(length(CAST(a.ideal AS BLOB)), 0) + " \
	"ifnull(length(CAST(a.comment AS BLOB)), 0)"

struct rate_args {
	const char	*ideal, *comment, *name;
	int64_t		 uid, exchange, reply, thumb, time;
	int64_t		 owner;		/* whose exchange it is */
	struct account_quota quota;
	json_t		*reasons;
	int		 admin;		/* by an operator, of any reply */
};

struct unrate_args {
	const char	*name;
	int64_t		 uid, rating;
};

static int	store_rating_reasons(const json_t *, char **, struct fault *);
static int	store_rating_unknown(const char *, struct fault *);
static int	store_rating_checks(struct store *, struct rate_args *,
		    struct store_request *);
static int	store_rating_find(struct store *, struct rate_args *,
		    struct fault *);
static int	store_rating_ideal(struct store *, const struct rate_args *,
		    struct fault *);
static int	store_rating_room(struct store *, const struct rate_args *,
		    struct store_request *);
static int	store_rating_count(struct store *, const struct rate_args *,
		    int64_t, struct store_request *);
static int	store_rating_answer(struct store *, int64_t, int64_t, json_t *);

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

#define A(member) offsetof(struct unrate_args, member)
static const struct field store_unrate_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "name", FIELD_STRING, FIELD_NULLABLE, 0, 256, A(name) },
	{ "rating", FIELD_INT, FIELD_REQUIRED, 1, JSON_INT_MAX, A(rating) },
};
#undef A

/* The number of bytes at the start of s, which ends at end, that hold white
 * space or characters that nobody sees. */
static size_t
store_rating_space(const char *s, const char *end)
{
	const char	*p = s;
	uint32_t	 c;
	int		 n;

	while (p < end && (n = utf8_decode(p, (size_t)(end - p), &c)) > 0 &&
	    (c <= ' ' || (c >= 0x7f && c <= 0xa0) || c == 0x1680 ||
	    (c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) ||
	    (c >= 0x205f && c <= 0x2064) || c == 0x3000 || c == 0xfeff))
		p += n;
	return ((size_t)(p - s));
}

/* Set *s and *n to a text without white space around it. */
static void
store_rating_trim(const char *text, const char **s, size_t *n)
{
	const char	*end = text + strlen(text), *p;

	*s = text + store_rating_space(text, end);
	for (*n = (size_t)(end - *s); *n > 0; *n = (size_t)(p - *s)) {
		for (p = *s + *n - 1; p > *s && (*p & 0xc0) == 0x80; p--)
			;
		if (store_rating_space(p, *s + *n) == 0)
			break;
	}
}

/* Is there nothing to read in a text? */
static int
store_rating_blank(const char *text)
{
	return (text[store_rating_space(text, text + strlen(text))] == '\0');
}

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
			return (store_rating_unknown(s, f));
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

/* Report a reason that is not in the vocabulary, with the nearest one. s is
 * NULL for what is not a string. */
static int
store_rating_unknown(const char *s, struct fault *f)
{
	const char	*near = s == NULL ? NULL :
			    suggest_word(s, vocabulary_reasons);
	char		*list;
	int		 r;

	if (near == NULL)
		return (vocabulary_fault(f, "bad_field", "reasons",
		    vocabulary_reasons, s));
	list = vocabulary_list(vocabulary_reasons, "or");
	r = fault_set(f, "bad_field", "reasons", "reasons: expected %s, found "
	    "\"%.40s\"; did you mean %s?", list, s, near);
	free(list);
	return (r);
}

/* Check that there is an opinion about a->reply, and that no text is blank. A
 * reason says why a reply is bad, so with one and without a thumb the thumb is
 * -1. */
static int
store_rating_checks(struct store *st, struct rate_args *a,
    struct store_request *req)
{
	const int	 why = json_array_size(a->reasons) > 0;
	int64_t		 old;
	int		 r;

	if (a->ideal != NULL && store_rating_blank(a->ideal))
		return (fault_set(&req->fault, "bad_field", "ideal",
		    "ideal: expected the reply that you wanted, found a blank "
		    "text"));
	if (a->comment != NULL && store_rating_blank(a->comment))
		return (fault_set(&req->fault, "bad_field", "comment",
		    "comment: expected a remark, found a blank text"));
	if (why && a->thumb == 1)
		return (fault_set(&req->fault, "bad_field", "reasons",
		    "reasons: they say why a reply is bad, but thumb is 1, "
		    "which is good"));
	if (why && a->thumb == RATE_NO_THUMB)
		a->thumb = -1;
	else if (a->thumb == RATE_NO_THUMB && a->ideal == NULL &&
	    a->comment == NULL) {
		/* An empty list takes the reasons of a rating back. */
		r = a->reasons == NULL ? 0 : sql_int(st, &old, "SELECT "
		    "max(id) FROM rating WHERE uid = ? AND reply = ?", "ii",
		    a->uid, a->reply);
		if (r == 0)
			return (fault_set(&req->fault, "bad_field", "thumb",
			    "thumb: an empty rating; expected thumb, reasons, "
			    "ideal or comment"));
		if (r < 0)
			return (r);
	}
	return (0);
}

/* Find the reply and its owner. A reply of another user is found only with
 * admin. Nobody decides about a block of their own. */
static int
store_rating_find(struct store *st, struct rate_args *a, struct fault *f)
{
	sqlite3_stmt	*q;
	int		 r;

	if ((r = sql_open(st, &q, "SELECT r.id, e.uid FROM reply r "
	    "JOIN exchange e ON e.id = r.exchange WHERE e.id = ?1 AND "
	    "CASE WHEN ?4 THEN e.uid <> ?2 OR r.state <> 'blocked' "
	    "ELSE e.uid = ?2 END AND ?3 IN (0, r.id) ORDER BY r.id DESC "
	    "LIMIT 1", "iiii", a->exchange, a->uid, a->reply,
	    (int64_t)a->admin)) != 0 || (r = sql_step(st, q)) < 0)
		return (r);
	if (r == 0)
		return (fault_set(f, "not_found", "exchange",
		    a->admin ? "no exchange %lld with such a reply, or a "
		    "blocked reply of your own" :
		    "no exchange %lld with such a reply",
		    (long long)a->exchange));
	a->reply = sqlite3_column_int64(q, 0);
	a->owner = sqlite3_column_int64(q, 1);
	sql_end(q);
	return (0);
}

/* Is the ideal reply another text than the reply? The text of a blocked reply
 * is not compared, so that nobody learns it by trying. */
static int
store_rating_ideal(struct store *st, const struct rate_args *a,
    struct fault *f)
{
	sqlite3_stmt	*q;
	const char	*text, *ideal;
	size_t		 n, len;
	int		 r, same;

	if (a->ideal == NULL)
		return (0);
	if ((r = sql_open(st, &q, "SELECT text FROM reply WHERE id = ? "
	    "AND state <> 'blocked'", "i", a->reply)) != 0 ||
	    (r = sql_step(st, q)) != 1)
		return (r);
	store_rating_trim((const char *)sqlite3_column_text(q, 0), &text, &n);
	store_rating_trim(a->ideal, &ideal, &len);
	same = n == len && memcmp(text, ideal, n) == 0;
	sql_end(q);
	return (!same ? 0 : fault_set(f, "bad_field", "ideal",
	    "ideal: expected another text than the reply, found the same; a "
	    "reply that is right is rated good"));
}

/* Has the person rated this reply too often? Old ratings are kept. */
static int
store_rating_room(struct store *st, const struct rate_args *a,
    struct store_request *req)
{
	int64_t	 n = 0;
	int	 r;

	if ((r = sql_int(st, &n, "SELECT count(*) FROM rating WHERE reply = ? "
	    "AND uid = ?", "ii", a->reply, a->uid)) < 0)
		return (r);
	if (n < RATE_MAX)
		return (0);
	req->used = n + 1;
	req->limit = RATE_MAX;
	return (fault_set(&req->fault, "quota", "ratings", "reply %lld has "
	    "been rated %d times by you, and all of these ratings are kept",
	    (long long)a->reply, RATE_MAX));
}

/* Count the new row, and check the quota of the user. An operator who decides
 * adds to what the owner has stored, whatever the quota. */
static int
store_rating_count(struct store *st, const struct rate_args *a, int64_t rating,
    struct store_request *req)
{
	int64_t	bytes = 0;

	if (sql_int(st, &bytes, "SELECT " RATING_BYTES " FROM rating a "
	    "WHERE id = ?", "i", rating) < 0 ||
	    account_grow(st, a->exchange, a->owner, STORE_ROW + bytes) != 0)
		return (CHAT_ESYSTEM);
	return (a->admin ? 0 : account_check(st, req, a->uid, 0, &a->quota));
}

/* Set what a rating says, without its texts. */
static int
store_rating_answer(struct store *st, int64_t reply, int64_t uid, json_t *done)
{
	sqlite3_stmt	*q;
	int		 r;

	if ((r = sql_open(st, &q, "SELECT id, thumb, reasons, "
	    "ideal IS NOT NULL, comment IS NOT NULL FROM rating "
	    "WHERE reply = ? AND uid = ? ORDER BY id DESC LIMIT 1", "ii",
	    reply, uid)) != 0 || (r = sql_step(st, q)) != 1)
		return (r);
	sql_integer(done, "rating", q, 0);
	sql_integer(done, "thumb", q, 1);
	sql_json(done, "reasons", q, 2);
	msg_set_bool(done, "ideal", sqlite3_column_int(q, 3));
	msg_set_bool(done, "comment", sqlite3_column_int(q, 4));
	sql_end(q);
	return (0);
}

/*
 * rate: store an opinion. With a thumb it replaces the person's last opinion.
 * Without a thumb it changes that one: fields that are not given stay as they
 * are.
 */
int
store_rate(struct store *st, struct store_request *req)
{
	struct rate_args	 a = { .thumb = RATE_NO_THUMB };
	char			*reasons = NULL;
	int64_t			 adds;
	int			 r;

	if ((r = fields_read(req->msg, store_rating_fields,
	    nitems(store_rating_fields), &a, &req->fault)) != 0 ||
	    (a.reasons != NULL && (r = store_rating_reasons(a.reasons, &reasons,
	    &req->fault)) != 0))
		goto out;
	adds = a.thumb == RATE_NO_THUMB;
	if ((r = store_rating_find(st, &a, &req->fault)) != 0 ||
	    (r = store_rating_checks(st, &a, req)) != 0 ||
	    (r = store_rating_ideal(st, &a, &req->fault)) != 0 ||
	    (r = store_rating_room(st, &a, req)) != 0)
		goto out;
	if ((r = sql_run(st, "INSERT INTO rating (reply, uid, thumb, reasons, "
	    "ideal, comment, created, supersedes, name) SELECT ?1, ?2, "
	    "CASE ?3 WHEN 2 THEN coalesce(o.thumb, 0) ELSE ?3 END, "
	    "coalesce(?4, CASE WHEN ?8 THEN o.reasons END, '[]'), "
	    "coalesce(?5, CASE WHEN ?8 THEN o.ideal END), "
	    "coalesce(?6, CASE WHEN ?8 THEN o.comment END), ?7, o.id, ?9 "
	    "FROM (SELECT 1) LEFT JOIN rating o ON o.id = (SELECT max(id) "
	    "FROM rating WHERE reply = ?1 AND uid = ?2)", "iiisssiis",
	    a.reply, a.uid, a.thumb, reasons, a.ideal, a.comment, a.time,
	    adds, a.name)) != 0)
		goto out;
	msg_set_int(req->done, "exchange", a.exchange);
	msg_set_int(req->done, "reply", a.reply);
	if ((r = store_rating_count(st, &a,
	    sqlite3_last_insert_rowid(st->db), req)) == 0)
		r = store_rating_answer(st, a.reply, a.uid, req->done);
out:
	free(reasons);
	return (r);
}

/* unrate: remove the newest rating that a person has given a reply, so that the
 * one before it counts again, if there is one. */
int
store_unrate(struct store *st, struct store_request *req)
{
	struct unrate_args	 a;
	sqlite3_stmt		*q;
	int64_t			 reply, exchange, owner, bytes;
	int			 r;

	if ((r = fields_read(req->msg, store_unrate_fields,
	    nitems(store_unrate_fields), &a, &req->fault)) != 0 ||
	    (r = sql_open(st, &q, "SELECT r.id, e.id, e.uid, "
	    RATING_BYTES " FROM rating a JOIN reply r ON r.id = a.reply "
	    "JOIN exchange e ON e.id = r.exchange WHERE a.id = ? AND "
	    "a.uid = ? AND NOT EXISTS (SELECT 1 FROM rating "
	    "WHERE supersedes = a.id)", "ii", a.rating, a.uid)) != 0 ||
	    (r = sql_step(st, q)) < 0)
		return (r);
	if (r == 0)
		return (fault_set(&req->fault, "not_found", "rating",
		    "no rating %lld of yours that counts",
		    (long long)a.rating));
	reply = sqlite3_column_int64(q, 0);
	exchange = sqlite3_column_int64(q, 1);
	owner = sqlite3_column_int64(q, 2);
	bytes = sqlite3_column_int64(q, 3);
	sql_end(q);
	msg_set_int(req->done, "exchange", exchange);
	msg_set_int(req->done, "reply", reply);
	st->wipe = 1;
	if ((r = sql_run(st, "DELETE FROM rating WHERE id = ?", "i",
	    a.rating)) != 0 ||
	    (r = account_grow(st, exchange, owner, -bytes - STORE_ROW)) != 0)
		return (r);
	return (store_rating_answer(st, reply, a.uid, req->done));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * show: the exchanges of a conversation in order, or one exchange.
 *
 * A client requests a page, and chatd requests the page slice by slice.  A page
 * ends after "limit" exchanges or STORE_PAGE bytes, always between two
 * exchanges.  A slice may end between two replies of one exchange; the other
 * replies follow in another item.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "xmalloc.h"

#define SHOW_LIMIT	50	/* exchanges, if no limit is given */

/* SQL: exchanges, and whether the filter lets them pass (?3: there is one). */
#define SHOW_EXCHANGES \
	"SELECT e.id, created, prompt, kind, NOT ?3 OR " STORE_FILTER \
	" FROM exchange e WHERE "

struct show_args {
	int64_t		 uid, conversation, exchange;
	int64_t		 after;		/* the last exchange shown */
	int64_t		 reply;		/* its last reply shown; 0: all */
	int64_t		 limit;		/* exchanges left in the page */
	int64_t		 bytes;		/* bytes left in the page */
	int		 admin;
	struct store_filter filter;
};

static int	store_show_head(struct store *, const struct show_args *,
		    struct store_request *);
static int	store_show_exchange(struct store *, sqlite3_stmt *,
		    struct show_args *, struct store_request *, int64_t *);
static int	store_show_replies(struct store *, struct show_args *, int64_t,
		    json_t *, int64_t *);
static int	store_show_reply(struct store *, const struct show_args *,
		    sqlite3_stmt *, json_t *, int64_t *);
static int	store_show_rating(struct store *, int64_t, json_t *, int64_t *);
static int	store_show_others(struct store *, int64_t, json_t *, int64_t *);
static int	store_show_decision(struct store *, int64_t, json_t *);
static int	store_show_verdicts(struct store *, int64_t, json_t *,
		    int64_t *);
static void	store_show_next(const struct show_args *, json_t *);

#define A(member) offsetof(struct show_args, member)
#define NUMBER 1, JSON_INT_MAX
static const struct field store_show_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "conversation", FIELD_INT, FIELD_NULLABLE, NUMBER,
	    A(conversation) },
	{ "exchange", FIELD_INT, FIELD_NULLABLE, NUMBER, A(exchange) },
	{ "after", FIELD_INT, FIELD_NULLABLE, NUMBER, A(after) },
	{ "reply", FIELD_INT, FIELD_NULLABLE, NUMBER, A(reply) },
	{ "limit", FIELD_INT, 0, 1, 1000, A(limit) },
	{ "bytes", FIELD_INT, 0, NUMBER, A(bytes) },
	{ "admin", FIELD_BOOL, 0, 0, 0, A(admin) },
	STORE_FILTER_FIELDS(A(filter)),
};
#undef A

/* show */
int
store_show(struct store *st, struct store_request *req)
{
	struct show_args a = { .limit = SHOW_LIMIT, .bytes = STORE_PAGE };
	sqlite3_stmt	*q;
	int64_t		 slice = 0;
	int		 r, page = 1, looked = 0;

	if ((r = fields_read(req->msg, store_show_fields,
	    nitems(store_show_fields), &a, &req->fault)) != 0 ||
	    (r = store_filter_read(st, &a.filter, a.admin,
	    &req->fault)) != 0 ||
	    (r = store_show_head(st, &a, req)) != 0)
		return (r);
	if ((r = sql_open(st, &q, a.exchange != 0 ?
	    SHOW_EXCHANGES "e.id = ?1 AND e.id >= ?2" :
	    SHOW_EXCHANGES "conversation = ?1 AND e.id >= ?2 ORDER BY e.id",
	    "iiii" STORE_FILTER_TYPES, a.exchange != 0 ? a.exchange :
	    a.conversation, a.reply != 0 ? a.after : a.after + 1,
	    (int64_t)a.filter.any, (int64_t)a.admin,
	    STORE_FILTER_ARGS(&a.filter))) != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1) {
		page = a.reply != 0 || (a.limit > 0 && a.bytes > 0);
		if (!page || slice >= STORE_SLICE || looked++ == STORE_LOOK)
			break;
		if (!sqlite3_column_int(q, 4)) {
			a.after = sqlite3_column_int64(q, 0);
			continue;
		}
		if ((r = store_show_exchange(st, q, &a, req, &slice)) != 0) {
			sql_end(q);
			return (r);
		}
		if (a.reply != 0) {	/* there are more of its replies */
			r = 1;
			break;
		}
	}
	if (r < 0)
		return (r);
	if (r == 1)
		sql_end(q);
	msg_set_bool(req->done, "more", r);
	if (r == 1 && page)
		store_show_next(&a, req->done);
	return (0);
}

/* Set the members with which the rest of the page is requested. */
static void
store_show_next(const struct show_args *a, json_t *done)
{
	json_t	*next = json_object();

	msg_set_int(next, "after", a->after);
	msg_set(next, "reply", a->reply != 0 ? json_integer(a->reply) :
	    json_null());
	msg_set_int(next, "limit", a->limit);
	msg_set_int(next, "bytes", a->bytes > 0 ? a->bytes : 1);
	msg_set(done, "next", next);
}

/* Set the title and owner, if the user may see the data. */
static int
store_show_head(struct store *st, const struct show_args *a,
    struct store_request *req)
{
	sqlite3_stmt	*q;
	int64_t		 id = a->exchange != 0 ? a->exchange :
			    a->conversation;
	const char	*what = a->exchange != 0 ? "exchange" :
			    "conversation";
	int		 r;

	if ((a->conversation != 0) == (a->exchange != 0))
		return (fault_set(&req->fault, "bad_field", "conversation",
		    "expected conversation or exchange%s", id == 0 ? "" :
		    ", not both"));
	if (a->exchange != 0)
		r = sql_open(st, &q, "SELECT conversation, created, uid "
		    "FROM exchange WHERE id = ?1 AND (uid = ?2 OR ?3)", "iii",
		    id, a->uid, (int64_t)a->admin);
	else
		r = sql_open(st, &q, "SELECT id, created, uid, title "
		    "FROM conversation WHERE id = ?1 AND (uid = ?2 OR ?3)",
		    "iii", id, a->uid, (int64_t)a->admin);
	if (r != 0 || (r = sql_step(st, q)) < 0)
		return (r);
	if (r == 0)
		return (fault_set(&req->fault, "not_found", what, "no %s %lld",
		    what, (long long)id));
	msg_set(req->done, "conversation", json_null());
	sql_integer(req->done, "conversation", q, 0);
	sql_integer(req->done, "created", q, 1);
	sql_integer(req->done, "uid", q, 2);
	if (a->exchange == 0)
		sql_text(req->done, "title", q, 3);
	sql_end(q);
	return (0);
}

/*
 * Send the exchange of row q, or the rest of it. Sets a->after to this
 * exchange, and a->reply to the last reply sent, or to 0 if that was all.
 */
static int
store_show_exchange(struct store *st, sqlite3_stmt *q, struct show_args *a,
    struct store_request *req, int64_t *slice)
{
	json_t	*m = json_object(), *x = json_object();
	int64_t	 bytes = STORE_ROW;
	int	 r;

	msg_set(m, "exchange", x);
	sql_integer(x, "exchange", q, 0);
	sql_integer(x, "created", q, 1);
	sql_text(x, "kind", q, 3);
	if (a->reply != 0)
		msg_set_bool(x, "continued", 1);
	else {
		sql_text(x, "prompt", q, 2);
		bytes += sqlite3_column_bytes(q, 2);
	}
	a->after = sqlite3_column_int64(q, 0);
	if ((r = store_show_replies(st, a, a->after, x, &bytes)) < 0) {
		json_decref(m);
		return (r);
	}
	req->item(req->arg, m);
	*slice += bytes;
	a->bytes -= bytes;
	if (a->reply == 0)
		a->limit--;
	return (0);
}

/* Add the replies of an exchange to o, oldest first, from the one after
 * a->reply on, as many as fit into a slice. */
static int
store_show_replies(struct store *st, struct show_args *a, int64_t exchange,
    json_t *o, int64_t *bytes)
{
	sqlite3_stmt	*q;
	json_t		*list = json_array(), *reply;
	int64_t		 last = a->reply;
	int		 r;

	msg_set(o, "replies", list);
	a->reply = 0;
	if ((r = sql_open(st, &q, "SELECT r.id, r.text, r.state, r.stop, "
	    "r.error, r.created, m.name, m.precision, r.seed, r.params, "
	    "r.prompt_tokens, r.output_tokens, l.name, l.digest, r.assigned "
	    "FROM reply r JOIN model m ON m.id = r.model "
	    "LEFT JOIN adapter l ON l.id = r.adapter WHERE r.exchange = ? "
	    "AND r.id > ? ORDER BY r.id", "ii", exchange, last)) != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1) {
		if (json_array_size(list) > 0 && *bytes >= STORE_SLICE) {
			a->reply = last;
			sql_end(q);
			return (0);
		}
		last = sqlite3_column_int64(q, 0);
		reply = json_object();
		json_array_append_new(list, reply);
		if ((r = store_show_reply(st, a, q, reply, bytes)) != 0) {
			sql_end(q);
			return (r);
		}
	}
	return (r);
}

/* Add one reply to o: the row at q, its ratings and verdicts. */
static int
store_show_reply(struct store *st, const struct show_args *a, sqlite3_stmt *q,
    json_t *o, int64_t *bytes)
{
	int64_t	 id = sqlite3_column_int64(q, 0);
	int	 r;

	msg_set_int(o, "reply", id);
	sql_text(o, "text", q, 1);
	sql_text(o, "state", q, 2);
	sql_text(o, "stop", q, 3);
	sql_text(o, "error", q, 4);
	sql_integer(o, "created", q, 5);
	sql_text(o, "model", q, 6);
	sql_text(o, "precision", q, 7);
	sql_integer(o, "seed", q, 8);
	sql_json(o, "params", q, 9);
	sql_integer(o, "prompt_tokens", q, 10);
	sql_integer(o, "output_tokens", q, 11);
	if (a->admin)		/* users rate without knowing it */
		store_adapter_tell(o, q, 12);
	*bytes += STORE_ROW + sqlite3_column_bytes(q, 1) +
	    sqlite3_column_bytes(q, 9);
	if ((r = store_show_rating(st, id, o, bytes)) != 0 ||
	    (a->admin && (r = store_show_others(st, id, o, bytes)) != 0) ||
	    (r = store_show_decision(st, id, o)) != 0)
		return (r);
	return (store_show_verdicts(st, id, o, bytes));
}

/* Add the owner's rating that counts to o. */
static int
store_show_rating(struct store *st, int64_t reply, json_t *o, int64_t *bytes)
{
	sqlite3_stmt	*q;
	json_t		*rating;
	int		 r;

	msg_set(o, "rating", json_null());
	if ((r = sql_open(st, &q, "SELECT thumb, reasons, ideal, comment "
	    "FROM rating a WHERE reply = ?1 AND uid = (SELECT e.uid "
	    "FROM exchange e JOIN reply r ON r.exchange = e.id "
	    "WHERE r.id = ?1) AND NOT EXISTS (SELECT 1 FROM rating "
	    "WHERE supersedes = a.id)", "i", reply)) != 0 ||
	    (r = sql_step(st, q)) != 1)
		return (r);
	rating = json_object();
	sql_integer(rating, "thumb", q, 0);
	sql_json(rating, "reasons", q, 1);
	sql_text(rating, "ideal", q, 2);
	sql_text(rating, "comment", q, 3);
	*bytes += sqlite3_column_bytes(q, 2) + sqlite3_column_bytes(q, 3);
	sql_end(q);
	msg_set(o, "rating", rating);
	return (0);
}

/* Add the ratings that count of others than the owner to o. */
static int
store_show_others(struct store *st, int64_t reply, json_t *o, int64_t *bytes)
{
	sqlite3_stmt	*q;
	json_t		*list = json_array(), *rating;
	int		 r;

	msg_set(o, "ratings", list);
	if ((r = sql_open(st, &q, "SELECT thumb, reasons, ideal, comment, "
	    "uid, coalesce(name, uid) FROM rating a WHERE reply = ?1 "
	    "AND uid <> (SELECT e.uid FROM exchange e JOIN reply r "
	    "ON r.exchange = e.id WHERE r.id = ?1) AND NOT EXISTS (SELECT 1 "
	    "FROM rating WHERE supersedes = a.id) ORDER BY id", "i",
	    reply)) != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1) {
		rating = json_object();
		sql_integer(rating, "thumb", q, 0);
		sql_json(rating, "reasons", q, 1);
		sql_text(rating, "ideal", q, 2);
		sql_text(rating, "comment", q, 3);
		sql_integer(rating, "uid", q, 4);
		sql_text(rating, "user", q, 5);
		*bytes += STORE_ROW + sqlite3_column_bytes(q, 2) +
		    sqlite3_column_bytes(q, 3);
		json_array_append_new(list, rating);
	}
	return (r);
}

/* Add what an operator has decided about a blocked reply to o. */
static int
store_show_decision(struct store *st, int64_t reply, json_t *o)
{
	sqlite3_stmt	*q;
	int		 r;

	if ((r = sql_open(st, &q, "SELECT " STORE_DECISION("r.id", "e.uid",
	    "9223372036854775807") " FROM reply r JOIN exchange e "
	    "ON e.id = r.exchange WHERE r.id = ?", "i", reply)) != 0 ||
	    (r = sql_step(st, q)) != 1)
		return (r);
	if (sqlite3_column_type(q, 0) != SQLITE_NULL)
		sql_text(o, "decision", q, 0);
	sql_end(q);
	return (0);
}

/* Add the findings of the filters to o. */
static int
store_show_verdicts(struct store *st, int64_t reply, json_t *o, int64_t *bytes)
{
	sqlite3_stmt	*q;
	json_t		*list = json_array(), *v;
	int		 r;

	msg_set(o, "verdicts", list);
	if ((r = sql_open(st, &q, "SELECT direction, plugin, category, score, "
	    "start, \"end\", rule, action FROM verdict WHERE reply = ? "
	    "ORDER BY id", "i", reply)) != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1) {
		v = json_object();
		sql_text(v, "direction", q, 0);
		sql_text(v, "plugin", q, 1);
		sql_text(v, "category", q, 2);
		msg_set_real(v, "score", sqlite3_column_double(q, 3));
		sql_integer(v, "start", q, 4);
		sql_integer(v, "end", q, 5);
		sql_text(v, "rule", q, 6);
		sql_text(v, "action", q, 7);
		json_array_append_new(list, v);
		*bytes += STORE_ROW;
	}
	return (r);
}

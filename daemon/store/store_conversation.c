/*
 * Conversations: made, listed, shown, deleted; and how much is stored.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "limits.h"
#include "utf8.h"
#include "xmalloc.h"

#define LIST_LIMIT	50	/* conversations, where no limit is given */

/* Two statements rather than one with OR, for which there is no index. */
#define LIST_QUERY(whose) \
	"SELECT id, title, created, updated, (SELECT count(*) FROM exchange " \
	"WHERE conversation = c.id), uid FROM conversation c " \
	"WHERE " whose " AND id < ?2 ORDER BY id DESC LIMIT ?3"

/* Fields of all operations here; each has a table of those it knows. */
struct conversation_args {
	const char	*title;
	int64_t		 uid, conversation, before, limit, time;
	int		 admin;
};

static int	show_conversation(struct store *,
		    const struct conversation_args *, struct store_request *);
static int	show_reply(struct store *, sqlite3_stmt *, json_t **);
static int	show_rating(struct store *, int64_t, json_t *);
static int	show_verdicts(struct store *, int64_t, json_t *);
static int	show_replies(struct store *, int64_t, json_t *);
static int	stats_count(struct store *, json_t *, const char *,
		    const char *);

#define A(member) offsetof(struct conversation_args, member)
#define NUMBER 1, JSON_INT_MAX
static const struct field new_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "title", FIELD_STRING, FIELD_NULLABLE, 0, 0, A(title) },
	{ "time", FIELD_INT, FIELD_REQUIRED, 0, JSON_INT_MAX, A(time) },
};
static const struct field list_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "before", FIELD_INT, FIELD_NULLABLE, NUMBER, A(before) },
	{ "limit", FIELD_INT, 0, 1, 1000, A(limit) },
	{ "admin", FIELD_BOOL, 0, 0, 0, A(admin) },
};
static const struct field show_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "conversation", FIELD_INT, FIELD_REQUIRED, NUMBER,
	    A(conversation) },
	{ "admin", FIELD_BOOL, 0, 0, 0, A(admin) },
};
static const struct field delete_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "conversation", FIELD_INT, FIELD_REQUIRED, NUMBER,
	    A(conversation) },
};
#undef A

/* Make a title: control characters and line ends become spaces. */
char *
store_title(const char *text)
{
	size_t		 n = strlen(text), i = 0, k = 0, chars = 0;
	char		*title;
	uint32_t	 cp;
	int		 len;

	title = xmalloc(STORE_TITLE_CHARS * 4 + 1);
	while (i < n && chars < STORE_TITLE_CHARS) {
		if ((len = utf8_decode(text + i, n - i, &cp)) <= 0)
			break;
		if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 ||
		    cp == 0x2029)
			cp = ' ';
		i += (size_t)len;
		if (cp == ' ' && (k == 0 || title[k - 1] == ' '))
			continue;
		k += (size_t)utf8_encode(cp, title + k);
		chars++;
	}
	while (k > 0 && title[k - 1] == ' ')
		k--;
	title[k] = '\0';
	return (title);
}

/* new: an empty conversation. */
int
store_new(struct store *st, struct store_request *req)
{
	struct conversation_args	 a = { .title = "" };
	char				*title;
	int				 r;

	if ((r = fields_read(req->msg, new_fields, nitems(new_fields), &a,
	    &req->fault)) != 0)
		return (r);
	title = store_title(a.title);
	r = sql_run(st, "INSERT INTO conversation (uid, title, created, "
	    "updated) VALUES (?1, ?2, ?3, ?3)", "isi", a.uid, title, a.time);
	free(title);
	msg_set_int(req->done, "conversation",
	    sqlite3_last_insert_rowid(st->db));
	return (r);
}

/* list: a user's conversations, or everybody's, newest first. */
int
store_list(struct store *st, struct store_request *req)
{
	struct conversation_args a = { .before = JSON_INT_MAX,
	    .limit = LIST_LIMIT };
	sqlite3_stmt	*q;
	json_t		*list = json_array(), *c;
	int		 r, more = 0;

	msg_set(req->done, "conversations", list);
	if ((r = fields_read(req->msg, list_fields, nitems(list_fields), &a,
	    &req->fault)) != 0 ||
	    (r = sql_open(st, &q, a.admin ? LIST_QUERY("?1 = ?1") :
	    LIST_QUERY("uid = ?1"), "iii", a.uid, a.before,
	    a.limit + 1)) != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1) {
		if ((int64_t)json_array_size(list) == a.limit) {
			more = 1;
			sql_end(q);
			r = 0;
			break;
		}
		c = json_object();
		sql_integer(c, "conversation", q, 0);
		sql_text(c, "title", q, 1);
		sql_integer(c, "created", q, 2);
		sql_integer(c, "updated", q, 3);
		sql_integer(c, "exchanges", q, 4);
		sql_integer(c, "uid", q, 5);
		json_array_append_new(list, c);
	}
	msg_set_bool(req->done, "more", more);
	return (r);
}

/* The conversation's own facts, if the asker may see it. */
static int
show_conversation(struct store *st, const struct conversation_args *a,
    struct store_request *req)
{
	sqlite3_stmt	*q;
	int		 r;

	if ((r = sql_open(st, &q, "SELECT title, created, uid "
	    "FROM conversation WHERE id = ?1 AND (uid = ?2 OR ?3)", "iii",
	    a->conversation, a->uid, (int64_t)a->admin)) != 0 ||
	    (r = sql_step(st, q)) < 0)
		return (r);
	if (r == 0)
		return (fault_set(&req->fault, "not_found", "conversation",
		    "no conversation %lld", (long long)a->conversation));
	msg_set_int(req->done, "conversation", a->conversation);
	sql_text(req->done, "title", q, 0);
	sql_integer(req->done, "created", q, 1);
	sql_integer(req->done, "uid", q, 2);
	sql_end(q);
	return (0);
}

/* The rating that counts, as a member of o. */
static int
show_rating(struct store *st, int64_t reply, json_t *o)
{
	sqlite3_stmt	*q;
	json_t		*rating;
	int		 r;

	msg_set(o, "rating", json_null());
	if ((r = sql_open(st, &q, "SELECT thumb, reasons, ideal, comment "
	    "FROM rating a WHERE reply = ? AND NOT EXISTS (SELECT 1 "
	    "FROM rating WHERE supersedes = a.id) ORDER BY id DESC", "i",
	    reply)) != 0 || (r = sql_step(st, q)) != 1)
		return (r);
	rating = json_object();
	sql_integer(rating, "thumb", q, 0);
	sql_json(rating, "reasons", q, 1);
	sql_text(rating, "ideal", q, 2);
	sql_text(rating, "comment", q, 3);
	sql_end(q);
	msg_set(o, "rating", rating);
	return (0);
}

/* What the filters found, as a member of o. */
static int
show_verdicts(struct store *st, int64_t reply, json_t *o)
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
	}
	return (r);
}

/* One reply: the row at q, its rating and verdicts. */
static int
show_reply(struct store *st, sqlite3_stmt *q, json_t **out)
{
	int64_t	 id = sqlite3_column_int64(q, 0);
	json_t	*o = json_object();
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
	if ((r = show_rating(st, id, o)) != 0 ||
	    (r = show_verdicts(st, id, o)) != 0) {
		json_decref(o);
		return (r);
	}
	*out = o;
	return (0);
}

/* All replies to an exchange, oldest first, as a member of o. */
static int
show_replies(struct store *st, int64_t exchange, json_t *o)
{
	sqlite3_stmt	*q;
	json_t		*list = json_array(), *reply;
	int		 r;

	msg_set(o, "replies", list);
	if ((r = sql_open(st, &q, "SELECT r.id, r.text, r.state, r.stop, "
	    "r.error, r.created, m.name, m.precision, r.seed, r.params, "
	    "r.prompt_tokens, r.output_tokens FROM reply r "
	    "JOIN model m ON m.id = r.model WHERE r.exchange = ? "
	    "ORDER BY r.id", "i", exchange)) != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1) {
		if ((r = show_reply(st, q, &reply)) != 0) {
			sql_end(q);
			return (r);
		}
		json_array_append_new(list, reply);
	}
	return (r);
}

/* show: a conversation's exchanges in order. */
int
store_show(struct store *st, struct store_request *req)
{
	struct conversation_args	 a = { 0 };
	sqlite3_stmt			*q;
	json_t				*m, *x;
	int				 r;

	if ((r = fields_read(req->msg, show_fields, nitems(show_fields), &a,
	    &req->fault)) != 0 ||
	    (r = show_conversation(st, &a, req)) != 0 ||
	    (r = sql_open(st, &q, "SELECT id, created, prompt, kind "
	    "FROM exchange WHERE conversation = ? ORDER BY id", "i",
	    a.conversation)) != 0)
		return (r);
	req->items = json_array();
	while ((r = sql_step(st, q)) == 1) {
		m = json_object();
		x = json_object();
		msg_set(m, "exchange", x);
		json_array_append_new(req->items, m);
		sql_integer(x, "exchange", q, 0);
		sql_integer(x, "created", q, 1);
		sql_text(x, "prompt", q, 2);
		sql_text(x, "kind", q, 3);
		if ((r = show_replies(st, sqlite3_column_int64(q, 0),
		    x)) != 0) {
			sql_end(q);
			return (r);
		}
	}
	return (r);
}

/* delete: a conversation and all that hangs on it. */
int
store_delete(struct store *st, struct store_request *req)
{
	struct conversation_args	a = { 0 };
	int				r;

	if ((r = fields_read(req->msg, delete_fields, nitems(delete_fields),
	    &a, &req->fault)) != 0 ||
	    (r = sql_run(st, "DELETE FROM conversation WHERE id = ? "
	    "AND uid = ?", "ii", a.conversation, a.uid)) != 0)
		return (r);
	if (sqlite3_changes(st->db) == 0)
		return (fault_set(&req->fault, "not_found", "conversation",
		    "no conversation %lld", (long long)a.conversation));
	st->wipe = 1;
	return (0);
}

/* Set key to the integer that sql gives. */
static int
stats_count(struct store *st, json_t *done, const char *key, const char *sql)
{
	int64_t	n = 0;
	int	r;

	if ((r = sql_int(st, &n, sql, "")) < 0)
		return (r);
	msg_set_int(done, key, n);
	return (0);
}

/* stats: how much there is. */
int
store_stats(struct store *st, struct store_request *req)
{
	int64_t	pages = 0;
	int	r;

	if ((r = fields_read(req->msg, NULL, 0, NULL, &req->fault)) != 0 ||
	    (r = stats_count(st, req->done, "conversations",
	    "SELECT count(*) FROM conversation")) != 0 ||
	    (r = stats_count(st, req->done, "exchanges",
	    "SELECT count(*) FROM exchange")) != 0 ||
	    (r = stats_count(st, req->done, "ratings", "SELECT count(*) "
	    "FROM rating a WHERE NOT EXISTS (SELECT 1 FROM rating "
	    "WHERE supersedes = a.id)")) != 0 ||
	    (r = sql_int(st, &pages, "PRAGMA page_count", "")) < 0)
		return (r);
	msg_set_int(req->done, "bytes", (pages + st->wal_pages) *
	    st->page_size);
	return (0);
}

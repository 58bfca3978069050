/* SPDX-License-Identifier: Apache-2.0 */
/*
 * begin: store an exchange before the filters and the model get it.  chatd
 * sends a begin again if the answer was lost; the second one changes nothing.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "xmalloc.h"

struct begin_args {
	const char	*key, *kind, *prompt, *preprompt;
	const char	*name, *build;
	int64_t		 uid, conversation, exchange, seed, time;
	int64_t		 history_bytes;
	struct account_quota quota;
	json_t		*params, *model;
	int64_t		 context;	/* of the model; 0: not known */
	json_t		*adapters;	/* of the model, if it continues a
					 * reply */
	int		 topic, further;
	int		 made;		/* it has created a conversation */
	json_t		*merged;	/* owned, or NULL: params of a reply
					 * that is continued */
};

struct begin_model {
	const char	*path, *name, *digest, *precision;
};

static int	store_begin_check(const struct begin_args *, struct fault *);
static int	store_begin_known(struct store *, struct begin_args *,
		    int64_t *, struct fault *);
static int	store_begin_owned(struct store *, struct begin_args *,
		    struct fault *);
static int	store_begin_place(struct store *, struct begin_args *,
		    struct fault *);
static int	store_begin_model(struct store *, json_t *, int64_t *,
		    struct fault *);
static char	*store_begin_params(const json_t *);
static int	store_begin_reply(struct store *, struct begin_args *,
		    int64_t *, struct store_request *);
static int	store_begin_history(struct store *, int64_t, int64_t, json_t *);
static int	store_begin_answer(struct store *, const struct begin_args *,
		    int64_t, json_t *);

#define A(member) offsetof(struct begin_args, member)
static const struct field store_begin_fields[] = {
	{ "key", FIELD_STRING, FIELD_REQUIRED, 0, STORE_KEY_MAX, A(key) },
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "name", FIELD_STRING, FIELD_NULLABLE, 0, 256, A(name) },
	{ "build", FIELD_STRING, FIELD_NULLABLE, 0, 256, A(build) },
	{ "conversation", FIELD_INT, FIELD_NULLABLE, 1, JSON_INT_MAX,
	    A(conversation) },
	{ "exchange", FIELD_INT, FIELD_NULLABLE, 1, JSON_INT_MAX,
	    A(exchange) },
	{ "kind", FIELD_STRING, FIELD_REQUIRED, 0, 16, A(kind) },
	{ "prompt", FIELD_STRING, FIELD_NULLABLE, 0, 0, A(prompt) },
	{ "preprompt", FIELD_STRING, FIELD_NULLABLE, 0, 0, A(preprompt) },
	{ "params", FIELD_OBJECT, FIELD_REQUIRED, 0, 0, A(params) },
	{ "seed", FIELD_INT, FIELD_REQUIRED, 0, JSON_INT_MAX, A(seed) },
	{ "model", FIELD_OBJECT, FIELD_REQUIRED, 0, 0, A(model) },
	{ "time", FIELD_INT, FIELD_REQUIRED, 0, JSON_INT_MAX, A(time) },
	{ "history_bytes", FIELD_INT, 0, 0, JSON_INT_MAX, A(history_bytes) },
	{ "topic", FIELD_BOOL, 0, 0, 0, A(topic) },
	{ "continue", FIELD_BOOL, 0, 0, 0, A(further) },
	{ "context", FIELD_INT, 0, 0, JSON_INT_MAX, A(context) },
	{ "adapters", FIELD_ARRAY, FIELD_NULLABLE, 0, 0, A(adapters) },
	ACCOUNT_FIELDS(A(quota)),
};
#undef A

#define A(member) offsetof(struct begin_model, member)
static const struct field model_fields[] = {
	{ "path", FIELD_STRING, 0, 0, 4096, A(path) },
	{ "name", FIELD_STRING, 0, 0, 1024, A(name) },
	{ "digest", FIELD_STRING, 0, 0, 256, A(digest) },
	{ "precision", FIELD_STRING, 0, 0, 64, A(precision) },
};
#undef A

/* Check that the fields fit the kind. */
static int
store_begin_check(const struct begin_args *a, struct fault *f)
{
	int	again = strcmp(a->kind, "regenerate") == 0;
	int	say = strcmp(a->kind, "say") == 0;

	if (a->key[0] == '\0')
		return (fault_set(f, "bad_field", "key", "key: empty"));
	if (!again && !say && strcmp(a->kind, "complete") != 0)
		return (fault_set(f, "bad_field", "kind", "kind: expected "
		    "say, complete or regenerate"));
	if (again != (a->exchange != 0))
		return (fault_set(f, "bad_field", "exchange", "exchange: %s",
		    again ? "missing" : "only for regenerate"));
	if (again == (a->prompt != NULL))
		return (fault_set(f, "bad_field", "prompt", "prompt: %s",
		    again ? "not for regenerate" : "missing"));
	if (again && a->preprompt != NULL)
		return (fault_set(f, "bad_field", "preprompt",
		    "preprompt: not for regenerate"));
	if (!say && a->topic)
		return (fault_set(f, "bad_field", "topic",
		    "topic: only for say"));
	if (!again && a->further)
		return (fault_set(f, "bad_field", "continue",
		    "continue: only for regenerate"));
	if (!say && a->conversation != 0)
		return (fault_set(f, "bad_field", "conversation",
		    "conversation: only for say"));
	return (0);
}

/* Find the reply of an earlier begin with this key. Returns 1 (exchange and
 * *reply set), 0, or an error. */
static int
store_begin_known(struct store *st, struct begin_args *a, int64_t *reply,
    struct fault *f)
{
	sqlite3_stmt	*q;
	int64_t		 uid;
	int		 r;

	if (sql_open(st, &q, "SELECT r.id, e.id, e.uid FROM reply r "
	    "JOIN exchange e ON e.id = r.exchange WHERE r.key = ?", "s",
	    a->key) != 0)
		return (CHAT_ESYSTEM);
	if ((r = sql_step(st, q)) != 1)
		return (r);
	*reply = sqlite3_column_int64(q, 0);
	a->exchange = sqlite3_column_int64(q, 1);
	uid = sqlite3_column_int64(q, 2);
	sql_end(q);
	if (uid != a->uid)
		return (fault_set(f, "bad_field", "key",
		    "key: used by another user"));
	/* If the store was restarted, it has marked the reply as interrupted.
	 * But chatd still works on it. */
	if (sql_run(st, "UPDATE reply SET state = 'running' "
	    "WHERE id = ? AND finished IS NULL", "i", *reply) != 0)
		return (CHAT_ESYSTEM);
	return (1);
}

/* Check that the conversation or exchange exists and belongs to the user. */
static int
store_begin_owned(struct store *st, struct begin_args *a, struct fault *f)
{
	int64_t	uid = -1;
	int	r = 1;

	if (a->conversation != 0)
		r = sql_int(st, &uid, "SELECT uid FROM conversation "
		    "WHERE id = ?", "i", a->conversation);
	else if (a->exchange != 0)
		r = sql_int(st, &uid, "SELECT uid FROM exchange "
		    "WHERE id = ?", "i", a->exchange);
	else
		return (0);
	if (r < 0)
		return (r);
	if (r == 1 && uid == a->uid)
		return (0);
	if (a->conversation != 0)
		return (fault_set(f, "not_found", "conversation",
		    "no conversation %lld", (long long)a->conversation));
	return (fault_set(f, "not_found", "exchange", "no exchange %lld",
	    (long long)a->exchange));
}

/* Find or create the conversation and the exchange. */
static int
store_begin_place(struct store *st, struct begin_args *a, struct fault *f)
{
	int64_t	 conversation = a->conversation;
	char	*title;
	int	 r;

	if ((r = store_begin_owned(st, a, f)) != 0 || a->exchange != 0)
		return (r);
	if (strcmp(a->kind, "complete") == 0) {
		r = sql_run(st, "INSERT INTO exchange (uid, kind, prompt, "
		    "preprompt, created, name) VALUES (?, 'complete', ?, ?, "
		    "?, ?)", "issis", a->uid, a->prompt, a->preprompt,
		    a->time, a->name);
		a->exchange = sqlite3_last_insert_rowid(st->db);
		return (r);
	}
	title = store_title(a->prompt);
	if (conversation == 0) {
		r = sql_run(st, "INSERT INTO conversation (uid, title, "
		    "created, updated, name) VALUES (?1, ?2, ?3, ?3, ?4)",
		    "isis", a->uid, title, a->time, a->name);
		conversation = sqlite3_last_insert_rowid(st->db);
		a->made = 1;
	} else
		r = sql_run(st, "UPDATE conversation SET updated = "
		    "max(updated, ?2), title = CASE title WHEN '' THEN ?3 "
		    "ELSE title END WHERE id = ?1", "iis", conversation,
		    a->time, title);
	free(title);
	if (r != 0 || (r = sql_run(st, "INSERT INTO exchange (conversation, "
	    "uid, kind, prompt, preprompt, created, name, topic) VALUES "
	    "(?, ?, 'say', ?, ?, ?, ?, ?)", "iissisi", conversation, a->uid,
	    a->prompt, a->preprompt, a->time, a->name,
	    (int64_t)a->topic)) != 0)
		return (r);
	a->exchange = sqlite3_last_insert_rowid(st->db);
	return (0);
}

/* Find or create the row of the model. */
static int
store_begin_model(struct store *st, json_t *model, int64_t *id, struct fault *f)
{
	struct begin_model	m = { "", "", "", "" };
	int			r;

	if ((r = fields_read(model, model_fields, nitems(model_fields), &m,
	    f)) != 0)
		return (r);
	r = sql_int(st, id, "SELECT id FROM model WHERE digest = ? AND "
	    "precision = ? AND name = ? AND path = ?", "ssss", m.digest,
	    m.precision, m.name, m.path);
	if (r != 0)
		return (r == 1 ? 0 : r);
	if ((r = sql_run(st, "INSERT INTO model (digest, precision, name, "
	    "path) VALUES (?, ?, ?, ?)", "ssss", m.digest, m.precision,
	    m.name, m.path)) != 0)
		return (r);
	*id = sqlite3_last_insert_rowid(st->db);
	return (0);
}

/* Write parameters as they are stored: 0.6 as 0.6, not as
 * 0.59999999999999998, unless only 17 digits give the same number back.
 * Owned by the caller. */
static char *
store_begin_params(const json_t *params)
{
	char	*s = json_dumps(params, JSON_COMPACT|JSON_REAL_PRECISION(15));
	json_t	*again = json_loads(s, 0, NULL);

	if (!json_equal(again, params)) {
		free(s);
		s = json_dumps(params, JSON_COMPACT);
	}
	json_decref(again);
	return (s);
}

/* Has the model still the adapter of columns 6 (its name; null: none) and 7
 * (its digest)? */
static int
store_begin_adapted(const struct begin_args *a, sqlite3_stmt *q)
{
	const char	*name, *digest;
	json_t		*o;
	size_t		 i;

	if (sqlite3_column_type(q, 6) == SQLITE_NULL)
		return (1);
	json_array_foreach(a->adapters, i, o) {
		name = msg_string(o, "name");
		digest = msg_string(o, "digest");
		if (name != NULL && digest != NULL && strcmp(name,
		    (const char *)sqlite3_column_text(q, 6)) == 0 &&
		    strcmp(digest, (const char *)sqlite3_column_text(q,
		    7)) == 0)
			return (1);
	}
	return (0);
}

/* The reply that is continued, at q: may it be? */
static int
store_begin_may(const struct begin_args *a, sqlite3_stmt *q, struct fault *f)
{
	const char	*state = (const char *)sqlite3_column_text(q, 0);
	const char	*stop = (const char *)sqlite3_column_text(q, 1);
	const char	*digest = msg_string(a->model, "digest");
	const char	*precision = msg_string(a->model, "precision");

	if (sqlite3_column_bytes(q, 2) == 0 || (strcmp(state, "done") == 0 &&
	    (stop == NULL || strcmp(stop, "length") != 0)) ||
	    (strcmp(state, "done") != 0 && strcmp(state, "cancelled") != 0 &&
	    strcmp(state, "interrupted") != 0))
		return (fault_set(f, "bad_field", "continue", "continue: only "
		    "a reply that was cut off can be continued"));
	if (digest == NULL || precision == NULL || strcmp((const char *)
	    sqlite3_column_text(q, 3), digest) != 0 || strcmp((const char *)
	    sqlite3_column_text(q, 4), precision) != 0)
		return (fault_set(f, "bad_field", "continue", "continue: the "
		    "reply was written by another model"));
	if (!store_begin_adapted(a, q))
		return (fault_set(f, "bad_field", "continue", "continue: the "
		    "reply was written with the adapter %.64s as it was then, "
		    "which is not loaded", (const char *)
		    sqlite3_column_text(q, 6)));
	return (0);
}

/* Make the parameters of a reply that continues the newest one: those of that
 * reply, with as many tokens more as were asked for. */
static int
store_begin_merge(struct store *st, struct begin_args *a, struct fault *f)
{
	sqlite3_stmt	*q;
	int64_t		 most;
	int		 r;

	if ((r = sql_open(st, &q, "SELECT r.state, r.stop, r.ids, m.digest, "
	    "m.precision, r.params, l.name, l.digest FROM reply r "
	    "JOIN model m ON m.id = r.model LEFT JOIN adapter l "
	    "ON l.id = r.adapter WHERE r.exchange = ? ORDER BY r.id DESC "
	    "LIMIT 1", "i", a->exchange)) != 0 || (r = sql_step(st, q)) != 1)
		return (r == 0 ? CHAT_ESYSTEM : r);
	if ((r = store_begin_may(a, q, f)) == 0) {
		a->merged = json_loads((const char *)sqlite3_column_text(q,
		    5), 0, NULL);
		most = sqlite3_column_bytes(q, 2) / 4 +
		    msg_int(a->params, "max_tokens", 0);
		if (a->context > 0 && most > a->context)
			most = a->context;
		msg_set_int(a->merged, "max_tokens", most);
		a->params = a->merged;
		a->seed = msg_int(a->merged, "seed", a->seed);
	}
	sql_end(q);
	return (r);
}

/* Add a reply to the exchange, if the user may store that much. */
static int
store_begin_reply(struct store *st, struct begin_args *a, int64_t *reply,
    struct store_request *req)
{
	int64_t	 model = 0, bytes = STORE_ROW;
	char	*params;
	int	 r;

	if (a->prompt != NULL)
		bytes += STORE_ROW + (int64_t)strlen(a->prompt) +
		    (a->preprompt != NULL ? (int64_t)strlen(a->preprompt) : 0);
	if ((r = store_begin_place(st, a, &req->fault)) != 0 || (a->further &&
	    (r = store_begin_merge(st, a, &req->fault)) != 0) ||
	    (r = store_begin_model(st, a->model, &model, &req->fault)) != 0)
		return (r);
	params = store_begin_params(a->params);
	bytes += (int64_t)strlen(params);
	r = sql_run(st, "INSERT INTO reply (exchange, model, key, state, "
	    "params, seed, created, build) VALUES (?, ?, ?, 'running', ?, ?, "
	    "?, ?)", "iissiis", a->exchange, model, a->key, params, a->seed,
	    a->time, a->build);
	free(params);
	*reply = sqlite3_last_insert_rowid(st->db);
	if (r != 0 || (r = account_grow(st, a->exchange, a->uid,
	    bytes)) != 0 || (r = account_named(st, a->uid, a->name)) != 0)
		return (r);
	return (account_check(st, req, a->uid, a->made, &a->quota));
}

/* Read the earlier turns, newest first, as many as fit into the room. */
static int
store_begin_history(struct store *st, int64_t exchange, int64_t left,
    json_t *history)
{
	sqlite3_stmt	*q;
	json_t		*turn;
	int		 r;

	if ((r = sql_open(st, &q, "SELECT e.prompt, r.text FROM exchange e "
	    "JOIN reply r ON r.id = (SELECT max(id) FROM reply "
	    "WHERE exchange = e.id) WHERE e.id < ?1 AND e.conversation = "
	    "(SELECT conversation FROM exchange WHERE id = ?1) "
	    "AND e.id >= ifnull((SELECT max(t.id) FROM exchange t "
	    "WHERE t.conversation = e.conversation AND t.topic = 1 "
	    "AND t.id <= ?1), 0) "
	    "AND r.state IN ('done', 'cancelled', 'interrupted') "
	    "AND r.text <> '' ORDER BY e.id DESC", "i", exchange)) != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1) {
		left -= sqlite3_column_bytes(q, 0) +
		    sqlite3_column_bytes(q, 1);
		if (left < 0) {
			sql_end(q);
			return (0);
		}
		turn = json_object();
		sql_text(turn, "prompt", q, 0);
		sql_text(turn, "reply", q, 1);
		json_array_insert_new(history, 0, turn);
	}
	return (r);
}

/* Add what a reply continues: its parameters, and the ids and the adapter of
 * the reply before it. */
static int
store_begin_resume(struct store *st, int64_t reply, json_t *done)
{
	sqlite3_stmt		*q;
	const unsigned char	*id;
	json_t			*ids;
	int			 i, n, r;

	if ((r = sql_open(st, &q, "SELECT n.params, r.ids, l.name, l.digest, "
	    "r.assigned FROM reply n JOIN reply r ON r.id = (SELECT max(id) "
	    "FROM reply WHERE exchange = n.exchange AND id < n.id) LEFT JOIN "
	    "adapter l ON l.id = r.adapter WHERE n.id = ?", "i",
	    reply)) != 0 || (r = sql_step(st, q)) != 1)
		return (r);
	sql_json(done, "params", q, 0);
	id = sqlite3_column_blob(q, 1);
	n = sqlite3_column_bytes(q, 1) / 4;
	ids = json_array();
	for (i = 0; i < n; i++, id += 4)
		json_array_append_new(ids, json_integer((json_int_t)id[0] |
		    (json_int_t)id[1] << 8 | (json_int_t)id[2] << 16 |
		    (json_int_t)id[3] << 24));
	msg_set(done, "resume", ids);
	store_adapter_tell(done, q, 2);
	sql_end(q);
	return (0);
}

/* Fill the answer. */
static int
store_begin_answer(struct store *st, const struct begin_args *a, int64_t reply,
    json_t *done)
{
	sqlite3_stmt	*q;
	json_t		*history;
	int64_t		 room;
	int		 r;

	if ((r = sql_open(st, &q, "SELECT conversation, prompt, preprompt "
	    "FROM exchange WHERE id = ?", "i", a->exchange)) != 0 ||
	    (r = sql_step(st, q)) != 1)
		return (r);
	msg_set(done, "conversation", json_null());
	sql_integer(done, "conversation", q, 0);
	msg_set_int(done, "exchange", a->exchange);
	msg_set_int(done, "reply", reply);
	sql_text(done, "prompt", q, 1);
	sql_text(done, "preprompt", q, 2);
	/* The engine takes the history and the prompt in one request. */
	room = TEXT_BYTES_MAX - sqlite3_column_bytes(q, 1);
	sql_end(q);
	if (a->further && (r = store_begin_resume(st, reply, done)) != 0)
		return (r);
	history = json_array();
	msg_set(done, "history", history);
	return (store_begin_history(st, a->exchange,
	    room < a->history_bytes ? room : a->history_bytes, history));
}

/* begin: a new exchange, or a new reply to an exchange. */
int
store_begin(struct store *st, struct store_request *req)
{
	struct begin_args	 a = { .history_bytes = HISTORY_BYTES_MAX };
	struct fault		*f = &req->fault;
	int64_t			 reply = 0;
	int			 r;

	if ((r = fields_read(req->msg, store_begin_fields,
	    nitems(store_begin_fields), &a,
	    f)) != 0 || (r = store_begin_check(&a, f)) != 0)
		return (r);
	if ((r = store_begin_known(st, &a, &reply, f)) == 0)
		r = store_begin_reply(st, &a, &reply, req);
	if (r >= 0)
		r = store_begin_answer(st, &a, reply, req->done);
	json_decref(a.merged);
	return (r);
}

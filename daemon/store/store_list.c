/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list: a user's conversations, or raw prompts, or what was blocked and is
 * called a wrong refusal, newest first; and stats.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "vocabulary.h"
#include "xmalloc.h"

#define LIST_LIMIT	50	/* items, if no limit is given */

struct list_args {
	const char	*kind;
	int64_t		 uid, before, limit;
	int		 admin;
	struct store_filter filter;
};

/* Each kind has two statements, because one statement with OR could not use an
 * index. Columns: id, title or prompt, created, uid, and whether the filter
 * lets it pass (?3: there is a filter); for a conversation also updated and the
 * number of its exchanges. A conversation passes if one of its newest exchanges
 * does: 2,000 of them take about 20 ms. */
#define LIST_CONVERSATIONS(whose) \
	"SELECT id, title, created, uid, NOT ?3 OR EXISTS (SELECT 1 " \
	"FROM (SELECT id, uid, name, created FROM exchange " \
	"WHERE conversation = c.id ORDER BY id DESC LIMIT 2000) e " \
	"WHERE " STORE_FILTER "), " \
	"updated, (SELECT count(*) FROM exchange WHERE conversation = c.id) " \
	"FROM conversation c WHERE " whose " AND id < ?2 ORDER BY id DESC"
#define LIST_PROMPTS(whose) \
	"SELECT id, prompt, created, uid, NOT ?3 OR " STORE_FILTER \
	" FROM exchange e WHERE conversation IS NULL AND " whose \
	" AND id < ?2 ORDER BY id DESC"

/* Blocked exchanges of others whose owner has rated them wrong_refusal, and
 * about which nobody has decided. Columns as for a raw prompt, then the reply
 * and the kind. */
#define LIST_REFUSALS \
	"SELECT e.id, e.prompt, e.created, e.uid, 1, max(r.id), e.kind " \
	"FROM rating a JOIN reply r ON r.id = a.reply " \
	"JOIN exchange e ON e.id = r.exchange WHERE e.uid <> ?1 " \
	"AND e.id < ?2 AND a.uid = e.uid AND r.state = 'blocked' " \
	"AND " STORE_WRONG("a") " AND NOT EXISTS (SELECT 1 FROM rating " \
	"WHERE supersedes = a.id) AND " \
	STORE_DECISION("r.id", "e.uid", "9223372036854775807") \
	" IS NULL AND (NOT ?3 OR " STORE_FILTER ") GROUP BY e.id " \
	"ORDER BY e.id DESC"

enum list_kind {
	LIST_SAY,
	LIST_COMPLETE,
	LIST_REFUSAL
};
static const char *const store_list_kinds[] = { "say", "complete", "refusal",
    NULL };
static const char *const store_list_queries[][2] = {
	{ LIST_CONVERSATIONS("uid = ?1"), LIST_CONVERSATIONS("?1 = ?1") },
	{ LIST_PROMPTS("uid = ?1"), LIST_PROMPTS("?1 = ?1") },
	{ LIST_REFUSALS, LIST_REFUSALS },
};

static json_t	*store_list_item(sqlite3_stmt *, enum list_kind);
static int	store_list_count(struct store *, json_t *, const char *,
		    const char *);

#define A(member) offsetof(struct list_args, member)
static const struct field store_list_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "kind", FIELD_STRING, FIELD_NULLABLE, 0, 16, A(kind) },
	{ "before", FIELD_INT, FIELD_NULLABLE, 1, JSON_INT_MAX, A(before) },
	{ "limit", FIELD_INT, 0, 1, 1000, A(limit) },
	{ "admin", FIELD_BOOL, 0, 0, 0, A(admin) },
	STORE_FILTER_FIELDS(A(filter)),
};
#undef A

/* Make the item of row q: a conversation, or an exchange without its
 * replies. */
static json_t *
store_list_item(sqlite3_stmt *q, enum list_kind kind)
{
	json_t		*m = json_object(), *o = json_object();
	const int	 raw = kind != LIST_SAY;
	char		*title;

	msg_set(m, raw ? "exchange" : "conversation", o);
	sql_integer(o, raw ? "exchange" : "conversation", q, 0);
	if (raw) {
		title = store_title((const char *)sqlite3_column_text(q, 1));
		if (kind == LIST_REFUSAL) {
			sql_text(o, "kind", q, 6);
			sql_integer(o, "reply", q, 5);
		} else
			msg_set_string(o, "kind", "complete");
		msg_set_string(o, "title", title);
		free(title);
	} else
		sql_text(o, "title", q, 1);
	sql_integer(o, "created", q, 2);
	sql_integer(o, "uid", q, 3);
	if (!raw) {
		sql_integer(o, "updated", q, 5);
		sql_integer(o, "exchanges", q, 6);
	}
	return (m);
}

/* list */
int
store_list(struct store *st, struct store_request *req)
{
	struct list_args a = { .kind = "say", .before = JSON_INT_MAX,
	    .limit = LIST_LIMIT };
	sqlite3_stmt	*q;
	json_t		*next;
	int64_t		 last = 0, n = 0, bytes = 0, looked = 0;
	int		 kind, r, pass;

	if ((r = fields_read(req->msg, store_list_fields,
	    nitems(store_list_fields), &a, &req->fault)) != 0 ||
	    (r = store_filter_read(st, &a.filter, a.admin,
	    &req->fault)) != 0)
		return (r);
	if ((kind = vocabulary_find(store_list_kinds, a.kind)) == -1)
		return (vocabulary_fault(&req->fault, "bad_field", "kind",
		    store_list_kinds, a.kind));
	if (kind == LIST_REFUSAL && !a.admin)
		return (fault_set(&req->fault, "denied", "kind",
		    "kind: refusal is for operators"));
	if ((r = sql_open(st, &q, store_list_queries[kind][a.admin != 0],
	    "iiii" STORE_FILTER_TYPES, a.uid, a.before, (int64_t)a.filter.any,
	    (int64_t)a.admin, STORE_FILTER_ARGS(&a.filter))) != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1) {
		pass = sqlite3_column_int(q, 4);
		if ((pass && n == a.limit) || bytes >= STORE_SLICE ||
		    looked >= STORE_LOOK)
			break;
		/* A filter looks at the exchanges of a conversation. */
		looked += 1 + (kind == LIST_SAY && a.filter.any ?
		    sqlite3_column_int64(q, 6) : 0);
		last = sqlite3_column_int64(q, 0);
		if (!pass)
			continue;
		bytes += sqlite3_column_bytes(q, 1);
		req->item(req->arg, store_list_item(q, (enum list_kind)kind));
		n++;
	}
	msg_set_bool(req->done, "more", r == 1);
	if (r == 1)
		sql_end(q);
	if (r == 1 && n < a.limit) {
		next = json_object();
		msg_set_int(next, "before", last);
		msg_set_int(next, "limit", a.limit - n);
		msg_set(req->done, "next", next);
	}
	return (r < 0 ? r : 0);
}

/* Set key to the result of sql, an integer. */
static int
store_list_count(struct store *st, json_t *done, const char *key,
    const char *sql)
{
	int64_t	n = 0;
	int	r;

	if ((r = sql_int(st, &n, sql, "")) < 0)
		return (r);
	msg_set_int(done, key, n);
	return (0);
}

/* stats: the numbers of stored rows, and the size of the file. */
int
store_stats(struct store *st, struct store_request *req)
{
	int	r;

	if ((r = fields_read(req->msg, NULL, 0, NULL, &req->fault)) != 0 ||
	    (r = store_list_count(st, req->done, "conversations",
	    "SELECT count(*) FROM conversation")) != 0 ||
	    (r = store_list_count(st, req->done, "exchanges",
	    "SELECT count(*) FROM exchange")) != 0 ||
	    (r = store_list_count(st, req->done, "ratings", "SELECT count(*) "
	    "FROM rating a WHERE NOT EXISTS (SELECT 1 FROM rating "
	    "WHERE supersedes = a.id)")) != 0)
		return (r);
	return (store_list_count(st, req->done, "bytes", "SELECT page_count * "
	    "page_size FROM pragma_page_count, pragma_page_size"));
}

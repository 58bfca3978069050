/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finish: store the outcome of a reply and the findings of the filters.  chatd
 * sends a finish again if the answer was lost; the second one changes nothing.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "xmalloc.h"

struct finish_args {
	const char	*state, *stop, *text, *error, *prompt, *preprompt;
	int64_t		 reply, prompt_tokens, output_tokens, dropped;
	int64_t		 queued_ms, first_ms, total_ms, time;
	json_t		*ids, *verdicts;
	json_t		*adapter;	/* borrowed; NULL: the model alone */
	int		 assigned;	/* by model.ab */
};

struct finish_verdict {
	const char	*direction, *plugin, *category, *rule, *action;
	const char	*version, *digest;
	json_t		*detail;
	double		 score;
	int64_t		 start, end;
};

static int	store_finish_ids(json_t *, unsigned char **, size_t *,
		    struct fault *);
static int	store_finish_write(struct store *, const struct finish_args *,
		    const unsigned char *, size_t, struct fault *);
static int	store_finish_prompt(struct store *, const struct finish_args *,
		    int64_t *);
static int	store_finish_preprompt(struct store *,
		    const struct finish_args *, int64_t *);
static int	store_finish_redacted(const json_t *);
static int	store_finish_version(struct store *,
		    const struct finish_verdict *, int64_t *);
static int	store_finish_verdict(struct store *, int64_t,
		    const struct finish_verdict *, int64_t *);
static int	store_finish_verdicts(struct store *,
		    const struct finish_args *, int64_t *, struct fault *);

#define A(member) offsetof(struct finish_args, member)
#define COUNT(name) \
	{ #name, FIELD_INT, 0, 0, JSON_INT_MAX, A(name) }
static const struct field store_finish_fields[] = {
	{ "reply", FIELD_INT, FIELD_REQUIRED, 1, JSON_INT_MAX, A(reply) },
	{ "state", FIELD_STRING, FIELD_REQUIRED, 0, 16, A(state) },
	{ "stop", FIELD_STRING, FIELD_NULLABLE, 0, 16, A(stop) },
	{ "text", FIELD_STRING, FIELD_REQUIRED, 0, 0, A(text) },
	{ "prompt", FIELD_STRING, FIELD_NULLABLE, 0, 0, A(prompt) },
	{ "preprompt", FIELD_STRING, FIELD_NULLABLE, 0, 0, A(preprompt) },
	{ "ids", FIELD_ARRAY, FIELD_REQUIRED, 0, 0, A(ids) },
	{ "error", FIELD_STRING, FIELD_NULLABLE, 0, 64, A(error) },
	{ "time", FIELD_INT, FIELD_REQUIRED, 0, JSON_INT_MAX, A(time) },
	{ "verdicts", FIELD_ARRAY, FIELD_NULLABLE, 0, 0, A(verdicts) },
	{ "adapter", FIELD_OBJECT, FIELD_NULLABLE, 0, 0, A(adapter) },
	{ "assigned", FIELD_BOOL, 0, 0, 0, A(assigned) },
	COUNT(prompt_tokens),
	COUNT(output_tokens),
	COUNT(dropped),
	COUNT(queued_ms),
	COUNT(first_ms),
	COUNT(total_ms),
};
#undef A

#define A(member) offsetof(struct finish_verdict, member)
static const struct field verdict_fields[] = {
	{ "direction", FIELD_STRING, FIELD_REQUIRED, 0, 16, A(direction) },
	{ "plugin", FIELD_STRING, 0, 0, 256, A(plugin) },
	{ "category", FIELD_STRING, FIELD_REQUIRED, 0, 256, A(category) },
	{ "score", FIELD_REAL, FIELD_REQUIRED, 0, 1, A(score) },
	{ "start", FIELD_INT, 0, 0, JSON_INT_MAX, A(start) },
	{ "end", FIELD_INT, 0, 0, JSON_INT_MAX, A(end) },
	{ "rule", FIELD_STRING, FIELD_NULLABLE, 0, 1024, A(rule) },
	{ "action", FIELD_STRING, FIELD_REQUIRED, 0, 16, A(action) },
	{ "version", FIELD_STRING, FIELD_NULLABLE, 0, 0, A(version) },
	{ "digest", FIELD_STRING, FIELD_NULLABLE, 0, 0, A(digest) },
	{ "detail", FIELD_ARRAY, FIELD_NULLABLE, 0, 0, A(detail) },
};
#undef A

/* Encode token ids: four bytes each, least significant first. */
static int
store_finish_ids(json_t *ids, unsigned char **out, size_t *len, struct fault *f)
{
	unsigned char	*p;
	json_t		*v;
	json_int_t	 id;
	size_t		 i, n = json_array_size(ids);

	p = xmalloc(n * 4 + 1);
	json_array_foreach(ids, i, v) {
		id = json_integer_value(v);
		if (!json_is_integer(v) || id < 0 || id > UINT32_MAX) {
			free(p);
			return (fault_set(f, "bad_field", "ids",
			    "ids: element %zu is not a token id", i));
		}
		p[i * 4] = (unsigned char)id;
		p[i * 4 + 1] = (unsigned char)(id >> 8);
		p[i * 4 + 2] = (unsigned char)(id >> 16);
		p[i * 4 + 3] = (unsigned char)(id >> 24);
	}
	*out = p;
	*len = n * 4;
	return (0);
}

/* Write the outcome. */
static int
store_finish_write(struct store *st, const struct finish_args *a,
    const unsigned char *ids, size_t len, struct fault *f)
{
	int64_t	 adapter;
	int	 r;

	if ((r = store_adapter(st, a->adapter, &adapter, f)) != 0 ||
	    (r = sql_run(st, "UPDATE reply SET state = ?2, stop = ?3, "
	    "error = ?4, text = ?5, ids = ?6, prompt_tokens = ?7, "
	    "output_tokens = ?8, dropped = ?9, queued_ms = ?10, "
	    "first_ms = ?11, total_ms = ?12, finished = ?13, "
	    "adapter = nullif(?14, 0), assigned = ?15 WHERE id = ?1",
	    "issssbiiiiiiiii", a->reply, a->state, a->stop, a->error, a->text,
	    ids, len, a->prompt_tokens, a->output_tokens, a->dropped,
	    a->queued_ms, a->first_ms, a->total_ms, a->time, adapter,
	    (int64_t)a->assigned)) != 0)
		return (r);
	return (sql_run(st, "UPDATE conversation SET updated = max(updated, "
	    "?2) WHERE id = (SELECT e.conversation FROM exchange e JOIN "
	    "reply r ON r.exchange = e.id WHERE r.id = ?1)", "ii", a->reply,
	    a->time));
}

/* Overwrite the prompt with the redacted one, also in the title of the
 * conversation. */
static int
store_finish_prompt(struct store *st, const struct finish_args *a,
    int64_t *bytes)
{
	sqlite3_stmt	*q;
	char		*old = NULL, *new;
	int64_t		 exchange = 0;
	int		 r;

	if ((r = sql_open(st, &q, "SELECT e.id, e.prompt FROM exchange e "
	    "JOIN reply r ON r.exchange = e.id WHERE r.id = ?", "i",
	    a->reply)) != 0)
		return (r);
	if ((r = sql_step(st, q)) == 1) {
		exchange = sqlite3_column_int64(q, 0);
		old = store_title((const char *)sqlite3_column_text(q, 1));
		*bytes += (int64_t)strlen(a->prompt) -
		    sqlite3_column_bytes(q, 1);
		sql_end(q);
	}
	if (r != 1)
		return (r);
	new = store_title(a->prompt);
	r = sql_run(st, "UPDATE conversation SET title = ?3 WHERE title = ?2 "
	    "AND id = (SELECT conversation FROM exchange WHERE id = ?1)",
	    "iss", exchange, old, new);
	if (r == 0)
		r = sql_run(st, "UPDATE exchange SET prompt = ?2 WHERE "
		    "id = ?1", "is", exchange, a->prompt);
	st->wipe = 1;		/* the log still has the redacted text */
	free(old);
	free(new);
	return (r);
}

/* Do the same for the pre-prompt. */
static int
store_finish_preprompt(struct store *st, const struct finish_args *a,
    int64_t *bytes)
{
	int64_t	old = 0;

	if (sql_int(st, &old, "SELECT length(CAST(preprompt AS BLOB)) "
	    "FROM exchange WHERE id = (SELECT exchange FROM reply "
	    "WHERE id = ?)", "i", a->reply) < 0)
		return (CHAT_ESYSTEM);
	*bytes += (int64_t)strlen(a->preprompt) - old;
	st->wipe = 1;
	return (sql_run(st, "UPDATE exchange SET preprompt = ?2 WHERE id = "
	    "(SELECT exchange FROM reply WHERE id = ?1)", "is", a->reply,
	    a->preprompt));
}

/* Find or create the row of the filter that has found something. *id is 0 if
 * its version is not known. */
static int
store_finish_version(struct store *st, const struct finish_verdict *v,
    int64_t *id)
{
	const char	*digest = v->digest != NULL ? v->digest : "";
	int		 r;

	*id = 0;
	if (v->version == NULL)
		return (0);
	if ((r = sql_int(st, id, "SELECT id FROM filter_version "
	    "WHERE plugin = ? AND version = ? AND digest = ?", "sss",
	    v->plugin, v->version, digest)) != 0)
		return (r == 1 ? 0 : r);
	if ((r = sql_run(st, "INSERT INTO filter_version (plugin, version, "
	    "digest) VALUES (?, ?, ?)", "sss", v->plugin, v->version,
	    digest)) != 0)
		return (r);
	*id = sqlite3_last_insert_rowid(st->db);
	return (0);
}

/* Store one finding, and add its size to *bytes. */
static int
store_finish_verdict(struct store *st, int64_t reply,
    const struct finish_verdict *v, int64_t *bytes)
{
	char	*detail = NULL;
	int64_t	 version;
	int	 r;

	if ((r = store_finish_version(st, v, &version)) != 0)
		return (r);
	if (json_array_size(v->detail) > 0)
		detail = json_dumps(v->detail, JSON_COMPACT|
		    JSON_REAL_PRECISION(6));
	r = sql_run(st, "INSERT INTO verdict (reply, direction, plugin, "
	    "category, score, start, \"end\", rule, action, version, detail) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?)",
	    "isssriissis", reply, v->direction, v->plugin, v->category,
	    v->score, v->start, v->end, v->rule, v->action, version, detail);
	*bytes += STORE_ROW + (int64_t)(strlen(v->plugin) +
	    strlen(v->category) + strlen(v->rule) +
	    (detail != NULL ? strlen(detail) : 0));
	free(detail);
	return (r);
}

/* Store the findings of the filters. */
static int
store_finish_verdicts(struct store *st, const struct finish_args *a,
    int64_t *bytes, struct fault *f)
{
	struct finish_verdict	 v;
	json_t			*o;
	size_t			 i;
	int			 r;

	json_array_foreach(a->verdicts, i, o) {
		v = (struct finish_verdict){ .plugin = "", .rule = "" };
		if (!json_is_object(o))
			return (fault_set(f, "bad_field", "verdicts",
			    "verdicts: element %zu is not an object", i));
		if ((r = fields_read(o, verdict_fields,
		    nitems(verdict_fields), &v, f)) != 0)
			return (r);
		if ((r = store_finish_verdict(st, a->reply, &v, bytes)) != 0)
			return (r);
	}
	return (0);
}

/* Has something been taken out of the reply? Then its tokens, which still spell
 * it, are not kept. */
static int
store_finish_redacted(const json_t *verdicts)
{
	const char	*action, *direction;
	const json_t	*o;
	size_t		 i;

	json_array_foreach(verdicts, i, o) {
		action = msg_string(o, "action");
		direction = msg_string(o, "direction");
		if (action != NULL && direction != NULL &&
		    strcmp(action, "redact") == 0 &&
		    strcmp(direction, "reply") == 0)
			return (1);
	}
	return (0);
}

/* finish: only the first one of a reply counts. It counts for the quota, but is
 * never refused, because the reply exists already. */
int
store_finish(struct store *st, struct store_request *req)
{
	struct finish_args	 a = { 0 };
	struct fault		*f = &req->fault;
	unsigned char		*ids = NULL;
	sqlite3_stmt		*q;
	size_t			 len = 0;
	int64_t			 exchange, uid, bytes;
	int			 open, r;

	if ((r = fields_read(req->msg, store_finish_fields,
	    nitems(store_finish_fields), &a, f)) != 0)
		return (r);
	if (strcmp(a.state, "running") == 0)
		return (fault_set(f, "bad_field", "state",
		    "state: running is not an end"));
	if ((r = sql_open(st, &q, "SELECT r.finished IS NULL, e.id, e.uid "
	    "FROM reply r JOIN exchange e ON e.id = r.exchange "
	    "WHERE r.id = ?", "i", a.reply)) != 0 ||
	    (r = sql_step(st, q)) < 0)
		return (r);
	if (r == 0)
		return (fault_set(f, "not_found", "reply", "no reply %lld",
		    (long long)a.reply));
	open = sqlite3_column_int(q, 0);
	exchange = sqlite3_column_int64(q, 1);
	uid = sqlite3_column_int64(q, 2);
	sql_end(q);
	if (!open)
		return (0);
	if ((r = store_finish_ids(a.ids, &ids, &len, f)) != 0)
		return (r);
	if (store_finish_redacted(a.verdicts))
		len = 0;
	bytes = (int64_t)(strlen(a.text) + len);
	/* What is redacted comes first: with store_finish_write the exchange
	 * comes into the search index. */
	if (a.prompt != NULL)
		r = store_finish_prompt(st, &a, &bytes);
	if (r == 0 && a.preprompt != NULL)
		r = store_finish_preprompt(st, &a, &bytes);
	if (r == 0 && (r = store_finish_write(st, &a, ids, len,
	    f)) == 0)
		r = store_finish_verdicts(st, &a, &bytes, f);
	if (r == 0)
		r = account_grow(st, exchange, uid, bytes);
	free(ids);
	return (r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The export format "moderation": the texts in which filters have found
 * something, with the findings, the opinion of the user and the decision of an
 * operator.  A line can be used for training: its category is that of the
 * finding if an operator has kept the block, and "benign" if an operator has
 * overturned it.  As long as nobody has decided, it is "other_unsafe", which a
 * trainer takes neither as harmful nor as harmless.
 */
#include "export.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

static int	export_moderation_verdicts(struct export *, int64_t,
		    const char *, json_t *, char **);
static int	export_moderation_line(struct export *, sqlite3_stmt *);

/* A text is a reply and a direction. Its number is twice that of the reply, and
 * one more for the direction "reply". The text of a blocked reply is only in an
 * export of all users, because the user has not seen it. */
#define TEXT_NUMBER	"(2 * r.id + (d.direction = 'reply'))"
static const char export_moderation_query[] =
"SELECT " TEXT_NUMBER ", r.id, d.direction, r.exchange, r.state, "
"CASE d.direction WHEN 'prompt' THEN e.prompt ELSE r.text END, "
STORE_APPEAL("r.id", "e.uid", "?4") ", "
STORE_DECISION("r.id", "e.uid", "?4")
", " EXPORT_NAME " FROM reply r JOIN exchange e ON e.id = r.exchange "
"JOIN model m ON m.id = r.model CROSS JOIN "
"(SELECT 'prompt' AS direction UNION ALL SELECT 'reply') d "
"WHERE r.id >= ?2 / 2 AND " TEXT_NUMBER " > ?2 AND r.id <= ?3 "
"AND (e.uid = ?1 OR ?1 = -1) AND r.state <> 'running' "
"AND (?1 = -1 OR r.state <> 'blocked' OR d.direction = 'prompt') "
"AND EXISTS (SELECT 1 FROM verdict WHERE reply = r.id "
"AND direction = d.direction AND action <> 'allow') AND "
EXPORT_FILTERS " ORDER BY 1";

/* Add the findings in a text to list, the strongest one first. *category is a
 * new string, the category of that one if it blocks, or NULL. */
static int
export_moderation_verdicts(struct export *ex, int64_t reply,
    const char *direction, json_t *list, char **category)
{
	sqlite3_stmt	*q;
	json_t		*v;
	int		 r;

	if ((r = sql_open(&ex->st, &q, "SELECT plugin, category, score, "
	    "start, \"end\", rule, action, EXISTS (SELECT 1 FROM verdict "
	    "WHERE reply = ?1 AND direction = ?2 AND action = 'redact') "
	    "FROM verdict WHERE reply = ?1 AND direction = ?2 "
	    "AND action <> 'allow' ORDER BY CASE action "
	    "WHEN 'block' THEN 0 WHEN 'redact' THEN 1 ELSE 2 END, "
	    "score DESC, id", "is", reply, direction)) != 0)
		return (r);
	while ((r = sql_step(&ex->st, q)) == 1) {
		if (json_array_size(list) == 0 && strcmp((const char *)
		    sqlite3_column_text(q, 6), "block") == 0)
			*category = xstrdup((const char *)
			    sqlite3_column_text(q, 1));
		v = json_object();
		sql_text(v, "plugin", q, 0);
		sql_text(v, "category", q, 1);
		msg_set_real(v, "score", sqlite3_column_double(q, 2));
		/* They are places in the text before it was redacted. */
		if (!sqlite3_column_int(q, 7)) {
			sql_integer(v, "start", q, 3);
			sql_integer(v, "end", q, 4);
		}
		sql_text(v, "rule", q, 5);
		sql_text(v, "action", q, 6);
		json_array_append_new(list, v);
	}
	return (r);
}

/* Write the text of row q. */
static int
export_moderation_line(struct export *ex, sqlite3_stmt *q)
{
	const int64_t	 reply = sqlite3_column_int64(q, 1);
	const char	*direction = (const char *)sqlite3_column_text(q, 2),
			*decision = (const char *)sqlite3_column_text(q, 7);
	char		*category = NULL, *id;
	json_t		*o, *list = json_array();
	int		 r;

	if ((r = export_moderation_verdicts(ex, reply, direction, list,
	    &category)) != 0) {
		json_decref(list);
		free(category);
		return (r);
	}
	if (category == NULL)	/* the decision is about a block */
		decision = NULL;
	o = json_object();
	id = xasprintf("reply-%lld-%s", (long long)reply, direction);
	msg_set_string(o, "id", id);
	free(id);
	sql_text(o, "text", q, 5);
	msg_set_string(o, "category", decision == NULL ? "other_unsafe" :
	    strcmp(decision, "keep") == 0 ? category : "benign");
	msg_set_string(o, "kind", strcmp(direction, "prompt") == 0 ?
	    "request" : "content");
	msg_set_string(o, "source", "chatd");
	msg_set_string(o, "label", decision == NULL ? "undecided" : decision);
	sql_integer(o, "exchange", q, 3);
	msg_set_int(o, "reply", reply);
	sql_text(o, "state", q, 4);
	msg_set_bool(o, "wrong_refusal", category != NULL &&
	    sqlite3_column_int(q, 6));
	msg_set(o, "verdicts", list);
	export_row(ex, o, NULL, NULL);
	free(category);
	return (0);
}

/* Write one line for each text. */
int
export_moderation(struct export *ex)
{
	sqlite3_stmt	*q;
	int		 r;

	if ((r = sql_open(&ex->st, &q, export_moderation_query,
	    "iiii" EXPORT_TYPES, ex->uid, ex->last, ex->reply, ex->rated,
	    EXPORT_ARGS(ex->opt))) != 0)
		return (r);
	while ((r = sql_step(&ex->st, q)) == 1 && !export_full(ex)) {
		ex->last = sqlite3_column_int64(q, 0);
		if (ex->opt->split != NULL && strcmp(ex->opt->split,
		    export_split(ex, (const char *)
		    sqlite3_column_text(q, 8))) != 0)
			continue;
		if ((r = export_moderation_line(ex, q)) != 0) {
			sql_end(q);
			return (r);
		}
	}
	if (r == 1)
		sql_end(q);
	return (r);
}

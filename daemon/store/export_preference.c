/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The export format "preference": pairs of a better and a worse reply to the
 * same prompt.
 *
 * The worse one is a finished reply that the user rated -1, or rated 0 with an
 * ideal text.  The better one is that ideal text; else an ideal text for
 * another reply to the same prompt; else the newest other reply rated +1.  The
 * prompt is that of the model: the earlier exchanges with their newest replies,
 * and the last prompt of the user.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

static int	export_preference_prompt(struct export *, int64_t, json_t **);
static int	export_preference_better(struct export *, int64_t, int64_t,
		    json_t **);
static int	export_preference_pair(struct export *, sqlite3_stmt *);

/* Make the messages of the prompt. */
static int
export_preference_prompt(struct export *ex, int64_t exchange, json_t **out)
{
	sqlite3_stmt	*q;
	json_t		*list;
	const char	*text;
	int		 r;

	if ((r = sql_open(&ex->st, &q, "SELECT e.id, e.prompt, r.text, "
	    "r.state IN ('done', 'cancelled', 'interrupted') AND r.text <> '' "
	    "FROM exchange e JOIN reply r ON r.id = (SELECT max(id) "
	    "FROM reply WHERE exchange = e.id AND id <= ?2) WHERE e.id <= ?1 "
	    "AND e.conversation = (SELECT conversation FROM exchange "
	    "WHERE id = ?1) ORDER BY e.id", "ii", exchange, ex->reply)) != 0)
		return (r);
	list = json_array();
	while ((r = sql_step(&ex->st, q)) == 1) {
		if (sqlite3_column_int64(q, 0) != exchange &&
		    !sqlite3_column_int(q, 3))
			continue;
		text = (const char *)sqlite3_column_text(q, 1);
		json_array_append_new(list, export_message("user", text));
		if (sqlite3_column_int64(q, 0) == exchange)
			continue;
		text = (const char *)sqlite3_column_text(q, 2);
		json_array_append_new(list, export_message("assistant",
		    text));
	}
	if (r < 0)
		json_decref(list);
	else
		*out = list;
	return (r);
}

/* Find a better text than a reply. Returns 1 and *out, or 0 if there is no
 * such text. */
static int
export_preference_better(struct export *ex, int64_t exchange, int64_t reply,
    json_t **out)
{
	sqlite3_stmt	*q;
	json_t		*list;
	int		 r;

	if ((r = sql_open(&ex->st, &q, "SELECT CASE WHEN a.ideal <> '' "
	    "THEN a.ideal ELSE r.text END FROM reply r JOIN rating a "
	    "ON a.reply = r.id AND a.id <= ?3 AND NOT EXISTS (SELECT 1 "
	    "FROM rating WHERE supersedes = a.id AND id <= ?3) "
	    "WHERE r.exchange = ?1 AND (a.ideal <> '' OR "
	    "(r.id <> ?2 AND a.thumb = 1 AND "
	    "r.state = 'done' AND r.text <> '')) ORDER BY "
	    "coalesce(a.ideal <> '' AND r.id = ?2, 0) DESC, "
	    "coalesce(a.ideal <> '', 0) DESC, r.id DESC LIMIT 1", "iii",
	    exchange, reply, ex->rating)) != 0 ||
	    (r = sql_step(&ex->st, q)) != 1)
		return (r);
	list = json_array();
	json_array_append_new(list, export_message("assistant",
	    (const char *)sqlite3_column_text(q, 0)));
	sql_end(q);
	*out = list;
	return (1);
}

/* Row q has a worse reply: write the pair, if there is a better one. */
static int
export_preference_pair(struct export *ex, sqlite3_stmt *q)
{
	json_t	*chosen = NULL, *rejected, *prompt, *o;
	int64_t	 exchange = sqlite3_column_int64(q, 1);
	int	 r;

	if ((r = export_preference_better(ex, exchange,
	    sqlite3_column_int64(q, 0), &chosen)) != 1)
		return (r);
	rejected = json_array();
	json_array_append_new(rejected, export_message("assistant",
	    (const char *)sqlite3_column_text(q, 2)));
	if (json_equal(chosen, rejected) ||
	    (r = export_preference_prompt(ex, exchange, &prompt)) != 0) {
		json_decref(chosen);
		json_decref(rejected);
		return (r < 0 ? r : 0);
	}
	o = json_object();
	msg_set(o, "prompt", prompt);
	msg_set(o, "chosen", chosen);
	msg_set(o, "rejected", rejected);
	msg_set_int(o, "margin", 1 - sqlite3_column_int64(q, 3));
	export_line(ex, o);
	return (0);
}

/* Write one line for each pair. */
int
export_preference(struct export *ex)
{
	sqlite3_stmt	*q;
	int		 r;

	if ((r = sql_open(&ex->st, &q, "SELECT r.id, e.id, r.text, a.thumb "
	    "FROM rating a JOIN reply r ON r.id = a.reply "
	    "JOIN exchange e ON e.id = r.exchange WHERE (e.uid = ?1 "
	    "OR ?1 = -1) AND r.id > ?2 AND a.id <= ?3 AND NOT EXISTS "
	    "(SELECT 1 FROM rating WHERE supersedes = a.id AND id <= ?3) "
	    "AND e.kind = 'say' AND r.state = 'done' AND r.text <> '' AND "
	    "(a.thumb = -1 OR (a.thumb = 0 AND a.ideal <> '')) ORDER BY r.id",
	    "iii", ex->uid, ex->last, ex->rating)) != 0)
		return (r);
	while ((r = sql_step(&ex->st, q)) == 1 && !export_full(ex)) {
		ex->last = sqlite3_column_int64(q, 0);
		if ((r = export_preference_pair(ex, q)) != 0) {
			sql_end(q);
			return (r);
		}
	}
	if (r == 1)
		sql_end(q);
	return (r);
}

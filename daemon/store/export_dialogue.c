/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The export formats "oig" and "messages": training data, one conversation per
 * line.
 *
 * For each exchange the best reply is written.  The order is: a reply with an
 * ideal text (the ideal text is written instead), a reply rated +1, a reply
 * without a rating; the newest one of the same kind.  Cancelled, interrupted,
 * blocked and failed replies do not count, unless they have an ideal text.
 *
 * If the best reply is rated -1, or was cancelled or interrupted, the
 * conversation ends before its exchange, because later turns refer to it.  If
 * all replies were blocked or have failed, only their exchange is left out.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "json.h"
#include "xmalloc.h"

enum turn_rank { TURN_NONE, TURN_CUT, TURN_BAD, TURN_UNRATED, TURN_GOOD,
	TURN_IDEAL };

static enum turn_rank export_dialogue_rank(sqlite3_stmt *);
static int	export_dialogue_reply(struct export *, int64_t, char **);
static int	export_dialogue_turns(struct export *, int64_t, json_t *);
static int	export_dialogue_all(struct export *,
		    void (*)(struct export *, json_t *));
static void	export_dialogue_defuse(char *);
static void	export_dialogue_messages(struct export *, json_t *);
static void	export_dialogue_oig(struct export *, json_t *);

/* Rank the reply in row q. */
static enum turn_rank
export_dialogue_rank(sqlite3_stmt *q)
{
	const char	*state = (const char *)sqlite3_column_text(q, 0);
	const char	*ideal = (const char *)sqlite3_column_text(q, 3);
	int		 thumb = sqlite3_column_int(q, 2);

	if (ideal != NULL && *ideal != '\0')
		return (TURN_IDEAL);
	if (sqlite3_column_bytes(q, 1) == 0)
		return (TURN_NONE);
	if (strcmp(state, "cancelled") == 0 ||
	    strcmp(state, "interrupted") == 0)
		return (TURN_CUT);
	if (strcmp(state, "done") != 0)
		return (TURN_NONE);
	return (thumb < 0 ? TURN_BAD : thumb > 0 ? TURN_GOOD : TURN_UNRATED);
}

/*
 * Choose the reply of an exchange. Returns 1 with its text (owned by the
 * caller), 1 with NULL to leave the exchange out, or 0 if the conversation ends
 * before it.
 */
static int
export_dialogue_reply(struct export *ex, int64_t exchange, char **text)
{
	sqlite3_stmt	*q;
	enum turn_rank	 rank, best = TURN_NONE;
	int		 r;

	*text = NULL;
	if ((r = sql_open(&ex->st, &q, "SELECT r.state, r.text, a.thumb, "
	    "a.ideal FROM reply r LEFT JOIN rating a ON a.reply = r.id "
	    "AND a.id <= ?3 AND NOT EXISTS (SELECT 1 FROM rating "
	    "WHERE supersedes = a.id AND id <= ?3) AND a.uid = (SELECT uid "
	    "FROM exchange WHERE id = ?1) WHERE r.exchange = ?1 "
	    "AND r.id <= ?2 ORDER BY r.id", "iii", exchange, ex->reply,
	    ex->rating)) != 0)
		return (r);
	while ((r = sql_step(&ex->st, q)) == 1) {
		if ((rank = export_dialogue_rank(q)) < best)
			continue;
		best = rank;
		free(*text);
		*text = rank < TURN_UNRATED ? NULL : xstrdup((const char *)
		    sqlite3_column_text(q, rank == TURN_IDEAL ? 3 : 1));
	}
	if (r < 0) {
		free(*text);
		*text = NULL;
		return (r);
	}
	return (best != TURN_BAD && best != TURN_CUT);
}

/* Make the messages of a conversation, in order. */
static int
export_dialogue_turns(struct export *ex, int64_t conversation, json_t *messages)
{
	sqlite3_stmt	*q;
	char		*text;
	int		 r;

	if ((r = sql_open(&ex->st, &q, "SELECT id, prompt FROM exchange "
	    "WHERE conversation = ? AND id <= ? ORDER BY id", "ii",
	    conversation, ex->exchange)) != 0)
		return (r);
	while ((r = sql_step(&ex->st, q)) == 1) {
		if ((r = export_dialogue_reply(ex, sqlite3_column_int64(q, 0),
		    &text)) != 1) {
			sql_end(q);
			return (r);
		}
		if (text == NULL)
			continue;
		json_array_append_new(messages, export_message("user",
		    (const char *)sqlite3_column_text(q, 1)));
		json_array_append_new(messages, export_message("assistant",
		    text));
		free(text);
	}
	return (r);
}

/* Pass each conversation of the piece to a writer, unless it is empty. */
static int
export_dialogue_all(struct export *ex, void (*write)(struct export *, json_t *))
{
	sqlite3_stmt	*q;
	json_t		*messages;
	int		 r;

	if ((r = sql_open(&ex->st, &q, "SELECT id FROM conversation "
	    "WHERE (uid = ?1 OR ?1 = -1) AND id > ?2 ORDER BY id", "ii",
	    ex->uid, ex->last)) != 0)
		return (r);
	while ((r = sql_step(&ex->st, q)) == 1 && !export_full(ex)) {
		ex->last = sqlite3_column_int64(q, 0);
		messages = json_array();
		r = export_dialogue_turns(ex, ex->last, messages);
		if (r == 0 && json_array_size(messages) > 0)
			write(ex, messages);
		json_decref(messages);
		if (r != 0) {
			sql_end(q);
			return (r);
		}
	}
	if (r == 1)
		sql_end(q);
	return (r);
}

/* Replace role tags in the texts by "(human)" and "(bot)", as the engine does
 * in prompts. */
static void
export_dialogue_defuse(char *s)
{
	static const char *const tags[] = { "<human>", "<bot>" };
	size_t	 i, n;

	for (; (s = strchr(s, '<')) != NULL; s++) {
		for (i = 0; i < nitems(tags); i++) {
			n = strlen(tags[i]);
			if (strncasecmp(s, tags[i], n) == 0) {
				s[0] = '(';
				s[n - 1] = ')';
			}
		}
	}
}

/* {"messages": [...]}. */
static void
export_dialogue_messages(struct export *ex, json_t *messages)
{
	json_t	*o = json_object();

	msg_set(o, "messages", json_incref(messages));
	export_line(ex, o);
}

/* {"text": "<human>: ...\n<bot>: ..."}. */
static void
export_dialogue_oig(struct export *ex, json_t *messages)
{
	json_t	*o, *m;
	char	*text, *from, *p;
	size_t	 i, n, size = 1;

	json_array_foreach(messages, i, m)
		size += strlen(msg_string(m, "content")) + 16;
	p = text = xmalloc(size);
	json_array_foreach(messages, i, m) {
		p = stpcpy(p, i == 0 ? "" : "\n");
		p = stpcpy(p, i % 2 == 0 ? "<human>:" : "<bot>:");
		from = xstrdup(msg_string(m, "content"));
		export_dialogue_defuse(from);
		n = strlen(from);
		while (n > 0 && strchr(" \t\r\n", from[n - 1]) != NULL)
			from[--n] = '\0';
		n = strspn(from, " \t\r\n");
		p = stpcpy(p, from[n] == '\0' ? "" : " ");
		p = stpcpy(p, from + n);
		free(from);
	}
	o = json_object();
	msg_set_string(o, "text", text);
	free(text);
	export_line(ex, o);
}

/* Write the format "messages". */
int
export_messages(struct export *ex)
{
	return (export_dialogue_all(ex, export_dialogue_messages));
}

/* Write the format "oig": the training data of OpenChatKit. */
int
export_oig(struct export *ex)
{
	return (export_dialogue_all(ex, export_dialogue_oig));
}

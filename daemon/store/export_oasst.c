/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The export format "oasst": trees of messages in the format of Open-Assistant.
 * A prompt is a node; each reply to it is a child; the next prompt is a child
 * of the reply that it followed.  An ideal text is one more child, which a
 * person wrote and which ranks first.  Opinions are events and labels.
 *
 * Many readers of JSON accept only so much depth, and chatd takes no row above
 * its limit of a line.  So a long conversation becomes several trees;
 * metadata.continues has the message before.
 */
#include "export.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

#define OASST_TURNS	100	/* in a tree: two levels each */
#define OASST_BYTES	262144	/* of prompts and replies in a tree, unless one
				 * turn has more */

/* A tree being made. The arrays have a member for each reply. */
struct oasst {
	struct export			*ex;
	const struct export_dialogue	*d;
	json_t				**node;	/* owned: of each reply */
	char				**key;	/* owned: its message_id */
	size_t				bytes;	/* of its texts so far */
};

static json_t	*oasst_node(const char *, const char *, const char *,
		    const char *);
static void	oasst_label(json_t *, const char *, int);
static void	oasst_opinion(const struct export *, sqlite3_stmt *, json_t *,
		    json_t *, json_t *);
static int	oasst_opinions(struct oasst *, size_t, json_t *, json_t *);
static size_t	oasst_bytes(const struct export_dialogue *, size_t);
static int	oasst_grow(struct oasst *, size_t, size_t *, json_t **);
static int	oasst_reply(struct oasst *, size_t, const char *, json_t *);
static size_t	oasst_parent(const struct export_dialogue *, size_t);
static int	oasst_turn(struct oasst *, size_t, json_t **);
static void	oasst_tree(struct oasst *, size_t, json_t *);
static int	oasst_dialogue(struct export *, struct export_dialogue *);

#define OASST_TIME(column) \
	"strftime('%Y-%m-%dT%H:%M:%S', " column " / 1000, 'unixepoch') || " \
	"printf('.%03dZ', " column " % 1000)"

/* Make a message. */
static json_t *
oasst_node(const char *id, const char *parent, const char *role,
    const char *text)
{
	json_t	*o = json_object();

	msg_set_string(o, "message_id", id);
	msg_set_string(o, "parent_id", parent);
	msg_set_string(o, "text", text);
	msg_set_string(o, "role", role);
	msg_set_string(o, "lang", "und");
	return (o);
}

/* Count a label. */
static void
oasst_label(json_t *labels, const char *reason, int n)
{
	static const struct {
		const char	*reason, *label;
		int		 value;
	} names[] = {
		{ "incorrect", "fails_task", 1 },
		{ "unhelpful", "helpfulness", 0 },
		{ "harmful", "not_appropriate", 1 },
	};
	json_t	*o;
	size_t	 i;

	for (i = 0; i < nitems(names); i++) {
		if (strcmp(names[i].reason, reason) != 0)
			continue;
		o = json_object();
		msg_set_int(o, "value", names[i].value);
		msg_set_int(o, "count", msg_int(json_object_get(labels,
		    names[i].label), "count", 0) + n);
		msg_set(labels, names[i].label, o);
	}
}

/* Add the opinion of row q (user, thumb, reasons, comment) to the lists. */
static void
oasst_opinion(const struct export *ex, sqlite3_stmt *q, json_t *scores,
    json_t *reports, json_t *labels)
{
	json_t		*o, *reasons, *v;
	char		*user;
	const char	*comment = (const char *)sqlite3_column_text(q, 4);
	size_t		 i;

	user = pseudonym(ex->key, sqlite3_column_int64(q, 0),
	    (const char *)sqlite3_column_text(q, 1));
	o = json_object();
	msg_set_string(o, "user_id", user);
	sql_integer(o, "score", q, 2);
	sql_text(o, "created_date", q, 5);
	json_array_append_new(scores, o);
	reasons = json_loads((const char *)sqlite3_column_text(q, 3), 0, NULL);
	json_array_foreach(reasons, i, v)
		oasst_label(labels, json_string_value(v), 1);
	if (json_array_size(reasons) > 0 || comment != NULL) {
		o = json_object();
		msg_set_string(o, "user_id", user);
		msg_set_string(o, "report_type", "feedback");
		msg_set_string(o, "reason", comment != NULL ? comment : "");
		msg_set(o, "reasons", json_incref(reasons));
		json_array_append_new(reports, o);
	}
	json_decref(reasons);
	free(user);
}

/* Add the opinions about reply i to its node, and the ideal texts to its
 * siblings. */
static int
oasst_opinions(struct oasst *t, size_t i, json_t *node, json_t *siblings)
{
	const struct export_reply	*r = &t->d->reply[i];
	json_t				*scores = json_array(), *o,
					*reports = json_array(),
					*labels = json_object();
	sqlite3_stmt			*q;
	char				*id;
	int				 e, n = 0;

	if ((e = sql_open(&t->ex->st, &q, "SELECT a.uid, a.name, a.thumb, "
	    "a.reasons, a.comment, " OASST_TIME("a.created") ", a.ideal "
	    "FROM rating a JOIN reply r ON r.id = a.reply JOIN exchange e "
	    "ON e.id = r.exchange WHERE a.reply = ?1 AND "
	    EXPORT_OPINION("a", "?2", "?3") " ORDER BY a.id", "iii", r->id,
	    t->ex->rated, t->ex->uid)) != 0)
		goto out;
	while ((e = sql_step(&t->ex->st, q)) == 1) {
		oasst_opinion(t->ex, q, scores, reports, labels);
		if (sqlite3_column_bytes(q, 6) == 0)
			continue;
		id = xasprintf("%s-ideal-%d", t->key[i], ++n);
		o = oasst_node(id, msg_string(node, "parent_id"), "assistant",
		    (const char *)sqlite3_column_text(q, 6));
		free(id);
		msg_set(o, "user_id", json_incref(json_object_get(
		    json_array_get(scores, json_array_size(scores) - 1),
		    "user_id")));
		msg_set_bool(o, "synthetic", 0);
		msg_set_int(o, "rank", 0);
		json_array_append_new(siblings, o);
	}
	if (json_array_size(scores) > 0) {
		o = json_object();
		msg_set(o, "score", json_incref(scores));
		if (json_array_size(reports) > 0)
			msg_set(o, "report", json_incref(reports));
		msg_set(node, "events", o);
	}
	if (json_object_size(labels) > 0)
		msg_set(node, "labels", json_incref(labels));
out:
	json_decref(scores);
	json_decref(reports);
	json_decref(labels);
	return (e);
}

/* Make the node of reply i, and append it to the siblings. */
static int
oasst_reply(struct oasst *t, size_t i, const char *parent, json_t *siblings)
{
	const struct export_reply	*r = &t->d->reply[i];
	sqlite3_stmt			*q;
	json_t				*o, *m;
	const char			*text;
	int				 e;

	if ((e = sql_open(&t->ex->st, &q, "SELECT r.key, CASE WHEN "
	    "r.state = 'blocked' AND ?2 <> -1 THEN '' ELSE r.text END, "
	    OASST_TIME("r.created") ", m.name, m.digest, m.precision, "
	    "r.state, r.stop, r.seed, r.params, r.prompt_tokens, "
	    "r.output_tokens, r.dropped, l.name, l.digest FROM reply r "
	    "JOIN model m ON m.id = r.model LEFT JOIN adapter l "
	    "ON l.id = r.adapter WHERE r.id = ?1", "ii", r->id,
	    t->ex->uid)) != 0 || (e = sql_step(&t->ex->st, q)) != 1)
		return (e);
	t->key[i] = xstrdup((const char *)sqlite3_column_text(q, 0));
	text = (const char *)sqlite3_column_text(q, 1);
	o = oasst_node(t->key[i], parent, "assistant", text);
	sql_text(o, "created_date", q, 2);
	msg_set_bool(o, "synthetic", 1);
	sql_text(o, "model_name", q, 3);
	if (*text == '\0')
		msg_set_bool(o, "deleted", 1);
	if (!t->ex->opt->bare) {
		m = json_object();
		sql_text(m, "digest", q, 4);
		sql_text(m, "precision", q, 5);
		sql_text(m, "state", q, 6);
		sql_text(m, "stop", q, 7);
		sql_integer(m, "seed", q, 8);
		sql_json(m, "params", q, 9);
		sql_integer(m, "prompt_tokens", q, 10);
		sql_integer(m, "output_tokens", q, 11);
		sql_integer(m, "dropped", q, 12);
		if (t->ex->uid == -1) {	/* users do not see the variant */
			sql_text(m, "adapter", q, 13);
			sql_text(m, "adapter_digest", q, 14);
		}
		msg_set(o, "metadata", m);
	}
	sql_end(q);
	json_array_append_new(siblings, o);
	t->node[i] = o;
	return (oasst_opinions(t, i, o, siblings));
}

/* The reply that a turn followed: the newest one of the turn before that is
 * older. SIZE_MAX: there is none. */
static size_t
oasst_parent(const struct export_dialogue *d, size_t turn)
{
	const struct export_turn	*t;
	size_t				 k;

	if (turn == 0)
		return (SIZE_MAX);
	t = &d->turn[turn - 1];
	for (k = t->first + t->n; k > t->first; k--) {
		if (d->reply[k - 1].id < d->reply[d->turn[turn].first].id)
			return (k - 1);
	}
	return (SIZE_MAX);
}

/* Make the node of a prompt, with its replies. */
static int
oasst_turn(struct oasst *t, size_t turn, json_t **out)
{
	const struct export_turn	*x = &t->d->turn[turn];
	size_t				 parent = oasst_parent(t->d, turn), i;
	sqlite3_stmt			*q;
	json_t				*o, *m, *replies = json_array();
	char				*id;
	int				 e;

	*out = NULL;
	if ((e = sql_open(&t->ex->st, &q, "SELECT prompt, "
	    OASST_TIME("created") ", preprompt, (SELECT key FROM reply "
	    "WHERE exchange = exchange.id ORDER BY id LIMIT 1) FROM exchange "
	    "WHERE id = ?", "i", x->id)) != 0 ||
	    (e = sql_step(&t->ex->st, q)) != 1) {
		json_decref(replies);
		return (e);
	}
	id = xasprintf("%s-prompt", (const char *)sqlite3_column_text(q, 3));
	o = oasst_node(id, parent == SIZE_MAX ? NULL : t->key[parent],
	    "prompter", (const char *)sqlite3_column_text(q, 0));
	msg_set_string(o, "user_id", t->d->user);
	sql_text(o, "created_date", q, 1);
	if (sqlite3_column_bytes(q, 2) > 0 && !t->ex->opt->bare) {
		m = json_object();
		sql_text(m, "preprompt", q, 2);
		msg_set(o, "metadata", m);
	}
	sql_end(q);
	msg_set(o, "replies", replies);
	for (i = x->first; e >= 0 && i < x->first + x->n; i++) {
		if (!t->d->reply[i].running)
			e = oasst_reply(t, i, id, replies);
	}
	free(id);
	if (e < 0)
		json_decref(o);
	else
		*out = o;
	return (e < 0 ? e : 0);
}

/* Write a tree whose root (taken) is a turn. */
static void
oasst_tree(struct oasst *t, size_t turn, json_t *root)
{
	size_t	 parent = oasst_parent(t->d, turn);
	json_t	*o = json_object(), *m = json_object();

	msg_set_string(o, "message_tree_id", msg_string(root, "message_id"));
	msg_set_string(o, "tree_state", "ready_for_export");
	msg_set(o, "prompt", root);
	msg_set_string(m, "conversation", t->d->name);
	msg_set_string(m, "user", t->d->user);
	msg_set_string(m, "split", t->d->split);
	if (parent != SIZE_MAX)
		msg_set_string(m, "continues", t->key[parent]);
	export_row(t->ex, o, m, NULL);
}

/* The bytes of a prompt and its replies. */
static size_t
oasst_bytes(const struct export_dialogue *d, size_t turn)
{
	const struct export_turn	*t = &d->turn[turn];
	size_t				 i, n = t->bytes;

	for (i = t->first; i < t->first + t->n; i++)
		n += d->reply[i].bytes;
	return (n);
}

/* Add a turn to the tree whose root is *root and whose first turn is *first; or
 * write that tree, and begin another one with the turn. */
static int
oasst_grow(struct oasst *t, size_t turn, size_t *first, json_t **root)
{
	size_t	 parent = oasst_parent(t->d, turn);
	json_t	*o = NULL, *list;
	json_t	*up = parent == SIZE_MAX ? NULL : t->node[parent];
	size_t	 bytes = oasst_bytes(t->d, turn);
	int	 e;

	if ((e = oasst_turn(t, turn, &o)) != 0 || o == NULL)
		return (e);
	if (*root != NULL && up != NULL && turn - *first < OASST_TURNS &&
	    t->bytes + bytes <= OASST_BYTES) {
		t->bytes += bytes;
		if ((list = json_object_get(up, "replies")) == NULL) {
			list = json_array();
			msg_set(up, "replies", list);
		}
		json_array_append_new(list, o);
		return (0);
	}
	if (*root != NULL)
		oasst_tree(t, *first, *root);
	*root = o;
	*first = turn;
	t->bytes = bytes;
	return (0);
}

/* Write the trees of a dialogue, if the filters choose one of its replies. */
static int
oasst_dialogue(struct export *ex, struct export_dialogue *d)
{
	struct oasst	 t = { .ex = ex, .d = d };
	json_t		*root = NULL;
	size_t		 i, first = 0;
	int		 e = 0, wanted = 0;

	for (i = 0; i < d->nreplies; i++)
		wanted |= export_rated(ex, &d->reply[i]);
	if (!wanted)
		return (0);
	t.node = xcalloc(d->nreplies, sizeof *t.node);
	t.key = xcalloc(d->nreplies, sizeof *t.key);
	for (i = 0; e == 0 && i < d->nturns; i++)
		e = oasst_grow(&t, i, &first, &root);
	if (e == 0 && root != NULL)
		oasst_tree(&t, first, root);
	else
		json_decref(root);
	for (i = 0; i < d->nreplies; i++)
		free(t.key[i]);
	free(t.key);
	free(t.node);
	return (e);
}

/* Write the format "oasst". */
int
export_oasst(struct export *ex)
{
	return (export_dialogues(ex, oasst_dialogue, 0));
}

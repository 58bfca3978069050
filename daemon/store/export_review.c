/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The export formats "argilla" and "label-studio", for tools in which people
 * look at replies and rate them.  A record is a reply with its context; what
 * is known of it comes along: opinions as responses or annotations, the
 * findings of filters as suggestions or predictions.
 */
#include "export.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

static int	review_wanted(const struct export *,
		    const struct export_reply *);
static json_t	*review_reasons(struct export *, const struct export_reply *);
static int	review_finding(struct export *, const struct export_reply *,
		    json_t **);
static int	argilla_record(struct export *,
		    const struct export_dialogue *, size_t);
static int	argilla_dialogue(struct export *, struct export_dialogue *);
static json_t	*studio_result(const char *, const char *, const char *,
		    const char *, json_t *);
static int	studio_task(struct export *, const struct export_dialogue *,
		    size_t);
static int	studio_dialogue(struct export *, struct export_dialogue *);

/* Is it a reply to look at? */
static int
review_wanted(const struct export *ex, const struct export_reply *r)
{
	return (r->shown && export_rated(ex, r));
}

/* The reasons that count, as a list; NULL after a failure. */
static json_t *
review_reasons(struct export *ex, const struct export_reply *r)
{
	sqlite3_stmt	*q;
	json_t		*list = NULL;

	if (sql_open(&ex->st, &q, "SELECT json_group_array(value) FROM "
	    "(SELECT DISTINCT j.value FROM rating a, json_each(a.reasons) j, "
	    "reply r, exchange e WHERE a.reply = ?1 AND r.id = ?1 AND "
	    "e.id = r.exchange AND " EXPORT_OPINION("a", "?2", "?3")
	    " ORDER BY 1)", "iii", r->id, ex->rated, ex->uid) != 0 ||
	    sql_step(&ex->st, q) != 1)
		return (NULL);
	list = json_loads((const char *)sqlite3_column_text(q, 0), 0, NULL);
	sql_end(q);
	return (list);
}

/* The strongest finding about a reply: {category, score, plugin}, or NULL. */
static int
review_finding(struct export *ex, const struct export_reply *r, json_t **out)
{
	sqlite3_stmt	*q;
	int		 e;

	*out = NULL;
	if ((e = sql_open(&ex->st, &q, "SELECT category, score, plugin "
	    "FROM verdict WHERE reply = ? AND direction = 'reply' "
	    "AND action <> 'allow' ORDER BY score DESC, id LIMIT 1", "i",
	    r->id)) != 0 || (e = sql_step(&ex->st, q)) != 1)
		return (e);
	*out = json_object();
	sql_text(*out, "category", q, 0);
	msg_set_real(*out, "score", sqlite3_column_double(q, 1));
	sql_text(*out, "plugin", q, 2);
	sql_end(q);
	return (0);
}

/* Write a record of Argilla, as a flat row. */
static int
argilla_record(struct export *ex, const struct export_dialogue *d, size_t i)
{
	const struct export_reply	*r = &d->reply[i];
	json_t				*o, *chat = NULL, *meta = NULL,
					*finding = NULL, *reasons;
	char				*s, *prompt, *ideal = NULL;
	int				 e;

	if ((e = export_messages_of(ex, d, i, &chat)) != 0)
		return (e);
	if ((e = export_metadata(ex, d, r, 0, &meta)) != 0 ||
	    (e = review_finding(ex, r, &finding)) != 0 ||
	    (r->ideal != 0 && (e = export_text(ex, r, 1, &ideal)) != 0) ||
	    (e = export_prompt(ex, d, r, &prompt)) != 0)
		goto out;
	if ((e = export_text(ex, r, 0, &s)) != 0) {
		free(prompt);
		goto out;
	}
	o = json_object();
	msg_set(o, "id", meta != NULL ? json_incref(json_object_get(meta,
	    "reply")) : json_integer(r->id));
	msg_set_string(o, "prompt", prompt);
	msg_set_string(o, "reply", s);
	msg_set(o, "chat", json_incref(chat));
	msg_set(o, "rating.response", !r->rated ? json_null() :
	    json_string(r->thumb > 0 ? "good" : r->thumb < 0 ? "bad" :
	    "neutral"));
	reasons = review_reasons(ex, r);
	msg_set(o, "reasons.response", reasons != NULL ? reasons :
	    json_array());
	msg_set(o, "ideal.response", ideal != NULL ? json_string(ideal) :
	    json_null());
	msg_set(o, "category.suggestion", finding != NULL ?
	    json_incref(json_object_get(finding, "category")) : json_null());
	msg_set(o, "category.suggestion.score", finding != NULL ?
	    json_incref(json_object_get(finding, "score")) : json_null());
	msg_set(o, "category.suggestion.agent", finding != NULL ?
	    json_incref(json_object_get(finding, "plugin")) : json_null());
	free(prompt);
	free(s);
	export_row(ex, o, meta, r);
	meta = NULL;
out:
	json_decref(meta);
	json_decref(finding);
	json_decref(chat);
	free(ideal);
	return (e);
}

/* Write the records of a dialogue. */
static int
argilla_dialogue(struct export *ex, struct export_dialogue *d)
{
	size_t	 i;
	int	 e = 0;

	for (i = 0; e == 0 && i < d->nreplies; i++) {
		if (review_wanted(ex, &d->reply[i]))
			e = argilla_record(ex, d, i);
	}
	return (e);
}

/* One result of Label Studio. Its id must differ from all others. */
static json_t *
studio_result(const char *id, const char *name, const char *type,
    const char *key, json_t *value)
{
	json_t	*o = json_object(), *v = json_object(), *list;
	char	*whole = xasprintf("%s-%s", id, name);

	msg_set_string(o, "id", whole);
	free(whole);
	msg_set_string(o, "from_name", name);
	msg_set_string(o, "to_name", "chat");
	msg_set_string(o, "type", type);
	if (json_is_array(value))
		list = value;
	else {
		list = json_array();
		json_array_append_new(list, value);
	}
	msg_set(v, key, list);
	msg_set(o, "value", v);
	return (o);
}

/* Write a task of Label Studio. */
static int
studio_task(struct export *ex, const struct export_dialogue *d, size_t i)
{
	const struct export_reply	*r = &d->reply[i];
	json_t				*o, *data, *chat, *a, *list, *reasons;
	json_t				*meta = NULL, *finding = NULL;
	json_t				*side;
	char				*s, id[32];
	int				 e;

	if ((e = export_messages_of(ex, d, i, &chat)) != 0)
		return (e);
	if ((e = export_text(ex, r, 0, &s)) != 0) {
		json_decref(chat);
		return (e);
	}
	json_array_append_new(chat, export_message("assistant", s));
	free(s);
	if ((e = export_metadata(ex, d, r, 0, &meta)) != 0 ||
	    (e = review_finding(ex, r, &finding)) != 0) {
		json_decref(chat);
		return (e);
	}
	snprintf(id, sizeof id, "reply-%lld", (long long)r->id);
	data = json_object();
	msg_set(data, "messages", chat);
	side = ex->opt->sidecar ? json_incref(meta) : NULL;
	msg_set(data, "metadata", ex->opt->bare || ex->opt->sidecar ? NULL :
	    json_incref(meta));
	json_decref(meta);
	o = json_object();
	msg_set(o, "data", data);
	if (r->rated) {
		list = json_array();
		json_array_append_new(list, studio_result(id, "rating",
		    "choices", "choices", json_string(r->thumb > 0 ? "good" :
		    r->thumb < 0 ? "bad" : "neutral")));
		if ((reasons = review_reasons(ex, r)) != NULL &&
		    json_array_size(reasons) > 0)
			json_array_append_new(list, studio_result(id,
			    "reasons", "choices", "choices", reasons));
		else
			json_decref(reasons);
		if (r->ideal != 0 && export_text(ex, r, 1, &s) == 0) {
			json_array_append_new(list, studio_result(id, "ideal",
			    "textarea", "text", json_string(s)));
			free(s);
		}
		a = json_object();
		msg_set(a, "result", list);
		list = json_array();
		json_array_append_new(list, a);
		msg_set(o, "annotations", list);
	}
	if (finding != NULL) {
		list = json_array();
		json_array_append_new(list, studio_result(id, "category",
		    "choices", "choices", json_incref(json_object_get(finding,
		    "category"))));
		a = json_object();
		msg_set(a, "model_version", json_incref(json_object_get(
		    finding, "plugin")));
		msg_set(a, "score", json_incref(json_object_get(finding,
		    "score")));
		msg_set(a, "result", list);
		list = json_array();
		json_array_append_new(list, a);
		msg_set(o, "predictions", list);
		json_decref(finding);
	}
	export_row(ex, o, side, r);
	return (0);
}

/* Write the tasks of a dialogue. */
static int
studio_dialogue(struct export *ex, struct export_dialogue *d)
{
	size_t	 i;
	int	 e = 0;

	for (i = 0; e == 0 && i < d->nreplies; i++) {
		if (review_wanted(ex, &d->reply[i]))
			e = studio_task(ex, d, i);
	}
	return (e);
}

/* Write the format "argilla". */
int
export_argilla(struct export *ex)
{
	return (export_dialogues(ex, argilla_dialogue, 1));
}

/* Write the format "label-studio": one array of tasks. */
int
export_label_studio(struct export *ex)
{
	int	 r;

	ex->begin = "[\n";
	ex->between = ",\n";
	r = export_dialogues(ex, studio_dialogue, 1);
	if (r == 0)
		fputs(ex->counts.rows == 0 ? "[]\n" : "]\n", ex->out);
	return (r);
}

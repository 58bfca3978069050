/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of a dialogue as the model reads them, and what is told about a row
 * beside its texts.
 */
#include "export.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "turntext.h"
#include "xmalloc.h"

static char	*export_plain(char *);
static int	export_one(struct export *, char **, const char *, int64_t);

/*
 * Take the names of special tokens out of a text (taken), because trainers
 * read them as the tokens themselves: a blank comes after "<|".  Returns a new
 * string.
 */
static char *
export_plain(char *s)
{
	static const char *const names[] = { "<|endoftext|>", "<|padding|>" };
	size_t	 i, k = 0, n = strlen(s), name;
	char	*out;

	if (strstr(s, "<|") == NULL)
		return (s);
	out = xmalloc(n * 2 + 1);
	for (i = 0; i < n; i++) {
		out[k++] = s[i];
		for (name = 0; name < nitems(names); name++) {
			if (strncmp(s + i, names[name],
			    strlen(names[name])) != 0)
				continue;
			out[k++] = '|';
			out[k++] = ' ';
			i++;
			break;
		}
	}
	out[k] = '\0';
	free(s);
	return (out);
}

/* Read one text as it is stored: a new string. */
static int
export_one(struct export *ex, char **out, const char *sql, int64_t id)
{
	sqlite3_stmt	*q;
	const char	*s;
	int		 r;

	*out = NULL;
	if ((r = sql_open(&ex->st, &q, sql, "i", id)) != 0 ||
	    (r = sql_step(&ex->st, q)) < 0)
		return (r);
	s = r == 1 ? (const char *)sqlite3_column_text(q, 0) : NULL;
	*out = xstrdup(s != NULL ? s : "");
	if (r == 1)
		sql_end(q);
	return (0);
}

/* Read the prompt of a reply. A raw prompt stays as it is. */
int
export_prompt(struct export *ex, const struct export_dialogue *d,
    const struct export_reply *r, char **out)
{
	char	*s;
	int	 e;

	if ((e = export_one(ex, &s, "SELECT prompt FROM exchange WHERE id = ?",
	    d->turn[r->turn].id)) != 0)
		return (e);
	*out = export_plain(d->name != NULL ? turntext(s) : xstrdup(s));
	free(s);
	return (0);
}

/* Read the pre-prompt of a reply. */
int
export_preprompt(struct export *ex, const struct export_dialogue *d,
    const struct export_reply *r, char **out)
{
	char	*s;
	int	 e;

	*out = NULL;
	if (d->name == NULL || d->turn[r->turn].preprompt == 0)
		return (0);
	if ((e = export_one(ex, &s, "SELECT preprompt FROM exchange "
	    "WHERE id = ?", d->turn[r->turn].id)) != 0)
		return (e);
	*out = export_plain(turntext_preprompt(s));
	free(s);
	return (0);
}

/* Read the text of a reply, or its ideal text. */
int
export_text(struct export *ex, const struct export_reply *r, int ideal,
    char **out)
{
	char	*s;
	int	 e;

	if ((e = ideal ? export_one(ex, &s, "SELECT ideal FROM rating "
	    "WHERE id = ?", r->ideal) : export_one(ex, &s, "SELECT text FROM "
	    "reply WHERE id = ?", r->id)) != 0)
		return (e);
	*out = export_plain(turntext(s));
	free(s);
	return (0);
}

/* Append a message with a text (taken) to a list. */
static void
export_say(json_t *list, const char *role, char *text)
{
	json_array_append_new(list, export_message(role, text));
	free(text);
}

/* The messages that the model had read. */
int
export_messages_of(struct export *ex, const struct export_dialogue *d,
    size_t r, json_t **out)
{
	const struct export_reply	*old;
	size_t				*list, n, i;
	json_t				*messages = json_array();
	char				*s;
	int				 e;

	n = export_context(d, r, &list);
	if ((e = export_preprompt(ex, d, &d->reply[r], &s)) == 0 && s != NULL)
		export_say(messages, "system", s);
	for (i = 0; e == 0 && i < n; i++) {
		old = &d->reply[list[i]];
		if ((e = export_prompt(ex, d, old, &s)) != 0)
			break;
		export_say(messages, "user", s);
		if ((e = export_text(ex, old, 0, &s)) == 0)
			export_say(messages, "assistant", s);
	}
	free(list);
	if (e == 0 && (e = export_prompt(ex, d, &d->reply[r], &s)) == 0)
		export_say(messages, "user", s);
	if (e != 0) {
		json_decref(messages);
		return (e);
	}
	*out = messages;
	return (0);
}

/* The string that the model had read. */
int
export_string_of(struct export *ex, const struct export_dialogue *d, size_t r,
    char **out)
{
	json_t		*messages, *m;
	const char	*role, *s;
	size_t		 i, n = 0;
	FILE		*to;
	int		 e;

	if (d->name == NULL)
		return (export_prompt(ex, d, &d->reply[r], out));
	if ((e = export_messages_of(ex, d, r, &messages)) != 0)
		return (e);
	if ((to = open_memstream(out, &n)) == NULL)
		abort();	/* out of memory */
	json_array_foreach(messages, i, m) {
		role = msg_string(m, "role");
		s = msg_string(m, "content");
		if (strcmp(role, "system") == 0)
			fputs(s, to);
		else
			fprintf(to, "%s:%s%s\n", strcmp(role, "user") == 0 ?
			    "<human>" : "<bot>", *s == '\0' ? "" : " ", s);
	}
	fputs("<bot>:", to);
	fclose(to);
	json_decref(messages);
	return (0);
}

/* What is told about a row. */
int
export_metadata(struct export *ex, const struct export_dialogue *d,
    const struct export_reply *r, int ideal, json_t **out)
{
	sqlite3_stmt	*q;
	json_t		*m;
	int		 e;

	*out = NULL;
	if (ex->opt->bare && !ex->opt->sidecar)
		return (0);
	if ((e = sql_open(&ex->st, &q, "SELECT r.key, "
	    "strftime('%Y-%m-%dT%H:%M:%S', r.created / 1000, 'unixepoch') || "
	    "printf('.%03dZ', r.created % 1000), m.name, m.digest, "
	    "m.precision, (SELECT json_group_array(value) FROM (SELECT "
	    "DISTINCT j.value FROM rating a, json_each(a.reasons) j "
	    "WHERE a.reply = r.id AND " EXPORT_OPINION("a", "?2", "?3")
	    " ORDER BY 1)), l.name, l.digest FROM reply r JOIN exchange e "
	    "ON e.id = r.exchange JOIN model m ON m.id = r.model "
	    "LEFT JOIN adapter l ON l.id = r.adapter WHERE r.id = ?1", "iii",
	    r->id, ex->rated, ex->uid)) != 0 ||
	    (e = sql_step(&ex->st, q)) != 1)
		return (e);
	m = json_object();
	msg_set_string(m, "conversation", d->name != NULL ? d->name : "");
	sql_text(m, "reply", q, 0);
	msg_set_string(m, "user", d->user);
	sql_text(m, "created", q, 1);
	sql_text(m, "model", q, 2);
	sql_text(m, "digest", q, 3);
	sql_text(m, "precision", q, 4);
	if (ex->uid == -1) {	/* users do not see the variant */
		sql_text(m, "adapter", q, 6);
		sql_text(m, "adapter_digest", q, 7);
	}
	msg_set(m, "rating", r->rated ? json_integer(r->thumb) : json_null());
	sql_json(m, "reasons", q, 5);
	msg_set_bool(m, "ideal", ideal);
	msg_set_bool(m, "cut", r->cut);
	msg_set_string(m, "split", d->split);
	sql_end(q);
	*out = m;
	return (0);
}

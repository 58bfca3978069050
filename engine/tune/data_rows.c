/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of rows, as JSON lines:
 *
 *   dialogues    {"turns": [...]}, {"messages": [...]},
 *                {"text": "<human>: ..."} or {"prompt", "completion"}
 *   text         {"text": "..."}
 *   preference   {"prompt", "chosen", "rejected"}
 *   labels       {"prompt", "completion", "label"}
 *
 * A prompt is a text with tags or a list of messages, and a reply a text or a
 * list of one message.
 */
#include "data.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "growbuf.h"
#include "xmalloc.h"

/* Split text with tags into turns. */
static void
rows_split(const char *s, struct gen_doc *doc)
{
	const char	*end = strstr(s, DATA_HUMAN);
	enum gen_role	 role;

	/* A pre-prompt stands before the first tag. */
	if (end != NULL && end > s && end[-1] == '\n' &&
	    strncmp(s, DATA_BOT, strlen(DATA_BOT)) != 0) {
		gen_say(doc, GEN_PLAIN, xstrndup(s, (size_t)(end - s)));
		s = end;
	}
	while (*s != '\0') {
		s += strspn(s, "\n");
		role = strncmp(s, DATA_BOT, strlen(DATA_BOT)) == 0 ?
		    GEN_REPLY : GEN_SAID;
		if (strncmp(s, DATA_HUMAN, strlen(DATA_HUMAN)) == 0 ||
		    role == GEN_REPLY)
			s = strchr(s, ':') + 1;
		for (end = s; *end != '\0'; end++)
			if (strncmp(end, "\n" DATA_HUMAN,
			    strlen("\n" DATA_HUMAN)) == 0 ||
			    strncmp(end, "\n" DATA_BOT,
			    strlen("\n" DATA_BOT)) == 0)
				break;
		if (end > s)
			gen_say(doc, role, xstrndup(s, (size_t)(end - s)));
		s = end;
	}
}

/* The string of a key, or NULL. */
static const char *
rows_string(json_t *row, const char *key)
{
	return (json_string_value(json_object_get(row, key)));
}

/* A list of messages. */
static int
rows_messages(json_t *list, struct gen_doc *doc)
{
	json_t		*e;
	const char	*role, *s;
	size_t		 i, n;

	json_array_foreach(list, i, e) {
		role = rows_string(e, "role");
		s = rows_string(e, "content");
		if (role == NULL || s == NULL)
			return (0);
		n = strlen(s);
		if (strcmp(role, "system") == 0)
			gen_say(doc, GEN_PLAIN, xasprintf("%s%s", s, n > 0 &&
			    s[n - 1] != '\n' ? "\n" : ""));
		else
			gen_say(doc, strcmp(role, "assistant") == 0 ?
			    GEN_REPLY : GEN_SAID, xstrdup(s));
	}
	return (1);
}

/* Turns or messages. */
static int
rows_turns(json_t *row, struct gen_doc *doc)
{
	json_t	*list = json_object_get(row, "turns"), *e;
	size_t	 i;

	json_array_foreach(list, i, e) {
		if (!json_is_string(e))
			return (0);
		gen_say(doc, i % 2 == 0 ? GEN_SAID : GEN_REPLY,
		    xstrdup(json_string_value(e)));
	}
	return (rows_messages(json_object_get(row, "messages"), doc) &&
	    doc->n > 0);
}

/* The reply of a key: a string, or a list of one message. */
static const char *
rows_reply(json_t *row, const char *key)
{
	json_t	*v = json_object_get(row, key);

	if (json_array_size(v) == 1)
		return (rows_string(json_array_get(v, 0), "content"));
	return (json_string_value(v));
}

/* Split a prompt, which may end with an open tag; its replies are not
 * learnt. */
static int
rows_prompt(json_t *prompt, struct gen_doc *doc)
{
	size_t	 i;

	if (json_is_string(prompt))
		rows_split(json_string_value(prompt), doc);
	else if (!rows_messages(prompt, doc))
		return (0);
	while (doc->n > 0 && doc->turn[doc->n - 1].role != GEN_SAID)
		free(doc->turn[--doc->n].text);
	for (i = 0; i < doc->n; i++)
		if (doc->turn[i].role == GEN_REPLY)
			doc->turn[i].role = GEN_CONTEXT;
	return (doc->n > 0);
}

/* One row of a file. */
int
data_row(enum recipe_kind kind, json_t *row, struct data_row *out)
{
	json_t		*prompt = json_object_get(row, "prompt");
	const char	*s = rows_reply(row, kind == DATA_PREFERENCE ?
			    "chosen" : "completion");
	const char	*text = rows_string(row, "text");
	json_t		*label = json_object_get(row, "label");

	if (kind == DATA_TEXT && text != NULL) {
		gen_say(&out->doc, GEN_PLAIN, xasprintf("%s\n", text));
		return (1);
	}
	if (kind == DATA_DIALOGUES && text != NULL) {
		rows_split(text, &out->doc);
		return (out->doc.n > 0);
	}
	if (kind == DATA_DIALOGUES && prompt == NULL)
		return (rows_turns(row, &out->doc));
	if (s == NULL || !rows_prompt(prompt, &out->doc))
		return (0);
	out->prompt = out->doc.n;
	gen_say(&out->doc, GEN_REPLY, xstrdup(s));
	if (kind == DATA_DIALOGUES)
		return (1);
	out->label = json_is_true(label);
	if (kind == DATA_LABELS)
		return (json_is_boolean(label));
	if ((s = rows_reply(row, "rejected")) == NULL)
		return (0);
	out->other = xstrdup(s);
	return (1);
}

/* Release a row. */
void
data_row_clear(struct data_row *row)
{
	gen_doc_clear(&row->doc);
	free(row->other);
	memset(row, 0, sizeof *row);
}

/* Say what a row should have had, and what it has. */
static int
rows_fault(const struct recipe_source *from, size_t line, json_t *row,
    struct fault *f)
{
	static const char *const expected[] = {
		[DATA_DIALOGUES] = "\"turns\", \"messages\", \"text\" with "
		    "tags, or \"prompt\" and \"completion\"",
		[DATA_TEXT] = "\"text\"",
		[DATA_PREFERENCE] = "\"prompt\", \"chosen\" and "
		    "\"rejected\"",
		[DATA_LABELS] = "\"prompt\", \"completion\" and \"label\"",
	};
	struct textbuf	 keys = { 0 };
	const char	*key;
	json_t		*v;
	int		 r;

	json_object_foreach(row, key, v) {
		textbuf_puts(&keys, keys.n > 0 ? ", \"" : "\"");
		textbuf_puts(&keys, key);
		textbuf_puts(&keys, "\"");
	}
	textbuf_add(&keys, "", 1);
	r = fault_set(f, "bad_config", NULL, "%s:%zu: expected %s with texts "
	    "(chatd-tune(1)), found %s", from->path, line,
	    expected[from->kind], keys.n > 1 ? keys.s : "no keys");
	free(keys.s);
	return (r);
}

/* Read a file. */
int
data_rows(const struct recipe_source *from, struct data_row **rows, size_t *n,
    struct fault *f)
{
	FILE	*in = fopen(from->path, "re");
	char	*line = NULL;
	size_t	 size = 0, lines = 0;
	ssize_t	 len;
	json_t	*row;
	int	 r = 0;

	if (in == NULL) {
		fault_set(f, "bad_config", NULL, "%s: %s", from->path,
		    strerror(errno));
		return (CHAT_ESYSTEM);
	}
	while (r == 0 && (len = getline(&line, &size, in)) != -1) {
		lines++;
		if (line[strspn(line, " \t\r\n")] == '\0')
			continue;
		*rows = xreallocarray(*rows, *n + 1, sizeof **rows);
		memset(&(*rows)[*n], 0, sizeof **rows);
		row = json_loadb(line, (size_t)len, 0, NULL);
		if (!json_is_object(row))
			r = fault_set(f, "bad_config", NULL,
			    "%s:%zu: not a JSON object", from->path, lines);
		else if (!data_row(from->kind, row, &(*rows)[*n]))
			r = rows_fault(from, lines, row, f);
		++*n;
		json_decref(row);
	}
	if (r == 0 && ferror(in)) {
		fault_set(f, "bad_config", NULL, "%s: %s", from->path,
		    strerror(errno));
		r = CHAT_ESYSTEM;
	}
	free(line);
	fclose(in);
	if (r == 0 && *n == 0)
		r = fault_set(f, "bad_config", NULL, "%s: no rows",
		    from->path);
	return (r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libchat: events, and what is in them.
 */
#include "chat_impl.h"

#include <string.h>

#include "json.h"

#define CHAT_KEY_MAX	64	/* bytes of a key in a path */

static int	chat_event_read(struct chat_event *, struct fault *);
static json_t	*chat_event_find(const struct chat_event *, const char *);
static json_t	*chat_event_step(json_t *, const char *, size_t);

/* Take the next event that has arrived. */
int
chat_event_take(struct chat *c, struct chat_event *ev)
{
	struct fault	 f;
	char		*line;
	int		 r;

	memset(ev, 0, sizeof *ev);
	if ((r = chat_io_line(c, &line, &ev->len)) == 0)
		return (0);
	ev->line = line;
	if (r < 0)
		fault_set(&f, "too_long", NULL, "an event has more than %d "
		    "bytes", CHAT_LINE_MAX);
	else if (json_line_parse_max(line, ev->len, CHAT_VALUES_MAX,
	    &ev->root, &f) == 0 && chat_event_read(ev, &f) == 0)
		return (1);
	chat_event_clear(ev);
	return (chat_fail_fault(c, strcmp(f.code, "no_memory") == 0 ?
	    CHAT_ERR_NO_MEMORY : CHAT_ERR_PROTOCOL, &f));
}

/* Find out what the event is, and whose. */
static int
chat_event_read(struct chat_event *ev, struct fault *f)
{
	static const char *const names[] = {
		[CHAT_HELLO] = "hello", [CHAT_ACCEPTED] = "accepted",
		[CHAT_NOTICE] = "notice", [CHAT_TEXT] = "text",
		[CHAT_ITEM] = "item", [CHAT_DONE] = "done",
		[CHAT_ERROR] = "error",
	};
	const char	*name;
	size_t		 i;

	if ((name = chat_get_string(ev, "event")) == NULL)
		return (fault_set(f, "bad_protocol", NULL,
		    "a line without an event came"));
	ev->kind = CHAT_OTHER;
	for (i = 1; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(names[i], name) == 0)
			ev->kind = (enum chat_kind)i;
	ev->id = chat_get_int(ev, "id", -1);
	return (0);
}

/* Release an event. */
void
chat_event_clear(struct chat_event *ev)
{
	json_decref(ev->root);
	memset(ev, 0, sizeof *ev);
}

/* Return what an event is. */
enum chat_kind
chat_kind(const struct chat_event *ev)
{
	return (ev == NULL ? CHAT_OTHER : ev->kind);
}

/* Return whose it is. */
int64_t
chat_id(const struct chat_event *ev)
{
	return (ev == NULL ? -1 : ev->id);
}

/* Is it the last one? */
int
chat_is_last(const struct chat_event *ev)
{
	return (chat_kind(ev) == CHAT_DONE || chat_kind(ev) == CHAT_ERROR ||
	    chat_kind(ev) == CHAT_LOST);
}

/* Return the text. */
const char *
chat_text(const struct chat_event *ev, size_t *len)
{
	json_t	*v = chat_kind(ev) == CHAT_TEXT ?
		    json_object_get(ev->root, "text") : NULL;

	if (len != NULL)
		*len = json_string_length(v);
	return (json_string_value(v));
}

/* Return the line. */
const char *
chat_json(const struct chat_event *ev, size_t *len)
{
	if (len != NULL)
		*len = ev == NULL ? 0 : ev->len;
	return (ev == NULL ? NULL : ev->line);
}

/* Return the element of v that the n bytes at key name, or NULL. */
static json_t *
chat_event_step(json_t *v, const char *key, size_t n)
{
	char	 name[CHAT_KEY_MAX];
	size_t	 i, place = 0;

	if (n >= sizeof name)
		return (NULL);
	if (json_is_object(v)) {
		memcpy(name, key, n);
		name[n] = '\0';
		return (json_object_get(v, name));
	}
	if (n == 0 || n > 9)
		return (NULL);
	for (i = 0; i < n; i++) {
		if (key[i] < '0' || key[i] > '9')
			return (NULL);
		place = place * 10 + (size_t)(key[i] - '0');
	}
	return (json_array_get(v, place));
}

/* Follow a path. */
static json_t *
chat_event_find(const struct chat_event *ev, const char *path)
{
	json_t	*v = ev == NULL ? NULL : ev->root;
	size_t	 n;

	for (;;) {
		n = strcspn(path, ".");
		if ((v = chat_event_step(v, path, n)) == NULL ||
		    path[n] == '\0')
			return (v);
		path += n + 1;
	}
}

/* Look a string up. */
const char *
chat_get_string(const struct chat_event *ev, const char *path)
{
	return (json_string_value(chat_event_find(ev, path)));
}

/* Look an integer up. */
int64_t
chat_get_int(const struct chat_event *ev, const char *path, int64_t dflt)
{
	json_t	*v = chat_event_find(ev, path);

	return (json_is_integer(v) ? json_integer_value(v) : dflt);
}

/* Look a number up. */
double
chat_get_real(const struct chat_event *ev, const char *path, double dflt)
{
	json_t	*v = chat_event_find(ev, path);

	return (json_is_number(v) ? json_number_value(v) : dflt);
}

/* Look true or false up. */
int
chat_get_bool(const struct chat_event *ev, const char *path, int dflt)
{
	json_t	*v = chat_event_find(ev, path);

	return (json_is_boolean(v) ? json_is_true(v) : dflt);
}

/* Count elements. */
size_t
chat_get_count(const struct chat_event *ev, const char *path)
{
	json_t	*v = chat_event_find(ev, path);

	return (json_is_object(v) ? json_object_size(v) : json_array_size(v));
}

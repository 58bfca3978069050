/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl's connection, over libchat.  libchat checks each line; the events
 * wait in a queue until they are taken.
 */
#include "wire.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "chat.h"
#include "json.h"
#include "log.h"
#include "vocabulary.h"
#include "xmalloc.h"

struct wire {
	struct chat	*chat;		/* owned */
	json_t		*hello;		/* owned */
	json_t		*events;	/* owned: an array, in order */
	size_t		 taken;		/* of events */
	int		 lost;		/* 0, or why the connection is lost */
	struct fault	 fault;		/* of lost */
};

static void	wire_event(struct chat *, const struct chat_event *, void *);
static json_t	*wire_message(const struct chat_event *);
static int	wire_fault(const struct chat *, int, struct fault *);

/* Connect. */
int
wire_open(const char *path, const char *client, int timeout_ms,
    struct wire **out, struct fault *f)
{
	struct chat	*c;
	struct wire	*w;
	int		 r;

	if ((c = chat_new(client)) == NULL) {
		fault_set(f, "no_memory", NULL, "there is not enough memory");
		return (CHAT_ESYSTEM);
	}
	if ((r = chat_connect(c, path, timeout_ms)) != 0) {
		r = wire_fault(c, r, f);
		chat_free(c);
		return (r);
	}
	w = xcalloc(1, sizeof *w);
	w->chat = c;
	w->hello = wire_message(chat_hello(c));
	w->events = json_array();
	chat_set_handler(c, wire_event, w);
	*out = w;
	return (0);
}

/* Close a connection. chatd then cancels the requests in flight. */
void
wire_close(struct wire *w)
{
	if (w == NULL)
		return;
	chat_free(w->chat);
	json_decref(w->hello);
	json_decref(w->events);
	free(w);
}

/* Return chatd's hello. */
const json_t *
wire_hello(const struct wire *w)
{
	return (w->hello);
}

/* Return an announced limit. */
int64_t
wire_limit(const struct wire *w, const char *name, int64_t dflt)
{
	return (msg_int(json_object_get(w->hello, "limits"), name, dflt));
}

/* Send a request. */
int
wire_send(struct wire *w, json_t *msg, int64_t *id, struct fault *f)
{
	char	*line;
	size_t	 len;
	int64_t	 r;

	line = msg_line(msg, &len);
	json_decref(msg);
	r = chat_send_json(w->chat, line, NULL, NULL);
	free(line);
	if (r < 0)
		return (wire_fault(w->chat, (int)r, f));
	if (id != NULL)
		*id = r;
	return (0);
}

/* Take the next event. */
int
wire_next(struct wire *w, int timeout_ms, json_t **msg, struct fault *f)
{
	struct pollfd	 p;
	int		 r, waited = 0;

	while (w->taken == json_array_size(w->events)) {
		if (w->lost != 0) {
			*f = w->fault;
			return (w->lost);
		}
		json_array_clear(w->events);
		w->taken = 0;
		if ((r = chat_dispatch(w->chat)) < 0) {
			w->lost = wire_fault(w->chat, r, &w->fault);
			continue;
		}
		if (json_array_size(w->events) > 0)
			break;
		if (timeout_ms == 0 || waited)
			return (0);
		p = (struct pollfd){ .fd = wire_fd(w),
		    .events = wire_events(w) };
		if (poll(&p, 1, timeout_ms) <= 0)
			return (0);
		/* Part of a line, or space to write, may have ended the wait.
		 * With a timeout the caller tries again. */
		waited = timeout_ms > 0;
	}
	*msg = json_incref(json_array_get(w->events, w->taken++));
	return (1);
}

/* Is it an error without a request's id? */
int
wire_about_none(const json_t *msg)
{
	return (strcmp(msg_string(msg, "event"), "error") == 0 &&
	    !json_is_integer(json_object_get(msg, "id")));
}

/* Return the socket. */
int
wire_fd(const struct wire *w)
{
	return (chat_fd(w->chat));
}

/* Return the events to poll for. */
short
wire_events(const struct wire *w)
{
	return (chat_events(w->chat));
}

/* Queue an event. That the connection is lost, wire_next reports. */
static void
wire_event(struct chat *c, const struct chat_event *ev, void *arg)
{
	struct wire	*w = arg;

	(void)c;
	if (chat_kind(ev) != CHAT_LOST)
		json_array_append_new(w->events, wire_message(ev));
}

/* Make a message of an event, whose line libchat has checked. */
static json_t *
wire_message(const struct chat_event *ev)
{
	const char	*line;
	json_t		*msg;
	size_t		 len;

	/* Pieces of an export are long, and have nothing but their text. */
	if ((line = chat_text(ev, &len)) != NULL) {
		msg = msg_event("text", -1);
		msg_set_text(msg, "text", line, len);
		msg_set_int(msg, "id", chat_id(ev));
		return (msg);
	}
	line = chat_json(ev, &len);
	if ((msg = json_loadb(line, len, 0, NULL)) == NULL)
		fatalx("out of memory");
	return (msg);
}

/* Fill f from the last error of libchat. Returns the code of err.h. */
static int
wire_fault(const struct chat *c, int error, struct fault *f)
{
	static const int codes[] = {
		[-CHAT_ERR_SYSTEM] = CHAT_ESYSTEM,
		[-CHAT_ERR_NO_MEMORY] = CHAT_ESYSTEM,
		[-CHAT_ERR_NO_SOCKET] = CHAT_ENOTFOUND,
		[-CHAT_ERR_CLOSED] = CHAT_ECLOSED,
		[-CHAT_ERR_DENIED] = CHAT_EDENIED,
		[-CHAT_ERR_TIMEOUT] = CHAT_EBUSY,
		[-CHAT_ERR_PROTOCOL] = CHAT_EPROTOCOL,
		[-CHAT_ERR_TOO_LONG] = CHAT_ETOOBIG,
		[-CHAT_ERR_USE] = CHAT_ESYSTEM,
		[-CHAT_ERR_REFUSED] = CHAT_EBUSY,
		[-CHAT_ERR_INTERRUPTED] = CHAT_ESYSTEM,
	};
	size_t	 i;

	fault_set(f, "system", chat_error_field(c), "%s",
	    chat_error_message(c));
	for (i = 0; vocabulary_codes[i].slug != NULL; i++)
		if (strcmp(vocabulary_codes[i].slug, chat_error_code(c)) == 0)
			f->code = vocabulary_codes[i].slug;
	return (-error < (int)nitems(codes) ? codes[-error] : CHAT_ESYSTEM);
}

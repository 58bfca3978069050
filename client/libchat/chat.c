/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libchat: connecting, sending requests and taking events.  daemon/base does
 * framing and JSON; the caller interprets the events.
 */
#include "chat.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chan.h"
#include "clock.h"
#include "json.h"
#include "protocol.h"
#include "xmalloc.h"

#define CHAT_LINE_MAX	(16 * 1024 * 1024)	/* longest event taken */
#define CHAT_LINE_SENT	(1024 * 1024)	/* longest request before hello */
#define CHAT_HELLO_ID	0		/* our own hello; others from 1 */

struct chat {
	int		 fd;		/* owned */
	struct chan	*lines;		/* owned */
	json_t		*hello;		/* owned */
	int64_t		 next_id;
};

static int	chat_connect(const char *, int, int *, struct fault *);
static int	chat_connect_fault(const char *, struct fault *);
static int	chat_greet(struct chat *, const char *, int, struct fault *);
static int	chat_check_hello(struct chat *, struct fault *);
static int	chat_fault(int, struct fault *);
static int	chat_left(int64_t);
static int64_t	chat_deadline(int);

/* Connect, and exchange hellos. */
int
chat_open(const char *path, const char *client, int timeout_ms,
    struct chat **out, struct fault *f)
{
	struct chat	*c;
	int		 r;

	c = xcalloc(1, sizeof *c);
	c->fd = -1;
	c->next_id = CHAT_HELLO_ID + 1;
	if ((r = chat_connect(path, timeout_ms, &c->fd, f)) != 0)
		goto out;
	c->lines = chan_new(c->fd, c->fd, CHAT_LINE_MAX);
	if ((r = chat_greet(c, client, timeout_ms, f)) != 0)
		goto out;
	*out = c;
	c = NULL;
out:
	chat_close(c);
	return (r);
}

/* Close a connection. chatd then cancels the requests in flight. */
void
chat_close(struct chat *c)
{
	if (c == NULL)
		return;
	chan_free(c->lines);
	json_decref(c->hello);
	if (c->fd != -1)
		close(c->fd);
	free(c);
}

/* Return chatd's hello. */
const json_t *
chat_hello(const struct chat *c)
{
	return (c->hello);
}

/* Return an announced limit. */
int64_t
chat_limit(const struct chat *c, const char *name, int64_t dflt)
{
	return (msg_int(json_object_get(c->hello, "limits"), name, dflt));
}

/* Send a request. */
int
chat_send(struct chat *c, json_t *msg, int64_t *id, struct fault *f)
{
	int64_t	 max = chat_limit(c, "line", CHAT_LINE_SENT);
	size_t	 len;

	msg_set_int(msg, "id", c->next_id);
	free(msg_line(msg, &len));
	if (len - 1 > (size_t)max) {
		json_decref(msg);
		fault_set(f, "too_long", NULL, "the request has %zu bytes, "
		    "chatd takes at most %lld", len - 1, (long long)max);
		return (CHAT_ETOOBIG);
	}
	if (id != NULL)
		*id = c->next_id;
	c->next_id++;
	chan_send(c->lines, msg);
	return (chan_flush(c->lines) < 0 ?
	    chat_fault((int)chan_flush(c->lines), f) : 0);
}

/* Take the next event. */
int
chat_next(struct chat *c, int timeout_ms, json_t **msg, struct fault *f)
{
	json_t		*m;
	const char	*event;
	int		 r, waited = 0;

	for (;;) {
		chan_flush(c->lines);
		r = chan_next(c->lines, &m, f);
		if (r == CHAT_EFORMAT)
			return (CHAT_EPROTOCOL);
		if (r < 0)
			return (chat_fault(r, f));
		if (r == 0) {
			if (timeout_ms == 0 || waited)
				return (0);
			if (!chan_wait(c->lines, timeout_ms))
				return (0);
			/* Part of a line, or space to write, may have ended
			 * the wait. With a timeout the caller tries again. */
			waited = timeout_ms > 0;
			continue;
		}
		event = msg_string(m, "event");
		if (event == NULL) {
			json_decref(m);
			fault_set(f, "bad_protocol", NULL,
			    "a line without an event came");
			return (CHAT_EPROTOCOL);
		}
		if (c->hello == NULL ||
		    msg_int(m, "id", -1) != CHAT_HELLO_ID) {
			*msg = m;
			return (1);
		}
		if (strcmp(event, "error") == 0) {
			fault_set(f, "bad_protocol", NULL, "%s",
			    msg_string(m, "message") == NULL ? "refused" :
			    msg_string(m, "message"));
			json_decref(m);
			return (CHAT_EPROTOCOL);
		}
		json_decref(m);		/* done of our hello */
	}
}

/* Is it an error without a request's id? */
int
chat_about_none(const json_t *msg)
{
	return (strcmp(msg_string(msg, "event"), "error") == 0 &&
	    !json_is_integer(json_object_get(msg, "id")));
}

/* Return the socket. */
int
chat_fd(const struct chat *c)
{
	return (c->fd);
}

/* Return the events to poll for. */
short
chat_events(struct chat *c)
{
	return (chan_flush(c->lines) > 0 ? POLLIN|POLLOUT : POLLIN);
}

/* Send a request and wait for its end. */
int
chat_call(struct chat *c, json_t *msg, int timeout_ms, json_t **end,
    struct fault *f)
{
	int64_t		 id, deadline = chat_deadline(timeout_ms);
	const char	*event;
	json_t		*m;
	int		 r;

	if ((r = chat_send(c, msg, &id, f)) != 0)
		return (r);
	for (;;) {
		if (deadline != -1 && chat_left(deadline) == 0) {
			fault_set(f, "timeout", NULL, "no answer in %d ms",
			    timeout_ms);
			return (CHAT_EBUSY);
		}
		r = chat_next(c, chat_left(deadline), &m, f);
		if (r < 0)
			return (r);
		if (r == 0)
			continue;
		event = msg_string(m, "event");
		if (chat_about_none(m) || (msg_int(m, "id", -1) == id &&
		    (strcmp(event, "done") == 0 ||
		    strcmp(event, "error") == 0))) {
			*end = m;
			return (0);
		}
		json_decref(m);
	}
}

/* Connect to path. timeout_ms limits the wait if the backlog is full. */
static int
chat_connect(const char *path, int timeout_ms, int *out, struct fault *f)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	struct timeval		 tv = { timeout_ms / 1000,
				    timeout_ms % 1000 * 1000 };
	int			 fd;

	if (strlen(path) >= sizeof sun.sun_path) {
		fault_set(f, "no_socket", NULL, "a socket's path has at most "
		    "%zu bytes, this one has %zu", sizeof sun.sun_path - 1,
		    strlen(path));
		return (CHAT_ENOTFOUND);
	}
	strcpy(sun.sun_path, path);
	if ((fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0)) == -1)
		return (chat_fault(CHAT_ESYSTEM, f));
	if (timeout_ms > 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	while (connect(fd, (struct sockaddr *)&sun, sizeof sun) == -1) {
		if (errno == EINTR)
			continue;
		close(fd);
		return (chat_connect_fault(path, f));
	}
	*out = fd;
	return (0);
}

/* Fill f after connect failed. Returns the error code. */
static int
chat_connect_fault(const char *path, struct fault *f)
{
	struct stat	 st;
	int		 e = errno;

	switch (e) {
	case ENOENT:
	case ENOTDIR:
		fault_set(f, "no_socket", NULL, "no such socket");
		return (CHAT_ENOTFOUND);
	case ENOTSOCK:
	case ECONNREFUSED:
		if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
			fault_set(f, "no_socket", NULL, "not a socket");
			return (CHAT_ENOTFOUND);
		}
		fault_set(f, "nobody_listens", NULL, "nobody listens there");
		return (CHAT_ECLOSED);
	case EACCES:
	case EPERM:
		fault_set(f, "denied", NULL, "permission denied");
		return (CHAT_EDENIED);
	case EAGAIN:
	case ETIMEDOUT:
		fault_set(f, "timeout", NULL, "the connection was not taken "
		    "in time");
		return (CHAT_EBUSY);
	default:
		errno = e;
		return (chat_fault(CHAT_ESYSTEM, f));
	}
}

/* Wait for chatd's hello, check it, and send ours. */
static int
chat_greet(struct chat *c, const char *client, int timeout_ms,
    struct fault *f)
{
	int64_t	 deadline = chat_deadline(timeout_ms);
	json_t	*m;
	int	 r;

	for (;;) {
		if ((r = chat_next(c, chat_left(deadline), &c->hello, f)) == 1)
			break;
		if (r < 0)
			return (r);
		if (deadline != -1 && chat_left(deadline) == 0) {
			fault_set(f, "timeout", NULL,
			    "connected, but no hello came in %d ms",
			    timeout_ms);
			return (CHAT_EBUSY);
		}
	}
	if ((r = chat_check_hello(c, f)) != 0)
		return (r);
	m = msg_op("hello", CHAT_HELLO_ID);
	msg_set_int(m, "protocol", PROTOCOL_VERSION);
	msg_set_string(m, "client", client);
	chan_send(c->lines, m);
	return (0);
}

/* Check chatd's hello. */
static int
chat_check_hello(struct chat *c, struct fault *f)
{
	const char	*event = msg_string(c->hello, "event");
	const char	*text = msg_string(c->hello, "message");
	const char	*server = msg_string(c->hello, "server");
	int64_t		 protocol = msg_int(c->hello, "protocol", -1);

	if (strcmp(event, "error") == 0) {
		fault_set(f, "busy", NULL, "%s",
		    text == NULL ? "refused without a message" : text);
		return (CHAT_EBUSY);
	}
	if (strcmp(event, "hello") != 0 || protocol < 0) {
		fault_set(f, "bad_protocol", NULL,
		    "expected chatd's hello, found event \"%s\"", event);
		return (CHAT_EPROTOCOL);
	}
	if (protocol != PROTOCOL_VERSION) {
		fault_set(f, "bad_protocol", NULL, "%s speaks protocol %lld, "
		    "this client speaks %d", server == NULL ? "chatd" : server,
		    (long long)protocol, PROTOCOL_VERSION);
		return (CHAT_EPROTOCOL);
	}
	return (0);
}

/* Fill f for a lost connection. Returns r. */
static int
chat_fault(int r, struct fault *f)
{
	if (r == CHAT_ECLOSED)
		fault_set(f, "closed", NULL, "chatd closed the connection");
	else if (r == CHAT_ESYSTEM)
		fault_set(f, "system", NULL, "%s", strerror(errno));
	else
		fault_set(f, "system", NULL, "%s", chat_strerror(r));
	return (r);
}

/* The deadline of a wait that begins now; -1: no limit. */
static int64_t
chat_deadline(int timeout_ms)
{
	return (timeout_ms < 0 ? -1 : clock_monotonic() + timeout_ms);
}

/* Milliseconds left until a deadline; -1: no deadline. */
static int
chat_left(int64_t deadline)
{
	int64_t	 left;

	if (deadline == -1)
		return (-1);
	left = deadline - clock_monotonic();
	return (left > 0 ? (int)left : 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libchat: connections and errors.
 */
#include "chat.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chat_impl.h"
#include "protocol.h"
#include "utf8.h"

static int	chat_socket(struct chat *, const char *, int64_t, int *);
static int	chat_socket_fail(struct chat *, const char *);
static int	chat_greet(struct chat *, int64_t);
static int	chat_check_hello(struct chat *);
static int	chat_say_hello(struct chat *);
static void	chat_drop(struct chat *);

/* Return the version of the library. */
int
chat_version(void)
{
	return (CHAT_VERSION);
}

/* Describe an error. */
const char *
chat_error_text(int error)
{
	static const char *const texts[] = {
		[CHAT_OK] = "success",
		[-CHAT_ERR_SYSTEM] = "a system call failed",
		[-CHAT_ERR_NO_MEMORY] = "there is not enough memory",
		[-CHAT_ERR_NO_SOCKET] = "there is no such socket",
		[-CHAT_ERR_CLOSED] = "there is no connection",
		[-CHAT_ERR_DENIED] = "permission denied",
		[-CHAT_ERR_TIMEOUT] = "no answer in time",
		[-CHAT_ERR_PROTOCOL] = "the other side speaks no such protocol",
		[-CHAT_ERR_TOO_LONG] = "the request is too long",
		[-CHAT_ERR_USE] = "the call is not allowed here",
		[-CHAT_ERR_REFUSED] = "chatd refused the request",
		[-CHAT_ERR_INTERRUPTED] = "a signal came",
	};

	if (error > 0 || error < CHAT_ERR_INTERRUPTED)
		return ("unknown error");
	return (texts[-error]);
}

/* Copy s to out, which has room for size bytes; only whole characters. */
static void
chat_copy(char *out, size_t size, const char *s)
{
	size_t	 n = strlen(s);

	if (n > size - 1)
		n = utf8_whole(s, size - 1);
	memcpy(out, s, n);
	out[n] = '\0';
	for (; *out != '\0'; out++)
		if ((unsigned char)*out < ' ' || *out == 127)
			*out = '?';
}

/* Keep an error. */
int
chat_fail(struct chat *c, int error, const char *code, const char *field,
    const char *message)
{
	chat_copy(c->code, sizeof c->code, code);
	chat_copy(c->field, sizeof c->field, field);
	chat_copy(c->message, sizeof c->message, message);
	return (error);
}

/* Keep the error of a fault. */
int
chat_fail_fault(struct chat *c, int error, const struct fault *f)
{
	return (chat_fail(c, error, f->code, f->field, f->message));
}

/* Keep an error with its usual words. */
int
chat_fail_plain(struct chat *c, int error)
{
	char		 buf[128];
	struct fault	 f;

	if (error == CHAT_ERR_CLOSED)
		fault_set(&f, "closed", NULL, "chatd closed the connection");
	else if (error == CHAT_ERR_NO_MEMORY)
		fault_set(&f, "no_memory", NULL, "%s", chat_error_text(error));
	else if (error == CHAT_ERR_INTERRUPTED)
		fault_set(&f, "interrupted", NULL, "%s",
		    chat_error_text(error));
	else if (error == CHAT_ERR_USE)
		fault_set(&f, "bad_use", NULL, "%s", chat_error_text(error));
	else
		fault_set(&f, "system", NULL, "%s",
		    strerror_r(errno, buf, sizeof buf));
	return (chat_fail_fault(c, error, &f));
}

/* Return the last error. */
const char *
chat_error_code(const struct chat *c)
{
	return (c->code);
}

/* Return its message. */
const char *
chat_error_message(const struct chat *c)
{
	return (c->message);
}

/* Return its field. */
const char *
chat_error_field(const struct chat *c)
{
	return (c->field);
}

/* Make a connection. */
struct chat *
chat_new(const char *client)
{
	struct chat	*c;

	if ((c = calloc(1, sizeof *c)) == NULL)
		return (NULL);
	c->fd = -1;
	c->next_id = CHAT_HELLO_ID + 1;
	c->client = strdup(client == NULL ? "libchat" : client);
	if (c->client == NULL) {
		free(c);
		return (NULL);
	}
	return (c);
}

/* Free a connection. */
void
chat_free(struct chat *c)
{
	if (c == NULL || c->calling)
		return;
	chat_drop(c);
	free(c->slots);
	free(c->client);
	free(c);
}

/* Close a connection. */
void
chat_close(struct chat *c)
{
	if (!c->calling)
		chat_drop(c);
}

/* Close the socket, and forget all that belongs to it. */
static void
chat_drop(struct chat *c)
{
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	c->n_slots = 0;
	c->eof = c->broken = 0;
	chat_io_clear(c);
	chat_event_clear(&c->hello);
	free(c->hello_line);
	c->hello_line = NULL;
}

/* Connect to a path, and exchange hellos. */
int
chat_connect(struct chat *c, const char *path, int timeout_ms)
{
	int64_t	 deadline = chat_io_deadline(timeout_ms);
	int	 fd, r;

	if (c->calling)
		return (chat_fail_plain(c, CHAT_ERR_USE));
	chat_drop(c);
	r = chat_socket(c, path == NULL ? CHAT_SOCKET : path, deadline, &fd);
	if (r != 0)
		return (r);
	return (chat_connect_fd(c, fd, chat_io_left(deadline)));
}

/* Take a connected socket, and exchange hellos. */
int
chat_connect_fd(struct chat *c, int fd, int timeout_ms)
{
	int	 r;

	if (c->calling) {
		close(fd);
		return (chat_fail_plain(c, CHAT_ERR_USE));
	}
	chat_drop(c);
	c->fd = fd;
	if ((r = chat_greet(c, chat_io_deadline(timeout_ms))) != 0)
		chat_drop(c);
	return (r);
}

/* Return the hello. */
const struct chat_event *
chat_hello(const struct chat *c)
{
	return (c->fd == -1 ? NULL : &c->hello);
}

/* Set the function for what belongs to no other. */
void
chat_set_handler(struct chat *c, chat_fn fn, void *arg)
{
	c->handler = fn;
	c->handler_arg = arg;
}

/* Return the socket. */
int
chat_fd(const struct chat *c)
{
	return (c->fd);
}

/* Connect to path: a new socket in *out. The wait is for a place in the queue
 * of the listener. */
static int
chat_socket(struct chat *c, const char *path, int64_t deadline, int *out)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	struct timeval		 tv;
	struct fault		 f;
	int			 fd, left;

	if (strlen(path) >= sizeof sun.sun_path) {
		fault_set(&f, "no_socket", NULL, "a socket's path has at most "
		    "%zu bytes, this one has %zu", sizeof sun.sun_path - 1,
		    strlen(path));
		return (chat_fail_fault(c, CHAT_ERR_NO_SOCKET, &f));
	}
	memcpy(sun.sun_path, path, strlen(path));
	if ((fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0)) == -1)
		return (chat_fail_plain(c, CHAT_ERR_SYSTEM));
	do {
		/* A timeout of 0 would be none. */
		if ((left = chat_io_left(deadline)) == 0)
			left = 1;
		tv.tv_sec = left / 1000;
		tv.tv_usec = left % 1000 * 1000;
		if (left != -1)
			setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv,
			    sizeof tv);
		if (connect(fd, (struct sockaddr *)&sun, sizeof sun) == 0) {
			*out = fd;
			return (0);
		}
	} while (errno == EINTR);
	left = chat_socket_fail(c, path);
	close(fd);
	return (left);
}

/* Keep the reason why connect failed. Returns the error. */
static int
chat_socket_fail(struct chat *c, const char *path)
{
	struct stat	 st;
	struct fault	 f;
	int		 e = errno, r = CHAT_ERR_NO_SOCKET;

	switch (e) {
	case ENOENT:
	case ENOTDIR:
		fault_set(&f, "no_socket", NULL, "no such socket");
		break;
	case ENOTSOCK:
	case ECONNREFUSED:
		if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
			fault_set(&f, "no_socket", NULL, "not a socket");
			break;
		}
		fault_set(&f, "nobody_listens", NULL, "nobody listens there");
		r = CHAT_ERR_CLOSED;
		break;
	case EACCES:
	case EPERM:
		fault_set(&f, "denied", NULL, "permission denied");
		r = CHAT_ERR_DENIED;
		break;
	case EAGAIN:
	case ETIMEDOUT:
		fault_set(&f, "timeout", NULL, "the connection was not taken "
		    "in time");
		r = CHAT_ERR_TIMEOUT;
		break;
	default:
		errno = e;
		return (chat_fail_plain(c, CHAT_ERR_SYSTEM));
	}
	return (chat_fail_fault(c, r, &f));
}

/* Wait for chatd's hello, check it, and send ours. */
static int
chat_greet(struct chat *c, int64_t deadline)
{
	struct chat_event	 ev;
	struct fault		 f;
	int			 r;

	while ((r = chat_event_take(c, &ev)) == 0) {
		if (c->eof)
			return (chat_fail_plain(c, CHAT_ERR_CLOSED));
		if ((r = chat_io_fill(c)) < 0)
			return (chat_fail_plain(c, r));
		if (r == 1)
			continue;
		if (deadline != -1 && chat_io_left(deadline) == 0) {
			fault_set(&f, "timeout", NULL,
			    "no hello from chatd in time");
			return (chat_fail_fault(c, CHAT_ERR_TIMEOUT, &f));
		}
		if ((r = chat_io_wait(c, chat_io_left(deadline))) ==
		    CHAT_ERR_SYSTEM)
			return (chat_fail_plain(c, r));
	}
	if (r < 0)
		return (r);
	/* The line goes with the next one. */
	c->hello = ev;
	c->hello_line = strndup(ev.line, ev.len);
	c->hello.line = c->hello_line;
	if (c->hello_line == NULL)
		return (chat_fail_plain(c, CHAT_ERR_NO_MEMORY));
	if ((r = chat_check_hello(c)) != 0)
		return (r);
	return (chat_say_hello(c));
}

/* Is it the hello of a chatd that we understand? */
static int
chat_check_hello(struct chat *c)
{
	const struct chat_event	*h = &c->hello;
	const char		*text, *code;
	struct fault		 f;
	int64_t			 protocol;

	if (h->kind == CHAT_ERROR) {
		code = chat_get_string(h, "code");
		text = chat_get_string(h, "message");
		return (chat_fail(c, CHAT_ERR_REFUSED,
		    code == NULL ? "busy" : code, "", text == NULL ?
		    "refused without a message" : text));
	}
	protocol = chat_get_int(h, "protocol", -1);
	if (h->kind != CHAT_HELLO || protocol < 0) {
		fault_set(&f, "bad_protocol", NULL,
		    "expected chatd's hello, found event \"%s\"",
		    chat_get_string(h, "event"));
		return (chat_fail_fault(c, CHAT_ERR_PROTOCOL, &f));
	}
	if (protocol != PROTOCOL_VERSION) {
		text = chat_get_string(h, "server");
		fault_set(&f, "bad_protocol", NULL, "%s speaks protocol %lld, "
		    "this client speaks %d", text == NULL ? "chatd" : text,
		    (long long)protocol, PROTOCOL_VERSION);
		return (chat_fail_fault(c, CHAT_ERR_PROTOCOL, &f));
	}
	return (0);
}

/* Send our hello. */
static int
chat_say_hello(struct chat *c)
{
	struct chat_request	*rq = chat_request_new("hello");
	int64_t			 next = c->next_id, r;

	chat_request_int(rq, "protocol", PROTOCOL_VERSION);
	chat_request_string(rq, "client", c->client);
	c->next_id = CHAT_HELLO_ID;
	r = chat_send(c, rq, NULL, NULL);
	c->next_id = next;
	chat_loop_drop(c, CHAT_HELLO_ID);
	return (r < 0 ? (int)r : 0);
}

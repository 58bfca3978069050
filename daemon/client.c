/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of clients: their accounts, the lines that they send, and the
 * limits on them. ops.c interprets the requests.
 */
#include <config.h>
#include "client_impl.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chatd.h"
#include "log.h"
#include "protocol.h"
#include "xmalloc.h"

#define CLIENT_IN_FLIGHT	256	/* reading stops at this number of open
					 * brief requests, or when their lines
					 * exceed limits.line in all */
#define CLIENT_SOCKET_OUT	16384	/* bytes of output that the kernel
					 * buffers per client: many readers may
					 * be stuck */
#define CLIENT_VALUES		256	/* values and keys in a line: each costs
					 * time and memory, and no request needs
					 * fifty */

static void	client_line(void *, char *, size_t);
static void	client_too_long(void *);
static int	client_first(void *, const char *, size_t);
static void	client_waiting(void *);
static size_t	client_turn(void *, size_t, int *);
static void	client_eof(void *, int);
static void	client_failed(void *, const char *);
static void	client_pressure(void *, int);
static void	client_drained(void *);
static void	client_stalled(evutil_socket_t, short, void *);
static void	client_free(struct client *);

static const struct conn_ops client_conn_ops = {
	.line = client_line,
	.too_long = client_too_long,
	.first = client_first,
	.waiting = client_waiting,
	.eof = client_eof,
	.failed = client_failed,
	.pressure = client_pressure,
	.drained = client_drained,
};

/* The first event on every connection. */
static json_t *
client_hello(struct client *c)
{
	const struct config	*cf = c->d->config;
	json_t			*m, *o;

	m = msg_event("hello", -1);
	msg_set_int(m, "protocol", PROTOCOL_VERSION);
	msg_set_string(m, "server", "chatd " PACKAGE_VERSION);
	msg_set(m, "model", c->d->hooks->model(c->d, c->operator));
	o = json_object();
	msg_set_int(o, "line", cf->line);
	msg_set_int(o, "depth", JSON_DEPTH_MAX);
	msg_set_int(o, "values", CLIENT_VALUES);
	msg_set_int(o, "requests", cf->requests);
	msg_set_int(o, "requests_per_uid", cf->requests_per_uid);
	msg_set_int(o, "prompt", cf->prompt);
	msg_set(m, "limits", o);
	msg_set(m, "defaults", c->d->hooks->defaults(c->d));
	o = json_object();
	msg_set_int(o, "uid", c->uid);
	msg_set_string(o, "name", peer_name(c->uid));
	msg_set_bool(o, "operator", c->operator);
	msg_set(m, "user", o);
	return (m);
}

/* Count the clients that are not being closed. */
int
client_count(const struct chatd *d)
{
	const struct client	*c;
	int			 n = 0;

	TAILQ_FOREACH(c, &d->clients, entry)
		n += !c->closing;
	return (n);
}

/* Add up the unwritten output of all clients. */
size_t
client_unwritten(const struct chatd *d)
{
	const struct client	*c;
	size_t			 n = 0;

	TAILQ_FOREACH(c, &d->clients, entry)
		n += conn_queued(c->conn);
	return (n);
}

/* Send an error that belongs to no request. */
static void
client_error(struct client *c, const char *code, const char *message)
{
	struct fault	 f;

	fault_set(&f, code, NULL, "%s", message);
	conn_send(c->conn, msg_error(-1, &f));
}

/* Close the connection once its output has been written. */
static void
client_close_soon(struct client *c)
{
	c->closing = 1;
	conn_pause(c->conn);
	turn_clear(&c->turn);	/* it no longer counts for its account */
}

/* Is the client within the limits? Some places are reserved for operators. */
static int
client_admit(struct client *c)
{
	const struct config	*cf = c->d->config;
	int64_t			 places = cf->clients;

	if (c->operator)
		places += cf->operator_clients;
	if (client_count(c->d) > places) {
		refusal_log_note(c->d, REFUSAL_CLIENTS, c->uid);
		client_error(c, "busy", "too many connections in all");
	} else if (turn_places(&c->turn) > cf->clients_per_uid) {
		refusal_log_note(c->d, REFUSAL_CLIENTS_PER_UID, c->uid);
		client_error(c, "busy", "too many connections of this user");
	} else
		return (1);
	client_close_soon(c);
	return (0);
}

/* Find the first group with a policy that a peer is in, or -1. */
static int
client_find_group(const struct config *cf, int fd, const struct ucred *cr)
{
	size_t	 i;

	for (i = 0; i < cf->ngroups; i++) {
		if (peer_is_in(cf->groups[i].name, fd, cr))
			return ((int)i);
	}
	return (-1);
}

/* Return the group whose policy counts. */
const char *
client_group(const struct client *c)
{
	return (c == NULL || c->group == -1 ? NULL :
	    c->d->config->groups[c->group].name);
}

/* Take a new connection. */
void
client_accept(struct chatd *d, int fd)
{
	const struct config	*cf = d->config;
	struct client		*c;
	struct ucred		 cr;
	socklen_t		 len = sizeof cr;
	int			 room = CLIENT_SOCKET_OUT;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cr, &len) == -1) {
		log_warn("SO_PEERCRED");
		close(fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	c = xcalloc(1, sizeof *c);
	c->d = d;
	c->uid = cr.uid;
	c->pid = cr.pid;
	c->operator = peer_is_operator(cf->operators, fd, &cr);
	c->group = client_find_group(cf, fd, &cr);
	TAILQ_INIT(&c->requests);
	c->stall = evtimer_new(d->base, client_stalled, c);
	c->conn = conn_new(d->base, fd, (size_t)cf->line, (int)cf->line_time,
	    (size_t)cf->output_high, (size_t)cf->output_high / 4,
	    &client_conn_ops, c);
	turn_init(&c->turn, d->turns, c->uid, client_turn, c);
	TAILQ_INSERT_TAIL(&d->clients, c, entry);
	if (!client_admit(c))
		return;
	log_debug("client %d: %s connected%s", (int)c->pid,
	    peer_name(c->uid), c->operator ? " (operator)" : "");
	conn_send(c->conn, client_hello(c));
}

/* Decide again which clients are operators, and whose policy counts for them:
 * the groups may have changed. */
void
client_configure(struct chatd *d)
{
	struct client	*c;
	struct ucred	 cr;
	socklen_t	 len = sizeof cr;
	int		 fd, known;

	TAILQ_FOREACH(c, &d->clients, entry) {
		fd = conn_fd(c->conn);
		known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cr,
		    &len) == 0;
		c->operator = known &&
		    peer_is_operator(d->config->operators, fd, &cr);
		c->group = known ? client_find_group(d->config, fd, &cr) : -1;
	}
}

/* Close a connection and stop its running requests. */
static void
client_free(struct client *c)
{
	struct request	*r;

	turn_clear(&c->turn);
	conn_free(c->conn);
	event_free(c->stall);
	TAILQ_REMOVE(&c->d->clients, c, entry);
	while ((r = TAILQ_FIRST(&c->requests)) != NULL) {
		TAILQ_REMOVE(&c->requests, r, entry);
		r->client = NULL;
		if (r->stop != NULL)
			r->stop(r);
	}
	free(c);
}

/* Close all connections. */
void
client_close_all(struct chatd *d)
{
	while (!TAILQ_EMPTY(&d->clients))
		client_free(TAILQ_FIRST(&d->clients));
}

/* Find a running request. */
struct request *
client_find(struct client *c, int64_t id)
{
	struct request	*r;

	TAILQ_FOREACH(r, &c->requests, entry) {
		if (r->id == id)
			return (r);
	}
	return (NULL);
}

/* Is the output queue above the high mark? */
int
client_pressed(const struct client *c)
{
	return (c->pressed);
}

/* Stop or resume reading. Open requests and unread answers take memory. */
void
client_flow(struct client *c)
{
	size_t	 most = (size_t)c->d->config->line;

	if (!c->paused && (c->nbrief >= CLIENT_IN_FLIGHT ||
	    c->brief_bytes > most || c->pressed)) {
		c->paused = 1;
		conn_pause(c->conn);
	} else if (c->paused && c->nbrief < CLIENT_IN_FLIGHT / 2 &&
	    c->brief_bytes <= most && !c->pressed) {
		c->paused = 0;
		conn_resume(c->conn);
	}
}

/* Make a request from a message of len bytes. Returns NULL with *f filled if
 * the id is wrong. */
static struct request *
client_request(struct client *c, json_t *msg, size_t len, struct fault *f)
{
	struct request	*r;
	json_t		*id = json_object_get(msg, "id");

	if (!json_is_integer(id) || json_integer_value(id) < 0 ||
	    json_integer_value(id) > JSON_INT_MAX) {
		fault_set(f, "bad_field", "id",
		    "id: expected an integer from 0 to 2^53-1");
		return (NULL);
	}
	if (client_find(c, json_integer_value(id)) != NULL) {
		fault_set(f, "bad_field", "id",
		    "id: request %lld is still running",
		    (long long)json_integer_value(id));
		return (NULL);
	}
	r = xcalloc(1, sizeof *r);
	r->d = c->d;
	r->client = c;
	r->uid = c->uid;
	r->operator = c->operator;
	r->id = json_integer_value(id);
	r->size = len;
	TAILQ_INSERT_TAIL(&c->requests, r, entry);
	c->nrequests++;
	c->nbrief++;
	c->brief_bytes += len;
	return (r);
}

/* Report why a line is refused. Name its id, unless a running request has the
 * same id. */
static void
client_refuse(struct client *c, const char *line, size_t len,
    const struct fault *f)
{
	int64_t	 id = json_line_id(line, len);

	if (id != -1 && client_find(c, id) != NULL)
		id = -1;
	conn_send(c->conn, msg_error(id, f));
}

/* Handle a line from the client. */
static void
client_line(void *arg, char *line, size_t len)
{
	struct client	*c = arg;
	struct request	*r;
	struct fault	 f;
	json_t		*msg;

	if (c->closing)
		return;
	if (json_line_parse_max(line, len, CLIENT_VALUES, &msg, &f) != 0) {
		client_refuse(c, line, len, &f);
		return;
	}
	if ((r = client_request(c, msg, len, &f)) == NULL)
		conn_send(c->conn, msg_error(-1, &f));
	else
		c->d->hooks->dispatch(r, msg);
	client_flow(c);
	json_decref(msg);
}

/* Report a line over the limit. */
static void
client_too_long(void *arg)
{
	struct client	*c = arg;
	struct fault	 f;

	fault_set(&f, "too_long", NULL, "the line is longer than %lld bytes",
	    (long long)c->d->config->line);
	conn_send(c->conn, msg_error(-1, &f));
}

/* Close the connection with an error if the first word does not begin an
 * object: the client speaks another protocol. Empty lines are handled later. */
static int
client_first(void *arg, const char *bytes, size_t n)
{
	struct client	*c = arg;
	size_t		 i;

	for (i = 0; i < n && strchr(" \t\r\n", bytes[i]) != NULL &&
	    bytes[i] != '\0'; i++)
		;
	if (i == n || bytes[i] == '{')
		return (i < n);
	client_error(c, "bad_json", "this socket speaks one JSON object per "
	    "line, see chatd-protocol(7)");
	client_close_soon(c);
	return (-1);
}

/* There is input: ask for a turn. */
static void
client_waiting(void *arg)
{
	struct client	*c = arg;

	if (!c->closing)
		turn_want(&c->turn);
}

/* It is this client's turn. */
static size_t
client_turn(void *arg, size_t max, int *more)
{
	struct client	*c = arg;

	return (conn_turn(c->conn, max, more));
}

/* The client's input has ended. */
static void
client_eof(void *arg, int half)
{
	struct client	*c = arg;

	c->half = 1;
	if (!half)
		client_free(c);
	else if (c->nrequests == 0 && conn_queued(c->conn) == 0)
		client_free(c);
}

/* Reading or writing failed, or a line took too long. */
static void
client_failed(void *arg, const char *why)
{
	struct client	*c = arg;

	log_debug("client %d: %s", (int)c->pid, why);
	client_free(c);
}

/* The output queue crossed a mark. */
static void
client_pressure(void *arg, int high)
{
	struct client	*c = arg;
	struct request	*r;
	struct timeval	 tv = { c->d->config->stall_time / 1000,
	    c->d->config->stall_time % 1000 * 1000 };

	c->pressed = high;
	if (high) {
		c->stalled_at = conn_queued(c->conn);
		event_add(c->stall, &tv);
	} else
		event_del(c->stall);
	TAILQ_FOREACH(r, &c->requests, entry) {
		if (r->pressure != NULL)
			r->pressure(r, high);
	}
	client_flow(c);
}

/* Close the connection if the client has read nothing since the last look. */
static void
client_stalled(evutil_socket_t fd, short what, void *arg)
{
	struct client	*c = arg;
	struct timeval	 tv = { c->d->config->stall_time / 1000,
	    c->d->config->stall_time % 1000 * 1000 };

	(void)fd;
	(void)what;
	if (conn_queued(c->conn) < c->stalled_at) {
		c->stalled_at = conn_queued(c->conn);
		event_add(c->stall, &tv);
		return;
	}
	log_info("client %d: %s does not read: closing with %zu bytes unsent",
	    (int)c->pid, peer_name(c->uid), c->stalled_at);
	client_free(c);
}

/* All output has been written. */
static void
client_drained(void *arg)
{
	struct client	*c = arg;

	if (c->closing || (c->half && c->nrequests == 0))
		client_free(c);
}

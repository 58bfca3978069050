/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of clients, and their requests.
 */
#ifndef DAEMON_CLIENT_H
#define DAEMON_CLIENT_H

#include <sys/queue.h>
#include <sys/types.h>

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct chatd;
struct client;

TAILQ_HEAD(clients, client);

/*
 * A request that is being answered. It belongs to the operation that answers
 * it. That operation ends it by request_done, request_fail, request_fault or
 * request_error. A request can outlive its client.
 */
struct request {
	TAILQ_ENTRY(request)	 entry;
	struct chatd		*d;		/* borrowed */
	struct client		*client;	/* borrowed; NULL: it has
						 * disconnected */
	uid_t			 uid;		/* of the client's account */
	int			 operator;
	int64_t			 id;		/* chosen by the client */
	size_t			 size;		/* bytes of its line, as long
						 * as it counts against the
						 * limits of client_flow */
	/* Set by operations that run for long; both may be NULL.
	 * stop: the client cancelled, or disconnected (client is NULL).
	 * pressure: its output queue is above (1) or below (0) its marks. */
	void			(*stop)(struct request *);
	void			(*pressure)(struct request *, int high);
	void			*arg;		/* for the operation */
};

/* ---- client.c */

/* Take a new connection (fd taken). */
void	 client_accept(struct chatd *d, int fd);
/* After a reload: give each open connection the rights that the new
 * configuration gives it. Running requests keep theirs. */
void	 client_configure(struct chatd *d);
/* Close all connections (shutdown). */
void	 client_close_all(struct chatd *d);
/* The number of connected clients, without those that are being closed. */
int	 client_count(const struct chatd *d);
/* Bytes that wait to be written to all clients. */
size_t	 client_unwritten(const struct chatd *d);
/* Find one of the client's running requests; NULL if there is none. */
struct request *client_find(struct client *c, int64_t id);
/* The group whose policy counts for a client; NULL: that for everybody. */
const char *client_group(const struct client *c);
/* Is its output queue above the high mark? */
int	 client_pressed(const struct client *c);

/* ---- client_request.c: the answers to a request */

/* Send msg (taken) with the id of the request. If the client has
 * disconnected, only release msg. */
void	 request_send(struct request *r, json_t *msg);
/* The answer may be large: no other request is read until this one ends. */
void	 request_weighs(struct request *r);
/* The request may run for long, and has a limit of its own: other requests
 * are read meanwhile. */
void	 request_lasts(struct request *r);
/* The following four send the last event, end the request and free it. */
/* Send done: msg (taken), or an empty message if msg is NULL. */
void	 request_done(struct request *r, json_t *msg);
/* Send an error with this code and message. */
void	 request_fail(struct request *r, const char *code, const char *fmt,
	    ...) __attribute__((format(printf, 3, 4)));
/* Send an error with the code, message and field of f. */
void	 request_fault(struct request *r, const struct fault *f);
/* Send an error event made by the caller (taken). */
void	 request_error(struct request *r, json_t *msg);

/* ---- refusal_log.c: the log of connections and requests over a limit */

enum refusal { REFUSAL_CLIENTS, REFUSAL_CLIENTS_PER_UID, REFUSAL_REQUESTS,
	REFUSAL_REQUESTS_PER_UID, REFUSALS };

/* A limit has refused a connection or a request. The first refusal is logged
 * at once; the refusals of the next ten seconds are logged in one line. */
void	 refusal_log_note(struct chatd *d, enum refusal which, uid_t uid);
/* Release the timers. */
void	 refusal_log_clear(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libchat: a client's side of chatd's socket.  One connection carries any
 * number of requests at once; events come back in the order chatd sent them.
 * Use it blocking (chat_next with a timeout) or from an event loop (chat_fd,
 * chat_events, chat_next with timeout 0).  Not for use by two threads at once.
 * chatd-protocol(7) lists the operations and events.
 *
 * This header is not public yet.  It depends on one private header, err.h, for
 * struct fault and the CHAT_E... codes, and on jansson for messages.
 */
#ifndef CHAT_H
#define CHAT_H

#include <jansson.h>
#include <stdint.h>

#include "err.h"

struct chat;

/*
 * Connect to the socket at path, read chatd's hello and announce ourselves.
 *
 *   client      our name and version, sent to chatd ("chatctl 0.1.0")
 *   timeout_ms  for everything together; -1: no end
 *
 * Returns 0 and *out (owned by the caller: chat_close), or an error with *f
 * filled (message does not name the path):
 *   CHAT_ENOTFOUND  no socket there, or not a socket      (no_socket)
 *   CHAT_ECLOSED    nobody listens, or closed at once     (nobody_listens)
 *   CHAT_EDENIED    file modes keep us out                (denied)
 *   CHAT_EBUSY      no hello in time, or chatd is full    (timeout, busy)
 *   CHAT_EPROTOCOL  not chatd, or another protocol        (bad_protocol)
 *   CHAT_ESYSTEM    anything else, see errno              (system)
 */
int		 chat_open(const char *path, const char *client,
		    int timeout_ms, struct chat **out, struct fault *f);
void		 chat_close(struct chat *c);

/* What chatd said first; borrowed, lives as long as c. */
const json_t	*chat_hello(const struct chat *c);

/* A limit announced in hello ("line", "requests", "prompt"), or dflt. */
int64_t		 chat_limit(const struct chat *c, const char *name,
		    int64_t dflt);

/*
 * Give msg (taken; made with msg_op(NAME, -1)) the next id and send it, or
 * queue what the socket does not take now. Returns 0 and *id (may be NULL),
 * CHAT_ETOOBIG where the line is longer than chatd takes (*f filled, nothing
 * sent), or CHAT_ECLOSED / CHAT_ESYSTEM where the connection is gone.
 */
int		 chat_send(struct chat *c, json_t *msg, int64_t *id,
		    struct fault *f);

/*
 * The next event, waiting at most timeout_ms (-1: no end; 0: only look).
 * Returns 1 and *msg (a new reference), 0 where none came in time or a signal
 * came first, or with *f filled CHAT_ECLOSED, CHAT_ESYSTEM, CHAT_EPROTOCOL
 * (a line that is no event; the connection is of no more use).
 */
int		 chat_next(struct chat *c, int timeout_ms, json_t **msg,
		    struct fault *f);

/*
 * Is this event an error that names no request? chatd could not tell which
 * line it refused, so none of those in flight is sure to be answered.
 */
int		 chat_about_none(const json_t *msg);

/* For poll: the socket (borrowed), and POLLIN with POLLOUT while something
 * waits to be sent. Then call chat_next with timeout 0. */
int		 chat_fd(const struct chat *c);
short		 chat_events(struct chat *c);

/*
 * Send msg (taken) and wait for its end, at most timeout_ms. Returns 0 and
 * *end, the done or error event (a new reference; of an error that names no
 * request, too), or an error as chat_send
 * and chat_next, and CHAT_EBUSY where time ran out. Other events that come
 * meanwhile are dropped: only for a connection with nothing else in flight.
 */
int		 chat_call(struct chat *c, json_t *msg, int timeout_ms,
		    json_t **end, struct fault *f);

#endif

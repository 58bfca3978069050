/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libchat: the client's side of chatd's socket.  A connection carries any
 * number of requests at once; events arrive in the order in which chatd sent
 * them.  Use it blocking (chat_next with a timeout) or from an event loop
 * (chat_fd, chat_events, chat_next with timeout 0).  Only one thread at a time
 * may use a connection.  chatd-protocol(7) lists the operations and events.
 *
 * The library is private still: it is linked into chatctl and is not installed.
 * Programs outside this tree can't use it yet, because a caller needs
 *   err.h    struct fault, the CHAT_E... codes and chat_strerror
 *   json.h   msg_op and msg_set_..., which make requests
 * of daemon/base, and jansson for messages.  The names and types may change.
 */
#ifndef CHAT_H
#define CHAT_H

#include <jansson.h>
#include <stdint.h>

#include "err.h"

struct chat;

/*
 * Connect to the socket at path, read chatd's hello and send ours.
 *
 *   client      name and version of the caller, sent to chatd ("chatctl 0.1.0")
 *   timeout_ms  for all steps together; -1: no limit
 *
 * Returns 0 and *out (owned by the caller, who calls chat_close), or an error
 * with *f filled. The message in *f does not name the path.
 *   CHAT_ENOTFOUND  no socket there, or not a socket      (no_socket)
 *   CHAT_ECLOSED    nobody listens, or closed at once     (nobody_listens)
 *   CHAT_EDENIED    file modes do not allow it            (denied)
 *   CHAT_EBUSY      no hello in time, or chatd is full    (timeout, busy)
 *   CHAT_EPROTOCOL  not chatd, or another protocol        (bad_protocol)
 *   CHAT_ESYSTEM    anything else, see errno              (system)
 */
int		 chat_open(const char *path, const char *client,
		    int timeout_ms, struct chat **out, struct fault *f);
void		 chat_close(struct chat *c);

/* chatd's hello; borrowed, lives as long as c. */
const json_t	*chat_hello(const struct chat *c);

/* A limit announced in hello ("line", "requests", "prompt"), or dflt. */
int64_t		 chat_limit(const struct chat *c, const char *name,
		    int64_t dflt);

/*
 * Give msg (taken; made with msg_op(NAME, -1)) the next id and send it. Bytes
 * that the socket does not take now are queued. Returns 0 and *id (may be
 * NULL), or with *f filled CHAT_ETOOBIG if the line is longer than chatd takes
 * (nothing is sent), or CHAT_ECLOSED or CHAT_ESYSTEM if the connection is lost.
 */
int		 chat_send(struct chat *c, json_t *msg, int64_t *id,
		    struct fault *f);

/*
 * Take the next event; wait for it at most timeout_ms (-1: no limit; 0: do not
 * wait). Returns 1 and *msg (a new reference), 0 after the timeout or a signal,
 * or with *f filled CHAT_ECLOSED, CHAT_ESYSTEM or CHAT_EPROTOCOL (a line is not
 * an event). After an error the connection can't be used.
 */
int		 chat_next(struct chat *c, int timeout_ms, json_t **msg,
		    struct fault *f);

/*
 * Is this event an error without a request's id? chatd sends it if it could not
 * read the id of a line. Any request in flight may then remain unanswered.
 */
int		 chat_about_none(const json_t *msg);

/* For poll: the socket (borrowed), and POLLIN, with POLLOUT while bytes are
 * queued. After poll call chat_next with timeout 0. */
int		 chat_fd(const struct chat *c);
short		 chat_events(struct chat *c);

/*
 * Send msg (taken) and wait at most timeout_ms for its end. Returns 0 and *end,
 * a new reference to the done or error event (also an error without a request's
 * id), or an error as chat_send and chat_next, or CHAT_EBUSY after the timeout.
 * All other events are dropped, so no other request may be in flight.
 */
int		 chat_call(struct chat *c, json_t *msg, int timeout_ms,
		    json_t **end, struct fault *f);

#endif

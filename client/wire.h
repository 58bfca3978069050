/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl's connection: libchat with messages in jansson's types, the errors of
 * err.h, and events that are taken one by one.
 */
#ifndef CLIENT_WIRE_H
#define CLIENT_WIRE_H

#include <jansson.h>
#include <stdint.h>

#include "err.h"

struct wire;

/*
 * Connect to the socket at path.
 *
 *   client      name and version of the caller, sent to chatd ("chatctl 0.1.0")
 *   timeout_ms  for all steps together; -1: no limit
 *
 * Returns 0 and *out (owned by the caller, who calls wire_close), or an error
 * with *f filled. The message in *f does not name the path.
 *   CHAT_ENOTFOUND  no socket there, or not a socket      (no_socket)
 *   CHAT_ECLOSED    nobody listens, or closed at once     (nobody_listens)
 *   CHAT_EDENIED    file modes do not allow it            (denied)
 *   CHAT_EBUSY      no hello in time, or chatd is full    (timeout, busy)
 *   CHAT_EPROTOCOL  not chatd, or another protocol        (bad_protocol)
 *   CHAT_ESYSTEM    anything else                         (system)
 */
int		 wire_open(const char *path, const char *client,
		    int timeout_ms, struct wire **out, struct fault *f);
void		 wire_close(struct wire *w);

/* chatd's hello; borrowed, lives as long as w. */
const json_t	*wire_hello(const struct wire *w);

/* A limit announced in hello ("line", "requests", "prompt"), or dflt. */
int64_t		 wire_limit(const struct wire *w, const char *name,
		    int64_t dflt);

/*
 * Give msg (taken; made with msg_op(NAME, -1)) the next id and send it. Bytes
 * that the socket does not take now are queued. Returns 0 and *id (may be
 * NULL), or with *f filled CHAT_ETOOBIG if the line is longer than chatd takes
 * (nothing is sent), or CHAT_ECLOSED or CHAT_ESYSTEM if the connection is lost.
 */
int		 wire_send(struct wire *w, json_t *msg, int64_t *id,
		    struct fault *f);

/*
 * Take the next event; wait for it at most timeout_ms (-1: no limit; 0: do not
 * wait). Returns 1 and *msg (a new reference), 0 after the timeout or a signal,
 * or with *f filled CHAT_ECLOSED, CHAT_ESYSTEM or CHAT_EPROTOCOL (a line is not
 * an event). After an error the connection can't be used.
 */
int		 wire_next(struct wire *w, int timeout_ms, json_t **msg,
		    struct fault *f);

/*
 * Is this event an error without a request's id? chatd sends it if it could not
 * read the id of a line. Any request in flight may then remain unanswered.
 */
int		 wire_about_none(const json_t *msg);

/* For poll: the socket (borrowed), and POLLIN, with POLLOUT while bytes are
 * queued. After poll call wire_next with timeout 0. */
int		 wire_fd(const struct wire *w);
short		 wire_events(const struct wire *w);

#endif

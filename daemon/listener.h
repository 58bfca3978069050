/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listening socket, and the identity of the peers that connect to it.
 */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include <sys/types.h>

#include "err.h"

struct chatd;
struct listener;
struct ucred;

/* ---- listener.c */

/*
 * Listen on the configured socket; if fd is not -1, listen on fd (taken)
 * instead. Each new connection is passed to client_accept. Returns 0, or an
 * error with *f filled.
 */
int	 listener_new(struct chatd *d, int fd, struct listener **out,
	    struct fault *f);
/* Stop listening; remove the socket file if listener_new made it. */
void	 listener_free(struct listener *l);

/* ---- peer.c: the account at the other end of a connection */

/* The account name of a uid, or its digits if it has none. Valid until the
 * next call. */
const char *peer_name(uid_t uid);
/* Is the peer on fd, with these credentials, root, of our own account, or in
 * the group (NULL or "": none)? */
int	 peer_is_operator(const char *group, int fd, const struct ucred *cr);
/* Is the peer in that group? */
int	 peer_is_in(const char *group, int fd, const struct ucred *cr);

/* ---- refuse.c: the answer of a chatd that can't start */

/* Report the fault to the clients that wait on a listening socket, and to
 * those that connect in the next two seconds. Returns at once if no client
 * waits, or if fd is -1. */
void	 refuse_clients(int fd, const struct fault *f);

#endif

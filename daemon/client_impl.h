/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations for client.c (connections) and client_request.c (requests) only.
 */
#ifndef DAEMON_CLIENT_IMPL_H
#define DAEMON_CLIENT_IMPL_H

#include <sys/queue.h>
#include <sys/types.h>

#include "client.h"
#include "conn.h"
#include "turns.h"

TAILQ_HEAD(requests, request);

struct client {
	TAILQ_ENTRY(client)	 entry;
	struct chatd		*d;		/* borrowed */
	struct conn		*conn;		/* owned */
	struct turn		 turn;		/* to be read from */
	struct requests		 requests;	/* being answered */
	int			 nrequests;
	int			 nbrief;	/* of them, those that count */
	size_t			 brief_bytes;	/* of their lines */
	uid_t			 uid;
	pid_t			 pid;		/* for the log only */
	int			 operator;
	int			 group;		/* number of its group among
						 * those with a policy, or -1 */
	int			 half;		/* it sends no more */
	int			 closing;	/* when its output is written */
	int			 pressed;
	int			 paused;
	struct event		*stall;		/* owned: output stuck */
	size_t			 stalled_at;	/* queue when last looked */
};

/* Stop or resume reading, as the open requests and the queued output allow. */
void	 client_flow(struct client *c);

#endif

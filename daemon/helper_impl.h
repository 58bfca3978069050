/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What helper.c (the process) and helper_req.c (its requests) share.
 */
#ifndef DAEMON_HELPER_IMPL_H
#define DAEMON_HELPER_IMPL_H

#include <sys/queue.h>

#include "helper.h"

#define HELPER_BUCKETS		1024	/* requests are found by id: a power
					 * of two, for as many at once */

struct conn;

struct helper_req {
	TAILQ_ENTRY(helper_req)	 entry;
	LIST_ENTRY(helper_req)	 same;		/* of its bucket */
	struct helper		*helper;	/* borrowed */
	const struct helper_kind *kind;		/* borrowed: static */
	int			 phase;		/* of its answer, see kind */
	int64_t			 id;
	json_t			*msg;		/* owned: unsent, or NULL */
	int			 answer_ms;	/* once sent */
	int			 alone;		/* late: the helper lives on */
	helper_cb		*cb;		/* NULL: nobody listens */
	void			*arg;		/* borrowed */
	struct event		*deadline;	/* owned, or NULL: of the wait,
						 * then of the answer */
};
TAILQ_HEAD(helper_reqs, helper_req);
LIST_HEAD(helper_bucket, helper_req);

struct helper {
	struct event_base		*base;		/* borrowed */
	const struct helper_spec	*spec;		/* borrowed */
	enum helper_state		 state;
	pid_t				 pid;		/* 0: reaped */
	struct conn			*conn;		/* owned, or NULL */
	struct helper_reqs		 reqs;		/* owned, by age */
	struct helper_bucket		 by_id[HELPER_BUCKETS];
	int64_t				 last_id;
	struct event			*timer;		/* owned: restart */
	struct event			*beat;		/* owned: heartbeat */
	struct event			*silence;	/* owned */
	int				 backoff_ms;	/* before next start */
	int				 restarts;
	int				 fails;		/* starts in a row */
	int				 retired;
	int				 ending;	/* it ended by itself: looks
							 * before it is killed */
	int64_t				 ready_at;	/* monotonic ms */
	int64_t				 line_at;	/* us: the last line */
	char				 why[512];
};

/* ---- helper.c */

/* Arm a timer. */
void	 helper_arm(struct event *ev, int ms);
/* The helper is of no more use: tell everybody, plan the next start. */
void	 helper_down(struct helper *h, const char *why);

/* ---- helper_req.c */

/* Tell the owner of every request that was sent that it is lost; the others
 * wait for the next process, if there will be one. */
void	 helper_lose(struct helper *h);
/* Send a request whose turn has come; its time to be answered begins. */
void	 helper_send(struct helper *h, struct helper_req *req, json_t *msg);
/* Is it up, to be spoken to? */
int	 helper_hears(const struct helper *h);
/* An event that answers a request. */
void	 helper_answer(struct helper *h, int64_t id, const char *event,
	    json_t *msg);
/* It sent what nothing asked for: it can't be believed any more. */
void	 helper_out_of_turn(struct helper *h, const char *event,
	    const char *why);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations for helper.c (the process) and helper_req.c (its requests) only.
 */
#ifndef DAEMON_HELPER_IMPL_H
#define DAEMON_HELPER_IMPL_H

#include <sys/queue.h>

#include "helper.h"

#define HELPER_BUCKETS		1024	/* size of the hash table of ids: a
					 * power of two */

struct conn;

struct helper_req {
	TAILQ_ENTRY(helper_req)	 entry;
	LIST_ENTRY(helper_req)	 same;		/* in its bucket */
	struct helper		*helper;	/* borrowed */
	const struct helper_kind *kind;		/* borrowed: static */
	int			 phase;		/* see struct helper_event */
	int64_t			 id;
	json_t			*msg;		/* owned: unsent, or NULL */
	int			 answer_ms;	/* once sent */
	int			 alone;		/* a late answer does not end
						 * the helper */
	helper_cb		*cb;		/* NULL: the answer is
						 * dropped */
	void			*arg;		/* borrowed */
	struct event		*deadline;	/* owned, or NULL: for the wait,
						 * then for the answer */
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
	int				 killed;	/* by chatd, for the
							 * reason in why */
	int				 ending;	/* it closed its
							 * channel: looks
							 * left before it is
							 * killed */
	int64_t				 ready_at;	/* monotonic ms */
	int64_t				 line_at;	/* us: when the line
							 * came that is being
							 * handled; 0: none */
	char				 why[512];
};

/* ---- helper.c */

/* Arm a timer. */
void	 helper_arm(struct event *ev, int ms);
/* The helper is lost: end its requests, and plan the next start. */
void	 helper_down(struct helper *h, const char *why);

/* ---- helper_req.c */

/* End every request that was sent with NULL. The others wait for the next
 * process, if there will be one. */
void	 helper_lose(struct helper *h);
/* Send a request and start its deadline. */
void	 helper_send(struct helper *h, struct helper_req *req, json_t *msg);
/* Can it be sent requests now? */
int	 helper_hears(const struct helper *h);
/* Handle an event that answers a request. */
void	 helper_answer(struct helper *h, int64_t id, const char *event,
	    json_t *msg);
/* Kill the helper: it sent an event that answers no request. */
void	 helper_out_of_turn(struct helper *h, const char *event,
	    const char *why);

#endif

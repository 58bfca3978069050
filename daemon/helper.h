/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A helper process: start, requests, heartbeat and restart. Requests are
 * matched to answers by id. Each kind of request lists the events that may
 * answer it; a helper that sends anything else is killed. exchange.c decides
 * what the loss of a helper means for an exchange.
 */
#ifndef DAEMON_HELPER_H
#define DAEMON_HELPER_H

#include <event2/event.h>
#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

struct helper;

enum helper_state { HELPER_DOWN, HELPER_STARTING, HELPER_READY };

/* How a helper is started, and its callbacks. All borrowed, and must outlive
 * the helper. */
struct helper_spec {
	const char	*name;		/* "engine" */
	const char	*program;	/* path of the program */
	int		 timeout_ms;	/* limit of silence after a ping */
	int		 start_ms;	/* limit of silence while it starts */
	int		 backoff_max_ms; /* longest wait before a restart */
	size_t		 line_max;	/* bytes of one of its lines */
	size_t		 values_max;	/* JSON values and keys in a line */
	const char	*loading;	/* an event that it may send while it
					 * starts; NULL: none */
	/* Called before each start; may be NULL. A result other than 0
	 * postpones the start, with the reason in why[n]. */
	int		(*prepare)(void *arg, char *why, size_t n);
	json_t		*(*init)(void *arg);	/* a new init message */
	void		(*ready)(void *arg, json_t *msg); /* msg borrowed */
	/* The loading event; may be NULL if there is none. */
	void		(*event)(void *arg, json_t *msg);
	/* It died; the callback of each sent request has been called with NULL.
	 * started is 0 if it never became ready. */
	void		(*gone)(void *arg, int started);
	/* Is its silence allowed, because another deadline runs for its work?
	 * NULL: never. */
	int		(*busy)(void *arg);
	/* If it is set, the helper is not started again after it has died or
	 * was retired; this is called once the process is reaped, and may
	 * release the helper. It may be set and cleared at any time. */
	void		(*ended)(void *arg);
	void		*arg;
};

/*
 * An event that may answer a request before its end, and its effect on the
 * request's phase. A request begins in phase 0. The event is allowed if the
 * phase is "from", and changes it to "to".
 */
struct helper_event {
	const char	*name;
	int		 from, to;
};

/*
 * A kind of request: the events it may get before the one done or error that
 * ends it. Static, in the file that sends it.
 */
struct helper_kind {
	const char			*name;	/* for the log */
	const struct helper_event	*events; /* nevents of them */
	size_t				 nevents;
};

/*
 * Called for each event of a request, in the order that its kind lists; msg is
 * borrowed. The last event is "done", or "error" with the strings "code" and
 * "message"; the request has left the helper's list by then, so arg may be
 * freed. NULL: the helper was lost, or a time limit has passed; no event
 * follows.
 */
typedef void	helper_cb(void *arg, json_t *msg);

/* Make and start a helper. */
struct helper	*helper_new(struct event_base *base,
		    const struct helper_spec *spec);

/* Kill it (SIGKILL) and release it. The callback of each request is called with
 * NULL. */
void		 helper_free(struct helper *h);

/*
 * Send msg (taken; "op" is set, "id" is added here). Before the helper is
 * ready, msg is kept for at most wait_ms. The answer must be complete within
 * answer_ms after sending, or the helper counts as hung and is killed. For
 * both, 0 means for ever. Returns the request's id.
 */
int64_t		 helper_request(struct helper *h,
		    const struct helper_kind *kind, json_t *msg, int wait_ms,
		    int answer_ms, helper_cb *cb, void *arg);

/* If the answer is late, only the request fails: its callback is called with
 * NULL, and the late answer is ignored. */
void		 helper_alone(struct helper *h, int64_t id);

/* The request must end within ms from now, or the helper counts as hung and is
 * killed. Does nothing if the request has ended. */
void		 helper_hurry(struct helper *h, int64_t id, int ms);

/* Send msg (taken) whose answer does not matter; dropped if not ready. */
void		 helper_notify(struct helper *h, json_t *msg);

/* The caller is released: answers to id are dropped from now on. */
void		 helper_forget(struct helper *h, int64_t id);

/* Close the channel once all is sent, so that the helper finishes its work and
 * exits. gone() is called when it has exited, perhaps before this returns, and
 * it is not started again. Unsent requests end with NULL. */
void		 helper_retire(struct helper *h);

/* Kill it and log the reason; it is started again after the back-off. */
void		 helper_kill(struct helper *h, const char *why);

/* The same, but it is started again without back-off: the fault is not its
 * own. */
void		 helper_expire(struct helper *h, const char *why);

/* Call it after SIGCHLD. */
void		 helper_reap(struct helper *h);

/* In a callback: microseconds since chatd began to handle the line. 0 if no
 * line is being handled, for example because the helper was lost. */
int64_t		 helper_since(const struct helper *h);

enum helper_state helper_state(const struct helper *h);
int		 helper_is_retired(const struct helper *h);
const char	*helper_state_name(const struct helper *h);
pid_t		 helper_pid(const struct helper *h);	/* 0: none */
int		 helper_restarts(const struct helper *h);
/* The reason of its last death or failed start; "" if there was none. */
const char	*helper_why(const struct helper *h);
/* Has it failed to start several times in a row? Then do not wait for it;
 * helper_why has the reason. */
int		 helper_failing(const struct helper *h);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A helper process: started, spoken to, watched, started again.  Requests are
 * matched to answers by id; each kind of request says which events may answer
 * it, and a helper that sends anything else is ended.  What a lost helper
 * means to an exchange is decided in exchange.c.
 */
#ifndef DAEMON_HELPER_H
#define DAEMON_HELPER_H

#include <event2/event.h>
#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

struct helper;

enum helper_state { HELPER_DOWN, HELPER_STARTING, HELPER_READY };

/* How a helper is made and who hears of it. All borrowed, and must outlive
 * the helper. */
struct helper_spec {
	const char	*name;		/* "engine" */
	const char	*program;	/* path of the program */
	int		 timeout_ms;	/* silence after a ping: killed */
	int		 start_ms;	/* silence while starting: killed */
	int		 backoff_max_ms; /* longest wait before a restart */
	size_t		 line_max;	/* bytes of one of its lines */
	size_t		 values_max;	/* JSON values and keys in a line */
	const char	*loading;	/* event it may send while it starts;
					 * NULL: none */
	/* What must be there before each start; NULL: nothing. Not 0 puts the
	 * start off, with the reason in why[n]. */
	int		(*prepare)(void *arg, char *why, size_t n);
	json_t		*(*init)(void *arg);	/* a new init message */
	void		(*ready)(void *arg, json_t *msg); /* msg borrowed */
	/* The loading event; may be NULL where there is none. */
	void		(*event)(void *arg, json_t *msg);
	/* It died; every request that was sent has had its NULL. started is
	 * 0 where it never became ready. */
	void		(*gone)(void *arg, int started);
	/* Is it silent because it is at work for which others set a deadline?
	 * May be NULL: it never is. */
	int		(*busy)(void *arg);
	void		*arg;
};

/*
 * An event that may answer a request before its end, and what it does to the
 * request's phase. A request begins in phase 0; an event is in turn if the
 * phase is "from", and makes it "to".
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
 * Called for each event of a request, in the order its kind states; msg is
 * borrowed. "done", or "error" with the strings "code" and "message", is the
 * last one: the request is off the helper's list by then, so arg may be freed.
 * NULL: the helper was lost, or the time to wait for it or for its answer has
 * passed; nothing follows.
 */
typedef void	helper_cb(void *arg, json_t *msg);

/* Make and start a helper. */
struct helper	*helper_new(struct event_base *base,
		    const struct helper_spec *spec);

/* End it at once (SIGKILL) and release. Every request gets its NULL. */
void		 helper_free(struct helper *h);

/*
 * Send msg (taken; "op" set, "id" is added here). Before the helper is ready
 * it is kept, for wait_ms at most, and sent then. Once sent it is to be
 * answered within answer_ms, or the helper is taken for hung and killed. 0:
 * for ever, both. Returns the request's id.
 */
int64_t		 helper_request(struct helper *h,
		    const struct helper_kind *kind, json_t *msg, int wait_ms,
		    int answer_ms, helper_cb *cb, void *arg);

/* If the request is answered too late, only it fails: it gets its NULL, and
 * its answer may still come. */
void		 helper_alone(struct helper *h, int64_t id);

/* From now on the request is to end within ms, or the helper is taken for hung
 * and killed. Nothing where it has ended. */
void		 helper_hurry(struct helper *h, int64_t id, int ms);

/* Send msg (taken) whose answer does not matter; dropped if not ready. */
void		 helper_tell(struct helper *h, json_t *msg);

/* The caller goes away: answers to id are dropped from now on. */
void		 helper_forget(struct helper *h, int64_t id);

/* Close the channel, once all is sent, so that the helper finishes and exits
 * by itself. gone() is called when it has, which may be now, and it is not
 * started again; what was not sent gets its NULL. */
void		 helper_retire(struct helper *h);

/* Kill it for a reason that is logged; it is started again. */
void		 helper_kill(struct helper *h, const char *why);

/* The same, but it is started again at once: the fault is not its own. */
void		 helper_expire(struct helper *h, const char *why);

/* To be called when SIGCHLD came. */
void		 helper_reap(struct helper *h);

/* In a callback: microseconds since the line that brought it was taken up. */
int64_t		 helper_since(const struct helper *h);

enum helper_state helper_state(const struct helper *h);
int		 helper_is_retired(const struct helper *h);
const char	*helper_state_name(const struct helper *h);
pid_t		 helper_pid(const struct helper *h);	/* 0: none */
int		 helper_restarts(const struct helper *h);
/* Why it last died or refused to start; "" if never. */
const char	*helper_why(const struct helper *h);
/* Has it failed to start again and again? Then it makes no sense to wait for
 * it; helper_why says what is wrong. */
int		 helper_failing(const struct helper *h);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations for the files exchange*.c only.  exchange_begin.c and then
 * exchange.c decide the order, exchange_msg.c makes the messages, and
 * exchange_list.c handles all exchanges at once.
 */
#ifndef DAEMON_EXCHANGE_IMPL_H
#define DAEMON_EXCHANGE_IMPL_H

#include "chatd.h"
#include "ahead.h"
#include "modeljudge.h"
#include "reply.h"

/*
 * The life of an exchange.  exchange_state.c has the table of states and
 * events: which event may come in which state, and where it leads.
 *
 *   received -> beginning -> screening -> queued -> generating -> held
 *                                           ^           |           |
 *                                           +--- lost --+           v
 *   (end, from each of them) -----------------------------> committing -> gone
 */
enum exchange_state {
	EXCHANGE_RECEIVED,	/* waits for the model */
	EXCHANGE_BEGINNING,	/* waits for its turn at the store, or for the
				 * answer to begin */
	EXCHANGE_SCREENING,	/* the filters judge pre-prompt or prompt */
	EXCHANGE_QUEUED,	/* waits for the engine to start it */
	EXCHANGE_GENERATING,	/* the engine writes */
	EXCHANGE_HELD,		/* all is written, not all is judged */
	EXCHANGE_COMMITTING,	/* the outcome is fixed; the store has to
				 * acknowledge it */
	EXCHANGE_GONE,		/* released */
	EXCHANGE_STATES
};

enum exchange_event {
	EVENT_BEGIN,	/* the model is loaded: send begin to the store */
	EVENT_SCREEN,	/* have pre-prompt or prompt judged */
	EVENT_QUEUE,	/* send it to the engine once that is up */
	EVENT_START,	/* the engine has started it */
	EVENT_TEXT,	/* the engine has sent text */
	EVENT_WRITTEN,	/* the engine has ended the reply */
	EVENT_LOST,	/* the engine has died; the reply continues later */
	EVENT_JUDGED,	/* a verdict on the reply has come */
	EVENT_END,	/* the outcome is fixed, for any reason */
	EVENT_AGAIN,	/* the store did not accept it: try again */
	EVENT_STORED,	/* the store has acknowledged it */
	EVENT_FORGET,	/* release an exchange that the store does not know, or
			 * any when the process ends */
	EXCHANGE_EVENTS
};

/* Requests that may be outstanding in a state: a mask. */
enum { WAITS_STORE = 1, WAITS_ENGINE = 2, WAITS_FILTER = 4 };

struct exchange_rule {
	const char	*name;
	int		 waits;		/* requests that may be outstanding */
	/* Where each event leads; EXCHANGE_STATES: it can't come. */
	enum exchange_state next[EXCHANGE_EVENTS];
};
extern const struct exchange_rule exchange_rules[EXCHANGE_STATES];

struct exchange {
	TAILQ_ENTRY(exchange)	 entry;
	struct chatd		*d;		/* borrowed */
	struct request		*request;	/* borrowed: ended by us */
	enum exchange_state	 state;
	enum exchange_kind	 kind;
	uid_t			 uid;
	char			*group;		/* owned: whose policy counts,
						 * or NULL */
	int64_t			 conversation, id, reply_id;
	char			*text;		/* owned: the prompt */
	char			*preprompt;	/* owned, or NULL */
	json_t			*params;	/* owned */
	json_t			*given;		/* owned, or NULL: those that
						 * the client gave */
	char			*adapter;	/* owned: the digest of the
						 * adapter that params name;
						 * NULL: none */
	int			 assigned;	/* the shares of the
						 * configuration chose it, or
						 * that there is none */
	json_t			*history;	/* owned: array, or NULL */
	json_t			*verdicts;	/* owned: of the prompt */
	int			 topic, further;	/* as exchange_ask */
	json_t			*resume;	/* owned: ids of the reply that
						 * is continued, or NULL */
	char			 key[64];	/* names it to the store */
	struct reply		 reply;
	struct slot		*slot;		/* in use from begin until the
						 * reply is written: the engine
						 * that writes it; else NULL */
	/* Outstanding requests; exchange_rules lists the states of each. */
	int64_t			 engine_req, store_req; /* requests, or 0 */
	struct judge		*judge;		/* owned, or NULL: of the text
						 * that is screened, then of
						 * the reply */
	struct modeljudge	*modeljudge;	/* owned, or NULL: of the text
						 * that is screened, after the
						 * filters */
	json_t			*found;		/* owned, or NULL: what the
						 * filters found in it */
	struct ahead_job	 beginning;	/* while it is beginning: its
						 * turn at the store */
	char			**screening;	/* while it is screening: text
						 * or preprompt */
	/* Set in any state. */
	int			 cancelled;	/* the client cancelled, or
						 * disconnected */
	int			 paused;	/* the client reads too slowly:
						 * the engine waits */
	int			 redacted;	/* the prompt was changed */
	int			 preprompt_redacted;
	int			 deaths;	/* of the engine during it */
	int64_t			 dropped, prompt_tokens;
	char			 stop[16];	/* why the engine ended */
	/* the outcome, once it is fixed */
	const char		*outcome;	/* done, blocked, ... */
	const char		*code;		/* error code, or NULL */
	char			*message;	/* owned: with code */
	const char		*category;	/* static: of a blocked text */
	const char		*blocked;	/* static: its direction */
	struct event		*retry;		/* owned: store again */
	int			 failing;	/* while it is committing: the
						 * store did not accept it;
						 * counted in store_failing */
	int64_t			 t_begin, t_start, t_first; /* monotonic ms */
};


/* ---- exchange_adapter.c: the adapter that writes the reply */

/* Choose it, once the store has answered begin (msg, borrowed) and the
 * conversation is known. */
void	 exchange_adapter_choose(struct exchange *x, const json_t *msg);
/* Has the engine another adapter of that name now, or none? */
int	 exchange_adapter_differs(const struct exchange *x);
/* Say in finish which one it is. */
void	 exchange_adapter_tell(const struct exchange *x, json_t *finish);

/* ---- exchange_state.c: states and events */

/* May this event come now? */
int	 exchange_allows(const struct exchange *x, enum exchange_event e);
/* Change the state as the table says. An event that the table does not allow in
 * this state is a fault in chatd, and fatal. */
void	 exchange_move(struct exchange *x, enum exchange_event e);
/* Are only requests outstanding that the state allows? For tests. */
int	 exchange_is_sound(const struct exchange *x);

/* ---- exchange.c: the steps that others set going */

/* Have the pre-prompt or the prompt (x->screening) judged. */
void	 exchange_screen(struct exchange *x);
/* Send it to the engine, or leave it queued if there is none. */
void	 exchange_generate(struct exchange *x);
/* Store the outcome (again). */
void	 exchange_commit(struct exchange *x);
/* Fix the outcome (state of the reply in the store). code and message go to the
 * client; both are NULL without an error. code is static. */
void	 exchange_end(struct exchange *x, const char *outcome,
	    const char *code, const char *message);
/* The client cancelled, or disconnected. */
void	 exchange_stop(struct request *r);
/* The client reads too slowly (high is 1), or has caught up. */
void	 exchange_pressure(struct request *r, int high);
/* Send a notice about the exchange to its client. */
void	 exchange_notice(struct exchange *x, const char *code,
	    const char *message);
/* Release it; its request has ended. */
void	 exchange_free(struct exchange *x);

/* ---- exchange_begin.c */

/* Is it a regenerate whose conversation only the store knows yet? */
int	 exchange_is_hidden(const struct exchange *x);
/* Send begin to the store when it is its turn; the next steps follow by
 * themselves. The model must be known. Frees the exchange if the model can't
 * hold its parameters. */
void	 exchange_begin(struct exchange *x);
/* End an exchange that the store does not know. Frees it. */
void	 exchange_refuse(struct exchange *x, const char *code,
	    const char *message);

/* ---- exchange_msg.c: its messages; each returns a new reference */

/* To the store: begin and finish. */
json_t	*exchange_msg_begin(const struct exchange *x);
json_t	*exchange_msg_finish(const struct exchange *x);
/* To the engine: write the reply, or continue after the text so far. */
json_t	*exchange_msg_generate(const struct exchange *x);
/* To the client: accepted (place: how many wait before it), a notice (dropped
 * above 0: that many turns), and its last event, done or error. */
json_t	*exchange_msg_accepted(const struct exchange *x, int place);
json_t	*exchange_msg_notice(const char *code, const char *message,
	    int64_t dropped);
json_t	*exchange_msg_last(const struct exchange *x);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One exchange, as the files exchange*.c share it: exchange_begin.c and then
 * exchange.c decide the order, exchange_msg.c makes its messages, exchange_list.c
 * speaks of all of them.
 */
#ifndef DAEMON_EXCHANGE_H
#define DAEMON_EXCHANGE_H

#include "chatd.h"
#include "ahead.h"
#include "reply.h"

enum exchange_state {
	EXCHANGE_RECEIVED,	/* waits for the model, then for the store */
	EXCHANGE_SCREENING,	/* the prompt is with the filter */
	EXCHANGE_QUEUED,	/* waits for the engine */
	EXCHANGE_GENERATING,	/* the engine writes */
	EXCHANGE_HELD,		/* all is written, not all is judged */
	EXCHANGE_COMMITTING	/* with the store; the outcome is fixed */
};

struct exchange {
	TAILQ_ENTRY(exchange)	 entry;
	struct chatd		*d;		/* borrowed */
	struct request		*request;	/* borrowed: ended by us */
	enum exchange_state	 state;
	enum exchange_kind	 kind;
	uid_t			 uid;
	int64_t			 conversation, id, reply_id;
	char			*text;		/* owned: the prompt */
	char			*preprompt;	/* owned, or NULL */
	json_t			*params;	/* owned */
	json_t			*history;	/* owned: array, or NULL */
	json_t			*verdicts;	/* owned: of the prompt */
	char			 key[64];	/* names it to the store */
	struct reply		 reply;
	int64_t			 engine_req, store_req; /* or 0 */
	struct judge		*judge;		/* owned, or NULL: of what is
						 * screened, then of the reply */
	int			 asked;		/* begin has been sent, or waits */
	struct ahead_job	 beginning;	/* meanwhile */
	int			 cancelled;
	char			**screening;	/* text or preprompt: which is
						 * with the filter */
	int			 redacted;	/* the prompt was changed */
	int			 preprompt_redacted;
	int			 paused;
	int			 deaths;	/* of the engine, meanwhile */
	int64_t			 dropped, prompt_tokens;
	char			 stop[16];	/* why the engine ended */
	/* the outcome, once it is fixed */
	const char		*outcome;	/* done, blocked, ... */
	const char		*code;		/* error code, or NULL */
	char			*message;	/* owned: with code */
	struct event		*retry;		/* owned: store again */
	int			 failing;	/* counted in store_failing */
	int64_t			 t_begin, t_start, t_first; /* monotonic ms */
};


/* ---- exchange.c: the steps that others set going */

/* Have the pre-prompt or the prompt (x->screening) judged. */
void	 exchange_screen(struct exchange *x);
/* Give it to the engine, or leave it queued where there is none. */
void	 exchange_generate(struct exchange *x);
/* Store the outcome (again). */
void	 exchange_commit(struct exchange *x);
/* Fix the outcome (state of the reply in the store); code and message go to
 * the client, NULL where all is well. code is static. */
void	 exchange_end(struct exchange *x, const char *outcome,
	    const char *code, const char *message);
/* The client asked to cancel, or has gone. */
void	 exchange_stop(struct request *r);
/* The client does not keep up, or does again. */
void	 exchange_pressure(struct request *r, int high);
/* Say something about the exchange to its client. */
void	 exchange_notice(struct exchange *x, const char *code,
	    const char *message);
/* Release it; its request has ended. */
void	 exchange_free(struct exchange *x);

/* ---- exchange_list.c */

/* Is it a regenerate of which only the store knows the conversation? */
int	 exchange_is_hidden(const struct exchange *x);

/* ---- exchange_begin.c */

/* Tell the store of it, when its turn comes; goes on by itself from there. The
 * model is known. Frees it if the model can't hold its parameters. */
void	 exchange_begin(struct exchange *x);
/* End one that the store does not know. Frees it. */
void	 exchange_refuse(struct exchange *x, const char *code,
	    const char *message);

/* ---- exchange_msg.c: what is said about it; each returns a new reference */

/* To the store: begin and finish. */
json_t	*exchange_msg_begin(const struct exchange *x);
json_t	*exchange_msg_finish(const struct exchange *x);
/* To the engine: write, or go on behind what is written. */
json_t	*exchange_msg_generate(const struct exchange *x);
/* To the client: accepted (place: how many wait before it), a notice (dropped
 * above 0: that many turns), and its last event, done or error. */
json_t	*exchange_msg_accepted(const struct exchange *x, int place);
json_t	*exchange_msg_notice(const char *code, const char *message,
	    int64_t dropped);
json_t	*exchange_msg_last(const struct exchange *x);

#endif

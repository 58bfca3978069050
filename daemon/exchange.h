/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exchanges: say, regenerate and complete, from the request to the stored
 * reply. exchange_impl.h is for the files exchange*.c only.
 */
#ifndef DAEMON_EXCHANGE_H
#define DAEMON_EXCHANGE_H

#include <sys/queue.h>
#include <sys/types.h>

#include <jansson.h>
#include <stdint.h>

struct chatd;
struct exchange;
struct request;
struct slot;

TAILQ_HEAD(exchanges, exchange);

enum exchange_kind { EXCHANGE_SAY, EXCHANGE_COMPLETE, EXCHANGE_REGENERATE };

/* A client's request. Strings and given are borrowed until exchange_new
 * returns. */
struct exchange_ask {
	enum exchange_kind	 kind;
	const char		*text;		/* say, complete */
	const char		*preprompt;	/* or NULL */
	int64_t			 conversation;	/* 0: a new one */
	int64_t			 exchange;	/* regenerate */
	int			 topic;		/* say: the model reads nothing
						 * of what was said before */
	int			 further;	/* regenerate: continue the
						 * newest reply */
	json_t			*params;	/* taken: checked, with defaults
						 * and seed */
	json_t			*given;		/* the params that the client
						 * gave, or NULL */
};

/* Begin an exchange; it ends r. */
void	 exchange_new(struct chatd *d, struct request *r,
	    const struct exchange_ask *ask);
/* The engine of a slot is up (again): send the exchanges that wait for it.
 * changed: it has another model than before, so an unfinished reply can't
 * continue. */
void	 exchange_engine_ready(struct chatd *d, struct slot *s, int changed);
/* It failed to start: end the exchanges that have waited too long. */
void	 exchange_engine_down(struct chatd *d, struct slot *s);
/* Count the exchanges that a slot still has to write. */
int	 exchange_count(const struct chatd *d, const struct slot *s);
/* The store is up again: resend the requests that it has not acknowledged. */
void	 exchange_store_ready(struct chatd *d);
/* Cancel all exchanges (shutdown). */
void	 exchange_cancel_all(struct chatd *d);
/* Release all exchanges, stored or not: the process ends. */
void	 exchange_drop_all(struct chatd *d);
/* Is a reply being written in this conversation, or (conversation 0) to this
 * exchange? Counts only exchanges that r's user may know of. */
int	 exchange_busy(const struct request *r, int64_t conversation,
	    int64_t exchange);
/* The exchanges that r's user may know of, an array for top (a new
 * reference). */
json_t	*exchange_top(const struct request *r);
/* Is any reply being written for that account, a name or a number? NULL: for
 * r's. */
int	 exchange_busy_user(const struct request *r, const char *user);
/* Name what computes the replies of a model (borrowed, see struct slot): the
 * release, the device and its kernels. The text is owned by the caller. */
char	*exchange_build(const json_t *model);
/* {"running","waiting","total"} for status (a new reference). */
json_t	*exchange_status(const struct chatd *d);

#endif

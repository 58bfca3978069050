/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of the protocol, except those on exchanges (exchange.h) and
 * those that the store answers (relay.h).
 */
#ifndef DAEMON_OPS_H
#define DAEMON_OPS_H

#include <jansson.h>

#include "err.h"
#include "vocabulary.h"

struct chatd;
struct config;
struct request;

/* ---- ops.c */

/* Carry out one parsed request; the operation ends r. msg is borrowed. */
void	 ops_dispatch(struct request *r, json_t *msg);

/* ---- sampling.c: sampling parameters. model is the member "model" of the
 * engine's "ready" (borrowed). */

/*
 * Check the parameters given (borrowed, or NULL) and complete them: *out is a
 * new object with defaults and a seed. Returns 0, or CHAT_EFORMAT with *f
 * filled.
 */
int	 sampling_read(const struct config *cf, json_t *given, json_t **out,
	    struct fault *f);
/* The defaults that are in force, as an object with the names of the protocol:
 * a new reference. */
json_t	*sampling_stated(const struct chatd *d);

/* Lower the parameters that the client did not give and that are more than the
 * model can hold, so that no request is refused for a value that it did not
 * give. given has those that it gave (borrowed, or NULL). */
void	 sampling_fit(const json_t *model, const json_t *given,
	    json_t *params);
/* Log the defaults that are more than the model can hold. */
void	 sampling_warn(const struct config *cf, const json_t *model);
/* Can the model hold these parameters (complete, after sampling_fit), and is
 * their adapter loaded? Returns 0, or CHAT_EFORMAT with *f filled. */
int	 sampling_check(const json_t *model, const json_t *params,
	    struct fault *f);

/* ---- moderate.c: a verdict without an exchange */

/* Have text judged. If text is a reply, prompt is the prompt of it, or NULL.
 * Ends r. */
void	 moderate_new(struct request *r, enum direction d, const char *text,
	    const char *prompt, int explain);

/* ---- tokenize.c: the token ids of a text */

/* Answer r with the ids of text, when it is the account's turn. Ends r. */
void	 tokenize_new(struct request *r, const char *text);

/* ---- top.c */

/* Answer top: what runs and waits now. */
void	 top_new(struct request *r);

/* ---- exporter.c: a read-only process per export */

/* What an export shall have. Strings are borrowed until exporter_new returns;
 * NULL and 0: not given. */
struct export_ask {
	const char	*format, *rating, *reason, *category, *model, *user;
	const char	*split;
	int64_t		 since, until, heldout;
	int		 all, consent, bare, sidecar, unique, manifest;
};

/* Run an export. Ends r. */
void	 exporter_new(struct request *r, const struct export_ask *ask);
/* Make a backup; the output is a line of JSON, {"path","bytes"}. Ends r. */
void	 exporter_backup(struct request *r);
/* Check the backup of that name, and start the store again with it. Ends r. */
void	 exporter_restore(struct request *r, const char *name);

/* ---- health.c: the answer to health */

/* From best to worst. Degraded: the service works, but an operator should
 * look at it. Starting: not yet. */
enum health { HEALTH_OK, HEALTH_DEGRADED, HEALTH_STARTING, HEALTH_DOWN };

/* The answer to health (a new reference). For an operator it includes data
 * about all users. */
json_t	*health_message(const struct chatd *d, int operator);

/* ---- status.c: the answer to status, and a part of hello */

/* The "model" member of hello and status (a new reference). Without operator
 * it holds no paths and no reasons. */
json_t	*status_model(const struct chatd *d, int operator);
/* The "swap" member of status and health: the model beside the one that serves,
 * which loads, or finishes its replies. A new reference, or NULL if there is
 * none. Without operator it holds no path. */
json_t	*status_swap(const struct chatd *d, int operator);
/* The answer to status (a new reference). Without operator it holds only the
 * numbers of running and waiting exchanges of other users. */
json_t	*status_message(const struct chatd *d, int operator);

#endif

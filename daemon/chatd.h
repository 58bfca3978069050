/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations for all files of chatd. chatd is one process with one event loop
 * and no threads, so nothing here needs a lock.
 *
 * Layers, from the lowest to the highest. A file calls files of its own row
 * and of the rows before it. A call in the other direction goes through struct
 * chatd_hooks, or through a callback that the higher file has registered.
 *
 *   conn turns budget ahead spawn helper slot	lines, accounts, processes
 *   client					connections, requests
 *   filters judge policy			moderation
 *   readiness relay				the store
 *   exchange					one prompt and its reply
 *   status health roles choice reload ops drain	the service
 *   chatd					the process
 */
#ifndef DAEMON_CHATD_H
#define DAEMON_CHATD_H

#include <sys/queue.h>
#include <sys/types.h>

#include <event2/event.h>
#include <jansson.h>
#include <stdint.h>

#include "client.h"
#include "conn.h"
#include "err.h"
#include "exchange.h"
#include "helper.h"
#include "json.h"
#include "listener.h"
#include "notify.h"
#include "ops.h"
#include "policy.h"
#include "relay.h"
#include "settings.h"
#include "slot.h"
#include "turns.h"
#include "vocabulary.h"

struct chatd;
struct ahead;
struct budget;
struct filters;
struct reload;
struct reload_old;

/* ---- readiness.c: can an exchange begin? */

/* Returns 0, or an error with *f filled if no exchange can begin, because a
 * helper that it needs fails to start. */
int	 readiness_missing(const struct chatd *d, struct fault *f);

/* Note from the store's answer (borrowed) to a write whether it can write.
 * Call it for each answer to a write. */
void	 readiness_store(struct chatd *d, const json_t *msg);

/* ---- state_dir.c: the state folder */

/* Make the state folder and lock it, unless that is done. Returns 0, or with
 * *f filled CHAT_EBUSY if another chatd has locked it, or CHAT_ESYSTEM. */
int	 state_dir_lock(struct chatd *d, struct fault *f);

/* ---- roles.c: engine, filter and store */

/* Start the helpers. */
void	 roles_start(struct chatd *d);
/* Kill them. */
void	 roles_stop(struct chatd *d);
/* Send the state of the service to systemd in one line, and once READY=1. */
void	 roles_report(const struct chatd *d);
/* The configuration has changed: the next start of each helper uses it. */
void	 roles_configure(struct chatd *d);

/* Start, restart or end the judge's engine if old (borrowed), the earlier
 * configuration, differs in what it needs. Call it after roles_configure. */
void	 roles_judge(struct chatd *d, const struct config *old);

/* The callbacks for the filters in use, and for engines. */
const struct filters_ops *roles_filters_ops(void);
const struct slot_ops *roles_slot_ops(void);
/* Send new replies to the engine beside the present one, which finishes. */
void	 roles_switch(struct chatd *d);

/* ---- reload.c: a new configuration, as a whole or not at all */

/* Read the configuration again. model is as in configure_load; a path is loaded
 * also if it serves already. r (NULL after a signal) is ended when the new
 * configuration and the new model, if there is one, are in force, or have been
 * refused. */
void	 reload_new(struct chatd *d, struct request *r, const char *model);
/* Could a model in this folder be loaded? Nothing changes. With NULL, only list
 * the paths in use. Ends r. (reload_check.c) */
void	 reload_check(struct chatd *d, struct request *r, const char *folder);
/* Load the previous model again. Ends r. */
void	 reload_back(struct chatd *d, struct request *r);
/* The first model is loaded: bring up to date what is remembered. */
void	 reload_first(struct chatd *d);
/* The engine of the previous model has ended: begin what waited for that. */
void	 reload_model_ended(struct chatd *d);
/* The service ends: give up a model that loads. */
void	 reload_drain(struct chatd *d);
/* Drop a running reload. */
void	 reload_stop(struct chatd *d);
/* Call it after SIGCHLD. */
void	 reload_reap(struct chatd *d);

/* ---- configure.c: the configuration with the command line's options */

/* Options of the command line, which win over the file. Strings are borrowed
 * from argv; NULL: not given. */
struct configure_options {
	const char	*file, *socket, *state_dir, *model;
	int		 verbose;
};

/* Keep these options for each call of configure_load. */
void	 configure_init(const struct configure_options *opt);
/* Read and check the configuration, and apply the options. model is what an
 * operator asks for: a path, "default" for model.path, or NULL for the choice
 * that is remembered, if model.path is still the one of that time. Returns and
 * reports errors as config_load does. */
int	 configure_load(const char *model, struct config **out, json_t *errors,
	    struct fault *f);
/* Log which model counts, if an operator has chosen one, and why. */
void	 configure_explain(const struct config *cf);

/* ---- drain.c: the end of the service */

/* Prepare timers. */
void	 drain_init(struct chatd *d);
/* Refuse new connections and requests, let running replies end, then end the
 * store and the loop. The second call ends running replies at once. sig is
 * for the log. */
void	 drain_begin(struct chatd *d, int sig);
/* Once all exchanges are over, end the store; once the store has ended, end
 * the loop. Call it when one of the two may have changed. */
void	 drain_check(struct chatd *d);
/* Release timers. */
void	 drain_clear(void);

/* ---- chatd.c: the process */

/* Calls from a lower layer into a higher one. chatd.c fills the table at
 * start, so that all other calls point down. */
struct chatd_hooks {
	/* Carry out a parsed request; the operation ends r. msg is
	 * borrowed. */
	void	(*dispatch)(struct request *r, json_t *msg);
	/* The "model" member of hello: a new reference. */
	json_t	*(*model)(const struct chatd *d, int operator);
	/* The "defaults" member of hello: a new reference. */
	json_t	*(*defaults)(const struct chatd *d);
	/* The state of a helper has changed, or the store can write again,
	 * or no longer. */
	void	(*changed)(const struct chatd *d);
	/* The engine that serves has loaded its model. */
	void	(*model_loaded)(struct chatd *d);
	/* The engine of the previous model has ended. */
	void	(*model_ended)(struct chatd *d);
	/* The store has ended after helper_retire. */
	void	(*store_ended)(struct chatd *d);
};

/* Limits per account of the work that a helper has at a time, see ahead.h. */
#define WRITES_AHEAD	65536	/* bytes: other accounts wait for the write */
#define TOKENIZES_AHEAD	2	/* texts: their ids take memory */
#define MODERATES_AHEAD	8	/* texts: their findings take memory */

/* What the judge has done (modeljudge.c). */
struct modeljudge_count {
	int64_t	 texts, findings;	/* answered, and found in them */
	int64_t	 failed, late;		/* no answer; of these, in time */
	int64_t	 ms, ms_max;		/* of the answered texts */
};

struct chatd {
	const struct chatd_hooks *hooks;	/* borrowed: static */
	struct event_base	*base;		/* owned */
	struct config		*config;	/* owned */
	struct slot		*engine;	/* owned: new replies go to
						 * it */
	struct slot		*beside;	/* owned: a model that loads,
						 * or that finishes its
						 * replies, or NULL */
	struct helper		*store;		/* owned */
	struct helper		*judge;		/* owned: its own engine, or
						 * NULL */
	json_t			*judge_model;	/* owned: what it said of its
						 * model, or NULL */
	struct modeljudge_count	 judge_count;
	struct filters		*filters;	/* owned */
	struct reload		*reload;	/* owned: running, or NULL */
	struct reload_old	*reload_old;	/* owned: draining, or NULL */
	int			 reload_again;	/* a signal came meanwhile */
	struct listener		*listener;	/* owned, NULL once draining */
	struct clients		 clients;
	struct budget		*budget;	/* owned: per account */
	struct turns		*turns;		/* owned: per account */
	struct exchanges	 exchanges;
	struct ahead		*writes;	/* owned: writes */
	struct ahead		*tokenizes;	/* owned: for the engine */
	struct ahead		*moderates;	/* owned: for the filters */
	int64_t			 total;		/* exchanges ever */
	int			 draining;
	int			 lock;		/* owned: of state_dir, or -1 */
	int64_t			 last_commit;	/* wall ms, 0: none yet */
	int64_t			 store_since;	/* wall ms of the first failed
						 * write; 0: it can write */
	char			 store_error[400]; /* its last error message */
	int			 store_probing;	/* a test write is running */
	int			 store_failing;	/* exchanges whose finish waits
						 * for the store */
	int64_t			 started;	/* monotonic ms */
	char			 boot[33];	/* random hex: this process */
	int64_t			 next_key;	/* counts store keys */
};

#endif

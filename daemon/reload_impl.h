/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations for reload.c (the configuration as a whole) and reload_model.c
 * (the model in a second engine) only.
 */
#ifndef DAEMON_RELOAD_IMPL_H
#define DAEMON_RELOAD_IMPL_H

#include "chatd.h"

/* A running reload or rollback. */
struct reload {
	struct chatd		*d;		/* borrowed */
	const char		*what;		/* static: for the log */
	struct config		*config;	/* owned: the new one; NULL: the
						 * old one stays (rollback) */
	char			*path;		/* owned: the model that loads
						 * in d->beside, or NULL */
	char			*digest;	/* owned: that it must have, or
						 * NULL */
	struct filters		*filters;	/* owned: the new ones, or NULL:
						 * not yet */
	struct request		*request;	/* borrowed; NULL: a signal, or
						 * it has ended */
	int			 loaded;	/* d->beside had the model
						 * before, and serves again */
	int			 waits;		/* until the engine before has
						 * ended: d->beside is that */
	int			 failed;	/* it waits for the end of its
						 * engine only */
	struct fault		 why;		/* then: the reason */
	int64_t			 began;		/* monotonic ms */
};

/* ---- reload.c */

/* Make a reload, the only one at a time. config (taken) may be NULL. */
struct reload	*reload_make(struct chatd *d, struct request *r,
		    const char *what, struct config *config);
/* Is something still running that a reload can't go beside? Fills *f. */
int		 reload_busy(const struct chatd *d, struct fault *f);
/* End r, or forget a signal: the service ends. */
void		 reload_shutting_down(struct request *r);
/* Start the new filters. */
void		 reload_filters(struct reload *rl);
/* Everything new is up: everything changes at once. Frees rl, unless that
 * fails. */
void		 reload_ready(void *arg);
/* It has failed, for the reason in rl->why: end the new filters and the new
 * engine. Once they have ended, or at once, rl is freed. */
void		 reload_fails(struct reload *rl);
/* The same for an engine that has died; reload_give_up follows. */
void		 reload_is_failed(struct reload *rl);
/* All that was started for it has ended: report the failure, and free rl. */
void		 reload_give_up(struct reload *rl);
/* Nothing runs any more that a reload would have to wait for: begin the next
 * one, if a signal asked for it. */
void		 reload_over(struct chatd *d);

/* ---- reload_model.c */

/* Does the previous model still finish its replies? Fills *f. One that only
 * has to end does not: reload_load waits for it. */
int		 reload_finishing(const struct chatd *d, struct fault *f);
/* Load the model at path in a new engine, beside the one that serves, once no
 * other one is beside it; then go on with the filters, or with reload_ready if
 * there is no configuration. */
void		 reload_load(struct reload *rl, const char *path);
/*
 * Remember that the model of slot s serves, and whether an operator has chosen
 * it. before is the one that it replaces; if it is NULL, nothing is written
 * unless what was remembered is out of date. Returns 0, or an error with *f
 * filled.
 */
int		 reload_remember(const struct config *cf,
		    const struct slot *s, const struct slot *before,
		    int chosen, struct fault *f);

#endif

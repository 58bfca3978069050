/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot: one engine process and the model that it serves. There is one slot
 * that new replies go to. Beside it there may be a second one: a new model that
 * loads, or the previous model, which finishes its replies.
 *
 * Whoever sends requests to an engine keeps its slot (slot_use) until the last
 * answer has come, also if the engine dies meanwhile: the slot starts it again
 * with the same model.
 */
#ifndef DAEMON_SLOT_H
#define DAEMON_SLOT_H

#include <event2/event.h>
#include <jansson.h>
#include <stdint.h>

#include "helper.h"

struct config;
struct slot;

/* What a slot is there for. */
enum slot_role {
	SLOT_LOADS,	/* a new model: if its engine fails, it is not started
			 * again */
	SLOT_SERVES,	/* new replies go to it */
	SLOT_FINISHES	/* it ends once nobody uses it */
};

/* The callbacks of a slot; all are set. */
struct slot_ops {
	/* Its model is loaded. changed: the engine died, and the model is not
	 * the one that it had before. */
	void	(*ready)(void *arg, struct slot *s, int changed);
	/* The model loads: s->progress has changed. */
	void	(*progress)(void *arg, struct slot *s);
	/* Its engine has died. started is 0 if it never became ready. */
	void	(*gone)(void *arg, struct slot *s, int started);
	/* It has ended for good: in role SLOT_LOADS because it failed, in
	 * role SLOT_FINISHES because all is finished. May free the slot. */
	void	(*ended)(void *arg, struct slot *s);
};

struct slot {
	struct helper		*helper;	/* owned; NULL in slot_new */
	struct helper_spec	 spec;
	const struct slot_ops	*ops;		/* borrowed: static */
	void			*arg;		/* borrowed: for ops */
	enum slot_role		 role;
	char			*program;	/* owned: of the engine */
	char			*path;		/* owned: the model */
	json_t			*init;		/* owned: the init message */
	json_t			*model;		/* owned: "model" of its last
						 * "ready", NULL before */
	json_t			*progress;	/* owned: while it loads, or
						 * NULL */
	int			 users;
	struct event		*idle;		/* owned: nobody uses it */
};

/* Start an engine with the model at path and the settings of a configuration,
 * all copied. */
struct slot	*slot_new(struct event_base *base, const struct config *cf,
		    const char *path, enum slot_role role,
		    const struct slot_ops *ops, void *arg);
/* Kill the engine and release the slot. NULL is allowed. */
void		 slot_free(struct slot *s);

/* Keep a slot, for requests to its engine. Returns s. */
struct slot	*slot_use(struct slot *s);
/* The opposite; NULL is allowed. */
void		 slot_leave(struct slot *s);

/* Change what the slot is there for. */
void		 slot_turn(struct slot *s, enum slot_role role);
/* The program and the limits of a new configuration count from the next start
 * of the engine on. The model and its settings stay. */
void		 slot_configure(struct slot *s, const struct config *cf);
/* Would the configuration start an engine with another path or other settings
 * of the model? */
int		 slot_differs(const struct slot *s, const struct config *cf);
/* Is it up, with the model of this digest, and with the settings that an engine
 * for the model at path would get? */
int		 slot_could_serve(const struct slot *s,
		    const struct config *cf, const char *path,
		    const char *digest);

/* {"path","digest","name"} of its model, a new reference. The last two are
 * missing until it is loaded. */
json_t		*slot_describe(const struct slot *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge: a language model that classifies a text. It is given the text in a
 * prompt (judge.prompt) and compares how probable it finds each of the labels
 * as the continuation. The model is the loaded one, or a second one with an
 * engine of its own. It is off by default.
 */
#ifndef DAEMON_MODELJUDGE_H
#define DAEMON_MODELJUDGE_H

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#include "chatd.h"

struct modeljudge;

/*
 * Called once. findings (borrowed) is an array of findings in the form of a
 * filter, with the plugin name "judge" and the label as rule; NULL: the model
 * gave no verdict in time or is not running, and why says the reason. May free
 * the judge.
 */
typedef void	modeljudge_cb(void *arg, const json_t *findings,
		    const char *why);

/* Is the judge to be asked about a text with these findings of the filters
 * (borrowed, sound)? It depends on judge.enabled, judge.low and judge.high. */
int	 modeljudge_wanted(const struct chatd *d, const json_t *findings);

/* Have text[len] (borrowed until the callback) classified for account uid. The
 * callback comes later, after judge.timeout at the latest. */
struct modeljudge *modeljudge_new(struct chatd *d, uid_t uid,
	    const char *text, size_t len, modeljudge_cb *cb, void *arg);

/* Release it: its callback is not called. NULL does nothing. */
void	 modeljudge_free(struct modeljudge *mj);

/* Return findings of filters (borrowed) followed by those of the judge
 * (borrowed, or NULL), a new array. */
json_t	*modeljudge_join(const json_t *findings, const json_t *judged);

/* Describe the judge for an operator: a new object. */
json_t	*modeljudge_status(const struct chatd *d);

#endif

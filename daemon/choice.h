/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which model serves, and which one served before: model.json in the state
 * folder. It remembers an operator's choice over a restart.
 */
#ifndef DAEMON_CHOICE_H
#define DAEMON_CHOICE_H

#include "err.h"

/* A model: where its files are, and what they were. */
struct choice_model {
	char	*path;		/* owned; NULL: none */
	char	*digest;	/* owned, or NULL: not known */
};

struct choice {
	int			 chosen;	/* current was chosen by an
						 * operator; 0: it is
						 * model.path */
	char			*configured;	/* owned: model.path when this
						 * was written */
	struct choice_model	 current, previous;
};

/*
 * Read what is remembered in a state folder. Returns 0 and fills *c, which the
 * caller clears; CHAT_ENOTFOUND if there is no such file; or another error,
 * with *f filled. *c is empty then.
 */
int	 choice_read(const char *state_dir, struct choice *c, struct fault *f);

/* Replace what is remembered, in one step, so that a power cut leaves the old
 * file or the new one. Returns 0, or CHAT_ESYSTEM with *f filled. */
int	 choice_write(const char *state_dir, const struct choice *c,
	    struct fault *f);

/* Release the members. */
void	 choice_clear(struct choice *c);

#endif

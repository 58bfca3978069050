/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations for filterd.c and filterd_init.c only.  filterd.c serves
 * requests; filterd_init.c starts the plugins.
 */
#ifndef FILTERD_IMPL_H
#define FILTERD_IMPL_H

#include "filter.h"

struct chan;

struct filterd {
	struct chan	 *chan;		/* owned */
	struct host	 *hosts[FILTER_PLUGINS_MAX];	/* owned */
	size_t		  n;
	const char	**categories;	/* owned list of static slugs */
	size_t		  ncategories;
	struct texts	 *texts;	/* owned: being judged */
	int		  ready;	/* init has succeeded */
	const char	 *blamed;	/* borrowed: the plugin that caused the
					 * error of a request, or NULL */
};

/* ---- filterd_init.c */

/* The first message: start the plugins, and answer ready. 0, or an error with
 * *f filled. */
int	 filterd_init(struct filterd *fd, json_t *msg, struct fault *f);

/* ---- filterd.c */

/* Prepare an answer; release it. */
void	 filterd_answer_init(struct answer *a);
void	 filterd_answer_clear(struct answer *a);
/* Have every plugin judge a piece of a text, in order. Returns as host_check
 * does. */
int	 filterd_judge(struct filterd *fd, const struct check *c,
	    struct text *tx, struct answer *a, struct fault *f);
/* A text is over (taken; NULL does nothing): let every plugin release what it
 * kept. */
void	 filterd_end(struct filterd *fd, struct text *tx);

#endif

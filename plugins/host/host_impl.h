/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations for the files host*.c only.  host.c calls a plugin; host_band.c
 * decides where a plugin with a band is called; host_calls.c has the functions
 * that the plugin calls.
 */
#ifndef HOST_IMPL_H
#define HOST_IMPL_H

#include "filter.h"

struct host {
	struct plugin		*plugin;	/* owned */
	size_t			 index;		/* its place in the order */
	struct chat_filter_host	 host;		/* given to the plugin */
	size_t			 ncategories;
	int			 opening;	/* open is running */
	int			 parts;		/* the plugin judges pieces */
	int			 stateful;	/* it has text_begin */
	int			 banded;	/* it asked for a band ... */
	double			 low, high;	/* ... of these scores */
	uint64_t		 window;	/* it needs before new text */
	/* While it judges; NULL otherwise. */
	const struct check	*check;		/* borrowed */
	struct text		*text;		/* borrowed */
	struct answer		*answer;	/* borrowed */
	int			 over;		/* it had too many findings */
	uint64_t		 settled;	/* bytes, of that check */
	char			 broken[300];	/* rule that it broke, or "" */
	char			 why[300];	/* given by fail, or "" */
};

/* ---- host.c */

/* Give a piece to the plugin, with the scores of those before it. Returns as
 * host_check does; *settled becomes the bytes of it that are settled. */
int	 host_give(struct host *h, const struct check *c, struct text *tx,
	    struct answer *a, double score, const double *scores,
	    int64_t *settled, struct fault *f);

/* ---- host_band.c */

/* As host_check, for a plugin with a band. */
int	 host_check_band(struct host *h, const struct check *c,
	    struct text *tx, struct answer *a, struct fault *f);

/* ---- host_calls.c */

/* Fill the functions of h->host. */
void	 host_calls_init(struct host *h);

/* Note the first rule of the interface that the plugin broke. */
void	 host_broken(struct host *h, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

#endif

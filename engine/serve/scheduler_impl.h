/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts that scheduler.c (jobs and steps) and admit.c (places and cache
 * blocks) share.
 */
#ifndef ENGINE_SCHEDULER_IMPL_H
#define ENGINE_SCHEDULER_IMPL_H

#include "pace.h"
#include "scheduler.h"

TAILQ_HEAD(job_list, job);

struct scheduler {
	struct backend			*backend;	/* borrowed */
	struct backend_info		 info;
	const struct scheduler_events	*ev;		/* borrowed */
	void				*arg;		/* borrowed */
	struct kvcache			*kv;		/* owned */
	struct sampler			*sampler;	/* owned */
	/* Owned jobs, in order of arrival. */
	struct job_list			 running, waiting;
	int				 nrunning, nwaiting;
	int				 running_max;
	int64_t				 arrivals;	/* jobs added so far */
	struct fairshare_list		 shares;	/* owned */
	struct backend_row		*row;		/* owned: [rows_max] */
	int				 rows_max;
	struct pace			 pace;
	float				*logits;	/* owned: one [V] for
							 * each job, then for
							 * the rows of scores */
	struct backend_best		*best;		/* owned: one for each
							 * running job; NULL if
							 * the backend has
							 * none */
	int				 rows;		/* rows planned so
							 * far */
	int				 replies;	/* rows of replies */
	int				 logit_rows, best_rows;
	int				 score_rows;
	struct scheduler_stats		 stats;
};

/* scheduler.c */

/* Return the tokens of a job. */
const struct idbuf *scheduler_tokens(const struct job *job);
/* Return the owner of the block after the full ones: see kvcache.h. */
int64_t		 scheduler_owner(const struct job *job);
/* Does a reply need one row to make its next token? */
int		 scheduler_making(const struct job *job);
/* Insert a job into a list in order of arrival. */
void		 scheduler_insert(struct job_list *list, struct job *job);
/* Report the new text of a reply. If it has ended, report that too and release
 * it. */
void		 scheduler_report(struct scheduler *s, struct job *job);

/* admit.c */

/* Admit waiting jobs as long as there is room. */
void		 admit_waiting(struct scheduler *s);
/* Give every running reply the block for its next token. */
void		 admit_grow(struct scheduler *s);
/* Give back the cache blocks of a job. */
void		 admit_release(struct scheduler *s, struct job *job);

#endif

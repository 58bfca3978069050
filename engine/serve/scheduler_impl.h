/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the scheduler's files share: scheduler.c (jobs and steps), admit.c
 * (who has a place and cache blocks).
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
	/* Owned jobs, in the order in which they came. */
	struct job_list			 running, waiting;
	int				 nrunning, nwaiting;
	int				 running_max;
	int64_t				 arrivals;	/* jobs that came */
	struct fairshare_list		 shares;	/* owned */
	struct backend_row		*row;		/* owned: [rows_max] */
	int				 rows_max;
	struct pace			 pace;
	float				*logits;	/* owned: one [V] for
							 * each job, then for
							 * score rows */
	int				 rows;		/* planned so far */
	int				 replies;	/* for replies */
	int				 logit_rows;
	int				 score_rows;
	struct scheduler_stats		 stats;
};

/* scheduler.c */

/* The tokens a job has now. */
const struct idbuf *scheduler_tokens(const struct job *job);
/* Whose is the block after its full ones: see kvcache.h. */
int64_t		 scheduler_owner(const struct job *job);
/* Does a reply need one row to make its next token? */
int		 scheduler_making(const struct job *job);
/* Put a job into a list, behind those that came before it. */
void		 scheduler_insert(struct job_list *list, struct job *job);
/* Tell what is new of a reply and, where it is over, that; it is gone then. */
void		 scheduler_tell(struct scheduler *s, struct job *job);

/* admit.c */

/* Move waiting jobs to the running ones, as far as there is room. */
void		 admit_waiting(struct scheduler *s);
/* See that every reply has room for the token it makes next. */
void		 admit_grow(struct scheduler *s);
/* Give back what a running job holds of the cache. */
void		 admit_release(struct scheduler *s, struct job *job);

#endif

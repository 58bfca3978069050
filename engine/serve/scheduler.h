/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Continuous batching: every step runs one row for each reply that is being
 * made and pieces of prompts that are still being read, as much of them as
 * does not hold the replies up (pace.h).  New, cancelled, paused and
 * continued jobs take effect between steps.
 *
 *   scheduler_add -> waiting <-> running -> gone
 *
 * Who runs is settled by admit.c: groups of requests come in turn, and where
 * places or cache blocks are short, a reply loses its place and is read again
 * later, without a trace in what it says.  Blocks that the cache has from
 * another sequence of the same group with the same beginning are taken over
 * (kvcache.h).
 */
#ifndef ENGINE_SCHEDULER_H
#define ENGINE_SCHEDULER_H

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include "backend.h"
#include "err.h"
#include "generation.h"
#include "kvcache.h"
#include "score.h"
#include "fairshare.h"

#define SCHEDULER_RUNNING_MAX	64	/* jobs in one step */
#define SCHEDULER_WAITING_MAX	256	/* jobs behind them */
#define SCHEDULER_SCORE_ROWS	32	/* rows of scores in one step */

/* A request at work; the caller fills the first part, the rest is zero. */
struct job {
	int64_t			 id;	/* of the request; unique */
	int64_t			 group;	/* of requests: see fairshare.h */
	struct generation	*gen;	/* owned; one of these two, */
	struct score		*score;	/* owned; the other is NULL */
	size_t			 dropped; /* turns left out of the prompt */
	size_t			 common; /* tokens at its start that are the
					  * administrator's words */

	/* The scheduler's part. */
	TAILQ_ENTRY(job)	 entry;
	int64_t			 arrival; /* jobs that came up to it */
	struct fairshare		*share;	/* borrowed: of its group */
	int32_t			*blocks; /* owned: of the cache, in order */
	size_t			 nblocks;
	size_t			 fed;	/* tokens in the cache */
	size_t			 read;	/* tokens when it was admitted */
	size_t			 full;	/* blocks known to the cache as full */
	kvcache_chain		 chain;	/* what is in them */
	size_t			 rows;	/* of the step being run */
	float			*logits; /* borrowed: of those of its rows
					  * that want them, in order */
	int			 running, paused;
	int			 started; /* has run before */
};

/* What the scheduler tells; job is borrowed for the call. */
struct scheduler_events {
	/* The job runs for the first time (replies only). */
	void	(*started)(void *arg, const struct job *job);
	/* New tokens or text of a reply. */
	void	(*text)(void *arg, const struct job *job,
		    const struct generation_news *news);
	/* The job is over: a reply with its stop reason, or a score. */
	void	(*done)(void *arg, const struct job *job);
	/* The job is over, without a result. */
	void	(*failed)(void *arg, const struct job *job,
		    const struct fault *f);
};

struct scheduler_stats {
	int	 running, waiting, kv_blocks, kv_blocks_free;
	int64_t	 steps;
	int64_t	 tokens_prompt;	/* read: of prompts, and of replies that lost
				 * their place or go on after a crash */
	int64_t	 tokens_output;	/* made */
	int64_t	 tokens_reused;	/* not read, since found in the cache */
	int64_t	 preempted;	/* times that a reply lost its place */
};

struct scheduler;

/* b and ev are borrowed and outlive the scheduler; batch_tokens >= 1 rows
 * at most make a step. */
struct scheduler *scheduler_new(struct backend *b, int batch_tokens,
		    const struct scheduler_events *ev, void *arg);
void		 scheduler_free(struct scheduler *s);

/* Queue a job (taken). 0, or CHAT_EBUSY where the queue is full. */
int		 scheduler_add(struct scheduler *s, struct job *job);
/* Release a job that no scheduler has. */
void		 job_free(struct job *job);

/* Is a job of that id there? */
int		 scheduler_has(const struct scheduler *s, int64_t id);

/* End a job: a reply is done with "cancelled", a score fails. Nothing where
 * there is none of that id. */
void		 scheduler_cancel(struct scheduler *s, int64_t id);
/* Leave a reply out of steps, or take it in again. */
void		 scheduler_pause(struct scheduler *s, int64_t id, int paused);
/* End every paused job: nobody is left to continue them. */
void		 scheduler_cancel_paused(struct scheduler *s);

/* Admit what fits and run one step. Returns the rows run (0: nothing to
 * do), or the backend's error, after which the scheduler is of no use. */
int		 scheduler_step(struct scheduler *s);

void		 scheduler_stats(const struct scheduler *s,
		    struct scheduler_stats *out);

#endif

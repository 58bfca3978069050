/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Continuous batching. Every step runs one row for each reply that generates,
 * and pieces of prompts that are still being read. The pieces are small enough
 * not to delay the replies (pace.h). New, cancelled, paused and continued jobs
 * take effect between steps.
 *
 *   scheduler_add -> waiting <-> running -> gone
 *
 * admit.c decides which jobs run. Groups of requests take turns. If places or
 * cache blocks run out, a reply is preempted and its tokens are read again
 * later; its text does not change. A job takes over the cache blocks of another
 * sequence of the same group and adapter with the same beginning (kvcache.h).
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

#define SCHEDULER_RUNNING_MAX	64	/* running jobs */
#define SCHEDULER_WAITING_MAX	256	/* waiting jobs */
#define SCHEDULER_SCORE_ROWS	32	/* rows of scores in one step */

/* A job: one request. The caller fills the first part and sets the rest to
 * zero. */
struct job {
	int64_t			 id;	/* of the request; unique */
	int64_t			 group;	/* group of the request: see
					 * fairshare.h */
	struct generation	*gen;	/* owned; either this */
	struct score		*score;	/* owned; or this, the other is NULL */
	int			 adapter; /* as in backend_row */
	size_t			 dropped; /* messages left out */
	size_t			 common; /* tokens at the start of the prompt
					  * that are text of the
					  * administrator */

	/* The scheduler's part. */
	TAILQ_ENTRY(job)	 entry;
	int64_t			 arrival; /* order of arrival */
	struct fairshare		*share;	/* borrowed: of its group */
	int32_t			*blocks; /* owned: blocks of the cache, in
					  * order */
	size_t			 nblocks;
	size_t			 fed;	/* tokens in the cache */
	size_t			 read;	/* tokens when it was last admitted */
	size_t			 full;	/* blocks that the cache knows as
					 * full */
	kvcache_chain		 chain;	/* chain of these blocks */
	size_t			 rows;	/* rows in the current step */
	float			*logits; /* borrowed: logits of the rows that
					  * need them, in order */
	struct backend_best	*best;	/* borrowed: what a reply has instead of
					 * logits, or NULL */
	int			 running, paused;
	int			 started; /* has run before */
};

/* Events of the scheduler. job is borrowed for the call. */
struct scheduler_events {
	/* The job runs for the first time (only for replies). */
	void	(*started)(void *arg, const struct job *job);
	/* A reply has new tokens or text. */
	void	(*text)(void *arg, const struct job *job,
		    const struct generation_news *news);
	/* The job is done: a reply with its stop reason, or a score. */
	void	(*done)(void *arg, const struct job *job);
	/* The job has failed. */
	void	(*failed)(void *arg, const struct job *job,
		    const struct fault *f);
};

struct scheduler_stats {
	int	 running, waiting, kv_blocks, kv_blocks_free;
	int64_t	 steps;
	int64_t	 tokens_prompt;	/* read tokens: of prompts, and of replies that
				 * were preempted or continue after a crash */
	int64_t	 tokens_output;	/* generated tokens */
	int64_t	 tokens_reused;	/* tokens taken from the prefix cache instead of
				 * being read */
	int64_t	 preempted;	/* number of preemptions */
};

struct scheduler;

/* Make a scheduler. b and ev are borrowed and outlive it. A step has at most
 * batch_tokens rows (>= 1). */
struct scheduler *scheduler_new(struct backend *b, int batch_tokens,
		    const struct scheduler_events *ev, void *arg);
void		 scheduler_free(struct scheduler *s);

/* Queue a job (taken). Returns 0, or CHAT_EBUSY if the queue is full. */
int		 scheduler_add(struct scheduler *s, struct job *job);

/* Is there a job of that id? */
int		 scheduler_has(const struct scheduler *s, int64_t id);

/* Cancel a job: a reply is done with "cancelled", a score fails. Does nothing
 * if there is no job of that id. */
void		 scheduler_cancel(struct scheduler *s, int64_t id);
/* Pause a reply (it gets no rows), or continue it. */
void		 scheduler_pause(struct scheduler *s, int64_t id, int paused);
/* End every paused job, because no client is left to continue them. */
void		 scheduler_cancel_paused(struct scheduler *s);

/* Admit the jobs that fit, and run one step. Returns its number of rows (0:
 * nothing to do), or the backend's error; the scheduler can't be used after an
 * error. */
int		 scheduler_step(struct scheduler *s);

void		 scheduler_stats(const struct scheduler *s,
		    struct scheduler_stats *out);

#endif

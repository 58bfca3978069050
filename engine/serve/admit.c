/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission of jobs to steps.  A job is admitted if the cache has blocks for
 * its tokens and some to spare.  A reply takes one more block each time its
 * last block is full.  If no block is free, a reply is preempted: it gives its
 * blocks back and waits for another prefill of its prompt and of the tokens
 * generated so far.  This costs only time.  No result depends on how a
 * sequence was cut into steps, and blocks that are still in the prefix cache
 * are not computed again (kvcache.h).
 *
 * Groups are admitted by fair share (fairshare.h).  The next job is of the
 * group with the fewest running jobs.  If no place is free, that job takes the
 * place of a group that has at least two more running jobs.  A preempted reply
 * is admitted before replies that arrived after it.  Each block that a running
 * reply takes means KV_BLOCK new tokens, and a preempted reply keeps its
 * tokens.  So every reply ends, however often replies are preempted.
 */
#include "scheduler_impl.h"

#include <stdlib.h>

#include "xmalloc.h"

/* Return the most cache positions that a job can need. */
static size_t
admit_positions(const struct job *job)
{
	const struct generation	*g = job->gen;
	size_t			 n;

	if (g == NULL)
		return (job->score->ids.n);
	n = g->prompt + (size_t)g->opt.max_tokens;
	return (n < g->context ? n : g->context);
}

/* Give the blocks of a job back. */
void
admit_release(struct scheduler *s, struct job *job)
{
	kvcache_give(s->kv, job->blocks, job->nblocks);
	free(job->blocks);
	job->blocks = NULL;
	job->nblocks = job->fed = job->full = job->rows = 0;
}

/* Preempt a reply. */
static void
admit_preempt(struct scheduler *s, struct job *job)
{
	admit_release(s, job);
	TAILQ_REMOVE(&s->running, job, entry);
	s->nrunning--;
	job->share->running--;
	job->running = 0;
	scheduler_insert(&s->waiting, job);
	s->nwaiting++;
	s->stats.preempted++;
}

/* Is a, rather than b, the reply to preempt? A paused reply comes first, then a
 * reply of the group with more running jobs, then the newer one. */
static int
admit_rather(const struct job *a, const struct job *b)
{
	if (a->paused != b->paused)
		return (a->paused);
	if (a->share->running != b->share->running)
		return (a->share->running > b->share->running);
	return (a->arrival > b->arrival);
}

/* Return the reply to preempt: one that is paused, or one of a group with at
 * least `least` running jobs. NULL if there is none. A score can't be
 * preempted, since its prompt is read only once. */
static struct job *
admit_victim(const struct scheduler *s, int least)
{
	struct job	*job, *best = NULL;

	TAILQ_FOREACH(job, &s->running, entry) {
		if (job->gen == NULL ||
		    (!job->paused && job->share->running < least))
			continue;
		if (best == NULL || admit_rather(job, best))
			best = job;
	}
	return (best);
}

/* Return how many tokens at the start of a job may come from the cache: those
 * before the first whose logits are needed. */
static size_t
admit_cached(const struct job *job)
{
	return (job->gen != NULL ? job->gen->tokens.n - 1 :
	    score_first(job->score));
}

/* Take over the full blocks that the cache has for the start of a job. */
static void
admit_reuse(struct scheduler *s, struct job *job)
{
	const struct idbuf	*tokens = scheduler_tokens(job);
	int32_t			 block;

	job->full = 0;
	job->chain = KVCACHE_ADAPTER(job->adapter);
	while ((job->full + 1) * KV_BLOCK <= admit_cached(job)) {
		block = kvcache_find(s->kv, scheduler_owner(job), &job->chain,
		    tokens->id + job->full * KV_BLOCK);
		if (block == -1)
			break;
		job->blocks[job->full++] = block;
	}
	job->nblocks = job->full;
}

/* Give a job the blocks for its tokens, and leave one block for each running
 * job. Returns 0, or CHAT_ENOMEM; the job then has no blocks. */
static int
admit_blocks(struct scheduler *s, struct job *job)
{
	size_t	 need = kvcache_blocks(scheduler_tokens(job)->n);

	job->blocks = xcalloc(kvcache_blocks(admit_positions(job)),
	    sizeof *job->blocks);
	admit_reuse(s, job);
	need -= job->nblocks;
	if ((size_t)kvcache_available(s->kv) < need + (size_t)s->nrunning ||
	    kvcache_take(s->kv, job->blocks, job->nblocks, need) != 0) {
		admit_release(s, job);
		return (CHAT_ENOMEM);
	}
	job->nblocks += need;
	job->fed = job->full * KV_BLOCK;
	job->read = scheduler_tokens(job)->n;
	s->stats.tokens_reused += (int64_t)job->fed;
	return (0);
}

/* Admit a job, and preempt others if necessary. Returns 0 if the job must
 * wait. */
static int
admit_one(struct scheduler *s, struct job *job)
{
	struct job	*victim;

	while (s->nrunning >= s->running_max || admit_blocks(s, job) != 0) {
		victim = admit_victim(s, job->share->running + 2);
		if (victim == NULL)
			return (0);
		admit_preempt(s, victim);
	}
	TAILQ_REMOVE(&s->waiting, job, entry);
	s->nwaiting--;
	scheduler_insert(&s->running, job);
	s->nrunning++;
	job->share->running++;
	job->running = 1;
	if (job->gen != NULL && !job->started) {
		job->started = 1;
		s->ev->started(s->arg, job);
		if (job->gen->stop != STOP_NONE)	/* a resumed reply that
							 * has already ended */
			scheduler_report(s, job);
	}
	return (1);
}

/* Return the job to be admitted next. */
static struct job *
admit_next(const struct scheduler *s)
{
	struct job	*job, *best = NULL;

	TAILQ_FOREACH(job, &s->waiting, entry) {
		if (!job->paused && (best == NULL ||
		    fairshare_before(job->share, best->share)))
			best = job;
	}
	return (best);
}

/* Admit jobs in turn, up to the first one that does not fit. A small job does
 * not overtake a large one. */
void
admit_waiting(struct scheduler *s)
{
	struct job	*job;

	while ((job = admit_next(s)) != NULL && admit_one(s, job))
		;
}

/* Give a reply the block for its next token. Returns 0 if another job or this
 * job was preempted for it. */
static int
admit_grow_one(struct scheduler *s, struct job *job)
{
	if (job->nblocks > job->fed / KV_BLOCK)
		return (1);
	if (kvcache_take(s->kv, job->blocks, job->nblocks, 1) == 0) {
		job->nblocks++;
		return (1);
	}
	admit_preempt(s, admit_victim(s, 0));
	return (0);
}

/* Give each running reply the block for its next token. */
void
admit_grow(struct scheduler *s)
{
	struct job	*job;

again:
	TAILQ_FOREACH(job, &s->running, entry) {
		if (!job->paused && scheduler_making(job) &&
		    !admit_grow_one(s, job))
			goto again;
	}
}

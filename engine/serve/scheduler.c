/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: the queues, and the content of each step.
 */
#include "scheduler_impl.h"

#include <stdlib.h>

#include "clock.h"
#include "xmalloc.h"

/* Make a scheduler. At least half of a step is left for prompts. */
struct scheduler *
scheduler_new(struct backend *b, int batch_tokens,
    const struct scheduler_events *ev, void *arg)
{
	struct scheduler	*s;

	s = xcalloc(1, sizeof *s);
	s->backend = b;
	b->ops->info(b, &s->info);
	s->ev = ev;
	s->arg = arg;
	s->kv = kvcache_new(s->info.kv_blocks);
	s->sampler = sampler_new(s->info.vocab);
	TAILQ_INIT(&s->running);
	TAILQ_INIT(&s->waiting);
	LIST_INIT(&s->shares);
	s->rows_max = batch_tokens;
	pace_init(&s->pace, batch_tokens);
	s->running_max = batch_tokens / 2;
	if (s->running_max < 1)
		s->running_max = 1;
	if (s->running_max > SCHEDULER_RUNNING_MAX)
		s->running_max = SCHEDULER_RUNNING_MAX;
	s->row = xcalloc((size_t)s->rows_max, sizeof *s->row);
	s->logits = xcalloc((size_t)s->info.vocab * sizeof *s->logits,
	    (size_t)s->running_max + SCHEDULER_SCORE_ROWS);
	if (s->info.best_max > 0)
		s->best = xcalloc((size_t)s->running_max, sizeof *s->best);
	return (s);
}

/* Release a job. */
static void
scheduler_job_free(struct job *job)
{
	if (job == NULL)
		return;
	generation_free(job->gen);
	score_free(job->score);
	free(job->blocks);
	free(job);
}

/* Is a job paused? Its share has the flag. */
static void
scheduler_set_paused(struct scheduler *s, struct job *job, int paused)
{
	if (job->paused != paused)
		fairshare_pause(&s->shares, job->share, paused);
	job->paused = paused;
}

/* Remove a job from its queue, give its blocks back, and release it. */
static void
scheduler_remove(struct scheduler *s, struct job *job)
{
	if (job->running) {
		TAILQ_REMOVE(&s->running, job, entry);
		s->nrunning--;
		job->share->running--;
		admit_release(s, job);
	} else {
		TAILQ_REMOVE(&s->waiting, job, entry);
		s->nwaiting--;
	}
	scheduler_set_paused(s, job, 0);
	fairshare_leave(&s->shares, job->share);
	scheduler_job_free(job);
}

/* Release a scheduler and all its jobs. */
void
scheduler_free(struct scheduler *s)
{
	struct job	*job;

	if (s == NULL)
		return;
	while ((job = TAILQ_FIRST(&s->running)) != NULL ||
	    (job = TAILQ_FIRST(&s->waiting)) != NULL)
		scheduler_remove(s, job);
	kvcache_free(s->kv);
	sampler_free(s->sampler);
	free(s->row);
	free(s->logits);
	free(s->best);
	free(s);
}

/* Insert a job into a list in order of arrival; most jobs are the newest. */
void
scheduler_insert(struct job_list *list, struct job *job)
{
	struct job	*before;

	TAILQ_FOREACH_REVERSE(before, list, job_list, entry) {
		if (before->arrival < job->arrival) {
			TAILQ_INSERT_AFTER(list, before, job, entry);
			return;
		}
	}
	TAILQ_INSERT_HEAD(list, job, entry);
}

/* Queue a job. */
int
scheduler_add(struct scheduler *s, struct job *job)
{
	if (s->nwaiting >= SCHEDULER_WAITING_MAX) {
		scheduler_job_free(job);
		return (CHAT_EBUSY);
	}
	job->arrival = ++s->arrivals;
	job->share = fairshare_join(&s->shares, job->group);
	scheduler_insert(&s->waiting, job);
	s->nwaiting++;
	return (0);
}

/* Find a job. */
static struct job *
scheduler_find(const struct scheduler *s, int64_t id)
{
	struct job	*job;

	TAILQ_FOREACH(job, &s->running, entry) {
		if (job->id == id)
			return (job);
	}
	TAILQ_FOREACH(job, &s->waiting, entry) {
		if (job->id == id)
			return (job);
	}
	return (NULL);
}

/* Is there a job of that id? */
int
scheduler_has(const struct scheduler *s, int64_t id)
{
	return (scheduler_find(s, id) != NULL);
}

/* Report the new text of a reply, and its end if it has ended. */
void
scheduler_report(struct scheduler *s, struct job *job)
{
	struct generation_news	 news;

	if (generation_take(job->gen, &news))
		s->ev->text(s->arg, job, &news);
	if (job->gen->stop != STOP_NONE) {
		s->ev->done(s->arg, job);
		scheduler_remove(s, job);
	}
}

/* End a job without a result. */
static void
scheduler_fail(struct scheduler *s, struct job *job, const char *code,
    const char *message)
{
	struct fault	 f;

	fault_set(&f, code, NULL, "%s", message);
	s->ev->failed(s->arg, job, &f);
	scheduler_remove(s, job);
}

/* End a job that was cancelled. */
static void
scheduler_end(struct scheduler *s, struct job *job)
{
	if (job->gen == NULL) {
		scheduler_fail(s, job, "cancelled", "cancelled");
		return;
	}
	generation_cancel(job->gen);
	scheduler_report(s, job);
}

/* Cancel a job. */
void
scheduler_cancel(struct scheduler *s, int64_t id)
{
	struct job	*job = scheduler_find(s, id);

	if (job != NULL)
		scheduler_end(s, job);
}

/* Pause or continue a job. */
void
scheduler_pause(struct scheduler *s, int64_t id, int paused)
{
	struct job	*job = scheduler_find(s, id);

	if (job != NULL && job->gen != NULL)
		scheduler_set_paused(s, job, paused);
}

/* End the paused jobs of one queue. */
static void
scheduler_cancel_list(struct scheduler *s, struct job_list *list)
{
	struct job	*job, *next;

	for (job = TAILQ_FIRST(list); job != NULL; job = next) {
		next = TAILQ_NEXT(job, entry);
		if (job->paused)
			scheduler_end(s, job);
	}
}

/* End every paused job. */
void
scheduler_cancel_paused(struct scheduler *s)
{
	scheduler_cancel_list(s, &s->running);
	scheduler_cancel_list(s, &s->waiting);
}

/* Return the tokens of a job. */
const struct idbuf *
scheduler_tokens(const struct job *job)
{
	return (job->gen != NULL ? &job->gen->tokens : &job->score->ids);
}

/* Return the owner of the next block that a job fills or takes over. */
int64_t
scheduler_owner(const struct job *job)
{
	return ((job->full + 1) * KV_BLOCK <= job->common ? KVCACHE_COMMON :
	    job->group);
}

/* Let a row bring what a job needs of it: the largest logits if these are
 * enough, or all. */
static void
scheduler_want(struct scheduler *s, struct job *job, struct backend_row *row)
{
	if (job->gen != NULL && s->best != NULL && generation_best(job->gen,
	    s->sampler, s->info.best_max, &s->best[s->best_rows]))
		row->best = job->best = &s->best[s->best_rows++];
	else
		row->logits = s->logits + (size_t)s->logit_rows++ *
		    (size_t)s->info.vocab;
}

/* Put the next n tokens of a job into the step. */
static void
scheduler_plan_rows(struct scheduler *s, struct job *job, size_t n)
{
	const struct idbuf	*tokens = scheduler_tokens(job);
	struct backend_row	*row;
	size_t			 i, pos;
	int			 wants;

	job->logits = s->logits + (size_t)s->logit_rows *
	    (size_t)s->info.vocab;
	job->best = NULL;
	for (i = 0; i < n; i++) {
		pos = job->fed + i;
		row = &s->row[s->rows++];
		*row = (struct backend_row){ .token = tokens->id[pos],
		    .pos = (int32_t)pos, .blocks = job->blocks,
		    .adapter = job->adapter };
		wants = job->gen != NULL ? pos + 1 == tokens->n :
		    score_wants(job->score, pos);
		if (wants)
			scheduler_want(s, job, row);
		s->score_rows += wants && job->score != NULL;
	}
	job->rows = n;
	job->share->served += (int64_t)n;
}

/* Put as much of a job into the step as fits. The step may have max rows in
 * all. */
static void
scheduler_plan_job(struct scheduler *s, struct job *job, int max)
{
	size_t	 left = scheduler_tokens(job)->n - job->fed, first;
	int	 room = max - s->rows;

	if (job->score != NULL) {
		first = score_first(job->score);
		first = first > job->fed ? first - job->fed : 0;
		first += (size_t)(SCHEDULER_SCORE_ROWS - s->score_rows);
		if (left > first)
			left = first;
	}
	if (room > 0 && left > 0)
		scheduler_plan_rows(s, job, left < (size_t)room ? left :
		    (size_t)room);
}

/* Does a job need one row for its next token? */
int
scheduler_making(const struct job *job)
{
	return (job->gen != NULL && job->fed + 1 == job->gen->tokens.n);
}

/* Return the next job that has unread tokens for this step: of the group that
 * was served least, the oldest job. */
static struct job *
scheduler_reading(const struct scheduler *s)
{
	struct job	*job, *best = NULL;

	TAILQ_FOREACH(job, &s->running, entry) {
		if (job->paused || job->rows > 0 || scheduler_making(job) ||
		    (job->score != NULL &&
		    s->score_rows == SCHEDULER_SCORE_ROWS))
			continue;
		if (best == NULL || job->share->served < best->share->served)
			best = job;
	}
	return (best);
}

/* Plan the step: first the replies that generate, then the tokens to read. */
static void
scheduler_plan(struct scheduler *s)
{
	struct job	*job;
	int		 max;

	s->rows = s->logit_rows = s->best_rows = s->score_rows = 0;
	TAILQ_FOREACH(job, &s->running, entry) {
		job->rows = 0;
		if (!job->paused && scheduler_making(job))
			scheduler_plan_job(s, job, s->rows_max);
	}
	s->replies = s->rows;
	max = s->rows + pace_rows(&s->pace, s->replies);
	while (s->rows < max && (job = scheduler_reading(s)) != NULL)
		scheduler_plan_job(s, job, max);
}

/* Give a score its rows of logits. */
static void
scheduler_collect_score(struct scheduler *s, struct job *job)
{
	const float	*logits = job->logits;
	size_t		 i;

	for (i = job->fed - job->rows; i < job->fed; i++) {
		if (!score_wants(job->score, i))
			continue;
		score_row(job->score, i, logits);
		logits += s->info.vocab;
	}
	if (job->score->bad)
		scheduler_fail(s, job, "numeric_error",
		    "the model's output is NaN or infinity");
	else if (job->fed == job->score->ids.n) {
		s->ev->done(s->arg, job);
		scheduler_remove(s, job);
	}
}

/* Handle the results of the step for one job. */
static void
scheduler_collect(struct scheduler *s, struct job *job)
{
	struct generation	*g = job->gen;
	int			 r;

	if (job->fed < job->read)
		s->stats.tokens_prompt += (int64_t)job->rows;
	job->fed += job->rows;
	for (; (job->full + 1) * KV_BLOCK <= job->fed; job->full++)
		kvcache_fill(s->kv, scheduler_owner(job),
		    job->blocks[job->full], &job->chain,
		    scheduler_tokens(job)->id + job->full * KV_BLOCK);
	if (g == NULL) {
		scheduler_collect_score(s, job);
		return;
	}
	if (job->fed < g->tokens.n)
		return;
	r = job->best != NULL ?
	    generation_sample_best(g, s->sampler, job->best) :
	    generation_sample(g, s->sampler, job->logits);
	if (r != 0) {
		scheduler_fail(s, job, "numeric_error",
		    "the model's output is NaN or infinity");
		return;
	}
	s->stats.tokens_output++;
	scheduler_report(s, job);
}

/* Run one step. */
int
scheduler_step(struct scheduler *s)
{
	struct job	*job, *next;
	double		 start;
	int		 r;

	admit_waiting(s);
	admit_grow(s);
	scheduler_plan(s);
	if (s->rows == 0)
		return (0);
	start = clock_seconds();
	if ((r = s->backend->ops->step(s->backend, s->row, s->rows)) != 0)
		return (r);
	pace_note(&s->pace, s->replies, s->rows - s->replies,
	    clock_seconds() - start);
	s->stats.steps++;
	for (job = TAILQ_FIRST(&s->running); job != NULL; job = next) {
		next = TAILQ_NEXT(job, entry);
		if (job->rows > 0)
			scheduler_collect(s, job);
	}
	return (s->rows);
}

/* Return the numbers of the scheduler. */
void
scheduler_stats(const struct scheduler *s, struct scheduler_stats *out)
{
	*out = s->stats;
	out->running = s->nrunning;
	out->waiting = s->nwaiting;
	out->kv_blocks = s->info.kv_blocks;
	out->kv_blocks_free = kvcache_available(s->kv);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events of the scheduler, as lines on the channel.
 */
#include "engine.h"

#include <stdlib.h>

#include "json.h"
#include "xmalloc.h"

/* Send a fault. */
void
events_error(struct engine *e, int64_t id, const struct fault *f)
{
	chan_send(e->ch, msg_error(id, f));
}

/* An array of ids. */
static json_t *
events_ids(const int32_t *id, size_t n)
{
	json_t	*a = json_array();
	size_t	 i;

	for (i = 0; i < n; i++)
		json_array_append_new(a, json_integer(id[i]));
	return (a);
}

/* The first step of a reply begins. */
static void
events_started(void *arg, const struct job *job)
{
	struct engine	*e = arg;
	json_t		*m = msg_event("started", job->id);

	msg_set_int(m, "prompt_tokens", (int64_t)job->gen->prompt);
	msg_set_int(m, "dropped", (int64_t)job->dropped);
	chan_send(e->ch, m);
}

/* A reply has grown. */
static void
events_text(void *arg, const struct job *job,
    const struct generation_news *news)
{
	struct engine	*e = arg;
	json_t		*m = msg_event("text", job->id);

	msg_set_text(m, "text", news->text, news->text_len);
	msg_set(m, "ids", events_ids(news->ids, news->n));
	chan_send(e->ch, m);
}

/* A reply is complete. */
static void
events_reply(struct engine *e, const struct job *job)
{
	const struct generation	*g = job->gen;
	json_t			*m = msg_event("done", job->id);
	size_t			 made = generation_made(g);

	msg_set(m, "ids", events_ids(g->tokens.id + g->prompt, made));
	msg_set_text(m, "text", g->text.n > 0 ? g->text.s : "", g->text.n);
	msg_set_string(m, "stop", generation_stop_name(g->stop));
	msg_set_int(m, "prompt_tokens", (int64_t)g->prompt);
	msg_set_int(m, "output_tokens", (int64_t)made);
	chan_send(e->ch, m);
}

/* A score is complete. Its numbers are printed already. */
static void
events_score(struct engine *e, const struct job *job)
{
	const struct score	*s = job->score;
	struct textbuf		 line = { NULL, 0, 0 };
	char			*head;

	head = xasprintf("{\"event\":\"done\",\"id\":%lld,\"logprobs\":[",
	    (long long)job->id);
	textbuf_puts(&line, head);
	textbuf_add(&line, s->logprobs.s, s->logprobs.n);
	textbuf_puts(&line, "]");
	if (s->want != SCORE_NONE) {
		textbuf_puts(&line, ",\"logits\":[");
		textbuf_add(&line, s->logits.s, s->logits.n);
		textbuf_puts(&line, "]");
	}
	textbuf_puts(&line, "}\n");
	free(head);
	chan_send_line(e->ch, line.s, line.n);
}

/* A job is complete. */
static void
events_done(void *arg, const struct job *job)
{
	if (job->gen != NULL)
		events_reply(arg, job);
	else
		events_score(arg, job);
}

/* A job has failed. */
static void
events_failed(void *arg, const struct job *job, const struct fault *f)
{
	events_error(arg, job->id, f);
}

const struct scheduler_events events_table = {
	.started = events_started,
	.text = events_text,
	.done = events_done,
	.failed = events_failed,
};

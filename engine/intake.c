/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts that are being encoded into ids.
 *
 * Groups take turns: the next slice goes to the first request of the group
 * whose texts have used the least time (fairshare.h counts it in microseconds).
 * So a short text waits for one slice of each other group at most, however many
 * and long the texts of these groups are.
 */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json.h"
#include "fairshare.h"
#include "xmalloc.h"

/* Bytes that are encoded, or ids that are printed, before the clock is read
 * again: 0.1 ms, or 0.8 ms if the word cache has no word of the text. */
#define INTAKE_SLICE	2048

struct item {
	TAILQ_ENTRY(item)	 entry;
	int64_t			 id;
	struct fairshare		*share;		/* borrowed */
	int			 paused;
	int			 cancelled;
	struct request		*request;	/* owned; NULL: tokenize, */
	json_t			*msg;		/* a reference: its text */
	struct encoding		*encoding;	/* owned; NULL: it is done */
	struct idbuf		 ids;
	size_t			 printed;	/* of ids, in line */
	struct textbuf		 line;		/* the answer so far */
};

TAILQ_HEAD(items, item);

struct intake {
	struct engine		*e;		/* borrowed */
	struct items		 items;		/* owned; in order of arrival */
	int			 n;
	struct fairshare_list	 shares;
};

/* Make an empty one. */
struct intake *
intake_new(struct engine *e)
{
	struct intake	*in = xcalloc(1, sizeof *in);

	in->e = e;
	TAILQ_INIT(&in->items);
	LIST_INIT(&in->shares);
	return (in);
}

/* Remove an item and release it. */
static void
intake_remove(struct intake *in, struct item *it)
{
	TAILQ_REMOVE(&in->items, it, entry);
	in->n--;
	fairshare_leave(&in->shares, it->share);
	request_free(it->request);
	encoding_free(it->encoding);
	json_decref(it->msg);
	idbuf_clear(&it->ids);
	textbuf_clear(&it->line);
	free(it);
}

/* Release all. */
void
intake_free(struct intake *in)
{
	if (in == NULL)
		return;
	while (!TAILQ_EMPTY(&in->items))
		intake_remove(in, TAILQ_FIRST(&in->items));
	free(in);
}

/* Add an item. NULL with *f filled if there are too many. */
static struct item *
intake_add(struct intake *in, int64_t id, int64_t group, struct fault *f)
{
	struct item	*it;

	if (in->n >= INTAKE_MAX) {
		fault_set(f, "busy", NULL, "%d texts are waiting already",
		    INTAKE_MAX);
		return (NULL);
	}
	it = xcalloc(1, sizeof *it);
	it->id = id;
	it->share = fairshare_join(&in->shares, group);
	TAILQ_INSERT_TAIL(&in->items, it, entry);
	in->n++;
	return (it);
}

/* Add a text to answer with its ids. */
int
intake_tokenize(struct intake *in, int64_t id, int64_t group, json_t *msg,
    const char *text, struct fault *f)
{
	struct item	*it;
	char		 head[64];

	if ((it = intake_add(in, id, group, f)) == NULL)
		return (CHAT_EBUSY);
	it->msg = json_incref(msg);
	it->encoding = encoding_new(in->e->tok, text, strlen(text), 1);
	snprintf(head, sizeof head, "{\"event\":\"done\",\"id\":%lld,"
	    "\"ids\":[", (long long)id);
	textbuf_puts(&it->line, head);
	return (0);
}

/* Add the prompt of a request (taken). */
int
intake_generate(struct intake *in, int64_t id, struct request *r,
    struct fault *f)
{
	struct item	*it;

	if ((it = intake_add(in, id, request_group(r), f)) == NULL) {
		request_free(r);
		return (CHAT_EBUSY);
	}
	it->request = r;
	return (0);
}

/* Find one. */
static struct item *
intake_find(const struct intake *in, int64_t id)
{
	struct item	*it;

	TAILQ_FOREACH(it, &in->items, entry) {
		if (it->id == id)
			return (it);
	}
	return (NULL);
}

/* Is it there? */
int
intake_has(const struct intake *in, int64_t id)
{
	return (intake_find(in, id) != NULL);
}

/* The number of items. */
int
intake_count(const struct intake *in)
{
	return (in->n);
}

/* Answer an item with a fault, and remove it. */
static void
intake_fail(struct intake *in, struct item *it, const struct fault *f)
{
	events_error(in->e, it->id, f);
	intake_remove(in, it);
}

/* End an item. A reply that continues after a crash reports again the ids that
 * it has, so it becomes a job first. */
static void
intake_end(struct intake *in, struct item *it)
{
	struct fault	 f;
	json_t		*m;

	it->cancelled = 1;
	if (it->request == NULL) {
		fault_set(&f, "cancelled", NULL, "cancelled");
		intake_fail(in, it, &f);
	} else if (!request_resumes(it->request)) {
		m = msg_event("done", it->id);
		msg_set(m, "ids", json_array());
		msg_set_string(m, "text", "");
		msg_set_string(m, "stop", generation_stop_name(
		    STOP_CANCELLED));
		msg_set_int(m, "prompt_tokens", 0);
		msg_set_int(m, "output_tokens", 0);
		chan_send(in->e->ch, m);
		intake_remove(in, it);
	}
}

/* Cancel one. */
int
intake_cancel(struct intake *in, int64_t id)
{
	struct item	*it = intake_find(in, id);

	if (it != NULL)
		intake_end(in, it);
	return (it != NULL);
}

/* Pause or continue one. */
int
intake_pause(struct intake *in, int64_t id, int paused)
{
	struct item	*it = intake_find(in, id);

	if (it != NULL)
		it->paused = paused;
	return (it != NULL);
}

/* Cancel the paused ones. */
void
intake_cancel_paused(struct intake *in)
{
	struct item	*it, *next;

	for (it = TAILQ_FIRST(&in->items); it != NULL; it = next) {
		next = TAILQ_NEXT(it, entry);
		if (it->paused)
			intake_end(in, it);
	}
}

/* Print some ids of a text; send the answer after the last. */
static void
intake_print(struct intake *in, struct item *it)
{
	size_t	 end = it->ids.n - it->printed < INTAKE_SLICE ? it->ids.n :
		    it->printed + INTAKE_SLICE;
	char	 number[16];
	int	 n;

	for (; it->printed < end; it->printed++) {
		n = snprintf(number, sizeof number, "%s%d", it->printed > 0 ?
		    "," : "", (int)it->ids.id[it->printed]);
		textbuf_add(&it->line, number, (size_t)n);
	}
	if (end < it->ids.n)
		return;
	textbuf_puts(&it->line, "]}\n");
	chan_send_line(in->e->ch, it->line.s, it->line.n);
	it->line = (struct textbuf){ NULL, 0, 0 };
	intake_remove(in, it);
}

/* A prompt is encoded: give its job to the scheduler. */
static void
intake_start(struct intake *in, struct item *it)
{
	struct scheduler	*s = in->e->sched;
	struct job		*job;
	struct fault		 f;
	const int64_t		 id = it->id;
	const int		 paused = it->paused;
	const int		 cancelled = it->cancelled;

	if (request_end(it->request, id, &job, &f) != 0) {
		intake_fail(in, it, &f);
		return;
	}
	if (scheduler_add(s, job) != 0) {
		fault_set(&f, "busy", NULL, "%d requests are waiting already",
		    SCHEDULER_WAITING_MAX);
		intake_fail(in, it, &f);
		return;
	}
	intake_remove(in, it);
	scheduler_pause(s, id, paused);
	if (cancelled)
		scheduler_cancel(s, id);
}

/* Do a slice of an item, which may be removed by it. */
static void
intake_slice(struct intake *in, struct item *it)
{
	tokenizer_serve(in->e->tok, it->share->group);
	if (it->request != NULL) {
		if (request_some(it->request, INTAKE_SLICE))
			intake_start(in, it);
	} else if (it->encoding == NULL)
		intake_print(in, it);
	else if (encoding_some(it->encoding, INTAKE_SLICE, &it->ids)) {
		encoding_free(it->encoding);
		it->encoding = NULL;
	}
}

/* The item whose turn it is. */
static struct item *
intake_next(const struct intake *in)
{
	struct item	*it, *best = NULL;

	TAILQ_FOREACH(it, &in->items, entry) {
		if (best == NULL || it->share->served < best->share->served)
			best = it;
	}
	return (best);
}

/* Encode for some time. */
int
intake_run(struct intake *in, double seconds)
{
	double		 start = clock_seconds(), at = start, now;
	struct fairshare	*sh;
	struct item	*it;

	while ((it = intake_next(in)) != NULL && at < start + seconds) {
		/* The slice may remove the item, so keep its share. */
		sh = fairshare_join(&in->shares, it->share->group);
		intake_slice(in, it);
		now = clock_seconds();
		sh->served += (int64_t)((now - at) * 1e6) + 1;
		fairshare_leave(&in->shares, sh);
		at = now;
	}
	return (in->n);
}

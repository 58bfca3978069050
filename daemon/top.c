/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer to top: the replies that run or wait, and the counters of the
 * engine.
 */
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define TOP_ENGINE_MS	2000	/* wait for the engine's counters */

/* A request that waits for the engine's counters. */
struct top {
	struct request	*request;	/* borrowed: ended by us */
	struct slot	*slot;		/* in use */
	int64_t		 engine_req;
};

static const struct helper_kind top_kind = { "stats", NULL, 0 };

/* End the request, with the counters or (NULL) without. */
static void
top_end(struct request *r, const json_t *stats)
{
	static const char *const keys[] = { "running", "waiting", "kv_blocks",
	    "kv_blocks_free", "kv_bytes", "steps", "tokens_prompt",
	    "tokens_output", "tokens_reused", "preempted" };
	json_t	*m = msg_event("done", -1), *o;
	size_t	 i;

	msg_set(m, "exchanges", exchange_top(r));
	if (stats != NULL) {
		o = json_object();
		for (i = 0; i < nitems(keys); i++)
			msg_set_int(o, keys[i], msg_int(stats, keys[i], 0));
		msg_set(m, "engine", o);
	}
	request_done(r, m);
}

/* Release it and return its request. */
static struct request *
top_free(struct top *t)
{
	struct request	*r = t->request;

	slot_leave(t->slot);
	free(t);
	r->stop = NULL;
	return (r);
}

/* The engine has answered, or was lost, or is late. */
static void
top_answered(void *arg, json_t *msg)
{
	const char	*event = msg_string(msg, "event");

	top_end(top_free(arg), event != NULL && strcmp(event, "done") == 0 ?
	    msg : NULL);
}

/* The client cancelled, or disconnected. */
static void
top_stop(struct request *r)
{
	struct top	*t = r->arg;

	helper_forget(t->slot->helper, t->engine_req);
	top_end(top_free(t), NULL);
}

/* Answer a request. Only operators see the counters, which are about all
 * users. */
void
top_new(struct request *r)
{
	struct top	*t;

	if (!r->operator ||
	    helper_state(r->d->engine->helper) != HELPER_READY) {
		top_end(r, NULL);
		return;
	}
	t = xcalloc(1, sizeof *t);
	t->request = r;
	r->arg = t;
	r->stop = top_stop;
	t->slot = slot_use(r->d->engine);
	t->engine_req = helper_request(t->slot->helper, &top_kind,
	    msg_op("stats", -1), 0, TOP_ENGINE_MS, top_answered, t);
	helper_alone(t->slot->helper, t->engine_req);
}

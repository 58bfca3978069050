/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The token ids of a text, from the engine. Accounts take turns (ahead.h), so
 * that one account takes bounded room in the engine and in the answers that
 * wait to be read.
 */
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "ahead.h"
#include "budget.h"
#include "xmalloc.h"

#define TOKENIZE_WAIT_MS	5000	/* for an engine that is still
					 * starting */

struct tokenize {
	struct ahead_job	 job;
	struct request		*request;	/* borrowed: ended by us */
	char			*text;		/* owned; NULL: it is sent */
	struct slot		*slot;		/* once it is sent: in use */
	int64_t			 engine_req;	/* the same */
};

static const struct helper_kind tokenize_kind = { "tokenize", NULL, 0 };

static void	tokenize_answered(void *, json_t *);

/* It is its turn: send the text. */
static void
tokenize_go(void *arg)
{
	struct tokenize	*t = arg;
	struct request	*r = t->request;
	json_t		*m = msg_op("tokenize", -1);

	msg_set_string(m, "text", t->text);
	msg_set_int(m, "group", r->uid);
	free(t->text);
	t->text = NULL;
	t->slot = slot_use(r->d->engine);
	t->engine_req = helper_request(t->slot->helper, &tokenize_kind, m,
	    TOKENIZE_WAIT_MS, (int)r->d->config->engine_timeout,
	    tokenize_answered, t);
	helper_alone(t->slot->helper, t->engine_req);
}

/* Release it and return its request, which the caller must end. */
static struct request *
tokenize_free(struct tokenize *t)
{
	struct request	*r = t->request;

	slot_leave(t->slot);
	ahead_leave(&t->job);
	free(t->text);
	free(t);
	r->stop = NULL;
	return (r);
}

/* End a request because the engine was lost, or failed to start. */
static void
tokenize_lost(struct request *r)
{
	request_fail(r, "engine_unavailable", "the engine did not answer");
}

/* End a request that was cancelled. */
static void
tokenize_cancelled(struct request *r)
{
	json_t	*m = json_object();

	msg_set_string(m, "stop", "cancelled");
	request_done(r, m);
}

/* End a request with the engine's answer. */
static void
tokenize_answer(struct request *r, json_t *msg)
{
	json_t	*m, *ids;

	if (msg == NULL)
		tokenize_lost(r);
	else if (strcmp(msg_string(msg, "event"), "done") == 0) {
		m = msg_event("done", -1);
		ids = json_object_get(msg, "ids");
		msg_set_int(m, "count", (int64_t)json_array_size(ids));
		msg_set(m, "ids", json_incref(ids));
		request_done(r, m);
	} else if (strcmp(msg_string(msg, "code"), "cancelled") == 0)
		tokenize_cancelled(r);
	else
		request_error(r, json_copy(msg));
}

/* The engine has answered. If it was lost, the waiting requests end as well. */
static void
tokenize_answered(void *arg, json_t *msg)
{
	struct tokenize	*t = arg;
	struct chatd	*d = t->request->d;
	const uid_t	 uid = t->request->uid;

	if (msg != NULL)
		budget_charge(d->budget, uid, helper_since(t->slot->helper));
	else if (t->slot == d->engine &&
	    helper_state(t->slot->helper) != HELPER_READY) {
		while ((arg = ahead_waiting(d->tokenizes, uid)) != NULL)
			tokenize_lost(tokenize_free(arg));
	}
	tokenize_answer(tokenize_free(t), msg);
}

/* The client cancelled, or disconnected. */
static void
tokenize_stop(struct request *r)
{
	struct tokenize	*t = r->arg;
	json_t		*m;

	if (t->text != NULL) {
		tokenize_cancelled(tokenize_free(t));
		return;
	}
	m = msg_op("cancel", -1);
	msg_set_int(m, "request", t->engine_req);
	helper_notify(t->slot->helper, m);
}

/* Answer a request with the ids of a text. */
void
tokenize_new(struct request *r, const char *text)
{
	struct tokenize	*t = xcalloc(1, sizeof *t);

	t->request = r;
	t->text = xstrdup(text);
	r->arg = t;
	r->stop = tokenize_stop;
	ahead_enter(r->d->tokenizes, &t->job, r->uid, 1, tokenize_go, t);
}

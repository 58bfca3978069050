/*
 * The ids of a text, from the engine.  An account has few texts there at once;
 * its others wait here, in the order they came, so that what one account sends
 * takes bounded room in the engine and in the answers that wait to be read.
 */
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "xmalloc.h"

#define TOKENIZE_AHEAD		2	/* texts of an account in the engine */
#define TOKENIZE_WAIT_MS	5000	/* for an engine that is not up yet */

struct tokenize {
	TAILQ_ENTRY(tokenize)	 entry;
	struct request		*request;	/* ours to end */
	char			*text;		/* owned; NULL: it is sent */
	int64_t			 engine_req;	/* then */
};

static const struct helper_kind tokenize_kind = { "tokenize", NULL, 0 };

static void	tokenize_answered(void *, json_t *);

/* Send a text. */
static void
tokenize_send(struct tokenize *t)
{
	struct request	*r = t->request;
	json_t		*m = msg_op("tokenize", -1);

	msg_set_string(m, "text", t->text);
	msg_set_int(m, "group", r->uid);
	free(t->text);
	t->text = NULL;
	t->engine_req = helper_request(r->d->engine, &tokenize_kind, m,
	    TOKENIZE_WAIT_MS, (int)r->d->config->engine_timeout,
	    tokenize_answered, t);
	helper_alone(r->d->engine, t->engine_req);
}

/* Take it off the list and release it; its request is to be ended. */
static struct request *
tokenize_free(struct tokenize *t)
{
	struct request	*r = t->request;

	TAILQ_REMOVE(&r->d->tokenizes, t, entry);
	free(t->text);
	free(t);
	r->stop = NULL;
	return (r);
}

/* End a request that the engine was lost under, or never came up for. */
static void
tokenize_lost(struct request *r)
{
	request_fail(r, "engine_unavailable", "the engine did not answer");
}

/* Send the next texts of an account; lost: they have no engine either. */
static void
tokenize_next(struct chatd *d, uid_t uid, int lost)
{
	struct tokenize	*t, *next;
	int64_t		 ms = lost ? 0 : budget_wait(d->budget, uid);
	int		 n = 0;

	if (ms > 0) {
		budget_later(d->budget, ms);
		return;
	}
	for (t = TAILQ_FIRST(&d->tokenizes); t != NULL; t = next) {
		next = TAILQ_NEXT(t, entry);
		if (t->request->uid != uid)
			continue;
		if (lost && t->text != NULL)
			tokenize_lost(tokenize_free(t));
		else if (!lost && t->text != NULL && n < TOKENIZE_AHEAD)
			tokenize_send(t);
		n++;
	}
}

/* Send what has waited for its account's budget. */
void
tokenize_more(struct chatd *d)
{
	struct tokenize	*t;

	TAILQ_FOREACH(t, &d->tokenizes, entry) {
		if (t->text != NULL)
			tokenize_next(d, t->request->uid, 0);
	}
}

/* End a request whose answer nobody wants. */
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

/* The engine has answered. */
static void
tokenize_answered(void *arg, json_t *msg)
{
	struct request	*r = tokenize_free(arg);
	struct chatd	*d = r->d;
	const uid_t	 uid = r->uid;

	tokenize_answer(r, msg);
	if (msg != NULL)
		budget_charge(d->budget, uid, helper_since(d->engine));
	tokenize_next(d, uid, msg == NULL &&
	    helper_state(d->engine) != HELPER_READY);
}

/* The client asked to cancel, or has gone. */
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
	helper_tell(r->d->engine, m);
}

/* Have a text's ids sent. */
void
tokenize_new(struct request *r, const char *text)
{
	struct tokenize	*t = xcalloc(1, sizeof *t);

	t->request = r;
	t->text = xstrdup(text);
	r->arg = t;
	r->stop = tokenize_stop;
	TAILQ_INSERT_TAIL(&r->d->tokenizes, t, entry);
	tokenize_next(r->d, r->uid, 0);
}

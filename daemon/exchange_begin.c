/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The beginning of an exchange: its admission, its turn at the store, and the
 * store's answer. exchange.c continues from there.
 */
#include "exchange_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "clock.h"
#include "xmalloc.h"

#define EXCHANGE_WAIT_MS	5000	/* for a store that is starting */
#define EXCHANGE_ROW		512	/* bytes of a begin without its text */

static const struct helper_kind exchange_kind_begin = { "begin", NULL, 0 };

static void	exchange_begun(void *, json_t *);
static void	exchange_is_begun(struct exchange *, json_t *);

/* Is its conversation not known yet? */
int
exchange_is_hidden(const struct exchange *x)
{
	return (x->kind == EXCHANGE_REGENERATE &&
	    x->state <= EXCHANGE_BEGINNING);
}

/* Is one of that user running in this conversation? */
static int
exchange_in(const struct chatd *d, uid_t uid, int64_t conversation)
{
	const struct exchange	*x;

	TAILQ_FOREACH(x, &d->exchanges, entry) {
		if (x->uid == uid && (x->conversation == conversation ||
		    exchange_is_hidden(x)))
			return (1);
	}
	return (0);
}

/* May this request begin an exchange now? If not, ends the request. */
static int
exchange_admit(struct chatd *d, struct request *r,
    const struct exchange_ask *ask)
{
	const struct exchange	*x;
	struct fault		 f;
	int			 own = 0, here = 0;

	TAILQ_FOREACH(x, &d->exchanges, entry) {
		own += x->uid == r->uid;
		here += x->request->client == r->client;
	}
	if (d->draining)
		request_fail(r, "shutting_down", "chatd is shutting down");
	else if (d->store_failing > 0)
		request_fail(r, "store_unavailable", "the store takes nothing "
		    "at the moment; earlier replies wait for it%s%s",
		    d->store_since != 0 ? ": " : "", d->store_error);
	else if (here >= d->config->requests) {
		refusal_log_note(d, REFUSAL_REQUESTS, r->uid);
		request_fail(r, "busy", "%d requests run on this connection, "
		    "the limit is %lld", here,
		    (long long)d->config->requests);
	} else if (own >= d->config->requests_per_uid) {
		refusal_log_note(d, REFUSAL_REQUESTS_PER_UID, r->uid);
		request_fail(r, "busy", "%d requests of this user are "
		    "running, the limit is %lld", own,
		    (long long)d->config->requests_per_uid);
	} else if (ask->conversation != 0 &&
	    exchange_in(d, r->uid, ask->conversation))
		request_fail(r, "busy", "a reply is being written in "
		    "conversation %lld", (long long)ask->conversation);
	else if (readiness_missing(d, &f) != 0)
		request_fault(r, &f);
	else
		return (1);
	return (0);
}

/* Begin an exchange. */
void
exchange_new(struct chatd *d, struct request *r,
    const struct exchange_ask *ask)
{
	struct exchange	*x;

	if (!exchange_admit(d, r, ask)) {
		json_decref(ask->params);
		return;
	}
	x = xcalloc(1, sizeof *x);
	x->d = d;
	x->request = r;
	x->kind = ask->kind;
	x->uid = r->uid;
	x->group = xstrdup(client_group(r->client));
	x->conversation = ask->conversation;
	x->id = ask->exchange;
	x->topic = ask->topic;
	x->further = ask->further;
	x->text = xstrdup(ask->text);
	x->preprompt = xstrdup(ask->preprompt);
	x->params = ask->params;
	x->given = json_incref(ask->given);
	x->verdicts = json_array();
	x->t_begin = clock_monotonic();
	reply_init(&x->reply);
	snprintf(x->key, sizeof x->key, "%s-%lld", d->boot,
	    (long long)++d->next_key);
	request_lasts(r);
	r->arg = x;
	r->stop = exchange_stop;
	r->pressure = exchange_pressure;
	TAILQ_INSERT_TAIL(&d->exchanges, x, entry);
	d->total++;
	if (d->engine->model == NULL)
		exchange_notice(x, "loading", "the model is still loading");
	else
		exchange_begin(x);
}

/* Return the bytes of the texts that the client sent. */
static size_t
exchange_size(const struct exchange *x)
{
	return ((x->text != NULL ? strlen(x->text) : 0) +
	    (x->preprompt != NULL ? strlen(x->preprompt) : 0));
}

/* It is its turn: send begin to the store. */
static void
exchange_begin_go(void *arg)
{
	struct exchange	*x = arg;

	x->store_req = helper_request(x->d->store, &exchange_kind_begin,
	    exchange_msg_begin(x), EXCHANGE_WAIT_MS,
	    (int)x->d->config->store_timeout, exchange_begun, x);
}

/*
 * Send begin to the store, which must know of every exchange. Long texts of one
 * account are sent one after the other, because other accounts wait while they
 * are written. Parameters that the model can't hold are refused before that, so
 * that nothing of the request is stored.
 */
void
exchange_begin(struct exchange *x)
{
	struct request	*r = x->request;
	struct fault	 f;

	x->slot = slot_use(x->d->engine);
	sampling_fit(x->slot->model, x->given, x->params);
	if (sampling_check(x->slot->model, x->params, &f) != 0) {
		x->d->total--;
		exchange_move(x, EVENT_FORGET);
		exchange_free(x);
		request_fault(r, &f);
		return;
	}
	exchange_move(x, EVENT_BEGIN);
	ahead_enter(x->d->writes, &x->beginning, x->uid,
	    EXCHANGE_ROW + exchange_size(x), exchange_begin_go, x);
}

/* End an exchange that the store does not know: there is nothing to keep. */
void
exchange_refuse(struct exchange *x, const char *code, const char *message)
{
	struct request	*r = x->request;

	exchange_move(x, EVENT_FORGET);
	exchange_free(x);
	request_fail(r, code, "%s", message);
}

/* Count the exchanges that wait for the engine before this one. */
static int
exchange_place(const struct exchange *x)
{
	const struct exchange	*y;
	int			 n = 0;

	TAILQ_FOREACH(y, &x->d->exchanges, entry) {
		if (y == x)
			break;
		n += y->state == EXCHANGE_QUEUED;
	}
	return (n);
}

/* The store has answered begin: the account's next exchange may begin. */
static void
exchange_begun(void *arg, json_t *msg)
{
	struct exchange	*x = arg;

	budget_charge(x->d->budget, x->uid, helper_since(x->d->store));
	ahead_leave(&x->beginning);
	exchange_is_begun(x, msg);
}

/* Is the pre-prompt the user's own, not the administrator's? */
static int
exchange_own_preprompt(const struct exchange *x)
{
	const char	*ours = x->d->config->preprompt;

	return (x->preprompt != NULL && x->preprompt[0] != '\0' &&
	    (ours == NULL || strcmp(x->preprompt, ours) != 0));
}

/* Is another exchange of the same user running in its conversation? */
static int
exchange_has_company(const struct exchange *x)
{
	const struct exchange	*y;

	TAILQ_FOREACH(y, &x->d->exchanges, entry) {
		if (y != x && y->uid == x->uid && x->conversation != 0 &&
		    y->conversation == x->conversation)
			return (1);
	}
	return (0);
}

/* Take the reply that is continued: its ids, and its parameters with more
 * tokens. */
static void
exchange_take_further(struct exchange *x, const json_t *msg)
{
	json_t	*params = json_object_get(msg, "params");
	json_t	*resume = json_object_get(msg, "resume");

	if (!json_is_object(params) || !json_is_array(resume))
		return;
	json_decref(x->params);
	x->params = json_incref(params);
	json_decref(x->resume);
	x->resume = json_incref(resume);
}

/* The store knows the exchange: send accepted, and start the filters. */
static void
exchange_is_begun(struct exchange *x, json_t *msg)
{
	struct request	*r = x->request;
	struct fault	 f;

	x->store_req = 0;
	if (msg == NULL) {
		exchange_refuse(x, "store_unavailable",
		    readiness_missing(x->d, &f) != 0 ? f.message :
		    "the store did not take the request, try again");
		return;
	}
	readiness_store(x->d, msg);
	if (strcmp(msg_string(msg, "event"), "error") == 0) {
		exchange_move(x, EVENT_FORGET);
		exchange_free(x);
		request_error(r, json_copy(msg));
		return;
	}
	x->conversation = msg_int(msg, "conversation", 0);
	x->id = msg_int(msg, "exchange", 0);
	x->reply_id = msg_int(msg, "reply", 0);
	x->history = json_incref(json_object_get(msg, "history"));
	if (x->kind == EXCHANGE_REGENERATE) {
		x->text = xstrdup(msg_string(msg, "prompt"));
		x->preprompt = xstrdup(msg_string(msg, "preprompt"));
	}
	if (x->further)
		exchange_take_further(x, msg);
	if (x->id == 0 || x->reply_id == 0 || x->text == NULL ||
	    (x->further && x->resume == NULL)) {
		helper_kill(x->d->store, "sent an unsound answer to begin");
		exchange_refuse(x, "store_unavailable",
		    "the store did not take the request, try again");
		return;
	}
	exchange_adapter_choose(x, msg);
	if (x->kind == EXCHANGE_REGENERATE && exchange_has_company(x)) {
		exchange_end(x, "failed", "busy", "another reply is being "
		    "written in this conversation");
		return;
	}
	request_send(r, exchange_msg_accepted(x, exchange_place(x)));
	relay_near(r, msg);
	if (x->cancelled)
		exchange_end(x, "cancelled", NULL, NULL);
	else if (x->d->config->nfilters == 0 &&
	    !x->d->config->judge_enabled)
		exchange_generate(x);
	else {
		x->screening = exchange_own_preprompt(x) ? &x->preprompt :
		    &x->text;
		exchange_screen(x);
	}
}

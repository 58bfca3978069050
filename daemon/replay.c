/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: have the engine write a logged reply again, from what the store has,
 * and compare the tokens.  Nothing is stored or shown.  The same weights,
 * kernels and parameters give the same tokens, so a difference has a reason,
 * and the answer names what has changed.
 */
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "adapters.h"
#include "protocol.h"
#include "relay_impl.h"
#include "replay.h"
#include "xmalloc.h"

#define REPLAY_UID_MAX	1	/* of one user at once */

struct replay {
	TAILQ_ENTRY(replay)	 entry;
	struct chatd		*d;		/* borrowed */
	struct request		*request;	/* borrowed: ended by us; NULL:
						 * it has ended */
	uid_t			 uid;
	json_t			*logged;	/* owned: the store's answer */
	struct slot		*slot;		/* in use; NULL: before the
						 * store has answered */
	int64_t			 engine_req;	/* 0: none */
	size_t			 n;		/* tokens that were equal */
	int64_t			 other;		/* the first other token; -1:
						 * none so far */
	int64_t			 prompt_tokens, dropped;
};
TAILQ_HEAD(replays, replay);

static struct replays	 replay_all = TAILQ_HEAD_INITIALIZER(replay_all);

/* The events of a reply, in order. */
static const struct helper_event replay_writing[] = {
	{ "started", 0, 1 },
	{ "text", 1, 1 },
};
static const struct helper_kind
	replay_kind_generate = { "replay", replay_writing,
	    nitems(replay_writing) },
	replay_kind_store = { "a store read", NULL, 0 };

static void	replay_logged(void *, json_t *);
static void	replay_engine(void *, json_t *);
static void	replay_stop(struct request *);

/* Release it. Its request has ended, or is ended by the caller. */
static void
replay_free(struct replay *p)
{
	json_t	*m;

	if (p->engine_req != 0) {
		helper_forget(p->slot->helper, p->engine_req);
		m = msg_op("cancel", -1);
		msg_set_int(m, "request", p->engine_req);
		helper_notify(p->slot->helper, m);
	}
	slot_leave(p->slot);
	TAILQ_REMOVE(&replay_all, p, entry);
	json_decref(p->logged);
	free(p);
}

/* Begin. */
void
replay_new(struct request *r, json_t *msg)
{
	struct replay	*p;
	int		 n = 0;

	TAILQ_FOREACH(p, &replay_all, entry)
		n += p->uid == r->uid;
	if (n >= REPLAY_UID_MAX) {
		json_decref(msg);
		request_fail(r, "busy", "a replay of this user is running");
		return;
	}
	if (helper_state(r->d->engine->helper) != HELPER_READY) {
		json_decref(msg);
		request_fail(r, "engine_unavailable",
		    "the model is not loaded");
		return;
	}
	if (relay_refused(r, msg))
		return;
	p = xcalloc(1, sizeof *p);
	p->d = r->d;
	p->request = r;
	p->uid = r->uid;
	p->other = -1;
	TAILQ_INSERT_TAIL(&replay_all, p, entry);
	request_lasts(r);
	r->arg = p;
	r->stop = replay_stop;
	helper_request(r->d->store, &replay_kind_store, msg, RELAY_WAIT_MS,
	    (int)r->d->config->store_timeout, replay_logged, p);
}

/* End the request with an error, and release the replay. */
static void
replay_fail(struct replay *p, const char *code, const char *message)
{
	struct request	*r = p->request;

	r->stop = NULL;
	replay_free(p);
	request_fail(r, code, "%s", message);
}

/* The adapter that wrote the logged reply, or NULL. */
static const char *
replay_adapter(const struct replay *p)
{
	return (msg_string(json_object_get(p->logged, "adapter"), "name"));
}

/* Make generate for the engine, as it was for the logged reply. */
static json_t *
replay_generate(const struct replay *p)
{
	const char	*pre = msg_string(p->logged, "preprompt");
	const char	*state = msg_string(p->logged, "state"), *name;
	json_t		*m = msg_op("generate", -1), *messages, *turn, *params;
	json_t		*h;
	const char	*sides[] = { "prompt", "reply" };
	size_t		 i, k;

	if (json_is_null(json_object_get(p->logged, "conversation")))
		msg_set_string(m, "prompt", msg_string(p->logged, "prompt"));
	else {
		messages = json_array();
		json_array_foreach(json_object_get(p->logged, "history"), i,
		    h) {
			for (k = 0; k < nitems(sides); k++) {
				turn = json_object();
				msg_set_string(turn, "role", k == 0 ?
				    "human" : "bot");
				msg_set_string(turn, "text",
				    msg_string(h, sides[k]));
				json_array_append_new(messages, turn);
			}
		}
		turn = json_object();
		msg_set_string(turn, "role", "human");
		msg_set_string(turn, "text", msg_string(p->logged, "prompt"));
		json_array_append_new(messages, turn);
		msg_set(m, "messages", messages);
		if (pre != NULL && pre[0] != '\0') {
			msg_set_string(m, "preprompt", pre);
			msg_set_bool(m, "preprompt_common", 0);
		}
	}
	params = json_copy(json_object_get(p->logged, "params"));
	/* A reply that was cut is compared as far as it goes. */
	if (state == NULL || strcmp(state, "done") != 0)
		msg_set_int(params, "max_tokens", (int64_t)json_array_size(
		    json_object_get(p->logged, "ids")));
	if ((name = replay_adapter(p)) == NULL)
		json_object_del(params, "adapter");
	else
		msg_set_string(params, "adapter", name);
	msg_set(m, "params", params);
	msg_set_int(m, "group", p->uid);
	return (m);
}

/* The store has answered. */
static void
replay_logged(void *arg, json_t *msg)
{
	struct replay	*p = arg;
	struct request	*r = p->request;

	if (r == NULL) {		/* it was cancelled meanwhile */
		replay_free(p);
		return;
	}
	if (relay_ended(r, msg)) {
		r->stop = NULL;
		replay_free(p);
		return;
	}
	p->logged = json_incref(msg);
	if (json_array_size(json_object_get(msg, "ids")) == 0) {
		replay_fail(p, "not_found", "the reply has no tokens: it is "
		    "empty or running, or was redacted");
		return;
	}
	if (helper_state(p->d->engine->helper) != HELPER_READY) {
		replay_fail(p, "engine_unavailable", "the model is not "
		    "loaded");
		return;
	}
	if (replay_adapter(p) != NULL && adapters_digest(p->d->engine->model,
	    replay_adapter(p)) == NULL) {
		replay_fail(p, "not_found", "the variant that wrote the reply "
		    "is not loaded");
		return;
	}
	p->slot = slot_use(p->d->engine);
	p->engine_req = helper_request(p->slot->helper,
	    &replay_kind_generate, replay_generate(p), 0, 0, replay_engine,
	    p);
}

/* Add a reason: a fact that was logged is not the same now. */
static void
replay_differs(json_t *reasons, const char *what, const char *was,
    const char *is)
{
	json_t	*o;

	if (was == NULL || is == NULL || strcmp(was, is) == 0)
		return;
	o = json_object();
	msg_set_string(o, "what", what);
	msg_set_string(o, "was", was);
	msg_set_string(o, "is", is);
	json_array_append_new(reasons, o);
}

/* The same for a number. */
static void
replay_counts(json_t *reasons, const char *what, int64_t was, int64_t is)
{
	char	*a = xasprintf("%lld", (long long)was);
	char	*b = xasprintf("%lld", (long long)is);

	replay_differs(reasons, what, a, b);
	free(a);
	free(b);
}

/* Tell the client how it went. */
static void
replay_end(struct replay *p, const char *stop)
{
	struct request	*r = p->request;
	const json_t	*ids = json_object_get(p->logged, "ids");
	const json_t	*model = json_object_get(p->logged, "model");
	const char	*state = msg_string(p->logged, "state");
	const char	*was = msg_string(p->logged, "stop");
	json_t		*m = msg_event("done", -1), *reasons = json_array();
	char		*build = exchange_build(p->slot->model);
	size_t		 n = json_array_size(ids);
	int		 whole, same;

	/* Only a reply that was not cut has the same end. */
	whole = state != NULL && strcmp(state, "done") == 0;
	same = p->other == -1 && p->n == n && (!whole || stop == NULL ||
	    was == NULL || strcmp(stop, was) == 0);
	msg_set_int(m, "exchange", msg_int(p->logged, "exchange", 0));
	msg_set_int(m, "reply", msg_int(p->logged, "reply", 0));
	msg_set_bool(m, "identical", same);
	msg_set_int(m, "tokens", (int64_t)n);
	if (!same) {
		msg_set_int(m, "at", (int64_t)p->n);
		if (p->n < n)
			msg_set(m, "was", json_incref(json_array_get(ids,
			    p->n)));
		if (p->other != -1)
			msg_set_int(m, "is", p->other);
	}
	replay_differs(reasons, "model", msg_string(model, "digest"),
	    msg_string(p->slot->model, "digest"));
	replay_differs(reasons, "precision", msg_string(model, "precision"),
	    msg_string(p->slot->model, "precision"));
	if (r->operator)	/* users do not see the variant */
		replay_differs(reasons, "adapter", msg_string(json_object_get(
		    p->logged, "adapter"), "digest"), adapters_digest(
		    p->slot->model, replay_adapter(p)));
	replay_differs(reasons, "build", msg_string(p->logged, "build"),
	    build);
	replay_counts(reasons, "prompt_tokens", msg_int(p->logged,
	    "prompt_tokens", 0), p->prompt_tokens);
	replay_counts(reasons, "dropped", msg_int(p->logged, "dropped", 0),
	    p->dropped);
	if (p->other == -1 && p->n == n && whole)
		replay_differs(reasons, "stop", was, stop);
	free(build);
	msg_set(m, "differs", reasons);
	r->stop = NULL;
	replay_free(p);
	request_done(r, m);
}

/* Compare new tokens. Returns 0, or -1 if the event is unsound. */
static int
replay_compare(struct replay *p, const json_t *more)
{
	const json_t	*ids = json_object_get(p->logged, "ids"), *v;
	size_t		 i;

	if (!json_is_array(more))
		return (-1);
	json_array_foreach(more, i, v) {
		if (!json_is_integer(v))
			return (-1);
		if (p->n >= json_array_size(ids) ||
		    json_integer_value(json_array_get(ids, p->n)) !=
		    json_integer_value(v)) {
			p->other = json_integer_value(v);
			return (0);
		}
		p->n++;
	}
	return (0);
}

/* The engine has refused it. If another model made the reply, that may be
 * why. */
static void
replay_refused(struct replay *p, const char *code, const char *text)
{
	const char	*was = msg_string(json_object_get(p->logged, "model"),
			    "digest");
	const char	*is = msg_string(p->slot->model, "digest");
	char		*why;

	if (was == NULL || is == NULL || strcmp(was, is) == 0) {
		replay_fail(p, code, text);
		return;
	}
	why = xasprintf("another model made the reply (%s; now %s serves): %s",
	    was, is, text);
	replay_fail(p, code, why);
	free(why);
}

/* Handle an event of the engine. */
static void
replay_engine(void *arg, json_t *msg)
{
	struct replay	*p = arg;
	const char	*event, *text, *code;

	if (msg == NULL) {
		p->engine_req = 0;
		replay_fail(p, "engine_lost", "the engine died during the "
		    "replay, try again");
		return;
	}
	event = msg_string(msg, "event");
	if (strcmp(event, "started") == 0) {
		p->prompt_tokens = msg_int(msg, "prompt_tokens", 0);
		p->dropped = msg_int(msg, "dropped", 0);
	} else if (strcmp(event, "text") == 0) {
		if (replay_compare(p, json_object_get(msg, "ids")) != 0)
			helper_kill(p->slot->helper, "sent an unsound text "
			    "event");
		else if (p->other != -1)
			replay_end(p, NULL);
	} else if (strcmp(event, "done") == 0) {
		p->engine_req = 0;
		replay_end(p, msg_string(msg, "stop"));
	} else {
		p->engine_req = 0;
		text = msg_string(msg, "message");
		code = msg_string(msg, "code");
		replay_refused(p, code != NULL &&
		    strcmp(code, "context_full") == 0 ? "context_full" :
		    "engine_lost", text != NULL ? text :
		    "the engine refused the request");
	}
}

/* The client cancelled, or disconnected. The store's answer still comes. */
static void
replay_stop(struct request *r)
{
	struct replay	*p = r->arg;
	json_t		*m = msg_event("done", -1);

	p->request = NULL;
	if (p->logged != NULL)
		replay_free(p);
	msg_set_string(m, "stop", "cancelled");
	request_done(r, m);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One exchange from start to end: begun in the store, screened by the filters,
 * written by the engine, judged while it grows, committed, and only then
 * acknowledged. The exchange*.c files alone decide the order.
 *
 * exchange_impl.h has the states and exchange_state.c the events. The first
 * steps are in exchange_begin.c. An exchange waits for at most one of store and
 * filter at a time; the engine may go on writing while the filters judge
 * earlier text.
 */
#include "exchange_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "judge.h"
#include "log.h"
#include "xmalloc.h"

#define EXCHANGE_REPLY_MAX (16 * 1024 * 1024) /* bytes of a reply's text */
#define EXCHANGE_RETRY_MS	500	/* between tries to store a reply */

/* The events of a reply, in order. A cancelled reply may end before
 * "started". */
static const struct helper_event exchange_writing[] = {
	{ "started", 0, 1 },
	{ "text", 1, 1 },
};
static const struct helper_kind
	exchange_kind_generate = { "generate", exchange_writing,
	    nitems(exchange_writing) },
	exchange_kind_finish = { "finish", NULL, 0 };

static void	exchange_screened(void *, const struct verdict *);
static void	exchange_classified(void *, const json_t *, const char *);
static void	exchange_engine(void *, json_t *);
static void	exchange_check(struct exchange *);
static void	exchange_checked(void *, const struct verdict *);
static void	exchange_release(struct exchange *);
static void	exchange_committed(void *, json_t *);
static void	exchange_retry(evutil_socket_t, short, void *);

/* Send a notice about the exchange to its client. */
void
exchange_notice(struct exchange *x, const char *code, const char *message)
{
	request_send(x->request, exchange_msg_notice(code, message, 0));
}

/* Drop a verdict that is due. */
static void
exchange_free_judges(struct exchange *x)
{
	judge_free(x->judge);
	modeljudge_free(x->modeljudge);
	json_decref(x->found);
	x->judge = NULL;
	x->modeljudge = NULL;
	x->found = NULL;
}

/* The engine has no more to do for it. */
static void
exchange_leave(struct exchange *x)
{
	slot_leave(x->slot);
	x->slot = NULL;
}

/*
 * Fix the outcome: nothing more is written or shown. If the exchange was begun
 * in the store, its end is stored; otherwise there is nothing to keep.
 */
void
exchange_end(struct exchange *x, const char *outcome, const char *code,
    const char *message)
{
	json_t	*m;

	if (!exchange_allows(x, EVENT_END))
		return;
	if (x->engine_req != 0) {
		helper_forget(x->slot->helper, x->engine_req);
		m = msg_op("cancel", -1);
		msg_set_int(m, "request", x->engine_req);
		helper_notify(x->slot->helper, m);
		x->engine_req = 0;
	}
	exchange_leave(x);
	exchange_free_judges(x);
	exchange_move(x, EVENT_END);
	x->outcome = outcome;
	x->code = code;
	x->message = xstrdup(message);
	exchange_commit(x);
}

/* Release an exchange; its request has ended. */
void
exchange_free(struct exchange *x)
{
	TAILQ_REMOVE(&x->d->exchanges, x, entry);
	if (x->failing)
		x->d->store_failing--;
	if (x->retry != NULL)
		event_free(x->retry);
	ahead_leave(&x->beginning);
	exchange_leave(x);
	exchange_free_judges(x);
	reply_clear(&x->reply);
	json_decref(x->params);
	json_decref(x->given);
	json_decref(x->history);
	json_decref(x->resume);
	json_decref(x->verdicts);
	free(x->group);
	free(x->text);
	free(x->preprompt);
	free(x->message);
	free(x->adapter);
	free(x);
}

/* Send the pre-prompt or the prompt to the filters. */
void
exchange_screen(struct exchange *x)
{
	exchange_move(x, EVENT_SCREEN);
	exchange_free_judges(x);
	x->judge = judge_new(x->d->filters, x->uid, DIRECTION_PROMPT, NULL,
	    exchange_screened, x);
	judge_text(x->judge, *x->screening, strlen(*x->screening), 1);
}

/* Apply the policy to a verdict. Without a verdict, end the exchange. */
static int
exchange_judge(struct exchange *x, enum direction d, const struct verdict *v,
    size_t len, struct judgement *j)
{
	if (v->error == NULL && policy_judge(x->d->config, x->group, d,
	    v->findings, len, j) == 0)
		return (1);
	exchange_end(x, "failed", "filter_unavailable", v->error != NULL ?
	    v->error : "the filter gave no sound verdict");
	return (0);
}

/* End the exchange because the policy blocks a text. */
static void
exchange_block(struct exchange *x, enum direction d, int category)
{
	x->category = vocabulary_categories[category];
	x->blocked = vocabulary_directions[d];
	exchange_end(x, "blocked", "blocked",
	    policy_words(x->d->config, category));
}

/* Redact the screened text as the verdict demands. */
static void
exchange_redact(struct exchange *x, const struct judgement *j)
{
	size_t	 len = strlen(*x->screening), n;
	char	*text;

	if (j->action != ACTION_REDACT)
		return;
	text = policy_redact(j, *x->screening, 0, &len, &n);
	free(*x->screening);
	*x->screening = text;
	if (!x->redacted && !x->preprompt_redacted)
		exchange_notice(x, "redacted", "part of the prompt was "
		    "redacted before the model sees it");
	if (x->screening == &x->text)
		x->redacted = 1;
	else
		x->preprompt_redacted = 1;
}

/* The pre-prompt or the prompt has passed: on to the next step. */
static void
exchange_passed(struct exchange *x)
{
	exchange_free_judges(x);
	if (x->screening == &x->text)
		exchange_generate(x);
	else {
		x->screening = &x->text;
		exchange_screen(x);
	}
}

/* Handle a verdict on the pre-prompt or the prompt: that of the filters, or of
 * the filters and the model that is asked after them. */
static void
exchange_decide(struct exchange *x, const struct verdict *v, int asked)
{
	const size_t		 len = strlen(*x->screening);
	struct judgement	 j;

	if (!exchange_judge(x, DIRECTION_PROMPT, v, len, &j))
		return;
	if (v->final && j.action != ACTION_BLOCK && !asked &&
	    modeljudge_wanted(x->d, v->findings)) {
		judgement_clear(&j);
		x->found = modeljudge_join(v->findings, NULL);
		x->modeljudge = modeljudge_new(x->d, x->uid, *x->screening,
		    len, exchange_classified, x);
		return;
	}
	if (j.action == ACTION_BLOCK || v->final)
		json_array_extend(x->verdicts, j.verdicts);
	if (j.action == ACTION_BLOCK)
		exchange_block(x, DIRECTION_PROMPT, j.category);
	else if (v->final) {
		exchange_redact(x, &j);
		exchange_passed(x);
	}
	judgement_clear(&j);
}

/* Handle a verdict of the filters on the pre-prompt or the prompt. */
static void
exchange_screened(void *arg, const struct verdict *v)
{
	exchange_decide(arg, v, 0);
}

/* Handle the verdict of the model that is asked after the filters. */
static void
exchange_classified(void *arg, const json_t *findings, const char *why)
{
	struct exchange	*x = arg;
	json_t		*all = modeljudge_join(x->found, findings);
	struct verdict	 v = { .findings = all, .final = 1,
			    .settled = strlen(*x->screening) };

	if (findings == NULL && x->d->config->judge_required)
		v.error = why;
	exchange_decide(x, &v, 1);
	json_decref(all);
}

/*
 * Ask the engine to write the reply, or to continue after the text that it
 * wrote before it died. Without an engine the exchange stays queued.
 */
void
exchange_generate(struct exchange *x)
{
	exchange_move(x, EVENT_QUEUE);
	if (x->cancelled) {
		exchange_end(x, "cancelled", NULL, NULL);
		return;
	}
	if (helper_state(x->slot->helper) != HELPER_READY)
		return;
	x->engine_req = helper_request(x->slot->helper,
	    &exchange_kind_generate, exchange_msg_generate(x), 0, 0,
	    exchange_engine, x);
	if (x->paused || (x->request->client != NULL &&
	    client_pressed(x->request->client)))
		exchange_pressure(x->request, 1);
}

/* The engine has died during the exchange. */
static void
exchange_engine_lost(struct exchange *x)
{
	if (++x->deaths > x->d->config->engine_attempts) {
		exchange_end(x, "failed", "engine_lost",
		    "the engine died too often under this request");
		return;
	}
	exchange_move(x, EVENT_LOST);
	if (x->cancelled)
		exchange_end(x, "cancelled", NULL, NULL);
	else
		exchange_notice(x, "engine_restarted",
		    "the engine is being restarted; the reply goes on");
}

/* The engine has begun. */
static void
exchange_started(struct exchange *x, json_t *msg)
{
	json_t	*m;

	exchange_move(x, EVENT_START);
	if (x->t_start == 0)
		x->t_start = clock_monotonic();
	x->prompt_tokens = msg_int(msg, "prompt_tokens", 0);
	m = msg_event("started", -1);
	msg_set_int(m, "prompt_tokens", x->prompt_tokens);
	request_send(x->request, m);
	if (x->dropped != 0 || msg_int(msg, "dropped", 0) <= 0)
		return;
	x->dropped = msg_int(msg, "dropped", 0);
	request_send(x->request, exchange_msg_notice("truncated", "the "
	    "context is full: the oldest messages were left out", x->dropped));
}

/* Return the code of an engine's error, in static storage. An unknown code
 * becomes engine_lost. */
static const char *
exchange_engine_code(const json_t *msg)
{
	static const char *const codes[] = { "context_full", "bad_field",
	    "numeric_error", "busy", "too_long" };
	const char	*code = msg_string(msg, "code");
	size_t		 i;

	for (i = 0; code != NULL && i < nitems(codes); i++) {
		if (strcmp(code, codes[i]) == 0)
			return (codes[i]);
	}
	return ("engine_lost");
}

/* Has the engine written more tokens than requested, or more text than any
 * reply may have? */
static int
exchange_overflows(const struct exchange *x)
{
	size_t	 n = json_array_size(x->reply.ids);

	return ((int64_t)n > msg_int(x->params, "max_tokens", 0) ||
	    x->reply.len > EXCHANGE_REPLY_MAX);
}

/* Handle an event of the engine. */
static void
exchange_engine(void *arg, json_t *msg)
{
	struct exchange	*x = arg;
	const char	*event, *text, *stop;

	if (msg == NULL) {
		x->engine_req = 0;
		exchange_engine_lost(x);
		return;
	}
	event = msg_string(msg, "event");
	if (strcmp(event, "started") == 0)
		exchange_started(x, msg);
	else if (strcmp(event, "text") == 0) {
		exchange_move(x, EVENT_TEXT);
		text = msg_string(msg, "text");
		if (text == NULL || reply_append(&x->reply, text,
		    strlen(text), json_object_get(msg, "ids")) != 0 ||
		    exchange_overflows(x)) {
			helper_kill(x->slot->helper, "sent an unsound text "
			    "event");
			return;
		}
		if (x->t_first == 0 && text[0] != '\0')
			x->t_first = clock_monotonic();
		exchange_check(x);
	} else if (strcmp(event, "done") == 0) {
		x->engine_req = 0;
		stop = msg_string(msg, "stop");
		snprintf(x->stop, sizeof x->stop, "%s",
		    stop != NULL ? stop : "end");
		x->reply.final = 1;
		exchange_leave(x);
		exchange_move(x, EVENT_WRITTEN);
		exchange_check(x);
	} else if (strcmp(event, "error") == 0) {
		x->engine_req = 0;
		text = msg_string(msg, "message");
		exchange_end(x, "failed", exchange_engine_code(msg),
		    text != NULL ? text : "the engine refused the request");
	}
}

/* Have the new text judged. */
static void
exchange_check(struct exchange *x)
{
	struct judgement	 none = { .category = -1 };
	struct reply		*p = &x->reply;

	if (p->settled_final || (p->len == p->settled && !p->final))
		return;
	if (x->judge == NULL &&
	    (x->d->config->nfilters == 0 || p->len == 0)) {
		none.verdicts = json_array();
		reply_judge(p, &none, p->len, p->final);
		exchange_release(x);
		return;
	}
	if (x->judge == NULL)
		x->judge = judge_new(x->d->filters, x->uid, DIRECTION_REPLY,
		    x->text, exchange_checked, x);
	judge_text(x->judge, p->text, p->len, p->final);
}

/* Handle a verdict on the reply. */
static void
exchange_checked(void *arg, const struct verdict *v)
{
	struct exchange		*x = arg;
	struct judgement	 j;

	if (!exchange_judge(x, DIRECTION_REPLY, v, x->reply.len, &j))
		return;
	if (j.action == ACTION_BLOCK) {
		json_array_extend(x->verdicts, j.verdicts);
		exchange_block(x, DIRECTION_REPLY, j.category);
		judgement_clear(&j);
		return;
	}
	exchange_move(x, EVENT_JUDGED);
	reply_judge(&x->reply, &j, v->settled, v->final);
	exchange_release(x);
}

/* Send the settled text. At the end of the reply, store it. */
static void
exchange_release(struct exchange *x)
{
	size_t		 n;
	const char	*piece;
	json_t		*m;

	if ((piece = reply_release(&x->reply, &n)) != NULL) {
		m = msg_event("text", -1);
		msg_set_text(m, "text", piece, n);
		request_send(x->request, m);
	}
	if (x->reply.settled_final) {
		json_array_extend(x->verdicts, x->reply.judgement.verdicts);
		exchange_end(x, strcmp(x->stop, "cancelled") == 0 ?
		    "cancelled" : "done", NULL, NULL);
	} else
		exchange_check(x);
}

/* Send finish to the store: the exchange is over when the store has
 * acknowledged it. */
void
exchange_commit(struct exchange *x)
{
	struct request	*r = x->request;
	json_t		*m;

	if (x->reply_id == 0) {		/* cancelled before it began */
		exchange_move(x, EVENT_FORGET);
		exchange_free(x);
		m = msg_event("done", -1);
		msg_set_string(m, "stop", "cancelled");
		request_done(r, m);
		return;
	}
	x->store_req = helper_request(x->d->store, &exchange_kind_finish,
	    exchange_msg_finish(x), 0, (int)x->d->config->store_timeout,
	    exchange_committed, x);
}

/* Try again until the store has it. Meanwhile no new exchange is admitted. */
static void
exchange_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	exchange_commit(arg);
}

/* Wait a little, then try to store it again. */
static void
exchange_again(struct exchange *x)
{
	struct timeval	 tv = { EXCHANGE_RETRY_MS / 1000,
	    EXCHANGE_RETRY_MS % 1000 * 1000 };

	exchange_move(x, EVENT_AGAIN);
	if (!x->failing) {
		x->failing = 1;
		x->d->store_failing++;
		log_warnx("exchange %lld: not stored yet, trying again",
		    (long long)x->id);
	}
	if (x->retry == NULL)
		x->retry = evtimer_new(x->d->base, exchange_retry, x);
	event_add(x->retry, &tv);
}

/* The store has committed it: acknowledge. */
static void
exchange_committed(void *arg, json_t *msg)
{
	struct exchange	*x = arg;
	struct request	*r = x->request;
	const char	*code;
	json_t		*m;

	x->store_req = 0;
	if (msg != NULL)
		readiness_store(x->d, msg);
	code = msg != NULL ? msg_string(msg, "code") : NULL;
	if (msg == NULL ||
	    (code != NULL && strcmp(code, "store_unavailable") == 0)) {
		exchange_again(x);
		return;
	}
	if (code != NULL)
		log_warnx("exchange %lld: the store refused it: %s",
		    (long long)x->id, msg_string(msg, "message"));
	if (code != NULL && x->code == NULL &&
	    strcmp(code, "not_found") != 0) {	/* and it was not deleted
						 * meanwhile */
		x->code = "store_unavailable";
		x->message = xstrdup("the reply was not stored; the "
		    "service's log says why");
	}
	m = exchange_msg_last(x);
	exchange_move(x, EVENT_STORED);
	exchange_free(x);
	if (strcmp(msg_string(m, "event"), "error") == 0)
		request_error(r, m);
	else
		request_done(r, m);
}

/* The client cancelled, or disconnected. */
void
exchange_stop(struct request *r)
{
	struct exchange	*x = r->arg;
	json_t		*m;

	if (x->cancelled || !exchange_allows(x, EVENT_END))
		return;
	x->cancelled = 1;
	if (x->engine_req != 0) {
		/* The engine ends it at its next step and sends the text that
		 * it held back. A paused reply has no next step, so it is
		 * resumed. */
		m = msg_op("cancel", -1);
		msg_set_int(m, "request", x->engine_req);
		helper_hurry(x->slot->helper, x->engine_req,
		    (int)x->d->config->engine_timeout);
		helper_notify(x->slot->helper, m);
	} else if (x->state != EXCHANGE_HELD && x->store_req == 0)
		exchange_end(x, "cancelled", NULL, NULL);
}

/* The client reads too slowly (high is 1), or has caught up. */
void
exchange_pressure(struct request *r, int high)
{
	struct exchange	*x = r->arg;
	json_t		*m;

	x->paused = high;
	if (x->engine_req == 0)
		return;
	m = msg_op(high ? "pause" : "continue", -1);
	msg_set_int(m, "request", x->engine_req);
	helper_notify(x->slot->helper, m);
}


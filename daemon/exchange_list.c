/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All exchanges at once: when a helper starts or ends, at the end of the
 * service, and for status.
 */
#include "exchange_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "xmalloc.h"

/* An engine is up: send the exchanges that wait for it. */
void
exchange_engine_ready(struct chatd *d, struct slot *s, int changed)
{
	struct exchange	*x, *next;

	for (x = TAILQ_FIRST(&d->exchanges); x != NULL; x = next) {
		next = TAILQ_NEXT(x, entry);
		if (x->state == EXCHANGE_RECEIVED && s == d->engine)
			exchange_begin(x);
		else if (x->slot != s || x->state != EXCHANGE_QUEUED ||
		    x->engine_req != 0)
			continue;
		else if ((changed || exchange_adapter_differs(x)) &&
		    json_array_size(x->reply.ids) > 0)
			exchange_end(x, "failed", "engine_lost",
			    "another model took the engine's place");
		else
			exchange_generate(x);
	}
}

/* An engine can't start: end the exchanges that have not begun, and count a
 * death for those that wait. */
void
exchange_engine_down(struct chatd *d, struct slot *s)
{
	struct exchange	*x, *next;
	char		*lost = xasprintf("the engine does not come back: %s",
			    helper_why(s->helper));

	for (x = TAILQ_FIRST(&d->exchanges); x != NULL; x = next) {
		next = TAILQ_NEXT(x, entry);
		if (x->state == EXCHANGE_RECEIVED && s == d->engine)
			exchange_refuse(x, "engine_unavailable",
			    helper_why(s->helper));
		else if (x->slot == s && x->state == EXCHANGE_QUEUED &&
		    x->engine_req == 0 &&
		    ++x->deaths > d->config->engine_attempts)
			exchange_end(x, "failed", "engine_lost", lost);
	}
	free(lost);
}

/* Count those that a slot has to write. */
int
exchange_count(const struct chatd *d, const struct slot *s)
{
	const struct exchange	*x;
	int			 n = 0;

	TAILQ_FOREACH(x, &d->exchanges, entry)
		n += x->slot == s;
	return (n);
}

/* The store is up: send the requests that it has not acknowledged. */
void
exchange_store_ready(struct chatd *d)
{
	struct exchange	*x;

	TAILQ_FOREACH(x, &d->exchanges, entry) {
		if (x->failing && x->store_req == 0) {
			event_del(x->retry);
			exchange_commit(x);
		}
	}
}

/* Cancel all of them. */
void
exchange_cancel_all(struct chatd *d)
{
	struct exchange	*x, *next;

	for (x = TAILQ_FIRST(&d->exchanges); x != NULL; x = next) {
		next = TAILQ_NEXT(x, entry);
		exchange_stop(x->request);
	}
}

/* Release all of them. */
void
exchange_drop_all(struct chatd *d)
{
	struct exchange	*x;

	while ((x = TAILQ_FIRST(&d->exchanges)) != NULL) {
		if (x->engine_req != 0)
			helper_forget(x->slot->helper, x->engine_req);
		helper_forget(d->store, x->store_req);
		exchange_refuse(x, "shutting_down", "chatd is shutting down");
	}
}

/* Would a deletion remove the conversation or exchange of a running one? */
int
exchange_busy(const struct request *r, int64_t conversation, int64_t exchange)
{
	const struct exchange	*x;

	TAILQ_FOREACH(x, &r->d->exchanges, entry) {
		if ((x->uid == r->uid || r->operator) &&
		    exchange_is_hidden(x))
			return (1);
		if ((x->uid == r->uid || r->operator) &&
		    (conversation != 0 ? x->conversation == conversation :
		    exchange != 0 && x->id == exchange))
			return (1);
	}
	return (0);
}

/* Is a reply being written for an account? */
int
exchange_busy_user(const struct request *r, const char *user)
{
	const struct exchange	*x;
	char			 number[24];

	TAILQ_FOREACH(x, &r->d->exchanges, entry) {
		snprintf(number, sizeof number, "%u", (unsigned)x->uid);
		if (user == NULL ? x->uid == r->uid :
		    strcmp(user, number) == 0 ||
		    strcmp(user, peer_name(x->uid)) == 0)
			return (1);
	}
	return (0);
}

/* List those that the user may know of, for top. */
json_t *
exchange_top(const struct request *r)
{
	const struct exchange	*x;
	json_t			*list = json_array(), *o;
	int64_t			 now = clock_monotonic();

	TAILQ_FOREACH(x, &r->d->exchanges, entry) {
		if (x->uid != r->uid && !r->operator)
			continue;
		o = json_object();
		msg_set_int(o, "exchange", x->id);
		msg_set(o, "conversation", x->conversation != 0 ?
		    json_integer(x->conversation) : json_null());
		msg_set_int(o, "uid", x->uid);
		msg_set_string(o, "user", peer_name(x->uid));
		msg_set_string(o, "state", x->paused ? "paused" :
		    exchange_rules[x->state].name);
		msg_set_int(o, "ms", now - x->t_begin);
		msg_set_int(o, "prompt_tokens", x->prompt_tokens);
		msg_set_int(o, "output_tokens",
		    (int64_t)json_array_size(x->reply.ids));
		msg_set_int(o, "first_ms", x->t_first != 0 ?
		    x->t_first - x->t_begin : 0);
		json_array_append_new(list, o);
	}
	return (list);
}

/* Count them, for status. */
json_t *
exchange_status(const struct chatd *d)
{
	const struct exchange	*x;
	json_t			*o = json_object();
	int			 running = 0, waiting = 0;

	TAILQ_FOREACH(x, &d->exchanges, entry) {
		if (x->state <= EXCHANGE_BEGINNING ||
		    x->state == EXCHANGE_QUEUED)
			waiting++;
		else
			running++;
	}
	msg_set_int(o, "running", running);
	msg_set_int(o, "waiting", waiting);
	msg_set_int(o, "total", d->total);
	return (o);
}

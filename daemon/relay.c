/*
 * Requests that the store answers: passed on, and its events passed back.
 */
#include "chatd.h"

#include <string.h>

#include "xmalloc.h"

#define RELAY_WAIT_MS	5000	/* for a store that is not up yet */

/* A conversation comes as an event for each exchange. */
static const struct helper_event relay_items[] = { { "item", 0, 0 } };
static const struct helper_kind relay_kinds[] = {
	[RELAY_PLAIN] = { "a store operation", NULL, 0 },
	[RELAY_LIST] = { "list", NULL, 0 },
	[RELAY_SHOW] = { "show", relay_items, nitems(relay_items) },
};

static void	relay_plain(void *, json_t *);
static void	relay_list(void *, json_t *);
static void	relay_show(void *, json_t *);

/* Send a request to the store. */
void
relay_store(struct request *r, json_t *msg, enum relay_kind kind)
{
	static helper_cb *const answers[] = {
		[RELAY_PLAIN] = relay_plain,
		[RELAY_LIST] = relay_list,
		[RELAY_SHOW] = relay_show,
	};

	if (kind != RELAY_PLAIN)
		request_weighs(r);
	helper_request(r->d->store, &relay_kinds[kind], msg, RELAY_WAIT_MS,
	    (int)r->d->config->store_timeout, answers[kind], r);
}

/* Deal with what ends every request the same way. Returns 1 if it did. */
static int
relay_ended(struct request *r, json_t *msg)
{
	if (msg == NULL) {
		request_fail(r, "store_unavailable",
		    "the store did not answer, try again");
		return (1);
	}
	if (strcmp(msg_string(msg, "event"), "error") == 0) {
		request_error(r, json_copy(msg));
		return (1);
	}
	return (0);
}

/* done goes through as it is. */
static void
relay_plain(void *arg, json_t *msg)
{
	if (!relay_ended(arg, msg))
		request_done(arg, json_copy(msg));
}

/* The conversations of a list become an item each. */
static void
relay_list(void *arg, json_t *msg)
{
	struct request	*r = arg;
	json_t		*list, *c, *m;
	size_t		 i;

	if (relay_ended(r, msg))
		return;
	list = json_object_get(msg, "conversations");
	json_array_foreach(list, i, c) {
		m = msg_event("item", -1);
		msg_set(m, "conversation", json_incref(c));
		request_send(r, m);
	}
	m = msg_event("done", -1);
	msg_set(m, "more", json_incref(json_object_get(msg, "more")));
	request_done(r, m);
}

/* What was blocked is not shown to its reader later either. */
static void
relay_hide(json_t *exchange)
{
	json_t		*reply;
	const char	*state;
	size_t		 i;

	json_array_foreach(json_object_get(exchange, "replies"), i, reply) {
		state = msg_string(reply, "state");
		if (state == NULL || strcmp(state, "blocked") == 0)
			msg_set_string(reply, "text", "");
	}
}

/* The exchanges of a conversation, one event each. */
static void
relay_show(void *arg, json_t *msg)
{
	struct request	*r = arg;
	json_t		*m;

	if (relay_ended(r, msg))
		return;
	m = json_deep_copy(msg);
	if (strcmp(msg_string(msg, "event"), "item") == 0) {
		if (!r->operator)
			relay_hide(json_object_get(m, "exchange"));
		request_send(r, m);
	} else
		request_done(r, m);
}

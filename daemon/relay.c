/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that read the store (list, show): chatd passes them to the store,
 * and passes the store's events back.
 *
 * chatd asks for a page slice by slice.  At most RELAY_SLICES slices are with
 * the store at once, and accounts take turns.  chatd asks for the next slice
 * of a page only after the client has read the one before.  So neither chatd
 * nor the store holds more than a few slices, and an account with many
 * requests delays only its own.
 */
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "relay_impl.h"
#include "xmalloc.h"

#define RELAY_SLICES	2	/* slices with the store at once: it reads one
				 * while the other is sent */
#define RELAY_ITEMS	200	/* items in a slice: the most that a page may
				 * have */
#define RELAY_PAGE	4096	/* slices of a page: with 64 KiB in each, no
				 * real exchange needs as many */
#define RELAY_LOOKS	65536	/* slices of a page without items: rows that a
				 * filter leaves out, 256 in each */

/* A read that is running. */
struct relay_read {
	TAILQ_ENTRY(relay_read)	 entry;		/* while it waits its turn */
	struct chatd		*d;		/* borrowed */
	struct request		*request;	/* borrowed: ended by us; NULL:
						 * it has ended */
	uid_t			 uid;
	json_t			*msg;		/* owned: the next request */
	int			 items;		/* received of this slice */
	int			 slices;	/* received of this page */
	int			 looks;		/* the same, without items */
	struct relay_account	*account;	/* borrowed: the account whose
						 * list it is in; NULL: with the
						 * store */
};
TAILQ_HEAD(relay_reads, relay_read);

/* The reads of one account that wait. */
struct relay_account {
	TAILQ_ENTRY(relay_account) entry;
	uid_t			 uid;
	struct relay_reads	 reads;		/* owned, in their order */
};
TAILQ_HEAD(relay_accounts, relay_account);

/* Accounts with reads that wait; the one served longest ago comes first. */
static struct relay_accounts relay_turns =
    TAILQ_HEAD_INITIALIZER(relay_turns);
static int	relay_slices;		/* with the store */

/* A row of a list or a conversation is an item. */
static const struct helper_event relay_items[] = { { "item", 0, 0 } };
static const struct helper_kind relay_kind_read =
    { "a store read", relay_items, nitems(relay_items) };

static void	relay_wait(struct relay_read *);
static void	relay_unwait(struct relay_read *);
static struct relay_read *relay_turn(const struct chatd *, int64_t *);
static void	relay_slice(void *, json_t *);
static int	relay_goes_on(struct relay_read *, const json_t *);
static void	relay_item(struct relay_read *, json_t *);
static void	relay_lost(void);
static void	relay_stop(struct request *);
static void	relay_pressure(struct request *, int);

/* Begin a read. */
void
relay_read(struct request *r, json_t *msg)
{
	struct relay_read	*rd;

	if (relay_refused(r, msg))
		return;
	request_weighs(r);
	rd = xcalloc(1, sizeof *rd);
	rd->d = r->d;
	rd->request = r;
	rd->uid = r->uid;
	rd->msg = msg;
	r->arg = rd;
	r->stop = relay_stop;
	r->pressure = relay_pressure;
	relay_wait(rd);
	relay_next(r->d);
}

/* Put a read at the end of its account's list. */
static void
relay_wait(struct relay_read *rd)
{
	struct relay_account	*a;

	TAILQ_FOREACH(a, &relay_turns, entry) {
		if (a->uid == rd->uid)
			break;
	}
	if (a == NULL) {
		a = xcalloc(1, sizeof *a);
		a->uid = rd->uid;
		TAILQ_INIT(&a->reads);
		TAILQ_INSERT_TAIL(&relay_turns, a, entry);
	}
	TAILQ_INSERT_TAIL(&a->reads, rd, entry);
	rd->account = a;
}

/* Remove a read from its account's list, and put the account last. */
static void
relay_unwait(struct relay_read *rd)
{
	struct relay_account	*a = rd->account;

	TAILQ_REMOVE(&a->reads, rd, entry);
	TAILQ_REMOVE(&relay_turns, a, entry);
	if (TAILQ_EMPTY(&a->reads))
		free(a);
	else
		TAILQ_INSERT_TAIL(&relay_turns, a, entry);
	rd->account = NULL;
}

/* The read whose turn it is, among those whose client can take more. If all
 * their accounts have used up their budget, NULL, and *ms is the time until the
 * first of them has budget again. */
static struct relay_read *
relay_turn(const struct chatd *d, int64_t *ms)
{
	struct relay_account	*a;
	struct relay_read	*rd;
	int64_t			 wait;

	TAILQ_FOREACH(a, &relay_turns, entry) {
		wait = budget_wait(d->budget, a->uid);
		TAILQ_FOREACH(rd, &a->reads, entry) {
			if (client_pressed(rd->request->client))
				continue;
			if (wait == 0)
				return (rd);
			if (*ms == 0 || wait < *ms)
				*ms = wait;
		}
	}
	return (NULL);
}

/* Ask the store for slices until RELAY_SLICES are with it. */
void
relay_next(struct chatd *d)
{
	struct relay_read	*rd;
	int64_t			 ms = 0;

	while (relay_slices < RELAY_SLICES &&
	    (rd = relay_turn(d, &ms)) != NULL) {
		relay_unwait(rd);
		relay_slices++;
		rd->items = 0;
		helper_request(d->store, &relay_kind_read,
		    json_copy(rd->msg), RELAY_WAIT_MS,
		    (int)d->config->store_timeout, relay_slice, rd);
	}
	if (relay_slices < RELAY_SLICES && ms > 0)
		budget_later(d->budget, ms);
}

/* The events of one slice. */
static void
relay_slice(void *arg, json_t *msg)
{
	struct relay_read	*rd = arg;
	struct request		*r = rd->request;
	struct chatd		*d = rd->d;
	const uid_t		 uid = rd->uid;
	json_t			*next, *m;

	if (msg != NULL && strcmp(msg_string(msg, "event"), "item") == 0) {
		relay_item(rd, msg);
		budget_charge(d->budget, uid, helper_since(d->store));
		return;
	}
	relay_slices--;
	next = json_object_get(msg, "next");
	if (r != NULL && json_is_object(next) && !relay_goes_on(rd, next)) {
		helper_kill(d->store, "sent an endless page");
		msg = next = NULL;
		r = rd->request;
	}
	if (r != NULL && json_is_object(next)) {
		json_object_update(rd->msg, next);
		relay_wait(rd);
	} else {
		json_decref(rd->msg);
		free(rd);
		if (r != NULL && !relay_ended(r, msg)) {
			m = json_copy(msg);
			json_object_del(m, "next");
			request_done(r, m);
		}
	}
	if (msg == NULL && helper_state(d->store) != HELPER_READY)
		relay_lost();
	relay_next(d);
}

/* Does next bring the page closer to its end? Each slice leaves fewer items to
 * send, or has looked at more rows, or continues with later replies of the same
 * exchange. */
static int
relay_goes_on(struct relay_read *rd, const json_t *next)
{
	int64_t	 limit, left, reply, shown, at, was;

	left = json_integer_value(json_object_get(rd->msg, "limit"));
	shown = json_integer_value(json_object_get(rd->msg, "reply"));
	limit = json_integer_value(json_object_get(next, "limit"));
	reply = json_integer_value(json_object_get(next, "reply"));
	if (limit < 1)
		return (0);
	if (limit != left || reply > shown)
		return (++rd->slices < RELAY_PAGE && limit <= left);
	if (++rd->looks >= RELAY_LOOKS)
		return (0);
	at = msg_int(next, "before", INT64_MAX);
	was = msg_int(rd->msg, "before", INT64_MAX);
	if (at != was)
		return (at < was);
	return (msg_int(next, "after", 0) > msg_int(rd->msg, "after", 0));
}

/* Pass a row on to the client, without the texts of blocked replies unless it
 * is an operator. rd may have been freed when this returns. */
static void
relay_item(struct relay_read *rd, json_t *msg)
{
	json_t		*reply;
	const char	*state;
	size_t		 i;

	if (++rd->items > RELAY_ITEMS) {
		helper_kill(rd->d->store, "sent more than was asked for");
		return;
	}
	if (rd->request == NULL)
		return;
	json_array_foreach(json_object_get(json_object_get(msg, "exchange"),
	    "replies"), i, reply) {
		state = msg_string(reply, "state");
		if (!rd->request->operator &&
		    (state == NULL || strcmp(state, "blocked") == 0))
			msg_set_string(reply, "text", "");
	}
	request_send(rd->request, json_copy(msg));
}

/* The store is lost: end all reads that wait with an error. */
static void
relay_lost(void)
{
	struct relay_account	*a;
	struct relay_read	*rd;
	struct request		*r;

	while ((a = TAILQ_FIRST(&relay_turns)) != NULL) {
		rd = TAILQ_FIRST(&a->reads);
		r = rd->request;
		relay_unwait(rd);
		json_decref(rd->msg);
		free(rd);
		relay_ended(r, NULL);
	}
}

/* The client cancelled, or disconnected. A slice that is with the store counts
 * until it is answered. */
static void
relay_stop(struct request *r)
{
	struct relay_read	*rd = r->arg;
	json_t			*m = msg_event("done", -1);

	rd->request = NULL;
	if (rd->account != NULL) {
		relay_unwait(rd);
		json_decref(rd->msg);
		free(rd);
	}
	msg_set_string(m, "stop", "cancelled");
	request_done(r, m);
}

/* The client reads too slowly (high is 1), or has caught up. */
static void
relay_pressure(struct request *r, int high)
{
	if (!high)
		relay_next(r->d);
}

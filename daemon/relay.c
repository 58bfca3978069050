/*
 * Requests that the store answers: passed on, and its events passed back.
 *
 * A request that reads much (list, show) is asked for slice by slice.  Few
 * slices are with the store at once, taken by turns of accounts, and none is
 * asked for whose client has not read the one before: so neither chatd nor the
 * store holds more than a few slices, and an account that asks for a lot waits
 * for its own requests only.
 */
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "xmalloc.h"

#define RELAY_WAIT_MS	5000	/* for a store that is not up yet */
#define RELAY_SLICES	2	/* with the store at once: one is being read
				 * while another is on its way */
#define RELAY_ITEMS	200	/* in a slice: what a page may have */

/* A read on its way. */
struct relay_read {
	TAILQ_ENTRY(relay_read)	 entry;		/* while it waits its turn */
	struct chatd		*d;		/* borrowed */
	struct request		*request;	/* borrowed: ended by us; NULL:
						 * it has ended */
	uid_t			 uid;
	json_t			*msg;		/* owned: what to ask next */
	int			 items;		/* of this slice, so far */
	struct relay_account	*account;	/* borrowed: in whose list it
						 * is; NULL: with the store */
};
TAILQ_HEAD(relay_reads, relay_read);

/* What one account waits for. */
struct relay_account {
	TAILQ_ENTRY(relay_account) entry;
	uid_t			 uid;
	struct relay_reads	 reads;		/* owned, in their order */
};
TAILQ_HEAD(relay_accounts, relay_account);

/* Those who wait for something; the first has been served the longest ago. */
static struct relay_accounts relay_turns =
    TAILQ_HEAD_INITIALIZER(relay_turns);
static int	relay_slices;		/* with the store */

static const struct helper_kind relay_kind_plain =
    { "a store operation", NULL, 0 };
/* A row of a list or a conversation is an item. */
static const struct helper_event relay_items[] = { { "item", 0, 0 } };
static const struct helper_kind relay_kind_read =
    { "a store read", relay_items, nitems(relay_items) };

static void	relay_plain(void *, json_t *);
static void	relay_deleted(void *, json_t *);
static void	relay_wait(struct relay_read *);
static void	relay_unwait(struct relay_read *);
static struct relay_read *relay_turn(void);
static void	relay_next(struct chatd *);
static void	relay_slice(void *, json_t *);
static void	relay_item(struct relay_read *, json_t *);
static void	relay_lost(void);
static void	relay_stop(struct request *);
static void	relay_pressure(struct request *, int);

/* End a request, and release its message, if the store does not come up. */
static int
relay_refused(struct request *r, json_t *msg)
{
	if (!helper_failing(r->d->store))
		return (0);
	json_decref(msg);
	request_fail(r, "store_unavailable", "the store can't start: %s",
	    helper_why(r->d->store));
	return (1);
}

/* Send a request to the store. */
void
relay_store(struct request *r, json_t *msg)
{
	if (relay_refused(r, msg))
		return;
	helper_request(r->d->store, &relay_kind_plain, msg, RELAY_WAIT_MS,
	    (int)r->d->config->store_timeout, relay_plain, r);
}

/* Send a deletion. */
void
relay_delete(struct request *r, json_t *msg)
{
	if (relay_refused(r, msg))
		return;
	helper_request(r->d->store, &relay_kind_plain, msg, RELAY_WAIT_MS,
	    (int)r->d->config->store_timeout, relay_deleted, r);
}

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

/* Say how much the user may store; operators may store what they like. */
void
relay_quota(const struct request *r, json_t *msg)
{
	const struct config	*cf = r->d->config;

	if (r->operator)
		return;
	msg_set_int(msg, "max_conversations", cf->conversations_per_uid);
	msg_set_int(msg, "max_bytes", cf->bytes_per_uid);
}

/* Tell the user what is nearly used up, if the store's answer says so. */
void
relay_near(struct request *r, const json_t *answer)
{
	const json_t	*near = json_object_get(answer, "near");
	const char	*field = msg_string(near, "field");
	int64_t		 used = msg_int(near, "used", 0);
	int64_t		 limit = msg_int(near, "limit", 0);
	char		*text;
	json_t		*m;

	if (field == NULL)
		return;
	text = xasprintf("%lld of at most %lld %s are stored: delete what "
	    "is not needed", (long long)used, (long long)limit,
	    strcmp(field, "bytes") == 0 ? "bytes" : "conversations");
	m = msg_event("notice", -1);
	msg_set_string(m, "code", "quota_near");
	msg_set_string(m, "message", text);
	msg_set_string(m, "field", field);
	msg_set_int(m, "used", used);
	msg_set_int(m, "limit", limit);
	request_send(r, m);
	free(text);
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

/* done goes through as it is. Each of these requests writes. */
static void
relay_plain(void *arg, json_t *msg)
{
	struct request	*r = arg;
	json_t		*m;

	if (msg != NULL)
		health_store(r->d, msg);
	if (relay_ended(r, msg))
		return;
	relay_near(r, msg);
	m = json_copy(msg);
	json_object_del(m, "near");
	request_done(r, m);
}

/* It is deleted; what operators delete for others is logged. */
static void
relay_deleted(void *arg, json_t *msg)
{
	struct request	*r = arg;
	int64_t		 owner, id;

	if (msg != NULL)
		health_store(r->d, msg);
	if (relay_ended(r, msg))
		return;
	owner = msg_int(msg, "uid", -1);
	id = msg_int(msg, "conversation", 0);
	if (owner != (int64_t)r->uid)
		log_info("uid %u (operator) has deleted %s %lld of uid %lld",
		    (unsigned)r->uid, id != 0 ? "conversation" : "exchange",
		    (long long)(id != 0 ? id : msg_int(msg, "exchange", 0)),
		    (long long)owner);
	request_done(r, NULL);
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

/* Take it out again; its account has had its turn. */
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

/* Whose turn is it, of those whose client can take more? */
static struct relay_read *
relay_turn(void)
{
	struct relay_account	*a;
	struct relay_read	*rd;

	TAILQ_FOREACH(a, &relay_turns, entry) {
		TAILQ_FOREACH(rd, &a->reads, entry) {
			if (!client_pressed(rd->request->client))
				return (rd);
		}
	}
	return (NULL);
}

/* Ask the store for what there is room for. */
static void
relay_next(struct chatd *d)
{
	struct relay_read	*rd;

	while (relay_slices < RELAY_SLICES && (rd = relay_turn()) != NULL) {
		relay_unwait(rd);
		relay_slices++;
		rd->items = 0;
		helper_request(d->store, &relay_kind_read,
		    json_copy(rd->msg), RELAY_WAIT_MS,
		    (int)d->config->store_timeout, relay_slice, rd);
	}
}

/* The events of one slice. */
static void
relay_slice(void *arg, json_t *msg)
{
	struct relay_read	*rd = arg;
	struct request		*r = rd->request;
	struct chatd		*d = rd->d;
	json_t			*next, *m;

	if (msg != NULL && strcmp(msg_string(msg, "event"), "item") == 0) {
		relay_item(rd, msg);
		return;
	}
	relay_slices--;
	next = json_object_get(msg, "next");
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

/* Pass a row on. What was blocked is not shown to its reader later either.
 * rd may be gone when this returns. */
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

/* There is no store: whoever waits is told. */
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

/* The client cancelled, or has gone. What is with the store comes back, and
 * keeps its place among the slices until then. */
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

/* The client has read what it had, or does not keep up. */
static void
relay_pressure(struct request *r, int high)
{
	if (!high)
		relay_next(r->d);
}

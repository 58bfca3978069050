/*
 * Requests of clients that write to the store: passed on, and the answer
 * passed back.  An account has few bytes there at once (STORE_AHEAD), since
 * everybody waits for the transaction that they are written in; what it sends
 * beyond that waits here, in the order it came.
 */
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "relay.h"
#include "xmalloc.h"

#define RELAY_ROW	2048	/* bytes that a row counts for, without its
				 * text: others wait for rows, too */

struct relay_write {
	TAILQ_ENTRY(relay_write) entry;
	struct request		*request;	/* borrowed: ended by us */
	json_t			*msg;		/* owned; NULL: it is sent */
	size_t			 size;		/* bytes that it counts for */
	helper_cb		*answer;	/* relay_plain, relay_deleted */
};

/* Those with the store, and those that wait. */
static TAILQ_HEAD(, relay_write) relay_writes =
    TAILQ_HEAD_INITIALIZER(relay_writes);

static const struct helper_kind relay_kind_write =
    { "a store operation", NULL, 0 };

static void	relay_plain(void *, json_t *);
static void	relay_deleted(void *, json_t *);
static void	relay_written(void *, json_t *);

/* Send what the account may have with the store. */
static void
relay_write_next(struct chatd *d, uid_t uid)
{
	struct relay_write	*w;
	size_t			 ahead = 0;
	json_t			*m;

	TAILQ_FOREACH(w, &relay_writes, entry) {
		if (w->request->uid != uid)
			continue;
		if (ahead > 0 && ahead + w->size > STORE_AHEAD)
			break;
		ahead += w->size;
		if ((m = w->msg) == NULL)
			continue;
		w->msg = NULL;
		helper_request(d->store, &relay_kind_write, m, RELAY_WAIT_MS,
		    (int)d->config->store_timeout, relay_written, w);
	}
}

/* Take one off the list. */
static void
relay_write_free(struct relay_write *w)
{
	TAILQ_REMOVE(&relay_writes, w, entry);
	json_decref(w->msg);
	free(w);
}

/* The client asked to cancel, or has gone. What is with the store is written. */
static void
relay_write_stop(struct request *r)
{
	struct relay_write	*w = r->arg;
	json_t			*m;

	if (w->msg == NULL)
		return;
	relay_write_free(w);
	m = json_object();
	msg_set_string(m, "stop", "cancelled");
	request_done(r, m);
}

/* Let a request wait for its turn. */
static void
relay_write(struct request *r, json_t *msg, helper_cb *answer)
{
	struct relay_write	*w;

	if (relay_refused(r, msg))
		return;
	w = xcalloc(1, sizeof *w);
	w->request = r;
	w->msg = msg;
	w->size = r->size + RELAY_ROW;
	w->answer = answer;
	r->arg = w;
	r->stop = relay_write_stop;
	TAILQ_INSERT_TAIL(&relay_writes, w, entry);
	relay_write_next(r->d, r->uid);
}

/* The store has answered: this one ends, another may be sent. */
static void
relay_written(void *arg, json_t *msg)
{
	struct relay_write	*w = arg;
	struct request		*r = w->request;
	struct chatd		*d = r->d;
	const uid_t		 uid = r->uid;
	helper_cb		*answer = w->answer;

	relay_write_free(w);
	r->stop = NULL;
	if (msg != NULL)
		health_store(d, msg);
	answer(r, msg);
	relay_write_next(d, uid);
}

/* Send a request to the store. */
void
relay_store(struct request *r, json_t *msg)
{
	relay_write(r, msg, relay_plain);
}

/* Send a deletion. */
void
relay_delete(struct request *r, json_t *msg)
{
	relay_write(r, msg, relay_deleted);
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

/* End a request, and release its message, if the store does not come up. */
int
relay_refused(struct request *r, json_t *msg)
{
	if (!helper_failing(r->d->store))
		return (0);
	json_decref(msg);
	request_fail(r, "store_unavailable", "the store can't start: %s",
	    helper_why(r->d->store));
	return (1);
}

/* Deal with what ends every request the same way. Returns 1 if it did. */
int
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
	struct request	*r = arg;
	json_t		*m;

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

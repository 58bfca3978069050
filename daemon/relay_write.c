/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of clients that write to the store. chatd passes them to the store,
 * and passes the answers back. Accounts take turns (ahead.h), because everybody
 * waits for the transaction of a write.
 */
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "ahead.h"
#include "log.h"
#include "relay_impl.h"
#include "xmalloc.h"

#define RELAY_ROW	2048	/* bytes charged for a row in addition to its
				 * text */

struct relay_write {
	struct ahead_job	 job;
	struct request		*request;	/* borrowed: ended by us */
	json_t			*msg;		/* owned; NULL: it is sent */
	helper_cb		*answer;	/* relay_plain, relay_deleted */
};

static const struct helper_kind relay_kind_write =
    { "a store operation", NULL, 0 };

static void	relay_plain(void *, json_t *);
static void	relay_deleted(void *, json_t *);
static void	relay_forgotten(void *, json_t *);
static void	relay_adopted(void *, json_t *);
static void	relay_written(void *, json_t *);

/* Release it and return its request, which the caller must end. The account's
 * next write may then be sent. */
static struct request *
relay_write_free(struct relay_write *w)
{
	struct request	*r = w->request;

	ahead_leave(&w->job);
	json_decref(w->msg);
	free(w);
	r->stop = NULL;
	return (r);
}

/* It is its turn: send it. */
static void
relay_write_go(void *arg)
{
	struct relay_write	*w = arg;
	struct chatd		*d = w->request->d;
	json_t			*m = w->msg;

	w->msg = NULL;
	helper_request(d->store, &relay_kind_write, m, RELAY_WAIT_MS,
	    (int)d->config->store_timeout, relay_written, w);
}

/* The client cancelled, or disconnected. A request that is with the store is
 * still written. */
static void
relay_write_stop(struct request *r)
{
	struct relay_write	*w = r->arg;
	json_t			*m;

	if (w->msg == NULL)
		return;
	m = json_object();
	msg_set_string(m, "stop", "cancelled");
	request_done(relay_write_free(w), m);
}

/* Queue a request. */
static void
relay_write(struct request *r, json_t *msg, helper_cb *answer)
{
	struct relay_write	*w;

	if (relay_refused(r, msg))
		return;
	w = xcalloc(1, sizeof *w);
	w->request = r;
	w->msg = msg;
	w->answer = answer;
	r->arg = w;
	r->stop = relay_write_stop;
	ahead_enter(r->d->writes, &w->job, r->uid, r->size + RELAY_ROW,
	    relay_write_go, w);
}

/* The store has answered. */
static void
relay_written(void *arg, json_t *msg)
{
	struct relay_write	*w = arg;
	helper_cb		*answer = w->answer;
	struct request		*r = relay_write_free(w);

	if (msg != NULL)
		readiness_store(r->d, msg);
	answer(r, msg);
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

/* Send a request to forget what an account has stored. */
void
relay_forget(struct request *r, json_t *msg)
{
	relay_write(r, msg, relay_forgotten);
}

/* Send a request to give an account what is held. */
void
relay_adopt(struct request *r, json_t *msg)
{
	relay_write(r, msg, relay_adopted);
}

/* Add the user's quotas; operators have none. */
void
relay_quota(const struct request *r, json_t *msg)
{
	const struct config	*cf = r->d->config;

	if (r->operator)
		return;
	msg_set_int(msg, "max_conversations", cf->conversations_per_uid);
	msg_set_int(msg, "max_bytes", cf->bytes_per_uid);
}

/* Send the user a notice, if the store's answer says that a quota is nearly
 * used up. */
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

/* End a request, and release its message, if the store fails to start. */
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

/* Handle the answers that end every request. Returns 1 if r has ended. */
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

/* done is passed on unchanged. */
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

/* It is deleted; a deletion by an operator for another user is logged. */
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

/* A part of it is forgotten; what an operator does for others is logged. */
static void
relay_forgotten(void *arg, json_t *msg)
{
	struct request	*r = arg;
	int64_t		 owner;

	if (relay_ended(r, msg))
		return;
	owner = msg_int(msg, "uid", -1);
	if (owner != (int64_t)r->uid)
		log_info("uid %u (operator) has deleted %lld exchanges of "
		    "account %lld", (unsigned)r->uid,
		    (long long)msg_int(msg, "exchanges", 0),
		    (long long)owner);
	request_done(r, json_copy(msg));
}

/* An account has got what was held. */
static void
relay_adopted(void *arg, json_t *msg)
{
	struct request	*r = arg;

	if (relay_ended(r, msg))
		return;
	log_info("uid %u (operator) has given what was held as account %lld "
	    "to account %lld", (unsigned)r->uid,
	    (long long)msg_int(msg, "from", -1),
	    (long long)msg_int(msg, "to", -1));
	request_done(r, json_copy(msg));
}

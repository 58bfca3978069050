/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a helper, and their answers. A request's kind lists the events
 * that may answer it.
 */
#include "helper_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"
#include "json.h"
#include "xmalloc.h"

/* The kind of helper_notify: an answer is expected, but dropped. */
static const struct helper_kind helper_kind_order = { "order", NULL, 0 };

static void	helper_late(evutil_socket_t, short, void *);

/* Release one request. */
static void
helper_req_free(struct helper_req *req)
{
	TAILQ_REMOVE(&req->helper->reqs, req, entry);
	LIST_REMOVE(req, same);
	if (req->deadline != NULL)
		event_free(req->deadline);
	json_decref(req->msg);
	free(req);
}

/*
 * End every request that was sent with NULL. The others wait for the next
 * process, if there will be one. Each search begins anew, because a callback
 * may remove or add requests.
 */
void
helper_lose(struct helper *h)
{
	struct helper_req	*req;
	helper_cb		*cb;
	void			*arg;
	int64_t			 last = h->last_id;

	for (;;) {
		TAILQ_FOREACH(req, &h->reqs, entry) {
			if ((req->msg == NULL || h->retired) &&
			    req->id <= last)
				break;
		}
		if (req == NULL)
			break;
		cb = req->cb;
		arg = req->arg;
		helper_req_free(req);
		if (cb != NULL)
			cb(arg, NULL);
	}
}

/* A request's deadline has passed. */
static void
helper_late(evutil_socket_t fd, short what, void *arg)
{
	struct helper_req	*req = arg;
	struct helper		*h = req->helper;
	helper_cb		*cb = req->cb;
	void			*cb_arg = req->arg;
	int			 sent = req->msg == NULL;

	(void)fd;
	(void)what;
	if (sent && !req->alone) {
		helper_down(h, "hung: a request's deadline passed");
		return;
	}
	if (sent)		/* its answer may still come */
		req->cb = NULL;
	else
		helper_req_free(req);
	if (cb != NULL)
		cb(cb_arg, NULL);
}

/* Set a request's deadline; 0: none. */
static void
helper_due(struct helper_req *req, int ms)
{
	if (req->deadline != NULL)
		event_del(req->deadline);
	if (ms <= 0)
		return;
	if (req->deadline == NULL)
		req->deadline = evtimer_new(req->helper->base, helper_late,
		    req);
	helper_arm(req->deadline, ms);
}

/* Send a request and start its deadline. */
void
helper_send(struct helper *h, struct helper_req *req, json_t *msg)
{
	req->msg = NULL;
	helper_due(req, req->answer_ms);
	conn_send(h->conn, msg);
}

/* Can it be sent requests now? */
int
helper_hears(const struct helper *h)
{
	return (h->state == HELPER_READY && !h->retired);
}

/* Send a request. */
int64_t
helper_request(struct helper *h, const struct helper_kind *kind, json_t *msg,
    int wait_ms, int answer_ms, helper_cb *cb, void *arg)
{
	struct helper_req	*req;

	req = xcalloc(1, sizeof *req);
	req->helper = h;
	req->kind = kind;
	req->id = ++h->last_id;
	req->cb = cb;
	req->arg = arg;
	req->answer_ms = answer_ms;
	msg_set_int(msg, "id", req->id);
	TAILQ_INSERT_TAIL(&h->reqs, req, entry);
	LIST_INSERT_HEAD(&h->by_id[req->id % HELPER_BUCKETS], req, same);
	if (helper_hears(h)) {
		helper_send(h, req, msg);
		return (req->id);
	}
	req->msg = msg;
	helper_due(req, wait_ms);
	return (req->id);
}

/* Send a message whose answer does not matter. */
void
helper_notify(struct helper *h, json_t *msg)
{
	if (helper_hears(h))
		helper_request(h, &helper_kind_order, msg, 0, 0, NULL, NULL);
	else
		json_decref(msg);
}

/* Find a request by id. */
static struct helper_req *
helper_find(struct helper *h, int64_t id)
{
	struct helper_req	*req;

	if (id < 0)
		return (NULL);
	LIST_FOREACH(req, &h->by_id[id % HELPER_BUCKETS], same) {
		if (req->id == id)
			return (req);
	}
	return (NULL);
}

/* A late answer ends only this request. */
void
helper_alone(struct helper *h, int64_t id)
{
	struct helper_req	*req;

	if ((req = helper_find(h, id)) != NULL)
		req->alone = 1;
}

/* The request must end within ms. */
void
helper_hurry(struct helper *h, int64_t id, int ms)
{
	struct helper_req	*req;

	if ((req = helper_find(h, id)) != NULL)
		helper_due(req, ms);
}

/* Drop the answers to a request. */
void
helper_forget(struct helper *h, int64_t id)
{
	struct helper_req	*req;

	if ((req = helper_find(h, id)) == NULL)
		return;
	req->cb = NULL;
	if (req->msg != NULL)
		helper_req_free(req);
}

/* Kill the helper: it sent an event that answers no request. */
void
helper_out_of_turn(struct helper *h, const char *event, const char *why)
{
	char	 text[256];

	snprintf(text, sizeof text, "answered out of turn: \"%.40s\" %s",
	    event, why);
	helper_down(h, text);
}

/* Is this the last event of its request? */
static int
helper_last(const char *event)
{
	return (strcmp(event, "done") == 0 || strcmp(event, "error") == 0);
}

/* May this event come now? Returns NULL and changes the phase, or returns why
 * not. */
static const char *
helper_advance(struct helper_req *req, const char *event, const json_t *msg)
{
	const struct helper_event	*e;
	size_t				 i;

	if (strcmp(event, "error") == 0)
		return (msg_string(msg, "code") != NULL &&
		    msg_string(msg, "message") != NULL ? NULL :
		    "without code or message");
	if (strcmp(event, "done") == 0)
		return (NULL);
	for (i = 0; i < req->kind->nevents; i++) {
		e = &req->kind->events[i];
		if (strcmp(event, e->name) == 0 && req->phase == e->from) {
			req->phase = e->to;
			return (NULL);
		}
	}
	return ("is not due");
}

/* Handle an event that answers a request. */
void
helper_answer(struct helper *h, int64_t id, const char *event, json_t *msg)
{
	struct helper_req	*req = helper_find(h, id);
	helper_cb		*cb;
	void			*cb_arg;
	const char		*wrong;
	char			 why[160];

	if (req == NULL || req->msg != NULL) {
		snprintf(why, sizeof why, "for request %lld, which is not "
		    "open", (long long)id);
		helper_out_of_turn(h, event, why);
		return;
	}
	if ((wrong = helper_advance(req, event, msg)) != NULL) {
		snprintf(why, sizeof why, "for request %lld (%s) %s",
		    (long long)id, req->kind->name, wrong);
		helper_out_of_turn(h, event, why);
		return;
	}
	cb = req->cb;
	cb_arg = req->arg;
	if (helper_last(event))
		helper_req_free(req);
	if (cb != NULL)
		cb(cb_arg, msg);
}

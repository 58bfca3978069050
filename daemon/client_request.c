/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers to a request: events that go to its client, and its end.
 */
#include "client_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd.h"

/* Send an event of a request. */
void
request_send(struct request *r, json_t *msg)
{
	if (r->client == NULL) {
		json_decref(msg);
		return;
	}
	msg_set_int(msg, "id", r->id);
	conn_send(r->client->conn, msg);
}

/* Count the request as one byte more than limits.line, so that client_flow
 * stops reading. */
void
request_weighs(struct request *r)
{
	size_t	 most = (size_t)r->d->config->line + 1;

	if (r->client == NULL || r->size == 0)
		return;
	r->client->brief_bytes += most - r->size;
	r->size = most;
}

/* Stop counting the request among those that stop the reading. */
void
request_lasts(struct request *r)
{
	struct client	*c = r->client;

	if (c == NULL || r->size == 0)
		return;
	c->nbrief--;
	c->brief_bytes -= r->size;
	r->size = 0;
	client_flow(c);
}

/* Remove a request from its client and free it. */
static void
request_free(struct request *r)
{
	struct client	*c = r->client;

	if (c != NULL) {
		TAILQ_REMOVE(&c->requests, r, entry);
		c->nrequests--;
		request_lasts(r);
	}
	free(r);
}

/*
 * A helper's reason may hold a path, which only operators may see. For other
 * users the message is cut before the path, or replaced.
 */
static void
request_hide_path(const struct request *r, json_t *msg)
{
	const char	*text = msg_string(msg, "message"), *path, *end;
	const char	*code = msg_string(msg, "code");

	if (r->operator || text == NULL || code == NULL ||
	    strstr(code, "_unavailable") == NULL ||
	    (path = strchr(text, '/')) == NULL)
		return;
	for (end = path; end > text && strncmp(end, ": ", 2) != 0; end--)
		;
	if (end > text)
		msg_set_text(msg, "message", text, (size_t)(end - text));
	else
		msg_set_string(msg, "message", "not available at the moment; "
		    "an operator can see why");
}

/* Send a request's last event. The callbacks are cleared first, because sending
 * may call pressure, and the operation has finished. */
static void
request_end(struct request *r, const char *event, json_t *msg)
{
	r->stop = NULL;
	r->pressure = NULL;
	msg_set_string(msg, "event", event);
	if (strcmp(event, "error") == 0)
		request_hide_path(r, msg);
	request_send(r, msg);
	request_free(r);
}

/* End a request with success. */
void
request_done(struct request *r, json_t *msg)
{
	request_end(r, "done", msg != NULL ? msg : json_object());
}

/* End a request with an error message made by the caller. */
void
request_error(struct request *r, json_t *msg)
{
	request_end(r, "error", msg);
}

/* End a request with a fault. */
void
request_fault(struct request *r, const struct fault *f)
{
	request_error(r, msg_error(r->id, f));
}

/* End a request with an error code. */
void
request_fail(struct request *r, const char *code, const char *fmt, ...)
{
	struct fault	 f;
	va_list		 ap;
	char		 text[sizeof f.message];

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	fault_set(&f, code, NULL, "%s", text);
	request_fault(r, &f);
}

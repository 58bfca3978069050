/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libchat: a function for each of the common requests.
 */
#include "chat_impl.h"

static int64_t	chat_number(struct chat *, const char *, const char *, int64_t,
		    chat_fn, void *);
static void	chat_page(struct chat_request *, const char *, int64_t,
		    int64_t);

/* Set the fields of a page; 0 leaves one out. */
static void
chat_page(struct chat_request *rq, const char *field, int64_t from,
    int64_t limit)
{
	if (from != 0)
		chat_request_int(rq, field, from);
	if (limit != 0)
		chat_request_int(rq, "limit", limit);
}

/* Send a request with one number. */
static int64_t
chat_number(struct chat *c, const char *op, const char *field, int64_t value,
    chat_fn fn, void *arg)
{
	struct chat_request	*rq = chat_request_new(op);

	chat_request_int(rq, field, value);
	return (chat_send(c, rq, fn, arg));
}

/* Add a message to a conversation. */
int64_t
chat_say(struct chat *c, int64_t conversation, const char *text,
    const char *params, chat_fn fn, void *arg)
{
	struct chat_request	*rq = chat_request_new("say");

	chat_request_string(rq, "text", text);
	if (conversation != 0)
		chat_request_int(rq, "conversation", conversation);
	chat_request_json(rq, "params", params);
	return (chat_send(c, rq, fn, arg));
}

/* Ask for another reply. */
int64_t
chat_regenerate(struct chat *c, int64_t exchange, const char *params,
    chat_fn fn, void *arg)
{
	struct chat_request	*rq = chat_request_new("regenerate");

	chat_request_int(rq, "exchange", exchange);
	chat_request_json(rq, "params", params);
	return (chat_send(c, rq, fn, arg));
}

/* Cancel a request. */
int64_t
chat_cancel(struct chat *c, int64_t id, chat_fn fn, void *arg)
{
	return (chat_number(c, "cancel", "request", id, fn, arg));
}

/* Rate a reply. */
int64_t
chat_rate(struct chat *c, int64_t exchange, int64_t reply, int thumb,
    const char *const *reasons, size_t n_reasons, const char *ideal,
    const char *comment, chat_fn fn, void *arg)
{
	struct chat_request	*rq;

	if (thumb < CHAT_BAD || thumb > CHAT_NEUTRAL)
		return (chat_fail(c, CHAT_ERR_USE, "bad_use", "thumb",
		    "thumb: expected CHAT_GOOD, CHAT_BAD, CHAT_NEUTRAL or 0"));
	rq = chat_request_new("rate");
	chat_request_int(rq, "exchange", exchange);
	if (reply != 0)
		chat_request_int(rq, "reply", reply);
	if (thumb != 0)
		chat_request_int(rq, "thumb", thumb == CHAT_NEUTRAL ? 0 :
		    thumb);
	if (n_reasons > 0)
		chat_request_strings(rq, "reasons", reasons, n_reasons);
	chat_request_string(rq, "ideal", ideal);
	chat_request_string(rq, "comment", comment);
	return (chat_send(c, rq, fn, arg));
}

/* List conversations. */
int64_t
chat_list(struct chat *c, int64_t before, int64_t limit, chat_fn fn,
    void *arg)
{
	struct chat_request	*rq = chat_request_new("list");

	chat_page(rq, "before", before, limit);
	return (chat_send(c, rq, fn, arg));
}

/* Show a conversation. */
int64_t
chat_show(struct chat *c, int64_t conversation, int64_t after, int64_t limit,
    chat_fn fn, void *arg)
{
	struct chat_request	*rq = chat_request_new("show");

	chat_request_int(rq, "conversation", conversation);
	chat_page(rq, "after", after, limit);
	return (chat_send(c, rq, fn, arg));
}

/* Find exchanges. */
int64_t
chat_search(struct chat *c, const char *query, int64_t before, int64_t limit,
    chat_fn fn, void *arg)
{
	struct chat_request	*rq = chat_request_new("search");

	chat_request_string(rq, "query", query);
	chat_page(rq, "before", before, limit);
	return (chat_send(c, rq, fn, arg));
}

/* Export what the user has. */
int64_t
chat_export(struct chat *c, const char *format, chat_fn fn, void *arg)
{
	struct chat_request	*rq = chat_request_new("export");

	chat_request_string(rq, "format", format);
	return (chat_send(c, rq, fn, arg));
}

/* Delete a conversation. */
int64_t
chat_delete(struct chat *c, int64_t conversation, chat_fn fn, void *arg)
{
	return (chat_number(c, "delete", "conversation", conversation, fn,
	    arg));
}

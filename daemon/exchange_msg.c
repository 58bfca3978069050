/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of an exchange to its helpers and to its client.
 */
#include <config.h>
#include "exchange_impl.h"

#include <stdlib.h>
#include <string.h>

#include "adapters.h"
#include "clock.h"
#include "protocol.h"
#include "xmalloc.h"

/* Name what computes a reply. */
char *
exchange_build(const json_t *model)
{
	const char	*device = msg_string(model, "device");
	const char	*isa = msg_string(model, "isa");

	return (xasprintf("chatd %s%s%s%s%s", PACKAGE_VERSION,
	    device != NULL ? ", " : "", device != NULL ? device : "",
	    isa != NULL && isa[0] != '\0' ? ", " : "",
	    isa != NULL ? isa : ""));
}

/* Make begin: a new exchange, or a new reply to an old one. */
json_t *
exchange_msg_begin(const struct exchange *x)
{
	static const char *const kinds[] = { "say", "complete",
	    "regenerate" };
	static const char *const facts[] = { "path", "name", "digest",
	    "precision" };
	json_t	*m = msg_op("begin", -1), *model;
	char	*build = exchange_build(x->slot->model);
	size_t	 i;

	msg_set_string(m, "key", x->key);
	msg_set_int(m, "uid", x->uid);
	msg_set_string(m, "name", peer_name(x->uid));
	msg_set_string(m, "build", build);
	free(build);
	msg_set_string(m, "kind", kinds[x->kind]);
	if (x->kind == EXCHANGE_REGENERATE)
		msg_set_int(m, "exchange", x->id);
	else if (x->conversation != 0)
		msg_set_int(m, "conversation", x->conversation);
	msg_set_string(m, "prompt", x->text);
	msg_set_string(m, "preprompt", x->preprompt);
	msg_set(m, "params", json_incref(x->params));
	msg_set_int(m, "seed", msg_int(x->params, "seed", 0));
	model = json_object();
	for (i = 0; i < nitems(facts); i++)
		msg_set_string(model, facts[i],
		    msg_string(x->slot->model, facts[i]));
	msg_set(m, "model", model);
	if (x->topic)
		msg_set_bool(m, "topic", 1);
	if (x->further) {
		msg_set_bool(m, "continue", 1);
		msg_set(m, "adapters", adapters_known(x->slot->model));
		msg_set_int(m, "context", msg_int(x->slot->model, "context",
		    0));
	}
	msg_set_int(m, "time", clock_wall());
	msg_set_int(m, "history_bytes", HISTORY_BYTES_MAX);
	relay_quota(x->request, m);
	return (m);
}

/* Make accepted: the store knows the exchange. */
json_t *
exchange_msg_accepted(const struct exchange *x, int place)
{
	json_t	*m = msg_event("accepted", -1);

	msg_set_int(m, "exchange", x->id);
	msg_set(m, "conversation", x->conversation != 0 ?
	    json_integer(x->conversation) : json_null());
	msg_set_int(m, "reply", x->reply_id);
	msg_set_int(m, "place", place);
	return (m);
}

/* Make a notice for the client. */
json_t *
exchange_msg_notice(const char *code, const char *message, int64_t dropped)
{
	json_t	*m = msg_event("notice", -1);

	msg_set_string(m, "code", code);
	msg_set_string(m, "message", message);
	if (dropped > 0)
		msg_set_int(m, "dropped", dropped);
	return (m);
}

/* Append one turn of the dialogue, in the engine's form. */
static void
exchange_turn(json_t *messages, const char *role, const char *text)
{
	json_t	*m = json_object();

	msg_set_string(m, "role", role);
	msg_set_string(m, "text", text);
	json_array_append_new(messages, m);
}

/* Make generate: the dialogue or the raw prompt, and the reply so far. */
json_t *
exchange_msg_generate(const struct exchange *x)
{
	const char	*ours;
	json_t		*m, *messages, *h;
	size_t		 i;

	m = msg_op("generate", -1);
	if (x->kind == EXCHANGE_COMPLETE || (x->kind == EXCHANGE_REGENERATE &&
	    x->conversation == 0))
		msg_set_string(m, "prompt", x->text);
	else {
		messages = json_array();
		json_array_foreach(x->history, i, h) {
			exchange_turn(messages, "human",
			    msg_string(h, "prompt"));
			exchange_turn(messages, "bot",
			    msg_string(h, "reply"));
		}
		exchange_turn(messages, "human", x->text);
		msg_set(m, "messages", messages);
		if (x->preprompt != NULL && x->preprompt[0] != '\0') {
			msg_set_string(m, "preprompt", x->preprompt);
			ours = x->d->config->preprompt;
			msg_set_bool(m, "preprompt_common", ours != NULL &&
			    strcmp(x->preprompt, ours) == 0);
		}
	}
	msg_set(m, "params", json_incref(x->params));
	if (json_array_size(x->reply.ids) > 0)
		msg_set(m, "resume", json_copy(x->reply.ids));
	else if (x->resume != NULL) {
		msg_set(m, "resume", json_incref(x->resume));
		msg_set_bool(m, "retell", 1);
	}
	msg_set_int(m, "group", x->uid);
	return (m);
}

/* Make finish: the outcome, as the store keeps it. */
json_t *
exchange_msg_finish(const struct exchange *x)
{
	int64_t	 now = clock_monotonic();
	json_t	*m = msg_op("finish", -1);
	int	 blocked = strcmp(x->outcome, "blocked") == 0;

	msg_set_int(m, "reply", x->reply_id);
	msg_set_string(m, "state", x->outcome);
	msg_set_string(m, "stop", x->stop[0] != '\0' ? x->stop :
	    strcmp(x->outcome, "cancelled") == 0 ? "cancelled" : NULL);
	/* A blocked reply is stored whole, so that people can review the
	 * filters. Any other reply is stored as its reader saw it. */
	msg_set_text(m, "text", blocked ? x->reply.text : x->reply.shown,
	    blocked ? x->reply.len : x->reply.shown_len);
	if (x->redacted)
		msg_set_string(m, "prompt", x->text);
	if (x->preprompt_redacted)
		msg_set_string(m, "preprompt", x->preprompt);
	/* The tokens would spell what the text does not show. */
	msg_set(m, "ids", blocked || reply_is_shown(&x->reply) ?
	    json_incref(x->reply.ids) : json_array());
	msg_set_int(m, "prompt_tokens", x->prompt_tokens);
	msg_set_int(m, "output_tokens",
	    (int64_t)json_array_size(x->reply.ids));
	msg_set_int(m, "dropped", x->dropped);
	msg_set_int(m, "queued_ms", (x->t_start != 0 ? x->t_start : now) -
	    x->t_begin);
	msg_set_int(m, "first_ms", x->t_first != 0 ? x->t_first - x->t_begin :
	    0);
	msg_set_int(m, "total_ms", now - x->t_begin);
	msg_set_string(m, "error", x->code);
	msg_set_int(m, "time", clock_wall());
	msg_set(m, "verdicts", json_incref(x->verdicts));
	exchange_adapter_tell(x, m);
	return (m);
}

/* Make the last event for the client: done or error. */
json_t *
exchange_msg_last(const struct exchange *x)
{
	json_t	*m, *times;

	m = msg_event(x->code != NULL ? "error" : "done", -1);
	msg_set_string(m, "code", x->code);
	msg_set_string(m, "message", x->message);
	msg_set_string(m, "category", x->category);
	msg_set_string(m, "direction", x->blocked);
	msg_set_int(m, "exchange", x->id);
	msg_set(m, "conversation", x->conversation != 0 ?
	    json_integer(x->conversation) : json_null());
	msg_set_int(m, "reply", x->reply_id);
	msg_set(m, "verdicts", policy_shown(x->verdicts));
	if (x->code != NULL)
		return (m);
	msg_set_string(m, "stop", strcmp(x->outcome, "cancelled") == 0 ?
	    "cancelled" : x->stop);
	msg_set_int(m, "prompt_tokens", x->prompt_tokens);
	msg_set_int(m, "output_tokens",
	    (int64_t)json_array_size(x->reply.ids));
	msg_set_int(m, "seed", msg_int(x->params, "seed", 0));
	times = json_object();
	msg_set_int(times, "queued_ms", x->t_start != 0 ?
	    x->t_start - x->t_begin : 0);
	msg_set_int(times, "first_ms", x->t_first != 0 ?
	    x->t_first - x->t_begin : 0);
	msg_set_int(times, "total_ms", clock_monotonic() - x->t_begin);
	msg_set(m, "times", times);
	return (m);
}


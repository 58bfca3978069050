/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of the client protocol: one table, and one function each. A
 * table checks the fields of an operation. The operation then answers at once,
 * or asks a helper (relay.c does that for the store), or begins an exchange.
 */
#include "ops_impl.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "filters.h"
#include "modeljudge.h"
#include "protocol.h"
#include "log.h"
#include "xmalloc.h"

static void	ops_hello(struct request *, struct ops_args *);
static void	ops_say(struct request *, struct ops_args *);
static void	ops_regenerate(struct request *, struct ops_args *);
static void	ops_complete(struct request *, struct ops_args *);
static void	ops_cancel(struct request *, struct ops_args *);
static void	ops_new(struct request *, struct ops_args *);
static void	ops_list(struct request *, struct ops_args *);
static void	ops_show(struct request *, struct ops_args *);
static void	ops_delete(struct request *, struct ops_args *);
static void	ops_tokenize(struct request *, struct ops_args *);
static void	ops_moderate(struct request *, struct ops_args *);
static void	ops_filters(struct request *, struct ops_args *);
static void	ops_status(struct request *, struct ops_args *);
static void	ops_top(struct request *, struct ops_args *);
static void	ops_health(struct request *, struct ops_args *);
static void	ops_export(struct request *, struct ops_args *);
static void	ops_reload(struct request *, struct ops_args *);
static void	ops_rollback(struct request *, struct ops_args *);

#define A(member)	offsetof(struct ops_args, member)
#define NUMBER		1, JSON_INT_MAX
static const struct field ops_hello_fields[] = {
	{ "protocol", FIELD_INT, FIELD_REQUIRED, 0, JSON_INT_MAX,
	    A(protocol) },
	{ "client", FIELD_STRING, 0, 0, 256, A(client) },
};
static const struct field ops_say_fields[] = {
	{ "text", FIELD_STRING, FIELD_REQUIRED, 0, 0, A(text) },
	{ "conversation", FIELD_INT, FIELD_NULLABLE, NUMBER,
	    A(conversation) },
	{ "preprompt", FIELD_STRING, FIELD_NULLABLE, 0, 0, A(preprompt) },
	{ "params", FIELD_OBJECT, FIELD_NULLABLE, 0, 0, A(params) },
	{ "topic", FIELD_BOOL, 0, 0, 0, A(topic) },
};
static const struct field ops_regenerate_fields[] = {
	{ "exchange", FIELD_INT, FIELD_REQUIRED, NUMBER, A(exchange) },
	{ "continue", FIELD_BOOL, 0, 0, 0, A(further) },
	{ "params", FIELD_OBJECT, FIELD_NULLABLE, 0, 0, A(params) },
};
static const struct field ops_complete_fields[] = {
	{ "prompt", FIELD_STRING, FIELD_REQUIRED, 0, 0, A(prompt) },
	{ "params", FIELD_OBJECT, FIELD_NULLABLE, 0, 0, A(params) },
};
static const struct field ops_cancel_fields[] = {
	{ "request", FIELD_INT, FIELD_REQUIRED, 0, JSON_INT_MAX,
	    A(request) },
};
static const struct field ops_new_fields[] = {
	{ "title", FIELD_STRING, FIELD_NULLABLE, 0, 1000, A(title) },
};
static const struct field ops_list_fields[] = {
	{ "kind", FIELD_STRING, FIELD_NULLABLE, 0, 0, A(kind) },
	{ "before", FIELD_INT, FIELD_NULLABLE, NUMBER, A(before) },
	{ "limit", FIELD_INT, 0, 1, OPS_LIST_MAX, A(limit) },
	{ "all", FIELD_BOOL, 0, 0, 0, A(all) },
	OPS_FILTER_FIELDS,
};
static const struct field ops_show_fields[] = {
	{ "conversation", FIELD_INT, FIELD_NULLABLE, NUMBER,
	    A(conversation) },
	{ "exchange", FIELD_INT, FIELD_NULLABLE, NUMBER, A(exchange) },
	{ "after", FIELD_INT, FIELD_NULLABLE, NUMBER, A(after) },
	{ "limit", FIELD_INT, 0, 1, OPS_LIST_MAX, A(limit) },
	OPS_FILTER_FIELDS,
};
static const struct field ops_search_fields[] = {
	{ "query", FIELD_STRING, FIELD_NULLABLE, 0, 1000, A(query) },
	{ "review", FIELD_STRING, FIELD_NULLABLE, 0, 16, A(queue) },
	{ "before", FIELD_INT, FIELD_NULLABLE, NUMBER, A(before) },
	{ "limit", FIELD_INT, 0, 1, OPS_LIST_MAX, A(limit) },
	{ "all", FIELD_BOOL, 0, 0, 0, A(all) },
	OPS_FILTER_FIELDS,
};
static const struct field ops_stats_fields[] = {
	{ "all", FIELD_BOOL, 0, 0, 0, A(all) },
	OPS_FILTER_FIELDS,
};
static const struct field ops_ab_fields[] = {
	{ "any", FIELD_BOOL, 0, 0, 0, A(any) },
	OPS_FILTER_FIELDS,
};
static const struct field ops_delete_fields[] = {
	{ "conversation", FIELD_INT, FIELD_NULLABLE, NUMBER,
	    A(conversation) },
	{ "exchange", FIELD_INT, FIELD_NULLABLE, NUMBER, A(exchange) },
};
static const struct field ops_forget_fields[] = {
	{ "user", FIELD_STRING, FIELD_NULLABLE, 0, 256, A(user) },
	{ "since", FIELD_INT, FIELD_NULLABLE, NUMBER, A(since) },
	{ "until", FIELD_INT, FIELD_NULLABLE, NUMBER, A(until) },
	{ "all", FIELD_BOOL, 0, 0, 0, A(all) },
};
static const struct field ops_replay_fields[] = {
	{ "exchange", FIELD_INT, FIELD_NULLABLE, NUMBER, A(exchange) },
	{ "reply", FIELD_INT, FIELD_NULLABLE, NUMBER, A(reply) },
	{ "sample", FIELD_INT, FIELD_NULLABLE, 1, OPS_LIST_MAX, A(sample) },
	{ "seed", FIELD_INT, FIELD_NULLABLE, NUMBER, A(seed) },
	{ "after", FIELD_INT, FIELD_NULLABLE, NUMBER, A(after) },
	{ "all", FIELD_BOOL, 0, 0, 0, A(all) },
};
static const struct field ops_restore_fields[] = {
	{ "file", FIELD_STRING, FIELD_REQUIRED, 0, 256, A(file) },
};
static const struct field ops_adopt_fields[] = {
	{ "from", FIELD_STRING, FIELD_REQUIRED, 0, 256, A(from) },
	{ "to", FIELD_STRING, FIELD_REQUIRED, 0, 256, A(to) },
};
static const struct field ops_rate_fields[] = {
	{ "exchange", FIELD_INT, FIELD_REQUIRED, NUMBER, A(exchange) },
	{ "reply", FIELD_INT, FIELD_NULLABLE, NUMBER, A(reply) },
	{ "thumb", FIELD_INT, FIELD_NULLABLE, -1, 1, A(thumb) },
	{ "reasons", FIELD_ARRAY, FIELD_NULLABLE, 0, 0, A(reasons) },
	{ "ideal", FIELD_STRING, FIELD_NULLABLE, 0, 0, A(ideal) },
	{ "comment", FIELD_STRING, FIELD_NULLABLE, 0, 0, A(comment) },
	{ "review", FIELD_BOOL, 0, 0, 0, A(review) },
};
static const struct field ops_unrate_fields[] = {
	{ "rating", FIELD_INT, FIELD_REQUIRED, NUMBER, A(rated) },
};
static const struct field ops_tokenize_fields[] = {
	{ "text", FIELD_STRING, FIELD_REQUIRED, 0, 0, A(text) },
};
static const struct field ops_moderate_fields[] = {
	{ "text", FIELD_STRING, FIELD_REQUIRED, 0, 0, A(text) },
	{ "direction", FIELD_STRING, 0, 0, 0, A(direction) },
	{ "prompt", FIELD_STRING, FIELD_NULLABLE, 0, 0, A(prompt) },
	{ "explain", FIELD_BOOL, 0, 0, 0, A(explain) },
};
static const struct field ops_consent_fields[] = {
	{ "consent", FIELD_STRING, FIELD_NULLABLE, 0, 16, A(word) },
	{ "conversation", FIELD_INT, FIELD_NULLABLE, NUMBER,
	    A(conversation) },
};
static const struct field ops_import_fields[] = {
	{ "row", FIELD_STRING, FIELD_REQUIRED, 0, 0, A(word) },
};
static const struct field ops_export_fields[] = {
	{ "format", FIELD_STRING, FIELD_REQUIRED, 0, 0, A(format) },
	{ "all", FIELD_BOOL, 0, 0, 0, A(all) },
	OPS_FILTER_FIELDS,
	{ "split", FIELD_STRING, FIELD_NULLABLE, 0, 64, A(split) },
	{ "heldout", FIELD_INT, 0, 0, 100, A(heldout) },
	{ "consent", FIELD_BOOL, 0, 0, 0, A(consent) },
	{ "bare", FIELD_BOOL, 0, 0, 0, A(bare) },
	{ "sidecar", FIELD_BOOL, 0, 0, 0, A(sidecar) },
	{ "unique", FIELD_BOOL, 0, 0, 0, A(unique) },
	{ "manifest", FIELD_BOOL, 0, 0, 0, A(manifest) },
};

static const struct field ops_reload_fields[] = {
	{ "model", FIELD_STRING, FIELD_NULLABLE, 0, 4096, A(model) },
	{ "check", FIELD_BOOL, 0, 0, 0, A(check) },
};

#define OPS_OPERATOR	0x1	/* operators only */

static const struct op {
	const char		*name;
	unsigned		 flags;
	const struct field	*fields;
	size_t			 nfields;
	void			(*run)(struct request *, struct ops_args *);
} ops_table[] = {
#define FIELDS(f)	f, nitems(f)
	{ "hello", 0, FIELDS(ops_hello_fields), ops_hello },
	{ "say", 0, FIELDS(ops_say_fields), ops_say },
	{ "regenerate", 0, FIELDS(ops_regenerate_fields), ops_regenerate },
	{ "complete", 0, FIELDS(ops_complete_fields), ops_complete },
	{ "cancel", 0, FIELDS(ops_cancel_fields), ops_cancel },
	{ "new", 0, FIELDS(ops_new_fields), ops_new },
	{ "list", 0, FIELDS(ops_list_fields), ops_list },
	{ "show", 0, FIELDS(ops_show_fields), ops_show },
	{ "search", 0, FIELDS(ops_search_fields), ops_search },
	{ "stats", 0, FIELDS(ops_stats_fields), ops_stats },
	{ "ab", OPS_OPERATOR, FIELDS(ops_ab_fields), ops_ab },
	{ "rate", 0, FIELDS(ops_rate_fields), ops_rate },
	{ "unrate", 0, FIELDS(ops_unrate_fields), ops_unrate },
	{ "consent", 0, FIELDS(ops_consent_fields), ops_consent },
	{ "import", OPS_OPERATOR, FIELDS(ops_import_fields), ops_import },
	{ "delete", 0, FIELDS(ops_delete_fields), ops_delete },
	{ "forget", 0, FIELDS(ops_forget_fields), ops_forget },
	{ "replay", 0, FIELDS(ops_replay_fields), ops_replay },
	{ "backup", OPS_OPERATOR, NULL, 0, ops_backup },
	{ "restore", OPS_OPERATOR, FIELDS(ops_restore_fields), ops_restore },
	{ "adopt", OPS_OPERATOR, FIELDS(ops_adopt_fields), ops_adopt },
	{ "tokenize", 0, FIELDS(ops_tokenize_fields), ops_tokenize },
	{ "moderate", 0, FIELDS(ops_moderate_fields), ops_moderate },
	{ "filters", 0, NULL, 0, ops_filters },
	{ "status", 0, NULL, 0, ops_status },
	{ "top", 0, NULL, 0, ops_top },
	{ "health", 0, NULL, 0, ops_health },
	{ "export", 0, FIELDS(ops_export_fields), ops_export },
	{ "reload", OPS_OPERATOR, FIELDS(ops_reload_fields), ops_reload },
	{ "rollback", OPS_OPERATOR, NULL, 0, ops_rollback },
#undef FIELDS
};

/* Carry out one request. */
void
ops_dispatch(struct request *r, json_t *msg)
{
	struct ops_args	 args = { .limit = 50, .heldout = 10,
			    .thumb = OPS_NO_THUMB };
	const struct op	*op;
	const char	*name = msg_string(msg, "op");
	struct fault	 f;
	size_t		 i;

	for (i = 0; name != NULL && i < nitems(ops_table) &&
	    strcmp(ops_table[i].name, name) != 0; i++)
		;
	if (name == NULL || i == nitems(ops_table)) {
		fault_set(&f, "bad_field", "op", name == NULL ?
		    "op: missing, expected the name of an operation" :
		    "op: unknown operation \"%s\"", name);
		request_fault(r, &f);
		return;
	}
	op = &ops_table[i];
	if ((op->flags & OPS_OPERATOR) && !r->operator)
		request_fail(r, "denied", "%s is for operators (root and "
		    "group %s)", name, r->d->config->operators);
	else if (fields_read(msg, op->fields, op->nfields, &args, &f) != 0)
		request_fault(r, &f);
	else
		op->run(r, &args);
}

/* hello: agree on the protocol. */
static void
ops_hello(struct request *r, struct ops_args *a)
{
	json_t	*m;

	if (a->client != NULL)
		log_debug("client: %s uses %s",
		    peer_name(r->uid), a->client);
	if (a->protocol != PROTOCOL_VERSION) {
		request_fail(r, "bad_protocol", "protocol %lld is not "
		    "supported, only %d", (long long)a->protocol,
		    PROTOCOL_VERSION);
		return;
	}
	m = msg_event("done", -1);
	msg_set_int(m, "protocol", PROTOCOL_VERSION);
	request_done(r, m);
}

/* Check a prompt's length. */
int
ops_prompt(struct request *r, const char *field, const char *text,
    struct fault *f)
{
	size_t	 n = text == NULL ? 0 : strlen(text);

	if (n > (size_t)r->d->config->prompt)
		return (fault_set(f, "too_long", field,
		    "%s: %zu bytes, at most %lld are allowed", field, n,
		    (long long)r->d->config->prompt));
	return (0);
}

/* Begin an exchange of any kind. */
static void
ops_exchange(struct request *r, struct exchange_ask *ask, json_t *params,
    const char *field)
{
	struct fault	 f;

	if (ops_prompt(r, field, ask->text, &f) != 0 ||
	    ops_prompt(r, "preprompt", ask->preprompt, &f) != 0 ||
	    sampling_read(r->d->config, params, &ask->params, &f) != 0)
		request_fault(r, &f);
	else if (ask->text != NULL && ask->text[0] == '\0') {
		fault_set(&f, "bad_field", field, "%s: is empty", field);
		json_decref(ask->params);
		request_fault(r, &f);
	} else {
		ask->given = params;
		exchange_new(r->d, r, ask);
	}
}

/* say: the next turn of a conversation. */
static void
ops_say(struct request *r, struct ops_args *a)
{
	struct exchange_ask	 ask = { .kind = EXCHANGE_SAY,
	    .text = a->text, .conversation = a->conversation,
	    .topic = a->topic,
	    .preprompt = a->preprompt != NULL ? a->preprompt :
	    r->d->config->preprompt };

	ops_exchange(r, &ask, a->params, "text");
}

/* regenerate: another reply to the same prompt. */
static void
ops_regenerate(struct request *r, struct ops_args *a)
{
	struct exchange_ask	 ask = { .kind = EXCHANGE_REGENERATE,
	    .exchange = a->exchange, .further = a->further };

	ops_exchange(r, &ask, a->params, "exchange");
}

/* complete: a raw prompt, no conversation. */
static void
ops_complete(struct request *r, struct ops_args *a)
{
	struct exchange_ask	 ask = { .kind = EXCHANGE_COMPLETE,
	    .text = a->prompt };

	ops_exchange(r, &ask, a->params, "prompt");
}

/* cancel: end a running request of this connection. */
static void
ops_cancel(struct request *r, struct ops_args *a)
{
	struct request	*victim = client_find(r->client, a->request);

	if (victim == NULL || victim == r || victim->stop == NULL) {
		request_fail(r, "not_found", "no request %lld is running "
		    "that can be cancelled", (long long)a->request);
		return;
	}
	request_done(r, NULL);
	victim->stop(victim);
}

/* Make a request for the store, with the user's id. admin: an operator may read
 * and change what belongs to others. */
json_t *
ops_to_store(const struct request *r, const char *op, int admin)
{
	json_t	*m = msg_op(op, -1);

	msg_set_int(m, "uid", r->uid);
	msg_set_string(m, "name", peer_name(r->uid));
	if (admin && r->operator)
		msg_set_bool(m, "admin", 1);
	return (m);
}

/* Put the conversation or exchange of the request into m. */
static void
ops_name(json_t *m, const struct ops_args *a)
{
	if (a->conversation > 0)
		msg_set_int(m, "conversation", a->conversation);
	if (a->exchange > 0)
		msg_set_int(m, "exchange", a->exchange);
}

/* new: an empty conversation. */
static void
ops_new(struct request *r, struct ops_args *a)
{
	json_t	*m = ops_to_store(r, "new", 0);

	msg_set_string(m, "title", a->title);
	msg_set_int(m, "time", clock_wall());
	relay_quota(r, m);
	relay_store(r, m);
}

/* list: the user's conversations or raw prompts, or everybody's. */
static void
ops_list(struct request *r, struct ops_args *a)
{
	const int	 refusals = a->kind != NULL &&
			    strcmp(a->kind, "refusal") == 0;
	json_t		*m;

	if ((a->all || refusals) && !r->operator) {
		request_fail(r, "denied", "%s: for operators only",
		    refusals ? "refusal" : "all");
		return;
	}
	m = ops_to_store(r, "list", a->all || refusals);
	msg_set_string(m, "kind", a->kind);
	if (a->before > 0)
		msg_set_int(m, "before", a->before);
	msg_set_int(m, "limit", a->limit);
	ops_filter(m, a);
	relay_read(r, m);
}

/* show: a conversation or an exchange, a page of it. */
static void
ops_show(struct request *r, struct ops_args *a)
{
	json_t	*m = ops_to_store(r, "show", 1);

	ops_name(m, a);
	if (a->after > 0)
		msg_set_int(m, "after", a->after);
	msg_set_int(m, "limit", a->limit);
	ops_filter(m, a);
	relay_read(r, m);
}

/* delete: a conversation or a raw prompt, for good. */
static void
ops_delete(struct request *r, struct ops_args *a)
{
	json_t	*m;

	if (exchange_busy(r, a->conversation, a->exchange)) {
		request_fail(r, "busy", "a reply is being written in %s "
		    "%lld: cancel it first", a->conversation != 0 ?
		    "conversation" : "exchange", (long long)
		    (a->conversation != 0 ? a->conversation : a->exchange));
		return;
	}
	m = ops_to_store(r, "delete", 1);
	ops_name(m, a);
	relay_delete(r, m);
}

/* tokenize: ids of a text. */
static void
ops_tokenize(struct request *r, struct ops_args *a)
{
	struct fault	 f;

	if (ops_prompt(r, "text", a->text, &f) != 0)
		request_fault(r, &f);
	else
		tokenize_new(r, a->text);
}

/* moderate: the verdict of the filters and the policy on a text. */
static void
ops_moderate(struct request *r, struct ops_args *a)
{
	struct fault	 f;
	int		 d = DIRECTION_PROMPT;

	if (a->direction != NULL && (d = vocabulary_find(
	    vocabulary_directions, a->direction)) == -1) {
		vocabulary_fault(&f, "bad_field", "direction",
		    vocabulary_directions, a->direction);
		request_fault(r, &f);
		return;
	}
	if (ops_prompt(r, "text", a->text, &f) != 0 ||
	    ops_prompt(r, "prompt", a->prompt, &f) != 0) {
		request_fault(r, &f);
		return;
	}
	moderate_new(r, (enum direction)d, a->text, a->prompt, a->explain);
}

/* filters: the plugins, in the order in which they judge. */
static void
ops_filters(struct request *r, struct ops_args *a)
{
	json_t	*m = msg_event("done", -1);

	(void)a;
	msg_set(m, "filters", filters_list(r->d->filters, r->operator));
	if (r->operator && r->d->config->judge_enabled)
		msg_set(m, "judge", modeljudge_status(r->d));
	if (r->operator)
		msg_set_int(m, "since", r->d->filters->since);
	request_done(r, m);
}

/* status: the state of everything. */
static void
ops_status(struct request *r, struct ops_args *a)
{
	(void)a;
	request_done(r, status_message(r->d, r->operator));
}

/* top: what runs and waits now. */
static void
ops_top(struct request *r, struct ops_args *a)
{
	(void)a;
	top_new(r);
}

/* health: the state of the service in one word. */
static void
ops_health(struct request *r, struct ops_args *a)
{
	(void)a;
	request_done(r, health_message(r->d, r->operator));
}

/* export: feedback and conversations as lines of a file format. */
static void
ops_export(struct request *r, struct ops_args *a)
{
	struct export_ask	ask = { .format = a->format, .all = a->all,
	    .since = a->since, .until = a->until, .rating = a->rating,
	    .reason = a->reason, .category = a->category, .model = a->model,
	    .user = a->user, .split = a->split, .heldout = a->heldout,
	    .consent = a->consent, .bare = a->bare, .sidecar = a->sidecar,
	    .unique = a->unique, .manifest = a->manifest };

	if ((a->all || a->user != NULL) && !r->operator)
		request_fail(r, "denied", "%s: for operators only",
		    a->all ? "all" : "user");
	else
		exporter_new(r, &ask);
}

/* reload: read chatd.yaml again, and perhaps load another model. */
static void
ops_reload(struct request *r, struct ops_args *a)
{
	struct fault	 f;

	if (a->check && (a->model == NULL || a->model[0] == '/')) {
		reload_check(r->d, r, a->model);
		return;
	}
	if (!a->check && (a->model == NULL || a->model[0] == '/' ||
	    strcmp(a->model, "default") == 0)) {
		reload_new(r->d, r, a->model);
		return;
	}
	fault_set(&f, "bad_field", "model", "model: expected %sa path that "
	    "begins with \"/\", found \"%s\"", a->check ? "" :
	    "\"default\" or ", a->model);
	request_fault(r, &f);
}

/* rollback: load the previous model again. */
static void
ops_rollback(struct request *r, struct ops_args *a)
{
	(void)a;
	reload_back(r->d, r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's operations: a table of names, and a function for each.
 */
#include <config.h>

#include "engine.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "detok.h"
#include "json.h"
#include "protocol.h"
#include "xmalloc.h"

/* The keys of all operations but generate; each uses some of them. */
struct ops_keys {
	const char	*text;		/* borrowed */
	json_t		*ids;		/* borrowed */
	const char	*logits;	/* borrowed */
	const char	*adapter;	/* borrowed */
	int64_t		 request, group, from;
};

struct ops_op {
	const char		*name;
	int			(*run)(struct engine *, int64_t, json_t *,
				    const struct ops_keys *, struct fault *);
	const struct field	*fields;	/* NULL: the op reads them */
	size_t			 n;
};

#define OPS_GROUP \
	{ "group", FIELD_INT, 0, 0, JSON_INT_MAX, \
	    offsetof(struct ops_keys, group) }
static const struct field engine_ops_text[] = {
	{ "text", FIELD_STRING, FIELD_REQUIRED, 0, TEXT_BYTES_MAX,
	    offsetof(struct ops_keys, text) },
	OPS_GROUP
};
static const struct field engine_ops_ids[] = {
	{ "ids", FIELD_ARRAY, FIELD_REQUIRED, 0, 0,
	    offsetof(struct ops_keys, ids) },
};
static const struct field engine_ops_score_keys[] = {
	{ "ids", FIELD_ARRAY, FIELD_REQUIRED, 0, 0,
	    offsetof(struct ops_keys, ids) },
	{ "logits", FIELD_STRING, 0, 0, 0,
	    offsetof(struct ops_keys, logits) },
	{ "from", FIELD_INT, 0, 0, JSON_INT_MAX,
	    offsetof(struct ops_keys, from) },
	{ "adapter", FIELD_STRING, 0, 0, 0,
	    offsetof(struct ops_keys, adapter) },
	OPS_GROUP
};
static const struct field engine_ops_request[] = {
	{ "request", FIELD_INT, FIELD_REQUIRED, 0, JSON_INT_MAX,
	    offsetof(struct ops_keys, request) },
};
static const struct field engine_ops_init_keys[] = {
	{ "model", FIELD_STRING, FIELD_REQUIRED, 0, 0,
	    offsetof(struct engine_options, model) },
	{ "precision", FIELD_STRING, 0, 0, 0,
	    offsetof(struct engine_options, precision) },
	{ "kv_precision", FIELD_STRING, 0, 0, 0,
	    offsetof(struct engine_options, kv_precision) },
	{ "device", FIELD_STRING, 0, 0, 0,
	    offsetof(struct engine_options, device) },
	{ "isa", FIELD_STRING, 0, 0, 0,
	    offsetof(struct engine_options, isa) },
	{ "threads", FIELD_INT, 0, 0, 4096,
	    offsetof(struct engine_options, threads) },
	{ "pin", FIELD_BOOL, 0, 0, 0, offsetof(struct engine_options, pin) },
	{ "context", FIELD_INT, 0, 0, 1 << 20,
	    offsetof(struct engine_options, context) },
	{ "kv_tokens", FIELD_INT, 0, 0, 1 << 30,
	    offsetof(struct engine_options, kv_tokens) },
	{ "batch_tokens", FIELD_INT, 0, 0, 1 << 16,
	    offsetof(struct engine_options, batch_tokens) },
	{ "adapters", FIELD_ARRAY, 0, 0, 0,
	    offsetof(struct engine_options, adapters) },
	{ "version", FIELD_STRING, 0, 0, 64,
	    offsetof(struct engine_options, version) },
};

/* Read an init message. */
int
engine_ops_read_init(json_t *msg, struct engine_options *opt, struct fault *f)
{
	const char	*op = msg_string(msg, "op");
	int		 r;

	if (op == NULL || strcmp(op, "init") != 0)
		return (fault_set(f, "bad_field", "op",
		    "op: expected \"init\" first"));
	r = fields_read(msg, engine_ops_init_keys,
	    nitems(engine_ops_init_keys), opt, f);
	return (r != 0 ? r : init_version("chatd-engine", PACKAGE_VERSION,
	    opt->version, f));
}

/* Answer with an empty done. */
static void
engine_ops_done(struct engine *e, int64_t id)
{
	chan_send(e->ch, msg_event("done", id));
}

/* ping {} */
static int
engine_ops_ping(struct engine *e, int64_t id, json_t *msg,
    const struct ops_keys *k, struct fault *f)
{
	(void)msg;
	(void)k;
	(void)f;
	engine_ops_done(e, id);
	return (0);
}

/* Is there an unfinished request with that id? Then *f is filled. */
static int
engine_ops_taken(const struct engine *e, int64_t id, struct fault *f)
{
	if (!scheduler_has(e->sched, id) && !intake_has(e->intake, id))
		return (0);
	return (fault_set(f, "bad_field", "id",
	    "id: a request with that id has not ended"));
}

/* tokenize {text, group} */
static int
engine_ops_tokenize(struct engine *e, int64_t id, json_t *msg,
    const struct ops_keys *k, struct fault *f)
{
	int	 r;

	if ((r = engine_ops_taken(e, id, f)) != 0)
		return (r);
	return (intake_tokenize(e->intake, id, k->group, msg, k->text, f));
}

/* detokenize {ids} */
static int
engine_ops_detokenize(struct engine *e, int64_t id, json_t *msg,
    const struct ops_keys *k, struct fault *f)
{
	struct idbuf	 ids = { NULL, 0, 0 };
	struct textbuf	 text = { NULL, 0, 0 };
	json_t		*m;
	int		 r;

	(void)msg;
	r = request_ids(k->ids, "ids", e->info.vocab, 0, ENGINE_IDS_MAX,
	    &ids, f);
	if (r == 0) {
		detok_ids(e->tok, ids.id, ids.n, 0, &text);
		m = msg_event("done", id);
		msg_set_text(m, "text", text.n > 0 ? text.s : "", text.n);
		chan_send(e->ch, m);
	}
	idbuf_clear(&ids);
	textbuf_clear(&text);
	return (r);
}

/* score {ids, from, logits, adapter, group} */
static int
engine_ops_score(struct engine *e, int64_t id, json_t *msg,
    const struct ops_keys *k, struct fault *f)
{
	static const char *const	 names[] = { "none", "last", "all" };
	struct idbuf			 ids = { NULL, 0, 0 };
	struct job			*job;
	size_t				 want = SCORE_NONE;
	int				 adapter, r;

	(void)msg;
	if ((r = engine_ops_taken(e, id, f)) != 0 ||
	    (r = lora_find(e, k->adapter, &adapter, f)) != 0)
		return (r);
	if (k->logits != NULL) {
		while (want < nitems(names) &&
		    strcmp(k->logits, names[want]) != 0)
			want++;
		if (want == nitems(names))
			return (fault_set(f, "bad_field", "logits", "logits: "
			    "expected \"none\", \"last\" or \"all\""));
	}
	r = request_ids(k->ids, "ids", e->info.vocab, 1, (size_t)e->context,
	    &ids, f);
	if (r == 0 && (uint64_t)k->from >= ids.n)
		r = fault_set(f, "bad_field", "from", "from: expected less "
		    "than the %zu ids, found %lld", ids.n,
		    (long long)k->from);
	if (r == 0 && want == SCORE_ALL && ids.n * (size_t)e->info.vocab >
	    HELPER_LINE_MAX / SCORE_NUMBER_BYTES)
		r = fault_set(f, "too_long", "logits", "logits: %zu x %d "
		    "numbers do not fit a line", ids.n, e->info.vocab);
	if (r != 0) {
		idbuf_clear(&ids);
		return (r);
	}
	job = xcalloc(1, sizeof *job);
	job->id = id;
	job->group = k->group;
	job->adapter = adapter;
	job->score = score_new(&ids, (size_t)k->from,
	    (enum score_logits)want, e->info.vocab);
	if (scheduler_add(e->sched, job) != 0)
		return (fault_set(f, "busy", NULL, "%d requests are waiting "
		    "already", SCHEDULER_WAITING_MAX));
	return (0);
}

/* generate {messages | prompt | ids, preprompt, params, resume, group} */
static int
engine_ops_generate(struct engine *e, int64_t id, json_t *msg,
    const struct ops_keys *k, struct fault *f)
{
	struct request	*rq;
	int		 r;

	(void)k;
	if ((r = engine_ops_taken(e, id, f)) != 0 ||
	    (r = request_begin(e, msg, &rq, f)) != 0)
		return (r);
	return (intake_generate(e->intake, id, rq, f));
}

/* cancel {request} */
static int
engine_ops_cancel(struct engine *e, int64_t id, json_t *msg,
    const struct ops_keys *k, struct fault *f)
{
	(void)msg;
	(void)f;
	if (!intake_cancel(e->intake, k->request))
		scheduler_cancel(e->sched, k->request);
	engine_ops_done(e, id);
	return (0);
}

/* pause {request} */
static int
engine_ops_pause(struct engine *e, int64_t id, json_t *msg,
    const struct ops_keys *k, struct fault *f)
{
	(void)msg;
	(void)f;
	if (!intake_pause(e->intake, k->request, 1))
		scheduler_pause(e->sched, k->request, 1);
	engine_ops_done(e, id);
	return (0);
}

/* continue {request} */
static int
engine_ops_continue(struct engine *e, int64_t id, json_t *msg,
    const struct ops_keys *k, struct fault *f)
{
	(void)msg;
	(void)f;
	if (!intake_pause(e->intake, k->request, 0))
		scheduler_pause(e->sched, k->request, 0);
	engine_ops_done(e, id);
	return (0);
}

/* stats {} */
static int
engine_ops_stats(struct engine *e, int64_t id, json_t *msg,
    const struct ops_keys *k, struct fault *f)
{
	struct scheduler_stats	 st;
	json_t			*m = msg_event("done", id);

	(void)msg;
	(void)k;
	(void)f;
	scheduler_stats(e->sched, &st);
	msg_set_int(m, "running", st.running);
	msg_set_int(m, "waiting", st.waiting + intake_count(e->intake));
	msg_set_int(m, "kv_blocks", st.kv_blocks);
	msg_set_int(m, "kv_blocks_free", st.kv_blocks_free);
	msg_set_int(m, "kv_bytes", e->info.kv_bytes);
	msg_set_string(m, "kv_precision", e->info.kv_precision);
	msg_set_int(m, "steps", st.steps);
	msg_set_int(m, "tokens_prompt", st.tokens_prompt);
	msg_set_int(m, "tokens_output", st.tokens_output);
	msg_set_int(m, "tokens_reused", st.tokens_reused);
	msg_set_int(m, "preempted", st.preempted);
	chan_send(e->ch, m);
	return (0);
}

#define OPS_KEYS(a) (a), nitems(a)
static const struct ops_op engine_ops_table[] = {
	{ "cancel", engine_ops_cancel, OPS_KEYS(engine_ops_request) },
	{ "continue", engine_ops_continue, OPS_KEYS(engine_ops_request) },
	{ "detokenize", engine_ops_detokenize, OPS_KEYS(engine_ops_ids) },
	{ "generate", engine_ops_generate, NULL, 0 },
	{ "pause", engine_ops_pause, OPS_KEYS(engine_ops_request) },
	{ "ping", engine_ops_ping, engine_ops_request, 0 },
	{ "score", engine_ops_score, OPS_KEYS(engine_ops_score_keys) },
	{ "stats", engine_ops_stats, engine_ops_request, 0 },
	{ "tokenize", engine_ops_tokenize, OPS_KEYS(engine_ops_text) },
};

/* Find an operation and do it. */
static int
engine_ops_run(struct engine *e, int64_t id, json_t *msg, struct fault *f)
{
	struct ops_keys		 k = { 0 };
	const char		*name = msg_string(msg, "op");
	const struct ops_op	*op;
	size_t			 i;
	int			 r;

	if (id < 0)
		return (fault_set(f, "bad_field", "id",
		    "id: expected an integer between 0 and 2^53 - 1"));
	for (i = 0; i < nitems(engine_ops_table); i++) {
		op = &engine_ops_table[i];
		if (name == NULL || strcmp(op->name, name) != 0)
			continue;
		if (op->fields != NULL && (r = fields_read(msg, op->fields,
		    op->n, &k, f)) != 0)
			return (r);
		return (op->run(e, id, msg, &k, f));
	}
	return (fault_set(f, "bad_field", "op", "op: %s is not known",
	    name == NULL ? "none" : name));
}

/* Do the operation of a message. */
void
engine_ops_message(struct engine *e, json_t *msg)
{
	struct fault	 f;
	int64_t		 id = msg_int(msg, "id", -1);

	if (id > JSON_INT_MAX)
		id = -1;
	if (engine_ops_run(e, id, msg, &f) != 0)
		events_error(e, id, &f);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A generate request: reads and checks its message, encodes its prompt piece by
 * piece, and makes the job.
 */
#include "engine.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "dialogue.h"
#include "json.h"
#include "protocol.h"
#include "model.h"
#include "roletag.h"
#include "vocabulary.h"
#include "xmalloc.h"

/* The keys of a generate message. */
struct request_keys {
	json_t		*messages;	/* borrowed, as all below */
	const char	*prompt;
	json_t		*ids;
	const char	*preprompt;
	json_t		*params;
	json_t		*resume;
	int64_t		 group;
	int		 common, retell;
};

struct request {
	const struct engine	*e;		/* borrowed */
	json_t			*msg;		/* a reference: keys point into
						 * it */
	struct request_keys	 keys;
	struct generation_options opt;
	int			 adapter;	/* as in backend_row */
	struct dialogue_turn	*turn;		/* owned */
	/* one of these two; none if the request gives ids */
	struct dialogue_run	*dialogue;	/* owned */
	struct encoding		*encoding;	/* owned */
	struct idbuf		 prompt;	/* so far */
	size_t			 dropped, pre;
};

/* The keys of its params. */
struct request_params {
	double		 temperature, top_p, repetition_penalty;
	int64_t		 top_k, seed, max_tokens;
	json_t		*stop;		/* borrowed */
	int		 ignore_eos;
	const char	*adapter;	/* borrowed */
};

static const struct field request_fields[] = {
	{ "messages", FIELD_ARRAY, 0, 0, 0,
	    offsetof(struct request_keys, messages) },
	{ "prompt", FIELD_STRING, 0, 0, TEXT_BYTES_MAX,
	    offsetof(struct request_keys, prompt) },
	{ "ids", FIELD_ARRAY, 0, 0, 0, offsetof(struct request_keys, ids) },
	{ "preprompt", FIELD_STRING, FIELD_NULLABLE, 0, TEXT_BYTES_MAX,
	    offsetof(struct request_keys, preprompt) },
	{ "params", FIELD_OBJECT, FIELD_NULLABLE, 0, 0,
	    offsetof(struct request_keys, params) },
	{ "resume", FIELD_ARRAY, FIELD_NULLABLE, 0, 0,
	    offsetof(struct request_keys, resume) },
	{ "retell", FIELD_BOOL, 0, 0, 0,
	    offsetof(struct request_keys, retell) },
	{ "group", FIELD_INT, 0, 0, JSON_INT_MAX,
	    offsetof(struct request_keys, group) },
	{ "preprompt_common", FIELD_BOOL, 0, 0, 0,
	    offsetof(struct request_keys, common) },
};

#define REQUEST_FIELD(name, type, min, max, dflt, bound) \
	{ #name, FIELD_##type, \
	    FIELD_##type == FIELD_ARRAY ? FIELD_NULLABLE : 0, min, max, \
	    offsetof(struct request_params, name) },
#define REQUEST_DEFAULT(name, type, min, max, dflt, bound) \
	.name = REQUEST_##type(dflt),
#define REQUEST_REAL(dflt)	strtod(dflt, NULL)
#define REQUEST_INT(dflt)	strtoll(dflt, NULL, 10)

/* The greatest value of a parameter that the model can hold. */
static double
request_max(const struct engine *e, const struct vocabulary_param *p)
{
	if (p->bound == NULL)
		return (p->max);
	return (strcmp(p->bound, "context") == 0 ? e->context :
	    e->info.vocab);
}

/* Read params into opt. */
static int
request_params(const struct engine *e, json_t *obj,
    struct request_params *p, struct fault *f)
{
	struct field	 fields[] = { VOCABULARY_PARAMS(REQUEST_FIELD) };
	size_t		 i;

	for (i = 0; i < nitems(fields); i++)
		fields[i].max = request_max(e, &vocabulary_params[i]);
	*p = (struct request_params){ VOCABULARY_DEFAULTS(REQUEST_DEFAULT) };
	if (p->max_tokens > e->context)
		p->max_tokens = e->context;
	if (p->top_k > e->info.vocab)
		p->top_k = 0;
	if (obj == NULL)
		return (0);
	return (fields_read(obj, fields, nitems(fields), p, f));
}

/* Read the stop strings into opt. */
static int
request_stops(const json_t *array, struct generation_options *opt,
    struct fault *f)
{
	const char	*s;
	size_t		 i, n;
	json_t		*v;

	if (json_array_size(array) > PARAM_STOPS_MAX)
		return (fault_set(f, "bad_field", "stop", "stop: at most %d "
		    "strings", PARAM_STOPS_MAX));
	json_array_foreach(array, i, v) {
		s = json_string_value(v);
		n = json_string_length(v);
		if (s == NULL || n < 1 || n > PARAM_STOP_MAX)
			return (fault_set(f, "bad_field", "stop", "stop: "
			    "expected strings of 1 to %d bytes",
			    PARAM_STOP_MAX));
		memcpy(opt->stop[opt->stops++], s, n + 1);
	}
	return (0);
}

/* Read all options of the reply. */
static int
request_options(const struct engine *e, const struct request_keys *rq,
    struct generation_options *opt, int *adapter, struct fault *f)
{
	struct request_params	 p;
	int			 r;

	memset(opt, 0, sizeof *opt);
	if ((r = request_params(e, rq->params, &p, f)) != 0 ||
	    (r = request_stops(p.stop, opt, f)) != 0 ||
	    (r = lora_find(e, p.adapter, adapter, f)) != 0)
		return (r);
	opt->sampler = (struct sampler_params){ p.temperature, (int)p.top_k,
	    p.top_p, p.repetition_penalty, (uint64_t)p.seed };
	opt->max_tokens = (int)p.max_tokens;
	opt->ignore_eos = p.ignore_eos;
	if (rq->messages != NULL) {
		strcpy(opt->stop[opt->stops++], ROLETAG_HUMAN);
		opt->trim = 1;
		opt->repeats = !opt->ignore_eos;
	}
	return (0);
}

/* Read an array of ids. */
int
request_ids(const json_t *array, const char *key, int vocab, size_t min,
    size_t max, struct idbuf *out, struct fault *f)
{
	json_t		*v;
	size_t		 i;
	json_int_t	 id;

	if (json_array_size(array) < min || json_array_size(array) > max)
		return (fault_set(f, "bad_field", key, "%s: %zu ids, expected "
		    "%zu to %zu", key, json_array_size(array), min, max));
	json_array_foreach(array, i, v) {
		id = json_integer_value(v);
		if (!json_is_integer(v) || id < 0 || id >= vocab)
			return (fault_set(f, "bad_field", key, "%s: item %zu "
			    "is not an id between 0 and %d", key, i,
			    vocab - 1));
		idbuf_add(out, (int32_t)id);
	}
	return (0);
}

/* Read one message of a dialogue. */
static int
request_turn(json_t *v, struct dialogue_turn *turn, struct fault *f)
{
	struct { const char *role, *text; } m = { NULL, NULL };
	const struct field	 fields[] = {
		{ "role", FIELD_STRING, FIELD_REQUIRED, 0, 0, 0 },
		{ "text", FIELD_STRING, FIELD_REQUIRED, 0, TEXT_BYTES_MAX,
		    sizeof m.role },
	};
	int			 r;

	if (!json_is_object(v))
		return (fault_set(f, "bad_field", "messages",
		    "messages: expected objects"));
	if ((r = fields_read(v, fields, nitems(fields), &m, f)) != 0)
		return (r);
	turn->bot = strcmp(m.role, "bot") == 0;
	if (!turn->bot && strcmp(m.role, "human") != 0)
		return (fault_set(f, "bad_field", "role",
		    "role: expected \"human\" or \"bot\""));
	turn->text = m.text;
	turn->n = strlen(m.text);
	return (0);
}

/* Tokens kept free for the reply if turns are left out: max_tokens, but at most
 * a quarter of the context. */
static size_t
request_reserve(const struct engine *e, const struct generation_options *opt)
{
	int	 quarter = e->context / 4;

	return ((size_t)(opt->max_tokens < quarter ? opt->max_tokens :
	    quarter));
}

/* Begin the prompt of a dialogue. */
static int
request_dialogue(struct request *r, struct fault *f)
{
	struct dialogue		 d = { .preprompt = r->keys.preprompt };
	struct dialogue_turn	*last;
	size_t			 n = json_array_size(r->keys.messages), i;
	size_t			 bytes = 0;
	int			 e;

	r->turn = xcalloc(n + 1, sizeof *r->turn);
	for (i = 0; i < n; i++) {
		e = request_turn(json_array_get(r->keys.messages, i),
		    &r->turn[i], f);
		if (e != 0)
			return (e);
		bytes += r->turn[i].n;
	}
	if (bytes > TEXT_BYTES_MAX)
		return (fault_set(f, "too_long", "messages", "messages: %zu "
		    "bytes of text, at most %d allowed", bytes,
		    TEXT_BYTES_MAX));
	/* A text that the model continues keeps the space before the next
	 * word. */
	last = n > 0 ? &r->turn[n - 1] : NULL;
	r->opt.strip = last != NULL && !(last->bot && last->n > 0);
	d.turn = r->turn;
	d.n = n;
	return (dialogue_begin(r->e->tok, &d, &r->dialogue, f));
}

/* Begin the prompt, which has one of three forms. */
static int
request_prompt(struct request *r, struct fault *f)
{
	const struct request_keys	*k = &r->keys;

	if ((k->messages != NULL) + (k->prompt != NULL) +
	    (k->ids != NULL) != 1)
		return (fault_set(f, "bad_field", "messages",
		    "expected one of messages, prompt and ids"));
	if (k->messages != NULL)
		return (request_dialogue(r, f));
	if (k->preprompt != NULL)
		return (fault_set(f, "bad_field", "preprompt",
		    "preprompt: only with messages"));
	if (k->prompt == NULL)
		return (request_ids(k->ids, "ids", r->e->info.vocab, 1,
		    ENGINE_IDS_MAX, &r->prompt, f));
	r->encoding = encoding_new(r->e->tok, k->prompt, strlen(k->prompt),
	    0);
	return (0);
}

/* Release it. */
void
request_free(struct request *r)
{
	if (r == NULL)
		return;
	dialogue_free(r->dialogue);
	encoding_free(r->encoding);
	idbuf_clear(&r->prompt);
	free(r->turn);
	json_decref(r->msg);
	free(r);
}

/* Read a generate message. */
int
request_begin(const struct engine *e, json_t *msg, struct request **out,
    struct fault *f)
{
	struct request	*r = xcalloc(1, sizeof *r);
	int		 status;

	r->e = e;
	r->msg = json_incref(msg);
	if ((status = fields_read(msg, request_fields, nitems(request_fields),
	    &r->keys, f)) != 0 ||
	    (status = request_options(e, &r->keys, &r->opt, &r->adapter,
	    f)) != 0 ||
	    (status = request_prompt(r, f)) != 0) {
		request_free(r);
		return (status);
	}
	*out = r;
	return (0);
}

/* The group. */
int64_t
request_group(const struct request *r)
{
	return (r->keys.group);
}

/* Does the request continue a reply of an earlier run? */
int
request_resumes(const struct request *r)
{
	return (json_array_size(r->keys.resume) > 0);
}

/* Encode some more of the prompt. */
int
request_some(struct request *r, size_t limit)
{
	if (r->dialogue != NULL)
		return (dialogue_some(r->dialogue, limit));
	return (r->encoding == NULL ||
	    encoding_some(r->encoding, limit, &r->prompt));
}

/* The whole prompt is encoded: does it fit? */
static int
request_fits(struct request *r, struct fault *f)
{
	size_t	 context = (size_t)r->e->context;

	if (r->dialogue != NULL)
		return (dialogue_end(r->dialogue, context,
		    request_reserve(r->e, &r->opt), &r->prompt, &r->dropped,
		    &r->pre, f));
	if (r->prompt.n == 0)
		return (fault_set(f, "bad_field", "prompt", "prompt: empty"));
	if (r->prompt.n >= context)
		return (fault_set(f, "context_full", NULL, "the prompt has "
		    "%zu tokens, the context holds %zu", r->prompt.n,
		    context));
	return (0);
}

/* Continue the reply after the ids that an earlier run made. */
static int
request_resume(const struct engine *e, const struct request_keys *rq,
    struct generation *g, struct fault *f)
{
	struct idbuf	 ids = { NULL, 0, 0 };
	int		 r;

	if (rq->resume == NULL)
		return (0);
	r = request_ids(rq->resume, "resume", e->info.vocab, 0,
	    ENGINE_IDS_MAX, &ids, f);
	if (r == 0 && generation_resume(g, ids.id, ids.n, e->info.vocab,
	    rq->retell) != 0)
		r = fault_set(f, "bad_field", "resume",
		    "resume: the reply ends before the last of these ids");
	idbuf_clear(&ids);
	return (r);
}

/* Make the job. */
int
request_end(struct request *r, int64_t id, struct job **out, struct fault *f)
{
	const struct engine	*e = r->e;
	struct generation	*g;
	struct job		*job;
	int			 status;

	if ((status = request_fits(r, f)) != 0)
		return (status);
	g = generation_new(e->tok, &r->opt, &r->prompt, e->info.vocab,
	    model_config(e->model)->eos, (size_t)e->context);
	if ((status = request_resume(e, &r->keys, g, f)) != 0) {
		generation_free(g);
		return (status);
	}
	job = xcalloc(1, sizeof *job);
	job->id = id;
	job->group = r->keys.group;
	job->gen = g;
	job->adapter = r->adapter;
	job->dropped = r->dropped;
	job->common = r->keys.common ? r->pre : 0;
	*out = job;
	return (0);
}

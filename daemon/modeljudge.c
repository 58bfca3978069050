/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking a language model for the label of a text. The text is cut into pieces,
 * which are judged one after the other, so that nothing hides in a part that
 * the model does not see. For each piece the engine tokenizes the prompt; then
 * it scores each label as the continuation of the prompt. The first score fills
 * the prefix cache of the account, so that the others cost only their label.
 *
 * The configuration may change meanwhile; a text is judged to its end by the
 * labels and the prompt of its beginning.
 *
 * The probability of label i is exp(l_i) / sum exp(l_k), where l is the sum of
 * the log-probabilities of the label's tokens. The score of a category is the
 * sum over its labels.
 */
#include "modeljudge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "xmalloc.h"

#define MODELJUDGE_PIECE	2048	/* bytes of text in one prompt */
#define MODELJUDGE_LEAST	0.01	/* lower scores are no finding */
#define MODELJUDGE_PLACE	"{text}"	/* of the text in the prompt */

struct modeljudge_label {
	char	*name;		/* owned */
	int	 category;	/* -1: harmless */
	json_t	*ids;		/* owned, or NULL: not tokenized yet */
	double	 logprob;	/* of the label after the piece's prompt */
};

/* A request to the engine. */
struct modeljudge_ask {
	struct modeljudge	*mj;	/* borrowed */
	int64_t			 req;	/* 0: none is running */
	size_t			 label;	/* nlabels: the prompt */
};

struct modeljudge {
	struct chatd		*d;		/* borrowed */
	struct helper		*engine;	/* borrowed */
	struct slot		*slot;		/* in use: of engine; NULL: the
						 * judge has its own */
	uid_t			 uid;
	const char		*text;		/* borrowed: [len] */
	size_t			 len, from, to;	/* the piece: [from..to) */
	char			*template;	/* owned: judge.prompt */
	size_t			 nlabels;
	struct modeljudge_label	*label;		/* owned */
	struct modeljudge_ask	*ask;		/* owned: one for each label,
						 * and one for the prompt */
	size_t			 running;	/* requests */
	json_t			*prompt;	/* owned: ids, or NULL */
	json_t			*findings;	/* owned: of all pieces */
	struct event		*deadline;	/* owned */
	int64_t			 began;		/* monotonic ms */
	modeljudge_cb		*cb;
	void			*arg;
};

static const struct helper_kind
	modeljudge_kind_tokenize = { "tokenize", NULL, 0 },
	modeljudge_kind_score = { "score", NULL, 0 };

static void	modeljudge_tokenized(void *, json_t *);
static void	modeljudge_scored(void *, json_t *);

/* Return the engine that answers. */
static struct helper *
modeljudge_engine(const struct chatd *d)
{
	return (d->config->judge_model[0] != '\0' ? d->judge :
	    d->engine->helper);
}

/* Is it to be asked? */
int
modeljudge_wanted(const struct chatd *d, const json_t *findings)
{
	const struct config	*c = d->config;
	const json_t		*o;
	double			 most = 0, score;
	size_t			 i;

	if (!c->judge_enabled)
		return (0);
	json_array_foreach(findings, i, o) {
		score = msg_real(o, "score", 0);
		if (score > most)
			most = score;
	}
	return (most >= c->judge_low && most <= c->judge_high);
}

/* Cancel the running requests. */
static void
modeljudge_cancel(struct modeljudge *mj)
{
	json_t	*m;
	size_t	 i;

	for (i = 0; i <= mj->nlabels; i++) {
		if (mj->ask[i].req == 0)
			continue;
		helper_forget(mj->engine, mj->ask[i].req);
		m = msg_op("cancel", -1);
		msg_set_int(m, "request", mj->ask[i].req);
		helper_notify(mj->engine, m);
		mj->ask[i].req = 0;
	}
	mj->running = 0;
}

/* Release it. */
void
modeljudge_free(struct modeljudge *mj)
{
	size_t	 i;

	if (mj == NULL)
		return;
	modeljudge_cancel(mj);
	slot_leave(mj->slot);
	for (i = 0; i < mj->nlabels; i++) {
		json_decref(mj->label[i].ids);
		free(mj->label[i].name);
	}
	free(mj->template);
	if (mj->deadline != NULL)
		event_free(mj->deadline);
	json_decref(mj->prompt);
	json_decref(mj->findings);
	free(mj->label);
	free(mj->ask);
	free(mj);
}

/* Give no verdict. */
static void
modeljudge_fail(struct modeljudge *mj, const char *why)
{
	mj->d->judge_count.failed++;
	modeljudge_cancel(mj);
	event_del(mj->deadline);
	mj->cb(mj->arg, NULL, why);
}

/* The time is over, or the engine can't start. */
static void
modeljudge_late(evutil_socket_t fd, short what, void *arg)
{
	struct modeljudge	*mj = arg;
	struct fault		 f;

	(void)fd;
	(void)what;
	if (helper_state(mj->engine) != HELPER_READY &&
	    helper_why(mj->engine)[0] != '\0') {
		fault_set(&f, NULL, NULL, "the judge is not running: %s",
		    helper_why(mj->engine));
		modeljudge_fail(mj, f.message);
		return;
	}
	mj->d->judge_count.late++;
	modeljudge_fail(mj, "the judge gave no verdict within judge.timeout");
}

/* Send a request. */
static void
modeljudge_send(struct modeljudge *mj, size_t label,
    const struct helper_kind *kind, json_t *m, helper_cb *cb)
{
	struct modeljudge_ask	*a = &mj->ask[label];

	msg_set_int(m, "group", (int64_t)mj->uid);
	mj->running++;
	a->req = helper_request(mj->engine, kind, m, 0, 0, cb, a);
}

/* A request has ended: return its answer, or report the fault and return
 * NULL. */
static json_t *
modeljudge_answer(struct modeljudge_ask *a, json_t *msg)
{
	a->req = 0;
	a->mj->running--;
	if (msg == NULL)
		modeljudge_fail(a->mj, "the judge's engine was lost");
	else if (strcmp(msg_string(msg, "event"), "error") == 0) {
		modeljudge_fail(a->mj, "the judge's engine refused the text");
		return (NULL);
	}
	return (msg);
}

/* Return the prompt for the piece, a new string. Line breaks of the text become
 * spaces: a text can't write a label of its own below the question. */
static char *
modeljudge_prompt(const struct modeljudge *mj)
{
	const char	*tmpl = mj->template;
	const char	*place = strstr(tmpl, MODELJUDGE_PLACE);
	char		*piece, *prompt;
	size_t		 i, n = mj->to - mj->from;

	piece = xmalloc(n + 1);
	for (i = 0; i < n; i++)
		piece[i] = strchr("\r\n\v\f", mj->text[mj->from + i]) != NULL ?
		    ' ' : mj->text[mj->from + i];
	piece[n] = '\0';
	prompt = xasprintf("%.*s%s%s", (int)(place - tmpl), tmpl, piece,
	    place + strlen(MODELJUDGE_PLACE));
	free(piece);
	return (prompt);
}

/* Find the end of the next piece: after white space, if there is some in its
 * second half, else between two characters. */
static size_t
modeljudge_cut(const struct modeljudge *mj)
{
	size_t	 end, i;

	if (mj->len - mj->from <= MODELJUDGE_PIECE)
		return (mj->len);
	end = mj->from + MODELJUDGE_PIECE;
	while ((mj->text[end] & 0xc0) == 0x80)
		end--;
	for (i = end; i > end - MODELJUDGE_PIECE / 2; i--) {
		if (strchr(" \t\r\n", mj->text[i - 1]) != NULL)
			return (i);
	}
	return (end);
}

/* Have a text tokenized: that of a label, or the prompt. */
static void
modeljudge_tokenize(struct modeljudge *mj, size_t label, const char *text)
{
	json_t	*m = msg_op("tokenize", -1);

	msg_set_string(m, "text", text);
	modeljudge_send(mj, label, &modeljudge_kind_tokenize, m,
	    modeljudge_tokenized);
}

/* Have the labels tokenized, each after a space if the prompt ends in none. */
static void
modeljudge_labels(struct modeljudge *mj)
{
	const size_t	 n = strlen(mj->template);
	char		*text;
	size_t		 i;

	for (i = 0; i < mj->nlabels; i++) {
		text = xasprintf("%s%s", strchr(" \n", mj->template[n - 1]) !=
		    NULL ? "" : " ", mj->label[i].name);
		modeljudge_tokenize(mj, i, text);
		free(text);
	}
}

/* Begin with the piece at mj->from. */
static void
modeljudge_piece(struct modeljudge *mj)
{
	char	*text;

	mj->to = modeljudge_cut(mj);
	text = modeljudge_prompt(mj);
	modeljudge_tokenize(mj, mj->nlabels, text);
	free(text);
}

/* Have a label scored after the prompt. */
static void
modeljudge_score(struct modeljudge *mj, size_t label)
{
	json_t	*m = msg_op("score", -1), *ids = json_copy(mj->prompt);

	json_array_extend(ids, mj->label[label].ids);
	msg_set(m, "ids", ids);
	msg_set_int(m, "from", (int64_t)json_array_size(mj->prompt));
	modeljudge_send(mj, label, &modeljudge_kind_score, m,
	    modeljudge_scored);
}

/* Ids have come. When all are there, score the first label. */
static void
modeljudge_tokenized(void *arg, json_t *msg)
{
	struct modeljudge_ask	*a = arg;
	struct modeljudge	*mj = a->mj;
	json_t			*ids, **to;

	if ((msg = modeljudge_answer(a, msg)) == NULL)
		return;
	ids = json_object_get(msg, "ids");
	if (json_array_size(ids) == 0) {
		modeljudge_fail(mj, "the judge's engine gave no tokens");
		return;
	}
	to = a->label == mj->nlabels ? &mj->prompt : &mj->label[a->label].ids;
	json_decref(*to);
	*to = json_incref(ids);
	if (mj->running == 0)
		modeljudge_score(mj, 0);
}

/* Return what the judge's engine has said of its model, or NULL. */
static const json_t *
modeljudge_model(const struct modeljudge *mj)
{
	return (mj->slot != NULL ? mj->slot->model : mj->d->judge_model);
}

/* Add the findings about the piece, from the labels' log-probabilities. */
static void
modeljudge_take(struct modeljudge *mj)
{
	const struct modeljudge_label	*l = mj->label;
	double				 max = l[0].logprob, all = 0;
	double				 sum, best, p;
	json_t				*o;
	size_t				 i, rule;
	int				 cat;

	for (i = 1; i < mj->nlabels; i++)
		max = fmax(max, l[i].logprob);
	for (i = 0; i < mj->nlabels; i++)
		all += exp(l[i].logprob - max);
	for (cat = 0; cat < CATEGORIES; cat++) {
		sum = best = 0;
		rule = 0;
		for (i = 0; i < mj->nlabels; i++) {
			if (l[i].category != cat)
				continue;
			p = exp(l[i].logprob - max) / all;
			sum += p;
			if (p > best) {
				best = p;
				rule = i;
			}
		}
		if (sum < MODELJUDGE_LEAST)
			continue;
		o = json_object();
		msg_set_string(o, "plugin", "judge");
		msg_set_string(o, "category", vocabulary_categories[cat]);
		msg_set_real(o, "score", sum < 1 ? sum : 1);
		msg_set_int(o, "start", (int64_t)mj->from);
		msg_set_int(o, "end", (int64_t)mj->to);
		msg_set_string(o, "rule", l[rule].name);
		msg_set_string(o, "version", msg_string(modeljudge_model(mj),
		    "name"));
		msg_set_string(o, "digest", msg_string(modeljudge_model(mj),
		    "digest"));
		json_array_append_new(mj->findings, o);
	}
}

/* All labels of the piece are scored: go on to the next piece, or end. */
static void
modeljudge_next(struct modeljudge *mj)
{
	struct modeljudge_count	*n = &mj->d->judge_count;
	int64_t			 ms;

	modeljudge_take(mj);
	mj->from = mj->to;
	if (mj->from < mj->len) {
		modeljudge_piece(mj);
		return;
	}
	ms = clock_monotonic() - mj->began;
	n->texts++;
	n->findings += (int64_t)json_array_size(mj->findings);
	n->ms += ms;
	if (ms > n->ms_max)
		n->ms_max = ms;
	event_del(mj->deadline);
	mj->cb(mj->arg, mj->findings, NULL);
}

/* A label is scored. The others follow the first. */
static void
modeljudge_scored(void *arg, json_t *msg)
{
	struct modeljudge_ask	*a = arg;
	struct modeljudge	*mj = a->mj;
	const json_t		*list;
	double			 sum = 0;
	size_t			 i;

	if ((msg = modeljudge_answer(a, msg)) == NULL)
		return;
	list = json_object_get(msg, "logprobs");
	for (i = 0; i < json_array_size(list); i++)
		sum += json_number_value(json_array_get(list, i));
	if (i != json_array_size(mj->label[a->label].ids) || !isfinite(sum)) {
		modeljudge_fail(mj, "the judge's engine gave no sound score");
		return;
	}
	mj->label[a->label].logprob = sum;
	for (i = 1; a->label == 0 && i < mj->nlabels; i++)
		modeljudge_score(mj, i);
	if (mj->running == 0)
		modeljudge_next(mj);
}

/* Have a text classified. */
struct modeljudge *
modeljudge_new(struct chatd *d, uid_t uid, const char *text, size_t len,
    modeljudge_cb *cb, void *arg)
{
	const struct config	*c = d->config;
	struct modeljudge	*mj;
	struct timeval		 tv = { c->judge_timeout / 1000,
				    c->judge_timeout % 1000 * 1000 };
	size_t			 i;

	mj = xcalloc(1, sizeof *mj);
	mj->d = d;
	mj->engine = modeljudge_engine(d);
	if (c->judge_model[0] == '\0')
		mj->slot = slot_use(d->engine);
	mj->uid = uid;
	mj->text = text;
	mj->len = len;
	mj->template = xstrdup(c->judge_prompt);
	mj->cb = cb;
	mj->arg = arg;
	mj->nlabels = c->njudge_labels;
	mj->label = xcalloc(mj->nlabels, sizeof *mj->label);
	mj->ask = xcalloc(mj->nlabels + 1, sizeof *mj->ask);
	for (i = 0; i < mj->nlabels; i++) {
		mj->label[i].name = xstrdup(c->judge_labels[i].name);
		mj->label[i].category = c->judge_labels[i].category;
	}
	for (i = 0; i <= mj->nlabels; i++)
		mj->ask[i] = (struct modeljudge_ask){ .mj = mj, .label = i };
	mj->findings = json_array();
	mj->began = clock_monotonic();
	mj->deadline = evtimer_new(d->base, modeljudge_late, mj);
	if (helper_failing(mj->engine)) {	/* don't wait for it */
		timerclear(&tv);
		event_add(mj->deadline, &tv);
		return (mj);
	}
	event_add(mj->deadline, &tv);
	modeljudge_labels(mj);
	modeljudge_piece(mj);
	return (mj);
}

/* Join the findings of the filters and of the judge. */
json_t *
modeljudge_join(const json_t *findings, const json_t *judged)
{
	json_t	*all = json_copy((json_t *)(uintptr_t)findings);

	if (judged != NULL)
		json_array_extend(all, (json_t *)(uintptr_t)judged);
	return (all);
}

/* Describe the judge. */
json_t *
modeljudge_status(const struct chatd *d)
{
	const struct modeljudge_count	*n = &d->judge_count;
	const struct helper		*h = modeljudge_engine(d);
	json_t				*o = json_object();

	msg_set_string(o, "model", d->config->judge_model[0] != '\0' ?
	    d->config->judge_model : d->engine->path);
	msg_set_string(o, "state", helper_state_name(h));
	if (helper_why(h)[0] != '\0')
		msg_set_string(o, "why", helper_why(h));
	msg_set_int(o, "texts", n->texts);
	msg_set_int(o, "findings", n->findings);
	msg_set_int(o, "failed", n->failed);
	msg_set_int(o, "late", n->late);
	msg_set_real(o, "ms_mean", n->texts == 0 ? 0 :
	    (double)n->ms / (double)n->texts);
	msg_set_int(o, "ms_max", n->ms_max);
	return (o);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moderate: the verdict of the filters and the policy on a text, without an
 * exchange.
 */
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "ahead.h"
#include "filters.h"
#include "judge.h"
#include "modeljudge.h"
#include "xmalloc.h"

/* A moderate request that waits for its verdict. */
struct moderate {
	struct ahead_job job;
	struct request	*request;	/* borrowed */
	enum direction	 direction;
	int		 explain;	/* the answer has all findings */
	char		*group;		/* owned: whose policy counts, or
					 * NULL */
	char		*text, *prompt;	/* owned; prompt may be NULL */
	struct judge	*judge;		/* owned; NULL: it waits */
	struct modeljudge *modeljudge;	/* owned, or NULL */
	json_t		*found;		/* owned, or NULL: by the filters */
	int64_t		 ns;		/* time of the filters */
};

static void	moderate_judged(void *, const struct verdict *);

#define MODERATE_FINDINGS	100	/* most in an answer */

/* Return a copy of a finding with its action. */
static json_t *
moderate_finding(const struct config *c, const struct moderate *om,
    const json_t *finding)
{
	json_t	*o = json_copy((json_t *)(uintptr_t)finding);

	json_object_del(o, "version");
	json_object_del(o, "digest");
	msg_set_string(o, "action", vocabulary_actions[policy_action(c,
	    om->group, om->direction, finding)]);
	return (o);
}

/*
 * Return the strongest finding of each category (all are sound) with its
 * action, which may be to allow.
 */
static json_t *
moderate_categories(const struct config *c, const struct moderate *om,
    const json_t *findings)
{
	json_t		*o = json_object(), *v, *best;
	const char	*slug;
	double		 score;
	size_t		 i;

	json_array_foreach(findings, i, v) {
		slug = msg_string(v, "category");
		score = msg_real(v, "score", 0);
		best = json_object_get(o, slug);
		if (best != NULL && msg_real(best, "score", 0) >= score)
			continue;
		msg_set(o, slug, moderate_finding(c, om, v));
	}
	return (o);
}

/* Order two findings: the higher score first, then the earlier place. */
static int
moderate_order(const void *a, const void *b)
{
	const json_t	*x = *(json_t *const *)a, *y = *(json_t *const *)b;
	double		 sx = msg_real(x, "score", 0);
	double		 sy = msg_real(y, "score", 0);
	int64_t		 ix = msg_int(x, "start", 0);
	int64_t		 iy = msg_int(y, "start", 0);

	if (sx != sy)
		return (sx < sy ? 1 : -1);
	return ((ix > iy) - (ix < iy));
}

/* Return the strongest findings, at most MODERATE_FINDINGS, in order. */
static json_t *
moderate_findings(const struct config *c, const struct moderate *om,
    const json_t *findings)
{
	json_t	*list = json_array(), **all;
	size_t	 i, n = json_array_size(findings);

	all = xcalloc(n + 1, sizeof *all);
	for (i = 0; i < n; i++)
		all[i] = json_array_get(findings, i);
	qsort(all, n, sizeof *all, moderate_order);
	for (i = 0; i < n && i < MODERATE_FINDINGS; i++)
		json_array_append_new(list, moderate_finding(c, om, all[i]));
	free(all);
	return (list);
}

/* It is its turn: have the text judged. May end the request. */
static void
moderate_go(void *arg)
{
	struct moderate	*om = arg;
	struct request	*r = om->request;

	om->judge = judge_new(r->d->filters, r->uid, om->direction,
	    om->prompt, moderate_judged, om);
	judge_text(om->judge, om->text, strlen(om->text), 1);
}

/* Release it and return its request, which the caller must end. */
static struct request *
moderate_free(struct moderate *om)
{
	struct request	*r = om->request;

	judge_free(om->judge);
	modeljudge_free(om->modeljudge);
	json_decref(om->found);
	ahead_leave(&om->job);
	free(om->group);
	free(om->text);
	free(om->prompt);
	free(om);
	r->stop = NULL;
	return (r);
}

/* Send the verdict. */
static void
moderate_end(struct moderate *om, const json_t *findings, const char *error)
{
	struct request		*r = om->request;
	const struct config	*c = r->d->config;
	struct judgement	 j;
	json_t			*m;

	if (error != NULL || policy_judge(c, om->group, om->direction,
	    findings, strlen(om->text), &j) != 0) {
		request_fail(moderate_free(om), "filter_unavailable", "%s",
		    error != NULL ? error :
		    "the filter gave no sound verdict");
		return;
	}
	m = msg_event("done", -1);
	msg_set_string(m, "action", vocabulary_actions[j.action]);
	msg_set(m, "categories", moderate_categories(c, om, findings));
	if (om->explain)
		msg_set(m, "findings", moderate_findings(c, om, findings));
	msg_set_real(m, "us", (double)om->ns / 1000);
	if (j.action == ACTION_BLOCK) {
		msg_set_string(m, "category",
		    vocabulary_categories[j.category]);
		msg_set_string(m, "message", policy_words(c, j.category));
	}
	judgement_clear(&j);
	request_done(moderate_free(om), m);
}

/* The model that is asked after the filters has judged. */
static void
moderate_classified(void *arg, const json_t *findings, const char *why)
{
	struct moderate	*om = arg;
	json_t		*all = modeljudge_join(om->found, findings);

	moderate_end(om, all, findings == NULL &&
	    om->request->d->config->judge_required ? why : NULL);
	json_decref(all);
}

/* The filters have judged. Once the whole text is judged, send the verdict, or
 * ask the model first. */
static void
moderate_judged(void *arg, const struct verdict *v)
{
	struct moderate		*om = arg;
	struct request		*r = om->request;

	if (v->error == NULL && !v->final)
		return;
	om->ns = v->ns;
	if (v->error != NULL || om->direction != DIRECTION_PROMPT ||
	    !modeljudge_wanted(r->d, v->findings)) {
		moderate_end(om, v->findings, v->error);
		return;
	}
	om->found = modeljudge_join(v->findings, NULL);
	om->modeljudge = modeljudge_new(r->d, r->uid, om->text,
	    strlen(om->text), moderate_classified, om);
}

/* The client cancelled, or disconnected: the verdict is not needed. */
static void
moderate_stop(struct request *r)
{
	json_t	*m = msg_event("done", -1);

	msg_set_string(m, "stop", "cancelled");
	request_done(moderate_free(r->arg), m);
}

/* Have a text judged for a request. */
void
moderate_new(struct request *r, enum direction d, const char *text,
    const char *prompt, int explain)
{
	struct moderate	*om;

	if (filters_failing(r->d->filters)[0] != '\0') {
		request_fail(r, "filter_unavailable",
		    "the filter can't start: %s",
		    filters_failing(r->d->filters));
		return;
	}
	om = xcalloc(1, sizeof *om);
	om->request = r;
	om->direction = d;
	om->explain = explain;
	om->group = xstrdup(client_group(r->client));
	om->text = xstrdup(text);
	om->prompt = xstrdup(prompt);
	r->arg = om;
	r->stop = moderate_stop;
	ahead_enter(r->d->moderates, &om->job, r->uid, 1, moderate_go, om);
}

/*
 * moderate: what the filters and the policy say of a text, without an
 * exchange.
 */
#include "chatd.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "filters.h"
#include "judge.h"
#include "xmalloc.h"

#define MODERATE_AHEAD	8	/* texts of an account that are judged at
				 * once; what is found in them takes memory */

/* What a moderate request remembers until the verdict comes. */
struct moderate {
	TAILQ_ENTRY(moderate) entry;
	struct request	*request;	/* borrowed */
	enum direction	 direction;
	char		*text, *prompt;	/* owned; prompt may be NULL */
	struct judge	*judge;		/* owned; NULL: it waits */
};

/* All of them, in the order they came. */
static TAILQ_HEAD(, moderate) moderate_all =
    TAILQ_HEAD_INITIALIZER(moderate_all);

static void	moderate_judged(void *, const struct verdict *);

/*
 * The strongest of the findings (which are sound) in each category, with what
 * it leads to: also of those that lead to nothing.
 */
static json_t *
moderate_categories(const struct config *c, enum direction d,
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
		best = json_copy(v);
		msg_set_string(best, "action", action_name(policy_action(c, d,
		    category_find(slug), score)));
		msg_set(o, slug, best);
	}
	return (o);
}

/* Have the next texts of an account judged. */
static void
moderate_next(uid_t uid)
{
	struct moderate	*om;
	int		 n = 0;

	TAILQ_FOREACH(om, &moderate_all, entry) {
		if (om->request->uid != uid)
			continue;
		if (++n > MODERATE_AHEAD)
			return;
		if (om->judge == NULL)
			break;
	}
	if (om == NULL)
		return;
	om->judge = judge_new(om->request->d->filters, uid, om->direction,
	    om->prompt, moderate_judged, om);
	/* May end it, and begin the one after it. */
	judge_text(om->judge, om->text, strlen(om->text), 1);
}

/* Release it; its request has been, or will be, ended. */
static void
moderate_free(struct moderate *om)
{
	TAILQ_REMOVE(&moderate_all, om, entry);
	judge_free(om->judge);
	free(om->text);
	free(om->prompt);
	free(om);
}

/* The verdict, once the whole text is judged. */
static void
moderate_judged(void *arg, const struct verdict *v)
{
	struct moderate		*om = arg;
	struct request		*r = om->request;
	const struct config	*c = r->d->config;
	const uid_t		 uid = r->uid;
	struct judgement	 j;
	json_t			*m;

	if (v->error == NULL && !v->final)
		return;
	if (v->error != NULL || policy_judge(c, om->direction, v->findings,
	    strlen(om->text), &j) != 0) {
		request_fail(r, "filter_unavailable", "%s", v->error != NULL ?
		    v->error : "the filter gave no sound verdict");
		moderate_free(om);
		moderate_next(uid);
		return;
	}
	m = msg_event("done", -1);
	msg_set_string(m, "action", action_name(j.action));
	msg_set(m, "categories", moderate_categories(c, om->direction,
	    v->findings));
	if (j.action == ACTION_BLOCK)
		msg_set_string(m, "message", policy_words(c, j.category));
	judgement_clear(&j);
	moderate_free(om);
	request_done(r, m);
	moderate_next(uid);
}

/* The client asked to cancel, or has gone: nobody waits for the verdict. */
static void
moderate_stop(struct request *r)
{
	json_t		*m = msg_event("done", -1);
	const uid_t	 uid = r->uid;

	moderate_free(r->arg);
	msg_set_string(m, "stop", "cancelled");
	request_done(r, m);
	moderate_next(uid);
}

/* Have a text judged for a request. */
void
moderate_new(struct request *r, enum direction d, const char *text,
    const char *prompt)
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
	om->text = xstrdup(text);
	om->prompt = xstrdup(prompt);
	r->arg = om;
	r->stop = moderate_stop;
	TAILQ_INSERT_TAIL(&moderate_all, om, entry);
	moderate_next(r->uid);
}

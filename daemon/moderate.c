/*
 * moderate: what the filters and the policy say of a text, without an
 * exchange.
 */
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define MODERATE_WAIT_MS	5000	/* for a filter that is not up yet */

static const struct helper_kind moderate_kind = { "check", NULL, 0 };

/* What a moderate request remembers until the verdict comes. */
struct moderate {
	struct request	*request;	/* borrowed */
	enum direction	 direction;
	size_t		 len;
};

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

/* The filter's answer to moderate. */
static void
moderate_judged(void *arg, json_t *msg)
{
	struct moderate	*om = arg;
	struct request		*r = om->request;
	struct judgement	 j;
	json_t			*m;

	if (msg == NULL || strcmp(msg_string(msg, "event"), "done") != 0 ||
	    policy_judge(r->d->config, om->direction,
	    json_object_get(msg, "findings"), om->len, &j) != 0) {
		request_fail(r, "filter_unavailable",
		    "the filter gave no sound verdict");
		free(om);
		return;
	}
	m = msg_event("done", -1);
	msg_set_string(m, "action", action_name(j.action));
	msg_set(m, "categories", moderate_categories(r->d->config,
	    om->direction, json_object_get(msg, "findings")));
	if (j.action == ACTION_BLOCK)
		msg_set_string(m, "message",
		    policy_words(r->d->config, j.category));
	judgement_clear(&j);
	free(om);
	request_done(r, m);
}

/* Have a text judged for a request. */
void
moderate_new(struct request *r, enum direction d, const char *text,
    const char *prompt)
{
	struct moderate	*om;
	json_t		*m;

	om = xcalloc(1, sizeof *om);
	om->request = r;
	om->direction = d;
	om->len = strlen(text);
	m = msg_op("check", -1);
	msg_set_string(m, "direction", direction_name(om->direction));
	msg_set_string(m, "text", text);
	msg_set_string(m, "context", prompt);
	msg_set_bool(m, "final", 1);
	helper_request(r->d->filter, &moderate_kind, m, MODERATE_WAIT_MS,
	    (int)r->d->config->filter_timeout, moderate_judged, om);
}

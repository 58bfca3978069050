/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The findings about a text: checked, merged, lowered, and what a process says
 * about how far it has come.
 */
#include "judge_impl.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define JUDGE_FINDINGS	4096		/* most findings per text and process */
#define JUDGE_SAME	1024		/* last findings to compare a new one
					 * with */
#define JUDGE_LOWERED	64		/* most in one answer */
#define JUDGE_NS_MAX	(INT64_C(1) << 40)	/* longest time of a check */

/* Merge a finding that is repeated, perhaps longer or with a higher score, into
 * the earlier one. It stays lowered, if it was. */
static void
judge_merge(json_t *old, json_t *o)
{
	double	 score = msg_real(o, "score", 0);

	if (msg_int(o, "end", 0) > msg_int(old, "end", 0))
		msg_set_int(old, "end", msg_int(o, "end", 0));
	if (score > msg_real(old, "lowered", 1))
		score = msg_real(old, "lowered", 1);
	if (score > msg_real(old, "score", 0)) {
		msg_set_real(old, "score", score);
		if (json_object_get(o, "detail") != NULL)
			msg_set(old, "detail",
			    json_incref(json_object_get(o, "detail")));
	}
}

/* Keep a finding, or merge it with an earlier one. Returns -1 if there are too
 * many. */
static int
judge_keep(json_t *list, json_t *o)
{
	static const char *const	 keys[] = { "plugin", "rule",
					    "category" };
	json_t				*old;
	size_t				 n = json_array_size(list), i, k;

	for (i = n; i > 0 && n - i < JUDGE_SAME; i--) {
		old = json_array_get(list, i - 1);
		if (msg_int(old, "start", -1) != msg_int(o, "start", -1))
			continue;
		for (k = 0; k < nitems(keys) && strcmp(msg_string(old,
		    keys[k]), msg_string(o, keys[k])) == 0; k++)
			;
		if (k < nitems(keys))
			continue;
		judge_merge(old, o);
		json_decref(o);
		return (0);
	}
	json_array_append_new(list, o);
	return (n < JUDGE_FINDINGS ? 0 : -1);
}

/* Turn a place in a piece, which may be before the piece, into one in the whole
 * text; -1 if it is none. */
static void
judge_shift(json_t *o, const char *key, const struct judge_flight *fl)
{
	const json_t	*v = json_object_get(o, key);
	int64_t		 at = json_integer_value(v);

	msg_set_int(o, key, !json_is_integer(v) || at > (int64_t)fl->len ||
	    at < -(int64_t)fl->offset ? -1 : at + (int64_t)fl->offset);
}

/* Make copies of findings whose places are in the whole text; NULL if they are
 * not sound. Each names the version of its plugin and the digest of its
 * rules. */
static json_t *
judge_copy(const struct judge_part *t, const json_t *findings,
    const struct judge_flight *fl)
{
	const json_t	*said;
	json_t		*list, *o, *feature;
	size_t		 i, k;

	if (!json_is_array(findings))
		return (NULL);
	list = json_deep_copy(findings);
	json_array_foreach(list, i, o) {
		said = tally_said(t->process, msg_string(o, "plugin"));
		msg_set_string(o, "version", msg_string(said, "version"));
		msg_set_string(o, "digest", msg_string(said, "digest"));
		judge_shift(o, "start", fl);
		judge_shift(o, "end", fl);
		json_array_foreach(json_object_get(o, "detail"), k, feature) {
			judge_shift(feature, "start", fl);
			judge_shift(feature, "end", fl);
		}
	}
	if (policy_sound(list, fl->offset + fl->len))
		return (list);
	json_decref(list);
	return (NULL);
}

/* Add the findings about a piece. */
int
judge_take(struct judge_part *t, const struct judge_flight *fl,
    const json_t *findings)
{
	json_t	*list, *o;
	size_t	 i;
	int	 r = 0;

	if ((list = judge_copy(t, findings, fl)) == NULL)
		return (JUDGE_UNSOUND);
	json_array_foreach(list, i, o) {
		if (tally_find(t->process, msg_string(o, "plugin")) == -1)
			r = JUDGE_UNSOUND;
	}
	if (r == 0 && t->process->window < 0)
		json_array_clear(t->findings);
	for (i = 0; r == 0 && i < json_array_size(list); i++) {
		if (judge_keep(t->findings, json_incref(json_array_get(list,
		    i))) != 0)
			r = JUDGE_TOO_MANY;
	}
	json_decref(list);
	return (r);
}

/* Return the plugin of the process with the most findings of a part. */
const char *
judge_most(const struct judge_part *t)
{
	const struct filters_process	*p = t->process;
	const json_t			*o;
	size_t				*n, i, best = 0;
	int				 k;

	n = xcalloc(p->nplugins + 1, sizeof *n);
	json_array_foreach(t->findings, i, o) {
		if ((k = tally_find(p, msg_string(o, "plugin"))) >= 0)
			n[k]++;
	}
	for (i = 0; i < p->nplugins; i++) {
		if (n[i] > n[best])
			best = i;
	}
	free(n);
	return (p->count[best].plugin);
}

/* Lower the findings of the plugins before plugin, [start..end) in the whole
 * text, of one category or (NULL) of all. */
static void
judge_lower_to(struct judge_part *t, int plugin, const char *category,
    double score, int64_t start, int64_t end)
{
	json_t	*o;
	size_t	 i;

	json_array_foreach(t->findings, i, o) {
		if (tally_find(t->process, msg_string(o, "plugin")) >=
		    plugin || (category != NULL &&
		    strcmp(msg_string(o, "category"), category) != 0) ||
		    json_is_true(json_object_get(o, "proven")) ||
		    msg_int(o, "start", 0) < start ||
		    msg_int(o, "end", 0) > end ||
		    msg_real(o, "score", 0) < score)
			continue;
		msg_set_real(o, "score", score);
		msg_set_real(o, "lowered", score);
	}
}

/* Lower findings as the answer to a piece says. */
int
judge_lower(struct judge_part *t, const struct judge_flight *fl,
    json_t *lowered)
{
	const char	*category;
	json_t		*o;
	int64_t		 start, end;
	double		 score;
	size_t		 i;
	int		 plugin;

	if (lowered != NULL && !json_is_array(lowered))
		return (JUDGE_UNSOUND);
	json_array_foreach(lowered, i, o) {
		plugin = tally_find(t->process,
		    msg_string(o, "plugin"));
		category = msg_string(o, "category");
		score = msg_real(o, "score", -1);
		judge_shift(o, "start", fl);
		judge_shift(o, "end", fl);
		start = msg_int(o, "start", -1);
		end = msg_int(o, "end", -1);
		if (i >= JUDGE_LOWERED || plugin == -1 || (category != NULL &&
		    vocabulary_category(category) == -1) ||
		    !(score >= 0 && score <= 1) || start < 0 || end < start)
			return (JUDGE_UNSOUND);
		judge_lower_to(t, plugin, category, score, start, end);
	}
	return (0);
}

/* Note the time of each plugin. */
static void
judge_time_took(struct judge_part *t, const json_t *ns)
{
	const struct filters_process	*p = t->process;
	int64_t				 n;
	size_t				 i;

	for (i = 0; i < p->nplugins; i++) {
		n = msg_int(ns, p->count[i].plugin, 0);
		if (n > 0 && n < JUDGE_NS_MAX)
			t->ns[i] += n;
	}
}

/* Note from the answer to a piece how far the part is judged. Text that could
 * still become a finding is held back, but at most fs->hold bytes. */
void
judge_advance(struct judge_part *t, const struct judge_flight *fl,
    const json_t *msg)
{
	size_t		 hold = t->process->set->hold;
	size_t		 end = fl->offset + fl->len, said = 0;
	size_t		 settled = end > hold ? end - hold : 0;
	const json_t	*v = json_object_get(msg, "settled");
	int64_t		 at = json_integer_value(v);

	if (json_is_integer(v) && at <= (int64_t)fl->len &&
	    at >= -(int64_t)fl->offset)
		said = (size_t)((int64_t)fl->offset + at);
	if (fl->final)
		settled = end;
	else if (said > settled)
		settled = said;
	t->judged = end;
	t->said = said;
	t->final = fl->final;
	judge_time_took(t, json_object_get(msg, "ns"));
	if (t->final)
		tally_text(t->process, t->ns, t->findings);
	if (settled > t->settled)
		t->settled = settled;
}

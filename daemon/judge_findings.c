/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The findings about a text: checked, merged, lowered, and what a process says
 * about how far it has come.
 */
#include "judge_impl.h"

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

/* Add the place of the piece to the span of o. */
static void
judge_shift(json_t *o, const struct judge_flight *fl)
{
	msg_set_int(o, "start", msg_int(o, "start", 0) + (int64_t)fl->offset);
	msg_set_int(o, "end", msg_int(o, "end", 0) + (int64_t)fl->offset);
}

/* Make a copy of a finding whose spans are places in the whole text. It names
 * the version of its plugin and the digest of its rules. */
static json_t *
judge_copy(const struct judge_part *t, const json_t *finding,
    const struct judge_flight *fl)
{
	const json_t	*said;
	json_t		*o = json_deep_copy(finding), *feature;
	size_t		 i;

	said = tally_said(t->process, msg_string(o, "plugin"));
	msg_set_string(o, "version", msg_string(said, "version"));
	msg_set_string(o, "digest", msg_string(said, "digest"));

	judge_shift(o, fl);
	json_array_foreach(json_object_get(o, "detail"), i, feature)
		judge_shift(feature, fl);
	return (o);
}

/* Add the findings about a piece. */
int
judge_take(struct judge_part *t, const struct judge_flight *fl,
    const json_t *findings)
{
	json_t	*o;
	size_t	 i;

	if (!policy_sound(findings, fl->len))
		return (JUDGE_UNSOUND);
	json_array_foreach(findings, i, o) {
		if (tally_find(t->process, msg_string(o, "plugin")) ==
		    -1)
			return (JUDGE_UNSOUND);
	}
	if (t->process->window < 0)
		json_array_clear(t->findings);
	json_array_foreach(findings, i, o) {
		if (judge_keep(t->findings, judge_copy(t, o, fl)) != 0)
			return (JUDGE_TOO_MANY);
	}
	return (0);
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
    const json_t *lowered)
{
	const char	*category;
	const json_t	*o;
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
		start = msg_int(o, "start", -1);
		end = msg_int(o, "end", -1);
		if (i >= JUDGE_LOWERED || plugin == -1 || (category != NULL &&
		    vocabulary_category(category) == -1) ||
		    !(score >= 0 && score <= 1) || start < 0 || end < start ||
		    (uint64_t)end > fl->len)
			return (JUDGE_UNSOUND);
		judge_lower_to(t, plugin, category, score,
		    start + (int64_t)fl->offset, end + (int64_t)fl->offset);
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
	size_t	 hold = t->process->set->hold, end = fl->offset + fl->len;
	size_t	 settled = end > hold ? end - hold : 0;
	int64_t	 said = msg_int(msg, "settled", -1);

	if (fl->final)
		settled = end;
	else if (said >= 0 && (uint64_t)said <= fl->len &&
	    fl->offset + (size_t)said > settled)
		settled = fl->offset + (size_t)said;
	t->judged = end;
	t->said = said >= 0 && (uint64_t)said <= fl->len ?
	    fl->offset + (size_t)said : 0;
	t->final = fl->final;
	judge_time_took(t, json_object_get(msg, "ns"));
	if (t->final)
		tally_text(t->process, t->ns, t->findings);
	if (settled > t->settled)
		t->settled = settled;
}

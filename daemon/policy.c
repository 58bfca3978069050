/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy: decides whether findings flag, redact or block a text. Filters only
 * report findings; chatd.yaml sets the action for each.
 */
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define POLICY_FINDINGS_MAX	65536	/* in one answer */
#define POLICY_VERDICTS_MAX	100	/* kept of one text */
#define POLICY_FEATURES_MAX	16	/* of one finding */
#define POLICY_NAME_MAX		128	/* bytes: of a plugin or a rule */
#define POLICY_REDACTED		"[redacted]"

/* Is name that of the plugin of a finding, or, if it has one of the signs that
 * names of plugins lack, does the finding's rule begin with it? */
static int
policy_names(const char *name, const json_t *finding)
{
	if (strpbrk(name, ":/") == NULL)
		return (strcmp(name, msg_string(finding, "plugin")) == 0);
	return (strncmp(name, msg_string(finding, "rule"), strlen(name)) ==
	    0);
}

/* Find the scores that count for a finding, for a member of a group or (NULL)
 * anybody. */
static const struct threshold *
policy_threshold(const struct config *c, const char *group, enum direction d,
    const json_t *finding)
{
	int	 category = vocabulary_category(msg_string(finding,
		    "category"));
	size_t	 i;

	for (i = 0; i < c->nplugins; i++) {
		if (c->plugins[i].policy[d][category].set &&
		    policy_names(c->plugins[i].name, finding))
			return (&c->plugins[i].policy[d][category]);
	}
	for (i = 0; group != NULL && i < c->ngroups; i++) {
		if (strcmp(c->groups[i].name, group) == 0)
			return (&c->groups[i].policy[d][category]);
	}
	return (&c->policy[d][category]);
}

/* Return the action for a finding. */
enum action
policy_action(const struct config *c, const char *group, enum direction d,
    const json_t *finding)
{
	const struct threshold	*t = policy_threshold(c, group, d, finding);
	double			 score = msg_real(finding, "score", 0);

	if (score >= t->block)
		return (ACTION_BLOCK);
	if (score >= t->redact)
		return (ACTION_REDACT);
	if (score >= t->flag)
		return (ACTION_FLAG);
	return (ACTION_ALLOW);
}

/* Does a finding have a name of a length that the store accepts? */
static int
policy_name(const json_t *finding, const char *key)
{
	const char	*s = msg_string(finding, key);

	return (s != NULL && s[0] != '\0' && strlen(s) <= POLICY_NAME_MAX);
}

/* Is it the detail of a finding about a text of len bytes, or missing? */
static int
policy_detail(const json_t *list, size_t len)
{
	const json_t	*o;
	int64_t		 start, end;
	size_t		 i;

	if (list == NULL)
		return (1);
	if (!json_is_array(list) || json_array_size(list) >
	    POLICY_FEATURES_MAX)
		return (0);
	json_array_foreach(list, i, o) {
		start = msg_int(o, "start", -1);
		end = msg_int(o, "end", -1);
		if (!policy_name(o, "name") ||
		    !json_is_number(json_object_get(o, "weight")) ||
		    start < 0 || end < start || (uint64_t)end > len)
			return (0);
	}
	return (1);
}

/* Are all of these findings about a text of len bytes? */
int
policy_sound(const json_t *findings, size_t len)
{
	json_t		*fd;
	const char	*slug;
	double		 score;
	int64_t		 start, end;
	size_t		 i;

	if (!json_is_array(findings) ||
	    json_array_size(findings) > POLICY_FINDINGS_MAX)
		return (0);
	json_array_foreach(findings, i, fd) {
		slug = msg_string(fd, "category");
		score = msg_real(fd, "score", -1);
		start = msg_int(fd, "start", -1);
		end = msg_int(fd, "end", -1);
		if (slug == NULL || vocabulary_category(slug) == -1 ||
		    !policy_name(fd, "plugin") || !policy_name(fd, "rule") ||
		    !(score >= 0 && score <= 1) || start < 0 || end < start ||
		    (uint64_t)end > len ||
		    !policy_detail(json_object_get(fd, "detail"), len))
			return (0);
	}
	return (1);
}

/* Order two spans by their start. */
static int
policy_span_order(const void *a, const void *b)
{
	const struct span	*x = a, *y = b;

	return ((x->start > y->start) - (x->start < y->start));
}

/* Sort the spans to redact, and merge those that touch. */
static void
policy_order_spans(struct judgement *j)
{
	struct span	*sp = j->spans;
	size_t		 i, k;

	if (j->nspans == 0)
		return;
	qsort(sp, j->nspans, sizeof *sp, policy_span_order);
	for (i = k = 0; i < j->nspans; i++) {
		if (k == 0 || sp[i].start > sp[k - 1].end)
			sp[k++] = sp[i];
		else if (sp[i].end > sp[k - 1].end)
			sp[k - 1].end = sp[i].end;
	}
	j->nspans = k;
}

/* Make a verdict of a finding, as it is stored. */
static json_t *
policy_verdict(const json_t *finding, enum direction d, enum action act)
{
	static const char *const	 keys[] = { "plugin", "category",
					    "score", "start", "end", "rule",
					    "version", "digest", "detail" };
	json_t				*v = json_object();
	size_t				 i;

	for (i = 0; i < nitems(keys); i++)
		msg_set(v, keys[i], json_incref(json_object_get(finding,
		    keys[i])));
	msg_set_string(v, "direction", vocabulary_directions[d]);
	msg_set_string(v, "action", vocabulary_actions[act]);
	return (v);
}

/* Keep a finding as a verdict. If there are very many, the first and the
 * strongest are kept. */
static void
policy_keep(struct judgement *j, enum direction d, const json_t *finding,
    enum action act, int strongest)
{
	size_t	 n = json_array_size(j->verdicts);
	json_t	*v;

	if (n >= POLICY_VERDICTS_MAX && !strongest)
		return;
	v = policy_verdict(finding, d, act);
	if (n >= POLICY_VERDICTS_MAX)
		json_array_set_new(j->verdicts, n - 1, v);
	else
		json_array_append_new(j->verdicts, v);
}

/* Add a span to redact; there is room for it. */
static void
policy_note_span(struct judgement *j, const json_t *finding)
{
	struct span	*sp = &j->spans[j->nspans];

	sp->start = (size_t)msg_int(finding, "start", 0);
	sp->end = (size_t)msg_int(finding, "end", 0);
	j->nspans += sp->end > sp->start;
}

/* Judge the findings about one text. */
int
policy_judge(const struct config *c, const char *group, enum direction d,
    const json_t *findings, size_t len, struct judgement *j)
{
	json_t		*fd;
	double		 score;
	size_t		 i;
	int		 cat, strongest;
	enum action	 act;

	memset(j, 0, sizeof *j);
	j->category = -1;
	if (!policy_sound(findings, len))
		return (CHAT_EPROTOCOL);
	j->verdicts = json_array();
	j->spans = xcalloc(json_array_size(findings) + 1, sizeof *j->spans);
	json_array_foreach(findings, i, fd) {
		cat = vocabulary_category(msg_string(fd, "category"));
		score = msg_real(fd, "score", 0);
		act = policy_action(c, group, d, fd);
		if (act == ACTION_ALLOW)
			continue;
		strongest = act > j->action ||
		    (act == j->action && score > j->score);
		policy_keep(j, d, fd, act, strongest);
		if (act == ACTION_REDACT)
			policy_note_span(j, fd);
		if (strongest) {
			j->action = act;
			j->category = cat;
			j->score = score;
		}
	}
	policy_order_spans(j);
	return (0);
}

/* Release a judgement. */
void
judgement_clear(struct judgement *j)
{
	json_decref(j->verdicts);
	free(j->spans);
	memset(j, 0, sizeof *j);
	j->category = -1;
}

/* Leave out what is only for the store. */
json_t *
policy_shown(const json_t *verdicts)
{
	json_t	*list = json_array(), *v, *o;
	size_t	 i;

	json_array_foreach(verdicts, i, v) {
		o = json_copy(v);
		json_object_del(o, "version");
		json_object_del(o, "digest");
		json_object_del(o, "detail");
		json_array_append_new(list, o);
	}
	return (list);
}

/* Return the message for a blocked user. */
const char *
policy_words(const struct config *c, int category)
{
	return (c->words[category < 0 ? CATEGORIES - 1 : category]);
}

/* Copy a piece of text, with spans replaced. */
char *
policy_redact(const struct judgement *j, const char *text, size_t from,
    size_t *to, size_t *n)
{
	const size_t	 mark = strlen(POLICY_REDACTED);
	const struct span *sp = j->spans;
	const size_t	 nspans = j->nspans;
	char		*out;
	size_t		 i, k = 0;

	out = xmalloc(*to - from + mark * nspans + 1);
	for (i = 0; i < nspans && sp[i].start < *to; i++) {
		if (sp[i].end <= from)
			continue;
		if (sp[i].start > from) {
			memcpy(out + k, text + from, sp[i].start - from);
			k += sp[i].start - from;
			from = sp[i].start;
		}
		if (sp[i].end > *to) {	/* its end is not shown yet */
			*to = from;
			break;
		}
		memcpy(out + k, POLICY_REDACTED, mark);
		k += mark;
		from = sp[i].end;
	}
	memcpy(out + k, text + from, *to - from);
	k += *to - from;
	out[k] = '\0';
	*n = k;
	return (out);
}

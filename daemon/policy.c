/*
 * Policy: which findings of the filters flag, redact or block a text.
 * Filters only find; what that means is the administrator's to say, in
 * chatd.yaml.
 */
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define POLICY_FINDINGS_MAX	65536	/* in one answer */
#define POLICY_NAME_MAX		128	/* bytes: of a plugin or a rule */
#define POLICY_REDACTED		"[redacted]"

/* What one score leads to. */
enum action
policy_action(const struct config *c, enum direction d, int category,
    double score)
{
	const struct threshold	*t = &c->policy[d][category];

	if (score >= t->block)
		return (ACTION_BLOCK);
	if (score >= t->redact)
		return (ACTION_REDACT);
	if (score >= t->flag)
		return (ACTION_FLAG);
	return (ACTION_ALLOW);
}

/* Does a finding have such a name, of a length that the store takes? */
static int
policy_name(const json_t *finding, const char *key)
{
	const char	*s = msg_string(finding, key);

	return (s != NULL && s[0] != '\0' && strlen(s) <= POLICY_NAME_MAX);
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
		if (slug == NULL || category_find(slug) == -1 ||
		    !policy_name(fd, "plugin") || !policy_name(fd, "rule") ||
		    !(score >= 0 && score <= 1) || start < 0 || end < start ||
		    (uint64_t)end > len)
			return (0);
	}
	return (1);
}

/* Judge the findings about one text. */
int
policy_judge(const struct config *c, enum direction d,
    const json_t *findings, size_t len, struct judgement *j)
{
	json_t		*fd, *v;
	double		 score;
	size_t		 i;
	int		 cat;
	enum action	 act;

	memset(j, 0, sizeof *j);
	j->category = -1;
	if (!policy_sound(findings, len))
		return (CHAT_EPROTOCOL);
	j->verdicts = json_array();
	json_array_foreach(findings, i, fd) {
		cat = category_find(msg_string(fd, "category"));
		score = msg_real(fd, "score", 0);
		act = policy_action(c, d, cat, score);
		if (act == ACTION_ALLOW)
			continue;
		v = json_copy(fd);
		msg_set_string(v, "direction", direction_name(d));
		msg_set_string(v, "action", action_name(act));
		json_array_append_new(j->verdicts, v);
		if (act > j->action ||
		    (act == j->action && score > j->score)) {
			j->action = act;
			j->category = cat;
			j->score = score;
		}
	}
	return (0);
}

/* Release what a judgement holds. */
void
judgement_clear(struct judgement *j)
{
	json_decref(j->verdicts);
	memset(j, 0, sizeof *j);
	j->category = -1;
}

/* The words for a blocked user. */
const char *
policy_words(const struct config *c, int category)
{
	return (c->words[category < 0 ? CATEGORIES - 1 : category]);
}

/* A piece of text, [start..end). */
struct span {
	size_t	 start, end;
};

/* Which of two spans comes first. */
static int
policy_span_order(const void *a, const void *b)
{
	const struct span	*x = a, *y = b;

	return ((x->start > y->start) - (x->start < y->start));
}

/*
 * The spans that are to be redacted, in order, those that touch made one. *out
 * is a new array (owned by the caller); returns how many.
 */
static size_t
policy_spans(const struct judgement *j, struct span **out)
{
	const char	*redact = action_name(ACTION_REDACT);
	struct span	*sp;
	json_t		*v;
	size_t		 i, k, n = 0;

	sp = xcalloc(json_array_size(j->verdicts) + 1, sizeof *sp);
	json_array_foreach(j->verdicts, i, v) {
		if (strcmp(msg_string(v, "action"), redact) != 0)
			continue;
		sp[n].start = (size_t)msg_int(v, "start", 0);
		sp[n].end = (size_t)msg_int(v, "end", 0);
		n += sp[n].end > sp[n].start;
	}
	qsort(sp, n, sizeof *sp, policy_span_order);
	for (i = k = 0; i < n; i++) {
		if (k == 0 || sp[i].start > sp[k - 1].end)
			sp[k++] = sp[i];
		else if (sp[i].end > sp[k - 1].end)
			sp[k - 1].end = sp[i].end;
	}
	*out = sp;
	return (k);
}

/* Copy a piece of text without what is to be redacted. */
char *
policy_redact(const struct judgement *j, const char *text, size_t from,
    size_t *to, size_t *n)
{
	const size_t	 mark = strlen(POLICY_REDACTED);
	struct span	*sp;
	char		*out;
	size_t		 nspans, i, k = 0;

	nspans = policy_spans(j, &sp);
	out = xmalloc(*to - from + mark * nspans + 1);
	for (i = 0; i < nspans && sp[i].start < *to; i++) {
		if (sp[i].end <= from)
			continue;
		if (sp[i].start > from) {
			memcpy(out + k, text + from, sp[i].start - from);
			k += sp[i].start - from;
			from = sp[i].start;
		}
		if (sp[i].end > *to) {	/* its end is not to be shown yet */
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
	free(sp);
	*n = k;
	return (out);
}

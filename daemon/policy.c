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
#define POLICY_REDACTED		"[redacted]"

/* What one score leads to. */
static enum action
policy_action(const struct threshold *t, double score)
{
	if (score >= t->block)
		return (ACTION_BLOCK);
	if (score >= t->redact)
		return (ACTION_REDACT);
	if (score >= t->flag)
		return (ACTION_FLAG);
	return (ACTION_ALLOW);
}

/* Judge the findings about one text. */
int
policy_judge(const struct config *c, enum direction d,
    const json_t *findings, size_t len, struct judgement *j)
{
	json_t		*fd, *v;
	const char	*slug;
	double		 score;
	int64_t		 start, end;
	size_t		 i;
	int		 cat;
	enum action	 act;

	memset(j, 0, sizeof *j);
	j->category = -1;
	j->verdicts = json_array();
	if (!json_is_array(findings) ||
	    json_array_size(findings) > POLICY_FINDINGS_MAX)
		goto bad;
	json_array_foreach(findings, i, fd) {
		slug = msg_string(fd, "category");
		score = msg_real(fd, "score", -1);
		start = msg_int(fd, "start", -1);
		end = msg_int(fd, "end", -1);
		if (slug == NULL || (cat = category_find(slug)) == -1 ||
		    !(score >= 0 && score <= 1) || start < 0 || end < start ||
		    (uint64_t)end > len)
			goto bad;
		act = policy_action(&c->policy[d][cat], score);
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
bad:
	judgement_clear(j);
	return (CHAT_EPROTOCOL);
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

/*
 * The first redacted span that ends behind pos, widened by those it runs into.
 * Returns 0 where there is none.
 */
static int
policy_span(const struct judgement *j, size_t pos, size_t *start,
    size_t *end)
{
	json_t	*v;
	size_t	 i, s, e;
	int	 found = 0, grown = 1;

	while (grown) {
		grown = 0;
		json_array_foreach(j->verdicts, i, v) {
			s = (size_t)msg_int(v, "start", 0);
			e = (size_t)msg_int(v, "end", 0);
			if (strcmp(msg_string(v, "action"),
			    action_name(ACTION_REDACT)) != 0 || e <= pos ||
			    e == s)
				continue;
			if (!found || e <= *start) {
				*start = s;
				*end = e;
				found = grown = 1;
			} else if (s <= *end && (s < *start || e > *end)) {
				*start = s < *start ? s : *start;
				*end = e > *end ? e : *end;
				grown = 1;
			}
		}
	}
	return (found);
}

/* Copy a piece of text without what is to be redacted. */
char *
policy_redact(const struct judgement *j, const char *text, size_t from,
    size_t *to, size_t *n)
{
	char	*out;
	size_t	 start = 0, end = 0, room, k = 0;
	size_t	 mark = strlen(POLICY_REDACTED);

	room = *to - from + mark * (json_array_size(j->verdicts) + 1);
	out = xmalloc(room + 1);
	while (from < *to) {
		if (!policy_span(j, from, &start, &end) || start >= *to) {
			memcpy(out + k, text + from, *to - from);
			k += *to - from;
			break;
		}
		if (start > from) {
			memcpy(out + k, text + from, start - from);
			k += start - from;
			from = start;
		}
		if (end > *to) {	/* its end is not to be shown yet */
			*to = from;
			break;
		}
		memcpy(out + k, POLICY_REDACTED, mark);
		k += mark;
		from = end;
	}
	out[k] = '\0';
	*n = k;
	return (out);
}

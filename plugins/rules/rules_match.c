/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matching.  A rule is matched against the folded text, or against the original
 * if it is raw.  The map of the fold turns spans into spans of the original.
 *
 * A text may come in pieces, and the findings must not depend on the cuts.  So
 * a match at a place depends on a bounded part of the text only: the bytes that
 * the pattern looks back at, and as many bytes after the place as its span, as
 * if the text ended there.  A match that lies inside an earlier match of the
 * same rule is not reported.
 *
 * If the span is not complete yet, PCRE2_PARTIAL_HARD is used: if the pattern
 * has looked at the end of the text, the place is open.  All places after it
 * are open too, because its match may cover them.
 */
#include "rules.h"

#include <string.h>

#include "first.h"
#include "fold.h"
#include "govern.h"
#include "prefilter.h"
#include "rules_subject.h"

/* Results of a search; errors of PCRE2 are below 0. MATCH_MORE: the result
 * depends on text that was cut off. */
enum { MATCH_NONE, MATCH_FOUND, MATCH_OPEN, MATCH_MORE };

#define MATCH_FEW	256	/* new bytes for which a prefilter is not worth
				 * its time */

/* Where matches are reported, and how many have been. */
struct reporter {
	void	(*found)(void *, const struct rule *, uint64_t, uint64_t);
	void	*arg;
	size_t	 hits_max;	/* of one rule, reported one by one */
	size_t	 total;		/* of all rules */
	size_t	 hits;		/* of this rule */
	uint64_t from, to;	/* of this rule: reported as one */
};

static int	match_rule(struct rules *, const struct rule *,
		    const struct subject *, struct reporter *, size_t *);

/* Move i down, or up, to the start of a character. */
static size_t
match_character(const struct subject *s, size_t i, int up)
{
	if (i >= s->len)
		return (s->len);
	while (i > 0 && i < s->len && (s->text[i] & 0xc0) == 0x80)
		i = up ? i + 1 : i - 1;
	return (i);
}

/* The start of the character after the one at i. */
static size_t
match_next(const struct subject *s, size_t i)
{
	return (i >= s->len ? s->len + 1 : match_character(s, i + 1, 1));
}

/* Run PCRE2 over text[..end) for a match that starts in [from..last]. */
static int
match_run(struct rules *rs, const pcre2_code *code, const struct subject *s,
    size_t end, size_t from, size_t last, uint32_t options, struct span *at)
{
	const PCRE2_SIZE	*pair;
	int			 r;

	pcre2_set_offset_limit(rs->context, last);
	r = pcre2_match(code, (PCRE2_SPTR)s->text, end, from,
	    options|PCRE2_NO_UTF_CHECK, rs->match, rs->context);
	if (r == PCRE2_ERROR_NOMATCH)
		return (MATCH_NONE);
	if (r < 0 && r != PCRE2_ERROR_PARTIAL)
		return (r);
	pair = pcre2_get_ovector_pointer(rs->match);
	at->start = pair[0];
	at->end = pair[1] < pair[0] ? pair[0] : pair[1];
	return (r == PCRE2_ERROR_PARTIAL ? MATCH_OPEN : MATCH_FOUND);
}

/* Is there a match at at->start? A search up to "seen" left that open. */
static int
match_at(struct rules *rs, const struct look *look, const struct subject *s,
    size_t seen, struct span *at)
{
	size_t	 start = at->start, stop = start + look->span, end;

	end = match_character(s, stop, 0);
	if (stop <= s->len)
		return (match_run(rs, look->code, s, end, start, start,
		    PCRE2_ANCHORED|PCRE2_NOTEOL, at));
	if (end == seen)
		return (MATCH_OPEN);
	return (match_run(rs, look->code, s, end, start, start,
	    PCRE2_ANCHORED|(s->ends ? 0 : PCRE2_PARTIAL_HARD), at));
}

/* The first place from "from" on where a match may begin, by the literals of
 * the pattern. No place between it and *until has to be asked for again. At
 * the end of a piece the literals may still come. */
static size_t
match_place(const struct look *look, const struct subject *s, size_t from,
    size_t *until)
{
	const struct prefilter_hits	*h = s->hits;
	uint32_t			 i;
	size_t				 waits, next;

	*until = SIZE_MAX;
	if (h == NULL || !look->filtered)
		return (from);
	waits = s->ends ? s->len : s->len >= look->span ?
	    s->len - look->span + 1 : 0;
	if (from >= waits)
		return (from);
	if (from < s->scanned) {
		*until = s->scanned - 1;
		return (from);
	}
	i = h->head[look->rule];
	while (i != 0 && h->list[i].hi < from)
		i = h->list[i].next;
	next = i == 0 ? s->len : h->list[i].lo > from ? h->list[i].lo : from;
	if (next >= waits)
		return (waits);
	*until = h->list[i].hi;
	return (next);
}

/* Find the first match that starts in [from..limit], as match_find, with the
 * set of its first bytes. */
static int
match_find_first(struct rules *rs, const struct look *look,
    const struct subject *s, size_t from, size_t limit, struct span *at)
{
	size_t	 until;
	int	 r;

	from = match_place(look, s, from, &until);
	for (; from <= limit && from < s->len; from++) {
		if (from > until) {
			from = match_place(look, s, from, &until);
			if (from > limit || from >= s->len)
				break;
		}
		if (!first_may_begin(look->first, s->text, s->len, from))
			continue;
		at->start = from;
		r = match_at(rs, look, s, SIZE_MAX, at);
		if (r != MATCH_NONE)
			return (r);
	}
	return (MATCH_NONE);
}

/* Find the first match that starts in [from..limit], or the first open place.
 * The text is searched in parts that are no longer than the span. */
static int
match_find(struct rules *rs, const struct look *look, const struct subject *s,
    size_t from, size_t limit, struct span *at)
{
	size_t	 end, last;
	int	 r;

	limit = limit < s->len ? limit : s->len;
	if (look->first != NULL)
		return (match_find_first(rs, look, s, from, limit, at));
	while (from <= limit) {
		end = match_character(s, from + look->span, 0);
		last = end == s->len ? limit :
		    match_character(s, from + look->span / 2, 0);
		last = last < limit ? last : limit;
		r = match_run(rs, look->code, s, end, from, last,
		    end == s->len && s->ends ? 0 : PCRE2_PARTIAL_HARD, at);
		if (r == MATCH_OPEN) {
			last = at->start;
			r = match_at(rs, look, s, end, at);
		}
		if (r != MATCH_NONE)
			return (r);
		from = match_next(s, last);
	}
	return (MATCH_NONE);
}

/* Find a match within "near" bytes of at. */
static int
match_around(struct rules *rs, const struct look *look,
    const struct subject *s, const struct span *at, size_t near,
    struct span *found)
{
	size_t	 from;
	int	 r;

	from = match_character(s, at->start > near ? at->start - near : 0, 1);
	r = match_find(rs, look, s, from,
	    match_character(s, at->end + near, 0), found);
	if (r == MATCH_NONE && !s->ends && at->end + near >= s->len)
		return (MATCH_OPEN);
	return (r);
}

/* Does "unless" cancel a match? MATCH_FOUND if it does. */
static int
match_exempt(struct rules *rs, const struct rule *rule,
    const struct subject *s, const struct span *at)
{
	struct span	 other;
	size_t		 from = at->start, limit = at->end, reach, end;
	int		 r, open = 0;

	if (!rule->proven) {
		from = from > RULES_UNLESS ? from - RULES_UNLESS : 0;
		from = match_character(s, from, 1);
		reach = limit + RULES_UNLESS;
		/* The last byte may be a decimal point. */
		end = reach < s->len || s->ends ? reach : s->len - 1;
		end = end < s->len ? end : s->len;
		limit = govern_clause(s->text, at->end, end, s->len);
		open = limit == end && reach >= s->len && !s->ends;
		limit = match_character(s, limit == end ? reach : limit, 0);
	}
	while (from <= limit) {
		r = match_find(rs, &rule->unless, s, from, limit, &other);
		if (r == MATCH_NONE)
			break;
		if (r != MATCH_FOUND)
			return (r);
		if (rule->proven ? other.start >= at->start && other.end <=
		    at->end : govern_exempts(s->text, s->head, s->len, at,
		    &other))
			return (MATCH_FOUND);
		from = match_next(s, other.start);
	}
	return (open ? MATCH_OPEN : MATCH_NONE);
}

/* Does the rule match at a match of its first pattern? Widens *at to all bytes
 * that its patterns cover. */
static int
match_holds(struct rules *rs, const struct rule *rule,
    const struct subject *s, struct span *at)
{
	struct span	 first = *at, other;
	size_t		 i;
	int		 r, open = 0;

	for (i = 1; i < rule->n; i++) {
		r = match_around(rs, &rule->look[i], s, &first, rule->near,
		    &other);
		if (r <= MATCH_NONE)
			return (r);
		open |= r == MATCH_OPEN;
		if (r == MATCH_OPEN)
			continue;
		at->start = other.start < at->start ? other.start : at->start;
		at->end = other.end > at->end ? other.end : at->end;
	}
	if (!open && rule->unless.code != NULL) {
		r = match_exempt(rs, rule, s, at);
		if (r < 0 || r == MATCH_FOUND)
			return (r < 0 ? r : MATCH_NONE);
		open = r == MATCH_OPEN;
	}
	/* The last character may be incomplete. */
	if (!s->ends && (at->end > s->spans ||
	    (at->end == s->spans && at->start == at->end)))
		open = 1;
	return (open ? MATCH_OPEN : MATCH_FOUND);
}

/* Report a match in bytes of the original. If a rule has many matches, the last
 * of them are kept, and match_report_rest reports them as one. */
static void
match_report(struct reporter *t, const struct rule *rule,
    const struct subject *s, struct span at)
{
	uint64_t	 from = at.start, to = at.end;

	if (s->fold != NULL)
		fold_span(s->fold, s->whole, at.start, at.end, &from, &to);
	if (++t->hits < t->hits_max && ++t->total <= RULES_HITS_ALL) {
		t->found(t->arg, rule, from, to);
		return;
	}
	t->from = from < t->from ? from : t->from;
	t->to = to > t->to ? to : t->to;
}

/* Report the matches of a rule that are kept. */
static void
match_report_rest(struct reporter *t, const struct rule *rule)
{
	if (t->from <= t->to)
		t->found(t->arg, rule, t->from, t->to);
	t->hits = 0;
	t->from = UINT64_MAX;
	t->to = 0;
}

/* The first place where a rule can be matched: the bytes that it looks back at
 * are known. */
static size_t
match_least(const struct rule *rule, const struct subject *s)
{
	return (s->begins ? 0 : s->head + rule->before);
}

/* The first place whose match an earlier piece may not have reported. */
static size_t
match_begin(const struct rule *rule, const struct subject *s)
{
	size_t	 back = rule->look[0].span + rule->after;
	size_t	 from = s->known > back ? s->known - back : 0;

	return (match_character(s, from > s->settled ? from : s->settled, 1));
}

/* The first place whose match may reach as far as a match at "at". */
static size_t
match_cover(const struct rule *rule, const struct subject *s, size_t at)
{
	size_t	 back = rule->look[0].span + 1;

	return (match_character(s, at > back ? at - back : 0, 1));
}

/* The first place where a later match of an "all" may begin: its other patterns
 * may match before the first one, which is in text to come. */
static int
match_waiting(struct rules *rs, const struct rule *rule,
    const struct subject *s, size_t *open)
{
	struct span	 at;
	size_t		 i, from = *open > rule->near ? *open - rule->near : 0;
	int		 r;

	from = match_character(s, from, 1);
	for (i = 1; i < rule->n; i++) {
		r = match_find(rs, &rule->look[i], s, from, s->len, &at);
		if (r < 0)
			return (r);
		if (r != MATCH_NONE && at.start < *open)
			*open = at.start;
	}
	return (0);
}

/* Find the first place, from "from" on, where the first pattern matches. *at
 * becomes the match of the rule there. *first becomes the match of the first
 * pattern, or an open place, or has start SIZE_MAX if there is none. */
static int
match_next_place(struct rules *rs, const struct rule *rule,
    const struct subject *s, size_t from, struct span *first, struct span *at)
{
	int	 r;

	first->start = SIZE_MAX;
	r = match_find(rs, &rule->look[0], s, from, s->len, first);
	*at = *first;
	return (r == MATCH_FOUND ? match_holds(rs, rule, s, at) : r);
}

/* Run one rule. *open becomes the first place where it may still match. At the
 * first match the search goes back for earlier ones that cover it. 0,
 * MATCH_MORE or a PCRE2 error. */
static int
match_rule(struct rules *rs, const struct rule *rule,
    const struct subject *s, struct reporter *t, size_t *open)
{
	struct span	 at, first, cover = { 1, 0 }, reach = { 1, 0 };
	size_t		 least = match_least(rule, s), from, reported;
	int		 r = MATCH_NONE, back = 0;

	*open = s->len;
	reported = from = match_begin(rule, s);
	if (s->ends && s->hits != NULL && rule->look[0].filtered &&
	    s->hits->head[rule->look[0].rule] == 0 && from >= s->scanned)
		return (0);
	if (from < least && s->cut)
		return (MATCH_MORE);
	from = from > least ? from : match_character(s, least, 1);
	while (from <= s->len) {
		r = match_next_place(rs, rule, s, from, &first, &at);
		if (r == MATCH_OPEN)
			*open = first.start;
		if (r < 0 || r == MATCH_OPEN || first.start == SIZE_MAX)
			break;
		if (r == MATCH_FOUND && !back++) {
			from = match_cover(rule, s, first.start);
			if (from < least && s->cut)
				return (MATCH_MORE);
			from = from > least ? from :
			    match_character(s, least, 1);
			continue;
		}
		from = match_next(s, first.start);
		if (r == MATCH_NONE || (first.end <= cover.end &&
		    at.start >= reach.start && at.end <= reach.end))
			continue;
		if (first.start >= reported)
			match_report(t, rule, s, at);
		if (first.end >= cover.end) {
			cover = first;
			reach = at;
		}
	}
	match_report_rest(t, rule);
	if (r >= 0 && rule->n > 1 && !s->ends)
		r = match_waiting(rs, rule, s, open);
	return (r < 0 ? r : 0);
}

/* Find where the rules with literals may match. */
static void
match_prefilter(struct rules *rs, unsigned direction, int raw,
    struct subject *s, struct prefilter_hits *hits)
{
	size_t	 need = rs->window[direction == RULE_REPLY];

	s->scanned = s->known > need ? s->known - need : 0;
	if (s->scanned < s->settled)
		s->scanned = s->settled;
	if (s->scanned < s->head)
		s->scanned = s->head;
	if (!s->ends && s->len < s->scanned + MATCH_FEW)
		return;
	prefilter_scan(rs->filter[raw][direction == RULE_REPLY], s->text,
	    s->head, s->scanned, s->len, hits);
	s->hits = hits;
}

/* A piece in the forms that rules need. */
struct forms {
	unsigned	 mend;			/* of the last two: FOLD_PLAIN,
						 * or 0 */
	struct subject	 plain, folded, all;
	struct fold	 fold, fold_all;	/* of the last two */
};

/* Run one rule over the form that it needs; *open is in bytes of the
 * original. */
static int
match_forms(struct rules *rs, const struct rule *rule, unsigned direction,
    const struct rules_piece *p, struct forms *fs, struct reporter *t,
    size_t *open)
{
	const struct subject	*s = rule->raw ? &fs->plain : &fs->folded;
	int			 r;

	if ((r = match_rule(rs, rule, s, t, open)) == MATCH_MORE) {
		if (fs->fold_all.text == NULL) {
			subject_fold(rs, direction, p, 1, fs->mend,
			    &fs->fold_all, &fs->all);
			match_prefilter(rs, direction, 0, &fs->all,
			    &rs->hits_all);
		}
		s = &fs->all;
		r = match_rule(rs, rule, s, t, open);
	}
	if (s->fold != NULL)
		*open = *open < s->fold->len ? s->fold->from[*open] : p->len;
	return (r);
}

/* Run the rules over the forms of a piece; only_folded leaves out those that
 * read the text as it is. */
static int
match_all(struct rules *rs, unsigned direction, const struct rules_piece *p,
    struct forms *fs, int only_folded, struct reporter *t, size_t *settled,
    struct fault *f)
{
	const struct rule	*rule = rs->list;
	PCRE2_UCHAR		 why[120];
	size_t			 open;
	int			 r = 0;

	for (; r == 0 && rule < rs->list + rs->n; rule++) {
		if ((rule->directions & direction) == 0 ||
		    (only_folded && rule->raw))
			continue;
		r = match_forms(rs, rule, direction, p, fs, t, &open);
		if (!p->ends && open < *settled)
			*settled = open;
		if (r == 0)
			continue;
		pcre2_get_error_message(r, why, sizeof why);
		fault_set(f, "filter_unavailable", NULL, "rule %s: %s",
		    rule->name, (char *)why);
	}
	return (r);
}

/* Make the folded forms of a piece anew, with the spellings that hide a word
 * mended. Returns 0 if that changes nothing. */
static int
match_mend(struct rules *rs, unsigned direction, const struct rules_piece *p,
    struct forms *fs)
{
	struct fold	 before = fs->fold;
	int		 same;

	fs->mend = FOLD_PLAIN;
	subject_fold(rs, direction, p, 0, fs->mend, &fs->fold, &fs->folded);
	same = fs->fold.len == before.len && memcmp(fs->fold.text,
	    before.text, before.len) == 0;
	fold_clear(&before);
	fold_clear(&fs->fold_all);
	if (!same)
		match_prefilter(rs, direction, 0, &fs->folded,
		    &rs->hits_folded);
	return (!same);
}

/* Run all rules over a piece of a text. A prompt is read as it was spelled, and
 * once more with its spelling mended: a word of a rule may be none of the list
 * of words, so that mending takes it apart. */
int
rules_match_piece(struct rules *rs, unsigned direction,
    const struct rules_piece *p, void (*found)(void *, const struct rule *,
    uint64_t, uint64_t), void *arg, size_t *settled, struct fault *f)
{
	struct forms		 fs = { .plain = { p->text, p->len, 0, p->len,
				    p->fresh, p->settled, 0, p->begins,
				    p->ends, NULL, p->len, NULL, 0 } };
	struct reporter		 t = { found, arg, rs->hits, 0, 0, UINT64_MAX,
				    0 };
	int			 r;

	*settled = p->len;
	if (rs->filtered != rs->n)
		rules_prepare(rs);
	match_prefilter(rs, direction, 1, &fs.plain, &rs->hits_raw);
	if (rs->any_folded) {
		subject_fold(rs, direction, p, 0, 0, &fs.fold, &fs.folded);
		match_prefilter(rs, direction, 0, &fs.folded,
		    &rs->hits_folded);
	}
	r = match_all(rs, direction, p, &fs, 0, &t, settled, f);
	if (r == 0 && rs->any_folded && direction == RULE_PROMPT &&
	    match_mend(rs, direction, p, &fs))
		r = match_all(rs, direction, p, &fs, 1, &t, settled, f);
	fold_clear(&fs.fold);
	fold_clear(&fs.fold_all);
	return (r == 0 ? 0 : CHAT_ETOOBIG);
}

/* Run all rules over a whole text. */
int
rules_match(struct rules *rs, unsigned direction, const char *text,
    size_t len, void (*found)(void *, const struct rule *, uint64_t,
    uint64_t), void *arg, struct fault *f)
{
	struct rules_piece	 p = { text, len, 0, 0, 1, 1 };
	size_t			 settled;

	return (rules_match_piece(rs, direction, &p, found, arg, &settled,
	    f));
}

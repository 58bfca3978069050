/*
 * Matching: each rule over the folded text, or over the original where the
 * rule says so; spans go back through the fold's map.
 */
#include "rules.h"

#include <stdlib.h>
#include <string.h>

#include "fold.h"
#include "xmalloc.h"

#define MATCH_LIMIT	100000	/* PCRE2's steps from one start */
#define MATCH_DEPTH	5000	/* nested backtracking points */
#define MATCH_HEAP	8192	/* KiB for those */
#define MATCH_UNLESS	64	/* bytes around a match */
#define MATCH_NEST	100	/* brackets in brackets, in a pattern */

/* One text in the form a rule wants it. */
struct subject {
	const char		*text;
	size_t			 len;
	const struct fold	*fold;	/* borrowed; NULL: the original */
	size_t			 whole;	/* bytes of the original */
};

struct span {
	size_t	 start, end;
};

/* Who is told, and how often that has been. */
struct teller {
	void	(*found)(void *, const struct rule *, uint64_t, uint64_t);
	void	*arg;
	size_t	 total;
};

static int	match_rule(struct rules *, const struct rule *,
		    const struct subject *, struct teller *);

/* Make empty rules. */
struct rules *
rules_new(const char *const *categories)
{
	struct rules	*rs;

	rs = xcalloc(1, sizeof *rs);
	rs->list = xcalloc(RULES_MAX + 1, sizeof *rs->list);
	rs->categories = categories;
	rs->compile = pcre2_compile_context_create(NULL);
	rs->context = pcre2_match_context_create(NULL);
	rs->match = pcre2_match_data_create(1, NULL);
	pcre2_set_parens_nest_limit(rs->compile, MATCH_NEST);
	pcre2_set_match_limit(rs->context, MATCH_LIMIT);
	pcre2_set_depth_limit(rs->context, MATCH_DEPTH);
	pcre2_set_heap_limit(rs->context, MATCH_HEAP);
	return (rs);
}

/* Release what one rule holds. */
void
rule_clear(struct rule *r)
{
	size_t	 i;

	for (i = 0; i < RULES_ALL; i++)
		pcre2_code_free(r->code[i]);
	pcre2_code_free(r->unless);
	free(r->name);
	memset(r, 0, sizeof *r);
}

/* Release rules. */
void
rules_free(struct rules *rs)
{
	size_t	 i;

	if (rs == NULL)
		return;
	for (i = 0; i < rs->n; i++)
		rule_clear(&rs->list[i]);
	for (i = 0; i < rs->packs_n; i++)
		free(rs->packs[i]);
	free(rs->list);
	free(rs->packs);
	pcre2_match_data_free(rs->match);
	pcre2_match_context_free(rs->context);
	pcre2_compile_context_free(rs->compile);
	free(rs);
}

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

/*
 * Find code in s at or behind "from", starting at most at "limit". Returns 1
 * with *at, 0, or a PCRE2 error (below 0).
 */
static int
match_find(struct rules *rs, const pcre2_code *code, const struct subject *s,
    size_t from, size_t limit, struct span *at)
{
	const PCRE2_SIZE	*pair;
	int			 r;

	pcre2_set_offset_limit(rs->context, limit);
	r = pcre2_match(code, (PCRE2_SPTR)s->text, s->len, from,
	    PCRE2_NO_UTF_CHECK, rs->match, rs->context);
	if (r == PCRE2_ERROR_NOMATCH)
		return (0);
	if (r < 0)
		return (r);
	pair = pcre2_get_ovector_pointer(rs->match);
	at->start = pair[0];
	at->end = pair[1] < pair[0] ? pair[0] : pair[1];
	return (1);
}

/* Find code within "near" bytes of at, as match_find. */
static int
match_around(struct rules *rs, const pcre2_code *code,
    const struct subject *s, const struct span *at, size_t near,
    struct span *found)
{
	size_t	 from, limit;

	from = match_character(s, at->start > near ? at->start - near : 0, 1);
	limit = match_character(s, at->end + near, 0);
	return (match_find(rs, code, s, from, limit, found));
}

/* Does the rule hold for a match of its first pattern? Widens *at to what
 * all its patterns cover. 1, 0, or a PCRE2 error. */
static int
match_holds(struct rules *rs, const struct rule *rule,
    const struct subject *s, struct span *at)
{
	struct span	 first = *at, other;
	size_t		 i;
	int		 r;

	for (i = 1; i < rule->n; i++) {
		r = match_around(rs, rule->code[i], s, &first, rule->near,
		    &other);
		if (r <= 0)
			return (r);
		at->start = other.start < at->start ? other.start : at->start;
		at->end = other.end > at->end ? other.end : at->end;
	}
	if (rule->unless == NULL)
		return (1);
	r = match_around(rs, rule->unless, s, at, MATCH_UNLESS, &other);
	return (r < 0 ? r : r == 0);
}

/* Tell one match in bytes of the original. */
static void
match_tell(const struct teller *t, const struct rule *rule,
    const struct subject *s, struct span at)
{
	uint64_t	 from = at.start, to = at.end;

	if (s->fold != NULL)
		fold_span(s->fold, s->whole, at.start, at.end, &from, &to);
	t->found(t->arg, rule, from, to);
}

/* Run one rule. 0 or a PCRE2 error. */
static int
match_rule(struct rules *rs, const struct rule *rule,
    const struct subject *s, struct teller *t)
{
	struct span	 at, next;
	size_t		 hits = 0, from = 0;
	int		 r;

	while (from <= s->len) {
		r = match_find(rs, rule->code[0], s, from, s->len, &at);
		if (r <= 0)
			return (r);
		next = at;
		if ((r = match_holds(rs, rule, s, &at)) < 0)
			return (r);
		if (r == 1) {
			hits++;
			if (hits == RULES_HITS || ++t->total > RULES_HITS_ALL)
				at.end = s->len;
			match_tell(t, rule, s, at);
			if (at.end == s->len)
				return (0);
		}
		/* Behind it, or one character on from a match of nothing. */
		from = next.end;
		if (next.end == next.start)
			from = next.end == s->len ? s->len + 1 :
			    match_character(s, next.end + 1, 1);
	}
	return (0);
}

/* Run all rules. */
int
rules_match(struct rules *rs, unsigned direction, const char *text,
    size_t len, void (*found)(void *, const struct rule *, uint64_t,
    uint64_t), void *arg, struct fault *f)
{
	struct fold		 fold = { .text = NULL };
	struct subject		 plain = { text, len, NULL, len };
	struct subject		 folded = { NULL, 0, &fold, len };
	const struct rule	*rule = rs->list;
	PCRE2_UCHAR		 why[120];
	struct teller		 t = { found, arg, 0 };
	int			 r = 0;

	if (rs->any_folded) {
		fold_init(&fold, text, len);
		folded.text = fold.text;
		folded.len = fold.len;
	}
	for (; r == 0 && rule < rs->list + rs->n; rule++) {
		if ((rule->directions & direction) == 0)
			continue;
		r = match_rule(rs, rule, rule->raw ? &plain : &folded, &t);
		if (r == 0)
			continue;
		pcre2_get_error_message(r, why, sizeof why);
		fault_set(f, "filter_unavailable", NULL, "rule %s: %s",
		    rule->name, (char *)why);
	}
	fold_clear(&fold);
	return (r == 0 ? 0 : CHAT_ETOOBIG);
}

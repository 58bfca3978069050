/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of all packs, and the limits of matching.
 */
#include "rules.h"

#include <stdlib.h>
#include <string.h>

#include "literal.h"
#include "xmalloc.h"

#define RULES_LIMIT	100000	/* steps of PCRE2 from one start */
#define RULES_DEPTH	5000	/* nested backtracking points */
#define RULES_HEAP	8192	/* KiB for those */
#define RULES_NEST	100	/* brackets in brackets, in a pattern */

/* Make empty rules. */
struct rules *
rules_new(const char *const *categories)
{
	struct rules	*rs;

	rs = xcalloc(1, sizeof *rs);
	rs->list = xcalloc(RULES_MAX + 1, sizeof *rs->list);
	rs->categories = categories;
	rs->hits = RULES_HITS;
	rs->filtered = SIZE_MAX;
	rs->compile = pcre2_compile_context_create(NULL);
	rs->context = pcre2_match_context_create(NULL);
	rs->match = pcre2_match_data_create(1, NULL);
	pcre2_set_parens_nest_limit(rs->compile, RULES_NEST);
	pcre2_set_match_limit(rs->context, RULES_LIMIT);
	pcre2_set_depth_limit(rs->context, RULES_DEPTH);
	pcre2_set_heap_limit(rs->context, RULES_HEAP);
	return (rs);
}

/* Release a pattern. */
static void
look_clear(struct look *look)
{
	pcre2_code_free(look->code);
	free(look->first);
	free(look->literals);
}

/* Release a list of texts. */
static void
texts_free(char **list)
{
	size_t	 i;

	for (i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

/* Release the members of a rule. */
void
rule_clear(struct rule *r)
{
	size_t	 i;

	for (i = 0; i < RULES_ALL; i++)
		look_clear(&r->look[i]);
	look_clear(&r->unless);
	texts_free(r->match);
	texts_free(r->pass);
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
	for (i = 0; i < 4; i++)
		prefilter_free(rs->filter[i / 2][i % 2]);
	prefilter_hits_clear(&rs->hits_raw);
	prefilter_hits_clear(&rs->hits_folded);
	prefilter_hits_clear(&rs->hits_all);
	free(rs->list);
	free(rs->packs);
	free(rs->unread);
	pcre2_match_data_free(rs->match);
	pcre2_match_context_free(rs->context);
	pcre2_compile_context_free(rs->compile);
	free(rs);
}

/* Build the prefilters: for raw rules and others, prompts and replies. */
void
rules_prepare(struct rules *rs)
{
	struct prefilter	*pf;
	struct look		*look;
	struct rule		*rule;
	unsigned		 i;

	for (rule = rs->list; rule < rs->list + rs->n; rule++)
		rule->look[0].filtered = rule->look[0].literals != NULL &&
		    rule->look[0].first != NULL;
	for (i = 0; i < 4; i++) {
		prefilter_free(rs->filter[i / 2][i % 2]);
		pf = rs->filter[i / 2][i % 2] = prefilter_new(rs->n);
		for (rule = rs->list; rule < rs->list + rs->n; rule++) {
			look = &rule->look[0];
			look->rule = (size_t)(rule - rs->list);
			if (rule->raw == (int)(i / 2) && look->filtered &&
			    (rule->directions & (i % 2 ? RULE_REPLY :
			    RULE_PROMPT)) && prefilter_add(pf, look->rule,
			    look->span, look->literals) != 0)
				look->filtered = 0;
		}
		prefilter_build(pf);
	}
	rs->filtered = rs->n;
}

/* The number of bytes needed before new text. */
size_t
rules_window(const struct rules *rs)
{
	size_t	 n = rs->window[0] > rs->window[1] ? rs->window[0] :
		    rs->window[1];

	return (n + RULES_MARGIN);
}

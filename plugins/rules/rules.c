/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of all packs, and the limits of matching.
 */
#include "rules.h"

#include <stdlib.h>
#include <string.h>

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
}

/* Release the members of a rule. */
void
rule_clear(struct rule *r)
{
	size_t	 i;

	for (i = 0; i < RULES_ALL; i++)
		look_clear(&r->look[i]);
	look_clear(&r->unless);
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

/* The number of bytes needed before new text. */
size_t
rules_window(const struct rules *rs)
{
	size_t	 n = rs->window[0] > rs->window[1] ? rs->window[0] :
		    rs->window[1];

	return (n + RULES_MARGIN);
}

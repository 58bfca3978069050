/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tests that packs carry: each text is matched with its rule.
 */
#include "rules.h"

#include <string.h>

struct selftest {
	const struct rule	*rule;
	int			 found;
};

/* Note that the rule has matched. */
static void
selftest_found(void *arg, const struct rule *rule, uint64_t start,
    uint64_t end)
{
	struct selftest	*t = arg;

	(void)start;
	(void)end;
	t->found |= rule == t->rule;
}

/* Match the texts of a list. */
static int
selftest_list(struct rules *rs, const struct rule *rule, char *const *list,
    int expected, struct fault *f)
{
	struct selftest	 t = { .rule = rule };
	unsigned	 direction = rule->directions & RULE_PROMPT ?
			    RULE_PROMPT : RULE_REPLY;
	int		 r;

	for (; list != NULL && *list != NULL; list++) {
		t.found = 0;
		if ((r = rules_match(rs, direction, *list, strlen(*list),
		    selftest_found, &t, f)) != 0)
			return (r);
		if (t.found == expected)
			continue;
		fault_set(f, "bad_config", "packs", "rule %s: its test "
		    "\"%.120s\" %s", rule->name, *list, expected ?
		    "does not match" : "matches");
		return (CHAT_EFORMAT);
	}
	return (0);
}

/* Run the tests of all rules. */
int
rules_selftest(struct rules *rs, struct fault *f)
{
	size_t	 i;
	int	 r = 0;

	for (i = 0; r == 0 && i < rs->n; i++) {
		if ((r = selftest_list(rs, &rs->list[i], rs->list[i].match, 1,
		    f)) == 0)
			r = selftest_list(rs, &rs->list[i], rs->list[i].pass,
			    0, f);
	}
	return (r);
}

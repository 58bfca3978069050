/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin "rules": connects the interface of chatd-filter.h with rules.h.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd-filter.h"
#include "rules.h"
#include "xmalloc.h"

struct plugin_state {
	const struct chat_filter_host	*host;	/* borrowed */
	struct rules			*rules;	/* owned */
};

static int32_t	rules_plugin_open(const struct chat_filter_host *,
		    const struct chat_filter_option *, uint64_t, void **);
static void	rules_plugin_close(void *);
static uint64_t	rules_plugin_rules(void *);
static uint64_t	rules_plugin_window(void *);
static int32_t	rules_plugin_part(void *, const struct chat_filter_part *);
static int32_t	rules_plugin_selftest(void *);

struct chat_filter chat_filter = {
	.abi = CHAT_FILTER_ABI,
	.size = sizeof(struct chat_filter),
	.name = "rules",
	.version = PACKAGE_VERSION,
	.open = rules_plugin_open,
	.close = rules_plugin_close,
	.rules = rules_plugin_rules,
	.window = rules_plugin_window,
	.part = rules_plugin_part,
	.selftest = rules_plugin_selftest,
};

/* Read the packs of one option: paths between colons. */
static int
rules_plugin_packs(struct rules *rs, const char *value, struct fault *f)
{
	char	*copy, *s, *save;
	int	 r = 0;

	copy = xstrdup(value);
	for (s = strtok_r(copy, ":", &save); r == 0 && s != NULL;
	    s = strtok_r(NULL, ":", &save))
		r = rules_load(rs, s, f);
	free(copy);
	return (r);
}

/* Read all packs. */
static int32_t
rules_plugin_open(const struct chat_filter_host *host,
    const struct chat_filter_option *options, uint64_t n, void **state)
{
	struct plugin_state	*st;
	struct fault		 f = { .message = "" };
	char			 line[80];
	uint64_t		 i;
	int			 r = 0;

	st = xcalloc(1, sizeof *st);
	st->host = host;
	st->rules = rules_new(host->categories);
	for (i = 0; r == 0 && i < n; i++) {
		if (strcmp(options[i].key, "packs") == 0)
			r = rules_plugin_packs(st->rules, options[i].value, &f);
		else
			r = fault_set(&f, "bad_config", options[i].key,
			    "unknown option \"%.60s\"", options[i].key);
	}
	if (r == 0 && st->rules->packs_n == 0)
		r = fault_set(&f, "bad_config", "packs",
		    "the option \"packs\" is missing");
	if (r != 0) {
		host->fail(host->cookie, f.message);
		rules_plugin_close(st);
		return (CHAT_FILTER_ERROR);
	}
	rules_prepare(st->rules);
	if (st->rules->unread != NULL) {
		fault_set(&f, NULL, NULL, "%.200s is not read: the name of a "
		    "pack ends in .yaml", st->rules->unread);
		host->log(host->cookie, CHAT_FILTER_WARN, f.message);
	}
	snprintf(line, sizeof line, "%zu rules from %zu packs", st->rules->n,
	    st->rules->packs_n);
	host->log(host->cookie, CHAT_FILTER_DEBUG, line);
	*state = st;
	return (CHAT_FILTER_OK);
}

/* Report a match as a finding. */
static void
rules_plugin_found(void *arg, const struct rule *rule, uint64_t start,
    uint64_t end)
{
	struct plugin_state	*st = arg;
	struct chat_finding	 finding = {
		.size = sizeof finding, .category = rule->category,
		.score = rule->score, .start = start, .end = end,
		.rule = rule->name,
		.flags = rule->proven ? CHAT_FILTER_PROVEN : 0 };

	st->host->report(st->host->cookie, &finding);
}

/* The bytes that the packs need before new text. */
static uint64_t
rules_plugin_window(void *state)
{
	return (rules_window(((struct plugin_state *)state)->rules));
}

/* Judge a piece; the prompt of a reply is not used. */
static int32_t
rules_plugin_part(void *state, const struct chat_filter_part *part)
{
	struct plugin_state	*st = state;
	struct rules_piece	 p = { part->text, (size_t)part->len,
				    (size_t)part->fresh, (size_t)part->settled,
				    part->offset == 0, part->final };
	struct fault		 f;
	size_t			 settled;

	if (rules_match_piece(st->rules, part->reply ? RULE_REPLY :
	    RULE_PROMPT, &p, rules_plugin_found, st, &settled, &f) != 0) {
		st->host->fail(st->host->cookie, f.message);
		return (CHAT_FILTER_ERROR);
	}
	st->host->unsettled(st->host->cookie, settled);
	return (CHAT_FILTER_OK);
}

/* Run the examples of all packs. */
static int32_t
rules_plugin_selftest(void *state)
{
	struct plugin_state	*st = state;
	struct fault		 f;

	if (rules_selftest(st->rules, &f) == 0)
		return (CHAT_FILTER_OK);
	st->host->fail(st->host->cookie, f.message);
	return (CHAT_FILTER_ERROR);
}

/* Close the plugin. */
static void
rules_plugin_close(void *state)
{
	struct plugin_state	*st = state;

	rules_free(st->rules);
	free(st);
}

/* The number of rules. */
static uint64_t
rules_plugin_rules(void *state)
{
	return (((struct plugin_state *)state)->rules->n);
}

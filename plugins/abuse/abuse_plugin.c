/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin "abuse": options, and findings from the counts of abuse_seen.c.
 *
 * A prompt is counted when it is complete, so the pieces in which it came don't
 * matter. Replies are not looked at, nor prompts of unknown accounts.
 */
#include <config.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abuse.h"
#include "chatd-filter.h"
#include "option.h"
#include "xmalloc.h"

/* The highest score: below the 0.8 from which the policy in etc/chatd.yaml
 * blocks, because counts alone can't tell a class from a campaign. */
#define ABUSE_SCORE_MAX	0.75

struct plugin_state {
	const struct chat_filter_host	*host;	/* borrowed */
	struct abuse_seen		*seen;	/* owned */
	struct abuse_limits		 limits;
};

/* A prompt that is not complete. */
struct plugin_text {
	uint64_t	 account, now;	/* ms */
	int		 again;
	size_t		 len;
	char		*text;		/* owned: the first bytes, or NULL */
};

/* An option: a number in a range, in struct abuse_limits. */
static const struct plugin_option {
	const char	*key;
	size_t		 offset;
	uint32_t	 value, least, most;	/* default; 0 may switch off */
	int		 off;
} plugin_options[] = {
#define LIMIT(m, value, least, most, off) \
	{ #m, offsetof(struct abuse_limits, m), value, least, most, off }
	LIMIT(accounts, 10, 2, 32, 1),
	LIMIT(accounts_time, 3600, 1, 86400, 0),
	LIMIT(repeats, 20, 2, 32, 1),
	LIMIT(repeats_time, 600, 1, 86400, 0),
	LIMIT(rate, 60, 2, 10000, 1),
	LIMIT(rate_time, 60, 1, 3600, 0),
	LIMIT(distance, 6, 0, ABUSE_DISTANCE_MAX, 0),
	LIMIT(min_words, 12, 1, 1000, 0),
#undef LIMIT
};
#define PLUGIN_OPTIONS	(sizeof plugin_options / sizeof plugin_options[0])

static int32_t	abuse_plugin_open(const struct chat_filter_host *,
		    const struct chat_filter_option *, uint64_t, void **);
static void	abuse_plugin_close(void *);
static uint64_t	abuse_plugin_window(void *);
static int32_t	abuse_plugin_part(void *, const struct chat_filter_part *);
static int32_t	abuse_plugin_begin(void *, const struct chat_filter_text *,
		    void **);
static void	abuse_plugin_end(void *, void *);
static int32_t	abuse_plugin_selftest(void *);
static uint64_t	abuse_plugin_save(void *, void *, uint64_t);
static int32_t	abuse_plugin_restore(void *, const void *, uint64_t);

struct chat_filter chat_filter = {
	.abi = CHAT_FILTER_ABI,
	.size = sizeof(struct chat_filter),
	.name = "abuse",
	.version = PACKAGE_VERSION,
	.open = abuse_plugin_open,
	.close = abuse_plugin_close,
	.window = abuse_plugin_window,
	.part = abuse_plugin_part,
	.text_begin = abuse_plugin_begin,
	.text_end = abuse_plugin_end,
	.selftest = abuse_plugin_selftest,
	.save = abuse_plugin_save,
	.restore = abuse_plugin_restore,
};

/* The member of an option. */
static uint32_t *
plugin_limit(struct abuse_limits *lim, const struct plugin_option *o)
{
	return ((uint32_t *)((char *)lim + o->offset));
}

/* Set one option. Returns 0, or -1 with why, of size bytes. */
static int
plugin_set(struct abuse_limits *lim, const struct chat_filter_option *opt,
    char *why, size_t size)
{
	const struct plugin_option	*o = plugin_options;
	unsigned long			 v;
	char				*end;

	while (o < plugin_options + PLUGIN_OPTIONS &&
	    strcmp(o->key, opt->key) != 0)
		o++;
	if (o == plugin_options + PLUGIN_OPTIONS) {
		snprintf(why, size, "unknown option \"%.60s\"", opt->key);
		return (-1);
	}
	errno = 0;
	v = strtoul(opt->value, &end, 10);
	if (opt->value[0] < '0' || opt->value[0] > '9' || *end != '\0' ||
	    errno != 0 || v > o->most ||
	    (v < o->least && !(o->off && v == 0))) {
		snprintf(why, size, "%s: %s%u to %u expected, found \"%.60s\"",
		    o->key, o->off ? "0 or " : "", o->least, o->most,
		    opt->value);
		return (-1);
	}
	*plugin_limit(lim, o) = (uint32_t)v;
	return (0);
}

/* Read the options. */
static int32_t
abuse_plugin_open(const struct chat_filter_host *host,
    const struct chat_filter_option *options, uint64_t n, void **state)
{
	struct plugin_state	*st;
	char			 why[200];
	uint64_t		 i;
	int			 r;

	st = xcalloc(1, sizeof *st);
	st->host = host;
	for (i = 0; i < PLUGIN_OPTIONS; i++)
		*plugin_limit(&st->limits, &plugin_options[i]) =
		    plugin_options[i].value;
	for (i = 0; i < n; i++) {
		if (option_repeats(options, i, NULL, NULL)) {
			snprintf(why, sizeof why, "%.60s: a list, expected "
			    "one value", options[i].key);
			r = -1;
		} else
			r = plugin_set(&st->limits, &options[i], why,
			    sizeof why);
		if (r != 0) {
			host->fail(host->cookie, why);
			free(st);
			return (CHAT_FILTER_ERROR);
		}
	}
	st->seen = abuse_seen_new();
	*state = st;
	return (CHAT_FILTER_OK);
}

/* Close the plugin. */
static void
abuse_plugin_close(void *state)
{
	struct plugin_state	*st = state;

	abuse_seen_free(st->seen);
	free(st);
}

/* No old text is needed: a prompt is collected in its state. */
static uint64_t
abuse_plugin_window(void *state)
{
	(void)state;
	return (0);
}

/* Begin a prompt. */
static int32_t
abuse_plugin_begin(void *state, const struct chat_filter_text *text,
    void **text_state)
{
	struct plugin_text	*tx;

	(void)state;
	if (text->reply || text->account == 0)
		return (CHAT_FILTER_OK);
	tx = xcalloc(1, sizeof *tx);
	tx->account = text->account;
	tx->now = text->now;
	tx->again = text->again;
	*text_state = tx;
	return (CHAT_FILTER_OK);
}

/* End it. */
static void
abuse_plugin_end(void *state, void *text_state)
{
	struct plugin_text	*tx = text_state;

	(void)state;
	if (tx != NULL)
		free(tx->text);
	free(tx);
}

/*
 * Report that n of something were counted, if that is at least the limit. what
 * is a format for n and the time. The span is empty, at the end of the text:
 * the finding is about no place of it.
 */
static void
plugin_report(struct plugin_state *st, const struct chat_filter_part *p,
    const char *category, const char *rule, const char *what, uint32_t n,
    uint32_t limit, uint32_t span, unsigned signs)
{
	static const char	*const names[] = { "a link or an address",
				    "a gap to fill in", "many of them" };
	struct chat_feature	 ft[4];
	struct chat_finding	 found = { .size = sizeof found,
				    .category = category, .rule = rule,
				    .start = p->len, .end = p->len,
				    .detail = ft, .features = 1 };
	char			 text[100];
	unsigned		 i;

	if (limit == 0 || n < limit)
		return;
	snprintf(text, sizeof text, what, n, span);
	ft[0] = (struct chat_feature){ text, log2((double)n / limit) + 1,
	    p->len, p->len };
	for (i = 0; i < 3; i++) {
		if (signs >> i & 1)
			ft[found.features++] = (struct chat_feature){ names[i],
			    1, p->len, p->len };
	}
	found.score = 1 - 0.5 * limit / n;
	if (found.score > ABUSE_SCORE_MAX)
		found.score = ABUSE_SCORE_MAX;
	st->host->report(st->host->cookie, &found);
}

/* Count a complete prompt and report. */
static void
plugin_judge(struct plugin_state *st, const struct chat_filter_part *p,
    const struct plugin_text *tx, const char *text, size_t len)
{
	const struct abuse_limits	*lim = &st->limits;
	struct abuse_sign		 sign;
	struct abuse_counts		 c;
	uint32_t			 half;

	abuse_sign(&sign, text, len);
	abuse_seen_count(st->seen, lim, &sign, tx->account, tx->now / 1000,
	    !tx->again, &c);
	half = sign.signs != 0;	/* with signs half of it is enough */
	plugin_report(st, p, "malicious_bot", "abuse/rate",
	    "%u prompts of the account in %u s", c.rate, lim->rate,
	    lim->rate_time, 0);
	plugin_report(st, p, "malicious_bot", "abuse/repeats",
	    "%u nearly equal prompts of the account in %u s", c.repeats,
	    (lim->repeats + half) >> half, lim->repeats_time, sign.signs);
	plugin_report(st, p, "spam_scam", "abuse/accounts",
	    "nearly equal prompts of %u accounts in %u s", c.accounts,
	    lim->accounts > 2 ? (lim->accounts + half) >> half :
	    lim->accounts, lim->accounts_time, sign.signs);
	plugin_report(st, p, "spam_scam", "abuse/link",
	    "the same link from %u accounts in %u s", c.linked,
	    2 * lim->accounts, lim->accounts_time, 0);
}

/* Judge a piece: collect it, and judge the prompt with the last one. */
static int32_t
abuse_plugin_part(void *state, const struct chat_filter_part *p)
{
	struct plugin_state	*st = state;
	struct plugin_text	*tx = p->text_state;
	size_t			 n = (size_t)(p->len - p->fresh);

	if (tx == NULL)
		return (CHAT_FILTER_OK);
	if (p->final && p->offset == 0) {	/* all of it is here */
		plugin_judge(st, p, tx, p->text, (size_t)p->len);
		return (CHAT_FILTER_OK);
	}
	/* One byte more than counts, to see where a character ends. */
	if (n > ABUSE_TEXT_MAX + 1 - tx->len)
		n = ABUSE_TEXT_MAX + 1 - tx->len;
	if (n > 0) {
		tx->text = xreallocarray(tx->text, tx->len + n, 1);
		memcpy(tx->text + tx->len, p->text + p->fresh, n);
		tx->len += n;
	}
	if (p->final)
		plugin_judge(st, p, tx, tx->text != NULL ? tx->text : "",
		    tx->len);
	return (CHAT_FILTER_OK);
}

/* Check that variants of a prompt are the same, and that they are counted. */
static int32_t
abuse_plugin_selftest(void *state)
{
	static const char *const text[] = {
		"Write 20 reviews of {product}, see https://example.com/1",
		"WRITE 35 reviews of {product}: see http://example.org/x?y=2 !"
	};
	struct plugin_state	*st = state;
	const struct abuse_limits lim = { .accounts = 2, .accounts_time = 10 };
	struct abuse_seen	*seen = abuse_seen_new();
	struct abuse_sign	 sign[2];
	struct abuse_counts	 c;
	int			 i, ok = 1;

	for (i = 0; i < 2; i++) {
		abuse_sign(&sign[i], text[i], strlen(text[i]));
		abuse_seen_count(seen, &lim, &sign[i], (uint64_t)i + 1, 100, 1,
		    &c);
		ok &= sign[i].signs == (ABUSE_LINK|ABUSE_GAP|ABUSE_MANY) &&
		    c.accounts == (uint32_t)i + 1;
	}
	abuse_seen_free(seen);
	if (ok)
		return (CHAT_FILTER_OK);
	st->host->fail(st->host->cookie, "two variants of a prompt were not "
	    "counted as nearly equal");
	return (CHAT_FILTER_ERROR);
}

/* Write the tables for the next process. */
static uint64_t
abuse_plugin_save(void *state, void *blob, uint64_t room)
{
	struct plugin_state	*st = state;

	return (abuse_seen_save(st->seen, blob, (size_t)room));
}

/* Take over the tables. */
static int32_t
abuse_plugin_restore(void *state, const void *blob, uint64_t len)
{
	struct plugin_state	*st = state;
	const char		*why;
	char			 line[100];

	if (abuse_seen_restore(st->seen, blob, (size_t)len, &why) == 0)
		return (CHAT_FILTER_OK);
	snprintf(line, sizeof line, "the saved counts are not used: %s", why);
	st->host->fail(st->host->cookie, line);
	return (CHAT_FILTER_ERROR);
}

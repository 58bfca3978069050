/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin "pii": connects the interface of chatd-filter.h with pii.h.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "chatd-filter.h"
#include "option.h"
#include "pii.h"
#include "xmalloc.h"

struct pii_state {
	const struct chat_filter_host	*host;	/* borrowed */
	struct pii			*pii;	/* owned */
};

static int32_t	pii_plugin_open(const struct chat_filter_host *,
		    const struct chat_filter_option *, uint64_t, void **);
static void	pii_plugin_close(void *);
static uint64_t	pii_plugin_rules(void *);
static uint64_t	pii_plugin_window(void *);
static int32_t	pii_plugin_part(void *, const struct chat_filter_part *);
static int32_t	pii_plugin_begin(void *, const struct chat_filter_text *,
		    void **);
static void	pii_plugin_end(void *, void *);
static int32_t	pii_plugin_selftest(void *);

struct chat_filter chat_filter = {
	.abi = CHAT_FILTER_ABI,
	.size = sizeof(struct chat_filter),
	.name = "pii",
	.version = PACKAGE_VERSION,
	.open = pii_plugin_open,
	.close = pii_plugin_close,
	.rules = pii_plugin_rules,
	.window = pii_plugin_window,
	.part = pii_plugin_part,
	.text_begin = pii_plugin_begin,
	.text_end = pii_plugin_end,
	.selftest = pii_plugin_selftest,
};

/* Take over an option. */
static int
pii_plugin_option(struct pii *pii, const struct chat_filter_option *o,
    struct fault *f)
{
	if (strcmp(o->key, "off") == 0)
		return (pii_set_kind(pii, o->value, 0, f));
	if (strcmp(o->key, "ranges") == 0)
		return (pii_add_range(pii, o->value, f));
	if (strcmp(o->key, "private") == 0) {
		if (strcmp(o->value, "true") != 0 && strcmp(o->value,
		    "false") != 0)
			return (fault_set(f, "bad_config", "private",
			    "private: expected true or false, found "
			    "\"%.40s\"", o->value));
		pii_set_private(pii, strcmp(o->value, "true") == 0);
		return (0);
	}
	return (fault_set(f, "bad_config", o->key,
	    "unknown option \"%.60s\"", o->key));
}

/* Open the plugin. */
static int32_t
pii_plugin_open(const struct chat_filter_host *host,
    const struct chat_filter_option *options, uint64_t n, void **state)
{
	struct pii_state	*st;
	struct fault		 f = { .message = "" };
	uint64_t		 i;
	int			 r;

	st = xcalloc(1, sizeof *st);
	st->host = host;
	st->pii = pii_new();
	for (i = 0; i < n; i++) {
		if (option_repeats(options, i, "off", "ranges"))
			r = fault_set(&f, "bad_config", options[i].key,
			    "%.60s: a list, expected one value",
			    options[i].key);
		else
			r = pii_plugin_option(st->pii, &options[i], &f);
		if (r != 0) {
			host->fail(host->cookie, f.message);
			pii_plugin_close(st);
			return (CHAT_FILTER_ERROR);
		}
	}
	*state = st;
	return (CHAT_FILTER_OK);
}

/* Report what was found. */
static void
pii_plugin_found(void *arg, const struct pii_found *found)
{
	struct pii_state	*st = arg;
	struct chat_finding	 finding = {
		.size = sizeof finding, .category = "confidential",
		.flags = found->proven ? CHAT_FILTER_PROVEN : 0,
		.score = found->score, .start = found->start,
		.end = found->end, .rule = found->rule };

	st->host->report(st->host->cookie, &finding);
}

/* The bytes needed before new text. */
static uint64_t
pii_plugin_window(void *state)
{
	(void)state;
	return (PII_WINDOW);
}

/* Begin a text. */
static int32_t
pii_plugin_begin(void *state, const struct chat_filter_text *text,
    void **text_state)
{
	(void)state;
	(void)text;
	*text_state = xcalloc(1, sizeof(struct pii_scan));
	return (CHAT_FILTER_OK);
}

/* End a text. */
static void
pii_plugin_end(void *state, void *text_state)
{
	(void)state;
	free(text_state);
}

/* Judge a piece; the prompt of a reply is not used. */
static int32_t
pii_plugin_part(void *state, const struct chat_filter_part *part)
{
	struct pii_state	*st = state;
	struct pii_piece	 p = { part->text, (size_t)part->len,
				    part->offset, part->final };

	st->host->unsettled(st->host->cookie, pii_match(st->pii,
	    part->text_state, &p, pii_plugin_found, st));
	return (CHAT_FILTER_OK);
}

/* Count a finding of the self-test. */
static void
pii_plugin_count(void *arg, const struct pii_found *found)
{
	(void)found;
	++*(int *)arg;
}

/* Check that what must be found is found. */
static int32_t
pii_plugin_selftest(void *state)
{
	struct pii_state	*st = state;
	static const char	 text[] = "4539 5787 6362 1486, then "
				    "GB94 BARC 1020 1530 0934 59";
	struct pii		*all = pii_new();
	struct pii_scan		 scan = { 0 };
	struct pii_piece	 p = { text, sizeof text - 1, 0, 1 };
	int			 n = 0;

	pii_match(all, &scan, &p, pii_plugin_count, &n);
	pii_free(all);
	if (n == 2)
		return (CHAT_FILTER_OK);
	st->host->fail(st->host->cookie,
	    "a card and an account number were not found");
	return (CHAT_FILTER_ERROR);
}

/* Close the plugin. */
static void
pii_plugin_close(void *state)
{
	struct pii_state	*st = state;

	pii_free(st->pii);
	free(st);
}

/* The number of token formats. */
static uint64_t
pii_plugin_rules(void *state)
{
	(void)state;
	return (pii_formats());
}

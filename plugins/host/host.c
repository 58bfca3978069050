/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the plugin interface: passes options in and findings out,
 * and checks everything that a plugin passes.  The sandbox, not this file,
 * protects the rest of the system from a plugin.
 */
#include "filter.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "log.h"
#include "utf8.h"
#include "xmalloc.h"

struct host {
	struct plugin		*plugin;	/* owned */
	struct chat_filter_host	 host;		/* given to the plugin */
	const struct check	*check;		/* borrowed: being judged */
	json_t			*findings;	/* borrowed: of that check */
	int			 over;		/* it had too many findings */
	uint64_t		 settled;	/* bytes, of that check */
	int			 parts;		/* the plugin judges pieces */
	uint64_t		 window;	/* it needs before new text */
	char			 broken[300];	/* rule that it broke, or "" */
	char			 why[300];	/* given by fail, or "" */
};

static void	host_report(void *, const struct chat_finding *);
static void	host_log(void *, int32_t, const char *);
static void	host_fail(void *, const char *);
static void	host_unsettled(void *, uint64_t);

/* Make a host. */
struct host *
host_new(struct plugin *plugin, const char *const *categories)
{
	struct host	*h;

	h = xcalloc(1, sizeof *h);
	h->plugin = plugin;
	h->parts = plugin_has_part(plugin->filter);
	h->host = (struct chat_filter_host){
		.abi = CHAT_FILTER_ABI, .size = sizeof h->host, .cookie = h,
		.categories = categories, .report = host_report,
		.log = host_log, .fail = host_fail,
		.unsettled = host_unsettled,
	};
	return (h);
}

/* Release a host and its plugin. */
void
host_free(struct host *h)
{
	if (h == NULL)
		return;
	plugin_free(h->plugin);
	free(h);
}

/* Note the first rule of the interface that the plugin broke. */
static void __attribute__((format(printf, 2, 3)))
host_broken(struct host *h, const char *fmt, ...)
{
	va_list	 ap;

	if (h->broken[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(h->broken, sizeof h->broken, fmt, ap);
	va_end(ap);
}

/* The host's own copy of a category's slug, or NULL. */
static const char *
host_category(const struct host *h, const char *slug)
{
	const char *const	*c;

	for (c = h->host.categories; slug != NULL && *c != NULL; c++) {
		if (strcmp(*c, slug) == 0)
			return (*c);
	}
	return (NULL);
}

/* Is byte i the start of a character (or the end)? */
static int
host_at_character(const struct check *c, uint64_t i)
{
	return (i <= c->len && (c->text[i] & 0xc0) != 0x80);
}

/* Called by a plugin: a finding. */
static void
host_report(void *cookie, const struct chat_finding *in)
{
	struct host	*h = cookie;
	const char	*category = NULL;
	json_t		*o;

	if (h->check == NULL)
		host_broken(h, "a finding outside prompt, text and part");
	else if (in == NULL || in->size < sizeof *in)
		host_broken(h, "a finding of %u bytes, at least %zu expected",
		    in == NULL ? 0 : (unsigned)in->size, sizeof *in);
	else if ((category = host_category(h, in->category)) == NULL)
		host_broken(h, "unknown category \"%.40s\" in a finding",
		    in->category == NULL ? "(NULL)" : in->category);
	else if (!(in->score >= 0 && in->score <= 1))
		host_broken(h, "score %g in a finding, 0 to 1 expected",
		    in->score);
	else if (in->start > in->end || !host_at_character(h->check,
	    in->start) || !host_at_character(h->check, in->end))
		host_broken(h, "span %llu to %llu in a finding, in a text of "
		    "%zu bytes", (unsigned long long)in->start,
		    (unsigned long long)in->end, h->check->len);
	else if (in->rule == NULL || in->rule[0] == '\0' ||
	    strnlen(in->rule, FILTER_RULE_MAX + 1) > FILTER_RULE_MAX ||
	    !utf8_valid(in->rule, strlen(in->rule)))
		host_broken(h, "a finding without a sound rule name");
	else if (json_array_size(h->findings) >= FILTER_FINDINGS_MAX)
		h->over = 1;
	if (h->broken[0] != '\0' || h->over)
		return;
	o = json_object();
	msg_set_string(o, "plugin", h->plugin->name);
	msg_set_string(o, "category", category);
	msg_set_real(o, "score", in->score);
	msg_set_int(o, "start", (int64_t)in->start);
	msg_set_int(o, "end", (int64_t)in->end);
	msg_set_string(o, "rule", in->rule);
	json_array_append_new(h->findings, o);
}

/* Called by a plugin: a line for the log. */
static void
host_log(void *cookie, int32_t level, const char *line)
{
	struct host	*h = cookie;

	if (line == NULL)
		return;
	if (level <= CHAT_FILTER_WARN)
		log_warnx("plugin %s: %.1000s", h->plugin->name, line);
	else if (level == CHAT_FILTER_INFO)
		log_info("plugin %s: %.1000s", h->plugin->name, line);
	else
		log_debug("plugin %s: %.1000s", h->plugin->name, line);
}

/* Called by a plugin: the reason for the error that it will return. */
static void
host_fail(void *cookie, const char *why)
{
	struct host	*h = cookie;

	snprintf(h->why, sizeof h->why, "%s", why == NULL ? "" : why);
}

/* Called by a plugin: the text is unsettled from there on. */
static void
host_unsettled(void *cookie, uint64_t from)
{
	struct host	*h = cookie;

	if (h->check == NULL || !h->parts)
		host_broken(h, "unsettled text outside part");
	else if (!host_at_character(h->check, from))
		host_broken(h, "unsettled from byte %llu of a text of %zu "
		    "bytes", (unsigned long long)from, h->check->len);
	else if (from < h->settled)
		h->settled = from;
}

/* One option's value as text, in a new string; NULL for other kinds. */
static char *
host_option_text(const json_t *v)
{
	if (json_is_string(v))
		return (xstrdup(json_string_value(v)));
	if (json_is_boolean(v))
		return (xstrdup(json_is_true(v) ? "true" : "false"));
	if (json_is_integer(v))
		return (xasprintf("%lld", (long long)json_integer_value(v)));
	if (json_is_real(v))
		return (xasprintf("%.17g", json_real_value(v)));
	return (NULL);
}

/* Add one option. */
static int
host_option_add(struct chat_filter_option *list, size_t *n, const char *key,
    const json_t *v, struct fault *f)
{
	char	*text;

	if (*n >= FILTER_OPTIONS_MAX)
		return (fault_set(f, "bad_field", "options",
		    "options: more than %d", FILTER_OPTIONS_MAX));
	if ((text = host_option_text(v)) == NULL)
		return (fault_set(f, "bad_field", "options",
		    "options: %.60s: expected text, a number, true, false, "
		    "or a list of these", key));
	list[*n].key = key;
	list[(*n)++].value = text;
	return (0);
}

/* Get the window of an open plugin. */
static int
host_window(struct host *h, struct fault *f)
{
	crash_mark(h->plugin->name, "window");
	h->window = h->plugin->filter->window(h->plugin->state);
	if (h->window <= CHAT_FILTER_WINDOW_MAX)
		return (0);
	return (fault_set(f, "bad_plugin", NULL, "plugin %s: a window of %llu "
	    "bytes, at most %u", h->plugin->name,
	    (unsigned long long)h->window, CHAT_FILTER_WINDOW_MAX));
}

/* Open the plugin with its options. */
int
host_open(struct host *h, const json_t *options, struct fault *f)
{
	struct chat_filter_option	*list;
	const struct chat_filter	*cf = h->plugin->filter;
	const char			*key;
	const json_t			*v;
	size_t				 n = 0, i;
	int				 r = 0;

	list = xcalloc(FILTER_OPTIONS_MAX, sizeof *list);
	json_object_foreach((json_t *)(uintptr_t)options, key, v) {
		if (!json_is_array(v))
			r = host_option_add(list, &n, key, v, f);
		for (i = 0; r == 0 && i < json_array_size(v); i++)
			r = host_option_add(list, &n, key,
			    json_array_get(v, i), f);
		if (r != 0)
			goto out;
	}
	crash_mark(h->plugin->name, "open");
	if (cf->open(&h->host, list, n, &h->plugin->state) != CHAT_FILTER_OK)
		r = fault_set(f, "bad_config", NULL, "plugin %s: %s",
		    h->plugin->name, h->why[0] != '\0' ? h->why :
		    "can't be opened");
	else
		h->plugin->opened = 1;
	if (r == 0 && h->parts)
		r = host_window(h, f);
	if (r == 0 && h->broken[0] != '\0')
		r = fault_set(f, "bad_plugin", NULL, "plugin %s: %s",
		    h->plugin->name, h->broken);
	crash_mark(NULL, NULL);
out:
	for (i = 0; i < n; i++)
		free((char *)(uintptr_t)list[i].value);
	free(list);
	return (r);
}

/* Check that a piece fits the plugin. */
int
host_fits(const struct host *h, const struct check *c, struct fault *f)
{
	if (c->offset == 0)
		return (0);
	if (!h->parts) {
		fault_set(f, "filter_unavailable", "offset", "plugin %s needs "
		    "the whole text each time", h->plugin->name);
		return (CHAT_EUNSUPPORTED);
	}
	if ((uint64_t)c->fresh < h->window)
		return (fault_set(f, "bad_field", "fresh", "fresh: %lld bytes "
		    "before the new text, plugin %s needs %llu",
		    (long long)c->fresh, h->plugin->name,
		    (unsigned long long)h->window));
	return (0);
}

/* Call the function that judges pieces. */
static int32_t
host_part(const struct host *h, const struct check *c)
{
	const struct chat_filter	*cf = h->plugin->filter;
	struct chat_filter_part		 part = {
		.size = sizeof part, .final = c->final,
		.reply = strcmp(c->direction, "reply") == 0,
		.offset = (uint64_t)c->offset, .text = c->text,
		.len = c->len, .fresh = (uint64_t)c->fresh,
		.settled = (uint64_t)c->settled, .prompt = "" };

	if (part.reply && (cf->flags & CHAT_FILTER_READS_PROMPT)) {
		part.prompt = c->context;
		part.prompt_len = c->context_len;
	}
	crash_mark(h->plugin->name, "part");
	return (cf->part(h->plugin->state, &part));
}

/* Call the function that judges whole texts. */
static int32_t
host_whole(const struct host *h, const struct check *c)
{
	const struct chat_filter	*cf = h->plugin->filter;

	if (strcmp(c->direction, "prompt") == 0) {
		crash_mark(h->plugin->name, "prompt");
		return (cf->prompt(h->plugin->state, c->text, c->len));
	}
	crash_mark(h->plugin->name, "text");
	return (cf->text(h->plugin->state, c->context, c->context_len,
	    c->text, c->len, c->final));
}

/* Judge one piece. */
int
host_check(struct host *h, const struct check *c, json_t *findings,
    int64_t *settled, struct fault *f)
{
	int32_t	 r;

	h->check = c;
	h->findings = findings;
	h->over = 0;
	h->settled = c->len;
	h->why[0] = '\0';
	r = h->parts ? host_part(h, c) : host_whole(h, c);
	crash_mark(NULL, NULL);
	h->check = NULL;
	h->findings = NULL;
	if (h->broken[0] != '\0') {
		fault_set(f, "filter_unavailable", NULL, "plugin %s: %s",
		    h->plugin->name, h->broken);
		return (CHAT_EPROTOCOL);
	}
	if (h->over) {
		fault_set(f, "filter_unavailable", NULL, "plugin %s: more "
		    "than %d findings of all plugins for one text",
		    h->plugin->name, FILTER_FINDINGS_MAX);
		return (CHAT_EUNSUPPORTED);
	}
	if (r != CHAT_FILTER_OK) {
		fault_set(f, "filter_unavailable", NULL, "plugin %s: %s",
		    h->plugin->name, h->why[0] != '\0' ? h->why :
		    "no verdict");
		return (CHAT_EUNSUPPORTED);
	}
	if (c->final)
		return (0);
	if (!h->parts)
		*settled = -1;
	else if ((int64_t)h->settled < *settled)
		*settled = (int64_t)h->settled > c->settled ?
		    (int64_t)h->settled : c->settled;
	return (0);
}

/* Describe a plugin to chatd. */
json_t *
host_describe(const struct host *h)
{
	const struct chat_filter	*cf = h->plugin->filter;
	json_t				*o;
	uint64_t			 n = 0;
	char				 abi[24];

	snprintf(abi, sizeof abi, "%u.%u", (unsigned)(cf->abi >> 16),
	    (unsigned)(cf->abi & 0xffff));
	if (cf->rules != NULL) {
		crash_mark(h->plugin->name, "rules");
		n = cf->rules(h->plugin->state);
		crash_mark(NULL, NULL);
	}
	o = json_object();
	msg_set_string(o, "name", h->plugin->name);
	msg_set_text(o, "version", cf->version, strnlen(cf->version, 64));
	msg_set_int(o, "rules", (int64_t)(n < FILTER_RULES_MAX ? n :
	    FILTER_RULES_MAX));
	msg_set_text(o, "abi", abi, strlen(abi));
	msg_set(o, "window", h->parts ? json_integer((json_int_t)h->window) :
	    json_null());
	msg_set_bool(o, "context", !h->parts ||
	    (cf->flags & CHAT_FILTER_READS_PROMPT) != 0);
	return (o);
}

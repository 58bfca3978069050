/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions that a plugin can call. Each checks what it is given: a plugin
 * that breaks a rule of the interface has no verdict, and is not called again.
 */
#include "host_impl.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "log.h"
#include "utf8.h"

/* The size of a finding before 1.2, which ends with "rule". */
#define FINDING_SIZE_1_0 (offsetof(struct chat_finding, rule) + \
			sizeof(((struct chat_finding *)NULL)->rule))

/* Note the first rule of the interface that the plugin broke. */
void
host_broken(struct host *h, const char *fmt, ...)
{
	va_list	 ap;

	if (h->broken[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(h->broken, sizeof h->broken, fmt, ap);
	va_end(ap);
}

/* The number of a category among the host's, or -1. */
static int
host_category(const struct host *h, const char *slug)
{
	size_t	 i;

	for (i = 0; slug != NULL && i < h->ncategories; i++) {
		if (strcmp(h->host.categories[i], slug) == 0)
			return ((int)i);
	}
	return (-1);
}

/* Is byte i the start of a character (or the end)? */
static int
host_at_character(const struct check *c, uint64_t i)
{
	return (i <= c->len && (c->text[i] & 0xc0) != 0x80);
}

/* Is it a span of the text, at characters? */
static int
host_is_span(const struct check *c, uint64_t start, uint64_t end)
{
	return (start <= end && host_at_character(c, start) &&
	    host_at_character(c, end));
}

/* Is it UTF-8 of 1 to max bytes? */
static int
host_is_name(const char *s, size_t max)
{
	return (s != NULL && s[0] != '\0' && strnlen(s, max + 1) <= max &&
	    utf8_valid(s, strlen(s)));
}

/* The features of a finding, of which a plugin before 1.2 has none. */
static uint64_t
host_features(const struct chat_finding *in)
{
	return (in->size < sizeof *in ? 0 : in->features);
}

/* Check the features of a finding. */
static void
host_check_features(struct host *h, const struct chat_finding *in)
{
	const struct chat_feature	*ft;
	uint64_t			 i, n = host_features(in);

	if (n > CHAT_FILTER_FEATURES_MAX || (n > 0 && in->detail == NULL)) {
		host_broken(h, "%llu features of a finding%s, at most %u",
		    (unsigned long long)n, in->detail == NULL ?
		    " without detail" : "", CHAT_FILTER_FEATURES_MAX);
		return;
	}
	for (i = 0; i < n; i++) {
		ft = &in->detail[i];
		if (!host_is_name(ft->name, FILTER_RULE_MAX))
			host_broken(h, "a feature without a sound name");
		else if (!isfinite(ft->weight))
			host_broken(h, "weight %g of a feature, a finite "
			    "number expected", ft->weight);
		else if (!host_is_span(h->check, ft->start, ft->end))
			host_broken(h, "span %llu to %llu of a feature, in a "
			    "text of %zu bytes", (unsigned long long)ft->start,
			    (unsigned long long)ft->end, h->check->len);
	}
}

/* Make the detail of a finding for chatd; NULL: it has none, or the check
 * has enough of them. */
static json_t *
host_detail(struct host *h, const struct chat_finding *in)
{
	const struct chat_feature	*ft;
	json_t				*list, *o;
	uint64_t			 i, n = host_features(in);

	if (n == 0 || h->answer->features >= FILTER_FEATURES_MAX)
		return (NULL);
	list = json_array();
	for (i = 0; i < n && h->answer->features < FILTER_FEATURES_MAX; i++) {
		ft = &in->detail[i];
		o = json_object();
		msg_set_string(o, "name", ft->name);
		msg_set_real(o, "weight", ft->weight);
		msg_set_int(o, "start", (int64_t)ft->start +
		    h->check->shift);
		msg_set_int(o, "end", (int64_t)ft->end + h->check->shift);
		json_array_append_new(list, o);
		h->answer->features++;
	}
	return (list);
}

/* Check a finding. Returns its category, or -1 after noting what is wrong. */
static int
host_check_finding(struct host *h, const struct chat_finding *in)
{
	int	 category = -1;

	if (h->check == NULL)
		host_broken(h, "a finding outside prompt, text and part");
	else if (in == NULL || in->size < FINDING_SIZE_1_0)
		host_broken(h, "a finding of %u bytes, at least %zu expected",
		    in == NULL ? 0 : (unsigned)in->size, FINDING_SIZE_1_0);
	else if ((category = host_category(h, in->category)) == -1)
		host_broken(h, "unknown category \"%.40s\" in a finding",
		    in->category == NULL ? "(NULL)" : in->category);
	else if (!(in->score >= 0 && in->score <= 1))
		host_broken(h, "score %g in a finding, 0 to 1 expected",
		    in->score);
	else if (!host_is_span(h->check, in->start, in->end))
		host_broken(h, "span %llu to %llu in a finding, in a text of "
		    "%zu bytes", (unsigned long long)in->start,
		    (unsigned long long)in->end, h->check->len);
	else if (!host_is_name(in->rule, FILTER_RULE_MAX))
		host_broken(h, "a finding without a sound rule name");
	else
		host_check_features(h, in);
	return (h->broken[0] != '\0' ? -1 : category);
}

/* Called by a plugin: a finding. */
static void
host_report(void *cookie, const struct chat_finding *in)
{
	struct host	*h = cookie;
	json_t		*o;
	int		 category;

	if ((category = host_check_finding(h, in)) == -1)
		return;
	if (json_array_size(h->answer->findings) >= FILTER_FINDINGS_MAX)
		h->over = 1;
	if (h->over)
		return;
	text_note(h->text, h->index, (size_t)category, in->score,
	    h->check->final ? TEXT_END : h->check->offset + (int64_t)in->end);
	o = json_object();
	msg_set_string(o, "plugin", h->plugin->name);
	msg_set_string(o, "category", h->host.categories[category]);
	msg_set_real(o, "score", in->score);
	msg_set_int(o, "start", (int64_t)in->start + h->check->shift);
	msg_set_int(o, "end", (int64_t)in->end + h->check->shift);
	msg_set_string(o, "rule", in->rule);
	if ((in->flags & CHAT_FILTER_PROVEN) &&
	    plugin_minor(h->plugin->filter) >= 2)
		msg_set_bool(o, "proven", 1);
	msg_set(o, "detail", host_detail(h, in));
	json_array_append_new(h->answer->findings, o);
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

/* Called by a plugin: the scores of earlier plugins for which it is called. */
static void
host_band(void *cookie, double low, double high)
{
	struct host	*h = cookie;

	if (!h->opening)
		host_broken(h, "a band outside open");
	else if (!(low >= 0 && low <= high && high <= 1))
		host_broken(h, "a band from %g to %g, expected 0 to 1", low,
		    high);
	h->banded = 1;
	h->low = low;
	h->high = high;
}

/* Lower the earlier plugins' findings of this check. */
static void
host_lower_findings(struct host *h, const struct chat_lower *in)
{
	json_t	*o;
	size_t	 i;

	json_array_foreach(h->answer->findings, i, o) {
		if (strcmp(msg_string(o, "plugin"), h->plugin->name) == 0 ||
		    (in->category != NULL && strcmp(msg_string(o, "category"),
		    in->category) != 0) ||
		    json_is_true(json_object_get(o, "proven")) ||
		    msg_int(o, "start", 0) < (int64_t)in->start +
		    h->check->shift || msg_int(o, "end", 0) >
		    (int64_t)in->end + h->check->shift ||
		    msg_real(o, "score", 0) <= in->score)
			continue;
		msg_set_real(o, "score", in->score);
	}
}

/* Called by a plugin: earlier findings count less. */
static void
host_lower(void *cookie, const struct chat_lower *in)
{
	struct host	*h = cookie;
	json_t		*o;

	if (h->check == NULL)
		host_broken(h, "lower outside prompt, text and part");
	else if (in == NULL || in->size < sizeof *in)
		host_broken(h, "a chat_lower of %u bytes, at least %zu "
		    "expected", in == NULL ? 0 : (unsigned)in->size,
		    sizeof *in);
	else if (in->category != NULL && host_category(h, in->category) == -1)
		host_broken(h, "unknown category \"%.40s\" in a chat_lower",
		    in->category);
	else if (!(in->score >= 0 && in->score <= 1))
		host_broken(h, "score %g in a chat_lower, 0 to 1 expected",
		    in->score);
	else if (!host_is_span(h->check, in->start, in->end))
		host_broken(h, "span %llu to %llu in a chat_lower, in a text "
		    "of %zu bytes", (unsigned long long)in->start,
		    (unsigned long long)in->end, h->check->len);
	if (h->broken[0] != '\0' ||
	    json_array_size(h->answer->lowered) >= FILTER_LOWERED_MAX)
		return;
	host_lower_findings(h, in);
	o = json_object();
	msg_set_string(o, "plugin", h->plugin->name);
	msg_set_string(o, "category", in->category);
	msg_set_real(o, "score", in->score);
	msg_set_int(o, "start", (int64_t)in->start + h->check->shift);
	msg_set_int(o, "end", (int64_t)in->end + h->check->shift);
	json_array_append_new(h->answer->lowered, o);
}

/* Fill the functions that a plugin can call. */
void
host_calls_init(struct host *h)
{
	h->host.report = host_report;
	h->host.log = host_log;
	h->host.fail = host_fail;
	h->host.unsettled = host_unsettled;
	h->host.band = host_band;
	h->host.lower = host_lower;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the plugin interface: opens a plugin with its options, and
 * gives it texts.  The sandbox, not this file, protects the rest of the system
 * from a plugin.
 */
#include "host_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json.h"
#include "log.h"
#include "vocabulary.h"
#include "xmalloc.h"

/* Make a host. */
struct host *
host_new(struct plugin *plugin, size_t index, const char *const *categories)
{
	struct host	*h;

	h = xcalloc(1, sizeof *h);
	h->plugin = plugin;
	h->index = index;
	h->parts = plugin_has_part(plugin->filter);
	h->stateful = plugin_minor(plugin->filter) >= 2 &&
	    plugin->filter->text_begin != NULL;
	h->host = (struct chat_filter_host){
		.abi = CHAT_FILTER_ABI, .size = sizeof h->host, .cookie = h,
		.categories = categories,
	};
	while (categories[h->ncategories] != NULL)
		h->ncategories++;
	host_calls_init(h);
	return (h);
}

/* The name of its plugin. */
const char *
host_name(const struct host *h)
{
	return (h->plugin->name);
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
host_ask_window(struct host *h, struct fault *f)
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
	h->opening = 1;
	if (cf->open(&h->host, list, n, &h->plugin->state) != CHAT_FILTER_OK)
		r = fault_set(f, "bad_config", NULL, "plugin %s: %s",
		    h->plugin->name, h->why[0] != '\0' ? h->why :
		    "can't be opened");
	else
		h->plugin->opened = 1;
	h->opening = 0;
	if (r == 0 && h->parts)
		r = host_ask_window(h, f);
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

/* Let the plugin test itself. */
int
host_selftest(struct host *h, struct fault *f)
{
	const struct chat_filter	*cf = h->plugin->filter;
	int32_t				 r;

	if (plugin_minor(cf) < 2 || cf->selftest == NULL)
		return (0);
	h->why[0] = '\0';
	crash_mark(h->plugin->name, "selftest");
	r = cf->selftest(h->plugin->state);
	crash_mark(NULL, NULL);
	if (h->broken[0] != '\0')
		return (fault_set(f, "bad_plugin", NULL, "plugin %s: %s",
		    h->plugin->name, h->broken));
	if (r != CHAT_FILTER_OK)
		return (fault_set(f, "bad_plugin", NULL, "plugin %s: its "
		    "self-test has failed: %s", h->plugin->name,
		    h->why[0] != '\0' ? h->why : "no reason given"));
	return (0);
}

/* The bytes that it needs before new text. */
uint64_t
host_window(const struct host *h)
{
	return (h->window);
}

/* Does it have a band, and judge pieces? */
int
host_is_banded(const struct host *h)
{
	return (h->banded && h->parts);
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
	if (h->stateful && c->text_id == 0) {
		fault_set(f, "filter_unavailable", "text_id", "plugin %s "
		    "needs the text from its beginning, with a text_id",
		    h->plugin->name);
		return (CHAT_EUNSUPPORTED);
	}
	if ((uint64_t)c->fresh < h->window)
		return (fault_set(f, "bad_field", "fresh", "fresh: %lld bytes "
		    "before the new text, plugin %s needs %llu",
		    (long long)c->fresh, h->plugin->name,
		    (unsigned long long)h->window));
	return (0);
}

/* The prompt of a reply, if the plugin reads it. */
static const char *
host_prompt(const struct host *h, const struct check *c, uint64_t *len)
{
	if (strcmp(c->direction, "reply") != 0 ||
	    !(h->plugin->filter->flags & CHAT_FILTER_READS_PROMPT)) {
		*len = 0;
		return ("");
	}
	*len = c->context_len;
	return (c->context);
}

/* Begin a text. */
static int32_t
host_begin(const struct host *h, const struct check *c,
    struct text_plugin *tp)
{
	struct chat_filter_text	 text = { .size = sizeof text,
		.reply = strcmp(c->direction, "reply") == 0,
		.again = c->again, .account = (uint64_t)c->account,
		.now = (uint64_t)c->now };
	int32_t			 r;

	text.prompt = host_prompt(h, c, &text.prompt_len);
	crash_mark(h->plugin->name, "text_begin");
	r = h->plugin->filter->text_begin(h->plugin->state, &text,
	    &tp->state);
	tp->begun = r == CHAT_FILTER_OK;
	return (r);
}

/* Call the function that judges pieces. To a plugin that was not called for
 * earlier pieces, their text is new, if it is still there. */
static int32_t
host_part(const struct host *h, const struct check *c, struct text *tx,
    double score, const double *scores)
{
	struct text_plugin	*tp = text_plugin(tx, h->index);
	int64_t			 fresh = tp->seen > c->offset ?
				    tp->seen - c->offset : 0;
	struct chat_filter_part	 part = {
		.size = sizeof part, .final = c->final,
		.reply = strcmp(c->direction, "reply") == 0,
		.offset = (uint64_t)c->offset, .text = c->text,
		.len = c->len, .fresh = (uint64_t)fresh,
		.settled = (uint64_t)(c->settled < fresh ? c->settled :
		    fresh), .account = (uint64_t)c->account,
		.now = (uint64_t)c->now, .score = score, .scores = scores };
	int32_t			 r;

	if (c->offset > tp->seen)
		part.missed = (uint64_t)(c->offset - tp->seen);
	part.prompt = host_prompt(h, c, &part.prompt_len);
	if (h->stateful && !tp->begun &&
	    (r = host_begin(h, c, tp)) != CHAT_FILTER_OK)
		return (r);
	part.text_state = tp->state;
	crash_mark(h->plugin->name, "part");
	r = h->plugin->filter->part(h->plugin->state, &part);
	tp->seen = c->offset + (int64_t)c->len;
	return (r);
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

/* Call the plugin, and return what it returns. The findings are added to the
 * answer meanwhile. */
static int32_t
host_judge(struct host *h, const struct check *c, struct text *tx,
    struct answer *a, double score, const double *scores)
{
	int64_t	 begin = clock_nanos();
	int32_t	 r;

	h->check = c;
	h->text = tx;
	h->answer = a;
	h->over = 0;
	h->settled = c->len;
	h->why[0] = '\0';
	r = h->parts ? host_part(h, c, tx, score, scores) : host_whole(h, c);
	crash_mark(NULL, NULL);
	h->check = NULL;
	h->text = NULL;
	h->answer = NULL;
	text_plugin(tx, h->index)->ns += clock_nanos() - begin;
	return (r);
}

/* Give a piece to the plugin. */
int
host_give(struct host *h, const struct check *c, struct text *tx,
    struct answer *a, double score, const double *scores, int64_t *settled,
    struct fault *f)
{
	int32_t	 r = host_judge(h, c, tx, a, score, scores);

	*settled = (int64_t)h->settled;
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
	return (0);
}

/* Judge one piece. */
int
host_check(struct host *h, const struct check *c, struct text *tx,
    struct answer *a, struct fault *f)
{
	double	 scores[CATEGORIES + 1], score;
	int64_t	 settled;
	int	 r;

	if (h->banded && h->parts)
		return (host_check_band(h, c, tx, a, f));
	score = text_scores(tx, h->index, scores);
	if (h->banded && !(score >= h->low && score <= h->high))
		return (0);
	if (!h->parts && c->more) {	/* it gets the whole text later */
		a->settled = -1;
		return (0);
	}
	r = host_give(h, c, tx, a, score, scores, &settled, f);
	if (r != 0 || c->final)
		return (r);
	if (!h->parts)
		a->settled = -1;
	else if (settled < a->settled)
		a->settled = settled > c->settled ? settled : c->settled;
	return (0);
}

/* The text is over. */
void
host_end(struct host *h, struct text *tx)
{
	struct text_plugin	*tp = text_plugin(tx, h->index);

	if (!tp->begun)
		return;
	crash_mark(h->plugin->name, "text_end");
	h->plugin->filter->text_end(h->plugin->state, tp->state);
	crash_mark(NULL, NULL);
	tp->begun = 0;
	tp->state = NULL;
}

/* Let the plugin save. */
int
host_save(struct host *h, char **hex, struct fault *f)
{
	static const char		 digits[] = "0123456789abcdef";
	const struct chat_filter	*cf = h->plugin->filter;
	unsigned char			*blob;
	uint64_t			 n, i;

	*hex = NULL;
	if (plugin_minor(cf) < 2 || cf->save == NULL)
		return (0);
	blob = xcalloc(1, CHAT_FILTER_BLOB_MAX);
	crash_mark(h->plugin->name, "save");
	n = cf->save(h->plugin->state, blob, CHAT_FILTER_BLOB_MAX);
	crash_mark(NULL, NULL);
	if (n > CHAT_FILTER_BLOB_MAX)
		host_broken(h, "saved %llu bytes, at most %u",
		    (unsigned long long)n, CHAT_FILTER_BLOB_MAX);
	if (h->broken[0] != '\0') {
		free(blob);
		fault_set(f, "bad_plugin", NULL, "plugin %s: %s",
		    h->plugin->name, h->broken);
		return (CHAT_EPROTOCOL);
	}
	if (n > 0) {
		*hex = xmalloc(2 * n + 1);
		for (i = 0; i < n; i++) {
			(*hex)[2 * i] = digits[blob[i] >> 4];
			(*hex)[2 * i + 1] = digits[blob[i] & 15];
		}
		(*hex)[2 * n] = '\0';
	}
	free(blob);
	return (0);
}

/* The value of a hexadecimal digit, or -1. */
static int
host_digit(char c)
{
	return (c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ?
	    c - 'a' + 10 : -1);
}

/* Read hexadecimal digits into a new blob of *n bytes, or return NULL. */
static unsigned char *
host_blob(const char *hex, size_t *n)
{
	size_t		 len = strlen(hex), i;
	unsigned char	*blob;
	int		 a, b;

	if (len % 2 != 0 || len / 2 > CHAT_FILTER_BLOB_MAX)
		return (NULL);
	blob = xmalloc(len / 2 + 1);
	for (i = 0; i < len / 2; i++) {
		a = host_digit(hex[2 * i]);
		b = host_digit(hex[2 * i + 1]);
		if (a < 0 || b < 0) {
			free(blob);
			return (NULL);
		}
		blob[i] = (unsigned char)(a << 4 | b);
	}
	*n = len / 2;
	return (blob);
}

/* Give the plugin what was saved. */
int
host_restore(struct host *h, const char *hex, struct fault *f)
{
	const struct chat_filter	*cf = h->plugin->filter;
	unsigned char			*blob;
	size_t				 n;
	int32_t				 r;

	if (hex == NULL || plugin_minor(cf) < 2 || cf->restore == NULL)
		return (0);
	if ((blob = host_blob(hex, &n)) == NULL)
		return (fault_set(f, "bad_field", "saved", "saved: expected "
		    "at most %u bytes in hexadecimal", CHAT_FILTER_BLOB_MAX));
	h->why[0] = '\0';
	crash_mark(h->plugin->name, "restore");
	r = cf->restore(h->plugin->state, blob, n);
	crash_mark(NULL, NULL);
	free(blob);
	if (h->broken[0] != '\0')
		return (fault_set(f, "bad_plugin", NULL, "plugin %s: %s",
		    h->plugin->name, h->broken));
	if (r != CHAT_FILTER_OK)
		log_warnx("plugin %s: does not take over what an earlier "
		    "process has saved: %s", h->plugin->name,
		    h->why[0] != '\0' ? h->why : "no reason given");
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
	msg_set_bool(o, "texts", h->parts && plugin_minor(cf) >= 2);
	msg_set_bool(o, "keeps", plugin_minor(cf) >= 2 && cf->save != NULL);
	msg_set_string(o, "digest", h->plugin->digest);
	msg_set(o, "reads", json_incref(h->plugin->reads));
	return (o);
}

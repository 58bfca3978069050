/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin "encoder": connects the interface of chatd-filter.h with
 * encoder.h.  It is a second tier: it is slower than the plugins before it, and
 * is asked only where their scores are unsure.
 */
#include <config.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd-filter.h"
#include "encoder_text.h"
#include "option.h"
#include "xmalloc.h"

#define PLUGIN_LOW	0.2
#define PLUGIN_HIGH	0.9
#define PLUGIN_MIN	0.3
#define PLUGIN_WINDOWS	32
#define PLUGIN_TOP	3	/* categories that a finding explains */
#define PLUGIN_WHENS	"unsure, always or off"
#define PLUGIN_ISAS	"auto, avx512, avx2 or plain"
#define PLUGIN_SELFTEST	"how do i bake a cake for my friend? 123, 45!"

/* The outputs of one head. */
struct plugin_head {
	const char	*name;				/* "request" */
	int		 any;				/* output, or -1 */
	int		 output[ENCODER_OUTPUTS_MAX];	/* of category i of
							 * the host, or -1 */
};

enum { HEAD_REQUEST, HEAD_CONTENT, HEADS };

struct plugin_state {
	const struct chat_filter_host	*host;	/* borrowed */
	struct encoder			*e;	/* owned; NULL: when is off */
	struct plugin_head		 head[HEADS];
	double				 low, high, min_score, clear;
	uint32_t			 windows;
	char				*model;	/* owned: path, while opening */
	char				 isa[16];
	char				 when[16];
};

static int32_t	encoder_plugin_open(const struct chat_filter_host *,
		    const struct chat_filter_option *, uint64_t, void **);
static void	encoder_plugin_close(void *);
static uint64_t	encoder_plugin_window(void *);
static int32_t	encoder_plugin_part(void *, const struct chat_filter_part *);
static int32_t	encoder_plugin_begin(void *, const struct chat_filter_text *,
		    void **);
static void	encoder_plugin_end(void *, void *);
static int32_t	encoder_plugin_selftest(void *);

struct chat_filter chat_filter = {
	.abi = CHAT_FILTER_ABI,
	.size = sizeof(struct chat_filter),
	.name = "encoder",
	.version = PACKAGE_VERSION,
	.open = encoder_plugin_open,
	.close = encoder_plugin_close,
	.window = encoder_plugin_window,
	.part = encoder_plugin_part,
	.text_begin = encoder_plugin_begin,
	.text_end = encoder_plugin_end,
	.selftest = encoder_plugin_selftest,
};

/* Read a number from low to high. */
static int
plugin_number(const struct chat_filter_option *o, double low, double high,
    double *out, struct fault *f)
{
	char	*end;
	double	 v;

	v = strtod(o->value, &end);
	if (end == o->value || *end != '\0' || !(v >= low && v <= high))
		return (fault_set(f, "bad_config", o->key, "%s: \"%.40s\", "
		    "expected a number from %g to %g", o->key, o->value, low,
		    high));
	*out = v;
	return (0);
}

/* Take a word; expected lists those that are known. */
static int
plugin_word(const struct chat_filter_option *o, char *out, size_t size,
    const char *expected, struct fault *f)
{
	if (strlen(o->value) >= size)
		return (fault_set(f, "bad_config", o->key, "%s: \"%.40s\", "
		    "expected %s", o->key, o->value, expected));
	strcpy(out, o->value);
	return (0);
}

/* Read one option. */
static int
plugin_option(struct plugin_state *st, const struct chat_filter_option *o,
    struct fault *f)
{
	double	 v = 0;
	int	 r;

	if (strcmp(o->key, "model") == 0) {
		if (o->value[0] != '/')
			return (fault_set(f, "bad_config", "model", "model: "
			    "\"%.100s\" is not an absolute path", o->value));
		free(st->model);
		st->model = xstrdup(o->value);
		return (0);
	}
	if (strcmp(o->key, "when") == 0)
		return (plugin_word(o, st->when, sizeof st->when,
		    PLUGIN_WHENS, f));
	if (strcmp(o->key, "isa") == 0)
		return (plugin_word(o, st->isa, sizeof st->isa,
		    PLUGIN_ISAS, f));
	if (strcmp(o->key, "low") == 0)
		return (plugin_number(o, 0, 1, &st->low, f));
	if (strcmp(o->key, "high") == 0)
		return (plugin_number(o, 0, 1, &st->high, f));
	if (strcmp(o->key, "min_score") == 0)
		return (plugin_number(o, 0, 1, &st->min_score, f));
	if (strcmp(o->key, "clear") == 0)
		return (plugin_number(o, 0, 1, &st->clear, f));
	if (strcmp(o->key, "windows") == 0) {
		if ((r = plugin_number(o, 1, 1000, &v, f)) == 0)
			st->windows = (uint32_t)v;
		return (r);
	}
	return (fault_set(f, "bad_config", o->key,
	    "unknown option \"%.60s\"", o->key));
}

/* Find what an output stands for. Names are HEAD, HEAD.any, or HEAD.CATEGORY;
 * "-" may stand for ".". */
static int
plugin_output(struct plugin_state *st, int i, struct fault *f)
{
	const char			*name = st->e->names[i], *rest;
	const char *const		*c = st->host->categories;
	struct plugin_head		*h;
	size_t				 n, k;

	for (h = st->head; h < st->head + HEADS; h++) {
		n = strlen(h->name);
		if (strncmp(name, h->name, n) != 0)
			continue;
		rest = name + n;
		if (*rest == '\0' || strcmp(rest + 1, "any") == 0) {
			h->any = i;
			return (0);
		}
		if (*rest != '.' && *rest != '-')
			continue;
		for (k = 0; c[k] != NULL && k < ENCODER_OUTPUTS_MAX; k++) {
			if (strcmp(c[k], rest + 1) == 0) {
				h->output[k] = i;
				return (0);
			}
		}
	}
	return (fault_set(f, "bad_model", NULL, "output %d of the model is "
	    "\"%.64s\": no head or category of that name", i, name));
}

/* Find what the outputs stand for. */
static int
plugin_outputs(struct plugin_state *st, struct fault *f)
{
	struct plugin_head	*h;
	size_t			 k;
	uint32_t		 i;
	int			 named;

	st->head[HEAD_REQUEST].name = "request";
	st->head[HEAD_CONTENT].name = "content";
	for (h = st->head; h < st->head + HEADS; h++) {
		h->any = -1;
		for (k = 0; k < ENCODER_OUTPUTS_MAX; k++)
			h->output[k] = -1;
	}
	for (i = 0; i < st->e->outputs; i++)
		if (plugin_output(st, (int)i, f) != 0)
			return (CHAT_EFORMAT);
	for (h = st->head; h < st->head + HEADS; h++) {
		for (named = 0, k = 0; k < ENCODER_OUTPUTS_MAX; k++)
			named += h->output[k] >= 0;
		if (h->any < 0 || named == 0)
			return (fault_set(f, "bad_model", NULL, "the model "
			    "has no output %s%s", h->name, h->any < 0 ? "" :
			    " for any category"));
	}
	return (0);
}

/* Read the model, as the options say. */
static int
plugin_start(struct plugin_state *st, struct fault *f)
{
	char			 line[160];
	const char *const	*isa;
	int			 off = strcmp(st->when, "off") == 0, r;

	if (!off && strcmp(st->when, "unsure") != 0 &&
	    strcmp(st->when, "always") != 0)
		return (fault_set(f, "bad_config", "when", "when: \"%.16s\", "
		    "expected " PLUGIN_WHENS, st->when));
	if (strcmp(st->isa, "auto") != 0) {
		for (isa = encoder_isas; *isa != NULL &&
		    strcmp(*isa, st->isa) != 0; isa++)
			;
		if (*isa == NULL)
			return (fault_set(f, "bad_config", "isa", "isa: "
			    "\"%.16s\", expected " PLUGIN_ISAS, st->isa));
	}
	if (st->low > st->high)
		return (fault_set(f, "bad_config", "low", "low: %g is above "
		    "high, %g", st->low, st->high));
	if (off)
		return (0);
	if (st->model == NULL)
		return (fault_set(f, "bad_config", "model",
		    "the option \"model\" is missing"));
	if ((r = encoder_open(st->model, st->isa, &st->e, f)) != 0 ||
	    (r = plugin_outputs(st, f)) != 0)
		return (r);
	if (strcmp(st->when, "unsure") == 0)
		st->host->band(st->host->cookie, st->low, st->high);
	snprintf(line, sizeof line, "model \"%s\": %u layers, %u lanes, %u "
	    "tokens; %s", st->e->name, st->e->layers, st->e->hidden,
	    st->e->words.n, encoder_isa(st->e));
	st->host->log(st->host->cookie, CHAT_FILTER_DEBUG, line);
	return (0);
}

/* Open the plugin. */
static int32_t
encoder_plugin_open(const struct chat_filter_host *host,
    const struct chat_filter_option *options, uint64_t n, void **state)
{
	struct plugin_state	*st;
	struct fault		 f = { .message = "" };
	uint64_t		 i;
	int			 r = 0;

	st = xcalloc(1, sizeof *st);
	*st = (struct plugin_state){ .host = host, .low = PLUGIN_LOW,
	    .high = PLUGIN_HIGH, .min_score = PLUGIN_MIN,
	    .windows = PLUGIN_WINDOWS, .isa = "auto", .when = "unsure" };
	for (i = 0; r == 0 && i < n; i++)
		r = option_repeats(options, i, NULL, NULL) ?
		    fault_set(&f, "bad_config", options[i].key,
		    "%.60s: a list, expected one value", options[i].key) :
		    plugin_option(st, &options[i], &f);
	if (r == 0)
		r = plugin_start(st, &f);
	free(st->model);
	st->model = NULL;
	if (r != 0) {
		host->fail(host->cookie, f.message);
		encoder_plugin_close(st);
		return (CHAT_FILTER_ERROR);
	}
	*state = st;
	return (CHAT_FILTER_OK);
}

/* A score as ".93"; 1 as "1.00". */
static const char *
plugin_score(double score, char buf[16])
{
	snprintf(buf, 16, "%.2f", score);
	return (buf[0] == '0' ? buf + 1 : buf);
}

/* The categories of a head by their outputs, the highest first, in top; returns
 * their number, at most PLUGIN_TOP. */
static size_t
plugin_top(const struct plugin_state *st, const struct plugin_head *h,
    const float *logit, size_t top[PLUGIN_TOP])
{
	double	 score[PLUGIN_TOP], s;
	size_t	 n = 0, k, i;

	for (k = 0; st->host->categories[k] != NULL &&
	    k < ENCODER_OUTPUTS_MAX; k++) {
		if (h->output[k] < 0)
			continue;
		s = encoder_score(st->e, (uint32_t)h->output[k],
		    logit[h->output[k]]);
		for (i = n; i > 0 && score[i - 1] < s; i--) {
			if (i < PLUGIN_TOP) {
				score[i] = score[i - 1];
				top[i] = top[i - 1];
			}
		}
		if (i < PLUGIN_TOP) {
			score[i] = s;
			top[i] = k;
			n += n < PLUGIN_TOP;
		}
	}
	return (n);
}

/* Report what a head says about a window, if it is above min_score. Returns
 * the score. */
static double
plugin_report(struct plugin_state *st, const struct plugin_head *h,
    const float *logit, const struct encoder_window *w)
{
	const struct chat_filter_host	*host = st->host;
	const char			*slug;
	struct chat_feature		 detail[1 + PLUGIN_TOP];
	size_t				 top[PLUGIN_TOP], n, i;
	char				 name[32], rule[128], a[16], b[16];
	double				 score;
	int				 o;

	score = encoder_score(st->e, (uint32_t)h->any, logit[h->any]);
	if (score < st->min_score)
		return (score);
	n = plugin_top(st, h, logit, top);
	snprintf(name, sizeof name, "%s harm", h->name);
	detail[0] = (struct chat_feature){ .name = name,
	    .weight = encoder_odds(st->e, (uint32_t)h->any, logit[h->any]),
	    .start = w->start, .end = w->end };
	for (i = 0; i < n; i++) {
		o = h->output[top[i]];
		detail[1 + i] = (struct chat_feature){
		    .name = host->categories[top[i]],
		    .weight = encoder_odds(st->e, (uint32_t)o, logit[o]),
		    .start = w->start, .end = w->end };
	}
	slug = host->categories[top[0]];
	o = h->output[top[0]];
	snprintf(rule, sizeof rule, "encoder: %s %s, %.40s %s", name,
	    plugin_score(score, a), slug,
	    plugin_score(encoder_score(st->e, (uint32_t)o, logit[o]), b));
	host->report(host->cookie, &(struct chat_finding){
	    .size = sizeof(struct chat_finding), .category = slug,
	    .score = score, .start = w->start, .end = w->end, .rule = rule,
	    .detail = detail, .features = 1 + n });
	return (score);
}

/* Judge a window. */
static int
plugin_judge(struct plugin_state *st, int reply,
    const struct encoder_window *w)
{
	float	 logit[ENCODER_OUTPUTS_MAX];
	double	 score, request = 0;

	if (encoder_pass(st->e, w->ids, w->n, logit) != 0) {
		st->host->fail(st->host->cookie, "the model gives a result "
		    "that is not a number");
		return (CHAT_EFORMAT);
	}
	score = plugin_report(st, &st->head[HEAD_CONTENT], logit, w);
	if (!reply)
		request = plugin_report(st, &st->head[HEAD_REQUEST], logit,
		    w);
	score = request > score ? request : score;
	if (score < st->clear)
		st->host->lower(st->host->cookie, &(struct chat_lower){
		    .size = sizeof(struct chat_lower), .score = score,
		    .start = w->start, .end = w->end });
	return (0);
}

/* Begin a text. */
static int32_t
encoder_plugin_begin(void *state, const struct chat_filter_text *text,
    void **text_state)
{
	struct encoder_text	*t;

	(void)state;
	t = xcalloc(1, sizeof *t);
	t->reply = text->reply;
	*text_state = t;
	return (CHAT_FILTER_OK);
}

/* End a text. */
static void
encoder_plugin_end(void *state, void *text_state)
{
	(void)state;
	free(text_state);
}

/* Judge a piece. */
static int32_t
encoder_plugin_part(void *state, const struct chat_filter_part *part)
{
	struct plugin_state	*st = state;
	struct encoder_text	*t = part->text_state;
	struct encoder_piece	 p = { part->text, (size_t)part->len,
				    part->offset, part->final };
	struct encoder_window	 w;

	if (st->e == NULL)
		return (CHAT_FILTER_OK);
	while (t->windows < st->windows && encoder_text_next(st->e, t, &p, &w))
		if (encoder_text_english(p.text + w.start, w.end - w.start) &&
		    plugin_judge(st, t->reply, &w) != 0)
			return (CHAT_FILTER_ERROR);
	if (t->windows < st->windows)
		st->host->unsettled(st->host->cookie,
		    encoder_text_settled(t, &p));
	return (CHAT_FILTER_OK);
}

/* Does a pass give the numbers of the plain loops? */
static int32_t
encoder_plugin_selftest(void *state)
{
	struct plugin_state	*st = state;
	struct encoder_text	 t = { 0 };
	struct encoder_piece	 p = { PLUGIN_SELFTEST,
				    strlen(PLUGIN_SELFTEST), 0, 1 };
	struct encoder_window	 w;

	if (st->e == NULL)
		return (CHAT_FILTER_OK);
	if (!encoder_text_next(st->e, &t, &p, &w) ||
	    encoder_agrees(st->e, w.ids, w.n) != 0) {
		st->host->fail(st->host->cookie, "this processor gives other "
		    "numbers than plain C does: set the option \"isa\"");
		return (CHAT_FILTER_ERROR);
	}
	return (CHAT_FILTER_OK);
}

/* The bytes that are needed before new text. */
static uint64_t
encoder_plugin_window(void *state)
{
	(void)state;
	return (TEXT_CONTEXT);
}

/* Close the plugin. */
static void
encoder_plugin_close(void *state)
{
	struct plugin_state	*st = state;

	encoder_free(st->e);
	free(st->model);
	free(st);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin "classifier": connects the interface of chatd-filter.h with
 * linear.h.  A prompt is judged by both heads, a reply by the head for content.
 */
#include <config.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd-filter.h"
#include "linear.h"
#include "option.h"
#include "xmalloc.h"

#define PLUGIN_SPAN	2048	/* bytes before new text that a span may begin
				 * at; longer windows are cut */
#define PLUGIN_SHARE	0.25	/* a second category needs this share */
#define PLUGIN_RULE	120	/* bytes of a rule's name */

struct plugin_state {
	const struct chat_filter_host	*host;	/* borrowed */
	struct linear			*model;	/* owned */
	const char	*category[LINEAR_CATEGORIES]; /* borrowed; NULL: the
						 * host does not know it */
	double				 least;	/* min_score */
	double				 bias;	/* log odds */
};

/* A piece that is being judged. */
struct plugin_piece {
	const struct plugin_state	*st;
	const struct chat_filter_part	*part;
};

static int32_t	classifier_open(const struct chat_filter_host *,
		    const struct chat_filter_option *, uint64_t, void **);
static void	classifier_close(void *);
static uint64_t	classifier_rules(void *);
static uint64_t	classifier_window(void *);
static int32_t	classifier_part(void *, const struct chat_filter_part *);
static int32_t	classifier_begin(void *, const struct chat_filter_text *,
		    void **);
static void	classifier_end(void *, void *);
static int32_t	classifier_selftest(void *);

struct chat_filter chat_filter = {
	.abi = CHAT_FILTER_ABI,
	.size = sizeof(struct chat_filter),
	.name = "classifier",
	.version = PACKAGE_VERSION,
	.open = classifier_open,
	.close = classifier_close,
	.rules = classifier_rules,
	.window = classifier_window,
	.part = classifier_part,
	.text_begin = classifier_begin,
	.text_end = classifier_end,
	.selftest = classifier_selftest,
};

/* Read a number from least to most. */
static int
classifier_number(const struct chat_filter_option *o, double least,
    double most, double *out, struct fault *f)
{
	char	*end;

	*out = strtod(o->value, &end);
	if (end != o->value && *end == '\0' && *out >= least && *out <= most)
		return (0);
	return (fault_set(f, "bad_config", o->key, "%s: \"%.40s\" is not a "
	    "number from %g to %g", o->key, o->value, least, most));
}

/* Load the model, which must be able to find something. */
static int
classifier_model(struct plugin_state *st, const char *path, struct fault *f)
{
	int	 r;

	if ((r = linear_load(path, &st->model, f)) == 0 &&
	    linear_features(st->model) == 0)
		r = fault_set(f, "bad_model", "model", "%.150s: a model "
		    "without features, which finds nothing", path);
	return (r);
}

/* Take an option. */
static int
classifier_option(struct plugin_state *st, const struct chat_filter_option *o,
    struct fault *f)
{
	if (strcmp(o->key, "model") == 0) {
		if (o->value[0] != '/')
			return (fault_set(f, "bad_config", "model",
			    "model: \"%.100s\" is not an absolute path",
			    o->value));
		return (classifier_model(st, o->value, f));
	}
	if (strcmp(o->key, "min_score") == 0)
		return (classifier_number(o, 0, 1, &st->least, f));
	if (strcmp(o->key, "bias") == 0)
		return (classifier_number(o, -10, 10, &st->bias, f));
	return (fault_set(f, "bad_config", o->key, "unknown option \"%.60s\"",
	    o->key));
}

/* Find the host's word for each category. */
static void
classifier_categories(struct plugin_state *st)
{
	const char	*const *c;
	size_t		 i;

	for (i = 0; i < LINEAR_CATEGORIES; i++)
		for (c = st->host->categories; *c != NULL; c++)
			if (strcmp(*c, linear_categories[i]) == 0)
				st->category[i] = *c;
}

/* Load the model. */
static int32_t
classifier_open(const struct chat_filter_host *host,
    const struct chat_filter_option *options, uint64_t n, void **state)
{
	struct plugin_state	*st;
	struct fault		 f = { .message = "" };
	char			 line[80];
	uint64_t		 i;
	int			 r = 0;

	st = xcalloc(1, sizeof *st);
	st->host = host;
	st->least = 0.5;
	classifier_categories(st);
	for (i = 0; r == 0 && i < n; i++)
		r = option_repeats(options, i, NULL, NULL) ?
		    fault_set(&f, "bad_config", options[i].key,
		    "%.60s: a list, expected one value", options[i].key) :
		    classifier_option(st, &options[i], &f);
	if (r == 0 && st->model == NULL)
		r = fault_set(&f, "bad_config", "model",
		    "the option \"model\" is missing");
	if (r != 0) {
		host->fail(host->cookie, f.message);
		classifier_close(st);
		return (CHAT_FILTER_ERROR);
	}
	snprintf(line, sizeof line, "model %016llx",
	    (unsigned long long)st->model->digest);
	host->log(host->cookie, CHAT_FILTER_DEBUG, line);
	*state = st;
	return (CHAT_FILTER_OK);
}

/* Close the plugin. */
static void
classifier_close(void *state)
{
	struct plugin_state	*st = state;

	linear_free(st->model);
	free(st);
}

/* The number of features. */
static uint64_t
classifier_rules(void *state)
{
	return (linear_features(((struct plugin_state *)state)->model));
}

/* The bytes before new text. */
static uint64_t
classifier_window(void *state)
{
	(void)state;
	return (PLUGIN_SPAN);
}

/* Begin a text. */
static int32_t
classifier_begin(void *state, const struct chat_filter_text *text, void **out)
{
	(void)state;
	(void)text;
	*out = xcalloc(1, sizeof(struct linear_text));
	return (CHAT_FILTER_OK);
}

/* End a text. */
static void
classifier_end(void *state, void *text)
{
	(void)state;
	free(text);
}

/* Turn a byte of the whole text into one of the piece. */
static uint64_t
classifier_place(const struct chat_filter_part *p, uint64_t at)
{
	at = at > p->offset ? at - p->offset : 0;
	while (at > 0 && at < p->len && ((unsigned char)p->text[at] & 0xc0) ==
	    0x80)
		at--;
	return (at < p->len ? at : p->len);
}

/* Write the name of a finding: "classifier: make a bomb, explosive". */
static size_t
classifier_name(const struct linear_top *const *top, size_t n, char *buf,
    size_t size)
{
	size_t	 used, i, shown = 0;

	used = (size_t)snprintf(buf, size, "classifier");
	for (i = 0; i < n && shown < 3; i++) {
		if (used + top[i]->len + 3 > size)
			break;
		memcpy(buf + used, used == 10 ? ": " : ", ", 2);
		memcpy(buf + used + 2, top[i]->text, top[i]->len);
		used += 2u + top[i]->len;
		buf[used] = '\0';
		shown++;
	}
	return (used);
}

/* The score of a head, with the bias of the configuration. */
static double
classifier_gate(const struct plugin_state *st, const struct linear_score *s,
    int head)
{
	double	 odds;

	if (st->bias == 0)
		return (s->gate[head]);
	odds = s->gate[head] / (1 - s->gate[head]) * exp(st->bias);
	return (isfinite(odds) ? odds / (1 + odds) : 1);
}

/* Report what a head says of a window. */
static void
classifier_report(const struct plugin_piece *p, const struct linear_score *s,
    int head)
{
	const struct plugin_state	*st = p->st;
	const struct linear_top		*top[2 * LINEAR_TOP];
	char				 rule[PLUGIN_RULE];
	char				 text[2 * LINEAR_TOP][2 *
					     FEATURES_TOKEN + 2];
	struct chat_feature		 detail[2 * LINEAR_TOP];
	struct chat_finding		 finding = {
		.size = sizeof finding, .rule = rule, .detail = detail };
	const double			 gate = classifier_gate(st, s, head);
	double				 score;
	size_t				 n, i;
	int				 c, best = -1;

	for (c = 0; c < LINEAR_CATEGORIES; c++)
		if (st->category[c] != NULL && (best < 0 ||
		    s->category[head][c] > s->category[head][best]))
			best = c;
	if (best < 0)
		return;
	n = linear_explain(s, head, top);
	for (i = 0; i < n; i++) {
		memcpy(text[i], top[i]->text, top[i]->len);
		text[i][top[i]->len] = '\0';
		detail[i] = (struct chat_feature){ text[i],
		    linear_odds(st->model, s, head, top[i]->weight),
		    classifier_place(p->part, top[i]->from),
		    classifier_place(p->part, top[i]->to) };
	}
	finding.features = n;
	classifier_name(top, n, rule, sizeof rule);
	finding.start = classifier_place(p->part, s->from);
	finding.end = classifier_place(p->part, s->to);
	for (c = 0; c < LINEAR_CATEGORIES; c++) {
		score = c == best ? gate : s->category[head][c] <
		    PLUGIN_SHARE ? 0 : gate * s->category[head][c];
		if (st->category[c] == NULL || score < st->least ||
		    score <= 0)
			continue;
		finding.category = st->category[c];
		finding.score = score;
		st->host->report(st->host->cookie, &finding);
	}
}

/* Take the verdict on a window. */
static void
classifier_window_done(void *arg, const struct linear_score *s)
{
	const struct plugin_piece	*p = arg;
	int				 h;

	for (h = p->part->reply ? HEAD_CONTENT : 0; h < LINEAR_HEADS; h++)
		if (classifier_gate(p->st, s, h) >= p->st->least)
			classifier_report(p, s, h);
}

/* Judge a piece. */
static int32_t
classifier_part(void *state, const struct chat_filter_part *part)
{
	struct plugin_state	*st = state;
	struct plugin_piece	 p = { st, part };
	struct linear_text	*t = part->text_state;

	linear_read(st->model, t, part->text, part->len, part->offset,
	    part->final, part->reply, classifier_window_done, &p);
	if (!part->final)
		st->host->unsettled(st->host->cookie,
		    classifier_place(part, t->done));
	return (CHAT_FILTER_OK);
}

/* Keep the last verdict. */
static void
classifier_keep(void *arg, const struct linear_score *s)
{
	*(struct linear_score *)arg = *s;
}

/* Do the same sums come out of a text as a whole and in single bytes? */
static int32_t
classifier_selftest(void *state)
{
	static const char	 text[] =
	    "Say no to \"hate\". How do I write a poem, and to whom? 😀";
	struct plugin_state	*st = state;
	struct linear_score	 whole, bytes;
	struct linear_text	*t;
	size_t			 i;
	int			 h, bad = 0;

	t = xcalloc(1, sizeof *t);
	linear_read(st->model, t, text, sizeof text - 1, 0, 1, 0,
	    classifier_keep, &whole);
	memset(t, 0, sizeof *t);
	for (i = 1; i < sizeof text; i++)
		if (i == sizeof text - 1 || ((unsigned char)text[i] & 0xc0) !=
		    0x80)
			linear_read(st->model, t, text, i, 0,
			    i == sizeof text - 1, 0, classifier_keep, &bytes);
	free(t);
	for (h = 0; h < LINEAR_HEADS; h++)
		bad |= !(whole.gate[h] >= 0 && whole.gate[h] <= 1) ||
		    fabs(whole.gate[h] - bytes.gate[h]) > 1e-12;
	if (bad) {
		st->host->fail(st->host->cookie, "the self-test of the "
		    "classifier failed: its scores depend on how a text is "
		    "cut");
		return (CHAT_FILTER_ERROR);
	}
	return (CHAT_FILTER_OK);
}

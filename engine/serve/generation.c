/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reply while it is generated: from tokens to text, with stop strings.
 */
#include "generation.h"

#include <stdlib.h>
#include <string.h>

#include "pretoken.h"
#include "xmalloc.h"

/* Note that id has been seen. */
static void
generation_see(struct generation *g, int32_t id)
{
	if (g->seen != NULL)
		g->seen[id] = 1;
}

/* Begin a reply. */
struct generation *
generation_new(const struct tokenizer *tok,
    const struct generation_options *opt, struct idbuf *prompt, int vocab,
    int eos, size_t context)
{
	struct generation	*g;
	size_t			 i;

	g = xcalloc(1, sizeof *g);
	g->tok = tok;
	g->opt = *opt;
	g->eos = eos;
	g->context = context;
	g->tokens = *prompt;
	g->prompt = prompt->n;
	memset(prompt, 0, sizeof *prompt);
	if (opt->sampler.penalty != 1)
		g->seen = xcalloc((size_t)vocab, 1);
	for (i = 0; i < g->prompt; i++)
		generation_see(g, g->tokens.id[i]);
	return (g);
}

/* Release a reply. */
void
generation_free(struct generation *g)
{
	if (g == NULL)
		return;
	idbuf_clear(&g->tokens);
	textbuf_clear(&g->held);
	textbuf_clear(&g->text);
	free(g->seen);
	free(g);
}

/* Rebuild the state after ids that an earlier run generated. */
int
generation_resume(struct generation *g, const int32_t *id, size_t n,
    int vocab, int retell)
{
	struct generation_news	 news;
	size_t			 i;

	for (i = 0; i < n; i++) {
		if (g->stop != STOP_NONE || id[i] < 0 || id[i] >= vocab)
			return (CHAT_EFORMAT);
		generation_add(g, id[i]);
	}
	if (!retell)
		generation_take(g, &news);
	return (0);
}

/* Draw and add the next token, if r says that s is prepared. */
static int
generation_draw(struct generation *g, const struct sampler *s, int r)
{
	if (r != 0)
		return (r);
	generation_add(g, sampler_draw(s, g->opt.sampler.seed,
	    generation_made(g)));
	return (0);
}

/* Draw the next token from all logits. */
int
generation_sample(struct generation *g, struct sampler *s,
    const float *logits)
{
	return (generation_draw(g, s, sampler_prepare(s, &g->opt.sampler,
	    logits, g->seen)));
}

/* Ask for the largest logits. */
int
generation_best(const struct generation *g, const struct sampler *s, int max,
    struct backend_best *best)
{
	best->k = sampler_best(s, &g->opt.sampler, max);
	best->penalty = g->opt.sampler.penalty;
	best->seen = g->seen;
	return (best->k > 0);
}

/* Draw the next token from the largest logits. */
int
generation_sample_best(struct generation *g, struct sampler *s,
    const struct backend_best *best)
{
	return (generation_draw(g, s, sampler_prepare_best(s,
	    &g->opt.sampler, best)));
}

/* Release the first n held bytes. */
static void
generation_release(struct generation *g, size_t n)
{
	textbuf_add(&g->text, g->held.s, n);
	textbuf_shift(&g->held, n);
}

/* Release everything: the reply is over. */
static void
generation_flush(struct generation *g)
{
	detok_end(&g->detok, &g->held);
	generation_release(g, g->held.n);
}

/*
 * Find the stop string that is complete first in the held text (the longest of
 * those, if several end there), so that the result does not depend on how the
 * text was cut into tokens. Returns 1, and where it begins.
 */
static int
generation_find_stop(const struct generation *g, size_t *start)
{
	const char	*s = g->held.s, *stop;
	size_t		 end, k;
	int		 i, found = 0;

	for (end = 1; end <= g->held.n && !found; end++) {
		for (i = 0; i < g->opt.stops; i++) {
			stop = g->opt.stop[i];
			k = strlen(stop);
			if (k > end || memcmp(s + end - k, stop, k) != 0 ||
			    (found && end - k > *start))
				continue;
			*start = end - k;
			found = 1;
		}
	}
	return (found);
}

/* Return the number of bytes at the end of the held text that may be the start
 * of a stop string. */
static size_t
generation_hold(const struct generation *g)
{
	const char	*s = g->held.s;
	size_t		 n = g->held.n, k, longest = 0;
	int		 i;

	for (i = 0; i < g->opt.stops; i++) {
		k = strlen(g->opt.stop[i]) - 1;
		if (k > n)
			k = n;
		while (k > longest && memcmp(s + n - k, g->opt.stop[i],
		    k) != 0)
			k--;
		if (k > longest)
			longest = k;
	}
	if (g->opt.trim)
		longest += pretoken_trailing(s, n - longest);
	return (longest);
}

/* Examine the held text after it has grown: release text, or stop. */
static void
generation_review(struct generation *g)
{
	size_t	 start = 0;

	if (g->opt.strip && g->text.n == 0)
		textbuf_shift(&g->held, pretoken_leading(g->held.s, g->held.n));
	if (!generation_find_stop(g, &start)) {
		generation_release(g, g->held.n - generation_hold(g));
		return;
	}
	g->held.n = start;
	if (g->opt.trim)
		g->held.n -= pretoken_trailing(g->held.s, start);
	g->stop = STOP_STRING;
	generation_release(g, g->held.n);
}

/* Append a decoded token to the held text. A NUL is replaced, because the line
 * protocol has none. */
static void
generation_decode(struct generation *g, int32_t id)
{
	struct textbuf	 new = { NULL, 0, 0 };
	const char	*s, *nul;
	size_t		 n, i = 0;

	s = tokenizer_bytes(g->tok, id, &n);
	detok_add(&g->detok, s, n, &new);
	while (i < new.n && (nul = memchr(new.s + i, 0, new.n - i)) != NULL) {
		textbuf_add(&g->held, new.s + i, (size_t)(nul - new.s) - i);
		textbuf_puts(&g->held, "\xef\xbf\xbd");
		i = (size_t)(nul - new.s) + 1;
	}
	if (i < new.n)
		textbuf_add(&g->held, new.s + i, new.n - i);
	textbuf_clear(&new);
}

/* Does the reply end in copies of the same p tokens? */
static int
generation_has_period(const struct generation *g, size_t p)
{
	const int32_t	*end = g->tokens.id + g->tokens.n;
	size_t		 n = p * GENERATION_COPIES, i;

	if (n < GENERATION_REPEATED)
		n = (GENERATION_REPEATED + p - 1) / p * p;
	if (n > generation_made(g))
		return (0);
	for (i = 1; i <= n - p; i++) {
		if (*(end - i) != *(end - i - p))
			return (0);
	}
	return (1);
}

/* Does the reply repeat itself? */
static int
generation_repeats(const struct generation *g)
{
	size_t	 p;

	for (p = 1; p <= GENERATION_PERIOD; p++) {
		if (generation_has_period(g, p))
			return (1);
	}
	return (0);
}

/* Add a token. */
void
generation_add(struct generation *g, int32_t id)
{
	idbuf_add(&g->tokens, id);
	generation_see(g, id);
	if (id == g->eos && !g->opt.ignore_eos)
		g->stop = STOP_END;
	else if (!tokenizer_special(g->tok, id)) {
		generation_decode(g, id);
		generation_review(g);
	}
	if (g->stop == STOP_NONE) {
		if (generation_made(g) >= (size_t)g->opt.max_tokens)
			g->stop = STOP_LENGTH;
		else if (g->tokens.n >= g->context)
			g->stop = STOP_CONTEXT;
		else if (g->opt.repeats && generation_repeats(g))
			g->stop = STOP_REPEAT;
	}
	if (g->stop != STOP_NONE && g->stop != STOP_STRING)
		generation_flush(g);
}

/* End the reply. */
void
generation_cancel(struct generation *g)
{
	if (g->stop != STOP_NONE)
		return;
	g->stop = STOP_CANCELLED;
	generation_flush(g);
}

/* Take the new tokens and text. */
int
generation_take(struct generation *g, struct generation_news *news)
{
	news->text = g->text.s == NULL ? "" : g->text.s + g->taken_text;
	news->text_len = g->text.n - g->taken_text;
	news->n = generation_made(g) - g->taken_ids;
	news->ids = g->tokens.id + g->prompt + g->taken_ids;
	g->taken_text = g->text.n;
	g->taken_ids += news->n;
	return (news->n > 0 || news->text_len > 0);
}

/* Return the number of generated tokens. */
size_t
generation_made(const struct generation *g)
{
	return (g->tokens.n - g->prompt);
}

/* Return the name of a reason. */
const char *
generation_stop_name(enum stop_reason stop)
{
	static const char *const names[] = { "", "end", "stop", "length",
	    "context", "cancelled", "repeat" };

	return (names[stop]);
}

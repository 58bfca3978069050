/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building prompts from conversations.
 *
 * The turns are encoded one by one and then joined. This gives the same ids as
 * encoding the whole text: the split into words never crosses the line end
 * between two turns, because a turn ends without white space and the next one
 * begins with "<". So each turn is encoded once, no matter how many turns are
 * dropped.
 */
#include "dialogue.h"

#include <stdlib.h>
#include <string.h>

#include "roletag.h"
#include "turntext.h"
#include "xmalloc.h"

struct dialogue_run {
	const struct tokenizer	*t;		/* borrowed */
	struct dialogue		 d;
	int			 started;	/* the pre-prompt is encoded or
						 * being encoded */
	size_t			 turn;		/* the next turn */
	struct textbuf		 line;		/* the text being encoded */
	struct encoding		*encoding;	/* owned: of line, or NULL */
	struct idbuf		*to;		/* pre or all: receives its
						 * ids */
	struct idbuf		 pre, all;
	size_t			*end;		/* owned: for each turn, where
						 * its ids end in all */
};

/* Write turn i. If it is the last one, also write the start of the model's
 * turn. */
static void
dialogue_write_turn(const struct dialogue *d, size_t i, struct textbuf *line)
{
	const struct dialogue_turn	*turn = &d->turn[i];
	int				 last = i + 1 == d->n;
	size_t				 was;

	textbuf_puts(line, turn->bot ? ROLETAG_BOT ": " : ROLETAG_HUMAN ": ");
	was = line->n;
	turntext_add(turn->text, turn->n, last && turn->bot, line);
	if (line->n == was)
		line->n--;	/* nothing comes after the blank */
	if (last && !turn->bot)
		textbuf_puts(line, "\n" ROLETAG_BOT ":");
	else if (!last)
		textbuf_puts(line, "\n");
}

/* Write the pre-prompt as it is before a tag: with the "<" that follows. The id
 * of "<" is removed later. */
static void
dialogue_write_preprompt(const char *s, struct textbuf *line)
{
	turntext_add_preprompt(s, line);
	if (line->n > 0)
		textbuf_puts(line, "<");
}

/* Return the index of the newest turn of a person, or n. */
static size_t
dialogue_newest(const struct dialogue *d)
{
	size_t	 i;

	for (i = d->n; i > 0; i--) {
		if (!d->turn[i - 1].bot)
			return (i - 1);
	}
	return (d->n);
}

/* Find the first turn to keep. The turns may take `room` tokens in all. */
static size_t
dialogue_first(const struct dialogue *d, const size_t *end, size_t room)
{
	size_t	 i, newest = dialogue_newest(d), total = end[d->n - 1];

	for (i = 0; i < newest; i++) {
		if ((i == 0 || !d->turn[i].bot) &&
		    total - (i == 0 ? 0 : end[i - 1]) <= room)
			break;
	}
	return (i);
}

/* Begin. */
int
dialogue_begin(const struct tokenizer *t, const struct dialogue *d,
    struct dialogue_run **out, struct fault *f)
{
	struct dialogue_run	*r;

	if (d->n == 0 || dialogue_newest(d) == d->n)
		return (fault_set(f, "bad_field", "messages",
		    "messages: no turn is the human's"));
	r = xcalloc(1, sizeof *r);
	r->t = t;
	r->d = *d;
	r->end = xcalloc(d->n, sizeof *r->end);
	*out = r;
	return (0);
}

/* Begin the pre-prompt or the next turn. Return 0 if all are done. */
static int
dialogue_next(struct dialogue_run *r)
{
	r->line.n = 0;
	if (!r->started) {
		dialogue_write_preprompt(r->d.preprompt, &r->line);
		r->to = &r->pre;
	} else if (r->turn < r->d.n) {
		dialogue_write_turn(&r->d, r->turn, &r->line);
		r->to = &r->all;
	} else
		return (0);
	r->encoding = encoding_new(r->t, r->line.s, r->line.n, 0);
	return (1);
}

/* End the text that was being encoded. */
static void
dialogue_done(struct dialogue_run *r)
{
	encoding_free(r->encoding);
	r->encoding = NULL;
	if (r->started)
		r->end[r->turn++] = r->all.n;
	else if (r->pre.n > 0)
		r->pre.n--;	/* the id of "<" */
	r->started = 1;
}

/* Encode some more. */
int
dialogue_some(struct dialogue_run *r, size_t limit)
{
	if (r->encoding == NULL && !dialogue_next(r))
		return (1);
	if (encoding_some(r->encoding, limit, r->to))
		dialogue_done(r);
	return (0);
}

/* Build the prompt. */
int
dialogue_end(struct dialogue_run *r, size_t context, size_t reserve,
    struct idbuf *out, size_t *dropped, size_t *pre, struct fault *f)
{
	size_t	 first, start;

	first = dialogue_first(&r->d, r->end, context > reserve + r->pre.n ?
	    context - reserve - r->pre.n : 0);
	start = first == 0 ? 0 : r->end[first - 1];
	if (r->pre.n + r->all.n - start >= context)
		return (fault_set(f, "context_full", NULL, "pre-prompt and "
		    "newest turn take %zu tokens, the context holds %zu",
		    r->pre.n + r->all.n - start, context));
	idbuf_append(out, r->pre.id, r->pre.n);
	idbuf_append(out, r->all.id + start, r->all.n - start);
	*dropped = first;
	*pre = r->pre.n;
	return (0);
}

/* Release it. */
void
dialogue_free(struct dialogue_run *r)
{
	if (r == NULL)
		return;
	encoding_free(r->encoding);
	textbuf_clear(&r->line);
	idbuf_clear(&r->pre);
	idbuf_clear(&r->all);
	free(r->end);
	free(r);
}

/*
 * Building prompts from conversations.
 *
 * Turns are encoded one by one and then joined: the split into words never
 * crosses the line end between two turns, because a turn's text ends in no
 * white space and the next one begins with "<".  So each turn is encoded once
 * however many are dropped, and the ids equal those of the whole text.
 */
#include "dialogue.h"

#include <stdlib.h>
#include <string.h>

#include "pretoken.h"
#include "roletag.h"
#include "xmalloc.h"

/* Encode turn i of d, and what the model goes on with where it is last. */
static void
dialogue_turn_encode(const struct tokenizer *t, const struct dialogue *d,
    size_t i, struct ids *out)
{
	const struct dialogue_turn	*turn = &d->turn[i];
	struct text			 clean = { NULL, 0, 0 };
	struct text			 line = { NULL, 0, 0 };
	int				 last = i + 1 == d->n;
	size_t				 skip;

	roletag_defuse(turn->text, turn->n, &clean);
	if (!(last && turn->bot))
		clean.n -= pretoken_trailing(clean.s, clean.n);
	skip = pretoken_leading(clean.s, clean.n);
	text_puts(&line, turn->bot ? ROLETAG_BOT ":" : ROLETAG_HUMAN ":");
	if (clean.n > skip) {
		text_puts(&line, " ");
		text_add(&line, clean.s + skip, clean.n - skip);
	}
	if (last && !turn->bot)
		text_puts(&line, "\n" ROLETAG_BOT ":");
	else if (!last)
		text_puts(&line, "\n");
	tokenizer_encode(t, line.s, line.n, 0, out);
	text_clear(&line);
	text_clear(&clean);
}

/* Encode the pre-prompt as it is before a tag: with the "<" that follows,
 * whose id is then taken off again. */
static void
dialogue_preprompt_encode(const struct tokenizer *t, const char *s,
    struct ids *out)
{
	struct text	 line = { NULL, 0, 0 };

	if (s == NULL || *s == '\0')
		return;
	roletag_defuse(s, strlen(s), &line);
	if (line.s[line.n - 1] != '\n')
		text_puts(&line, "\n");
	text_puts(&line, "<");
	tokenizer_encode(t, line.s, line.n, 0, out);
	out->n--;
	text_clear(&line);
}

/* The newest turn of a person, or n. */
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

/* Find the first turn to keep, given where each turn's ids end in all, and
 * how many tokens turns may take. */
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

/* Build the prompt. */
int
dialogue_encode(const struct tokenizer *t, const struct dialogue *d,
    size_t context, size_t reserve, struct ids *out, size_t *dropped,
    size_t *npre, struct fault *f)
{
	struct ids	 pre = { NULL, 0, 0 }, all = { NULL, 0, 0 };
	size_t		*end = NULL, i, first, start;
	int		 r = 0;

	if (d->n == 0 || dialogue_newest(d) == d->n)
		return (fault_set(f, "bad_field", "messages",
		    "messages: none of them is the human's"));
	end = xcalloc(d->n, sizeof *end);
	dialogue_preprompt_encode(t, d->preprompt, &pre);
	for (i = 0; i < d->n; i++) {
		dialogue_turn_encode(t, d, i, &all);
		end[i] = all.n;
	}
	first = dialogue_first(d, end, context > reserve + pre.n ?
	    context - reserve - pre.n : 0);
	start = first == 0 ? 0 : end[first - 1];
	if (pre.n + all.n - start >= context) {
		r = fault_set(f, "context_full", NULL, "pre-prompt and newest "
		    "turn take %zu tokens, the context holds %zu",
		    pre.n + all.n - start, context);
		goto out;
	}
	ids_append(out, pre.id, pre.n);
	ids_append(out, all.id + start, all.n - start);
	*dropped = first;
	*npre = pre.n;
out:
	free(end);
	ids_clear(&pre);
	ids_clear(&all);
	return (r);
}

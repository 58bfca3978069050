/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The export formats "preference" and "openai-dpo", pairs of a better and a
 * worse reply to the same prompt, and "kto", single replies with a label.
 *
 * The worse one is a whole reply that was rated -1, or has an ideal text.  The
 * better one is that ideal text; else an ideal text for another reply to the
 * same prompt; else the newest other reply rated 1.  Another reply is taken
 * only if the model had read the same turns for it.
 */
#include "export.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

static int	export_same(const struct export_dialogue *, size_t, size_t);
static size_t	export_preferred(const struct export_dialogue *, size_t);
static int	export_pair(struct export *, struct export_dialogue *, size_t,
		    size_t);
static int	export_pairs(struct export *, struct export_dialogue *);
static int	export_label(struct export *, struct export_dialogue *,
		    size_t, int, int);
static int	export_labels(struct export *, struct export_dialogue *);

/* Had the model read the same for both replies to a prompt? */
static int
export_same(const struct export_dialogue *d, size_t a, size_t b)
{
	size_t	*x, *y, n = export_context(d, a, &x);
	int	 same;

	same = export_context(d, b, &y) == n && (n == 0 ||
	    memcmp(x, y, n * sizeof *x) == 0);
	free(x);
	free(y);
	return (same);
}

/* Find a better reply than d->reply[worse]. Returns its index, or SIZE_MAX. */
static size_t
export_preferred(const struct export_dialogue *d, size_t worse)
{
	const struct export_turn	*t = &d->turn[d->reply[worse].turn];
	const struct export_reply	*r;
	size_t				 i, best = SIZE_MAX;

	if (d->reply[worse].ideal != 0)
		return (worse);
	for (i = t->first; i < t->first + t->n; i++) {
		r = &d->reply[i];
		if (i == worse || (r->ideal == 0 && (r->thumb <= 0 ||
		    !r->done || r->cut)) || !export_same(d, worse, i))
			continue;
		if (best == SIZE_MAX || r->ideal != 0 ||
		    d->reply[best].ideal == 0)
			best = i;
	}
	return (best);
}

/* Write a pair, unless both texts are equal. */
static int
export_pair(struct export *ex, struct export_dialogue *d, size_t better,
    size_t worse)
{
	const struct export_reply	*r = &d->reply[worse];
	const struct export_reply	*b = &d->reply[better];
	const int			 dpo = strcmp(ex->opt->format,
					    "openai-dpo") == 0;
	json_t				*o, *in, *prompt, *good, *bad;
	json_t				*metadata = NULL;
	char				*x = NULL, *y = NULL;
	int				 e;

	if ((e = export_text(ex, b, b->ideal != 0, &x)) != 0 ||
	    (e = export_text(ex, r, 0, &y)) != 0 || strcmp(x, y) == 0 ||
	    (e = export_metadata(ex, d, r, better == worse, &metadata)) != 0 ||
	    (e = export_messages_of(ex, d, worse, &prompt)) != 0) {
		json_decref(metadata);
		free(x);
		free(y);
		return (e);
	}
	good = json_array();
	json_array_append_new(good, export_message("assistant", x));
	bad = json_array();
	json_array_append_new(bad, export_message("assistant", y));
	free(x);
	free(y);
	o = json_object();
	if (dpo) {
		in = json_object();
		msg_set(in, "messages", prompt);
		msg_set(o, "input", in);
	} else
		msg_set(o, "prompt", prompt);
	msg_set(o, dpo ? "preferred_output" : "chosen", good);
	msg_set(o, dpo ? "non_preferred_output" : "rejected", bad);
	if (!dpo)
		msg_set_int(o, "margin", 1 - r->thumb);
	if (dpo && !ex->opt->sidecar) {	/* services refuse other keys */
		json_decref(metadata);
		metadata = NULL;
	}
	export_row(ex, o, metadata, r);
	return (0);
}

/* Write the pairs of a dialogue. */
static int
export_pairs(struct export *ex, struct export_dialogue *d)
{
	const struct export_reply	*r;
	size_t				 i, better;
	int				 e;

	for (i = 0; i < d->nreplies; i++) {
		r = &d->reply[i];
		if (!r->wanted || !r->done || r->cut || (r->thumb >= 0 &&
		    r->ideal == 0))
			continue;
		if ((better = export_preferred(d, i)) == SIZE_MAX) {
			export_lacks(ex, LACK_PAIR);
			continue;
		}
		if ((e = export_pair(ex, d, better, i)) != 0)
			return (e);
	}
	return (0);
}

/* Write a reply or its ideal text with a label. */
static int
export_label(struct export *ex, struct export_dialogue *d, size_t i, int ideal,
    int label)
{
	const struct export_reply	*r = &d->reply[i];
	json_t				*o, *metadata;
	char				*prompt, *s, *completion;
	int				 e;

	if ((e = export_string_of(ex, d, i, &prompt)) != 0)
		return (e);
	if ((e = export_text(ex, r, ideal, &s)) != 0 ||
	    (e = export_metadata(ex, d, r, ideal, &metadata)) != 0) {
		free(prompt);
		return (e);
	}
	completion = xasprintf("%s%s", d->name != NULL ? " " : "", s);
	free(s);
	o = json_object();
	msg_set_string(o, "prompt", prompt);
	msg_set_string(o, "completion", completion);
	msg_set_bool(o, "label", label);
	free(prompt);
	free(completion);
	ex->counts.labels[label] += export_row(ex, o, metadata, r);
	return (0);
}

/* Write the labelled texts of a dialogue: an ideal text is good; a reply is
 * what it was rated. A reply that was cut short is no example of a good one. */
static int
export_labels(struct export *ex, struct export_dialogue *d)
{
	const struct export_reply	*r;
	size_t				 i;
	int				 e = 0;

	for (i = 0; e == 0 && i < d->nreplies; i++) {
		r = &d->reply[i];
		if (!r->wanted)
			continue;
		if (r->shown && (r->thumb < 0 || (r->thumb > 0 && !r->cut)))
			e = export_label(ex, d, i, 0, r->thumb > 0);
		if (e == 0 && r->ideal != 0)
			e = export_label(ex, d, i, 1, 1);
	}
	return (e);
}

/* Write the format "preference". */
int
export_preference(struct export *ex)
{
	return (export_dialogues(ex, export_pairs, 0));
}

/* Write the format "openai-dpo". */
int
export_openai_dpo(struct export *ex)
{
	return (export_dialogues(ex, export_pairs, 0));
}

/* Write the format "kto". */
int
export_kto(struct export *ex)
{
	return (export_dialogues(ex, export_labels, 1));
}

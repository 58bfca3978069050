/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts that are being judged: what each plugin keeps about a text between
 * two pieces, how far it has read, and the scores it has reported.  chatd names
 * a text by a number, and says when it is over.  tail.c keeps the end of its
 * bytes.
 */
#include "text_impl.h"

#include <stdlib.h>

#include "xmalloc.h"

/* Make an empty table. */
struct texts *
texts_new(void)
{
	return (xcalloc(1, sizeof(struct texts)));
}

/* Keep that many bytes before new ones. */
void
texts_keep(struct texts *ts, uint64_t window)
{
	if (window > ts->window)
		ts->window = window;
}

/* Note that a plugin has a band. */
void
texts_band(struct texts *ts, size_t plugin)
{
	ts->banded[plugin] = ts->bands = 1;
}

/* Is there one? */
int
texts_banded(const struct texts *ts)
{
	return (ts->bands);
}

/* Release a table without texts. */
void
texts_free(struct texts *ts)
{
	free(ts);
}

/* Find any text, or NULL. */
struct text *
texts_any(const struct texts *ts)
{
	size_t	 i;

	for (i = 0; ts->n > 0 && i < TEXT_BUCKETS; i++) {
		if (!LIST_EMPTY(&ts->bucket[i]))
			return (LIST_FIRST(&ts->bucket[i]));
	}
	return (NULL);
}

/* Find a text, or NULL. */
struct text *
texts_find(const struct texts *ts, int64_t id)
{
	struct text	*tx;

	LIST_FOREACH(tx, &ts->bucket[id % TEXT_BUCKETS], entry) {
		if (tx->id == id)
			break;
	}
	return (tx);
}

/* Make a text, of which judged bytes have been judged already. */
struct text *
text_new(struct texts *ts, int64_t id, int64_t judged, size_t ncategories)
{
	struct text	*tx;
	size_t		 i;

	if (ts->n >= FILTER_TEXTS_MAX || ts->kept > FILTER_TAILS_MAX)
		return (NULL);
	tx = xcalloc(1, sizeof *tx);
	tx->id = id;
	tx->judged = judged;
	tx->settled = -1;
	tx->ncategories = ncategories;
	tx->scores = xcalloc(FILTER_PLUGINS_MAX * ncategories + 1,
	    sizeof *tx->scores);
	for (i = 0; i < FILTER_PLUGINS_MAX; i++) {
		tx->plugin[i].seen = judged;
		if (!ts->banded[i])
			continue;
		tx->band[i] = xcalloc(1, sizeof *tx->band[i]);
		tx->band[i]->band.at = tx->band[i]->band.settled = judged;
		tx->band[i]->scores = xcalloc(ncategories + 1,
		    sizeof *tx->band[i]->scores);
	}
	if (id > 0) {
		LIST_INSERT_HEAD(&ts->bucket[id % TEXT_BUCKETS], tx, entry);
		ts->n++;
	}
	return (tx);
}

/* Release a text. */
void
text_free(struct texts *ts, struct text *tx)
{
	size_t	 i;

	if (tx == NULL)
		return;
	for (i = 0; i < FILTER_PLUGINS_MAX; i++) {
		if (tx->band[i] == NULL)
			continue;
		free(tx->band[i]->note);
		free(tx->band[i]->scores);
		free(tx->band[i]);
	}
	ts->kept -= tx->tail_size;
	free(tx->tail);
	if (tx->id > 0) {
		LIST_REMOVE(tx, entry);
		ts->n--;
	}
	free(tx->scores);
	free(tx);
}

/* The bytes that are judged. */
int64_t
text_judged(const struct text *tx)
{
	return (tx->judged);
}

/* Note how many are judged and settled. */
void
text_set_judged(struct text *tx, int64_t judged, int64_t settled)
{
	tx->judged = judged;
	if (settled > tx->settled)
		tx->settled = settled;
}

/* What a plugin keeps about it. */
struct text_plugin *
text_plugin(struct text *tx, size_t plugin)
{
	return (&tx->plugin[plugin]);
}

/* Note a score for a plugin with a band. */
static void
text_note_band(struct text_bander *b, size_t category, double score,
    int64_t end)
{
	if (b->n == b->size) {
		b->size = b->size * 2 + 8;
		b->note = xreallocarray(b->note, b->size, sizeof *b->note);
	}
	b->note[b->n++] = (struct text_note){ end, category, score };
}

/* Note a score. */
void
text_note(struct text *tx, size_t plugin, size_t category, double score,
    int64_t end)
{
	double	*best = &tx->scores[plugin * tx->ncategories + category];
	size_t	 i;

	if (score > *best)
		*best = score;
	for (i = plugin + 1; i < FILTER_PLUGINS_MAX; i++) {
		if (tx->band[i] != NULL)
			text_note_band(tx->band[i], category, score, end);
	}
}

/* Collect the scores of the plugins before one. */
double
text_scores(const struct text *tx, size_t plugin, double *scores)
{
	double	 best = 0;
	size_t	 i, n = tx->ncategories;

	for (i = 0; i < n; i++)
		scores[i] = 0;
	for (i = 0; i < plugin * n; i++) {
		if (tx->scores[i] > scores[i % n])
			scores[i % n] = tx->scores[i];
		if (tx->scores[i] > best)
			best = tx->scores[i];
	}
	return (best);
}

/* How far a plugin with a band has come. */
struct text_band *
text_band(struct text *tx, size_t plugin)
{
	return (&tx->band[plugin]->band);
}

/* Collect the scores of the findings up to byte "end". */
double
text_band_scores(struct text *tx, size_t plugin, int64_t end, double *scores)
{
	struct text_bander	*b = tx->band[plugin];
	const struct text_note	*note;
	double			 best = 0;
	size_t			 i, k = 0;

	for (i = 0; i < b->n; i++) {
		note = &b->note[i];
		if (note->end > end)
			b->note[k++] = *note;
		else if (note->score > b->scores[note->category])
			b->scores[note->category] = note->score;
	}
	b->n = k;
	for (i = 0; i < tx->ncategories; i++) {
		scores[i] = b->scores[i];
		best = scores[i] > best ? scores[i] : best;
	}
	return (best);
}

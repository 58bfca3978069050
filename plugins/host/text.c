/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts that are being judged: what each plugin keeps about a text between
 * two pieces, how far it has read, and the scores it has reported.  chatd names
 * a text by a number, and says when it is over.
 */
#include "filter.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "xmalloc.h"

#define TEXT_BUCKETS	1024	/* a power of 2 */

struct text {
	LIST_ENTRY(text)	 entry;
	int64_t			 id;		/* 0: not in the table */
	int64_t			 judged;	/* bytes judged */
	size_t			 ncategories;
	struct text_plugin	 plugin[FILTER_PLUGINS_MAX];
	double			*scores;	/* owned: of each plugin, the
						 * highest of each category */
};

struct texts {
	LIST_HEAD(, text)	 bucket[TEXT_BUCKETS];
	size_t			 n;
};

/* Make an empty table. */
struct texts *
texts_new(void)
{
	return (xcalloc(1, sizeof(struct texts)));
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

	if (ts->n >= FILTER_TEXTS_MAX)
		return (NULL);
	tx = xcalloc(1, sizeof *tx);
	tx->id = id;
	tx->judged = judged;
	tx->ncategories = ncategories;
	tx->scores = xcalloc(FILTER_PLUGINS_MAX * ncategories + 1,
	    sizeof *tx->scores);
	for (i = 0; i < FILTER_PLUGINS_MAX; i++)
		tx->plugin[i].seen = judged;
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
	if (tx == NULL)
		return;
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

/* Note that they are. */
void
text_set_judged(struct text *tx, int64_t judged)
{
	tx->judged = judged;
}

/* What a plugin keeps about it. */
struct text_plugin *
text_plugin(struct text *tx, size_t plugin)
{
	return (&tx->plugin[plugin]);
}

/* Note a score. */
void
text_note(struct text *tx, size_t plugin, size_t category, double score)
{
	double	*best = &tx->scores[plugin * tx->ncategories + category];

	if (score > *best)
		*best = score;
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

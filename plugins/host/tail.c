/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of each text, as much of it as the plugins look back at.  So chatd
 * sends only what is new, and a check costs the same however long a text is.
 */
#include "text_impl.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

/* The start of a character. */
int64_t
text_character(const struct text *tx, int64_t i)
{
	int64_t	 k = i - tx->tail_from;

	while (k > 0 && (size_t)k < tx->tail_len &&
	    (tx->tail[k] & 0xc0) == 0x80)
		k--;
	return (tx->tail_from + k);
}

/* Append bytes. */
static void
text_append(struct texts *ts, struct text *tx, const char *text, size_t len)
{
	if (tx->tail_size < tx->tail_len + len + 1) {
		ts->kept -= tx->tail_size;
		tx->tail_size = (tx->tail_len + len + 1) * 2;
		tx->tail = xreallocarray(tx->tail, tx->tail_size, 1);
		ts->kept += tx->tail_size;
	}
	memcpy(tx->tail + tx->tail_len, text, len);
	tx->tail_len += len;
	tx->tail[tx->tail_len] = '\0';
}

/* Add what is new in a check. */
void
text_add(struct texts *ts, struct text *tx, const struct check *c,
    struct check *out)
{
	size_t	 known = (size_t)c->fresh;
	int64_t	 judged = c->offset + c->fresh, from, settled;

	if (tx->tail == NULL) {		/* its first check */
		tx->tail_from = c->offset;
		known = 0;
	}
	text_append(ts, tx, c->text + known, c->len - known);
	from = judged > (int64_t)ts->window ? judged - (int64_t)ts->window : 0;
	from = from > tx->tail_from ? text_character(tx, from) :
	    tx->tail_from;
	if (from > c->offset)		/* there is more in the check */
		from = c->offset > tx->tail_from ? c->offset : tx->tail_from;
	*out = *c;
	out->text = tx->tail + (from - tx->tail_from);
	out->len = tx->tail_len - (size_t)(from - tx->tail_from);
	out->offset = from;
	out->fresh = judged - from;
	settled = c->offset + c->settled;
	if (tx->settled >= 0)		/* it is known here */
		settled = tx->settled;
	settled = settled > from ? settled - from : 0;
	out->settled = settled < out->fresh ? settled : out->fresh;
	out->shift = from - c->offset;
}

/* Cut a piece for a plugin with a band. */
void
text_cut(struct text *tx, size_t plugin, uint64_t window, int64_t end,
    struct check *out)
{
	int64_t	 from = tx->plugin[plugin].seen;

	if (from < end - FILTER_BAND_KEEP)
		from = end - FILTER_BAND_KEEP;
	from -= (int64_t)window;
	from = from > tx->tail_from ? text_character(tx, from) :
	    tx->tail_from;
	out->text = tx->tail + (from - tx->tail_from);
	out->len = (size_t)(end - from);
	out->offset = from;
	tx->cut = tx->tail + (end - tx->tail_from);
	tx->was = *tx->cut;
	*tx->cut = '\0';
}

/* Put the byte after the piece back. */
void
text_uncut(struct text *tx)
{
	*tx->cut = tx->was;
	tx->cut = NULL;
}

/* Forget what no plugin will need. */
void
text_trim(struct texts *ts, struct text *tx)
{
	int64_t	 keep = tx->tail_from + (int64_t)tx->tail_len;
	size_t	 i, drop;

	for (i = 0; i < FILTER_PLUGINS_MAX; i++) {
		if (tx->band[i] != NULL && tx->band[i]->band.at -
		    FILTER_BAND_KEEP - FILTER_BAND_STEP < keep)
			keep = tx->band[i]->band.at - FILTER_BAND_KEEP -
			    FILTER_BAND_STEP;
	}
	keep -= (int64_t)ts->window + 4;	/* bytes of a character */
	if (keep <= tx->tail_from)
		return;
	drop = (size_t)(keep - tx->tail_from);
	if (drop < tx->tail_len / 2 + 1)
		return;
	tx->tail_len -= drop;
	memmove(tx->tail, tx->tail + drop, tx->tail_len + 1);
	tx->tail_from = keep;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plugins with a band.  Whether such a plugin is called, and with which pieces,
 * must depend on the text only, and not on how it was cut.  So it gets the text
 * in steps of FILTER_BAND_STEP bytes.  At the end of each step its band is
 * compared with the findings that end there or before.  A step is taken when it
 * is settled for the plugins before, so that those findings are known.
 */
#include "host_impl.h"

#include "vocabulary.h"

/* Take the step that ends at byte "end": call the plugin, if the scores are in
 * its band. Returns as host_check does. */
static int
host_step(struct host *h, const struct check *c, struct text *tx,
    struct answer *a, int64_t end, struct fault *f)
{
	struct text_band	*b = text_band(tx, h->index);
	struct check		 piece = *c;
	double			 scores[CATEGORIES + 1], score;
	int64_t			 settled;
	int			 r;

	score = text_band_scores(tx, h->index, c->final ? TEXT_END : end,
	    scores);
	if (!(score >= h->low && score <= h->high)) {
		b->settled = end;
		return (0);
	}
	text_cut(tx, h->index, h->window, end, &piece);
	piece.settled = b->settled > piece.offset ? b->settled - piece.offset :
	    0;
	piece.shift = c->shift + piece.offset - c->offset;
	r = host_give(h, &piece, tx, a, score, scores, &settled, f);
	text_uncut(tx);
	if (piece.offset + settled > b->settled)
		b->settled = piece.offset + settled;
	return (r);
}

/* Take the steps that can be taken. */
int
host_check_band(struct host *h, const struct check *c, struct text *tx,
    struct answer *a, struct fault *f)
{
	struct text_band	*b = text_band(tx, h->index);
	int64_t			 end = c->offset + (int64_t)c->len, at;
	int64_t			 known = a->settled < 0 ? end :
				    c->offset + a->settled;
	int			 r = 0;

	if (c->final)
		return (host_step(h, c, tx, a, end, f));
	for (at = b->at; r == 0; b->at = at) {
		at += FILTER_BAND_STEP - at % FILTER_BAND_STEP;
		if (at > known)
			break;
		r = host_step(h, c, tx, a, text_character(tx, at), f);
	}
	if (a->settled > b->settled - c->offset)
		a->settled = b->settled - c->offset;
	return (r);
}

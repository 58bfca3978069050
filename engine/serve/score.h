/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scoring: how probable the model finds a given text. The text is a prompt
 * without a reply. The results are kept as JSON text, ready for the answer.
 * If only the end of the text is scored, the rows before it need no logits, and
 * may come from the prefix cache.
 */
#ifndef ENGINE_SCORE_H
#define ENGINE_SCORE_H

#include <stddef.h>

#include "growbuf.h"

enum score_logits { SCORE_NONE, SCORE_LAST, SCORE_ALL };

#define SCORE_NUMBER_BYTES 20	/* longest printed number, with its comma */

struct score {
	struct idbuf		 ids;
	enum score_logits	 want;
	size_t			 from;		/* ids[from..) are scored */
	int			 vocab;		/* V */
	struct textbuf		 logprobs;	/* "null,-1.5,...": [T - from];
						 * null is there for ids[0] */
	struct textbuf		 logits;	/* "[...],[...]": [T][V]; or
						 * "...": [V]; or empty */
	int			 bad;		/* a logit was NaN or
						 * infinity */
};

/* Begin; ids (at least one) are taken and left empty. from is below their
 * number. */
struct score	*score_new(struct idbuf *ids, size_t from,
		    enum score_logits want, int vocab);
void		 score_free(struct score *s);

/* Return the first row whose logits are needed. Row i has those after
 * ids[0..i]. */
size_t		 score_first(const struct score *s);

/* Are the logits of row i needed? */
int		 score_wants(const struct score *s, size_t i);

/* Add the logits of row i. The caller adds the rows that are needed in order,
 * each once. */
void		 score_row(struct score *s, size_t i, const float *logits);

#endif

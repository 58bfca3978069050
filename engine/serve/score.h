/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How likely a model finds a given text: a prompt that is only read.  The
 * results are kept as text, ready for the answer's line.
 */
#ifndef ENGINE_SCORE_H
#define ENGINE_SCORE_H

#include <stddef.h>

#include "growbuf.h"

enum score_logits { SCORE_NONE, SCORE_LAST, SCORE_ALL };

#define SCORE_NUMBER_BYTES 20	/* longest number printed, with its comma */

struct score {
	struct idbuf		 ids;
	enum score_logits	 want;
	int			 vocab;		/* V */
	struct textbuf		 logprobs;	/* "null,-1.5,...": [T] */
	struct textbuf		 logits;	/* "[...],[...]" or "...":
						 * [T][V] or [V], or nothing */
	int			 bad;		/* a logit was not a number */
};

/* Begin; ids (at least one) are taken and left empty. */
struct score	*score_new(struct idbuf *ids, enum score_logits want,
		    int vocab);
void		 score_free(struct score *s);

/* Are the logits of row i (behind ids[0..i]) needed? */
int		 score_wants(const struct score *s, size_t i);

/* Take the logits of row i; rows come in order, each once. */
void		 score_row(struct score *s, size_t i, const float *logits);

#endif

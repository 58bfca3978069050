/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Greedy replies of a model, by the engine's CPU backend: many at a time.
 */
#ifndef TUNE_GREEDY_H
#define TUNE_GREEDY_H

#include <stddef.h>

#include "err.h"

struct greedy_model;

/* One prompt and its reply. */
struct greedy_item {
	const char	*prompt;	/* borrowed: ends with "<bot>:" */
	char		*reply;		/* owned result, without white space at
					 * its ends */
	int		 ended;		/* the model ended it */
};

/* Open a model in a precision of the engine. Returns 0 and *out (owned), or an
 * error with *f filled. */
int	 greedy_open(const char *path, const char *precision, int threads,
	    struct greedy_model **out, struct fault *f);
void	 greedy_free(struct greedy_model *m);

/* The digest of the model's files; borrowed. */
const char *greedy_digest(const struct greedy_model *m);

/* Reply to n prompts, at most `most` tokens each. Prompts that do not fit into
 * the context get an empty reply. */
void	 greedy_run(struct greedy_model *m, struct greedy_item *item, size_t n,
	    int most);

/*
 * The sum of -log p of the tokens of n bytes of text from token `from` on, and
 * their number.
 */
double	 greedy_loss(struct greedy_model *m, const char *s, size_t n,
	    int *tokens);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What chatd-tune evaluate measures, for other commands.
 */
#ifndef TUNE_EVALUATE_H
#define TUNE_EVALUATE_H

#include "gen.h"
#include "greedy.h"

/* The right answers of a task, of *n. Returns 0, or CHAT_ENOTFOUND: there is no
 * such task. */
int	 evaluate_task(const struct gen *g, struct greedy_model *m,
	    const char *task, int items, int *right, int *n);

/*
 * The perplexity of natural dialogue of the corpus; without a corpus, of
 * generated sessions. *tokens is how many were measured.
 */
#define EVALUATE_DOCUMENTS	50	/* a useful number */
double	 evaluate_perplexity(const struct gen *g, struct greedy_model *m,
	    int documents, int *tokens);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures a model on tasks whose phrasings and fillers no training has seen,
 * and by the perplexity of dialogues.
 */
#ifndef TUNE_EVALUATE_H
#define TUNE_EVALUATE_H

#include <stddef.h>

#include "gen.h"
#include "greedy.h"

#define EVALUATE_DOCUMENTS	50	/* a useful number of them */

/* The prompts of a task and their replies. */
struct evaluate_set {
	struct greedy_item	*item;		/* owned */
	char			**want;		/* owned */
	const char		**family;	/* owned array */
	size_t			 n;
};

/* Ask so many items of a task. Returns 0 and *s, or CHAT_ENOTFOUND: there is no
 * such task. */
int	 evaluate_ask(const struct gen *g, struct greedy_model *m,
	    const char *task, int items, struct evaluate_set *s);
void	 evaluate_clear(struct evaluate_set *s);

/* Is item i answered exactly, and the answer ended? */
int	 evaluate_right(const struct evaluate_set *s, size_t i);

/* The text of the turns of doc before turn k, and the tag of a reply. Owned. */
char	*evaluate_prompt(const struct gen_doc *doc, size_t k);

/*
 * The perplexity of natural dialogue of the corpus; without a corpus, of
 * generated sessions. *tokens is how many were measured.
 */
double	 evaluate_perplexity(const struct gen *g, struct greedy_model *m,
	    int documents, int *tokens);

#endif

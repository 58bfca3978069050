/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents as tokens with weights.  Document number i of a recipe is always
 * the same, so a run can be continued from a number.
 */
#ifndef TUNE_DATA_H
#define TUNE_DATA_H

#include <stdint.h>

#include "err.h"
#include "growbuf.h"
#include "recipe.h"
#include "tokenizer.h"

struct data;
struct gen_doc;

/* One document, or the two of a preference. */
struct data_doc {
	struct idbuf	 id;
	float		*weight;	/* owned: one per id */
	size_t		 size;		/* allocated weights */
	/* RECIPE_DPO: the second half is the reply that was rejected; the first
	 * `split` tokens are the prompt and the chosen reply. RECIPE_KTO:
	 * label. */
	size_t		 split;
	int		 label;
};

/* Open the sources of a recipe. corpus (or NULL) is used for templates that
 * name none. Returns 0 and *out (owned), or an error with *f filled. */
int	 data_open(const struct recipe *r, const char *corpus,
	    struct data **out, struct fault *f);
void	 data_free(struct data *d);

/* From now on, documents are encoded with t (borrowed). */
void	 data_set_tokenizer(struct data *d, const struct tokenizer *t);

/* Document i. It has at most r->length tokens, and more than one. */
void	 data_document(struct data *d, int64_t i, struct data_doc *out);
void	 data_doc_clear(struct data_doc *doc);

/* The text of document i, to train a tokenizer with. */
void	 data_text(struct data *d, int64_t i, struct textbuf *out);

/* Append the tokens of the turns of a generated document; what follows the last
 * reply ends it, so it is learnt, too. */
void	 data_add_turns(const struct tokenizer *t, const struct recipe *r,
	    const struct gen_doc *doc, struct data_doc *out);

#endif

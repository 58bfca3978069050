/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents as tokens with weights.  Document number i of a recipe is always
 * the same, so a run can be continued from a number.
 */
#ifndef TUNE_DATA_H
#define TUNE_DATA_H

#include <jansson.h>
#include <stdint.h>

#include "err.h"
#include "gen.h"
#include "growbuf.h"
#include "recipe.h"
#include "tokenizer.h"

#define DATA_HUMAN	"<human>:"
#define DATA_BOT	"<bot>:"

struct data;

/* A row of a file: turns, or text without roles. */
struct data_row {
	struct gen_doc	 doc;
	size_t		 prompt;	/* turns of doc before the completion;
					 * 0: a dialogue or text */
	char		*other;		/* owned: the rejected reply, or NULL */
	int		 label;		/* of DATA_LABELS */
};

/* Fill *out, which is zero, from a row of a kind. Returns 1, or 0: it is not of
 * this kind. */
int	 data_row(enum recipe_kind kind, json_t *row, struct data_row *out);
void	 data_row_clear(struct data_row *row);

/* Append the rows of a file to *row (owned by the caller, also after an error)
 * and add their number to *n. Returns 0, or an error with *f filled. */
int	 data_rows(const struct recipe_source *from, struct data_row **row,
	    size_t *n, struct fault *f);

/* One document, or the two of a preference. */
struct data_doc {
	struct idbuf	 id;
	float		*weight;	/* owned: one per id */
	size_t		 size;		/* allocated weights */
	/* DPO: the second half is the reply that was rejected; the first
	 * `split` tokens are the prompt and the chosen reply. KTO: label. */
	int		 pair;		/* there are two halves */
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

/* Which documents are wanted, where an objective has both kinds. */
enum data_part { DATA_LEARNT, DATA_COMPARED };

/* Document i of a part. It has at most r->length tokens, and so has each half
 * of a preference. It may have too few to learn from. */
void	 data_document(struct data *d, int64_t i, enum data_part part,
	    struct data_doc *out);
void	 data_doc_clear(struct data_doc *doc);

/* Has a document a token to predict? Both halves of a preference must have
 * one. */
int	 data_usable(const struct data_doc *doc);

/* Has each source that is used such a document? Otherwise the search for the
 * next one would not end. Returns 0, or an error with *f filled. */
int	 data_check(struct data *d, struct fault *f);

/* The text of document i, to train a tokenizer with. */
void	 data_text(struct data *d, int64_t i, struct textbuf *out);

/* Append the tokens of the turns of a generated document; what follows the last
 * reply ends it, so it is learnt, too. */
void	 data_add_turns(const struct tokenizer *t, const struct recipe *r,
	    const struct gen_doc *doc, struct data_doc *out);

#endif

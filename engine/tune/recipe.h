/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recipe: what is trained, on what, how.  chatd-tune(1) describes the file.
 */
#ifndef TUNE_RECIPE_H
#define TUNE_RECIPE_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "model.h"

enum recipe_objective { RECIPE_LM, RECIPE_SFT, RECIPE_DPO, RECIPE_KTO,
	RECIPE_SFT_DPO, RECIPE_SFT_KTO };
enum recipe_schedule { RECIPE_CONSTANT, RECIPE_COSINE, RECIPE_LINEAR };
enum recipe_kind { DATA_TEMPLATES, DATA_DIALOGUES, DATA_TEXT,
	DATA_PREFERENCE, DATA_LABELS, DATA_KINDS };

/* Where documents come from. */
struct recipe_source {
	enum recipe_kind	 kind;
	char			*path;		/* owned */
	char			*corpus;	/* owned, or NULL */
	double			 share;		/* of the documents' tokens */
};

struct recipe {
	/* What is trained: a folder, or a new model of this configuration. */
	char			*start;		/* owned; NULL: a new model */
	struct model_config	 model;
	int			 induction;	/* begin with copying heads */
	char			*tokenizer;	/* owned: a file; NULL: of
						 * start, or trained */
	int			 documents;	/* for the tokenizer */
	struct recipe_source	*source;	/* owned */
	size_t			 sources;
	int			 objective;
	double			 beta;		/* of DPO and KTO */
	double			 desirable, undesirable; /* weights of KTO */
	double			 reply, prompt, plain;	/* weights of losses */
	int64_t			 pairs;		/* RECIPE_SFT_DPO, _KTO: tokens
						 * of a step that are compared,
						 * besides batch */
	double			 pair_weight;	/* of their loss */
	int			 pack;		/* join documents, as OIG */
	/* How. */
	int			 optimizer;
	double			 rate, embed_rate, vector_rate;
	double			 beta1, beta2, eps, decay, momentum, clip;
	int			 schedule;
	double			 fall;		/* share of steps at the end in
						 * which the rate falls to 0 */
	int64_t			 steps, warmup;
	int64_t			 restart;	/* the step at which the rate
						 * rises again; 0: none */
	int64_t			 batch;		/* tokens in a step */
	int64_t			 micro;		/* tokens in a pass */
	int64_t			 length;	/* longest document: tokens */
	int64_t			 seed;
	int64_t			 save_every;	/* steps between checkpoints */
	int			 dtype;		/* index of recipe_dtypes */
	/* LoRA; rank 0: everything is trained. */
	int			 rank;
	double			 alpha;
	unsigned		 targets;
};

/* The words of a recipe, by their number; NULL ends a list. */
extern const char *const recipe_dtypes[];	/* as safetensors has them */
extern const char *const recipe_objectives[], *const recipe_kinds[],
    *const recipe_optimizers[];

/* "a, b or c" for a message, from a list as above that is not empty. Owned. */
char	*recipe_words(const char *const *words);

/* How an objective compares replies: RECIPE_DPO, RECIPE_KTO, or -1: it does
 * not. */
int	 recipe_compares(const struct recipe *r);
/* Are documents also learnt as they are? */
int	 recipe_learns(const struct recipe *r);

/* Fill *r from a file. Returns 0, or an error with *f filled. */
int	 recipe_load(const char *path, struct recipe *r, struct fault *f);

/* For recipe_load: check the values against each other, and set those that
 * follow from others. root is the file. */
struct ynode;
int	 recipe_check(const char *path, struct recipe *r, struct ynode *root,
	    struct fault *f);

/* The preset of a name ("card"), or defaults for NULL; then as recipe_load. */
void	 recipe_defaults(struct recipe *r);
void	 recipe_clear(struct recipe *r);

/* The rate of a step, as a share of the full rate. */
double	 recipe_factor(const struct recipe *r, int64_t step);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside chatd-modtrain: what its commands train and test share.
 *
 *   recipe_        the recipe: what is learned from, and how
 *   textrows_      labelled texts
 *   corpus_        the features of all rows, as numbers
 *   learn_         logistic regression
 *   measure_       figures from scores
 *   report_        what a model does on a fold
 */
#ifndef CLASSIFIER_TRAIN_H
#define CLASSIFIER_TRAIN_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"
#include "linear.h"

#define ROW_OTHER	(1u << LINEAR_CATEGORIES)	/* other_unsafe */

/* A labelled text. */
struct row {
	char		*text;		/* owned */
	uint32_t	 len;
	uint32_t	 source;	/* index in rows.source */
	uint32_t	 labels;	/* a bit a category, or ROW_OTHER */
	int		 head;		/* HEAD_... of its kind */
	int		 test;		/* never trained on */
	int		 tune;		/* left out, to measure with */
	int		 spare;		/* of a source with more rows than are
					 * used */
	float		 weight;	/* of its source */
	uint64_t	 id;		/* hash of its id and text */
};

struct rows {
	struct row	*row;		/* owned */
	size_t		 n, size;
	char		**source;	/* owned: names */
	size_t		 sources_n;
	size_t		 no_kind;	/* rows without a known kind */
};

#define FOLD_MAX	12
enum { PART_BENIGN, PART_HARMFUL, PART_HATE, PART_INJECTION, PART_PLAIN,
	PART_OTHER, PART_N };

/* A group of sources that are left out together. */
struct fold_part {
	char	**source;		/* owned */
	size_t	  n;
};
struct recipe_fold {
	char			*name;
	int			 test;	/* measured only */
	int			 rotate; /* used for calibration */
	struct fold_part	 part[PART_N];
};

struct recipe {
	char	**source;		/* owned: with weights of their own */
	double	 *weight;
	size_t	  n;
	struct recipe_fold	 fold[FOLD_MAX];
	size_t	  folds_n;
	double	  epochs, rate, l2, min_rows, min_sources, noise, cross, power;
	double	  gates, names, name_epochs, name_l2, seed, balance, max_rows,
		  request_alarms, content_alarms;
};

int	 train_recipe_load(const char *path, struct recipe *, struct fault *);
int	 recipe_set(struct recipe *, const char *assignment, struct fault *);
void	 train_recipe_clear(struct recipe *);
double	 recipe_weight(const struct recipe *, const char *source);
const struct recipe_fold *recipe_fold(const struct recipe *, const char *);
int	 recipe_fold_has(const struct recipe_fold *, const char *source);
int	 recipe_part_has(const struct recipe_fold *, int part,
	    const char *source);

int	 textrows_load(struct rows *, const char *path, struct fault *);
void	 textrows_clear(struct rows *);
/* Give each row the weight of its source, mark what is measured only, and
 * report rows without a kind. */
void	 textrows_mark(struct rows *, const struct recipe *);

#define GROUPS_NAME	120	/* bytes of a name */
struct groups {
	uint64_t	*hash;		/* owned */
	size_t		 n;
};
int	 groups_load(struct groups *, const char *path, struct fault *);
int	 classes_load(struct groups *, const char *path, struct fault *);
void	 groups_sort(struct groups *);

/* A feature of a row: a number of the corpus, and a flag. */
#define CORPUS_NAME	0x80000000u	/* the categories use it too */
#define CORPUS_NOISE	0x1u

struct corpus_half {
	size_t		 at;		/* of corpus.feature */
	uint32_t	 n;		/* stored features */
	uint32_t	 all, names;	/* features in the text */
};
struct corpus_doc {
	uint32_t	 row;
	uint32_t	 half, halves;	/* of corpus.half */
	uint32_t	 flags;
};
struct corpus {
	struct corpus_doc	*doc;		/* owned, as all here */
	size_t			 docs_n;
	struct corpus_half	*half;
	size_t			 halves_n, halves_size;
	uint32_t		*feature;
	size_t			 n, size;
	uint64_t		*hash;		/* of each number */
	size_t			 numbers_n, numbers_size;
	uint32_t		*table;
	size_t			 table_size;
};

void	 corpus_build(struct corpus *, const struct rows *,
	    const struct recipe *, const struct features_words *);
void	 corpus_clear(struct corpus *);

/* Train a model on all rows but those of the left out sources, for which
 * left[source] is set. Without names it does not learn the categories. */
struct linear *learn_linear(const struct corpus *, const struct rows *,
	    const struct recipe *, const struct features_words *,
	    const unsigned char *left, int with_names);

/* A score and its label. */
struct point {
	double	 score;
	float	 weight;
	int	 positive;
};
double	 measure_auprc(struct point *, size_t n);
double	 measure_auc(struct point *, size_t n);
double	 measure_f1(struct point *, size_t n, double *at);
double	 measure_recall(struct point *, size_t n, double false_alarms,
	    double *at);
double	 measure_accuracy(struct point *, size_t n, double specificity,
	    double *balanced);

/* What a model says of a row. */
struct judged {
	double	 gate[LINEAR_HEADS];
	double	 category[LINEAR_HEADS][LINEAR_CATEGORIES];
};
void	 report_judge(const struct linear *, const struct row *,
	    struct judged *);

/* The figures of a fold; n counts the folds that have each. */
enum { FIGURE_5, FIGURE_8, FIGURE_INJECTION, FIGURE_INJECTION_HARD,
	FIGURE_HATE, FIGURE_BALANCED, FIGURE_MACRO, FIGURE_F1,
	FIGURE_AUPRC, FIGURE_IMPERSONATION, FIGURE_DEFAMATION, FIGURES };
struct figures {
	double	 value[FIGURES];
	int	 n[FIGURES];
};
void	 report_fold(FILE *, const struct linear *, const struct rows *,
	    const struct recipe_fold *, struct figures *);
void	 report_add(struct figures *sum, const struct figures *);
void	 report_mean(FILE *, const struct figures *sum);

/* The figures of the rows of fold "tune". Returns 0 if there are none. */
#define TUNE_FIGURES	5
int	 report_tune(FILE *, const struct linear *, const struct rows *,
	    double figures[TUNE_FIGURES]);

#endif

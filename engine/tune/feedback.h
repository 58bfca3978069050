/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From ratings to a better model: replies that were corrected are trained into
 * a model, with enough of everything else that nothing is forgotten; then the
 * gate decides whether the model is published.
 *
 *   feedback.c         the stages, one after the other
 *   feedback_preset.c  what is done how: etc/feedback.yaml
 *   feedback_read.c    exports of the store
 *   feedback_write.c   the rows to train on, and the recipe
 *   feedback_known.c   whether a model was made with the ratings already
 *   feedback_work.c    the folder of files
 *   feedback_lineage.c lineage.json, and publishing
 *   gate.c             the gate
 */
#ifndef TUNE_FEEDBACK_H
#define TUNE_FEEDBACK_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "gate.h"
#include "gen.h"
#include "greedy.h"
#include "growbuf.h"
#include "sha256.h"

enum feedback_compare { FEEDBACK_AUTO, FEEDBACK_DPO, FEEDBACK_KTO,
	FEEDBACK_NONE };

/* A preset; chatd-tune(1) describes its keys. */
struct feedback_preset {
	int64_t	 steps, visits, batch, micro, warmup;
	double	 rate, embed_rate, vector_rate, fall, clip;
	double	 replay;		/* share of the documents */
	int64_t	 own;			/* replies of the parent; -1: as many
					 * as are needed */
	int64_t	 phrasings;		/* of each message */
	double	 context;		/* share of them with turns before */
	int64_t	 compare;		/* enum feedback_compare */
	int64_t	 pairs;
	double	 beta, pair_weight;
	int64_t	 rank;			/* of adapters; 0: none */
	double	 alpha;
	int64_t	 seed;
	struct gate_options gate;
};

/* Fill *p from a file (NULL: the defaults). Returns 0, or an error with *f
 * filled. */
int	 feedback_preset(const char *path, struct feedback_preset *p,
	    struct fault *f);

/* An export. */
struct feedback_source {
	char	*path;			/* owned */
	char	 digest[SHA256_HEX];	/* of the file */
	char	 manifest[SHA256_HEX];	/* of its manifest; "": none */
	int64_t	 rows;
};

/* What is learnt from one rated reply. */
struct feedback_row {
	struct gen_doc	 before;	/* the turns before, none is learnt */
	char		*said;		/* owned: what was answered */
	char		*good, *bad;	/* owned; NULL: there is none */
};

struct feedback_data {
	struct feedback_source	*source;	/* owned, like the next */
	size_t			 sources;
	struct feedback_row	*row;
	size_t			 n, size;
	json_t			*index;		/* rows by what they say */
	size_t			 good, pairs, bad;	/* rows that have it */
};

/* Add the rows of an export. Rows with the same turns become one. Returns 0, or
 * an error with *f filled: it is not an export, or not what its manifest
 * describes. */
int	 feedback_read(const char *path, struct feedback_data *d,
	    struct fault *f);
void	 feedback_clear(struct feedback_data *d);

/* How to run. */
struct feedback_options {
	const char	*parent, *out;
	const char	*preset;	/* or NULL */
	const char	**exports;
	size_t		 n;
	const char	*templates, *corpus;	/* corpus may be NULL */
	int		 threads;
	int		 rank;		/* of adapters; -1: that of the
					 * preset */
	int		 json;		/* print events */
	int		 dry;		/* only say what there is to do */
	int		 again;		/* also if a model was made with the
					 * same ratings already */
};

/* A file of rows: JSON lines. */
struct feedback_rows {
	struct textbuf	 text;
	size_t		 n;
};

/* A run. */
struct feedback {
	const struct feedback_options *o;	/* borrowed */
	struct feedback_preset	 p;
	struct feedback_data	 data;
	struct gen		*gen;		/* owned */
	char			*work;		/* owned: the folder of files */
	char			*made;		/* owned: that of the model */
	char			*whole;		/* owned: the model to measure:
						 * with adapters, they are added
						 * to the parent's weights */
	struct feedback_rows	 said, compared, own;	/* their texts until
						 * they are written */
	char			*recipe;	/* owned: its text */
	int64_t			 steps;
	json_t			*beside;	/* owned: lineages of models
						 * beside it, by folder */
	int			 lock;		/* of the folder of files, or
						 * -1 */
	json_t			*gate;		/* owned: the gate's table */
	char			 parent_digest[128];	/* "": not known */
	double			 first, last;	/* losses; NaN: not known */
};

/* The prompt of a row, said in other words (NULL: its own): owned. */
char	*feedback_prompt(const struct feedback_row *row, const char *said);

/* Make the rows that are trained on, and the recipe. The parent is asked for
 * replies if `own` is set. Returns 0, or an error with *f filled. */
int	 feedback_prepare(struct feedback *t, int own, struct fault *f);

/* Write them into t->work. */
int	 feedback_write(struct feedback *t, struct fault *f);

/* Was the parent made with these exports? */
int	 feedback_known(const struct feedback *t);

/* Find the models beside o->out that were made with these exports. */
void	 feedback_look(struct feedback *t);

/* Was one of them made from the same parent by the same recipe? Returns 0 and
 * *name, its folder (owned; NULL: none) and *refused, or an error with *f
 * filled. */
int	 feedback_made(struct feedback *t, char **name, int *refused,
	    struct fault *f);

/* Make the folder of files, or take the one that a stopped run has left, and
 * lock it. Returns 0, or an error with *f filled: it is not a folder that only
 * we can read, or another process works there. */
int	 feedback_work_open(struct feedback *t, struct fault *f);

/* Remove what was made by another recipe than ours. Returns 1 if there was a
 * checkpoint. */
int	 feedback_work_begin(const struct feedback *t);

/* Remove the folder of files if it has no training to continue. */
void	 feedback_work_drop(const struct feedback *t);

/* Remove what a run has left that was killed after it had published o->out. */
void	 feedback_work_left(struct feedback *t);

/* Write lineage.json and gate.json into the new folder. */
int	 feedback_lineage(const struct feedback *t, struct fault *f);

/* Give the folder of the model its name: o->out, or if `refused` another one.
 * Remove the folder of files. Returns 0 and *name (owned). */
int	 feedback_publish(const struct feedback *t, int refused, char **name,
	    struct fault *f);

enum feedback_result { FEEDBACK_PUBLISHED, FEEDBACK_REFUSED,
	FEEDBACK_NOTHING };

/*
 * Run all stages. Returns 0 and *result: FEEDBACK_NOTHING means that the
 * exports have nothing to learn, or that the parent or a model beside o->out
 * was made with them. Or an error with *f filled. A run that was stopped is
 * continued if it would do the same.
 */
int	 feedback_run(const struct feedback_options *o,
	    enum feedback_result *result, struct fault *f);

#endif

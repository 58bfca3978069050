/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A training run: steps, checkpoints, and what it writes in the end.
 *
 *   train.c       the run        train_step.c  one step
 *   checkpoint.c  checkpoints    plot.c        loss.csv and loss.svg
 */
#ifndef TUNE_TRAIN_H
#define TUNE_TRAIN_H

#include <stdint.h>

#include "data.h"
#include "err.h"
#include "lora.h"
#include "net.h"
#include "optim.h"
#include "recipe.h"

struct pool;

/* One step, for the log. */
struct train_point {
	int64_t	 tokens;	/* so far */
	double	 loss;		/* mean, by weight */
	double	 norm;		/* of the gradient */
	double	 rate;		/* share of the full rate */
};

struct train {
	const struct recipe	*r;		/* borrowed */
	char			 digest[65];	/* of the recipe's text */
	int			 changed;	/* any checkpoint is welcome */
	struct pool		*pool;		/* owned, like the next */
	struct data		*data;
	struct tokenizer	*tok;
	char			*tok_text;
	size_t			 tok_len;
	struct net		*net;
	struct net		*ref;		/* of DPO and KTO; NULL: net
						 * without its adapters */
	struct net_lora		*lora;
	struct optim		*optim;
	int64_t			 step;		/* done */
	int64_t			 cursor;	/* next document */
	int64_t			 tokens;	/* seen */
	struct train_point	*point;		/* owned: [r->steps] */
	/* Of one step: */
	struct net_batch	*batch;		/* owned */
	size_t			 batches, batch_size;
	struct data_doc		 doc;
};

struct train_options {
	const char	*recipe;	/* path */
	const char	*corpus;	/* or NULL */
	const char	*out;		/* folder */
	const char	*isa;
	int		 threads;
	int		 fresh;		/* ignore a checkpoint */
	int		 changed;	/* continue one of another recipe */
	int64_t		 stop;		/* after this step; 0: at the end */
	int		 every;		/* steps between lines of progress */
};

/* Run. Returns 0, or an error with *f filled. */
int	 train_run(const struct train_options *o, struct fault *f);

/* One step; its loss and norm go into the log. */
void	 train_step(struct train *t);

/*
 * The file "checkpoint" of the folder. checkpoint_read returns 1 if it has
 * continued from one, 0 if there is none, or an error with *f filled: it is
 * damaged, or of another recipe.
 */
int	 checkpoint_write(const struct train *t, const char *out,
	    struct fault *f);
int	 checkpoint_read(struct train *t, const char *out, struct fault *f);

/* Write loss.csv and loss.svg. */
int	 plot_write(const struct train *t, const char *out, struct fault *f);

#endif

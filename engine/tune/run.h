/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A training run: steps, checkpoints, and what it writes in the end.
 *
 *   run.c             the run      run_step.c  one step
 *   run_checkpoint.c  checkpoints  run_plot.c  loss.csv and loss.svg
 */
#ifndef TUNE_RUN_H
#define TUNE_RUN_H

#include <stdint.h>

#include "data.h"
#include "err.h"
#include "net_lora.h"
#include "net.h"
#include "optim.h"
#include "recipe.h"

struct pool;

/* One step, for the log. */
struct run_point {
	int64_t	 tokens;	/* so far */
	double	 loss;		/* mean, by weight */
	double	 norm;		/* of the gradient */
	double	 rate;		/* share of the full rate */
};

struct run {
	const struct recipe	*r;		/* borrowed */
	char			 digest[65];	/* of the recipe's text */
	int			 changed;	/* any checkpoint is welcome */
	const char		*base;		/* borrowed: the digest of the
						 * model that it starts from, or
						 * NULL */
	struct mat_device	*device;	/* owned; NULL: the CPU */
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
	int64_t			 saved;		/* step of the checkpoint; 0:
						 * there is none */
	int64_t			 cursor;	/* next document */
	int64_t			 tokens;	/* seen */
	struct run_point	*point;		/* owned: [r->steps] */
	/* Of one step: */
	struct net_batch	*batch;		/* owned */
	size_t			 batches, batch_size;
	struct data_doc		 doc;
};

struct run_options {
	const char	*recipe;	/* path */
	const char	*corpus;	/* or NULL */
	const char	*out;		/* folder */
	const char	*isa;
	const char	*device;	/* as mat_device_open takes it */
	int		 threads;
	int		 fresh;		/* remove a checkpoint */
	int		 changed;	/* continue one of another recipe */
	int64_t		 stop;		/* after this step; 0: at the end */
	int		 every;		/* steps between lines of progress */
	/* Called after each step in place of these lines; NULL: not. */
	void		(*step)(void *arg, const struct run *t);
	void		*arg;		/* borrowed */
	const char	*whole;		/* with adapters, a folder that gets
					 * the model with them; or NULL */
};

/* Run. Returns 0, or an error with *f filled. */
int	 run_recipe(const struct run_options *o, struct fault *f);

/* One step; its loss and norm go into the log. */
void	 run_step(struct run *t);

/*
 * The file "checkpoint" of the folder. run_restore returns 1 if it has
 * continued from one, 0 if there is none, or an error with *f filled: it is
 * damaged, or of another recipe. run_saved: is there one? run_forget removes
 * it.
 */
int	 run_save(struct run *t, const char *out, struct fault *f);
int	 run_restore(struct run *t, const char *out, struct fault *f);
int	 run_saved(const char *out);
int	 run_forget(const char *out, struct fault *f);

/* Write loss.csv and loss.svg. */
int	 run_plot(const struct run *t, const char *out, struct fault *f);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Optimisers: AdamW with moments in fp32 or in 8 bits, and Muon, which makes
 * the steps of the layers' matrices orthogonal and leaves the other parameters
 * to AdamW.
 */
#ifndef TUNE_OPTIM_H
#define TUNE_OPTIM_H

#include <stdint.h>
#include <stdio.h>

#include "net.h"

enum optim_kind { OPTIM_ADAMW, OPTIM_ADAMW8, OPTIM_MUON, OPTIM_KINDS };

struct optim_options {
	enum optim_kind	 kind;
	double		 rate;		/* of matrices */
	double		 embed_rate;	/* of embeddings and output matrix */
	double		 vector_rate;	/* of biases and norms */
	double		 beta1, beta2, eps;	/* of AdamW */
	double		 decay;		/* of matrices in layers */
	double		 momentum;	/* of Muon */
	double		 clip;		/* largest norm of a gradient, 0: any */
};

struct optim;

/* For the parameters of n, or those of its adapters if it has some. n is
 * borrowed. Owned. */
struct optim	*optim_new(const struct optim_options *opt, struct net *n);
void		 optim_free(struct optim *o);

/*
 * One step with the gradients of n: rates are multiplied by factor. Returns the
 * norm of the gradient before it was clipped. Muon's matrices are not clipped
 * and do not count, since their steps do not depend on the gradient's size.
 */
double		 optim_step(struct optim *o, double factor);

/* Write or read the state of a checkpoint. 0, or -1 on an error of the file. */
int		 optim_write(const struct optim *o, FILE *f);
int		 optim_read(struct optim *o, FILE *f);

/* Bytes of its state. */
size_t		 optim_bytes(const struct optim *o);

#endif

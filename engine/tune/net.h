/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GPT-NeoX model in fp32 with its gradients: forward and backward over a
 * batch of documents.  net_forward computes the residual stream of all tokens,
 * net_loss the losses of the wanted tokens and the gradient at the top,
 * net_backward the gradients of all parameters.
 *
 *   net.c          parameters, buffers, the norms
 *   net_forward.c  net_forward     net_backward.c  net_backward
 *   net_attend.c   attention       net_head.c      net_loss
 *   net_lora.c     adapters
 */
#ifndef TUNE_NET_H
#define TUNE_NET_H

#include <stddef.h>
#include <stdint.h>

#include "mat.h"
#include "model.h"

struct pool;

/* A document of a batch: it attends to itself only, from position 0. */
struct net_doc {
	int	 start, len;		/* in tokens */
};

/* Tokens to learn from. */
struct net_batch {
	int32_t		*id;		/* owned: [T] */
	float		*weight;	/* owned: [T]: of the loss of predicting
					 * id[t] from what is before it; 0 for
					 * the first token of a document */
	int		 T, size;
	struct net_doc	*doc;		/* owned */
	int		 docs, doc_size;
};

void	 net_batch_clear(struct net_batch *b);

/* Append a document. */
void	 net_batch_add(struct net_batch *b, const int32_t *id,
	    const float *weight, int n);

/* A parameter. */
struct net_tensor {
	enum tensor	 part;
	int		 layer;
	int64_t		 rows, cols;	/* cols 1: a vector */
	size_t		 at, n;		/* place and number of its elements */
};

/* What the layers keep for the backward pass: [T] rows each. */
struct net_layer {
	float	*x;		/* [C]: what goes in */
	float	*mid;		/* [C]: after attention (sequential) */
	float	*mean1, *rstd1, *mean2, *rstd2;
	float	*qkv;		/* [3C]: with biases, turned */
	float	*o;		/* [C]: of attention */
	float	*lse;		/* [H]: log of the sum of exponentials */
	float	*u;		/* [F]: before bias and gelu */
};

struct net_lora;

struct net {
	struct model_config	 c;
	const struct mat_kind	*kind;
	struct pool		*pool;		/* borrowed */
	struct mat		 mat;
	struct net_tensor	*tensor;	/* owned */
	int			 tensors;
	float			*param, *grad;	/* owned: all tensors */
	size_t			 n;		/* elements in each */
	struct net_lora		*lora;		/* borrowed; NULL: none */
	int			 frozen;	/* param has no gradients */
	/* The matrices as operands, [tensor][2]: as they are, and transposed.
	 * They are packed when they are first needed. */
	void			**packed;	/* owned */
	uint8_t			*fresh;		/* owned: [tensor][2] */
	int			 chunk;		/* rows that the MLP takes at a
						 * time, so that they stay in a
						 * cache: the same with any
						 * number of threads */

	/* Buffers for `rows` tokens; owned. */
	int			 rows;
	struct net_layer	*layer;		/* [L + 1]: the last has x */
	float			*h, *g, *dg, *dh, *dx, *dqkv, *dout;
	float			*hn, *dhn, *logits;
	float			*part;		/* partial sums of gradients */
	float			*mean, *rstd;	/* of the last norm */
	int			*want;		/* rows of net_loss */
	int			 wanted;
	float			*cos, *sin;	/* [context][rotary / 2] */
	struct attend		*attend;	/* owned */
};

/*
 * A model of configuration c with room for batches of up to `rows` tokens. All
 * parameters are 0. Returns 0 and *out (owned); or CHAT_EUNSUPPORTED with *f
 * filled if the trainer can't do this configuration.
 */
struct fault;
int	 net_new(const struct model_config *c, int rows,
	    const struct mat_kind *kind, struct pool *pool, struct net **out,
	    struct fault *f);
void	 net_free(struct net *n);

/* The first element of a parameter, or of its gradient; NULL: the model does
 * not have it. layer is ignored for parts outside of the layers. */
float	*net_param(const struct net *n, enum tensor part, int layer);
float	*net_grad(const struct net *n, enum tensor part, int layer);

/* Forget the gradients. */
void	 net_zero(struct net *n);

/* The parameters have changed. */
void	 net_changed(struct net *n);

/* Run the model over the tokens of b. Ends the process if they are more than
 * n->rows, or a document is longer than the context. */
void	 net_forward(struct net *n, const struct net_batch *b);

/*
 * The losses after net_forward. For each token t of b with a weight other than
 * 0, loss[t] (if loss is not NULL) is -log p(id[t]); other elements are not
 * written. Returns the sum of weight * loss. If grad is not 0, sets the
 * gradient of grad times that sum, for net_backward.
 */
double	 net_loss(struct net *n, const struct net_batch *b, float *loss,
	    float grad);

/* Add the gradients of all parameters, after net_loss with a gradient. */
void	 net_backward(struct net *n, const struct net_batch *b);

/*
 * The id with the largest logit after token t of the last net_forward; *margin
 * is its distance to the second.
 */
int32_t	 net_best(struct net *n, int t, float *margin);

/* For the files named above. */
void	 net_norm(struct net *n, const float *x, int T, enum tensor weight,
	    int layer, float *mean, float *rstd, float *y);
void	 net_norm_back(struct net *n, const float *dy, const float *x, int T,
	    enum tensor weight, int layer, const float *mean,
	    const float *rstd, float *dx);
void	 net_column_sums(struct net *n, const float *x, int T, int cols,
	    float *sums);
const void *net_operand(struct net *n, enum tensor part, int layer,
	    int back);
void	 net_rows(struct net *n, int T, void (*fn)(void *arg, int first,
	    int end), void *arg);
void	 forward_rotary(const struct net *n, float *qkv, int pos, int back);
struct attend *attend_new(const struct net *n);
void	 attend_free(struct attend *a);
void	 attend_forward(struct net *n, const struct net_batch *b,
	    struct net_layer *l);
void	 attend_backward(struct net *n, const struct net_batch *b,
	    struct net_layer *l, const float *dout, float *dqkv);

#endif

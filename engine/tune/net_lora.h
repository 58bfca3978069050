/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adapters of low rank (LoRA): a matrix W of the layers acts as
 * W + scale B A, with A [rank][cols] and B [rows][rank].  Only A and B are
 * trained.
 */
#ifndef TUNE_NET_LORA_H
#define TUNE_NET_LORA_H

#include "net.h"

#define LORA_RANK_MAX	256

/* The matrices that can have adapters, as bits of `targets`. */
enum { LORA_QKV, LORA_ATTN, LORA_UP, LORA_DOWN, LORA_TARGETS };

/* An adapter of one matrix. */
struct lora_pair {
	float	*a, *b, *da, *db;	/* inside of net_lora's arrays */
	int	 rows, cols;
};

struct net_lora {
	int		 rank;
	float		 alpha, scale;	/* scale = alpha / rank */
	unsigned	 targets;
	struct lora_pair *pair;		/* owned: [L][LORA_TARGETS]; a NULL:
					 * none */
	float		*param, *grad;	/* owned: all pairs */
	size_t		 n;
	float		*z, *dz;	/* owned: [T][rank] */
};

/* Adapters for n; A is drawn from seed, B is 0. Owned by the caller. */
struct net_lora *lora_new(struct net *n, int rank, float alpha,
	    unsigned targets, uint64_t seed);
void	 lora_free(struct net_lora *l);

/* The name of a target as model files have it: "query_key_value", ... Static;
 * NULL: no such target. */
const char *lora_target(int i);

/* y += scale (x A^T) B^T, for the matrix `part`. */
void	 lora_forward(struct net *n, const float *x, int T,
	    enum tensor part, int layer, float *y);

/* The gradients of A and B, and dx += that of x. */
void	 lora_backward(struct net *n, const float *dy, const float *x, int T,
	    enum tensor part, int layer, float *dx);

/* The same for DOWN, whose input gelu(u + bias) is computed in n->g first:
 * from d, the gradient of DOWN's output, added to n->dg. */
void	 lora_down(struct net *n, int T, int layer, const float *u,
	    const float *bias, const float *d);

/* Add the adapters to the matrices of n. */
void	 lora_merge(struct net *n);

#endif

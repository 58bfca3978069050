/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small transformer encoder (BERT) with int8 weights: its model file, and the
 * pass from token ids to the outputs of its head.  tools/encoder/README.md
 * describes the file.  The numbers are the same with each instruction set.
 *
 * Letters: T tokens, H lanes of a token (hidden), D lanes of a head, F lanes
 * inside the feed-forward step.
 */
#ifndef ENCODER_H
#define ENCODER_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "wordpiece.h"

#define ENCODER_TOKENS		128	/* of one window, with [CLS], [SEP] */
#define ENCODER_LAYERS_MAX	12
#define ENCODER_OUTPUTS_MAX	64

struct encoder_kernels;

/* y = W x + bias for n outputs and k inputs: multiples of 16. */
struct encoder_matrix {
	const float	*bias;		/* [n] */
	const float	*scale;		/* [n]: weight = scale * w */
	const int8_t	*w;		/* [n/16][k/4][16][4] */
	int32_t		*sums;		/* [n]: of the w of a row */
	uint32_t	 n, k;
};

/* One layer.  A matrix that follows a LayerNorm takes (x - shift) * mul. */
struct encoder_layer {
	const float		*in_shift, *in_mul;	/* [H] */
	struct encoder_matrix	 qkv, out;
	const float		*norm1_gamma, *norm1_beta;
	const float		*mid_shift, *mid_mul;	/* [H] */
	struct encoder_matrix	 up, down;
	const float		*norm2_gamma, *norm2_beta;
};

/* An encoder.  Everything is in one block of memory, made by encoder_open. */
struct encoder {
	void			*block;		/* owned */
	const uint8_t		*file;		/* in block: the whole file */
	size_t			 file_size;
	char			 name[64];	/* of the model, for people */
	uint32_t		 hidden, heads, layers, positions, outputs;
	uint32_t		 ffn[ENCODER_LAYERS_MAX];
	uint32_t		 tokens;	/* most tokens of one pass */
	uint32_t		 id_cls, id_sep;
	float			 eps;		/* of LayerNorm */
	const char		*names[ENCODER_OUTPUTS_MAX];	/* in file */
	const float		*head, *head_bias;	/* [outputs][H], .. */
	const float		*head_mul, *head_shift;	/* calibration */
	const float		*word_scale;	/* [vocabulary] */
	const int8_t		*word;		/* [vocabulary][H] */
	const float		*position;	/* [positions][H] */
	const float		*norm_gamma, *norm_beta;
	struct encoder_layer	 layer[ENCODER_LAYERS_MAX];
	struct wordpiece	 words;
	const struct encoder_kernels	*kernels;
	/* Work space, in block. Rows are those of tokens. */
	float			*x, *y;		/* [T][H] */
	float			*qkv;		/* [T][3 H] */
	float			*mid;		/* [T][F] */
	uint8_t			*q8;		/* [T][H or F] */
	float			*q8_scale;	/* [T] */
	int32_t			*q8_zero;	/* [T] */
	float			*keys;		/* [D][T] */
	float			*scores;	/* [4][T] */
};

/*
 * Read the model file at path, for the instruction set isa ("auto", or a name
 * of encoder_isas). Returns 0 and *out (owned by the caller), or an error with
 * *f filled.
 */
int	 encoder_open(const char *path, const char *isa, struct encoder **out,
	    struct fault *f);

/* Release an encoder; it may be NULL. */
void	 encoder_free(struct encoder *e);

/*
 * Compute the outputs for n token ids (1 to e->tokens; the first is [CLS], and
 * each is below the size of the vocabulary). logit has room for e->outputs
 * values. Returns 0, or CHAT_EFORMAT if one of them is not finite. Allocates
 * nothing.
 */
int	 encoder_pass(struct encoder *e, const uint32_t *ids, size_t n,
	    float *logit);

/* The calibrated score of output i, 0 to 1. */
double	 encoder_score(const struct encoder *e, uint32_t i, float logit);

/* The calibrated log odds of output i. */
double	 encoder_odds(const struct encoder *e, uint32_t i, float logit);

/* The name of the instruction set in use. */
const char	*encoder_isa(const struct encoder *e);

/* Does a pass give the same numbers in plain C? Returns 0, or CHAT_EFORMAT. */
int	 encoder_agrees(struct encoder *e, const uint32_t *ids, size_t n);

/* The kernels of an instruction set, or NULL if this processor lacks it. */
const struct encoder_kernels	*encoder_kernels_find(const char *isa);

/* All names of instruction sets, fastest first, with NULL after the last. */
extern const char *const encoder_isas[];

#endif

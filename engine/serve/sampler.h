/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing the next token from logits. The choice depends only on the logits,
 * the parameters, the seed and the step. There is no state to keep, so a
 * generation can continue at any step, in any process.
 */
#ifndef ENGINE_SAMPLER_H
#define ENGINE_SAMPLER_H

#include <stdint.h>

#include "backend.h"
#include "err.h"

struct sampler_params {
	double		 temperature;	/* 0: the largest logit is taken */
	int		 top_k;		/* 0: off */
	double		 top_p;		/* 1: off */
	double		 penalty;	/* repetition penalty; 1: off */
	uint64_t	 seed;
};

struct sampler_item {
	int32_t	 id;
	double	 logit;		/* after the penalty */
	double	 weight;	/* not normalised: probability * total */
};

/* A distribution: the items that top-k and top-p keep. */
struct sampler {
	struct sampler_item	*item;	/* owned: [V]; the first `kept` are in
					 * use */
	int			 vocab;	/* V */
	int			 kept;
	double			 total;	/* sum of the kept weights */
};

struct sampler	*sampler_new(int vocab);
void		 sampler_free(struct sampler *s);

/*
 * Make the distribution from V logits, in this order: repetition penalty (the
 * logit of each id with seen[id] != 0 is divided by it if positive, else
 * multiplied; seen may be NULL), temperature, top-k, top-p (the smallest set
 * that reaches it, at least one item), softmax.
 *
 * Of equal logits the lower id counts as larger. At temperature 0 one id is
 * kept. If top-k or top-p is on, the items are ordered largest first, else by
 * id. Returns 0, or CHAT_EFORMAT if a logit is NaN or none is finite; s is then
 * unusable.
 */
int		 sampler_prepare(struct sampler *s,
		    const struct sampler_params *p, const float *logits,
		    const uint8_t *seen);

/*
 * How many of the largest logits sampler_prepare_best needs: 1 at temperature
 * 0, or top_k. 0 if these are more than max, or if top_k is off or keeps all:
 * then the sum runs over all V items in the order of their ids.
 */
int		 sampler_best(const struct sampler *s,
		    const struct sampler_params *p, int max);

/*
 * Make the same distribution from these logits, whose number is that of
 * sampler_best and whose penalty and seen are those that sampler_prepare would
 * get. The draw is the same, bit for bit; if there is one logit, its item has 0
 * as its logit. Returns 0, or CHAT_EFORMAT if they are bad.
 */
int		 sampler_prepare_best(struct sampler *s,
		    const struct sampler_params *p,
		    const struct backend_best *best);

/* Draw an id from the distribution that was prepared. seed and step (0 for the
 * first generated token) determine the random number. */
int32_t		 sampler_draw(const struct sampler *s, uint64_t seed,
		    uint64_t step);

/*
 * The random bits of a step: the first two words of Philox4x32-10 with step as
 * counter and seed as key. Source: Salmon et al. 2011, "Parallel random
 * numbers: as easy as 1, 2, 3".
 */
uint64_t	 sampler_random(uint64_t seed, uint64_t step);

/* e to the x, with the same bits on every machine; 0 far below -700. */
double		 sampler_exp(double x);

#endif

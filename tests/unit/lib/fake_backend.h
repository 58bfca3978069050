/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the scheduler: a backend without a model. Its logits are a hash
 * of the tokens that a row can see through its block table, so that a wrong
 * block, a missing position or a wrongly shared block changes them. It counts
 * rows that break the contract of backend.h.
 */
#ifndef TESTS_FAKE_BACKEND_H
#define TESTS_FAKE_BACKEND_H

#include "backend.h"

struct fake_backend {
	struct backend	 b;		/* first: the scheduler has a pointer to
					 * it */
	int		 context, vocab, blocks;
	int32_t		*cell;		/* owned: the token of each position of
					 * each block, or -1 if it was never
					 * written */
	int32_t		 poison;	/* a token after which the logits are
					 * NaN; -1: none */
	int		 fail;		/* result of the next step */
	int		 best_max;	/* of backend_info; 0 at first */
	/* Counts: */
	int		 steps, rows_max, mixed_steps;
	int		 bests;		/* rows that wanted the largest */
	int		 errors;	/* rows that broke the contract */
};

/* A backend with vocab tokens and that many cache blocks. The caller owns it
 * and releases it with ops->free. */
struct fake_backend *fake_backend_new(int context, int vocab, int blocks);

/* The token that greedy sampling generates after these n tokens. */
int32_t	fake_backend_next(const struct fake_backend *f, const int32_t *id,
	    size_t n);

#endif

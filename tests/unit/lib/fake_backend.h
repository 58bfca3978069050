/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend without a model: logits follow from a hash of the tokens that a
 * row can see through its block table, so a wrong block, a missing position
 * or a shared block changes them.
 */
#ifndef TESTS_FAKE_BACKEND_H
#define TESTS_FAKE_BACKEND_H

#include "backend.h"

struct fake_backend {
	struct backend	 b;		/* first: what the scheduler has */
	int		 context, vocab, blocks;
	int32_t		*cell;		/* owned: token of each position of
					 * each block, -1 where never set */
	int32_t		 poison;	/* a token after which logits are not
					 * numbers; -1: none */
	int		 fail;		/* what the next step returns */
	/* What it has seen. */
	int		 steps, rows_max, mixed_steps;
	int		 errors;	/* rows that broke the contract */
};

/* A backend of vocab tokens, so many cache blocks. Owned by the caller, ended
 * by ops->free. */
struct fake_backend *fake_backend_new(int context, int vocab, int blocks);

/* The token that greedy sampling makes after these n. */
int32_t	fake_backend_next(const struct fake_backend *f, const int32_t *id,
	    size_t n);

#endif

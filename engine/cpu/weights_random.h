/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random weights, drawn in the form the kernels read.
 */
#ifndef CPU_RANDOM_H
#define CPU_RANDOM_H

#include "layout.h"
#include "pool.h"

/*
 * Fill base, l->size bytes, from seed: matrices uniform with a standard
 * deviation of about 0.02, gains of norms 1, biases 0. Every precision draws
 * numbers of its own.
 */
void	 weights_random_fill(const struct layout *l, void *base, uint64_t seed,
	    struct pool *pool);

#endif

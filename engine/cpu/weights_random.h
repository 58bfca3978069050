/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random weights, drawn in the form that the kernels read.
 */
#ifndef CPU_WEIGHTS_RANDOM_H
#define CPU_WEIGHTS_RANDOM_H

#include "layout.h"
#include "pool.h"

/*
 * Fill base, l->size bytes, from seed. Matrices are uniform with a standard
 * deviation of about 0.02, gains of norms are 1, biases are 0. With the same
 * seed, each precision gives other weights.
 */
void	 weights_random_fill(const struct layout *l, void *base, uint64_t seed,
	    struct pool *pool);

#endif

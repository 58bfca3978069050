/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a variant of the kernels is chosen; kernels_find of kernels.h does it
 * with those there are.
 */
#ifndef CPU_ISA_H
#define CPU_ISA_H

#include <stddef.h>

#include "kernels.h"

/* A variant that may be chosen. */
struct isa_variant {
	const struct kernels	*kernels;
	int			(*there)(void);	/* can it run here? */
	const struct kernels	*like;	/* not NULL: what it is held against,
					 * each time it is to be used */
};

/*
 * The first of n variants, best first, that is called isa, or any for "auto",
 * that is there and, where it is held against another, gives the same bits.
 * One that does not is warned of in the log and passed over. NULL: none.
 */
const struct kernels *isa_pick(const struct isa_variant *v, size_t n,
	    const char *isa);

#endif

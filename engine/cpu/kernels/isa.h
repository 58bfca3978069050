/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a variant of the kernels is chosen.  kernels_find of kernels.h chooses
 * one of the variants in this build.
 */
#ifndef CPU_ISA_H
#define CPU_ISA_H

#include <stddef.h>

#include "kernels.h"

/* A variant that can be chosen. */
struct isa_variant {
	const struct kernels	*kernels;
	int			(*there)(void);	/* can it run here? */
	const struct kernels	*like;	/* not NULL: the self-test compares it
					 * with this one before each use */
};

/*
 * Choose the first of n variants, best first, that is named isa (or any for
 * "auto"), can run here, and passes its self-test if it has one. A variant that
 * fails its self-test is skipped, with a warning in the log. NULL: none.
 */
const struct kernels *isa_pick(const struct isa_variant *v, size_t n,
	    const char *isa);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Converts the files of a model to memory in the layout of a precision.
 */
#ifndef CPU_CONVERT_H
#define CPU_CONVERT_H

#include "layout.h"
#include "model.h"
#include "pool.h"

struct backend_options;

/*
 * Read m (not a packed file) once and put every tensor into its place at base,
 * which has l->size bytes of zeros. Call opt->progress meanwhile. The weights
 * of a random model are drawn, not read. Returns 0, or an error with *f filled,
 * also if a number is NaN or infinite, or too large for bf16 or int4.
 */
int	 convert_model(struct model *m, const struct layout *l, void *base,
	    struct pool *pool, const struct backend_options *opt,
	    struct fault *f);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the files of a model into memory laid out for a precision.
 */
#ifndef CPU_CONVERT_H
#define CPU_CONVERT_H

#include "layout.h"
#include "model.h"
#include "pool.h"

struct backend_options;

/*
 * Read m (not a packed one) once and put every tensor into its place at base,
 * l->size bytes of zeros, telling opt->progress on the way; a random model is
 * drawn instead. 0, or an error with *f filled: a number that is not finite,
 * in the file or as bf16, or is too large for int4, is one.
 */
int	 convert_model(struct model *m, const struct layout *l, void *base,
	    struct pool *pool, const struct backend_options *opt,
	    struct fault *f);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tensors of a GPT-NeoX model by part: names, and shapes that follow
 * from the configuration.
 */
#ifndef MODEL_TENSORS_H
#define MODEL_TENSORS_H

#include <stdint.h>

#include "model.h"

#define TENSOR_NAME_MAX	128

/* Write the name of a part into buf; layer is ignored for parts outside of the
 * layers. */
void	tensor_name(enum tensor t, int layer, char buf[TENSOR_NAME_MAX]);

/* Rows and columns (0: one dimension) under configuration c. */
void	tensor_shape(enum tensor t, const struct model_config *c,
	    int64_t *rows, int64_t *cols);

/* Does a model of configuration c have this part? */
int	tensor_wanted(enum tensor t, const struct model_config *c);

/* Is this a buffer of older files that is not needed? */
int	tensor_is_buffer(const char *name);

#endif

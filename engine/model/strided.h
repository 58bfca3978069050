/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors whose elements are not contiguous: PyTorch saves some views with
 * their strides, for example a transposed tensor.
 */
#ifndef MODEL_STRIDED_H
#define MODEL_STRIDED_H

#include "shards.h"

/*
 * Read rows first to first + rows - 1 of a tensor of one or two dimensions with
 * strides into out: [rows][cols] elements in order. Returns 0, or an error with
 * *f filled.
 */
int	strided_read(const struct shards *s, const struct shard_tensor *t,
	    int64_t first, int64_t rows, int64_t cols, uint8_t *out,
	    struct fault *f);

#endif

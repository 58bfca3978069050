/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a feature finds its weights: inside the classifier and its trainer.
 */
#ifndef CLASSIFIER_LINEAR_IMPL_H
#define CLASSIFIER_LINEAR_IMPL_H

#include "linear.h"

/* The fingerprint of a feature; 0 means a free place. */
static inline uint16_t
linear_print(uint64_t hash)
{
	uint16_t	 p = (uint16_t)hash;

	return (p == 0 ? 1 : p);
}

/* The bucket of a feature among n. */
static inline uint32_t
linear_bucket(uint64_t hash, uint32_t n)
{
	return ((uint32_t)(((hash >> 32) * n) >> 32));
}

#endif

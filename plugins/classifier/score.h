/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a feature finds its weights: inside the classifier and its trainer.
 */
#ifndef CLASSIFIER_SCORE_H
#define CLASSIFIER_SCORE_H

#include "model.h"

/* The fingerprint of a feature; 0 means a free place. */
static inline uint16_t
model_print(uint64_t hash)
{
	uint16_t	 p = (uint16_t)hash;

	return (p == 0 ? 1 : p);
}

/* The bucket of a feature among n. */
static inline uint32_t
model_bucket(uint64_t hash, uint32_t n)
{
	return ((uint32_t)(((hash >> 32) * n) >> 32));
}

#endif

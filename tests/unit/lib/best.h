/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The largest logits of a row, found by the plainest means: what a backend that
 * finds them is compared with.
 */
#ifndef TESTS_BEST_H
#define TESTS_BEST_H

#include "backend.h"

/* Fill the results of *best from V logits. */
void	best_find(struct backend_best *best, const float *logits, int V);

#endif

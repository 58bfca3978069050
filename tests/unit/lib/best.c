/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The largest logits of a row.
 */
#include "best.h"

#include <math.h>

/* Logit i with its penalty. */
static double
best_value(const struct backend_best *best, const float *logits, int i)
{
	if (best->seen == NULL || !best->seen[i])
		return ((double)logits[i]);
	return (logits[i] > 0 ? (double)logits[i] / best->penalty :
	    (double)logits[i] * best->penalty);
}

/* The largest id that comes after id `after` in their order, or after none if
 * that is -1. */
static int
best_next(const struct backend_best *best, const float *logits, int V,
    int after)
{
	double	 limit = after < 0 ? 0 : best_value(best, logits, after), v;
	int	 i, top = -1;

	for (i = 0; i < V; i++) {
		v = best_value(best, logits, i);
		if (after >= 0 && (v > limit || (v == limit && i <= after)))
			continue;
		if (top < 0 || v > best_value(best, logits, top))
			top = i;
	}
	return (top);
}

/* Fill the results. */
void
best_find(struct backend_best *best, const float *logits, int V)
{
	int	 i, id = -1;

	best->bad = 0;
	for (i = 0; i < V; i++)
		if (isnan(logits[i]))
			best->bad = 1;
	for (i = 0; i < best->k && !best->bad; i++) {
		id = best_next(best, logits, V, id);
		best->bad = i == 0 && !isfinite(best_value(best, logits, id));
		best->id[i] = id;
		if (best->k > 1)
			best->logit[i] = logits[id];
	}
}

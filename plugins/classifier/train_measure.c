/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures from scores and labels.  Each function orders the points.
 */
#include "train.h"

#include <stdlib.h>

/* Order points from high to low; equal scores stay together. */
static int
measure_compare(const void *va, const void *vb)
{
	const struct point	*a = va, *b = vb;

	if (a->score != b->score)
		return (a->score < b->score ? 1 : -1);
	return (a->positive - b->positive);
}

/* Order, and count the positive points. */
static size_t
measure_order(struct point *p, size_t n)
{
	size_t	 i, k = 0;

	qsort(p, n, sizeof *p, measure_compare);
	for (i = 0; i < n; i++)
		k += (size_t)p[i].positive;
	return (k);
}

/* The end of a run of equal scores that begins at i; adds its positives. */
static size_t
measure_tie(const struct point *p, size_t n, size_t i, size_t *tp)
{
	double	 s = p[i].score;

	for (; i < n && p[i].score == s; i++)
		*tp += (size_t)p[i].positive;
	return (i);
}

/* Average precision. */
double
measure_auprc(struct point *p, size_t n)
{
	size_t	 all = measure_order(p, n), i, tp = 0, before;
	double	 sum = 0;

	for (i = 0; i < n;) {
		before = tp;
		i = measure_tie(p, n, i, &tp);
		sum += (double)(tp - before) * (double)tp / (double)i;
	}
	return (all > 0 ? sum / (double)all : 0);
}

/* The chance that a positive point scores above a negative one. */
double
measure_auc(struct point *p, size_t n)
{
	size_t	 all = measure_order(p, n), i, tp = 0, before, start;
	double	 sum = 0;

	for (i = 0; i < n;) {
		before = tp;
		start = i;
		i = measure_tie(p, n, i, &tp);
		sum += (double)(i - start - (tp - before)) *
		    ((double)before + (double)(tp - before) / 2);
	}
	return (all > 0 && all < n ? sum / (double)all / (double)(n - all) :
	    0.5);
}

/* The best F1, and the score at which it is reached. */
double
measure_f1(struct point *p, size_t n, double *at)
{
	size_t	 all = measure_order(p, n), i, tp = 0;
	double	 best = 0, f;

	*at = 1;
	for (i = 0; i < n;) {
		i = measure_tie(p, n, i, &tp);
		f = 2 * (double)tp / (double)(i + all);
		if (f > best) {
			best = f;
			*at = p[i - 1].score;
		}
	}
	return (best);
}

/* The share of positive points found with at most a share of false alarms. */
double
measure_recall(struct point *p, size_t n, double false_alarms, double *at)
{
	size_t	 all = measure_order(p, n), i, tp = 0, best = 0;

	*at = 1;
	for (i = 0; i < n;) {
		i = measure_tie(p, n, i, &tp);
		if ((double)(i - tp) > false_alarms * (double)(n - all))
			break;
		best = tp;
		*at = p[i - 1].score;
	}
	return (all > 0 ? (double)best / (double)all : 0);
}

/* The best share of right answers with at least a share of right negatives;
 * *balanced is the best mean of both shares. */
double
measure_accuracy(struct point *p, size_t n, double specificity,
    double *balanced)
{
	size_t	 all = measure_order(p, n), i, tp = 0;
	double	 fp, best = n > 0 ? (double)(n - all) / (double)n : 0, r, b;

	*balanced = 0.5;
	for (i = 0; i < n;) {
		i = measure_tie(p, n, i, &tp);
		fp = (double)(i - tp);
		if (fp > (1 - specificity) * (double)(n - all))
			break;
		r = ((double)tp + (double)(n - all) - fp) / (double)n;
		b = all > 0 && all < n ? ((double)tp / (double)all + 1 -
		    fp / (double)(n - all)) / 2 : 0.5;
		best = r > best ? r : best;
		*balanced = b > *balanced ? b : *balanced;
	}
	return (best);
}

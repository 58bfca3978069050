/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A curve of numbers, as text: in one line of blocks, or as a plot of ASCII.
 */
#include "curve.h"

#include <math.h>
#include <stdlib.h>

#include "xmalloc.h"

#define CURVE_ROWS	8	/* of the plot */

/* Add a number. */
void
curve_add(struct curve *c, double v)
{
	if (!isfinite(v))
		return;
	if (c->n == c->size) {
		c->size = 2 * c->size + 64;
		c->v = xreallocarray(c->v, c->size, sizeof *c->v);
	}
	c->v[c->n++] = v;
}

/* Release them. */
void
curve_clear(struct curve *c)
{
	free(c->v);
	c->v = NULL;
	c->n = c->size = 0;
}

/* The mean of column k of `columns`. */
static double
curve_mean(const struct curve *c, int k, int columns)
{
	size_t	 from = c->n * (size_t)k / (size_t)columns, i;
	size_t	 to = c->n * (size_t)(k + 1) / (size_t)columns;
	double	 sum = 0;

	for (i = from; i < to; i++)
		sum += c->v[i];
	return (sum / (double)(to - from));
}

/* The level of a column, from 0 to levels - 1; *low and *high are the limits of
 * the columns. */
static int
curve_level(const struct curve *c, int k, int columns, int levels,
    double *low, double *high)
{
	double	 v, x;
	int	 i;

	*low = *high = curve_mean(c, 0, columns);
	for (i = 1; i < columns; i++) {
		v = curve_mean(c, i, columns);
		*low = v < *low ? v : *low;
		*high = v > *high ? v : *high;
	}
	x = *high > *low ? (curve_mean(c, k, columns) - *low) /
	    (*high - *low) : 0;
	return ((int)(x * (levels - 1) + 0.5));
}

/* One line. */
void
curve_line(const struct curve *c, int columns, FILE *out)
{
	static const char *const blocks[] = { "\u2581", "\u2582", "\u2583",
		"\u2584", "\u2585", "\u2586", "\u2587", "\u2588" };
	double	 low, high;
	int	 k;

	if (c->n < (size_t)columns)
		columns = (int)c->n;
	for (k = 0; k < columns; k++)
		fputs(blocks[curve_level(c, k, columns, 8, &low, &high)],
		    out);
}

/* A plot. */
void
curve_plot(const struct curve *c, int columns, FILE *out)
{
	double	 low = 0, high = 0;
	int	 k, row;

	if (c->n < (size_t)columns)
		columns = (int)c->n;
	for (row = CURVE_ROWS - 1; columns > 0 && row >= 0; row--) {
		(void)curve_level(c, 0, columns, CURVE_ROWS, &low, &high);
		fprintf(out, "%8.3f |", low + (high - low) * row /
		    (CURVE_ROWS - 1));
		for (k = 0; k < columns; k++)
			fputc(curve_level(c, k, columns, CURVE_ROWS, &low,
			    &high) == row ? '*' : ' ', out);
		fputc('\n', out);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A curve of numbers, as text.
 */
#ifndef CLIENT_CURVE_H
#define CLIENT_CURVE_H

#include <stddef.h>
#include <stdio.h>

/* The caller sets it to zeros before first use. */
struct curve {
	double	*v;			/* owned */
	size_t	 n, size;
};

/* Add a number; what is not finite is left out. */
void	curve_add(struct curve *c, double v);
void	curve_clear(struct curve *c);

/* Print the curve in one line of at most `columns` characters, without a
 * newline. */
void	curve_line(const struct curve *c, int columns, FILE *out);

#define CURVE_MARGIN	10	/* columns of the numbers of a plot */

/* Print it as a plot in ASCII of at most `columns` characters, after numbers of
 * CURVE_MARGIN characters. */
void	curve_plot(const struct curve *c, int columns, FILE *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A markdown table, shown with aligned columns.
 */
#ifndef CLIENT_TABLE_H
#define CLIENT_TABLE_H

#include <stddef.h>
#include <stdio.h>

struct table;

struct table	*table_new(void);
void		 table_free(struct table *t);
void		 table_clear(struct table *t);

/* Add a row: the line s[n] without its newline, which begins with '|'. */
void		 table_add(struct table *t, const char *s, size_t n);
size_t		 table_rows(const struct table *t);

/* The last row did not end in a newline. */
void		 table_open(struct table *t);

/*
 * Print the rows. They are aligned if the second row is a line of dashes and
 * the columns fit into width (0: any width); else they are printed as they
 * came. Colons in the line of dashes say how a column is aligned. With colour,
 * the first row is bold, and so is **bold** text.
 */
void		 table_print(const struct table *t, FILE *out, int width,
		    int colour);

#endif

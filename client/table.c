/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Markdown tables.
 */
#include "table.h"

#include <stdlib.h>
#include <string.h>

#include "render.h"
#include "xmalloc.h"

#define TABLE_COLUMNS	64	/* tables with more are not aligned */

/* A cell: a part of its row, without the spaces around it. */
struct cell {
	const char	*s;		/* borrowed */
	size_t		 n;
};

struct table {
	char	**row;			/* owned: nrows lines */
	size_t	 nrows;
	int	 open;			/* the last has no newline */
};

/* How a column is shown. */
struct column {
	int	 width;
	int	 left, right;		/* spaces go to the left, right */
};

/* Make an empty table. */
struct table *
table_new(void)
{
	return (xcalloc(1, sizeof(struct table)));
}

/* Remove all rows. */
void
table_clear(struct table *t)
{
	while (t->nrows > 0)
		free(t->row[--t->nrows]);
	t->open = 0;
}

/* Release it. */
void
table_free(struct table *t)
{
	if (t == NULL)
		return;
	table_clear(t);
	free(t->row);
	free(t);
}

/* Add a row. */
void
table_add(struct table *t, const char *s, size_t n)
{
	t->row = xreallocarray(t->row, t->nrows + 1, sizeof *t->row);
	t->row[t->nrows++] = xstrndup(s, n);
}

/* Count the rows. */
size_t
table_rows(const struct table *t)
{
	return (t->nrows);
}

/* The last row is not complete. */
void
table_open(struct table *t)
{
	t->open = 1;
}

/* Split a row at each '|' that has no backslash before it and is not in `code`.
 * Returns the number of cells, or 0 if there are more than TABLE_COLUMNS. */
static size_t
table_split(const char *s, struct cell cell[TABLE_COLUMNS])
{
	size_t	 n = 0, len;
	int	 code;

	for (s++; *s != '\0'; s += len + (s[len] == '|')) {
		code = 0;
		for (len = 0; s[len] != '\0' && (s[len] != '|' || code);
		    len++) {
			if (s[len] == '\\' && s[len + 1] != '\0')
				len++;
			else if (s[len] == '`')
				code = !code;
		}
		if (s[len] == '\0' && strspn(s, " \t") == len)
			break;		/* after the last '|' */
		if (n == TABLE_COLUMNS)
			return (0);
		cell[n].s = s + strspn(s, " \t");
		if (cell[n].s > s + len)
			cell[n].s = s + len;
		cell[n].n = (size_t)(s + len - cell[n].s);
		while (cell[n].n > 0 &&
		    strchr(" \t", cell[n].s[cell[n].n - 1]) != NULL)
			cell[n].n--;
		n++;
	}
	return (n);
}

/* Print a cell, without the marks of bold text if there are colours. Returns
 * its columns; out may be NULL. */
static int
table_cell(const struct cell *c, FILE *out, int colour, int head)
{
	struct render	 r;
	size_t		 i, from = 0;
	int		 width = 0, bold = 0;

	render_init(&r, out, colour ? RENDER_LINE | RENDER_MARK : RENDER_LINE);
	for (i = 0; i <= c->n; i++) {
		if (i < c->n && (!colour || i + 1 >= c->n || c->s[i] != '*' ||
		    c->s[i + 1] != '*'))
			continue;
		width += render_width(c->s + from, i - from);
		if (out != NULL)
			render_text(&r, c->s + from, i - from);
		if (i == c->n)
			break;
		bold = !bold;
		if (out != NULL && !head)
			fputs(bold ? "\033[1m" : "\033[22m", out);
		i++;
		from = i + 1;
	}
	if (out != NULL)
		render_end(&r);
	if (out != NULL && bold && !head)
		fputs("\033[22m", out);
	return (width);
}

/* Is a row the line of dashes? */
static int
table_is_line(const struct cell *cell, size_t n)
{
	size_t	 i, k, dashes;

	for (i = 0; i < n; i++) {
		for (k = dashes = 0; k < cell[i].n; k++) {
			if (cell[i].s[k] == '-')
				dashes++;
			else if (cell[i].s[k] != ':' ||
			    (k != 0 && k + 1 != cell[i].n))
				return (0);
		}
		if (dashes == 0)
			return (0);
	}
	return (n > 0);
}

/* Find the widths and alignment of the columns. Returns their number, or 0 if
 * the table can't be aligned. */
static size_t
table_measure(const struct table *t, struct column col[TABLE_COLUMNS],
    int width, int colour)
{
	struct cell	 cell[TABLE_COLUMNS];
	size_t		 i, k, n, ncols = 0;
	int		 w, all = 1;

	memset(col, 0, TABLE_COLUMNS * sizeof *col);
	for (i = 0; i < t->nrows; i++) {
		n = table_split(t->row[i], cell);
		if (n == 0 || (i == 1 && !table_is_line(cell, n)))
			return (0);
		for (k = 0; i == 1 && k < n; k++) {
			col[k].right = cell[k].s[0] == ':';
			col[k].left = cell[k].s[cell[k].n - 1] == ':';
		}
		for (k = 0; i != 1 && k < n; k++) {
			w = table_cell(&cell[k], NULL, colour, 0);
			if (w > col[k].width)
				col[k].width = w;
		}
		if (n > ncols)
			ncols = n;
	}
	for (k = 0; k < ncols; k++) {
		if (col[k].width < 3)
			col[k].width = 3;
		all += col[k].width + 3;
	}
	return (t->nrows < 2 || (width > 0 && all > width) ? 0 : ncols);
}

/* Print the line of dashes. */
static void
table_line(const struct column *col, size_t n, FILE *out)
{
	size_t	 k;
	int	 i;

	for (k = 0; k < n; k++) {
		fputs(col[k].right ? "|:" : "|-", out);
		for (i = 0; i < col[k].width; i++)
			fputc('-', out);
		fputc(col[k].left ? ':' : '-', out);
	}
	fputc('|', out);
}

/* Print a row. */
static void
table_row(const char *row, const struct column *col, size_t ncols, FILE *out,
    int colour, int head)
{
	struct cell	 cell[TABLE_COLUMNS], none = { "", 0 };
	const struct cell *c;
	size_t		 k, n = table_split(row, cell);
	int		 pad, before;

	for (k = 0; k < ncols; k++) {
		c = k < n ? &cell[k] : &none;
		pad = col[k].width - table_cell(c, NULL, colour, head);
		before = !col[k].left ? 0 : col[k].right ? pad / 2 : pad;
		fprintf(out, "| %s%*s", head && colour ? "\033[1m" : "",
		    before, "");
		table_cell(c, out, colour, head);
		fprintf(out, "%s%*s", head && colour ? "\033[22m" : "",
		    pad - before + 1, "");
	}
	fputc('|', out);
}

/* Print the table. */
void
table_print(const struct table *t, FILE *out, int width, int colour)
{
	struct column	 col[TABLE_COLUMNS];
	struct render	 r;
	size_t		 i, n = table_measure(t, col, width, colour);

	for (i = 0; i < t->nrows; i++) {
		if (n == 0) {
			render_init(&r, out, colour ? RENDER_MARK : 0);
			render_text(&r, t->row[i], strlen(t->row[i]));
			render_end(&r);
		} else if (i == 1)
			table_line(col, n, out);
		else
			table_row(t->row[i], col, n, out, colour, i == 0);
		if (i + 1 < t->nrows || !t->open)
			fputc('\n', out);
	}
}

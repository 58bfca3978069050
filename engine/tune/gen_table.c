/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A task that has a right answer: the table of what a text lists ("table"
 * sections).
 */
#include "gen.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define TABLE_COLUMNS	6
#define TABLE_ROWS	6
#define TABLE_TRIES	20		/* to find a first cell that is new */

/* The columns that a row's template mentions, as bits: {$1} is bit 0. */
static unsigned
table_columns(const char *row)
{
	unsigned	 set = 0;

	for (; (row = strstr(row, "$")) != NULL; row++)
		if (row[1] >= '1' && row[1] <= '0' + TABLE_COLUMNS)
			set |= 1U << (row[1] - '1');
	return (set);
}

/* Another template of a row with the same columns. */
static const char *
table_row(struct gen_ctx *c, const struct gen_section *s, unsigned set)
{
	const struct gen_entry	*e;

	do
		e = gen_pick(c, s, -1, "row");
	while (table_columns(e->text) != set);
	return (e->text);
}

/* Column k of a table: "TITLE | TITLE = TEMPLATE". */
static const char *
table_column(const struct gen_section *s, int k)
{
	size_t	 i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->e[i].key, "col") == 0 && k-- == 0)
			return (s->e[i].text);
	return (NULL);
}

/* The title of column k: the first one, or one of them if any is set. Owned. */
static char *
table_title(struct gen_ctx *c, const struct gen_section *s, int k, int any)
{
	char	*all = gen_half(c, table_column(s, k), 0), *one, *from, *to;
	size_t	 n = 1, want;

	for (from = all; (from = strstr(from, " | ")) != NULL; from += 3)
		n++;
	want = any ? gen_below(c, n) : 0;
	for (from = all; want > 0; want--)
		from = strstr(from, " | ") + 3;
	to = strstr(from, " | ");
	one = xstrndup(from, to != NULL ? (size_t)(to - from) : strlen(from));
	free(all);
	return (one);
}

/* Remember the names of the columns: {$columns} is "A, B and C", {$numbered}
 * "(1) A, (2) B, (3) C", {$count} "three". */
static void
table_names(struct gen_ctx *c, char *const *title, int n)
{
	static const char *const counts[] = { "no", "one", "two", "three",
		"four", "five", "six" };
	struct textbuf	 b = { 0 };
	char		*s;
	int		 i, lower = !c->test && gen_chance(c, 0.3);

	for (i = 0; i < n; i++) {
		textbuf_puts(&b, i == 0 ? "" : i == n - 1 ? " and " : ", ");
		textbuf_puts(&b, title[i]);
	}
	s = gen_ended(&b);
	for (i = 0; lower && s[i] != '\0'; i++)
		s[i] = (char)tolower((unsigned char)s[i]);
	gen_bind(c, "columns", s);
	b.n = 0;
	for (i = 0; i < n; i++)
		gen_append(&b, xasprintf("%s(%d) %s", i == 0 ? "" : ", ", i + 1,
		    title[i]));
	gen_bind(c, "numbered", gen_ended(&b));
	textbuf_clear(&b);
	gen_bind(c, "count", counts[n]);
}

/* A line of a table. */
static void
table_line(struct textbuf *b, char *const *cell, int n, const char *fixed)
{
	int	 i;

	textbuf_puts(b, b->n > 0 ? "\n|" : "|");
	for (i = 0; i < n; i++) {
		textbuf_puts(b, " ");
		textbuf_puts(b, fixed != NULL ? fixed : cell[i]);
		textbuf_puts(b, " |");
	}
}

/* The cell of column k in row r (owned), and its words in the text. A template
 * is "CELL", or "CELL => WORDS"; {$row} is the row's number, {$nth} the same as
 * a word. */
static char *
table_cell(struct gen_ctx *c, const struct gen_section *s, int k, int r)
{
	static const char *const nth[] = { "first", "second", "third",
		"fourth", "fifth", "sixth", "seventh" };
	char	*cell, *words, name[16];

	snprintf(name, sizeof name, "%d", r + 1);
	gen_bind(c, "row", name);
	gen_bind(c, "nth", nth[r]);
	cell = gen_half(c, table_column(s, k), 1);
	words = strstr(cell, " => ");
	snprintf(name, sizeof name, "%d", k + 1);
	gen_bind(c, name, words == NULL ? cell : words + 4);
	if (words != NULL)
		*words = '\0';
	return (cell);
}

/* The cells of row r, before which the table has the rows of first: the first
 * cells of all rows differ, if there are enough different ones. */
static int
table_cells(struct gen_ctx *c, const struct gen_section *s, unsigned set,
    int r, char *const *first, char **cell)
{
	int	 k, n, i, tries;

	for (k = n = 0; table_column(s, k) != NULL; k++) {
		if ((set >> k & 1) == 0)
			continue;
		for (tries = 0; tries < TABLE_TRIES; tries++) {
			cell[n] = table_cell(c, s, k, r);
			for (i = 0; n == 0 && i < r; i++)
				if (strcmp(first[i], cell[n]) == 0)
					break;
			if (n > 0 || i == r || tries == TABLE_TRIES - 1)
				break;
			free(cell[n]);
		}
		n++;
	}
	return (n);
}

/* May the cells of these columns stand in any order and words? Not if one has
 * words of its own in the text. */
static int
table_free(const struct gen_section *s, unsigned set)
{
	int	 k;

	for (k = 0; table_column(s, k) != NULL; k++)
		if ((set >> k & 1) && strstr(table_column(s, k), " => "))
			return (0);
	return (1);
}

/* A template of a row that is not in the file: each cell with its title, in
 * any order. So are many notes, and a row is then understood from its cells
 * instead of from a sentence that was seen before. Owned. */
static char *
table_note(struct gen_ctx *c, unsigned set, char *const *title)
{
	static const char *const forms[] = { "%s: {$%d}", "%s {$%d}",
		"%s = {$%d}", "%s is {$%d}", "the %s is {$%d}", "%s - {$%d}",
		"with %s {$%d}" };
	static const char *const joins[] = { ", ", ", ", "; ", " and ", " / ",
		" | " };
	const char	*form = forms[gen_below(c, nitems(forms))];
	const char	*join = joins[gen_below(c, nitems(joins))];
	struct textbuf	 b = { 0 };
	char		*name;
	int		 order[TABLE_COLUMNS], col[TABLE_COLUMNS];
	int		 i, j, k, n = 0, lower = gen_chance(c, 0.5);

	for (k = 0; k < TABLE_COLUMNS; k++)
		if (set >> k & 1) {
			col[n] = k + 1;
			order[n] = n;
			n++;
		}
	for (i = gen_chance(c, 0.5) ? n - 1 : 0; i > 0; i--) {
		j = (int)gen_below(c, (size_t)i + 1);
		k = order[i];
		order[i] = order[j];
		order[j] = k;
	}
	for (i = 0; i < n; i++) {
		textbuf_puts(&b, i > 0 ? join : "");
		k = order[i];
		if (i == 0 && k == 0 && gen_chance(c, 0.5)) {
			gen_append(&b, xasprintf("{$%d}", col[k]));
			continue;
		}
		name = xstrdup(title[k]);
		for (j = 0; lower && name[j] != '\0'; j++)
			name[j] = (char)tolower((unsigned char)name[j]);
		/* The form is one of the constants above. */
		gen_append(&b, xasprintf(form, name, col[k]));
		free(name);
	}
	return (gen_ended(&b));
}

/* How the rows of a text are put next to each other. */
struct table_style {
	const char	*between;
	const char	*one;		/* the template of all rows, or NULL */
	char		*note;		/* owned: it, if it is made; or NULL */
	int		 bare;		/* rows lose their full stop */
};

/* Choose a style; tests have no made rows, and whole sentences. */
static void
table_style(struct gen_ctx *c, const struct gen_section *s, unsigned set,
    char *const *title, struct table_style *y)
{
	static const char *const betweens[] = { " ", " ", "\n", "\n- ",
		"\n\n" };
	static const char *const bares[] = { ", ", "; ", ", and ", "\n",
		"\n* ", " and " };

	memset(y, 0, sizeof *y);
	y->between = betweens[gen_below(c, nitems(betweens))];
	y->one = gen_chance(c, 0.5) ? table_row(c, s, set) : NULL;
	if (c->test) {
		y->one = NULL;
		return;
	}
	if (table_free(s, set) && gen_chance(c, 0.2))
		y->one = y->note = table_note(c, set, title);
	if ((y->bare = gen_chance(c, 0.25)) != 0)
		y->between = bares[gen_below(c, nitems(bares))];
}

/* The rows of a table: text and answer. */
static void
table_rows(struct gen_ctx *c, const struct gen_section *s, unsigned set,
    char *const *title, int rows, struct textbuf *text, struct textbuf *table)
{
	struct table_style	 y;
	char			*cell[TABLE_COLUMNS], *first[TABLE_ROWS], *row;
	int			 r, n;

	table_style(c, s, set, title, &y);
	for (r = 0; r < rows; r++) {
		n = table_cells(c, s, set, r, first, cell);
		textbuf_puts(text, r == 0 && y.between[0] != '\n' ? " " :
		    y.between);
		row = gen_fill(c, y.one != NULL ? y.one : table_row(c, s, set));
		if (y.bare && r < rows - 1 && row[0] != '\0' &&
		    row[strlen(row) - 1] == '.')
			row[strlen(row) - 1] = '\0';
		gen_append(text, row);
		table_line(table, cell, n, NULL);
		while (n > 1)
			free(cell[--n]);
		first[r] = cell[0];
	}
	while (rows > 0)
		free(first[--rows]);
	free(y.note);
}

/* Does each row have columns, and are they there? */
int
gen_table_check(const struct gen_section *s, struct fault *f)
{
	unsigned	 set;
	size_t		 i;
	int		 k;

	for (i = 0; i < s->n; i++) {
		if (strcmp(s->e[i].key, "row") != 0)
			continue;
		set = table_columns(s->e[i].text);
		if (set == 0)
			return (fault_set(f, "bad_config", NULL, "%s: a row "
			    "without a column: \"%s\"", s->where,
			    s->e[i].text));
		for (k = 0; k < TABLE_COLUMNS; k++)
			if ((set >> k & 1) && table_column(s, k) == NULL)
				return (fault_set(f, "bad_config", NULL,
				    "%s: there is no column {$%d}: \"%s\"",
				    s->where, k + 1, s->e[i].text));
	}
	return (0);
}

/* A text with options, and a table of them. */
int
gen_table(struct gen_ctx *c, const char **family)
{
	const struct gen_section *s = gen_kind(c, "table");
	const char		 *form = gen_choice(c, "table-form");
	const struct gen_entry	 *e;
	struct textbuf	 text = { 0 }, table = { 0 };
	char		*title[TABLE_COLUMNS], *said;
	unsigned	 set;
	int		 k, n = 0, named;

	if (s == NULL || form == NULL)
		return (CHAT_ENOTFOUND);
	named = strstr(form, "{$columns}") != NULL ||
	    strstr(form, "{$numbered}") != NULL;
	*family = s->name;
	set = table_columns(gen_pick(c, s, -1, "row")->text);
	for (k = 0; table_column(s, k) != NULL; k++)
		if (set >> k & 1)
			title[n++] = table_title(c, s, k, named);
	table_names(c, title, n);
	said = gen_fill(c, gen_pick(c, s, -1, "things")->text);
	gen_bind(c, "things", said);
	free(said);
	if ((e = gen_pick(c, s, -1, "head")) != NULL)
		gen_append(&text, gen_fill(c, e->text));
	table_line(&table, title, n, NULL);
	table_line(&table, title, n, "---");
	table_rows(c, s, set, title, 2 + (int)gen_below(c, TABLE_ROWS - 1),
	    &text, &table);
	if ((e = gen_pick(c, s, -1, "tail")) != NULL && gen_chance(c, 0.6)) {
		textbuf_puts(&text, " ");
		gen_append(&text, gen_fill(c, e->text));
	}
	said = gen_ended(&text);
	gen_bind(c, "text", said + strspn(said, " \n"));
	free(said);
	gen_say(c->doc, GEN_SAID, gen_fill(c, form));
	gen_say(c->doc, GEN_REPLY, gen_ended(&table));
	while (n > 0)
		free(title[--n]);
	return (0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breaking lines between words, and markdown.  table.c prints tables.
 */
#include "flow.h"

#include <stdlib.h>
#include <string.h>

#include "chatctl.h"
#include "growbuf.h"
#include "table.h"
#include "utf8.h"
#include "xmalloc.h"

#define FLOW_NARROW	20	/* narrower terminals are not wrapped */

/* What the line is. */
enum flow_line {
	FLOW_START,		/* not known: its first word is not complete */
	FLOW_TEXT,
	FLOW_HEADING,
	FLOW_CODE,		/* in a code block, or its first or last line */
	FLOW_ROW		/* a row of a table */
};

struct flow {
	FILE		*out;		/* borrowed */
	int		 columns;	/* 0: those of the terminal */
	int		 colour;
	char		 held[4];	/* an unfinished character */
	size_t		 nheld;
	struct textbuf	 word;		/* owned: not printed yet */
	int		 spaces;	/* before the word */
	enum flow_line	 line;
	int		 column;	/* of the cursor */
	int		 indent;	/* of further lines of the paragraph */
	int		 fenced;	/* inside a code block */
	int		 bold, code;	/* inside **...** or `...` */
	struct table	*table;		/* owned: the rows so far */
};

/* Begin. */
struct flow *
flow_new(FILE *out, int columns, int colour)
{
	struct flow	*f = xcalloc(1, sizeof *f);

	f->out = out;
	f->columns = columns;
	f->colour = colour;
	f->table = table_new();
	return (f);
}

/* Release. */
void
flow_free(struct flow *f)
{
	if (f == NULL)
		return;
	textbuf_clear(&f->word);
	table_free(f->table);
	free(f);
}

/* Return the width of a line, or 0: do not break lines. */
static int
flow_width(const struct flow *f)
{
	int	 rows, columns = f->columns;

	if (columns == 0)
		term_size(&rows, &columns);
	return (columns < FLOW_NARROW ? 0 : columns);
}

/* Print n bytes of text, of which escapes were not made yet. */
static void
flow_print(struct flow *f, const char *s, size_t n)
{
	struct render	 r;

	render_init(&r, f->out, f->colour ? RENDER_MARK : 0);
	render_text(&r, s, n);
	render_end(&r);
	f->column += render_width(s, n);
}

/* Begin the next line of a paragraph. */
static void
flow_wrap(struct flow *f)
{
	fputc('\n', f->out);
	fprintf(f->out, "%*s", f->indent, "");
	f->column = f->indent;
	f->spaces = 0;
}

/* Print a piece of a word, in several lines if it is wider than one. */
static void
flow_piece(struct flow *f, const char *s, size_t n, int width)
{
	size_t	 i, len;

	if (width == 0 || f->column + render_width(s, n) <= width) {
		flow_print(f, s, n);
		return;
	}
	for (i = 0; i < n; i += len) {
		len = render_next(s + i, n - i);
		if (f->column + render_width(s + i, len) > width)
			flow_wrap(f);
		flow_print(f, s + i, len);
	}
}

/* Switch bold on or off. */
static void
flow_bold(struct flow *f, int on)
{
	if (f->bold != on && f->colour)
		fputs(on ? "\033[1m" : "\033[22m", f->out);
	f->bold = on;
}

/* Is there a mark "**" at s[i] that begins or ends bold text? It begins before
 * something, and ends after something. In a heading, all is bold. */
static int
flow_mark(const struct flow *f, const char *s, size_t n, size_t i)
{
	if (!f->colour || f->code || i + 2 > n || s[i] != '*' ||
	    s[i + 1] != '*')
		return (0);
	if (f->line == FLOW_HEADING)
		return (1);
	return (f->bold ? i > 0 : i + 2 < n && s[i + 2] != '*');
}

/* Return the columns that a word takes without its marks. */
static int
flow_word_width(const struct flow *f)
{
	const char	*s = f->word.s;
	struct flow	 look = *f;
	size_t		 i, from = 0, n = f->word.n;
	int		 width = 0;

	for (i = 0; i < n; i++) {
		if (s[i] == '`')
			look.code = !look.code;
		if (!flow_mark(&look, s, n, i))
			continue;
		width += render_width(s + from, i - from);
		look.bold = !look.bold;
		from = i + 2;
		i++;
	}
	return (width + render_width(s + from, n - from));
}

/* Print the word that is held, on a new line if it does not fit. */
static void
flow_word(struct flow *f)
{
	const char	*s = f->word.s;
	size_t		 i, from = 0, n = f->word.n;
	int		 width = flow_width(f);

	if (n == 0)
		return;
	if (width > 0 && f->column > f->indent &&
	    f->column + f->spaces + flow_word_width(f) > width)
		flow_wrap(f);
	fprintf(f->out, "%*s", f->spaces, "");
	f->column += f->spaces;
	f->spaces = 0;
	for (i = 0; i < n; i++) {
		if (s[i] == '`')
			f->code = !f->code;
		if (!flow_mark(f, s, n, i))
			continue;
		flow_piece(f, s + from, i - from, width);
		flow_bold(f, f->line == FLOW_HEADING || !f->bold);
		from = i + 2;
		i++;
	}
	flow_piece(f, s + from, n - from, width);
	f->word.n = 0;
}

/* Is the word held a mark of a list: "-", "*", "+", "12." or "12)"? */
static int
flow_is_bullet(const struct flow *f)
{
	const char	*s = f->word.s;
	size_t		 n = f->word.n, digits = 0;

	if (n == 1)
		return (strchr("-*+>", s[0]) != NULL);
	while (digits < n && s[digits] >= '0' && s[digits] <= '9')
		digits++;
	return (digits > 0 && digits < 4 && digits + 1 == n &&
	    strchr(".)", s[digits]) != NULL);
}

/* The first word of a line is complete, and is followed by end: decide what the
 * line is. */
static void
flow_decide(struct flow *f, char end)
{
	const char	*s = f->word.s;
	size_t		 n = f->word.n, hashes = 0;

	while (hashes < n && s[hashes] == '#')
		hashes++;
	f->line = FLOW_TEXT;
	if (n >= 3 && memcmp(s, "```", 3) == 0) {
		f->fenced = !f->fenced;
		f->line = FLOW_CODE;
	} else if (hashes == n && n >= 1 && n <= 6 && end == ' ') {
		f->line = FLOW_HEADING;
		if (!f->colour)
			return;
		flow_bold(f, 1);
		f->word.n = 0;
		f->spaces = 0;
	} else if (end == ' ' && flow_is_bullet(f))
		f->indent = f->column + f->spaces + (int)n + 1;
	else
		f->indent = f->column + f->spaces;
	if (f->indent > flow_width(f) / 2)
		f->indent = 0;
}

/* Print the table that has ended. */
static void
flow_table(struct flow *f)
{
	if (table_rows(f->table) == 0)
		return;
	table_print(f->table, f->out, flow_width(f), f->colour);
	table_clear(f->table);
	f->column = 0;
}

/* Print the line break, and begin a line. */
static void
flow_newline(struct flow *f)
{
	if (f->line == FLOW_ROW) {
		table_add(f->table, f->word.s, f->word.n);
		f->word.n = 0;
	} else {
		if (f->line == FLOW_START && f->word.n > 0)
			flow_decide(f, '\n');
		flow_word(f);
		flow_bold(f, 0);
		fputc('\n', f->out);
	}
	f->line = f->fenced ? FLOW_CODE : FLOW_START;
	f->column = f->spaces = f->indent = f->code = 0;
}

/* Print what is held of a line of code, as it is. */
static void
flow_verbatim(struct flow *f)
{
	fprintf(f->out, "%*s", f->spaces, "");
	f->column += f->spaces;
	f->spaces = 0;
	if (f->word.n > 0)
		flow_print(f, f->word.s, f->word.n);
	f->word.n = 0;
}

/* Take a character of a code block. The beginning of a line is held until it is
 * known whether the line ends the block. */
static void
flow_code(struct flow *f, const char *s, size_t n)
{
	size_t	 from = 0, marks = 0;

	if (s[0] == '\n') {
		flow_verbatim(f);
		flow_newline(f);
		return;
	}
	textbuf_add(&f->word, s, n);
	if (f->column == 0) {
		while (from < f->word.n && f->word.s[from] == ' ')
			from++;
		while (from + marks < f->word.n && marks < 3 &&
		    f->word.s[from + marks] == '`')
			marks++;
		if (marks == 3)
			f->fenced = 0;
		else if (from + marks == f->word.n)
			return;
	}
	flow_verbatim(f);
}

/* Take one character, or the bytes of an invalid one, outside of code. */
static void
flow_char(struct flow *f, const char *s, size_t n)
{
	if (f->line == FLOW_CODE) {
		flow_code(f, s, n);
		return;
	}
	if (f->line == FLOW_START && f->word.n == 0) {
		if (s[0] == '|' && f->spaces == 0)
			f->line = FLOW_ROW;
		else if (s[0] != ' ')
			flow_table(f);
	}
	if (s[0] == '\n')
		flow_newline(f);
	else if (f->line == FLOW_ROW)
		textbuf_add(&f->word, s, n);
	else if (s[0] == ' ' || s[0] == '\t') {
		if (f->line == FLOW_START && f->word.n > 0)
			flow_decide(f, ' ');
		if (f->line == FLOW_CODE) {
			flow_verbatim(f);
			flow_code(f, s, n);
			return;
		}
		flow_word(f);
		if (f->line == FLOW_HEADING && f->column == 0)
			return;		/* after the mark, which is not shown */
		if (s[0] == ' ')
			f->spaces++;
		else
			f->spaces += 8 - (f->column + f->spaces) % 8;
	} else {
		if (n > 1 && render_width(s, n) == 2 && f->word.n > 0)
			flow_word(f);	/* may begin a line */
		textbuf_add(&f->word, s, n);
		if (n > 1 && render_width(s, n) == 2) {
			if (f->line == FLOW_START)
				flow_decide(f, 'x');
			flow_word(f);
		}
	}
}

/* Take a piece. */
void
flow_text(struct flow *f, const char *s, size_t n)
{
	uint32_t	 cp;
	size_t		 i;
	int		 len;

	for (i = 0; i < n; i++) {
		f->held[f->nheld++] = s[i];
		while (f->nheld > 0) {
			len = utf8_decode(f->held, f->nheld, &cp);
			if (len == 0)
				break;
			len = abs(len);
			flow_char(f, f->held, (size_t)len);
			f->nheld -= (size_t)len;
			memmove(f->held, f->held + len, f->nheld);
		}
	}
}

/* The end. */
void
flow_end(struct flow *f)
{
	if (f->nheld > 0)
		flow_char(f, f->held, f->nheld);
	f->nheld = 0;
	if (f->line == FLOW_ROW) {
		flow_newline(f);
		table_open(f->table);
	}
	flow_table(f);
	if (f->line == FLOW_START && f->word.n > 0)
		flow_decide(f, '\n');
	if (f->line == FLOW_CODE)
		flow_verbatim(f);
	else
		flow_word(f);
	flow_bold(f, 0);
}

/* Make room for a message. */
void
flow_break(struct flow *f)
{
	int	 bold = f->bold;

	if (f->column == 0)
		return;
	flow_bold(f, 0);
	fputc('\n', f->out);
	f->column = f->spaces = 0;
	flow_bold(f, bold);
}

/* Return the column. */
int
flow_column(const struct flow *f)
{
	return (f->column);
}

/* Return the number of rows held. */
size_t
flow_rows(const struct flow *f)
{
	return (table_rows(f->table));
}

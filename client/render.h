/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes text from outside safe to print.  Controls, bidi controls, invisible
 * characters and bytes that are not UTF-8 could control the terminal or hide
 * text; they are printed as visible escapes.
 */
#ifndef CLIENT_RENDER_H
#define CLIENT_RENDER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define RENDER_LINE	0x1	/* newline and tab are escaped as well */
#define RENDER_MARK	0x2	/* escapes stand in reverse video */

/*
 * A text that is printed to out in pieces.  A piece may end inside a character;
 * the output does not depend on where the text is cut.
 */
struct render {
	FILE		*out;		/* borrowed */
	unsigned	 flags;
	char		 held[4];	/* an unfinished character */
	size_t		 nheld;
	int		 column;	/* 0: the last thing was a newline */
};

void	 render_init(struct render *r, FILE *out, unsigned flags);
void	 render_text(struct render *r, const char *s, size_t n);

/* End the text: print the bytes of an unfinished character as escapes. */
void	 render_end(struct render *r);

/* The bytes of the first character of s[n] (n > 0), or of the bytes that are
 * none. */
size_t	 render_next(const char *s, size_t n);

/* The columns that s[n] takes on a terminal, escapes included. A newline takes
 * none. */
int	 render_width(const char *s, size_t n);

/*
 * A title or a message as one line, in a new string (owned by the caller).
 * NULL gives "".
 */
char	*render_line(const char *s);

/*
 * One line of JSON as the JSON writer made it, with every character that
 * render_text would escape turned into \uXXXX: still the same JSON.
 */
void	 render_json(const char *s, size_t n, FILE *out);

#endif

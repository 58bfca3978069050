/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text from outside made safe to show: whatever could drive a terminal or
 * hide what is written (controls, C1, bidi controls, invisible characters,
 * bytes that are not UTF-8) comes out as a visible escape.
 */
#ifndef CLIENT_RENDER_H
#define CLIENT_RENDER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define RENDER_LINE	0x1	/* newline and tab are escaped as well */
#define RENDER_MARK	0x2	/* escapes stand in reverse video */

/*
 * A text on its way to out, in pieces cut anywhere, also inside a character.
 * The same bytes come out however they were cut.
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

/* The text has ended: bytes held back come out as escapes. */
void	 render_end(struct render *r);

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

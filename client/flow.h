/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reply as it is shown on a terminal: lines are broken between words, and
 * simple markdown is shown as what it means.  The text comes in pieces; the
 * output does not depend on where it was cut.
 *
 * A word is printed when it is complete, and a table when its last row is, so
 * that its columns can be aligned.  In a code block (```) nothing is changed.
 * If colours are on, **bold** and # headings are bold, without their marks.
 */
#ifndef CLIENT_FLOW_H
#define CLIENT_FLOW_H

#include <stddef.h>
#include <stdio.h>

struct flow;

/* Begin a text on out (borrowed). columns is the width of a line; 0 means that
 * of the terminal, which may change. colour is 1 if out takes escape
 * sequences. */
struct flow	*flow_new(FILE *out, int columns, int colour);
void		 flow_free(struct flow *f);

/* Take the next n bytes. */
void		 flow_text(struct flow *f, const char *s, size_t n);

/* The text is complete: print what is held. */
void		 flow_end(struct flow *f);

/* End the line that has begun, for a message in between. The word that is held
 * follows on the next line. */
void		 flow_break(struct flow *f);

/* The column of the cursor, from 0. */
int		 flow_column(const struct flow *f);

/* The number of rows of a table that are held. */
size_t		 flow_rows(const struct flow *f);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a turn and of a pre-prompt as the model reads it.  Prompts and
 * exports are both made with these functions, so that a model is trained on
 * what it will read.
 */
#ifndef ENGINE_TURNTEXT_H
#define ENGINE_TURNTEXT_H

#include <stddef.h>

struct textbuf;

/* Append n bytes of valid UTF-8 as the text of a turn: role tags are defused
 * (roletag.h), and white space at the start is removed, and at the end unless
 * the turn is open, which the model continues. */
void	 turntext_add(const char *s, size_t n, int open,
	    struct textbuf *out);

/* Append a pre-prompt: role tags are defused, and it ends with a line end.
 * Appends nothing if it is empty. */
void	 turntext_add_preprompt(const char *s, struct textbuf *out);

/* The same as new strings, owned by the caller. */
char	*turntext(const char *s);
char	*turntext_preprompt(const char *s);

#endif

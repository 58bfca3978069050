/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a turn.
 */
#include "turntext.h"

#include <string.h>

#include "growbuf.h"
#include "pretoken.h"
#include "roletag.h"
#include "xmalloc.h"

/* Append the text of a turn. */
void
turntext_add(const char *s, size_t n, int open, struct textbuf *out)
{
	struct textbuf	 clean = { NULL, 0, 0 };
	size_t		 skip;

	roletag_defuse(s, n, &clean);
	if (!open)
		clean.n -= pretoken_trailing(clean.s, clean.n);
	skip = pretoken_leading(clean.s, clean.n);
	if (clean.n > skip)
		textbuf_add(out, clean.s + skip, clean.n - skip);
	textbuf_clear(&clean);
}

/* Append a pre-prompt. */
void
turntext_add_preprompt(const char *s, struct textbuf *out)
{
	if (s == NULL || *s == '\0')
		return;
	roletag_defuse(s, strlen(s), out);
	if (out->s[out->n - 1] != '\n')
		textbuf_puts(out, "\n");
}

/* Make a string of a buffer, which is released. */
static char *
turntext_string(struct textbuf *t)
{
	char	*s = xstrndup(t->n > 0 ? t->s : "", t->n);

	textbuf_clear(t);
	return (s);
}

/* The text of a turn. */
char *
turntext(const char *s)
{
	struct textbuf	 out = { NULL, 0, 0 };

	turntext_add(s, strlen(s), 0, &out);
	return (turntext_string(&out));
}

/* A pre-prompt. */
char *
turntext_preprompt(const char *s)
{
	struct textbuf	 out = { NULL, 0, 0 };

	turntext_add_preprompt(s, &out);
	return (turntext_string(&out));
}

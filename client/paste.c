/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pasted documents.  The line editor shows a short name instead of a text of
 * many lines.  paste_expand puts the text back when the line is sent, unless
 * the user has changed the name in the line.
 */
#include "repl.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define PASTE_SHORT	400	/* bytes that may stand in the line itself */

struct paste {
	struct {
		char	*name;		/* owned */
		char	*text;		/* owned */
	}	*list;			/* owned */
	size_t	 n;
	char	*shown;			/* owned: the result of paste_add */
};

static char	*paste_clean(const char *, size_t);

/* Make an empty store. */
struct paste *
paste_new(void)
{
	return (xcalloc(1, sizeof(struct paste)));
}

/* Release a store. */
void
paste_free(struct paste *p)
{
	size_t	 i;

	if (p == NULL)
		return;
	for (i = 0; i < p->n; i++) {
		free(p->list[i].name);
		free(p->list[i].text);
	}
	free(p->list);
	free(p->shown);
	free(p);
}

/* A copy in which every line ends with LF. */
static char *
paste_clean(const char *s, size_t n)
{
	char	*text = xmalloc(n + 1);
	size_t	 i, k = 0;

	for (i = 0; i < n; i++) {
		if (s[i] == '\0')
			continue;
		if (s[i] != '\r')
			text[k++] = s[i];
		else if (i + 1 == n || s[i + 1] != '\n')
			text[k++] = '\n';
	}
	text[k] = '\0';
	return (text);
}

/* Keep a text. */
const char *
paste_add(struct paste *p, const char *s, size_t n)
{
	char	*text = paste_clean(s, n), *q;
	size_t	 lines = 1;

	free(p->shown);
	p->shown = NULL;
	input_chomp(text);
	if (strlen(text) <= PASTE_SHORT && strchr(text, '\n') == NULL) {
		p->shown = text;
		return (text);
	}
	for (q = text; (q = strchr(q, '\n')) != NULL; q++)
		lines++;
	if (lines > 1)
		p->shown = xasprintf("[paste %zu: %zu lines]", p->n + 1,
		    lines);
	else
		p->shown = xasprintf("[paste %zu: %zu bytes]", p->n + 1,
		    strlen(text));
	p->list = xreallocarray(p->list, p->n + 1, sizeof *p->list);
	p->list[p->n].name = xstrdup(p->shown);
	p->list[p->n].text = text;
	p->n++;
	return (p->shown);
}

/* Find the name that ends at byte n of a line. */
size_t
paste_name_before(const struct paste *p, const char *line, size_t n)
{
	size_t	 i, len;

	for (i = 0; i < p->n; i++) {
		len = strlen(p->list[i].name);
		if (len <= n && memcmp(line + n - len, p->list[i].name,
		    len) == 0)
			return (len);
	}
	return (0);
}

/* Put the texts back. */
char *
paste_expand(const struct paste *p, const char *line, int *held)
{
	char	*out, *at, *more;
	size_t	 i;

	*held = 0;
	out = xstrdup(line);
	for (i = 0; i < p->n; i++) {
		/* A pasted text that contains the name of a later one gets
		 * that text too; nobody pastes such a name. */
		if ((at = strstr(out, p->list[i].name)) == NULL)
			continue;
		more = xasprintf("%.*s%s%s", (int)(at - out), out,
		    p->list[i].text, at + strlen(p->list[i].name));
		free(out);
		out = more;
		(*held)++;
	}
	return (out);
}

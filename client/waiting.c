/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A quiet line that says what a reply waits for, on terminals only.  It is
 * drawn over itself, and erased before anything else is printed.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "xmalloc.h"

#define WAITING_QUIET_MS 500	/* nothing is shown for a fast reply */
#define WAITING_SECONDS	2	/* from then on with the seconds */

/* Begin to wait. */
void
waiting_begin(struct waiting *w, int wanted)
{
	const char	*type = getenv("TERM");

	memset(w, 0, sizeof *w);
	w->since = clock_monotonic();
	w->on = wanted && term_is(1) && isatty(STDERR_FILENO) && type != NULL &&
	    strcmp(type, "dumb") != 0;
}

/* Return a number with commas, in static storage. */
static const char *
waiting_number(int64_t n)
{
	static char	 text[32];
	char		 digits[24];
	size_t		 i, k = 0, len;

	snprintf(digits, sizeof digits, "%lld", (long long)n);
	len = strlen(digits);
	for (i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			text[k++] = ',';
		text[k++] = digits[i];
	}
	text[k] = '\0';
	return (text);
}

/* Say what is waited for, in a new string. */
static char *
waiting_words(const struct waiting *w)
{
	if (w->rows > 0)
		return (xasprintf("a table, %zu row%s", w->rows,
		    w->rows == 1 ? "" : "s"));
	if (w->restarting)
		return (xstrdup("the engine is being restarted"));
	if (w->tokens > 0)
		return (xasprintf("reading %s token%s",
		    waiting_number(w->tokens), w->tokens == 1 ? "" : "s"));
	if (w->place > 0)
		return (xasprintf("waiting, %lld before you",
		    (long long)w->place));
	return (xstrdup("waiting"));
}

/* Draw the line. */
void
waiting_show(struct waiting *w)
{
	int64_t	 ms = clock_monotonic() - w->since;
	char	*words, *line;
	int	 rows, columns;

	if (!w->on || ms < WAITING_QUIET_MS)
		return;
	words = waiting_words(w);
	if (ms >= WAITING_SECONDS * 1000)
		line = xasprintf("%s, %lld s", words, (long long)ms / 1000);
	else
		line = xstrdup(words);
	term_size(&rows, &columns);
	fprintf(stderr, "\r%s%.*s%s\033[K", term_on(2, ROLE_DIM),
	    columns - 1, line, term_off(2));
	w->shown = 1;
	free(words);
	free(line);
}

/* Erase the line. */
void
waiting_clear(struct waiting *w)
{
	if (w->shown)
		fputs("\r\033[K", stderr);
	w->shown = 0;
}

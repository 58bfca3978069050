/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing of newline-ended lines.
 */
#include "linebuf.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define LINE_START 4096		/* bytes a buffer begins with */
#define LINE_KEEP	65536	/* bytes: a larger buffer is freed once empty */

struct linebuf {
	char	*data;		/* owned */
	size_t	 size;		/* bytes of room, and one more for a NUL */
	size_t	 start;		/* first byte not yet taken */
	size_t	 end;		/* after the last byte read */
	size_t	 scan;		/* no newline before this one */
	size_t	 max;		/* longest line */
	int	 skipping;	/* inside a line that was too long */
};

/* Make a buffer. */
struct linebuf *
linebuf_new(size_t max)
{
	struct linebuf	*lb;

	lb = xcalloc(1, sizeof *lb);
	lb->max = max;
	return (lb);
}

/* Release a buffer. */
void
linebuf_free(struct linebuf *lb)
{
	if (lb == NULL)
		return;
	free(lb->data);
	free(lb);
}

/* Make room to read into. */
char *
linebuf_room(struct linebuf *lb, size_t *room)
{
	size_t	 cap = lb->max + 2, want;	/* CR and newline */

	if (lb->start == lb->end)
		lb->start = lb->end = lb->scan = 0;
	if (lb->start > 0 && lb->end == lb->size) {
		memmove(lb->data, lb->data + lb->start, lb->end - lb->start);
		lb->end -= lb->start;
		lb->scan -= lb->start;
		lb->start = 0;
	}
	if (lb->end == lb->size && lb->size < cap) {
		want = lb->size == 0 ? LINE_START : lb->size * 2;
		if (want > cap)
			want = cap;
		lb->data = xreallocarray(lb->data, want + 1, 1);
		lb->size = want;
	}
	*room = lb->size - lb->end;
	return (lb->data + lb->end);
}

/* Note n bytes that were read. */
void
linebuf_added(struct linebuf *lb, size_t n)
{
	lb->end += n;
}

/* Forget the bytes held. The memory of a long line is not kept for the next
 * one. */
static void
linebuf_empty(struct linebuf *lb)
{
	lb->start = lb->end = lb->scan = 0;
	if (lb->size > LINE_KEEP) {
		free(lb->data);
		lb->data = NULL;
		lb->size = 0;
	}
}

/* Take the next line. */
int
linebuf_next(struct linebuf *lb, char **line, size_t *len)
{
	char	*nl;
	size_t	 n;

again:
	nl = lb->scan < lb->end ?
	    memchr(lb->data + lb->scan, '\n', lb->end - lb->scan) : NULL;
	if (nl == NULL) {
		lb->scan = lb->end;
		if (!lb->skipping && lb->end - lb->start > lb->max + 1) {
			lb->skipping = 1;
			linebuf_empty(lb);
			return (LINE_TOO_LONG);
		}
		if (lb->skipping || lb->start == lb->end)
			linebuf_empty(lb);
		return (LINE_NONE);
	}
	*line = lb->data + lb->start;
	n = (size_t)(nl - *line);
	lb->start = lb->scan = (size_t)(nl - lb->data) + 1;
	if (lb->skipping) {
		lb->skipping = 0;
		goto again;
	}
	if (n > 0 && (*line)[n - 1] == '\r')
		n--;
	if (n > lb->max)
		return (LINE_TOO_LONG);
	(*line)[n] = '\0';
	*len = n;
	return (LINE_READY);
}

/* Count the bytes of an unfinished line. */
size_t
linebuf_partial(const struct linebuf *lb)
{
	return (lb->end - lb->start + (size_t)lb->skipping);
}

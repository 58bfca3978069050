/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing: bytes in, whole lines out, with memory bounded by the longest
 * line allowed.  Used on every channel; what a line means is json.h's matter.
 */
#ifndef BASE_LINE_H
#define BASE_LINE_H

#include <stddef.h>

struct linebuf;

/* Results of linebuf_next. */
enum { LINE_NONE, LINE_READY, LINE_TOO_LONG };

/* A buffer that takes lines of up to max bytes, newline not counted. */
struct linebuf	*linebuf_new(size_t max);
void		 linebuf_free(struct linebuf *lb);

/*
 * Room for reading: a pointer to at least 1 byte and how many are free in
 * *room; call linebuf_added with what was put there. *room is 0 only if a
 * line is ready or too long: take it first.
 */
char		*linebuf_room(struct linebuf *lb, size_t *room);
void		 linebuf_added(struct linebuf *lb, size_t n);

/*
 * Take the next line. LINE_READY: *line (borrowed until the next call on lb)
 * holds *len bytes, without the newline (and without a CR before it), NUL
 * added behind. LINE_TOO_LONG: reported once for each line over the limit,
 * whose bytes are dropped up to its newline. LINE_NONE: feed more.
 */
int		 linebuf_next(struct linebuf *lb, char **line, size_t *len);

/* Bytes held that are not yet a whole line; not 0 inside a line whose bytes
 * are dropped. */
size_t		 linebuf_partial(const struct linebuf *lb);

#endif

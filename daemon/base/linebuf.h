/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing: bytes go in, whole lines come out.  The longest line allowed bounds
 * the memory.  Every channel uses it. json.h reads the lines.
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
 * Get room for reading: a pointer to at least 1 byte, and the number of free
 * bytes in *room. Call linebuf_added with the number of bytes written there.
 * *room is 0 only if a line is ready or too long; take it first.
 */
char		*linebuf_room(struct linebuf *lb, size_t *room);
void		 linebuf_added(struct linebuf *lb, size_t n);

/*
 * Take the next line. LINE_READY: *line (borrowed until the next call on lb)
 * holds *len bytes, without the newline (and without a CR before it), and a NUL
 * follows. LINE_TOO_LONG: reported once for each line over the limit, whose
 * bytes up to its newline are dropped. LINE_NONE: more bytes are needed.
 */
int		 linebuf_next(struct linebuf *lb, char **line, size_t *len);

/* Bytes held that are not yet a whole line; not 0 inside a line whose bytes
 * are dropped. */
size_t		 linebuf_partial(const struct linebuf *lb);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A helper's side of its channel to chatd: messages come in on one descriptor
 * and go out on another, usually 0 and 1.  There is no event loop: a helper
 * looks at its input between two pieces of work.  Both descriptors may be a
 * socket, a pipe, a terminal or a file.  Only chan_wait and chan_drain block.
 */
#ifndef BASE_CHAN_H
#define BASE_CHAN_H

#include <jansson.h>
#include <stddef.h>

#include "err.h"

struct chan;

/* A channel that takes lines of up to max_line bytes. The descriptors are
 * borrowed. */
struct chan	*chan_new(int in, int out, size_t max_line);
void		 chan_free(struct chan *ch);

/*
 * Take the next message, after reading what has arrived; does not block.
 * Returns 1 and *msg (a new reference), 0 if no line is complete yet,
 * CHAT_ECLOSED at the end of input (after the last whole line), CHAT_ESYSTEM,
 * or CHAT_EFORMAT with *f filled: that line is lost, and the channel goes on.
 */
int		 chan_next(struct chan *ch, json_t **msg, struct fault *f);

/* Queue a message (taken), and write as much as possible without blocking. */
void		 chan_send(struct chan *ch, json_t *msg);

/* Do the same with a finished line: n bytes that end in a newline (taken). */
void		 chan_send_line(struct chan *ch, char *line, size_t n);

/* Write as much as possible without blocking. Returns the number of bytes still
 * queued, or CHAT_ECLOSED or CHAT_ESYSTEM if writing has failed; the queue is
 * then dropped. */
long		 chan_flush(struct chan *ch);

/*
 * Wait at most timeout_ms (-1: no limit; 0: return at once) until there is
 * input or, if output is queued, room to write. Returns 1 if there is, 0 on
 * timeout or signal.
 */
int		 chan_wait(struct chan *ch, int timeout_ms);

/* Write everything queued, blocking. 0 or an error as chan_flush. */
int		 chan_drain(struct chan *ch);

#endif

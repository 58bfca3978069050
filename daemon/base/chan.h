/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A helper's side of its channel to chatd: messages in on one descriptor, out
 * on another (usually 0 and 1), without an event library, so that a helper
 * can work between looks at its input.  Works on sockets, pipes, terminals
 * and files; never blocks except in chan_wait and chan_drain.
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
 * The next message, reading what is there without blocking. Returns 1 and
 * *msg (a new reference), 0 where none is complete yet, CHAT_ECLOSED at the
 * end of input (after the last whole line), CHAT_ESYSTEM, or CHAT_EFORMAT
 * with *f filled: that line is gone, the channel goes on.
 */
int		 chan_next(struct chan *ch, json_t **msg, struct fault *f);

/* Queue a message (taken) and write what can be written without blocking. */
void		 chan_send(struct chan *ch, json_t *msg);

/* The same for a line made by hand: n bytes that end in a newline (taken). */
void		 chan_send_line(struct chan *ch, char *line, size_t n);

/* Write what can be written. Returns bytes still queued, or CHAT_ECLOSED /
 * CHAT_ESYSTEM once writing has failed (everything queued is then dropped). */
long		 chan_flush(struct chan *ch);

/*
 * Wait until there is input (or, with output queued, room to write), at most
 * timeout_ms (-1: for ever; 0: just look). Returns 1 where something can be
 * done, 0 on timeout or signal.
 */
int		 chan_wait(struct chan *ch, int timeout_ms);

/* Write everything queued, blocking. 0 or an error as chan_flush. */
int		 chan_drain(struct chan *ch);

#endif

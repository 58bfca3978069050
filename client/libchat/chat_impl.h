/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of libchat share:
 *
 *   chat.c          connections: made, connected, closed; errors
 *   chat_io.c       bytes and lines
 *   chat_loop.c     events go to their requests; waiting
 *   chat_event.c    what is in an event
 *   chat_request.c  any request
 *   chat_ops.c      a function for each common request
 *
 * The library must not end the process: it calls only those files of
 * daemon/base that never use xmalloc (Makefile.inc lists them).
 */
#ifndef CHAT_IMPL_H
#define CHAT_IMPL_H

#include <jansson.h>

#include "chat.h"
#include "err.h"

#define CHAT_LINE_MAX	(16 * 1024 * 1024)	/* longest event, in bytes */
#define CHAT_VALUES_MAX	(2 * 1024 * 1024)	/* values and keys of one */
#define CHAT_LINE_SENT	(1024 * 1024)	/* longest request, if not announced */
#define CHAT_QUEUE_MAX	(64 * 1024 * 1024)	/* bytes that wait */
#define CHAT_PIECE	65536		/* bytes of one read */
#define CHAT_HELLO_ID	0		/* our own hello; others from 1 */

struct chat_event {
	enum chat_kind	 kind;
	int64_t		 id;		/* -1: none */
	json_t		*root;		/* owned; NULL: nothing to look up */
	const char	*line;		/* owned by the connection, or by the
					 * hello's copy; NULL: CHAT_LOST */
	size_t		 len;
};

/* A request that runs. */
struct chat_slot {
	int64_t		 id;
	chat_fn		 fn;		/* NULL: the connection's handler */
	void		*arg;		/* borrowed */
};

/* Bytes from start to end of data wait. */
struct chat_bytes {
	char		*data;		/* owned */
	size_t		 start, end, size;
};

struct chat {
	int			 fd;	/* owned; -1: not connected */
	char			*client;	/* owned */
	struct chat_event	 hello;
	char			*hello_line;	/* owned */
	int64_t			 next_id;
	struct chat_bytes	 in, out;
	size_t			 scan;	/* no newline in "in" before this */
	int			 eof;	/* chatd has closed */
	int			 broken;	/* 0, or why writing failed */
	struct chat_slot	*slots;	/* owned: by id */
	size_t			 n_slots, size_slots;
	chat_fn			 handler;
	void			*handler_arg;	/* borrowed */
	int			 calling;	/* inside a caller's function */
	int64_t			 waited;	/* the id of chat_wait, or 0 */
	int			 result;	/* its end; 1: none yet */
	char			 code[64];	/* the last error */
	char			 message[400], field[64];
};

/* ---- chat.c */

/* Keep an error for chat_error_...; text ends in NUL. Returns error. */
int	 chat_fail(struct chat *c, int error, const char *code,
	    const char *field, const char *message);

/* Keep the error of a struct fault. Returns error. */
int	 chat_fail_fault(struct chat *c, int error, const struct fault *f);

/* Keep an error of this kind with its usual words; errno for CHAT_ERR_SYSTEM.
 * Returns error. */
int	 chat_fail_plain(struct chat *c, int error);

/* ---- chat_io.c */

/* Append n bytes to what waits to be sent. 0, CHAT_ERR_NO_MEMORY or
 * CHAT_ERR_TOO_LONG. */
int	 chat_io_queue(struct chat *c, const char *s, size_t n);

/* Send what the socket takes. 0, or an error, the same one from then on. */
int	 chat_io_flush(struct chat *c);

/* Read once, without blocking. 1 if bytes came or c->eof is set, 0 if there are
 * none, CHAT_ERR_SYSTEM or CHAT_ERR_NO_MEMORY. */
int	 chat_io_fill(struct chat *c);

/* Take a line that has arrived: 1, *line (borrowed until the next fill) and
 * *len, and a NUL follows; 0 if there is none; CHAT_ERR_PROTOCOL if it is too
 * long. */
int	 chat_io_line(struct chat *c, char **line, size_t *len);

/* Wait until something can be done, or left milliseconds (-1: no limit). 0,
 * CHAT_ERR_INTERRUPTED or CHAT_ERR_SYSTEM. */
int	 chat_io_wait(struct chat *c, int left);

/* Free the buffers. */
void	 chat_io_clear(struct chat *c);

/* The deadline of a wait that begins now, -1: no limit; and the milliseconds
 * left until it. */
int64_t	 chat_io_deadline(int timeout_ms);
int	 chat_io_left(int64_t deadline);

/* ---- chat_event.c */

/* Take the next event that has arrived: 1 and *ev, for chat_event_clear; 0; or
 * an error, which is kept. */
int	 chat_event_take(struct chat *c, struct chat_event *ev);
void	 chat_event_clear(struct chat_event *ev);

/* ---- chat_request.c */

/* Send an object, which is taken (NULL: no memory). As chat_send. */
int64_t	 chat_request_send(struct chat *c, json_t *msg, chat_fn fn, void *arg);

/* ---- chat_loop.c */

/* Remember a request. 0 or CHAT_ERR_NO_MEMORY. */
int	 chat_loop_add(struct chat *c, int64_t id, chat_fn fn, void *arg);

/* Forget a request; nothing if there is none. */
void	 chat_loop_drop(struct chat *c, int64_t id);

#endif

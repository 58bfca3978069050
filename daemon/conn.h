/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One non-blocking stream of lines on the event loop: a client or a helper.
 * Framing is done by linebuf.h. The output queue has no limit here; its marks
 * are reported so that the owner can stop producing. Input is read and handed
 * out a bounded amount at a time: as it arrives, or by conn_turn if the owner
 * decides the order of turns.
 */
#ifndef DAEMON_CONN_H
#define DAEMON_CONN_H

#include <event2/event.h>
#include <jansson.h>
#include <stddef.h>

struct conn;

struct conn_ops {
	/* A line came in; borrowed until this returns. */
	void	(*line)(void *arg, char *line, size_t len);
	/* A line over the limit was dropped. */
	void	(*too_long)(void *arg);
	/* The first bytes ever read on the stream, before they are cut into
	 * lines. Returns 1 if they are recognized, 0 to be called again with
	 * the next bytes, -1 if the callee has ended the stream. May be
	 * NULL. */
	int	(*first)(void *arg, const char *bytes, size_t n);
	/* There is input to read or to hand out: the owner calls conn_turn
	 * soon, but not from here. NULL: lines are handed out as they
	 * arrive. */
	void	(*waiting)(void *arg);
	/*
	 * The peer has sent its last byte. half is set if it still reads.
	 * Without half nothing more can be sent: free the connection.
	 */
	void	(*eof)(void *arg, int half);
	/* Reading or writing failed, or a line stayed unfinished too long. */
	void	(*failed)(void *arg, const char *why);
	/* The output queue rose above the high mark (1) or fell below the low
	 * one again (0). May be NULL. */
	void	(*pressure)(void *arg, int high);
	/* The output queue is empty. May be NULL. */
	void	(*drained)(void *arg);
};

/*
 * Begin reading fd (taken, made non-blocking). ops and arg are borrowed and
 * outlive the connection.
 *   line_max     longest line
 *   line_ms      an unfinished line may take this long; 0: for ever
 *   high, low    marks of the output queue in bytes; high 0: none
 */
struct conn	*conn_new(struct event_base *base, int fd, size_t line_max,
		    int line_ms, size_t high, size_t low,
		    const struct conn_ops *ops, void *arg);

/* Close and release, also from inside one of its own callbacks. */
void		 conn_free(struct conn *c);

/* Queue a message (taken). */
void		 conn_send(struct conn *c, json_t *msg);

/* Bytes queued and not yet written. */
size_t		 conn_queued(const struct conn *c);

#define CONN_COST	2048	/* the least that a read or a line costs */

/*
 * For streams with a waiting callback: read once and hand out lines, until they
 * have cost max bytes. A line costs its bytes, but at least CONN_COST, and so
 * does the read; the last line may cost more than was left. Returns the cost.
 * Sets *more if lines may be left over: the stream then still waits for another
 * turn, and does not call waiting again. The stream may have been freed by one
 * of its callbacks.
 */
size_t		 conn_turn(struct conn *c, size_t max, int *more);

/* Stop or resume reading. Lines already read are kept. */
void		 conn_pause(struct conn *c);
void		 conn_resume(struct conn *c);

int		 conn_fd(const struct conn *c);

#endif

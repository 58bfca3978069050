/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of lines on the event loop.
 */
#include "conn.h"

#include <event2/buffer.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "json.h"
#include "linebuf.h"
#include "xmalloc.h"

#define CONN_READ	65536	/* bytes taken by one read */
#define CONN_WRITE	65536	/* bytes offered to one write */
#define CONN_SLICE	65536	/* cost of the lines handed out at a time
				 * without conn_turn */
#define CONN_LATE_MS	100	/* after waiting this long for a turn, a late
				 * line is not the peer's fault */

/* How the peer's output ended, and whether the owner knows. */
enum conn_eof { CONN_OPEN, CONN_HALF, CONN_GONE, CONN_TOLD };

struct conn {
	int			 fd;		/* owned */
	struct event		*read_ev;	/* owned */
	struct event		*write_ev;	/* owned */
	struct event		*again_ev;	/* owned: lines are left over */
	struct event		*line_ev;	/* owned: an unfinished line */
	struct linebuf		*lines;		/* owned */
	struct evbuffer		*out;		/* owned */
	size_t			 high, low;
	const struct conn_ops	*ops;		/* borrowed */
	void			*arg;		/* borrowed */
	int			 line_ms;
	int			 seen;		/* some byte has been read */
	int			 paused;
	int			 waiting;	/* for conn_turn */
	int64_t			 since;		/* monotonic ms: it waits */
	enum conn_eof		 eof;
	int			 pressed;	/* above high, not yet low */
	int			 busy;		/* callbacks on the stack */
	int			 dead;		/* freed while busy */
};

static void	conn_readable(evutil_socket_t, short, void *);
static void	conn_writable(evutil_socket_t, short, void *);
static void	conn_again(evutil_socket_t, short, void *);
static void	conn_late(evutil_socket_t, short, void *);
static size_t	conn_lines(struct conn *, size_t, int *);
static void	conn_serve(struct conn *);
static void	conn_release(struct conn *);

/* Begin a stream. */
struct conn *
conn_new(struct event_base *base, int fd, size_t line_max, int line_ms,
    size_t high, size_t low, const struct conn_ops *ops, void *arg)
{
	struct conn	*c;

	c = xcalloc(1, sizeof *c);
	c->fd = fd;
	c->high = high;
	c->low = low;
	c->ops = ops;
	c->arg = arg;
	c->line_ms = line_ms;
	evutil_make_socket_nonblocking(fd);
	c->lines = linebuf_new(line_max);
	c->out = evbuffer_new();
	c->read_ev = event_new(base, fd, EV_READ|EV_PERSIST, conn_readable,
	    c);
	c->write_ev = event_new(base, fd, EV_WRITE|EV_PERSIST,
	    conn_writable, c);
	c->again_ev = evtimer_new(base, conn_again, c);
	c->line_ev = event_new(base, -1, 0, conn_late, c);
	event_add(c->read_ev, NULL);
	return (c);
}

/* Close now, and release when no callback is on the stack. */
void
conn_free(struct conn *c)
{
	if (c == NULL || c->dead)
		return;
	c->dead = 1;
	event_free(c->read_ev);
	event_free(c->write_ev);
	event_free(c->again_ev);
	event_free(c->line_ev);
	close(c->fd);
	if (c->busy == 0)
		conn_release(c);
}

/* Release the memory of a closed stream. */
static void
conn_release(struct conn *c)
{
	evbuffer_free(c->out);
	linebuf_free(c->lines);
	free(c);
}

/* Enter or leave code that runs callbacks. */
static void
conn_enter(struct conn *c)
{
	c->busy++;
}

static void
conn_leave(struct conn *c)
{
	if (--c->busy == 0 && c->dead)
		conn_release(c);
}

/* Start or stop the timer of an unfinished line. */
static void
conn_clock(struct conn *c)
{
	struct timeval	 tv = { c->line_ms / 1000, c->line_ms % 1000 * 1000 };

	if (c->line_ms == 0 || c->dead)
		return;
	if (linebuf_partial(c->lines) == 0 || c->paused)
		event_del(c->line_ev);
	else if (!event_pending(c->line_ev, EV_TIMEOUT, NULL))
		event_add(c->line_ev, &tv);
}

/* Hand out lines until they have cost max. Returns the cost; *left: there may
 * be more. */
static size_t
conn_lines(struct conn *c, size_t max, int *left)
{
	char	*line;
	size_t	 len, cost = 0;
	int	 r, half;

	*left = 0;
	while (!c->dead && !c->paused) {
		if (cost >= max) {
			*left = 1;
			return (cost);
		}
		if ((r = linebuf_next(c->lines, &line, &len)) == LINE_NONE)
			break;
		event_del(c->line_ev);
		cost += r == LINE_READY && len > CONN_COST ? len : CONN_COST;
		if (r == LINE_READY)
			c->ops->line(c->arg, line, len);
		else
			c->ops->too_long(c->arg);
	}
	if (!c->dead && !c->paused && (c->eof == CONN_HALF ||
	    c->eof == CONN_GONE)) {
		half = c->eof == CONN_HALF;
		c->eof = CONN_TOLD;
		c->ops->eof(c->arg, half);
	}
	conn_clock(c);
	return (cost);
}

/* Hand out the lines that are there, or ask for a turn. */
static void
conn_serve(struct conn *c)
{
	static const struct timeval	 now = { 0, 0 };
	int				 left;

	if (c->ops->waiting == NULL) {
		conn_lines(c, CONN_SLICE, &left);
		/* A timer, since the loop runs an event made active here
		 * before it looks at any descriptor again. */
		if (left)
			event_add(c->again_ev, &now);
	} else if (!c->waiting) {
		c->waiting = 1;
		c->since = clock_monotonic();
		event_del(c->read_ev);
		c->ops->waiting(c->arg);
	}
}

/* Hand out lines that were left over. */
static void
conn_again(evutil_socket_t fd, short what, void *arg)
{
	struct conn	*c = arg;

	(void)fd;
	(void)what;
	conn_enter(c);
	conn_serve(c);
	conn_leave(c);
}

/* An unfinished line has taken too long. */
static void
conn_late(evutil_socket_t fd, short what, void *arg)
{
	struct timeval	 tv = { 0, CONN_LATE_MS * 1000 };
	struct conn	*c = arg;
	int		 ms = c->line_ms / 2 < CONN_LATE_MS ? c->line_ms / 2 :
			    CONN_LATE_MS;

	(void)fd;
	(void)what;
	if (c->waiting && clock_monotonic() - c->since >= ms) {
		event_add(c->line_ev, &tv);
		return;
	}
	conn_enter(c);
	c->ops->failed(c->arg, "a line stayed unfinished");
	conn_leave(c);
}

/* Has the peer closed both directions? */
static int
conn_hung_up(int fd)
{
	struct pollfd	 p = { .fd = fd, .events = POLLOUT };

	return (poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP|POLLERR)) != 0);
}

/* Read once. The stream may be dead then. */
static void
conn_read(struct conn *c)
{
	char	*p;
	size_t	 room;
	ssize_t	 n;
	int	 r;

	p = linebuf_room(c->lines, &room);
	if (room == 0)
		return;
	n = read(c->fd, p, room < CONN_READ ? room : CONN_READ);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1 && errno != ECONNRESET)
		c->ops->failed(c->arg, strerror(errno));
	else if (n <= 0) {
		/* The last byte has been read, but perhaps not handed out. */
		event_del(c->read_ev);
		c->eof = conn_hung_up(c->fd) ? CONN_GONE : CONN_HALF;
	} else {
		if (!c->seen && c->ops->first != NULL) {
			if ((r = c->ops->first(c->arg, p, (size_t)n)) == -1)
				return;
			c->seen = r;
		}
		linebuf_added(c->lines, (size_t)n);
	}
}

/* There is something to read. */
static void
conn_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn	*c = arg;

	(void)fd;
	(void)what;
	conn_enter(c);
	if (c->ops->waiting == NULL)
		conn_read(c);
	if (!c->dead)
		conn_serve(c);
	conn_leave(c);
}

/* Hand out the lines that are there, then read once and hand out its lines. */
size_t
conn_turn(struct conn *c, size_t max, int *more)
{
	size_t	 cost;

	conn_enter(c);
	c->waiting = 0;
	cost = conn_lines(c, max, more);
	if (!*more && !c->dead && !c->paused && c->eof == CONN_OPEN) {
		conn_read(c);
		cost += CONN_COST;
		if (!c->dead)
			cost += conn_lines(c, cost < max ? max - cost : 0,
			    more);
	}
	if (*more) {
		c->waiting = 1;
		c->since = clock_monotonic();
	} else if (!c->dead && !c->paused && c->eof == CONN_OPEN)
		event_add(c->read_ev, NULL);
	conn_leave(c);
	return (cost);
}

/* Write as much as the socket takes. */
static void
conn_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn		*c = arg;
	struct evbuffer_iovec	 v[16];
	struct msghdr		 mh;
	struct iovec		 iov[16];
	ssize_t			 n;
	int			 i, k;

	(void)what;
	k = evbuffer_peek(c->out, CONN_WRITE, NULL, v, 16);
	if (k > 16)
		k = 16;
	for (i = 0; i < k; i++)
		iov[i] = (struct iovec){ v[i].iov_base, v[i].iov_len };
	memset(&mh, 0, sizeof mh);
	mh.msg_iov = iov;
	mh.msg_iovlen = (size_t)k;
	n = sendmsg(fd, &mh, MSG_NOSIGNAL);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	conn_enter(c);
	if (n == -1)
		c->ops->failed(c->arg, strerror(errno));
	else {
		evbuffer_drain(c->out, (size_t)n);
		if (c->pressed && evbuffer_get_length(c->out) <= c->low) {
			c->pressed = 0;
			if (c->ops->pressure != NULL)
				c->ops->pressure(c->arg, 0);
		}
		if (!c->dead && evbuffer_get_length(c->out) == 0) {
			event_del(c->write_ev);
			if (c->ops->drained != NULL)
				c->ops->drained(c->arg);
		}
	}
	conn_leave(c);
}

/* Queue a message. */
void
conn_send(struct conn *c, json_t *msg)
{
	char	*s;
	size_t	 n;

	if (c->dead) {
		json_decref(msg);
		return;
	}
	s = msg_line(msg, &n);
	json_decref(msg);
	evbuffer_add(c->out, s, n);
	free(s);
	event_add(c->write_ev, NULL);
	if (c->high != 0 && !c->pressed &&
	    evbuffer_get_length(c->out) > c->high) {
		c->pressed = 1;
		if (c->ops->pressure != NULL)
			c->ops->pressure(c->arg, 1);
	}
}

/* Bytes queued. */
size_t
conn_queued(const struct conn *c)
{
	return (evbuffer_get_length(c->out));
}

/* Stop reading. */
void
conn_pause(struct conn *c)
{
	if (c->dead || c->paused)
		return;
	c->paused = 1;
	event_del(c->read_ev);
	conn_clock(c);
}

/* Resume reading; the lines that are there come first. */
void
conn_resume(struct conn *c)
{
	static const struct timeval	 now = { 0, 0 };

	if (c->dead || !c->paused)
		return;
	c->paused = 0;
	if (c->eof == CONN_OPEN && c->ops->waiting == NULL)
		event_add(c->read_ev, NULL);
	event_add(c->again_ev, &now);
}

/* The stream's descriptor. */
int
conn_fd(const struct conn *c)
{
	return (c->fd);
}

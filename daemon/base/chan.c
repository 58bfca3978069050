/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channel of a helper: line framing and JSON over two descriptors and poll.
 */
#include "chan.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "linebuf.h"
#include "xmalloc.h"

#define CHAN_PIECE 4096	/* bytes a pipe with POLLOUT takes without blocking */

struct chan {
	int		 in, out;	/* borrowed */
	int		 out_socket;	/* out takes MSG_DONTWAIT */
	int		 eof;		/* input has ended */
	int		 broken;	/* 0, or the error that ended writing */
	struct linebuf	*lines;		/* owned */
	char		*queue;		/* owned: bytes to write */
	size_t		 queue_start, queue_end, queue_size;
};

static int	chan_ready(int, short, int);
static int	chan_fill(struct chan *);

/* Make a channel. */
struct chan *
chan_new(int in, int out, size_t max_line)
{
	struct chan	*ch;
	struct stat	 st;

	ch = xcalloc(1, sizeof *ch);
	ch->in = in;
	ch->out = out;
	ch->out_socket = fstat(out, &st) == 0 && S_ISSOCK(st.st_mode);
	ch->lines = linebuf_new(max_line);
	return (ch);
}

/* Release a channel. Queued output is dropped. */
void
chan_free(struct chan *ch)
{
	if (ch == NULL)
		return;
	linebuf_free(ch->lines);
	free(ch->queue);
	free(ch);
}

/* Wait up to timeout ms until fd can be read or written. */
static int
chan_ready(int fd, short what, int timeout)
{
	struct pollfd	 p = { .fd = fd, .events = what };

	return (poll(&p, 1, timeout) == 1);
}

/* Read once. Returns 1 if bytes came, 0 if there are none, or CHAT_ESYSTEM. */
static int
chan_fill(struct chan *ch)
{
	char	*p;
	size_t	 room;
	ssize_t	 n;

	p = linebuf_room(ch->lines, &room);
	if (ch->eof || room == 0 || !chan_ready(ch->in, POLLIN, 0))
		return (0);
	if ((n = read(ch->in, p, room)) == -1) {
		if (errno == EINTR || errno == EAGAIN)
			return (0);
		if (errno != ECONNRESET)
			return (CHAT_ESYSTEM);
		n = 0;
	}
	if (n == 0)
		ch->eof = 1;
	else
		linebuf_added(ch->lines, (size_t)n);
	return (1);
}

/* Take the next message. */
int
chan_next(struct chan *ch, json_t **msg, struct fault *f)
{
	char	*line;
	size_t	 len;
	int	 r;

	for (;;) {
		r = linebuf_next(ch->lines, &line, &len);
		if (r == LINE_TOO_LONG)
			return (fault_set(f, "too_long", NULL,
			    "the line is too long"));
		if (r == LINE_READY) {
			r = json_line_parse(line, len, msg, f);
			return (r == 0 ? 1 : r);
		}
		if (ch->eof)
			return (CHAT_ECLOSED);
		if ((r = chan_fill(ch)) <= 0)
			return (r);
	}
}

/* Queue a message. */
void
chan_send(struct chan *ch, json_t *msg)
{
	char	*s;
	size_t	 n;

	s = msg_line(msg, &n);
	json_decref(msg);
	chan_send_line(ch, s, n);
}

/* Queue a line. */
void
chan_send_line(struct chan *ch, char *s, size_t n)
{
	if (ch->queue_start == ch->queue_end)
		ch->queue_start = ch->queue_end = 0;
	if (ch->queue_size - ch->queue_end < n) {
		if (ch->queue_start > 0) {
			memmove(ch->queue, ch->queue + ch->queue_start,
			    ch->queue_end - ch->queue_start);
			ch->queue_end -= ch->queue_start;
			ch->queue_start = 0;
		}
		if (ch->queue_size - ch->queue_end < n) {
			ch->queue_size = (ch->queue_end + n) * 2;
			ch->queue = xreallocarray(ch->queue, ch->queue_size,
			    1);
		}
	}
	memcpy(ch->queue + ch->queue_end, s, n);
	ch->queue_end += n;
	free(s);
	chan_flush(ch);
}

/* Write as much as possible without blocking. */
long
chan_flush(struct chan *ch)
{
	ssize_t	 n;
	size_t	 left;

	if (ch->broken)
		ch->queue_start = ch->queue_end = 0;
	while ((left = ch->queue_end - ch->queue_start) > 0) {
		if (ch->out_socket)
			n = send(ch->out, ch->queue + ch->queue_start, left,
			    MSG_DONTWAIT|MSG_NOSIGNAL);
		else if (!chan_ready(ch->out, POLLOUT, 0))
			break;
		else
			n = write(ch->out, ch->queue + ch->queue_start,
			    left < CHAN_PIECE ? left : CHAN_PIECE);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			break;
		if (n == -1) {
			ch->broken = errno == EPIPE || errno == ECONNRESET ?
			    CHAT_ECLOSED : CHAT_ESYSTEM;
			ch->queue_start = ch->queue_end = 0;
			break;
		}
		ch->queue_start += (size_t)n;
	}
	return (ch->broken ? ch->broken :
	    (long)(ch->queue_end - ch->queue_start));
}

/* Wait for input or room. */
int
chan_wait(struct chan *ch, int timeout_ms)
{
	struct pollfd	 p[2];
	nfds_t		 n = 0;

	if (!ch->eof)
		p[n++] = (struct pollfd){ .fd = ch->in, .events = POLLIN };
	if (chan_flush(ch) > 0)
		p[n++] = (struct pollfd){ .fd = ch->out, .events = POLLOUT };
	if (n == 0)
		return (1);
	return (poll(p, n, timeout_ms) > 0);
}

/* Write everything. */
int
chan_drain(struct chan *ch)
{
	long	 r;

	while ((r = chan_flush(ch)) > 0)
		chan_ready(ch->out, POLLOUT, -1);
	return ((int)r);
}

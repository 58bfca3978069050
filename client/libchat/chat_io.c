/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libchat: bytes from and to the socket, and lines of them.  A lack of memory
 * is an error here, which is why daemon/base's framing is not used.
 */
#include "chat_impl.h"

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

static int	chat_io_room(struct chat_bytes *, size_t);

/* Make room for n more bytes at the end. */
static int
chat_io_room(struct chat_bytes *b, size_t n)
{
	size_t	 held = b->end - b->start, size = b->size;
	char	*p;

	if (b->size - b->end >= n)
		return (0);
	if (b->start > 0) {
		memmove(b->data, b->data + b->start, held);
		b->start = 0;
		b->end = held;
	}
	if (b->size - b->end >= n)
		return (0);
	while (size - held < n)
		size = size == 0 ? n : size * 2;
	if ((p = realloc(b->data, size)) == NULL)
		return (CHAT_ERR_NO_MEMORY);
	b->data = p;
	b->size = size;
	return (0);
}

/* Free what is empty and large. */
static void
chat_io_trim(struct chat_bytes *b)
{
	if (b->start < b->end)
		return;
	b->start = b->end = 0;
	if (b->size > 2 * CHAT_PIECE) {
		free(b->data);
		b->data = NULL;
		b->size = 0;
	}
}

/* Free the buffers. */
void
chat_io_clear(struct chat *c)
{
	free(c->in.data);
	free(c->out.data);
	memset(&c->in, 0, sizeof c->in);
	memset(&c->out, 0, sizeof c->out);
	c->scan = 0;
}

/* Queue bytes. */
int
chat_io_queue(struct chat *c, const char *s, size_t n)
{
	if (c->out.end - c->out.start + n > CHAT_QUEUE_MAX)
		return (CHAT_ERR_TOO_LONG);
	if (chat_io_room(&c->out, n) != 0)
		return (CHAT_ERR_NO_MEMORY);
	memcpy(c->out.data + c->out.end, s, n);
	c->out.end += n;
	return (0);
}

/* Send what is queued. After an error, what chatd has sent can still be
 * read. */
int
chat_io_flush(struct chat *c)
{
	ssize_t	 n;

	while (!c->broken && c->out.start < c->out.end) {
		n = send(c->fd, c->out.data + c->out.start,
		    c->out.end - c->out.start, MSG_DONTWAIT|MSG_NOSIGNAL);
		if (n >= 0)
			c->out.start += (size_t)n;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			c->broken = errno == EPIPE || errno == ECONNRESET ?
			    CHAT_ERR_CLOSED : CHAT_ERR_SYSTEM;
	}
	if (c->broken)
		c->out.start = c->out.end;
	chat_io_trim(&c->out);
	return (c->broken);
}

/* Read once. */
int
chat_io_fill(struct chat *c)
{
	ssize_t	 n;

	if (c->eof)
		return (1);
	if (c->in.start == c->in.end)
		c->scan = 0;
	chat_io_trim(&c->in);
	if (c->scan > c->in.end)
		c->scan = c->in.end;
	c->scan -= c->in.start;
	if (chat_io_room(&c->in, CHAT_PIECE) != 0)
		return (CHAT_ERR_NO_MEMORY);
	c->scan += c->in.start;
	do
		n = recv(c->fd, c->in.data + c->in.end, CHAT_PIECE,
		    MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		return (0);
	if (n == -1 && errno != ECONNRESET)
		return (CHAT_ERR_SYSTEM);
	if (n <= 0)
		c->eof = 1;
	else
		c->in.end += (size_t)n;
	return (1);
}

/* Take a line. */
int
chat_io_line(struct chat *c, char **line, size_t *len)
{
	struct chat_bytes	*b = &c->in;
	char			*nl = NULL;
	size_t			 n;

	if (c->scan < b->start)
		c->scan = b->start;
	if (c->scan < b->end)
		nl = memchr(b->data + c->scan, '\n', b->end - c->scan);
	n = nl == NULL ? b->end - b->start :
	    (size_t)(nl - (b->data + b->start));
	if (n > CHAT_LINE_MAX)
		return (CHAT_ERR_PROTOCOL);
	if (nl == NULL) {
		c->scan = b->end;
		return (0);
	}
	*line = b->data + b->start;
	b->start += n + 1;
	c->scan = b->start;
	if (n > 0 && (*line)[n - 1] == '\r')
		n--;
	(*line)[n] = '\0';
	*len = n;
	return (1);
}

/* Wait. */
int
chat_io_wait(struct chat *c, int left)
{
	struct pollfd	 p = { .fd = c->fd, .events = chat_events(c) };

	if (poll(&p, 1, left) != -1)
		return (0);
	return (errno == EINTR ? CHAT_ERR_INTERRUPTED : CHAT_ERR_SYSTEM);
}

/* Return what to poll for. */
short
chat_events(const struct chat *c)
{
	/* After an error the socket is ready, and a dispatch reports it. */
	return (c->out.start < c->out.end || c->broken ? POLLIN|POLLOUT :
	    POLLIN);
}

/* The deadline of a wait. */
int64_t
chat_io_deadline(int timeout_ms)
{
	return (timeout_ms < 0 ? -1 : clock_monotonic() + timeout_ms);
}

/* Milliseconds until a deadline. */
int
chat_io_left(int64_t deadline)
{
	int64_t	 left;

	if (deadline == -1)
		return (-1);
	left = deadline - clock_monotonic();
	return (left > 0 ? (int)left : 0);
}

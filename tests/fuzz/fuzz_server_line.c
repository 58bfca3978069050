/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: what a server sends to libchat.  The first byte chooses how the
 * rest is cut into writes.  Every request that was begun must end exactly once,
 * and every string of an event must be valid.
 */
#include "fuzz.h"

#include <sys/socket.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chat.h"
#include "utf8.h"

#define SERVER_REQUESTS	3
#define SERVER_BYTES	65536	/* fit into a socket */
#define SERVER_WRITES	64	/* at most, so that a round is short */

struct server {
	int	 ends[SERVER_REQUESTS + 1];	/* by id; 0: without an id */
};

/* Look into an event. */
static void
server_event(struct chat *c, const struct chat_event *ev, void *arg)
{
	static const char *const paths[] = { "event", "text", "message", "a.0",
		"exchange.replies.0.text", "", ".", "a..b" };
	struct server	*s = arg;
	const char	*text;
	int64_t		 id = chat_id(ev);
	size_t		 i, n;

	if (id > SERVER_REQUESTS || id < -1)
		abort();
	text = chat_json(ev, &n);
	if ((text == NULL) != (chat_kind(ev) == CHAT_LOST))
		abort();
	if (text != NULL && (text[n] != '\0' || strlen(text) != n ||
	    !utf8_valid(text, n)))
		abort();
	text = chat_text(ev, &n);
	if (text != NULL && (strlen(text) != n || !utf8_valid(text, n)))
		abort();
	for (i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		text = chat_get_string(ev, paths[i]);
		if (text != NULL && !utf8_valid(text, strlen(text)))
			abort();
		chat_get_int(ev, paths[i], 0);
		chat_get_count(ev, paths[i]);
	}
	if (chat_is_last(ev))
		s->ends[id < 0 ? 0 : id]++;
	if (chat_dispatch(c) != CHAT_ERR_USE)
		abort();
}

/* Take everything that n bytes at data say. */
static void
server_play(struct chat *c, int fd, const uint8_t *data, size_t n, size_t step)
{
	struct server	 s = { { 0 } };
	size_t		 k, i, begun = 0;
	int		 r;

	for (i = 0; i < SERVER_REQUESTS; i++)
		if (chat_list(c, 0, 0, server_event, &s) > 0)
			begun++;
	if (step < n / SERVER_WRITES)
		step = n / SERVER_WRITES;
	do {
		k = n < step ? n : step;
		if (k > 0 && send(fd, data, k, MSG_NOSIGNAL) != (ssize_t)k)
			abort();
		data += k;
		n -= k;
		if (k == 0)
			shutdown(fd, SHUT_WR);
	} while ((r = chat_dispatch(c)) >= 0);
	if (chat_error_code(c)[0] == '\0' || chat_error_message(c)[0] == '\0')
		abort();
	if (chat_running(c) != 0 || chat_fd(c) != -1 || chat_dispatch(c) !=
	    CHAT_ERR_CLOSED)
		abort();
	/* An error without an id ends a request, too. */
	for (i = 1; i <= begun; i++)
		if (s.ends[i] > 1 || (s.ends[i] == 0 && s.ends[0] == 0))
			abort();
	if (s.ends[0] > (int)begun)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t	*nl;
	struct chat	*c;
	size_t		 step, n;
	int		 fd[2];

	if (size == 0 || size > SERVER_BYTES)
		return (0);
	step = (size_t)data[0] * 16 + 1;
	data++;
	size--;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == -1 ||
	    (c = chat_new("fuzz")) == NULL)
		abort();
	/* The first line comes before chatd has heard anything. */
	nl = memchr(data, '\n', size);
	n = nl == NULL ? size : (size_t)(nl - data) + 1;
	if (send(fd[1], data, n, MSG_NOSIGNAL) != (ssize_t)n)
		abort();
	if (nl == NULL)
		shutdown(fd[1], SHUT_WR);
	if (chat_connect_fd(c, fd[0], 1000) == 0)
		server_play(c, fd[1], data + n, size - n, step);
	else if (chat_error_code(c)[0] == '\0')
		abort();
	chat_free(c);
	close(fd[1]);
	return (0);
}

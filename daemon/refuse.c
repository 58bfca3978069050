/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chatd that can't start, but got a socket from systemd on which clients
 * wait: each client gets the reason, and its connection is closed. Otherwise
 * the clients would wait for ever, and systemd would start chatd again and
 * again.
 */
#include "chatd.h"

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "xmalloc.h"

#define REFUSE_MS	2000	/* how long clients are answered. chatd is
				 * started at most once in this time, also if
				 * clients reconnect at once; that is far below
				 * TriggerLimitBurst= of a socket */

/* Send the fault to one client, and close its connection. */
static void
refuse_one(int fd, const char *line, size_t len)
{
	char	 dropped[4096];
	ssize_t	 n;

	n = send(fd, line, len, MSG_NOSIGNAL|MSG_DONTWAIT);
	/* Read its lines: otherwise closing would reset the
	 * connection. */
	while (n > 0)
		n = recv(fd, dropped, sizeof dropped, MSG_DONTWAIT);
	close(fd);
}

/* Answer all waiting clients. */
void
refuse_clients(int fd, const struct fault *f)
{
	struct pollfd	 p = { .fd = fd, .events = POLLIN };
	int64_t		 end = clock_monotonic() + REFUSE_MS, now;
	json_t		*msg;
	char		*line;
	size_t		 len;
	int		 s, answered = 0;

	if (fd == -1 || poll(&p, 1, 0) <= 0)
		return;
	msg = msg_error(-1, f);
	line = msg_line(msg, &len);
	json_decref(msg);
	while ((now = clock_monotonic()) < end) {
		if (poll(&p, 1, (int)(end - now)) <= 0)
			continue;
		s = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (s == -1 && errno != EINTR && errno != EAGAIN &&
		    errno != ECONNABORTED)
			break;
		if (s == -1)
			continue;
		refuse_one(s, line, len);
		answered++;
	}
	log_info("reported to %d clients", answered);
	free(line);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chatd that can't start, but was handed a socket on which clients wait:
 * each is told why and sent away.  Without that they would wait for ever, and
 * the service manager would start chatd again and again for them.
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

#define REFUSE_MS	2000	/* how long clients are answered. It also
				 * bounds how often clients that come again at
				 * once can have us started: once in that time,
				 * far below TriggerLimitBurst= of a socket */

/* Tell one client, and close its connection. */
static void
refuse_one(int fd, const char *line, size_t len)
{
	char	 dropped[4096];
	ssize_t	 n;

	n = send(fd, line, len, MSG_NOSIGNAL|MSG_DONTWAIT);
	/* What it has sent is read: else closing would reset the connection. */
	while (n > 0)
		n = recv(fd, dropped, sizeof dropped, MSG_DONTWAIT);
	close(fd);
}

/* Send away whoever waits. */
void
refuse_clients(int fd, const struct fault *f)
{
	struct pollfd	 p = { .fd = fd, .events = POLLIN };
	int64_t		 end = clock_monotonic() + REFUSE_MS, now;
	json_t		*msg;
	char		*line;
	size_t		 len;
	int		 s, told = 0;

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
		told++;
	}
	log_info("%d clients were told so", told);
	free(line);
}

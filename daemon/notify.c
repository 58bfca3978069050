/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocols between systemd and a service, without libsystemd:
 * sd_notify(3), socket activation and the watchdog.
 */
#include "chatd.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "utf8.h"

#define NOTIFY_FD_FIRST 3	/* SD_LISTEN_FDS_START */
#define NOTIFY_WAIT_S	1	/* for a manager that is busy */
#define NOTIFY_TEXT	512	/* bytes of a message */

static char	notify_socket[108];	/* sockaddr_un.sun_path */

/* Send state lines. */
void
notify_send(const char *fmt, ...)
{
	/* systemd accepts no message while ten are waiting. Only READY=1 must
	 * not be lost: without it systemd kills chatd. */
	static const struct timeval wait = { NOTIFY_WAIT_S, 0 };
	struct sockaddr_un	 sa = { .sun_family = AF_UNIX };
	char			 text[NOTIFY_TEXT];
	socklen_t		 len;
	va_list			 ap;
	int			 fd, must;

	if (notify_socket[0] == '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if ((fd = socket(AF_UNIX, SOCK_DGRAM|SOCK_CLOEXEC, 0)) == -1)
		return;
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    strlen(notify_socket));
	memcpy(sa.sun_path, notify_socket, strlen(notify_socket));
	if (sa.sun_path[0] == '@')
		sa.sun_path[0] = '\0';	/* abstract namespace */
	must = strncmp(text, "READY=1", 7) == 0;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL |
	    (must ? 0 : MSG_DONTWAIT), (struct sockaddr *)&sa, len) == -1) {
		if (must)
			log_warn("NOTIFY_SOCKET: READY=1");
		else
			log_debug("NOTIFY_SOCKET: %s", strerror(errno));
	}
	close(fd);
}

/* Send a text for people. It may hold a name or a reason from outside, in which
 * a newline would begin another state line, such as "MAINPID=1". */
void
notify_status(const char *fmt, ...)
{
	char	 text[NOTIFY_TEXT] = "STATUS=", *s;
	size_t	 n = strlen(text);
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(text + n, sizeof text - n, fmt, ap);
	va_end(ap);
	for (s = text + n; *s != '\0'; s++) {
		if ((unsigned char)*s < ' ' || *s == 127)
			*s = '?';
	}
	/* Truncation may have cut a character. */
	text[utf8_whole(text, strlen(text))] = '\0';
	notify_send("%s", text);
}

/* Does the variable hold our own process id? */
static int
notify_is_ours(const char *name)
{
	const char	*s = getenv(name);

	return (s != NULL && strtol(s, NULL, 10) == (long)getpid());
}

/* Take the socket that systemd passed. */
int
notify_listen_fd(int *fd, struct fault *f)
{
	const char	*s = getenv("LISTEN_FDS");
	int		 n = s != NULL ? atoi(s) : 0;
	int		 ours = notify_is_ours("LISTEN_PID"), listening, family;
	socklen_t	 len = sizeof listening;

	*fd = -1;
	if (!ours || n == 0)
		return (0);
	if (n != 1)
		return (fault_set(f, "bad_config", NULL,
		    "LISTEN_FDS: %d sockets passed, expected 1", n));
	listening = 0;
	if (getsockopt(NOTIFY_FD_FIRST, SOL_SOCKET, SO_ACCEPTCONN,
	    &listening, &len) == -1 || !listening)
		return (fault_set(f, "bad_config", NULL, "LISTEN_FDS: "
		    "descriptor %d is not a listening socket",
		    NOTIFY_FD_FIRST));
	len = sizeof family;
	if (getsockopt(NOTIFY_FD_FIRST, SOL_SOCKET, SO_DOMAIN, &family,
	    &len) == -1 || family != AF_UNIX)
		return (fault_set(f, "bad_config", NULL, "LISTEN_FDS: "
		    "descriptor %d is not a Unix socket", NOTIFY_FD_FIRST));
	fcntl(NOTIFY_FD_FIRST, F_SETFD, FD_CLOEXEC);
	*fd = NOTIFY_FD_FIRST;
	return (0);
}

/* Return half the watchdog's time. */
int
notify_watchdog_ms(void)
{
	const char	*s = getenv("WATCHDOG_USEC");
	long long	 us;

	if (s == NULL || (getenv("WATCHDOG_PID") != NULL &&
	    !notify_is_ours("WATCHDOG_PID")))
		return (0);
	us = strtoll(s, NULL, 10);
	return (us < 2000 || us > 3600000000LL ? 0 : (int)(us / 2000));
}

/* Keep the path of the socket, and remove the variables. */
void
notify_forget_environment(void)
{
	static const char *const names[] = { "NOTIFY_SOCKET", "LISTEN_PID",
	    "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID" };
	const char	*s = getenv("NOTIFY_SOCKET");
	size_t		 i;

	if (s != NULL && strlen(s) < sizeof notify_socket)
		memcpy(notify_socket, s, strlen(s) + 1);
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		unsetenv(names[i]);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listening socket: created with the right owner and mode, or passed by
 * systemd. A socket that another process serves is never removed.
 */
#include "chatd.h"

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "path.h"
#include "xmalloc.h"

#define LISTEN_BACKLOG	512
#define LISTEN_BURST	16	/* connections taken at one wake-up */

struct listener {
	struct chatd	*d;		/* borrowed */
	int		 fd;		/* owned */
	int		 lock;		/* owned, -1 with a passed socket */
	char		*path;		/* owned, NULL with a passed socket */
	struct event	*ev;		/* owned */
	struct event	*again;		/* owned: after running out of fds */
	int64_t		 complained;	/* monotonic ms of the last warning */
};

static void	listener_accept(evutil_socket_t, short, void *);
static void	listener_again(evutil_socket_t, short, void *);

/* Lock the file beside the socket: one daemon per path. */
static int
listener_lock(struct listener *l, struct fault *f)
{
	char	*name;
	int	 r = 0;

	name = xasprintf("%s.lock", l->path);
	l->lock = open(name, O_RDWR|O_CREAT|O_CLOEXEC|O_NOFOLLOW, 0600);
	if (l->lock == -1)
		r = fault_set(f, "bad_config", "socket.path", "%s: %s", name,
		    strerror(errno));
	else if (flock(l->lock, LOCK_EX|LOCK_NB) == -1)
		r = fault_set(f, "bad_config", "socket.path",
		    "%s: another chatd serves this socket", l->path);
	free(name);
	return (r);
}

/* Remove the socket of a daemon that has ended; fail on anything else at the
 * path. */
static int
listener_clear(struct listener *l, const struct sockaddr_un *sa,
    struct fault *f)
{
	struct stat	 st;
	int		 fd, e;

	if (lstat(l->path, &st) == -1) {
		if (errno == ENOENT)
			return (0);
		return (fault_set(f, "bad_config", "socket.path", "%s: %s",
		    l->path, strerror(errno)));
	}
	if (!S_ISSOCK(st.st_mode))
		return (fault_set(f, "bad_config", "socket.path",
		    "%s: exists and is not a socket; nothing was touched",
		    l->path));
	if ((fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0)) == -1)
		return (CHAT_ESYSTEM);
	e = connect(fd, (const struct sockaddr *)sa, sizeof *sa) == 0 ? 0 :
	    errno;
	close(fd);
	if (e != ECONNREFUSED)
		return (fault_set(f, "bad_config", "socket.path",
		    "%s: %s", l->path, e == 0 ?
		    "another program serves this socket" : strerror(e)));
	log_info("%s: removing a stale socket", l->path);
	unlink(l->path);
	return (0);
}

/* Give the socket its group. */
static int
listener_group(struct listener *l, struct fault *f)
{
	const char	*name = l->d->config->socket_group;
	struct group	*gr;

	if (name == NULL || name[0] == '\0')
		return (0);
	if ((gr = getgrnam(name)) == NULL)
		return (fault_set(f, "bad_config", "socket.group",
		    "socket.group: there is no group \"%s\"; make it, as "
		    "systemd-sysusers does, or name another", name));
	if (chown(l->path, (uid_t)-1, gr->gr_gid) == -1)
		return (fault_set(f, "bad_config", "socket.group",
		    "%s: group %s: %s", l->path, name, strerror(errno)));
	return (0);
}

/* Make and bind the socket. */
static int
listener_bind(struct listener *l, struct fault *f)
{
	struct sockaddr_un	 sa = { .sun_family = AF_UNIX };
	char			*copy;
	mode_t			 old;
	int			 r;

	if (strlen(l->path) >= sizeof sa.sun_path)
		return (fault_set(f, "bad_config", "socket.path",
		    "%s: %zu bytes, at most %zu fit into a socket's name",
		    l->path, strlen(l->path), sizeof sa.sun_path - 1));
	memcpy(sa.sun_path, l->path, strlen(l->path) + 1);
	copy = xstrdup(l->path);
	if (path_mkdirs(dirname(copy), 0755) != 0) {
		r = fault_set(f, "bad_config", "socket.path",
		    "%s: its folder: %s", l->path, strerror(errno));
		free(copy);
		return (r);
	}
	free(copy);
	if ((r = listener_lock(l, f)) != 0 ||
	    (r = listener_clear(l, &sa, f)) != 0)
		return (r);
	l->fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, 0);
	old = umask((mode_t)(0777 & ~l->d->config->socket_mode));
	r = bind(l->fd, (struct sockaddr *)&sa, sizeof sa);
	umask(old);
	if (r == -1)
		return (fault_set(f, "bad_config", "socket.path", "%s: %s",
		    l->path, strerror(errno)));
	/* Nobody can connect before listen(2). */
	if ((r = listener_group(l, f)) != 0)
		return (r);
	if (listen(l->fd, LISTEN_BACKLOG) == -1)
		return (fault_set(f, "bad_config", "socket.path", "%s: %s",
		    l->path, strerror(errno)));
	return (0);
}

/* Begin to listen. */
int
listener_new(struct chatd *d, int fd, struct listener **out, struct fault *f)
{
	struct listener	*l;
	int		 r;

	l = xcalloc(1, sizeof *l);
	l->d = d;
	l->fd = fd;
	l->lock = -1;
	l->complained = -60000;
	if (fd == -1) {
		l->path = xstrdup(d->config->socket_path);
		if ((r = listener_bind(l, f)) != 0) {
			free(l->path);
			l->path = NULL;	/* not ours to remove */
			listener_free(l);
			return (r);
		}
	}
	evutil_make_socket_nonblocking(l->fd);
	l->ev = event_new(d->base, l->fd, EV_READ|EV_PERSIST,
	    listener_accept, l);
	l->again = evtimer_new(d->base, listener_again, l);
	event_add(l->ev, NULL);
	*out = l;
	return (0);
}

/* Stop listening. */
void
listener_free(struct listener *l)
{
	if (l == NULL)
		return;
	if (l->ev != NULL)
		event_free(l->ev);
	if (l->again != NULL)
		event_free(l->again);
	if (l->path != NULL)
		unlink(l->path);
	if (l->fd != -1)
		close(l->fd);
	if (l->lock != -1)
		close(l->lock);
	free(l->path);
	free(l);
}

/* No descriptor is left: wait a second; warn every ten seconds. */
static void
listener_exhausted(struct listener *l)
{
	struct timeval	 tv = { 1, 0 };

	if (clock_monotonic() - l->complained >= 10000) {
		log_warn("accept: connections wait until others close");
		l->complained = clock_monotonic();
	}
	event_del(l->ev);
	event_add(l->again, &tv);
}

/* Accept the waiting connections. */
static void
listener_accept(evutil_socket_t fd, short what, void *arg)
{
	struct listener	*l = arg;
	int		 i, s;

	(void)what;
	for (i = 0; i < LISTEN_BURST; i++) {
		s = accept4(fd, NULL, NULL, SOCK_CLOEXEC|SOCK_NONBLOCK);
		if (s != -1) {
			client_accept(l->d, s);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS)
			listener_exhausted(l);
		else if (errno != EAGAIN && errno != EINTR &&
		    errno != ECONNABORTED)
			log_warn("accept");
		return;
	}
}

/* The wait is over: listen again. */
static void
listener_again(evutil_socket_t fd, short what, void *arg)
{
	struct listener	*l = arg;

	(void)fd;
	(void)what;
	event_add(l->ev, NULL);
}

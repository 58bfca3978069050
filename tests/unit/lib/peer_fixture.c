/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scripted chatd for unit tests of clients.
 */
#include "peer_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void	peer_begin(struct peer *, const char *, const char *, size_t,
		    int);

/* Write in steps. */
static void
peer_say(struct peer *p, int fd, const char *s)
{
	size_t	 n = strlen(s), k;

	while (n > 0) {
		k = p->step > 0 && p->step < n ? p->step : n;
		if (send(fd, s, k, MSG_NOSIGNAL) == -1)
			return;
		s += k;
		n -= k;
	}
}

/* Serve one client until it closes. */
static void *
peer_run(void *arg)
{
	struct peer	*p = arg;
	size_t		 n = 0, i;
	ssize_t		 k;
	int		 fd, lines = 0, answered = 0;

	if ((fd = accept(p->fd, NULL, NULL)) == -1)
		return (NULL);
	if (p->says != NULL)
		peer_say(p, fd, p->says);
	while (p->says != NULL && (k = read(fd, p->heard + n,
	    sizeof p->heard - 1 - n)) > 0) {
		for (i = 0; i < (size_t)k; i++)
			lines += p->heard[n + i] == '\n';
		n += (size_t)k;
		if (lines >= p->after && p->answers != NULL && !answered) {
			answered = 1;
			peer_say(p, fd, p->answers);
			if (strstr(p->answers, "BYE") != NULL)
				break;
		}
	}
	close(fd);
	return (NULL);
}

/* Begin to listen. */
void
peer_start(struct peer *p, const char *says, const char *answers, size_t step)
{
	peer_begin(p, says, answers, step, 2);
}

/* Begin to listen. */
void
peer_start_after(struct peer *p, int after, const char *answers)
{
	peer_begin(p, PEER_HELLO, answers, 0, after);
}

/* Listen, in a folder of its own. */
static void
peer_begin(struct peer *p, const char *says, const char *answers, size_t step,
    int after)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	const char		*tmp = getenv("TMPDIR");

	memset(p, 0, sizeof *p);
	p->says = says;
	p->answers = answers;
	p->step = step;
	p->after = after;
	snprintf(p->dir, sizeof p->dir, "%s/peer.XXXXXX",
	    tmp == NULL ? "/tmp" : tmp);
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof p->path, "%s/s", p->dir);
	strcpy(sun.sun_path, p->path);
	p->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(p->fd, (struct sockaddr *)&sun, sizeof sun), 0);
	assert_int_equal(listen(p->fd, 4), 0);
	assert_int_equal(pthread_create(&p->thread, NULL, peer_run, p), 0);
}

/* End, after the client has closed. */
void
peer_stop(struct peer *p)
{
	shutdown(p->fd, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->fd);
	unlink(p->path);
	rmdir(p->dir);
}

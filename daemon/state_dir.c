/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state folder.  It is private, and locked, so that two daemons never use
 * the same store.
 */
#include "chatd.h"

#include <sys/file.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"
#include "xmalloc.h"

/* Make and lock the folder. */
int
state_dir_lock(struct chatd *d, struct fault *f)
{
	const char	*dir = d->config->state_dir;
	char		*name;
	int		 fd, e;

	if (d->lock != -1)
		return (0);
	if (path_mkdirs(dir, 0700) != 0) {
		fault_set(f, "store_unavailable", "state_dir",
		    "state_dir: %s: %s", dir, strerror(errno));
		return (CHAT_ESYSTEM);
	}
	name = path_join(dir, "chatd.lock");
	fd = open(name, O_RDWR|O_CREAT|O_CLOEXEC|O_NOFOLLOW, 0600);
	e = errno;
	if (fd == -1)
		fault_set(f, "store_unavailable", "state_dir",
		    "state_dir: %s: %s", name, strerror(e));
	free(name);
	if (fd == -1)
		return (CHAT_ESYSTEM);
	if (flock(fd, LOCK_EX|LOCK_NB) == 0) {
		d->lock = fd;
		return (0);
	}
	e = errno;
	close(fd);
	fault_set(f, "bad_config", "state_dir", "state_dir: %s: %s", dir,
	    e == EWOULDBLOCK ? "another chatd works there" : strerror(e));
	return (e == EWOULDBLOCK ? CHAT_EBUSY : CHAT_ESYSTEM);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a model. Bytes are read with pread, not through a mapping, so
 * that a file that shrinks or a disk that fails causes an error and not a
 * signal.
 */
#include "fileio.h"

#include <sys/stat.h>
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"
#include "xmalloc.h"

#define FILEIO_LINKS_MAX	40	/* the limit of Linux */
#define FILEIO_LINK_MAX		4096	/* bytes of the target of a link, NUL
					 * included */

/* Does the file begin like a Git LFS pointer? */
static int
fileio_is_pointer(int fd, uint64_t size)
{
	static const char	 words[] = "version https://git-lfs";
	char			 start[sizeof words - 1];

	return (size >= sizeof start &&
	    fileio_read(fd, start, sizeof start, 0) == 0 &&
	    memcmp(start, words, sizeof start) == 0);
}

/* Is the owner root or our own account? No other account may change our
 * files. */
static int
fileio_owner(const struct stat *st, const char *path, struct fault *f)
{
	if (st->st_uid == 0 || st->st_uid == geteuid())
		return (0);
	return (fault_set(f, "bad_model", NULL, "%s: belongs to user %u, "
	    "which is neither root nor user %u: chown it, or copy it", path,
	    (unsigned)st->st_uid, (unsigned)geteuid()));
}

/* Return the target of a symbolic link at path in a new string, or NULL if path
 * is not a link. */
static char *
fileio_link(const char *path)
{
	char	 target[FILEIO_LINK_MAX], *folder, *whole;
	ssize_t	 n;

	if ((n = readlink(path, target, sizeof target - 1)) <= 0)
		return (NULL);
	target[n] = '\0';
	folder = path_folder(path);
	whole = path_join(folder, target);
	free(folder);
	return (whole);
}

/*
 * Check that only root and our account can replace the file at path. The folder
 * of the file must pass fileio_trusted. If path is a link, its owner is
 * checked, too, then the folder that the link leads to, and so on.
 */
static int
fileio_way(const char *path, struct fault *f)
{
	struct stat	 st;
	char		*at = xstrdup(path), *folder, *next;
	int		 i, r = 0;

	for (i = 0; i < FILEIO_LINKS_MAX && at != NULL && r == 0; i++) {
		folder = path_folder(at);
		r = fileio_folder(folder, f);
		if (r == 0 && lstat(at, &st) == 0)
			r = fileio_owner(&st, at, f);
		next = fileio_link(at);
		free(folder);
		free(at);
		at = next;
	}
	free(at);
	return (r);
}

/* Open a file. */
int
fileio_open(const char *path, int *fd, uint64_t *size, struct fault *f)
{
	struct stat	 st;
	int		 r;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*fd == -1)
		return (fault_set(f, "bad_model", NULL, "%s: %s", path,
		    strerror(errno)));
	if (fstat(*fd, &st) == -1 || !S_ISREG(st.st_mode))
		r = fault_set(f, "bad_model", NULL, "%s: not a regular file",
		    path);
	else if ((r = fileio_way(path, f)) == 0 &&
	    (r = fileio_trusted(*fd, path, f)) == 0) {
		*size = (uint64_t)st.st_size;
		if (!fileio_is_pointer(*fd, *size))
			return (0);
		r = fault_set(f, "bad_model", NULL, "%s: a Git LFS pointer, "
		    "not the file itself: fetch it with git lfs pull", path);
	}
	close(*fd);
	*fd = -1;
	return (r);
}

/* Read a whole file. */
int
fileio_text(const char *path, size_t max, char **text, size_t *n,
    struct fault *f)
{
	uint64_t	 size;
	char		*buf;
	int		 fd, r;

	if ((r = fileio_open(path, &fd, &size, f)) != 0)
		return (r);
	if (size > max) {
		close(fd);
		return (fault_set(f, "bad_model", NULL, "%s: expected at most "
		    "%zu bytes, found %llu", path, max,
		    (unsigned long long)size));
	}
	buf = xcalloc(1, (size_t)size + 1);
	if ((r = fileio_read(fd, buf, (size_t)size, 0)) == 0) {
		*text = buf;
		*n = (size_t)size;
	} else {
		fault_set(f, "bad_model", NULL, "%s: reading: %s", path,
		    fileio_why(r));
		free(buf);
	}
	close(fd);
	return (r);
}

/* Check a folder. */
int
fileio_folder(const char *path, struct fault *f)
{
	int	 fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), r;

	if (fd == -1)
		return (fault_set(f, "bad_model", NULL, "%s: %s", path,
		    strerror(errno)));
	r = fileio_trusted(fd, path, f);
	close(fd);
	return (r);
}

/* Check that only root and our account can change the open file. */
int
fileio_trusted(int fd, const char *path, struct fault *f)
{
	struct stat	 st;
	int		 r;

	if (fstat(fd, &st) == -1)
		return (fault_set(f, "bad_model", NULL, "%s: %s", path,
		    strerror(errno)));
	if ((r = fileio_owner(&st, path, f)) != 0)
		return (r);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) == 0 ||
	    (S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) != 0))
		return (0);
	return (fault_set(f, "bad_model", NULL, "%s: may be written by %s "
	    "(mode %04o): chmod %s-w it", path, st.st_mode & S_IWOTH ?
	    "anybody" : "its group", st.st_mode & 07777,
	    (st.st_mode & S_IWOTH) == 0 ? "g" :
	    st.st_mode & S_IWGRP ? "go" : "o"));
}

/* Read n bytes at off. If the file ends before, that is an error. */
int
fileio_read(int fd, void *out, size_t n, uint64_t off)
{
	uint8_t	*p = out;
	ssize_t	 got;

	while (n > 0) {
		got = pread(fd, p, n, (off_t)off);
		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return (CHAT_ESYSTEM);
		if (got == 0)
			return (CHAT_EFORMAT);
		p += got;
		n -= (size_t)got;
		off += (uint64_t)got;
	}
	return (0);
}

/* Return why fileio_read failed. */
const char *
fileio_why(int r)
{
	return (r == CHAT_ESYSTEM ? strerror(errno) :
	    "the file has become shorter");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths, folders and small whole files.
 */
#include "path.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "xmalloc.h"

/* Join two paths. */
char *
path_join(const char *a, const char *b)
{
	size_t	 n;

	if (b[0] == '/' || a[0] == '\0')
		return (xstrdup(b));
	n = strlen(a);
	while (n > 0 && a[n - 1] == '/')
		n--;
	return (xasprintf("%.*s/%s", (int)n, a, b));
}

/* Return the part before the last slash. */
char *
path_folder(const char *path)
{
	const char	*slash = strrchr(path, '/');

	if (slash == NULL)
		return (xstrdup("."));
	return (slash == path ? xstrdup("/") : xstrndup(path,
	    (size_t)(slash - path)));
}

/* Remove slashes at the end. */
void
path_trim(char *path)
{
	size_t	 n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		path[--n] = '\0';
}

/* mkdir -p. */
int
path_mkdirs(const char *path, mode_t mode)
{
	char		*copy, *p;
	struct stat	 st;
	int		 r = 0;

	copy = xstrdup(path);
	for (p = copy + 1; r == 0; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		if (*p == '\0') {
			if (mkdir(copy, mode) == -1 && errno != EEXIST)
				r = CHAT_ESYSTEM;
			break;
		}
		*p = '\0';
		if (mkdir(copy, mode) == -1 && errno != EEXIST)
			r = CHAT_ESYSTEM;
		*p = '/';
	}
	free(copy);
	if (r == 0 && (stat(path, &st) == -1))
		r = CHAT_ESYSTEM;
	else if (r == 0 && !S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		r = CHAT_ESYSTEM;
	}
	return (r);
}

/* Remove the entries of a folder. */
static void
path_empty(int fd)
{
	DIR		*d = fdopendir(fd);
	struct dirent	*e;
	int		 sub;

	if (d == NULL) {
		close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0 ||
		    unlinkat(fd, e->d_name, 0) == 0)
			continue;
		sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY |
		    O_NOFOLLOW | O_CLOEXEC);
		if (sub != -1)
			path_empty(sub);
		unlinkat(fd, e->d_name, AT_REMOVEDIR);
	}
	closedir(d);
}

/* rm -r. */
void
path_remove(const char *path)
{
	int	 fd;

	if (unlink(path) == 0)
		return;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd != -1)
		path_empty(fd);
	rmdir(path);
}

/* Read a small file whole. */
int
path_read(const char *path, size_t max, char **buf, size_t *len)
{
	struct stat	 st;
	char		*p = NULL;
	size_t		 n = 0;
	ssize_t		 k;
	int		 fd, r = CHAT_ESYSTEM;

	if ((fd = open(path, O_RDONLY|O_CLOEXEC|O_NONBLOCK)) == -1)
		return (CHAT_ESYSTEM);
	if (fstat(fd, &st) == -1)
		goto out;
	if (!S_ISREG(st.st_mode)) {
		r = CHAT_EFORMAT;
		goto out;
	}
	if (st.st_size < 0 || (size_t)st.st_size > max) {
		r = CHAT_ETOOBIG;
		goto out;
	}
	p = xmalloc((size_t)st.st_size + 1);
	while (n < (size_t)st.st_size) {
		k = read(fd, p + n, (size_t)st.st_size - n);
		if (k == -1 && errno == EINTR)
			continue;
		if (k == -1)
			goto out;
		if (k == 0)
			break;
		n += (size_t)k;
	}
	p[n] = '\0';
	*buf = p;
	*len = n;
	p = NULL;
	r = 0;
out:
	free(p);
	close(fd);
	return (r);
}

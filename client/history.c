/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history file.  Each line is an entry; a newline in it is written as \n, a
 * backslash as two.  The file has mode 0600 and is not opened through a link.
 * Several chats may append to it.  A long file is cut to its newest half.
 */
#include "repl.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"
#include "xmalloc.h"

#define HISTORY_MAX	(1024 * 1024)	/* bytes before the file is cut */

struct history_file {
	int	 fd;			/* owned */
	char	*path;			/* owned */
};

static char	*history_path(void);
static int	 history_check(struct history_file *);
static char	*history_read(struct history_file *, size_t *);
static void	 history_cut(struct history_file *);
static void	 history_unescape(char *);

/* Open the file. */
struct history_file *
history_file_open(int off)
{
	struct history_file	*h;
	const char		*env = getenv("CHATCTL_HISTORY");
	char			*path, *slash;

	if (off || (env != NULL && strcmp(env, "off") == 0) ||
	    (path = history_path()) == NULL)
		return (NULL);
	h = xcalloc(1, sizeof *h);
	h->path = path;
	h->fd = -1;
	slash = strrchr(path, '/');
	*slash = '\0';
	if (path_mkdirs(path, 0700) != 0) {
		term_note("%s: %s: no history is kept", path, strerror(errno));
		goto bad;
	}
	*slash = '/';
	h->fd = open(path, O_RDWR|O_CREAT|O_APPEND|O_NOFOLLOW|O_NONBLOCK|
	    O_CLOEXEC, 0600);
	if (h->fd == -1) {
		term_note("%s: %s: no history is kept", path, errno == ELOOP ?
		    "a symbolic link" : strerror(errno));
		goto bad;
	}
	if (history_check(h) == -1)
		goto bad;
	return (h);
bad:
	history_file_close(h);
	return (NULL);
}

/* Close the file. */
void
history_file_close(struct history_file *h)
{
	if (h == NULL)
		return;
	if (h->fd != -1)
		close(h->fd);
	free(h->path);
	free(h);
}

/* The path of the file, in a new string, or NULL if no folder is known. */
static char *
history_path(void)
{
	const char	*state = getenv("XDG_STATE_HOME");
	const char	*home = getenv("HOME");

	if (state != NULL && *state == '/')
		return (xasprintf("%s/chatd/history", state));
	if (home != NULL && *home == '/')
		return (xasprintf("%s/.local/state/chatd/history", home));
	return (NULL);
}

/* Check that only this user owns and reads the file. 0, or -1, reported. */
static int
history_check(struct history_file *h)
{
	struct stat	 st;

	if (fstat(h->fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_uid != geteuid() || st.st_nlink != 1) {
		term_note("%s: not a regular file that only you own: no "
		    "history is kept",
		    h->path);
		return (-1);
	}
	if ((st.st_mode & 077) != 0 && fchmod(h->fd, 0600) == -1) {
		term_note("%s: %s: no history is kept", h->path,
		    strerror(errno));
		return (-1);
	}
	if (st.st_size > HISTORY_MAX)
		history_cut(h);
	return (0);
}

/* The newest HISTORY_MAX bytes, from the start of a line, in a new string. */
static char *
history_read(struct history_file *h, size_t *len)
{
	struct stat	 st;
	char		*buf, *nl;
	off_t		 from = 0;
	ssize_t		 n;

	if (fstat(h->fd, &st) == 0 && st.st_size > HISTORY_MAX)
		from = st.st_size - HISTORY_MAX;
	buf = xmalloc(HISTORY_MAX + 1);
	n = pread(h->fd, buf, HISTORY_MAX, from);
	*len = n > 0 ? (size_t)n : 0;
	buf[*len] = '\0';
	if (from > 0 && (nl = memchr(buf, '\n', *len)) != NULL) {
		*len -= (size_t)(nl + 1 - buf);
		memmove(buf, nl + 1, *len + 1);
	}
	return (buf);
}

/* Keep the newest half of a long file. A process that ends in between loses
 * the history. */
static void
history_cut(struct history_file *h)
{
	char	*buf, *keep;
	size_t	 len;

	if (flock(h->fd, LOCK_EX|LOCK_NB) == -1)
		return;
	buf = history_read(h, &len);
	keep = memchr(buf + len / 2, '\n', len - len / 2);
	if (keep != NULL && ftruncate(h->fd, 0) == 0 &&
	    write(h->fd, keep + 1, len - (size_t)(keep + 1 - buf)) == -1)
		term_note("%s: %s", h->path, strerror(errno));
	free(buf);
	flock(h->fd, LOCK_UN);
}

/* Undo the escapes of a line, in place. */
static void
history_unescape(char *s)
{
	char	*to = s;

	for (; *s != '\0'; s++) {
		if (*s == '\\' && s[1] != '\0')
			*to++ = *++s == 'n' ? '\n' : *s;
		else
			*to++ = *s;
	}
	*to = '\0';
}

/* Go through the entries. */
void
history_file_each(struct history_file *h, void (*fn)(void *, const char *),
    void *arg)
{
	char	*buf, *line, *nl;
	size_t	 len;

	buf = history_read(h, &len);
	for (line = buf; (nl = strchr(line, '\n')) != NULL; line = nl + 1) {
		*nl = '\0';
		history_unescape(line);
		if (*line != '\0')
			fn(arg, line);
	}
	free(buf);
}

/* Append an entry, in one write. */
void
history_file_add(struct history_file *h, const char *entry)
{
	char	*line, *p;

	if (strlen(entry) > HISTORY_MAX / 8)
		return;
	p = line = xmalloc(strlen(entry) * 2 + 2);
	for (; *entry != '\0'; entry++) {
		if (*entry == '\n' || *entry == '\\')
			*p++ = '\\';
		*p++ = *entry == '\n' ? 'n' : *entry;
	}
	*p++ = '\n';
	if (write(h->fd, line, (size_t)(p - line)) == -1)
		term_note("%s: %s", h->path, strerror(errno));
	free(line);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts to send: from stdin, files, arguments and an editor.  Texts that chatd
 * would refuse (too long, not UTF-8) are reported here, with their place.
 */
#include "chatctl.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"
#include "utf8.h"
#include "xmalloc.h"

#define INPUT_PIECE 65536	/* bytes asked for at once */

static int	input_bytes(const char *, size_t, const char *);
static int	input_run_editor(const char *);

/* Read everything. */
int
input_read(int fd, const char *name, size_t max, char **text)
{
	char	*buf = NULL;
	size_t	 size = 0, n = 0;
	ssize_t	 k;

	for (;;) {
		if (size - n < INPUT_PIECE) {
			size = n + 2 * INPUT_PIECE;
			buf = xreallocarray(buf, size, 1);
		}
		if ((k = read(fd, buf + n, INPUT_PIECE)) == 0)
			break;
		if (k == -1 && errno == EINTR)
			continue;
		if (k == -1) {
			term_error("%s: %s", name, strerror(errno));
			goto bad;
		}
		n += (size_t)k;
		if (n > max) {
			term_error("%s: longer than %zu bytes, the most that "
			    "chatd takes", name, max);
			goto bad;
		}
	}
	buf[n] = '\0';
	if (input_bytes(buf, n, name) != 0)
		goto bad;
	*text = buf;
	return (0);
bad:
	free(buf);
	return (CTL_USAGE);
}

/* Check that n bytes are UTF-8 without NUL. */
static int
input_bytes(const char *s, size_t n, const char *name)
{
	uint32_t	 cp;
	size_t		 i;
	int		 len;

	for (i = 0; i < n; i += (size_t)len) {
		len = utf8_decode(s + i, n - i, &cp);
		if (len <= 0) {
			term_error("%s: not UTF-8 at byte %zu (found 0x%02x)",
			    name, i, (unsigned char)s[i]);
			return (CTL_USAGE);
		}
		if (cp == 0) {
			term_error("%s: a NUL byte at byte %zu; expected text",
			    name, i);
			return (CTL_USAGE);
		}
	}
	return (0);
}

/* Check a string. */
int
input_check(const char *text, const char *name)
{
	return (input_bytes(text, strlen(text), name));
}

/* Join arguments. */
char *
input_join(int argc, char **argv)
{
	char	*text = xstrdup(argc > 0 ? argv[0] : ""), *more;
	int	 i;

	for (i = 1; i < argc; i++) {
		more = xasprintf("%s %s", text, argv[i]);
		free(text);
		text = more;
	}
	return (text);
}

/* Read the value of an option. */
int
input_value(const char *value, const char *name, size_t max, char **text)
{
	int	 fd, r;

	if (strcmp(value, "-") == 0)
		return (input_read(STDIN_FILENO, "stdin", max, text));
	if (*value != '@') {
		*text = xstrdup(value);
		return (input_check(value, name));
	}
	if ((fd = open(value + 1, O_RDONLY|O_CLOEXEC)) == -1) {
		term_error("%s: %s: %s", name, value + 1, strerror(errno));
		return (CTL_USAGE);
	}
	r = input_read(fd, value + 1, max, text);
	close(fd);
	return (r);
}

/* Will stdin end by itself? */
int
input_piped(void)
{
	struct stat	 st;

	return (fstat(STDIN_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) ||
	    S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode)));
}

/* Drop newlines at the end. */
void
input_chomp(char *s)
{
	size_t	 n = strlen(s);

	while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == '\r'))
		s[--n] = '\0';
}

/* Let the user change a text in an editor of their choice. */
char *
input_edit(const char *text)
{
	const char	*dir = getenv("TMPDIR");
	char		*path, *changed = NULL;
	size_t		 len;
	int		 fd;

	path = path_join(dir != NULL && *dir != '\0' ? dir : "/tmp",
	    "chatctl-XXXXXX");
	if ((fd = mkostemp(path, O_CLOEXEC)) == -1) {
		term_error("%s: %s", path, strerror(errno));
		free(path);
		return (NULL);
	}
	len = strlen(text);
	if (write(fd, text, len) != (ssize_t)len)
		term_error("%s: %s", path, strerror(errno));
	else if (input_run_editor(path) == 0 &&
	    (lseek(fd, 0, SEEK_SET) == -1 || close(fd) == -1 ||
	    (fd = open(path, O_RDONLY|O_CLOEXEC|O_NOFOLLOW)) == -1 ||
	    input_read(fd, path, CTL_PROMPT_MAX, &changed) != 0))
		changed = NULL;
	unlink(path);
	free(path);
	if (fd != -1)
		close(fd);
	return (changed);
}

/* Run the editor and wait for it. 0, or -1, reported. */
static int
input_run_editor(const char *path)
{
	const char	*editor = getenv("VISUAL");
	pid_t		 pid;
	int		 status;

	if (editor == NULL || *editor == '\0')
		editor = getenv("EDITOR");
	if (editor == NULL || *editor == '\0')
		editor = "vi";
	if ((pid = fork()) == 0) {
		/* The editor may come with options: the shell splits them. */
		setenv("CHATCTL_EDITOR", editor, 1);
		execl("/bin/sh", "sh", "-c",
		    "eval \"$CHATCTL_EDITOR\" '\"$1\"'", "sh", path,
		    (char *)NULL);
		_exit(127);
	}
	if (pid == -1) {
		term_error("%s: %s", editor, strerror(errno));
		return (-1);
	}
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return (0);
	term_error("%s: the editor ended with status %d; nothing was sent",
	    editor, WIFEXITED(status) ? WEXITSTATUS(status) :
	    128 + WTERMSIG(status));
	return (-1);
}

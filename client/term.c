/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal: colours, messages on stderr, and writing out stdout.
 */
#include "chatctl.h"

#include <sys/ioctl.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "stdfds.h"

#define TERM_NARROW	20	/* narrower terminals are not wrapped */

/* The terminal. Set once, by term_init. */
static struct {
	int	 is[3];		/* fd 1 and 2: a terminal */
	int	 colour[3];
	int	 quiet;
} term;

static void	term_message(const char *, enum role, const char *, va_list);

/* Look at stdout and stderr. */
void
term_init(const char *color, int quiet)
{
	const char	*no = getenv("NO_COLOR"), *type = getenv("TERM");
	int		 fd, able;

	able = (no == NULL || *no == '\0') &&
	    type != NULL && strcmp(type, "dumb") != 0;
	for (fd = 1; fd <= 2; fd++) {
		term.is[fd] = isatty(fd);
		if (strcmp(color, "auto") == 0)
			term.colour[fd] = term.is[fd] && able;
		else
			term.colour[fd] = strcmp(color, "always") == 0;
	}
	term.quiet = quiet;
}

/* Is fd a terminal? */
int
term_is(int fd)
{
	return (term.is[fd]);
}

/* How escapes are shown on fd. */
unsigned
term_mark(int fd)
{
	return (term.colour[fd] ? RENDER_MARK : 0);
}

/* Begin a role. */
const char *
term_on(int fd, enum role role)
{
	static const char *const on[] = {
		[ROLE_PLAIN] = "", [ROLE_DIM] = "\033[2m",
		[ROLE_BOLD] = "\033[1m", [ROLE_BAD] = "\033[31m",
		[ROLE_GOOD] = "\033[32m",
	};

	return (term.colour[fd] ? on[role] : "");
}

/* End a role. */
const char *
term_off(int fd)
{
	return (term.colour[fd] ? "\033[m" : "");
}

/* The terminal's size, or 24 by 80. */
void
term_size(int *rows, int *columns)
{
	struct winsize	 ws;

	*rows = 24;
	*columns = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == -1)
		return;
	if (ws.ws_row > 0)
		*rows = ws.ws_row;
	if (ws.ws_col > 0)
		*columns = ws.ws_col;
}

/* Print words on stdout, broken to the width of the terminal. */
void
term_words(const char *text, int n, int indent)
{
	int	 rows, columns, len;

	term_size(&rows, &columns);
	for (text += strspn(text, " "); *text != '\0';
	    text += strspn(text, " ")) {
		len = (int)strcspn(text, " ");
		if (n > indent && n + 1 + len > columns)
			printf("\n%*s", n = indent, "");
		n += printf("%s%.*s", n > indent ? " " : "", len, text);
		text += len;
	}
	putchar('\n');
}

/* Print a message after n columns of prefix; on a terminal, lines are broken
 * between words. */
static void
term_lines(const char *text, int n)
{
	int	 rows, columns, width;
	size_t	 len;

	term_size(&rows, &columns);
	for (; *text != '\0'; text += len) {
		len = strspn(text, " ");
		len += strcspn(text + len, " ");
		width = render_width(text, len);
		if (term.is[2] && columns >= TERM_NARROW && n > 0 &&
		    n + width > columns) {
			fputc('\n', stderr);
			len -= strspn(text, " ");
			text += strspn(text, " ");
			n = 0;
			width = render_width(text, len);
		}
		fprintf(stderr, "%.*s", (int)len, text);
		n += width;
	}
}

/* Write out stdout, then print one message on stderr. */
static void
term_message(const char *prefix, enum role role, const char *fmt, va_list ap)
{
	char	*text, *safe;

	if (vasprintf(&text, fmt, ap) == -1)
		abort();
	safe = render_line(text);
	stdfds_flush();
	fprintf(stderr, "%s%s", term_on(2, role), prefix);
	term_lines(safe, (int)strlen(prefix));
	fprintf(stderr, "%s\n", term_off(2));
	free(safe);
	free(text);
}

/* Report an error. */
void
term_error(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	term_message("chatctl: ", ROLE_BAD, fmt, ap);
	va_end(ap);
}

/* Report something else. */
void
term_note(const char *fmt, ...)
{
	va_list	 ap;

	if (term.quiet)
		return;
	va_start(ap, fmt);
	term_message(term.is[2] ? "" : "chatctl: ", ROLE_DIM, fmt, ap);
	va_end(ap);
}

/* Flush stdout. */
void
term_flush(void)
{
	stdfds_flush();
}

/* Switch the echo and the line mode of the terminal. */
void
term_echo(int on)
{
	struct termios	 t;

	if (tcgetattr(STDIN_FILENO, &t) == -1)
		return;
	if (on)
		t.c_lflag |= ECHO | ICANON;
	else
		t.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
	tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

/* Print an object. */
void
term_json(const json_t *v)
{
	char	*line;

	/* 15 digits print 0.9 as it was written. */
	line = json_dumps(v, JSON_COMPACT | JSON_REAL_PRECISION(15));
	if (line == NULL)
		abort();	/* parsed JSON can be printed */
	render_json(line, strlen(line), stdout);
	fputc('\n', stdout);
	free(line);
	term_flush();
}

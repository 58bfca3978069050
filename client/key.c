/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single keys from stdin, for chatctl review.
 */
#include "chatctl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "xmalloc.h"

#define KEY_CTRL_D	4

/* Read one character of the input. Returns it, KEY_END or KEY_STOP. */
static int
key_byte(void)
{
	struct pollfd	 p[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
			    { .fd = intr_fd(), .events = POLLIN } };
	unsigned char	 c;
	ssize_t		 n;

	for (;;) {
		if (intr_take() || intr_ended())
			return (KEY_STOP);
		if (poll(p, nitems(p), -1) == -1 && errno != EINTR)
			return (KEY_END);
		if ((p[0].revents & (POLLIN|POLLHUP|POLLERR)) == 0)
			continue;
		n = read(STDIN_FILENO, &c, 1);
		if (n == 1)
			return (c);
		if (n == 0 || errno != EINTR)
			return (KEY_END);
	}
}

/* Read a key. Ctrl-D ends the input, also if it was pressed while the terminal
 * still read lines: then it is read as NUL. */
int
key_read(void)
{
	struct termios	 was, t;
	int		 key, c, raw;

	intr_hold(1);		/* as long as the terminal is changed */
	raw = tcgetattr(STDIN_FILENO, &was) == 0;
	if (raw) {
		t = was;
		t.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
		t.c_cc[VMIN] = 1;
		t.c_cc[VTIME] = 0;
		t.c_cc[VSUSP] = _POSIX_VDISABLE;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
	}
	key = c = key_byte();
	while (!raw && c >= 0 && c != '\n')
		c = key_byte();
	if (c == KEY_STOP)
		key = c;
	else if (raw && (key == KEY_CTRL_D || key == '\0'))
		key = KEY_END;
	if (raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &was);
	intr_hold(0);
	return (key);
}

/* Read a line. */
char *
key_line(void)
{
	char	*line = NULL;
	size_t	 n = 0;
	FILE	*out;
	int	 c;

	if ((out = open_memstream(&line, &n)) == NULL)
		abort();
	intr_hold(1);
	while ((c = key_byte()) >= 0 && c != '\n')
		fputc(c, out);
	intr_hold(0);
	fclose(out);
	if (c < 0) {
		free(line);
		line = NULL;
	}
	return (line);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors 0, 1 and 2: open from the start, and written out at the end.
 */
#include "stdfds.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char	*stdfds_program = "chatd";

/* Open a closed descriptor. open returns the lowest free number, which is
 * this one, since those below it are open. */
static void
stdfds_repair(void)
{
	/* Output must fail if nobody reads it, so the descriptor is opened
	 * for reading only. */
	static const int	 flags[] = { O_RDONLY, O_RDONLY, O_WRONLY };
	int			 fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) != -1 || errno != EBADF)
			continue;
		if (open("/dev/null", flags[fd]) != fd)
			_exit(1);
	}
}

/* Open closed descriptors, and register the flush at exit. */
void
stdfds_init(const char *program)
{
	stdfds_program = program;
	stdfds_repair();
	if (atexit(stdfds_flush) != 0)
		_exit(1);
}

/* Flush standard output. */
void
stdfds_flush(void)
{
	int	 failed = ferror(stdout);

	errno = 0;
	if (fflush(stdout) == 0 && !failed)
		return;
	if (errno == EPIPE) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	/* The errno of an earlier failed write is lost. */
	fprintf(stderr, "%s: standard output: %s\n", stdfds_program,
	    errno != 0 ? strerror(errno) : "write error");
	_exit(1);
}

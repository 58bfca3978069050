/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals.  The handler notes a signal and writes to a pipe, so that poll can
 * wait for signals, the socket and the keyboard without a race.
 */
#include "chatctl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "xmalloc.h"

/* Set by the handler. */
static volatile sig_atomic_t	 hold, pressed, ended, resumed, resized,
				 stopped;
static int			 pipe_fd[2] = { -1, -1 };

static void	intr_handler(int);
static int	intr_clear(volatile sig_atomic_t *);

/* Note a signal, or end the program. */
static void
intr_handler(int sig)
{
	int	 e = errno;

	if (!hold && sig == SIGINT)
		_exit(CTL_INTERRUPTED);
	if (!hold && (sig == SIGTERM || sig == SIGHUP))
		_exit(128 + sig);
	if (sig == SIGINT)
		pressed = 1;
	else if (sig == SIGCONT)
		resumed = 1;
	else if (sig == SIGWINCH)
		resized = 1;
	else if (sig == SIGTSTP)
		stopped = 1;
	else
		ended = sig;
	if (write(pipe_fd[1], "", 1) == -1)
		e = errno == EAGAIN ? e : errno; /* full: poll wakes anyway */
	errno = e;
}

/* Install the handler. */
void
intr_init(void)
{
	static const int	 sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGCONT,
				    SIGWINCH };
	struct sigaction	 sa = { .sa_handler = intr_handler }, was;
	size_t			 i;

	if (pipe2(pipe_fd, O_CLOEXEC|O_NONBLOCK) == -1) {
		term_error("pipe: out of file descriptors");
		exit(CTL_REFUSED);
	}
	sigemptyset(&sa.sa_mask);
	for (i = 0; i < nitems(sigs); i++)
		/* A signal that nohup or a shell ignores stays ignored. */
		if (sigaction(sigs[i], NULL, &was) == 0 &&
		    was.sa_handler != SIG_IGN)
			sigaction(sigs[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Note Ctrl-C, or let it end the program. */
int
intr_hold(int on)
{
	int	 was = hold;

	hold = on;
	return (was);
}

/* Note Ctrl-Z, or let it stop the program. */
void
intr_hold_stop(int on)
{
	struct sigaction	 sa = { .sa_handler = on ? intr_handler :
				    SIG_DFL }, was;

	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGTSTP, NULL, &was) == 0 && was.sa_handler != SIG_IGN)
		sigaction(SIGTSTP, &sa, NULL);
}

/* The descriptor to poll. */
int
intr_fd(void)
{
	return (pipe_fd[0]);
}

/* Return and clear a note, and empty the pipe. */
static int
intr_clear(volatile sig_atomic_t *note)
{
	char	 sink[64];

	while (read(pipe_fd[0], sink, sizeof sink) > 0)
		;
	if (!*note)
		return (0);
	*note = 0;
	return (1);
}

/* Was Ctrl-C pressed? */
int
intr_take(void)
{
	return (intr_clear(&pressed));
}

/* The signal that ends the program, or 0. */
int
intr_ended(void)
{
	return (ended);
}

/* Was Ctrl-Z pressed? */
int
intr_stopped(void)
{
	return (intr_clear(&stopped));
}

/* Were we stopped? */
int
intr_resumed(void)
{
	return (intr_clear(&resumed));
}

/* Has the terminal another size? */
int
intr_resized(void)
{
	return (intr_clear(&resized));
}

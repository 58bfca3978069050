/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long output on a terminal goes through a pager: $CHATCTL_PAGER, else
 * $PAGER, else less -FIRX.  An empty value or "cat" means no pager.
 */
#include "chatctl.h"

#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *pager_command(void);
static int	pager_long(const struct pager *);
static int	pager_run(const struct pager *, const char *);

/* Begin a list. */
FILE *
pager_open(struct pager *p, int wanted)
{
	memset(p, 0, sizeof *p);
	p->out = stdout;
	if (wanted && term_is(1) && pager_command() != NULL &&
	    (p->out = open_memstream(&p->text, &p->length)) == NULL)
		abort();
	return (p->out);
}

/* End a list. */
void
pager_close(struct pager *p)
{
	if (p->out != stdout) {
		fclose(p->out);
		if (!pager_long(p) || pager_run(p, pager_command()) == -1)
			fwrite(p->text, 1, p->length, stdout);
		free(p->text);
	}
	term_flush();
}

/* The pager's command line, or NULL for none. */
static const char *
pager_command(void)
{
	const char	*cmd = getenv("CHATCTL_PAGER");

	if (cmd == NULL)
		cmd = getenv("PAGER");
	if (cmd == NULL)
		cmd = "less -FIRX";
	return (*cmd == '\0' || strcmp(cmd, "cat") == 0 ? NULL : cmd);
}

/* Is the text longer than the screen? Each byte counts as a column. */
static int
pager_long(const struct pager *p)
{
	size_t	 i, column = 0;
	int	 rows, columns, used = 1;

	term_size(&rows, &columns);
	for (i = 0; i < p->length; i++) {
		if (p->text[i] == '\n' || ++column > (size_t)columns) {
			used++;
			column = 0;
		}
	}
	return (used > rows);
}

/* Show the text in the pager. 0, or -1 if the pager can't be started. */
static int
pager_run(const struct pager *p, const char *cmd)
{
	FILE	*to;
	pid_t	 pid;
	int	 fd[2], status;

	fflush(stdout);
	if (pipe(fd) == -1)
		return (-1);
	if ((pid = fork()) == 0) {
		dup2(fd[0], STDIN_FILENO);
		close(fd[0]);
		close(fd[1]);
		signal(SIGPIPE, SIG_DFL);
		setenv("LESS", "FIRX", 0);
		execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
		_exit(127);
	}
	close(fd[0]);
	if (pid == -1) {
		close(fd[1]);
		return (-1);
	}
	intr_hold(1);		/* the pager handles Ctrl-C */
	to = fdopen(fd[1], "w");
	if (to == NULL)
		close(fd[1]);
	else {
		fwrite(p->text, 1, p->length, to);
		fclose(to);
	}
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	(void)intr_take();
	return (WIFEXITED(status) && WEXITSTATUS(status) == 127 ? -1 : 0);
}

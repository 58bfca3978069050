/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PID namespace for the process that runs plugins.  Root may create one;
 * other users may if the kernel lets them create a user namespace with it.
 * There are two processes then: the one that chatd has started waits outside;
 * the other one runs the plugins, has PID 1 inside and sees no other process.
 */
#include <config.h>

#include "filter.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

/* The thread sanitizer does not support a direct call of clone. */
#ifdef __has_feature
#define CLANG_TSAN	__has_feature(thread_sanitizer)
#else
#define CLANG_TSAN	0
#endif
#if defined(__SANITIZE_THREAD__) || CLANG_TSAN
#define NEST_POSSIBLE	0
#else
#define NEST_POSSIBLE	1
#endif

static void	nest_wait(pid_t) __attribute__((noreturn));

/* Write one line to a file below /proc/self. */
static int
nest_write(const char *path, const char *text)
{
	int	 fd, r;

	if ((fd = open(path, O_WRONLY|O_CLOEXEC)) == -1)
		return (-1);
	r = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	close(fd);
	return (r);
}

/* Keep uid and gid in a new user namespace. */
static int
nest_map(uid_t uid, gid_t gid)
{
	char	 map[64];

	snprintf(map, sizeof map, "%u %u 1\n", (unsigned)uid, (unsigned)uid);
	if (nest_write("/proc/self/uid_map", map) == -1 ||
	    nest_write("/proc/self/setgroups", "deny\n") == -1)
		return (-1);
	snprintf(map, sizeof map, "%u %u 1\n", (unsigned)gid, (unsigned)gid);
	return (nest_write("/proc/self/gid_map", map));
}

/*
 * Start the process inside. Returns 1 in it; outside 0 with *pid set, or -1
 * with errno set. The process inside writes a byte when it is set up.
 */
static int
nest_clone(int flags, pid_t *pid)
{
	uid_t	 uid = geteuid();
	gid_t	 gid = getegid();
	int	 fd[2], r = -1;
	char	 c = 0;

	if (pipe2(fd, O_CLOEXEC) == -1)
		return (-1);
	*pid = (pid_t)syscall(SYS_clone, (unsigned long)(flags|SIGCHLD), 0UL,
	    0UL, 0UL, 0UL);
	if (*pid == 0) {
		if ((flags & CLONE_NEWUSER) != 0 && nest_map(uid, gid) != 0)
			_exit(1);
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (write(fd[1], "", 1) != 1)
			_exit(1);
		r = 1;
	} else if (*pid > 0) {
		close(fd[1]);
		fd[1] = -1;
		while ((r = (int)read(fd[0], &c, 1)) == -1 && errno == EINTR)
			;
		if (r != 1)
			waitpid(*pid, NULL, 0);
		errno = EPERM;
		r = r == 1 ? 0 : -1;
	}
	close(fd[0]);
	if (fd[1] != -1)
		close(fd[1]);
	return (r);
}

/* Wait for the process inside, and end in the same way. */
static void
nest_wait(pid_t pid)
{
	const struct rlimit	 none = { 0, 0 };
	int			 status, sig;

	/* Leave the channel to the process inside: chatd must see its end. */
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	while (waitpid(pid, &status, 0) == -1) {
		if (errno != EINTR)
			_exit(1);
	}
	sig = WIFSIGNALED(status) ? WTERMSIG(status) :
	    WEXITSTATUS(status) > NEST_SIGNAL ?
	    WEXITSTATUS(status) - NEST_SIGNAL : 0;
	if (sig == 0)
		_exit(WEXITSTATUS(status));
	setrlimit(RLIMIT_CORE, &none);
	signal(sig, SIG_DFL);
	raise(sig);
	_exit(1);
}

/* Continue inside. */
int
nest_enter(void)
{
	pid_t	 pid;
	int	 r;

	if (!NEST_POSSIBLE)
		return (0);
	if ((r = nest_clone(CLONE_NEWPID|CLONE_NEWIPC, &pid)) == -1)
		r = nest_clone(CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWIPC, &pid);
	if (r == 0)
		nest_wait(pid);
	if (r == -1)
		log_debug("sandbox: no namespace of processes here: %s",
		    strerror(errno));
	return (r == 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls are refused with seccomp filters. They need no library in front
 * of libc, and they apply to every later thread.
 */
#include "faults.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Set a filter. */
int
faults_refuse(const struct refusal *c)
{
	const uint32_t	 at = (uint32_t)(offsetof(struct seccomp_data, args) +
			    8 * (size_t)c->arg +
			    (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0));
	struct sock_filter	 code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)c->call, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, c->mask),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, c->value, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO |
		    (uint32_t)c->error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	};
	struct sock_fprog	 prog = { sizeof code / sizeof code[0],
		code };

	return (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0);
}

/* Run something in a child. */
int
faults_child(int (*run)(void *), void *arg)
{
	pid_t	 pid;
	int	 status;

	fflush(NULL);
	if ((pid = fork()) == 0)
		_exit(run(arg));
	assert_int_not_equal(pid, -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return (WIFSIGNALED(status) ? -WTERMSIG(status) :
	    WEXITSTATUS(status));
}

/* Write a line to a file of /proc. */
static int
faults_line(const char *path, const char *line)
{
	int	 fd = open(path, O_WRONLY | O_CLOEXEC), done;

	if (fd == -1)
		return (0);
	done = write(fd, line, strlen(line)) == (ssize_t)strlen(line);
	close(fd);
	return (done);
}

/* A mount namespace of our own. */
int
faults_mounts(void)
{
	char	 line[32];

	snprintf(line, sizeof line, "0 %ld 1\n", (long)getuid());
	if (unshare(CLONE_NEWNS) == -1 &&
	    (unshare(CLONE_NEWUSER | CLONE_NEWNS) == -1 ||
	    !faults_line("/proc/self/uid_map", line)))
		return (0);
	return (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

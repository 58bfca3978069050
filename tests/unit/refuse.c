/*
 * Refusals are seccomp filters of the kernel: they need no library in front of
 * libc and reach every thread that comes later.
 */
#include "refuse.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

/* Set a filter. */
int
refuse(const struct refusal *c)
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
refuse_child(int (*run)(void *), void *arg)
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

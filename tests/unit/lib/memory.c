/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peak of a child's memory.
 */
#include <config.h>

#include "memory.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

/* Does a sanitizer take memory of its own? */
static int
memory_is_known(void)
{
#ifdef WITH_SANITIZER
	return (0);
#else
	return (1);
#endif
}

/* Run it in a child. */
void
memory_run(int (*run)(void *), void *arg, long limit)
{
	struct rusage	 used;
	pid_t		 pid;
	int		 status;

	fflush(NULL);
	if ((pid = fork()) == 0)
		_exit(run(arg) == 1 ? 0 : 1);
	assert_int_not_equal(pid, -1);
	assert_int_equal(wait4(pid, &status, 0, &used), pid);
	if (status != 0)
		fail_msg("status %x in the child", status);
	if (memory_is_known() && used.ru_maxrss > limit * 1024)
		fail_msg("%ld KiB at the peak, expected at most %ld MiB",
		    used.ru_maxrss, limit);
}

/*
 * For tests: calls of the system that the kernel refuses, so that each can be
 * seen to fail.
 */
#ifndef TEST_REFUSE_H
#define TEST_REFUSE_H

#include <stdint.h>

struct refusal {
	long		 call;		/* SYS_... */
	int		 arg;		/* only where this argument, from 0... */
	uint32_t	 mask, value;	/* ...and mask is value */
	int		 error;		/* errno that it gives */
};

/* From now on the kernel refuses that call to this process, for good: for a
 * child. 0 where the kernel can't. */
int	refuse(const struct refusal *c);

/* Run run(arg) in a child, which may do to itself what it likes: its exit
 * status, or minus the signal that ended it. */
int	refuse_child(int (*run)(void *), void *arg);

#endif

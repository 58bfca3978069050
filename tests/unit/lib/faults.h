/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: children for which the machine does not do its part.
 */
#ifndef TEST_FAULTS_H
#define TEST_FAULTS_H

#include <stdint.h>

/* Run run(arg) in a child, which may do to itself what it likes: its exit
 * status, or minus the signal that ended it. */
int	faults_child(int (*run)(void *), void *arg);

/* A call of the system that fails. */
struct refusal {
	long		 call;		/* SYS_... */
	int		 arg;		/* only where this argument, from 0... */
	uint32_t	 mask, value;	/* ...and mask is value */
	int		 error;		/* errno that it gives */
};

/* In a child: from now on the kernel refuses that call, for good. 0 where the
 * kernel can't. */
int	faults_refuse(const struct refusal *c);

/* In a child: mounts that nobody else sees, as root or as the root of a user
 * namespace. 0 where that can't be had. */
int	faults_mounts(void);

#endif

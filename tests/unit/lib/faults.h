/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of system failures: runs a function in a child, makes the kernel
 * refuse a system call there, and gives it a mount namespace of its own.
 */
#ifndef TEST_FAULTS_H
#define TEST_FAULTS_H

#include <stdint.h>

/* Run run(arg) in a child, which may change its own process as it likes.
 * Returns its exit status, or minus the signal that ended it. */
int	faults_child(int (*run)(void *), void *arg);

/* A system call that fails. */
struct refusal {
	long		 call;		/* SYS_... */
	int		 arg;		/* only if this argument, from 0, */
	uint32_t	 mask, value;	/* masked with mask, is value */
	int		 error;		/* errno of the failure */
};

/* In a child: the kernel refuses that call from now on. Returns 0 if the kernel
 * does not support it. */
int	faults_refuse(const struct refusal *c);

/* In a child: later mounts are private, as root or as the root of a user
 * namespace. Returns 0 if that is not possible. */
int	faults_mounts(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of system calls, for code that makes a sandbox.
 */
#ifndef CONFINE_LIST_H
#define CONFINE_LIST_H

#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One line of a list of system calls. A condition compares all 64 bits of an
 * argument. But of a descriptor, a signal or a process id the kernel uses the
 * low 32 bits only. So compare these for equality, never by "not" or "more
 * than": other high bits would get around such a condition.
 */
struct confine_rule {
	const char		*name;
	uint32_t		 action;	/* SCMP_ACT_... */
	unsigned		 n;		/* conditions, all must hold */
	struct scmp_arg_cmp	 arg[3];
};

#define CONFINE_OK		SCMP_ACT_ALLOW
#define CONFINE_ERR(e)		SCMP_ACT_ERRNO(e)
#define CONFINE_IS(i, value)	{ i, SCMP_CMP_EQ, value, 0 }
#define CONFINE_BITS(i, mask, value) { i, SCMP_CMP_MASKED_EQ, mask, value }

/*
 * Begin a list. A call that no rule names gets the action otherwise. A program
 * of another architecture is killed. *out is owned (seccomp_release). 0, or
 * -errno.
 */
int	confine_begin(uint32_t otherwise, scmp_filter_ctx *out);

/* Add n rules. Names that the library doesn't know are skipped. 0, or
 * -errno. */
int	confine_add(scmp_filter_ctx ctx, const struct confine_rule *rules,
	    size_t n);

#endif

/*
 * What the sandboxes of the helpers share: lists of system calls, limits,
 * privileges, and the whole sandbox of a helper that runs our own code.
 * Plugins have a tighter one, plugins/sandbox.c.
 */
#ifndef CONFINE_H
#define CONFINE_H

#include <sys/resource.h>

#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "landlock.h"

/*
 * One line of a list of system calls. Conditions compare all 64 bits of an
 * argument, while the kernel looks at the low 32 of a descriptor, a signal or
 * a process: so such arguments are compared for equality, never by "not" or
 * "more than".
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
 * Begin a list: what no rule names gets the action otherwise, a program of
 * another architecture ends. *out is owned (seccomp_release). 0, or -errno.
 */
int	confine_begin(uint32_t otherwise, scmp_filter_ctx *out);

/* Add n rules; names that the library doesn't know are passed over. 0, or
 * -errno. */
int	confine_add(scmp_filter_ctx ctx, const struct confine_rule *rules,
	    size_t n);

/* Lower a limit (RLIMIT_...), hard and soft, as far as it isn't lower. */
void	confine_limit(int what, rlim_t value);

/*
 * No capabilities, no new privileges, no core files, and no process of the
 * same user may look in (but where a sanitizer must). 0, or -errno.
 */
int	confine_privileges(void);

/* The kinds of sandbox that confine_self makes. */
enum confine_kind {
	CONFINE_STORE,		/* one thread; changes files */
	CONFINE_ENGINE,		/* threads; only reads files */
	CONFINE_ENGINE_PIN,	/* the same, and places its threads */
	CONFINE_ENGINE_GPU,	/* a driver's libraries: only what is never
				 * needed is refused; paths do not count */
};

/*
 * Put the calling process, which has one thread yet, into a sandbox for the
 * rest of its life: no other programs and processes, no sockets, no files but
 * those at or below the n paths and the system's libraries. What is refused
 * fails with EPERM or EACCES. Where the kernel can't do a part of it, that is
 * told in the log and the rest done.
 */
void	confine_self(enum confine_kind kind, const struct landlock_path *paths,
	    size_t n);

#endif

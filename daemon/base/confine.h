/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sandboxes of the helpers share: limits and privileges, and the
 * whole sandbox of a helper that runs our own code.  Plugins have a tighter
 * one, plugins/host/sandbox.c.  Lists of system calls are in confine_list.h.
 */
#ifndef CONFINE_H
#define CONFINE_H

#include <sys/resource.h>

#include <stddef.h>
#include <stdint.h>

#include "landlock.h"

/* Lower a limit (RLIMIT_...), hard and soft, as far as it isn't lower. */
void	confine_limit(int what, rlim_t value);

/*
 * No new privileges, no core files, no capabilities but those of the set keep
 * (bits 1 << CAP_..., 0 for none) that the process has, and no process of the
 * same user may look in (but where a sanitizer must). 0, or -errno.
 */
int	confine_privileges(uint32_t keep);

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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sandboxes for the helpers.  confine_self makes the whole sandbox of the store
 * or the engine, which run only code of this project.  The sandbox of plugins
 * is tighter (plugins/host/sandbox.c); it uses the functions for limits and
 * privileges here, and the lists of system calls of confine_list.h.
 */
#ifndef CONFINE_H
#define CONFINE_H

#include <sys/resource.h>

#include <stddef.h>
#include <stdint.h>

#include "landlock.h"

/* Lower a limit (RLIMIT_...), hard and soft, unless it is lower already. */
void	confine_limit(int what, rlim_t value);

/*
 * Give up privileges: no new privileges, no core files, no capabilities except
 * those of the set keep (bits 1 << CAP_..., 0 for none). Other processes of the
 * same user can't trace this one, except in a build with a sanitizer, which
 * needs that. Returns 0 or -errno.
 */
int	confine_privileges(uint32_t keep);

/* The kinds of sandbox that confine_self makes. */
enum confine_kind {
	CONFINE_STORE,		/* one thread; changes files */
	CONFINE_ENGINE,		/* threads; only reads files */
	CONFINE_ENGINE_PIN,	/* the same, and pins threads to cores */
	CONFINE_ENGINE_GPU,	/* with libraries of a driver: refuses only
				 * calls that nothing needs; all files are
				 * allowed */
};

/*
 * Put the calling process into a sandbox for the rest of its life. It must have
 * one thread at this time. The sandbox forbids other programs, processes and
 * sockets, and all files except those at or below the n paths and the files of
 * the system's libraries. A forbidden call fails with EPERM or EACCES. If the
 * kernel can't do a part of it, the log says so and the other parts are done.
 */
void	confine_self(enum confine_kind kind, const struct landlock_path *paths,
	    size_t n);

#endif

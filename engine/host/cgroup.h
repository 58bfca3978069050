/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control groups that this process is in, of either version (cgroups(7)).
 */
#ifndef CPU_CGROUP_H
#define CPU_CGROUP_H

#include <stdint.h>

/*
 * Call fn for each group that limits this process's use of controller, as
 * "memory", from its own up to the root: with the folder of its files, and
 * which version their names are of.
 */
void	 cgroup_each(const char *controller, void (*fn)(void *arg,
	    const char *folder, int version), void *arg);

/*
 * The number behind word at the start of a line of a file; with word "", the
 * number the file begins with. -1 where there is none, as for "max".
 */
int64_t	 cgroup_number(const char *path, const char *word);

/* The same for folder/name. */
int64_t	 cgroup_file(const char *folder, const char *name, const char *word);

#endif

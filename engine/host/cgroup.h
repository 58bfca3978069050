/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control groups that this process is in, of version 1 or 2 (cgroups(7)).
 */
#ifndef HOST_CGROUP_H
#define HOST_CGROUP_H

#include <stdint.h>

/*
 * Call fn for each group that limits this process's use of controller
 * ("memory", "cpu"), from its own up to the root, with the folder of the
 * group's files and the version (1 or 2) of their names.
 */
void	 cgroup_each(const char *controller, void (*fn)(void *arg,
	    const char *folder, int version), void *arg);

/*
 * The number after word at the start of a line of a file; with word "", the
 * number at the start of the file. -1 if there is none, as for "max".
 */
int64_t	 cgroup_number(const char *path, const char *word);

/* The same for folder/name. */
int64_t	 cgroup_file(const char *folder, const char *name, const char *word);

#endif

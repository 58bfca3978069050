/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock by system call: files below given paths, and nothing else.
 */
#ifndef LANDLOCK_H
#define LANDLOCK_H

#include <stddef.h>

struct landlock_path {
	char	*path;		/* of a file, or a folder with all below */
	int	 write;		/* files may be made, changed and removed */
};

/*
 * From now on the calling thread, and those that it starts, can open files
 * and folders only at or below the n paths (those that don't exist are passed
 * over), and only to read where write is 0; where the kernel knows it, TCP
 * and signals to processes outside are refused too. What is open stays open.
 * The process must have no_new_privs. Returns the kernel's ABI (1 and up), or
 * -errno with nothing changed (-ENOSYS, -EOPNOTSUPP: the kernel has none).
 */
int	landlock_restrict(const struct landlock_path *paths, size_t n);

#endif

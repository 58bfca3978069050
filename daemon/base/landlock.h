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
 * From now on the calling thread, and threads that it starts, can open only
 * files and folders at or below the n paths, and can only read those whose
 * write is 0. Paths that don't exist are skipped. If the kernel can, it also
 * refuses TCP and signals to processes outside. Open descriptors stay open. The
 * process must have no_new_privs. Returns the kernel's ABI (1 and up), or
 * -errno with nothing changed (-ENOSYS, -EOPNOTSUPP: the kernel has none).
 */
int	landlock_restrict(const struct landlock_path *paths, size_t n);

#endif

/*
 * Landlock by system call: reading below given paths, and nothing else.
 */
#ifndef LANDLOCK_H
#define LANDLOCK_H

#include <stddef.h>

/*
 * From now on this process can open files and folders only to read, and only
 * at or below the n paths (those that don't exist are passed over); where
 * the kernel knows it, TCP and signals to processes outside are refused too.
 * The process must have no_new_privs. Returns the kernel's ABI (1 and up), or
 * -errno with nothing changed (-ENOSYS, -EOPNOTSUPP: the kernel has none).
 */
int	landlock_restrict(const char *const *paths, size_t n);

#endif

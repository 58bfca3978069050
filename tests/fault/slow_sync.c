/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaded in front of a program (LD_PRELOAD) by the benchmarks: each sync of a
 * file takes SLOW_SYNC_MS longer, as on a slower disk.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

int	fdatasync(int fd);
int	fsync(int fd);

/* Wait, then make the real call. */
static int
slow_sync(const char *name, int fd)
{
	const char	*ms = getenv("SLOW_SYNC_MS");
	int		(*sync_call)(int);

	usleep(ms == NULL ? 0 : (useconds_t)atoi(ms) * 1000);
	*(void **)&sync_call = dlsym(RTLD_NEXT, name);
	return (sync_call(fd));
}

/* In the place of the C library's. */
int
fdatasync(int fd)
{
	return (slow_sync("fdatasync", fd));
}

/* In the place of the C library's. */
int
fsync(int fd)
{
	return (slow_sync("fsync", fd));
}

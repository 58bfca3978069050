/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock by system call. The structs are defined here, since the system
 * headers at build time may be older than the kernel at run time.
 */
#include "landlock.h"

#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset	444
#define SYS_landlock_add_rule		445
#define SYS_landlock_restrict_self	446
#endif

#define LANDLOCK_ASK_VERSION	1u
#define LANDLOCK_PATH_BENEATH	1
#define LANDLOCK_WRITE_FILE	(1ull << 1)
#define LANDLOCK_READ_FILE	(1ull << 2)
#define LANDLOCK_READ_DIR	(1ull << 3)
#define LANDLOCK_REMOVE_FILE	(1ull << 5)
#define LANDLOCK_MAKE_REG	(1ull << 8)
#define LANDLOCK_TRUNCATE	(1ull << 14)	/* ABI 3 */

struct landlock_rules {
	uint64_t	 fs;		/* ABI 1: rights taken away */
	uint64_t	 net;		/* ABI 4 */
	uint64_t	 scoped;	/* ABI 6 */
};

struct landlock_beneath {
	uint64_t	 rights;
	int32_t		 fd;
} __attribute__((packed));

/* How many rights to files each ABI knows: execute, write, read, ... */
static uint64_t
landlock_all_rights(int abi)
{
	int	 n = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;

	return ((1ull << n) - 1);
}

/* Allow one path. all is the set of rights that the kernel knows. 0, or
 * -errno. */
static int
landlock_add(int rules, const struct landlock_path *path, uint64_t all)
{
	struct landlock_beneath	 p = { .rights = LANDLOCK_READ_FILE };
	struct stat		 st;
	int			 r = 0;

	if ((p.fd = open(path->path, O_PATH|O_CLOEXEC)) == -1)
		return (0);	/* not there, or not ours to read anyway */
	if (path->write)
		p.rights |= LANDLOCK_WRITE_FILE|LANDLOCK_TRUNCATE;
	if (fstat(p.fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		p.rights |= LANDLOCK_READ_DIR;
		if (path->write)
			p.rights |= LANDLOCK_MAKE_REG|LANDLOCK_REMOVE_FILE;
	}
	p.rights &= all;
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_PATH_BENEATH, &p,
	    0) == -1)
		r = -errno;
	close(p.fd);
	return (r);
}

/* Restrict this process. */
int
landlock_restrict(const struct landlock_path *paths, size_t n)
{
	struct landlock_rules	 want = { 0 };
	size_t			 i, size;
	long			 abi;
	int			 rules, r = 0;

	abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_ASK_VERSION);
	if (abi <= 0)
		return (abi == -1 ? -errno : -ENOSYS);
	want.fs = landlock_all_rights((int)abi);
	want.net = abi >= 4 ? 3 : 0;	/* bind and connect TCP */
	want.scoped = abi >= 6 ? 3 : 0;	/* abstract sockets, signals */
	size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
	rules = (int)syscall(SYS_landlock_create_ruleset, &want, size, 0);
	if (rules == -1)
		return (-errno);
	for (i = 0; r == 0 && i < n; i++)
		r = landlock_add(rules, &paths[i], want.fs);
	if (r == 0 && syscall(SYS_landlock_restrict_self, rules, 0) == -1)
		r = -errno;
	close(rules);
	return (r != 0 ? r : (int)abi);
}

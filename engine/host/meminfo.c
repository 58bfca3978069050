/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the free memory from /proc and the cgroup files.
 */
#include "meminfo.h"

#include <sys/resource.h>

#include "cgroup.h"

/* Lower *arg to the bytes that a cgroup leaves. */
static void
meminfo_cgroup(void *arg, const char *folder, int version)
{
	int64_t	*least = arg, limit, used, cache;

	if (version == 2) {
		limit = cgroup_file(folder, "memory.max", "");
		used = cgroup_file(folder, "memory.current", "");
		cache = cgroup_file(folder, "memory.stat", "inactive_file");
	} else {
		limit = cgroup_file(folder, "memory.limit_in_bytes", "");
		used = cgroup_file(folder, "memory.usage_in_bytes", "");
		cache = cgroup_file(folder, "memory.stat",
		    "total_inactive_file");
	}
	if (cache > 0 && used >= cache)
		used -= cache;
	if (limit >= 0 && used >= 0 && limit < INT64_MAX / 2) {
		limit = limit > used ? limit - used : 0;
		*least = limit < *least ? limit : *least;
	}
}

/* The bytes that the limit of address space leaves, or INT64_MAX. */
static int64_t
meminfo_limit(void)
{
	struct rlimit	 rl;
	int64_t		 used = cgroup_number("/proc/self/status",
			    "VmSize:") * 1024;

	if (getrlimit(RLIMIT_AS, &rl) == -1 || rl.rlim_cur == RLIM_INFINITY ||
	    rl.rlim_cur > INT64_MAX || used < 0)
		return (INT64_MAX);
	return ((int64_t)rl.rlim_cur > used ? (int64_t)rl.rlim_cur - used : 0);
}

/* The smallest of these limits. */
int64_t
meminfo_free(void)
{
	int64_t	 least = cgroup_number("/proc/meminfo", "MemAvailable:"), v;

	least = least < 0 ? INT64_MAX : least * 1024;
	cgroup_each("memory", meminfo_cgroup, &least);
	v = meminfo_limit();
	return (v < least ? v : least);
}

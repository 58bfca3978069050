/*
 * The kernel's word on memory, from /proc and the cgroup files.
 */
#include "meminfo.h"

#include <sys/resource.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

/* Where each kind of cgroup is mounted, and what its files are called. */
static const struct meminfo_cgroup {
	const char	*line;		/* in /proc/self/cgroup, behind N */
	const char	*mount, *limit, *usage, *cache;
} meminfo_cgroups[] = {
	{ "::", "/sys/fs/cgroup", "memory.max", "memory.current",
	    "inactive_file" },
	{ ":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes",
	    "memory.usage_in_bytes", "total_inactive_file" }
};

/*
 * The number behind word at the start of a line of a file; with word "", the
 * number the file begins with. -1 where there is none.
 */
static int64_t
meminfo_number(const char *path, const char *word)
{
	FILE	*fp = fopen(path, "re");
	char	 line[256], *end;
	size_t	 n = strlen(word);
	int64_t	 v = -1;

	if (fp == NULL)
		return (-1);
	while (v < 0 && fgets(line, sizeof line, fp) != NULL) {
		if (strncmp(line, word, n) != 0)
			continue;
		v = strtoll(line + n, &end, 10);
		if (end == line + n)	/* as "max" */
			v = -1;
	}
	fclose(fp);
	return (v);
}

/* The number in folder/name. */
static int64_t
meminfo_file(const char *folder, const char *name, const char *word)
{
	char	*path = xasprintf("%s/%s", folder, name);
	int64_t	 v = meminfo_number(path, word);

	free(path);
	return (v);
}

/* What a cgroup and those above it leave, or INT64_MAX; path is cut. */
static int64_t
meminfo_tree(const struct meminfo_cgroup *g, char *path)
{
	int64_t	 least = INT64_MAX, limit, used, cache;
	char	*folder, *slash;

	for (;;) {
		folder = xasprintf("%s%s", g->mount, path);
		limit = meminfo_file(folder, g->limit, "");
		used = meminfo_file(folder, g->usage, "");
		cache = meminfo_file(folder, "memory.stat", g->cache);
		free(folder);
		if (cache > 0 && used >= cache)
			used -= cache;
		if (limit >= 0 && used >= 0 && limit < INT64_MAX / 2) {
			limit = limit > used ? limit - used : 0;
			least = limit < least ? limit : least;
		}
		if ((slash = strrchr(path, '/')) == NULL)
			return (least);
		*slash = '\0';
	}
}

/* What this process's cgroups leave, or INT64_MAX. */
static int64_t
meminfo_cgroup(void)
{
	FILE	*fp = fopen("/proc/self/cgroup", "re");
	char	 line[4096], *at;
	int64_t	 least = INT64_MAX, v;
	size_t	 i;

	if (fp == NULL)
		return (least);
	while (fgets(line, sizeof line, fp) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		at = strchr(line, ':');
		for (i = 0; at != NULL && i < nitems(meminfo_cgroups); i++) {
			if (strncmp(at, meminfo_cgroups[i].line,
			    strlen(meminfo_cgroups[i].line)) != 0)
				continue;
			v = meminfo_tree(&meminfo_cgroups[i],
			    at + strlen(meminfo_cgroups[i].line));
			least = v < least ? v : least;
			break;
		}
	}
	fclose(fp);
	return (least);
}

/* What the limit of address space leaves, or INT64_MAX. */
static int64_t
meminfo_limit(void)
{
	struct rlimit	 rl;
	int64_t		 used = meminfo_number("/proc/self/status",
			    "VmSize:") * 1024;

	if (getrlimit(RLIMIT_AS, &rl) == -1 || rl.rlim_cur == RLIM_INFINITY ||
	    rl.rlim_cur > INT64_MAX || used < 0)
		return (INT64_MAX);
	return ((int64_t)rl.rlim_cur > used ? (int64_t)rl.rlim_cur - used : 0);
}

/* The least of all. */
int64_t
meminfo_free(void)
{
	int64_t	 least = meminfo_number("/proc/meminfo", "MemAvailable:"), v;

	least = least < 0 ? INT64_MAX : least * 1024;
	v = meminfo_cgroup();
	least = v < least ? v : least;
	v = meminfo_limit();
	return (v < least ? v : least);
}

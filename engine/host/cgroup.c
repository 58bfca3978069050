/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads /proc/self/cgroup and the folders that it names.
 */
#include "cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

/* The number after word. */
int64_t
cgroup_number(const char *path, const char *word)
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
		if (end == line + n)
			v = -1;
	}
	fclose(fp);
	return (v);
}

/* The number in folder/name. */
int64_t
cgroup_file(const char *folder, const char *name, const char *word)
{
	char	*path = xasprintf("%s/%s", folder, name);
	int64_t	 v = cgroup_number(path, word);

	free(path);
	return (v);
}

/* A group and the groups above it; path is shortened. */
static void
cgroup_tree(const char *mount, char *path, int version, void (*fn)(void *,
    const char *, int), void *arg)
{
	char	*folder, *slash;

	for (;;) {
		folder = xasprintf("%s%s", mount, path);
		fn(arg, folder, version);
		free(folder);
		if ((slash = strrchr(path, '/')) == NULL)
			return;
		*slash = '\0';
	}
}

/* Is name in a list with commas? */
static int
cgroup_listed(char *list, const char *name)
{
	char	*word, *save = NULL;

	for (word = strtok_r(list, ",", &save); word != NULL;
	    word = strtok_r(NULL, ",", &save))
		if (strcmp(word, name) == 0)
			return (1);
	return (0);
}

/* Each line is "number:controllers:path"; version 2 names none. */
void
cgroup_each(const char *controller, void (*fn)(void *arg,
    const char *folder, int version), void *arg)
{
	FILE	*fp = fopen("/proc/self/cgroup", "re");
	char	 line[4096], *list, *path, *mount;

	if (fp == NULL)
		return;
	while (fgets(line, sizeof line, fp) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if ((list = strchr(line, ':')) == NULL ||
		    (path = strchr(++list, ':')) == NULL)
			continue;
		*path++ = '\0';
		if (*list == '\0')
			cgroup_tree("/sys/fs/cgroup", path, 2, fn, arg);
		else if (cgroup_listed(list, controller)) {
			mount = xasprintf("/sys/fs/cgroup/%s", controller);
			cgroup_tree(mount, path, 1, fn, arg);
			free(mount);
		}
	}
	fclose(fp);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few lines of a systemd unit that decide what chatd can reach.
 */
#include "systemd_unit.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "path.h"
#include "xmalloc.h"

#define UNIT_MAX	(1024 * 1024)	/* bytes of a file */

/* The folders in which systemd looks for a unit, in its order. */
static const char *const systemd_unit_folders[] = {
	"/etc/systemd/system", "/run/systemd/system",
	"/usr/local/lib/systemd/system", UNITDIR, "/usr/lib/systemd/system",
	"/lib/systemd/system",
};

/* Append folders, each below prefix, to the writable ones. An empty list clears
 * those before it. */
static void
systemd_unit_writable(struct systemd_unit *u, const char *prefix,
    const char *value)
{
	char	*copy = xstrdup(value), *word, *save, *old;

	if (value[0] == '\0') {
		free(u->writable);
		u->writable = xstrdup("");
	}
	for (word = strtok_r(copy, " \t", &save); word != NULL;
	    word = strtok_r(NULL, " \t", &save)) {
		while (*word == '-' || *word == '+')	/* systemd.exec(5) */
			word++;
		old = u->writable;
		u->writable = xasprintf("%s %s%s", old, prefix, word);
		free(old);
	}
	free(copy);
}

/* Replace an owned string. */
static void
systemd_unit_text(char **p, const char *value)
{
	free(*p);
	*p = value[0] != '\0' ? xstrdup(value) : NULL;
}

/* Is it a word that systemd reads as yes? */
static int
systemd_unit_yes(const char *s)
{
	return (strcmp(s, "yes") == 0 || strcmp(s, "true") == 0 ||
	    strcmp(s, "on") == 0 || strcmp(s, "1") == 0);
}

/* Apply a line "key=value". */
static void
systemd_unit_line(struct systemd_unit *u, const char *key, const char *value)
{
	if (strcmp(key, "User") == 0)
		systemd_unit_text(&u->user, value);
	else if (strcmp(key, "ExecStart") == 0)
		systemd_unit_text(&u->exec, value);
	else if (strcmp(key, "ProtectHome") == 0)
		u->hides_home = systemd_unit_yes(value) ||
		    strcmp(value, "tmpfs") == 0;
	else if (strcmp(key, "PrivateTmp") == 0)
		u->private_tmp = systemd_unit_yes(value);
	else if (strcmp(key, "ProtectSystem") == 0)
		u->strict = strcmp(value, "strict") == 0;
	else if (strcmp(key, "StateDirectory") == 0)
		systemd_unit_writable(u, "/var/lib/", value);
	else if (strcmp(key, "ReadWritePaths") == 0)
		systemd_unit_writable(u, "", value);
}

/* Read one file. */
static int
systemd_unit_file(struct systemd_unit *u, const char *file)
{
	char	*text, *line, *save, *eq, *end;
	size_t	 len;
	int	 r;

	if ((r = path_read(file, UNIT_MAX, &text, &len)) != 0)
		return (r);
	for (line = strtok_r(text, "\n", &save); line != NULL;
	    line = strtok_r(NULL, "\n", &save)) {
		line += strspn(line, " \t");
		if (*line == '#' || *line == ';' ||
		    (eq = strchr(line, '=')) == NULL)
			continue;
		for (end = eq; end > line && strchr(" \t", end[-1]) != NULL;
		    end--)
			;
		*end = '\0';
		eq++;
		eq += strspn(eq, " \t");
		for (end = eq + strlen(eq);
		    end > eq && strchr(" \t\r", end[-1]) != NULL; end--)
			;
		*end = '\0';
		systemd_unit_line(u, line, eq);
	}
	free(text);
	return (0);
}

/* Read the drop-ins in a folder, by name. */
static void
systemd_unit_drop_ins(struct systemd_unit *u, const char *folder)
{
	char	*pattern = xasprintf("%s/*.conf", folder);
	glob_t	 g;
	size_t	 i;

	if (glob(pattern, 0, NULL, &g) == 0) {
		for (i = 0; i < g.gl_pathc; i++)
			systemd_unit_file(u, g.gl_pathv[i]);
		globfree(&g);
	}
	free(pattern);
}

/* Read a unit. */
int
systemd_unit_read(const char *file, struct systemd_unit *u)
{
	char	*folder;
	int	 r;

	memset(u, 0, sizeof *u);
	u->writable = xstrdup("");
	u->name = xstrdup(file);
	if ((r = systemd_unit_file(u, file)) != 0) {
		systemd_unit_clear(u);
		return (r);
	}
	folder = xasprintf("%s.d", file);
	systemd_unit_drop_ins(u, folder);
	free(folder);
	return (0);
}

/* Find the installed one; its drop-ins may be in any of the folders. */
int
systemd_unit_installed(struct systemd_unit *u)
{
	char	*file;
	size_t	 i, k;
	int	 r = CHAT_ESYSTEM;

	for (i = 0; r != 0 && i < nitems(systemd_unit_folders); i++) {
		file = path_join(systemd_unit_folders[i], "chatd.service");
		r = systemd_unit_read(file, u);
		free(file);
	}
	for (k = nitems(systemd_unit_folders); r == 0 && k-- > 0; ) {
		file = path_join(systemd_unit_folders[k], "chatd.service.d");
		if (k != i - 1)
			systemd_unit_drop_ins(u, file);
		free(file);
	}
	return (r);
}

/* Release a unit. */
void
systemd_unit_clear(struct systemd_unit *u)
{
	free(u->name);
	free(u->user);
	free(u->exec);
	free(u->writable);
	memset(u, 0, sizeof *u);
}

/* Is a path in one of those folders? */
int
systemd_unit_below(const char *path, const char *list)
{
	const char	*p = list;
	size_t		 n;

	while (*(p += strspn(p, " ")) != '\0') {
		n = strcspn(p, " ");
		if (strncmp(path, p, n) == 0 &&
		    (path[n] == '\0' || path[n] == '/' || p[n - 1] == '/'))
			return (1);
		p += n;
	}
	return (0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading a plugin: checks who could have written its file, and its struct.
 * The file is opened first, then checked and loaded through its descriptor, so
 * that it can't be replaced in between.
 */
#include "filter.h"

#include <sys/stat.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xmalloc.h"

/* The size of the struct of version 1.0, which ends with "rules". */
#define PLUGIN_SIZE_1_0	(offsetof(struct chat_filter, rules) + \
			sizeof(((struct chat_filter *)NULL)->rules))
#define PLUGIN_SIZE_1_1	(offsetof(struct chat_filter, part) + \
			sizeof(((struct chat_filter *)NULL)->part))
#define PLUGIN_SIZE_1_2	(offsetof(struct chat_filter, restore) + \
			sizeof(((struct chat_filter *)NULL)->restore))

static int	plugin_trusted(const struct stat *, const char *,
		    const char *, struct fault *);
static int	plugin_open_file(struct plugin *, struct fault *);
static int	plugin_dlopen(struct plugin *, struct fault *);

/* Is a file or folder writable only by its owner, root or this user? */
static int
plugin_trusted(const struct stat *st, const char *what, const char *path,
    struct fault *f)
{
	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		fault_set(f, "bad_plugin", NULL, "%s: %s belongs to uid %u; "
		    "it must belong to root or to uid %u", path, what,
		    (unsigned)st->st_uid, (unsigned)geteuid());
		return (CHAT_EDENIED);
	}
	if (st->st_mode & (S_IWGRP|S_IWOTH)) {
		fault_set(f, "bad_plugin", NULL, "%s: %s has mode %04o: it "
		    "must be writable by its owner alone (chmod go-w)", path,
		    what, (unsigned)(st->st_mode & 07777));
		return (CHAT_EDENIED);
	}
	return (0);
}

/* Compute the digest of the open file. 0, or CHAT_ESYSTEM with *f filled. */
static int
plugin_digest(struct plugin *p, struct fault *f)
{
	struct sha256	 s;
	char		 buf[16384];
	ssize_t		 n;
	off_t		 at = 0;

	sha256_init(&s);
	while ((n = pread(p->fd, buf, sizeof buf, at)) > 0) {
		sha256_add(&s, buf, (size_t)n);
		at += n;
	}
	sha256_end(&s, p->digest);
	if (n == 0)
		return (0);
	fault_set(f, "bad_plugin", NULL, "%s: %s", p->path, strerror(errno));
	return (CHAT_ESYSTEM);
}

/* Open the folder and the file in it, and check both. */
static int
plugin_open_file(struct plugin *p, struct fault *f)
{
	char		 dir[sizeof p->path], base[sizeof p->path];
	struct stat	 st;
	int		 dfd, r = 0;

	snprintf(dir, sizeof dir, "%s", p->path);
	snprintf(base, sizeof base, "%s", p->path);
	dfd = open(dirname(dir), O_RDONLY|O_DIRECTORY|O_CLOEXEC);
	if (dfd == -1 || fstat(dfd, &st) == -1) {
		fault_set(f, "bad_plugin", NULL, "%s: its folder: %s",
		    p->path, strerror(errno));
		r = CHAT_ESYSTEM;
		goto out;
	}
	if ((r = plugin_trusted(&st, "its folder", p->path, f)) != 0)
		goto out;
	p->fd = openat(dfd, basename(base),
	    O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_NONBLOCK);
	if (p->fd == -1 || fstat(p->fd, &st) == -1) {
		fault_set(f, "bad_plugin", NULL, "%s: %s", p->path,
		    errno == ELOOP ? "is a symbolic link: give the path of "
		    "the file itself" : strerror(errno));
		r = CHAT_ESYSTEM;
		goto out;
	}
	if (!S_ISREG(st.st_mode))
		r = fault_set(f, "bad_plugin", NULL, "%s: not a regular file",
		    p->path);
	else if ((r = plugin_trusted(&st, "the file", p->path, f)) == 0)
		r = plugin_digest(p, f);
out:
	if (dfd != -1)
		close(dfd);
	return (r);
}

/* Load the open file. Its path is used only if /proc is not mounted. */
static int
plugin_dlopen(struct plugin *p, struct fault *f)
{
	char	 name[64];

	snprintf(name, sizeof name, "/proc/self/fd/%d", p->fd);
	p->handle = dlopen(access(name, R_OK) == 0 ? name : p->path,
	    RTLD_NOW|RTLD_LOCAL);
	if (p->handle == NULL)
		return (fault_set(f, "bad_plugin", NULL, "%s: %s", p->path,
		    dlerror()));
	p->filter = dlsym(p->handle, "chat_filter");
	if (p->filter == NULL)
		return (fault_set(f, "bad_plugin", NULL, "%s: exports no "
		    "chat_filter: not a filter plugin", p->path));
	return (0);
}

/* The minor number of its interface. */
unsigned
plugin_minor(const struct chat_filter *cf)
{
	return (cf->abi & 0xffff);
}

/* The member part, which plugins of 1.0 do not have. */
int
plugin_has_part(const struct chat_filter *cf)
{
	return (plugin_minor(cf) >= 1 && cf->part != NULL);
}

/* The same for the members of 1.2, some of which belong together. */
static const char *
plugin_missing_1_2(const struct chat_filter *cf)
{
	if (cf->text_begin != NULL || cf->text_end != NULL) {
		if (cf->text_begin == NULL)
			return ("text_begin");
		if (cf->text_end == NULL)
			return ("text_end");
		if (cf->part == NULL)
			return ("part");
	}
	if (cf->save == NULL && cf->restore != NULL)
		return ("save");
	return (cf->save != NULL && cf->restore == NULL ? "restore" : NULL);
}

/* The name of the first member that is NULL and must not be, or NULL. */
static const char *
plugin_missing(const struct chat_filter *cf)
{
	const char	*missing;

	if (cf->name == NULL)
		return ("name");
	if (cf->version == NULL)
		return ("version");
	if (cf->open == NULL)
		return ("open");
	if (cf->close == NULL)
		return ("close");
	if (plugin_minor(cf) >= 2 &&
	    (missing = plugin_missing_1_2(cf)) != NULL)
		return (missing);
	if (plugin_has_part(cf))
		return (cf->window == NULL ? "window" : NULL);
	return (cf->prompt == NULL ? "prompt" : cf->text == NULL ? "text" :
	    NULL);
}

/* Check version, size, name and members. */
int
plugin_check(const struct chat_filter *cf, const char *name, const char *path,
    struct fault *f)
{
	const char	*missing;
	unsigned	 major = cf->abi >> 16, minor = cf->abi & 0xffff;
	size_t		 size;

	if (major != CHAT_FILTER_ABI_MAJOR || minor > CHAT_FILTER_ABI_MINOR) {
		fault_set(f, "bad_plugin", NULL, "%s: built for filter ABI "
		    "%u.%u; this chatd has %u.%u: build the plugin again",
		    path, major, minor, CHAT_FILTER_ABI_MAJOR,
		    CHAT_FILTER_ABI_MINOR);
		return (CHAT_EUNSUPPORTED);
	}
	size = minor >= 2 ? PLUGIN_SIZE_1_2 : minor == 1 ? PLUGIN_SIZE_1_1 :
	    PLUGIN_SIZE_1_0;
	if (cf->size < size)
		return (fault_set(f, "bad_plugin", NULL, "%s: its struct "
		    "chat_filter has %u bytes; ABI %u.%u has %zu", path,
		    (unsigned)cf->size, major, minor, size));
	missing = plugin_missing(cf);
	if (missing != NULL)
		return (fault_set(f, "bad_plugin", NULL, "%s: its member "
		    "\"%s\" is NULL", path, missing));
	if (strcmp(cf->name, name) != 0)
		return (fault_set(f, "bad_plugin", NULL, "%s: is the plugin "
		    "\"%.60s\", configured as \"%s\"", path, cf->name, name));
	return (0);
}

/* Find a plugin. */
int
plugin_find(const char *name, const char *path, struct plugin **out,
    struct fault *f)
{
	struct plugin	*p;
	int		 r;

	p = xcalloc(1, sizeof *p);
	p->fd = -1;
	p->reads = json_array();
	if (path[0] != '/' || strlen(path) >= sizeof p->path ||
	    name[0] == '\0' || strlen(name) >= sizeof p->name) {
		r = fault_set(f, "bad_plugin", NULL, "%.100s: the path must "
		    "be absolute and have at most %zu bytes, the name 1 to "
		    "%zu", path, sizeof p->path - 1, sizeof p->name - 1);
		goto out;
	}
	memcpy(p->name, name, strlen(name));
	memcpy(p->path, path, strlen(path));
	if ((r = plugin_open_file(p, f)) != 0)
		goto out;
	*out = p;
	p = NULL;
out:
	plugin_free(p);
	return (r);
}

/* Load the file that plugin_find has opened. */
int
plugin_load(struct plugin *p, struct fault *f)
{
	int	 r;

	crash_mark(p->name, "its constructor");
	if ((r = plugin_dlopen(p, f)) == 0)
		r = plugin_check(p->filter, p->name, p->path, f);
	crash_mark(NULL, NULL);
	return (r);
}

/* Close and unload. */
void
plugin_free(struct plugin *p)
{
	if (p == NULL)
		return;
	crash_mark(p->name, "close");
	if (p->opened)
		p->filter->close(p->state);
	if (p->handle != NULL)
		dlclose(p->handle);
	crash_mark(NULL, NULL);
	if (p->fd != -1)
		close(p->fd);
	json_decref(p->reads);
	free(p);
}

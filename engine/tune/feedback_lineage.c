/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a model comes from (lineage.json), and the name that it gets.
 */
#include <config.h>
#include "feedback.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"
#include "growbuf.h"
#include "path.h"
#include "xmalloc.h"

#define LINEAGE_REFUSED		1000	/* models that were refused beside it */

/* The exports. */
static json_t *
lineage_sources(const struct feedback *t)
{
	const struct feedback_source	*s;
	json_t				*list = json_array(), *o;
	size_t				 i;

	for (i = 0; i < t->data.sources; i++) {
		s = &t->data.source[i];
		o = json_pack("{s:s, s:I}", "digest", s->digest, "rows",
		    (json_int_t)s->rows);
		json_object_set_new(o, "manifest", s->manifest[0] == '\0' ?
		    json_null() : json_string(s->manifest));
		json_array_append_new(list, o);
	}
	return (list);
}

/* A number, or null if it is none. */
static json_t *
lineage_number(double v)
{
	return (isfinite(v) ? json_real(v) : json_null());
}

/* Write an object as a file. */
static int
lineage_put(const char *dir, const char *name, json_t *o, struct fault *f)
{
	char	*s = json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	char	*text = xasprintf("%s\n", s);
	int	 r = folder_put(dir, name, text, strlen(text), f);

	free(text);
	free(s);
	return (r);
}

/* Write lineage.json and gate.json. */
int
feedback_lineage(const struct feedback *t, struct fault *f)
{
	json_t	*o, *counts;
	int	 r;

	counts = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "replies", (json_int_t)t->data.n, "corrected",
	    (json_int_t)t->data.good, "pairs", (json_int_t)t->data.pairs,
	    "phrasings", (json_int_t)t->said.n, "compared",
	    (json_int_t)t->compared.n, "own", (json_int_t)t->own.n, "steps",
	    (json_int_t)t->steps);
	o = json_pack("{s:s, s:s, s:s, s:o, s:s, s:I, s:o, s:o, s:o}", "tool",
	    "chatd-tune " PACKAGE_VERSION, "parent", t->parent_digest,
	    "kind", t->p.rank > 0 ? "adapter" : "model", "exports",
	    lineage_sources(t), "recipe", t->recipe, "seed",
	    (json_int_t)t->p.seed, "counts", counts, "first_loss",
	    lineage_number(t->first), "last_loss", lineage_number(t->last));
	json_object_set(o, "gate", t->gate);
	if ((r = lineage_put(t->made, "lineage.json", o, f)) == 0)
		r = lineage_put(t->made, "gate.json", t->gate, f);
	json_decref(o);
	return (r);
}

/* Put a folder on disk. */
static void
lineage_sync(const char *path)
{
	int	 fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd != -1) {
		fsync(fd);
		close(fd);
	}
}

/* The first free name for a model that was refused. Owned. */
static char *
lineage_refused(const char *out)
{
	struct stat	 st;
	char		*name = NULL;
	int		 i;

	for (i = 1; i < LINEAGE_REFUSED; i++) {
		free(name);
		name = i == 1 ? xasprintf("%s.refused", out) :
		    xasprintf("%s.refused-%d", out, i);
		if (lstat(name, &st) == -1)
			break;
	}
	return (name);
}

/* Rename a folder, if there is nothing of the new name. 0, or -1. */
static int
lineage_rename(const char *from, const char *to)
{
	struct stat	 st;

	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return (0);
	if (errno != EINVAL && errno != ENOSYS)
		return (-1);
	/* A file system that can't do this in one step. */
	if (lstat(to, &st) == 0) {
		errno = EEXIST;
		return (-1);
	}
	return (errno == ENOENT ? rename(from, to) : -1);
}

/* Give the folder its name. The checkpoint stays with the files until then, so
 * that nothing is lost if it fails. */
int
feedback_publish(const struct feedback *t, int refused, char **name,
    struct fault *f)
{
	char	*from = path_join(t->made, "checkpoint"), *dir;
	char	*aside = path_join(t->work, "checkpoint");
	char	*to = refused ? lineage_refused(t->o->out) :
		    xstrdup(t->o->out);
	int	 ok;

	ok = rename(from, aside) == 0 || errno == ENOENT;
	lineage_sync(t->made);
	if (ok && lineage_rename(t->made, to) == -1) {
		ok = 0;
		(void)fault_set(f, "system", NULL, "%s: can't get the name "
		    "%s: %s", t->made, to, strerror(errno));
		(void)rename(aside, from);
	} else if (!ok)
		(void)fault_set(f, "system", NULL, "%s: %s", from,
		    strerror(errno));
	free(from);
	free(aside);
	if (!ok) {
		free(to);
		return (CHAT_ESYSTEM);
	}
	dir = path_folder(to);
	lineage_sync(dir);
	free(dir);
	path_remove(t->work);
	*name = to;
	return (0);
}

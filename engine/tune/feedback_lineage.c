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

#define LINEAGE_FILE_MAX	((size_t)1 << 20)
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

/* Was the parent made with these exports? Their bytes are the same then. */
int
feedback_known(const struct feedback *t)
{
	char	*path = path_join(t->o->parent, "lineage.json"), *text;
	json_t	*o = NULL, *list, *known;
	size_t	 n, i;
	int	 same = 0;

	if (path_read(path, LINEAGE_FILE_MAX, &text, &n) == 0) {
		o = json_loadb(text, n, 0, NULL);
		free(text);
	}
	free(path);
	list = json_object_get(o, "exports");
	same = t->data.sources > 0 && json_array_size(list) ==
	    t->data.sources;
	for (i = 0; same && i < t->data.sources; i++) {
		known = json_object_get(json_array_get(list, i), "digest");
		same = json_is_string(known) && strcmp(
		    json_string_value(known), t->data.source[i].digest) == 0;
	}
	json_decref(o);
	return (same);
}

/* The text of the recipe, or null. */
static json_t *
lineage_recipe(const struct feedback *t)
{
	char	*path = path_join(t->work, "recipe.yaml"), *text;
	json_t	*v = NULL;
	size_t	 n;

	if (path_read(path, LINEAGE_FILE_MAX, &text, &n) == 0) {
		v = json_stringn(text, n);
		free(text);
	}
	free(path);
	return (v != NULL ? v : json_null());
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
	    "phrasings", (json_int_t)t->learnt, "compared",
	    (json_int_t)t->compared, "own", (json_int_t)t->own, "steps",
	    (json_int_t)t->steps);
	o = json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:o, s:o, s:o}", "tool",
	    "chatd-tune " PACKAGE_VERSION, "parent", t->parent_digest,
	    "kind", t->p.rank > 0 ? "adapter" : "model", "exports",
	    lineage_sources(t), "recipe", lineage_recipe(t), "seed",
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

/* Give the folder its name. */
int
feedback_publish(const struct feedback *t, int refused, char **name,
    struct fault *f)
{
	char	*checkpoint = path_join(t->made, "checkpoint"), *dir;
	char	*to = refused ? lineage_refused(t->o->out) :
		    xstrdup(t->o->out);

	unlink(checkpoint);
	free(checkpoint);
	lineage_sync(t->made);
	if (renameat2(AT_FDCWD, t->made, AT_FDCWD, to,
	    RENAME_NOREPLACE) == -1) {
		(void)fault_set(f, "system", NULL, "%s: can't get the name "
		    "%s: %s", t->made, to, strerror(errno));
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

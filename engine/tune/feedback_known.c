/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a model was made with the same ratings already: the parent itself, or
 * a model beside the new one.  That one was refused by the gate, or an operator
 * has changed back to its parent; so it is not made again unless this is asked
 * for.
 */
#include "feedback.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"
#include "xmalloc.h"

#define KNOWN_FILE_MAX	((size_t)16 << 20)

/* lineage.json of a folder, or NULL. Owned. */
static json_t *
known_lineage(const char *folder)
{
	char	*path = path_join(folder, "lineage.json"), *text;
	json_t	*o = NULL;
	size_t	 n;

	if (path_read(path, KNOWN_FILE_MAX, &text, &n) == 0) {
		o = json_loadb(text, n, 0, NULL);
		free(text);
	}
	free(path);
	return (o);
}

/* A text of a lineage; "" if it has none. Borrowed. */
static const char *
known_text(const json_t *o, const char *key)
{
	const char	*s = json_string_value(json_object_get(o, key));

	return (s == NULL ? "" : s);
}

/* Was it made with our exports? Their order does not matter. If so, their bytes
 * are the same. */
static int
known_same(const struct feedback *t, const json_t *o)
{
	json_t	*ours = json_object(), *theirs = json_object(), *e;
	size_t	 i;
	int	 same;

	for (i = 0; i < t->data.sources; i++)
		json_object_set_new(ours, t->data.source[i].digest,
		    json_true());
	json_array_foreach(json_object_get(o, "exports"), i, e)
		json_object_set_new(theirs, known_text(e, "digest"),
		    json_true());
	same = t->data.sources > 0 && json_equal(ours, theirs);
	json_decref(ours);
	json_decref(theirs);
	return (same);
}

/* Was the parent made with these exports? */
int
feedback_known(const struct feedback *t)
{
	json_t	*o = known_lineage(t->o->parent);
	int	 same = known_same(t, o);

	json_decref(o);
	return (same);
}

/* Keep the lineage of a folder if it was made with our exports. */
static void
known_add(struct feedback *t, const char *folder)
{
	json_t	*o = known_lineage(folder);

	if (known_same(t, o))
		json_object_set_nocheck(t->beside, folder, o);
	json_decref(o);
}

/* Find the models beside o->out that were made with these exports. */
void
feedback_look(struct feedback *t)
{
	char		*dir = path_folder(t->o->out), *path;
	struct dirent	**list;
	int		 i, n = scandir(dir, &list, NULL, alphasort);

	t->beside = json_object();
	for (i = 0; i < n; i++) {
		path = strcmp(dir, ".") == 0 ? xstrdup(list[i]->d_name) :
		    path_join(dir, list[i]->d_name);
		if (list[i]->d_name[0] != '.')
			known_add(t, path);
		free(path);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	free(dir);
}

/* The digest of the parent, if it is not known yet. */
static int
known_parent(struct feedback *t, struct fault *f)
{
	struct greedy_model	*m;
	int			 r;

	if (t->parent_digest[0] != '\0')
		return (0);
	if ((r = greedy_open(t->o->parent, "fp32", t->o->threads, &m,
	    f)) != 0)
		return (r);
	snprintf(t->parent_digest, sizeof t->parent_digest, "%s",
	    greedy_digest(m));
	greedy_free(m);
	return (0);
}

/* Was one of them made from the same parent by the same recipe? */
int
feedback_made(struct feedback *t, char **name, int *refused, struct fault *f)
{
	const char	*folder;
	json_t		*o;
	int		 r;

	*name = NULL;
	json_object_foreach(t->beside, folder, o) {
		if (strcmp(known_text(o, "recipe"), t->recipe) != 0)
			continue;
		if ((r = known_parent(t, f)) != 0)
			return (r);
		if (strcmp(known_text(o, "parent"), t->parent_digest) != 0)
			continue;
		*name = xstrdup(folder);
		*refused = !gate_passed(json_object_get(o, "gate"));
		return (0);
	}
	return (0);
}

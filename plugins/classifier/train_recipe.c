/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recipe: weights of sources, folds, and the numbers of the training.
 */
#include "train.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"
#include "yaml.h"

struct recipe_number {
	const char	*name;
	size_t		 offset;
	double		 value, min, max;
};
#define NUMBER(n, v, lo, hi) { #n, offsetof(struct recipe, n), v, lo, hi }

/* The numbers of the training, their defaults and ranges. */
static const struct recipe_number recipe_numbers[] = {
	NUMBER(epochs, 6, 1, 100),
	NUMBER(rate, 0.5, 0.001, 10),
	NUMBER(l2, 0.00001, 0, 1),
	NUMBER(max_rows, 1000000, 1, 1000000),
	NUMBER(min_rows, 3, 1, 100),
	NUMBER(min_sources, 1, 1, 10),
	NUMBER(noise, 0.1, 0, 1),
	NUMBER(cross, 0.3, 0, 1),
	NUMBER(power, 0.7, 0, 1),
	NUMBER(gates, 40000, 1, 262144),
	NUMBER(names, 5000, 1, 262144),
	NUMBER(name_epochs, 6, 1, 100),
	NUMBER(name_l2, 0.00001, 0, 1),
	NUMBER(seed, 1, 0, 1000000),
	NUMBER(balance, 1, 0, 1),
	NUMBER(request_alarms, 0.05, 0, 0.5),
	NUMBER(content_alarms, 0.2, 0, 0.5),
};

static const char *const recipe_parts[PART_N] = {
	"benign", "harmful", "hate", "injection", "plain", "other"
};

/* Read the list of sources of a part. */
static int
recipe_read_part(const char *path, const struct ynode *list,
    struct fold_part *p, struct fault *f)
{
	const struct ynode	*n;

	if (list == NULL)
		return (0);
	for (n = list->child; n != NULL; n = n->next) {
		if (n->kind != YNODE_SCALAR)
			return (ynode_fault(path, n, f, "not a source"));
		p->source = xreallocarray(p->source, p->n + 1,
		    sizeof *p->source);
		p->source[p->n++] = xstrdup(n->text);
	}
	return (0);
}

/* Read the folds. */
static int
recipe_read_folds(const char *path, struct recipe *r, struct ynode *map,
    struct fault *f)
{
	struct recipe_fold	*fold;
	struct ynode		*n;
	int			 i, e;

	for (n = map != NULL ? map->child : NULL; n != NULL; n = n->next) {
		if (r->folds_n == FOLD_MAX)
			return (ynode_fault(path, n, f, "more than %d folds",
			    FOLD_MAX));
		fold = &r->fold[r->folds_n++];
		fold->name = xstrdup(n->key);
		if (ynode_get(n, "test") != NULL && (e = ynode_bool(path,
		    ynode_get(n, "test"), &fold->test, f)) != 0)
			return (e);
		if (ynode_get(n, "rotate") != NULL && (e = ynode_bool(path,
		    ynode_get(n, "rotate"), &fold->rotate, f)) != 0)
			return (e);
		for (i = 0; i < PART_N; i++)
			if ((e = recipe_read_part(path, ynode_get(n,
			    recipe_parts[i]), &fold->part[i], f)) != 0)
				return (e);
	}
	return (0);
}

/* Read the weights of sources. */
static int
recipe_read_weights(const char *path, struct recipe *r, struct ynode *map,
    struct fault *f)
{
	struct ynode	*n;
	int		 e;

	for (n = map != NULL ? map->child : NULL; n != NULL; n = n->next) {
		r->source = xreallocarray(r->source, r->n + 1,
		    sizeof *r->source);
		r->weight = xreallocarray(r->weight, r->n + 1,
		    sizeof *r->weight);
		r->source[r->n] = xstrdup(n->key);
		if ((e = ynode_real(path, n, 0, 1000, &r->weight[r->n++],
		    f)) != 0)
			return (e);
	}
	return (0);
}

/* Read a recipe. */
int
train_recipe_load(const char *path, struct recipe *r, struct fault *f)
{
	const struct recipe_number	*t;
	struct ynode			*root, *n;
	int				 e;

	memset(r, 0, sizeof *r);
	for (t = recipe_numbers; t < recipe_numbers + nitems(recipe_numbers);
	    t++)
		*(double *)((char *)r + t->offset) = t->value;
	if ((e = yaml_load_map(path, &root, f)) != 0)
		return (e);
	for (n = root->child; e == 0 && n != NULL; n = n->next) {
		if (n->kind == YNODE_LIST) {
			e = ynode_fault(path, n, f, "expected no list");
			continue;
		}
		if (strcmp(n->key, "sources") == 0) {
			e = recipe_read_weights(path, r, n, f);
			continue;
		}
		if (strcmp(n->key, "folds") == 0) {
			e = recipe_read_folds(path, r, n, f);
			continue;
		}
		for (t = recipe_numbers; t < recipe_numbers +
		    nitems(recipe_numbers) && strcmp(t->name, n->key) != 0;
		    t++)
			;
		e = t == recipe_numbers + nitems(recipe_numbers) ?
		    ynode_fault(path, n, f, "unknown key") :
		    ynode_real(path, n, t->min, t->max,
		    (double *)((char *)r + t->offset), f);
	}
	ynode_free(root);
	return (e);
}

/* Set a number: "name=value". */
int
recipe_set(struct recipe *r, const char *s, struct fault *f)
{
	const struct recipe_number	*t;
	const char			*v = strchr(s, '=');
	char				*end;
	double				 x;

	for (t = recipe_numbers; v != NULL && t < recipe_numbers +
	    nitems(recipe_numbers); t++) {
		if (strlen(t->name) != (size_t)(v - s) ||
		    strncmp(t->name, s, (size_t)(v - s)) != 0)
			continue;
		x = strtod(v + 1, &end);
		if (*end != '\0' || end == v + 1 || !(x >= t->min) ||
		    !(x <= t->max))
			return (fault_set(f, "bad_config", NULL, "%s: \"%s\" "
			    "is not a number from %g to %g", t->name, v + 1,
			    t->min, t->max));
		*(double *)((char *)r + t->offset) = x;
		return (0);
	}
	if (v != NULL && strncmp(s, "w:", 2) == 0) {	/* w:SOURCE=WEIGHT */
		r->source = xreallocarray(r->source, r->n + 1,
		    sizeof *r->source);
		r->weight = xreallocarray(r->weight, r->n + 1,
		    sizeof *r->weight);
		r->source[r->n] = xstrndup(s + 2, (size_t)(v - s - 2));
		r->weight[r->n++] = strtod(v + 1, NULL);
		return (0);
	}
	return (fault_set(f, "bad_config", NULL,
	    "\"%s\": not NAME=VALUE with a number of the recipe", s));
}

/* Free a recipe's members. */
void
train_recipe_clear(struct recipe *r)
{
	size_t	 i, k;
	int	 p;

	for (i = 0; i < r->n; i++)
		free(r->source[i]);
	free(r->source);
	free(r->weight);
	for (i = 0; i < r->folds_n; i++) {
		free(r->fold[i].name);
		for (p = 0; p < PART_N; p++) {
			for (k = 0; k < r->fold[i].part[p].n; k++)
				free(r->fold[i].part[p].source[k]);
			free(r->fold[i].part[p].source);
		}
	}
	memset(r, 0, sizeof *r);
}

/* Does a pattern name a source? "contrast-*" names all that begin so. */
static int
recipe_names(const char *pattern, const char *source)
{
	size_t	 n = strlen(pattern);

	if (n > 0 && pattern[n - 1] == '*')
		return (strncmp(pattern, source, n - 1) == 0);
	return (strcmp(pattern, source) == 0);
}

/* The weight of a source; the last entry that names it counts. */
double
recipe_weight(const struct recipe *r, const char *source)
{
	size_t	 i;

	for (i = r->n; i > 0; i--)
		if (recipe_names(r->source[i - 1], source))
			return (r->weight[i - 1]);
	return (1);
}

/* Find a fold by name. */
const struct recipe_fold *
recipe_fold(const struct recipe *r, const char *name)
{
	size_t	 i;

	for (i = 0; i < r->folds_n; i++)
		if (strcmp(r->fold[i].name, name) == 0)
			return (&r->fold[i]);
	return (NULL);
}

/* Is the source in a part of a fold? */
int
recipe_part_has(const struct recipe_fold *f, int part, const char *source)
{
	size_t	 i;

	for (i = 0; i < f->part[part].n; i++)
		if (recipe_names(f->part[part].source[i], source))
			return (1);
	return (0);
}

/* Is the source in a fold? */
int
recipe_fold_has(const struct recipe_fold *f, const char *source)
{
	int	 p;

	for (p = 0; p < PART_N; p++)
		if (recipe_part_has(f, p, source))
			return (1);
	return (0);
}

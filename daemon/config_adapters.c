/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.adapters and model.ab of chatd.yaml.
 */
#include "config_impl.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define CONFIG_ADAPTERS_MAX	16	/* as the engine has */

/* Find an adapter. */
static struct config_adapter *
config_adapter_find(const struct config *c, const char *name)
{
	size_t	 i;

	for (i = 0; i < c->nadapters; i++)
		if (c->adapters[i].name != NULL &&
		    strcmp(c->adapters[i].name, name) == 0)
			return (&c->adapters[i]);
	return (NULL);
}

/* Read the name of an adapter. */
static int
config_adapter_name(struct config *c, struct config_adapter *a,
    const char *file, const struct ynode *n, struct fault *f)
{
	const size_t	 len = n->kind == YNODE_SCALAR ? strlen(n->text) : 0;

	if (len == 0 || len > ADAPTER_NAME_MAX ||
	    strspn(n->text, ADAPTER_NAME_CHARS) != len ||
	    strcmp(n->text, ADAPTER_BASE_NAME) == 0)
		return (ynode_fault(file, n, f, "expected 1 to %d letters, "
		    "digits, dots, hyphens and underscores, and not \""
		    ADAPTER_BASE_NAME "\"", ADAPTER_NAME_MAX));
	if (config_adapter_find(c, n->text) != NULL)
		return (ynode_fault(file, n, f, "\"%s\" is there twice",
		    n->text));
	a->name = xstrdup(n->text);
	return (0);
}

/* model.adapters: a list of {name, path}. */
int
config_adapters(struct config *c, const char *file, const struct ynode *list,
    struct fault *f)
{
	static const char *const words[] = { "name", "path", NULL };
	struct config_adapter	*a;
	const struct ynode	*e, *n;

	if (list->kind != YNODE_LIST)
		return (ynode_fault(file, list, f,
		    "expected a list of adapters"));
	for (e = list->child; e != NULL; e = e->next) {
		if (c->nadapters == CONFIG_ADAPTERS_MAX)
			return (ynode_fault(file, e, f, "expected at most %d "
			    "adapters", CONFIG_ADAPTERS_MAX));
		if (e->kind != YNODE_MAP) {
			config_note(c, ynode_fault(file, e, f,
			    "expected name and path"), f);
			continue;
		}
		c->adapters = xreallocarray(c->adapters, c->nadapters + 1,
		    sizeof *c->adapters);
		a = &c->adapters[c->nadapters++];
		*a = (struct config_adapter){ 0 };
		for (n = e->child; n != NULL; n = n->next) {
			if (strcmp(n->key, "name") == 0)
				config_note(c, config_adapter_name(c, a, file,
				    n, f), f);
			else if (strcmp(n->key, "path") == 0 &&
			    n->kind == YNODE_SCALAR)
				config_text(&a->path, n->text);
			else
				config_note(c, config_stray(file, n, "key",
				    "model.adapters", words, f), f);
		}
		if ((a->name == NULL && ynode_get((struct ynode *)(uintptr_t)e,
		    "name") == NULL) || a->path == NULL)
			config_note(c, ynode_fault(file, e, f,
			    "an adapter needs a name and a path"), f);
	}
	return (0);
}

/* model.ab: the share of each adapter. The names are looked up at the end,
 * since model.adapters may come later. */
int
config_ab(struct config *c, const char *file, const struct ynode *map,
    struct fault *f)
{
	const struct ynode	*n;
	double			 share;

	if (map->kind != YNODE_MAP)
		return (ynode_fault(file, map, f,
		    "expected names of adapters and their shares"));
	c->ab = 1;
	for (n = map->child; n != NULL; n = n->next) {
		if (ynode_real(file, n, 0, 1, &share, f) != 0) {
			config_note(c, CHAT_EFORMAT, f);
			continue;
		}
		c->shares = xreallocarray(c->shares, c->nshares + 1,
		    sizeof *c->shares);
		c->shares[c->nshares++] = (struct config_adapter){
		    .name = xstrdup(n->key), .share = share };
	}
	return (0);
}

/* Give each adapter its share. */
void
config_adapters_end(struct config *c, const char *path, struct fault *f)
{
	struct config_adapter	*a;
	double			 sum = 0;
	size_t			 i;

	for (i = 0; i < c->nshares; i++) {
		sum += c->shares[i].share;
		if ((a = config_adapter_find(c, c->shares[i].name)) != NULL)
			a->share = c->shares[i].share;
		else
			config_note(c, fault_set(f, "bad_config", "model.ab",
			    "%s: model.ab: expected names of model.adapters, "
			    "found \"%.64s\"%s", path, c->shares[i].name,
			    strcmp(c->shares[i].name, ADAPTER_BASE_NAME) == 0 ?
			    "; the model alone gets what is left" : ""), f);
	}
	if (sum > 1 + 1e-9)
		config_note(c, fault_set(f, "bad_config", "model.ab", "%s: "
		    "model.ab: expected shares of at most 1 together, found "
		    "%g", path, sum), f);
}

/* Release one list. */
static void
config_adapters_free(struct config_adapter *list, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++) {
		free(list[i].name);
		free(list[i].path);
	}
	free(list);
}

/* Release both. */
void
config_adapters_clear(struct config *c)
{
	config_adapters_free(c->adapters, c->nadapters);
	config_adapters_free(c->shares, c->nshares);
	c->adapters = c->shares = NULL;
	c->nadapters = c->nshares = 0;
	c->ab = 0;
}

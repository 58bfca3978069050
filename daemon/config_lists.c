/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sections of chatd.yaml that hold more than scalars: filters, policy and
 * messages.
 */
#include "config_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "xmalloc.h"

#define CONFIG_LABELS_MAX	32	/* of the judge */
#define CONFIG_LABEL_BYTES	100

/* Report an unknown category. */
static int
config_no_category(const char *file, const struct ynode *n, struct fault *f)
{
	const char	*words[CATEGORIES + 2];

	memcpy(words, vocabulary_categories, sizeof vocabulary_categories);
	words[CATEGORIES] = "default";
	words[CATEGORIES + 1] = NULL;
	return (config_stray(file, n, "category", "", words, f));
}

/* Read the options of one plugin: text, or lists of text. */
static int
config_options(struct config_filter *cf, const char *file,
    const struct ynode *map, struct fault *f)
{
	const struct ynode	*n, *v;
	json_t			*list;

	if (map->kind != YNODE_MAP)
		return (ynode_fault(file, map, f, "expected keys and values"));
	for (n = map->child; n != NULL; n = n->next) {
		if (n->kind == YNODE_SCALAR) {
			msg_set_string(cf->options, n->key, n->text);
			continue;
		}
		list = json_array();
		msg_set(cf->options, n->key, list);
		for (v = n->child; v != NULL; v = v->next) {
			if (n->kind == YNODE_MAP || v->kind != YNODE_SCALAR)
				return (ynode_fault(file, n, f,
				    "expected a value or a list of values"));
			json_array_append_new(list, json_string(v->text));
		}
	}
	return (0);
}

/* Read the keys process and when_off of a plugin. */
static int
config_filter_word(struct config_filter *cf, const char *file,
    const struct ynode *n, struct fault *f)
{
	static const char *const words[] = { "name", "path", "process",
	    "when_off", "options", NULL };
	static const char *const process[] = { "auto", "shared", "own" };
	static const char *const when_off[] = { "block", "pass" };
	size_t	 i;

	if (strcmp(n->key, "process") == 0) {
		for (i = 0; i < nitems(process); i++) {
			if (n->kind != YNODE_SCALAR ||
			    strcmp(n->text, process[i]) != 0)
				continue;
			cf->process = (enum filter_process)i;
			return (0);
		}
		return (ynode_fault(file, n, f,
		    "expected auto, shared or own"));
	}
	if (strcmp(n->key, "when_off") == 0) {
		for (i = 0; i < nitems(when_off); i++) {
			if (n->kind != YNODE_SCALAR ||
			    strcmp(n->text, when_off[i]) != 0)
				continue;
			cf->when_off = (enum filter_when_off)i;
			return (0);
		}
		return (ynode_fault(file, n, f,
		    "expected block or pass"));
	}
	return (config_stray(file, n, "key", "filters", words, f));
}

/* filters: a list of {name, path, process, when_off, options}. */
int
config_filters(struct config *c, const char *file, const struct ynode *list,
    struct fault *f)
{
	struct config_filter	*cf;
	const struct ynode	*e, *n;

	if (list->kind != YNODE_LIST)
		return (ynode_fault(file, list, f,
		    "expected a list of plugins"));
	for (e = list->child; e != NULL; e = e->next) {
		if (e->kind != YNODE_MAP) {
			config_note(c, ynode_fault(file, e, f,
			    "expected name, path and options"), f);
			continue;
		}
		c->filters = xreallocarray(c->filters, c->nfilters + 1,
		    sizeof *c->filters);
		cf = &c->filters[c->nfilters++];
		*cf = (struct config_filter){ .options = json_object() };
		for (n = e->child; n != NULL; n = n->next) {
			if (strcmp(n->key, "options") == 0)
				config_note(c, config_options(cf, file, n, f),
				    f);
			else if (n->kind == YNODE_SCALAR &&
			    strcmp(n->key, "name") == 0)
				config_text(&cf->name, n->text);
			else if (n->kind == YNODE_SCALAR &&
			    strcmp(n->key, "path") == 0)
				config_text(&cf->path, n->text);
			else
				config_note(c, config_filter_word(cf, file, n,
				    f), f);
		}
		if (cf->name == NULL)
			config_note(c, ynode_fault(file, e, f,
			    "a plugin needs a name"), f);
		else if (cf->path == NULL)
			cf->path = xasprintf("%s/%s.so", PLUGINDIR, cf->name);
	}
	return (0);
}

/* Warn about actions that can never follow: those with a score above that of a
 * stricter one. Without any action everything passes. */
static void
config_threshold_warn(const struct threshold *t, const char *file,
    const struct ynode *map)
{
	const double	 scores[] = { t->flag, t->redact, t->block };
	int		 i, k;

	for (i = 0; i < 3; i++) {
		for (k = i + 1; k < 3; k++) {
			if (scores[i] == NEVER || scores[k] == NEVER ||
			    scores[i] <= scores[k])
				continue;
			log_warnx("%s:%d: %s: %s from %g on never happens, "
			    "because %s from %g on comes first", file,
			    map->line, map->key,
			    vocabulary_actions[ACTION_FLAG + i], scores[i],
			    vocabulary_actions[ACTION_FLAG + k], scores[k]);
		}
	}
	if (map->child == NULL)
		log_warnx("%s:%d: %s: no action has a score, so everything "
		    "passes", file, map->line, map->key);
}

/* flag, redact and block of one category or of "default". */
static int
config_threshold(struct config *c, struct threshold *t, const char *file,
    const struct ynode *map, struct fault *f)
{
	double			*const scores[] = { [ACTION_FLAG] = &t->flag,
	    [ACTION_REDACT] = &t->redact, [ACTION_BLOCK] = &t->block };
	const struct ynode	*n;
	int			 i;

	if (map->kind != YNODE_MAP)
		return (ynode_fault(file, map, f,
		    "expected flag, redact or block with a score"));
	*t = (struct threshold){ NEVER, NEVER, NEVER, 1 };
	for (n = map->child; n != NULL; n = n->next) {
		i = vocabulary_find(vocabulary_actions, n->key);
		if (i < ACTION_FLAG)
			config_note(c, config_stray(file, n, "action",
			    map->key, vocabulary_actions + ACTION_FLAG, f), f);
		else
			config_note(c, ynode_real(file, n, 0, 1, scores[i],
			    f), f);
	}
	config_threshold_warn(t, file, map);
	return (0);
}

/* The thresholds of one direction. */
static int
config_direction(struct config *c, struct threshold *t, const char *file,
    struct ynode *map, struct fault *f)
{
	const struct ynode	*n;
	struct threshold	 dflt;
	int			 i;

	if (map->kind != YNODE_MAP)
		return (ynode_fault(file, map, f, "expected categories"));
	if ((n = ynode_get(map, "default")) != NULL) {
		config_note(c, config_threshold(c, &dflt, file, n, f), f);
		for (i = 0; n->kind == YNODE_MAP && i < CATEGORIES; i++)
			t[i] = dflt;
	}
	for (n = map->child; n != NULL; n = n->next) {
		if (strcmp(n->key, "default") == 0)
			continue;
		if ((i = vocabulary_category(n->key)) == -1)
			config_note(c, config_no_category(file, n, f), f);
		else
			config_note(c, config_threshold(c, &t[i], file, n, f),
			    f);
	}
	return (0);
}

/* prompt and reply of a policy; groups is 1 if the keys groups and plugins may
 * be there. */
static int
config_directions(struct config *c,
    struct threshold (*policy)[CATEGORIES], const char *file,
    const struct ynode *map, int groups, struct fault *f)
{
	static const char *const words[] = { "prompt", "reply", "groups",
	    "plugins", NULL };
	struct ynode	*n;
	int		 d;

	if (map->kind != YNODE_MAP)
		return (ynode_fault(file, map, f, "expected prompt and reply"));
	for (n = map->child; n != NULL; n = n->next) {
		if (groups && (strcmp(n->key, "groups") == 0 ||
		    strcmp(n->key, "plugins") == 0))
			continue;
		d = vocabulary_find(vocabulary_directions, n->key);
		if (d == -1)
			config_note(c, config_stray(file, n, "direction", "",
			    groups ? words : vocabulary_directions, f), f);
		else
			config_note(c, config_direction(c, policy[d], file, n,
			    f), f);
	}
	return (0);
}

/* policy.groups: a policy for each group, over the one for everybody. */
static int
config_groups(struct config *c, const char *file, const struct ynode *map,
    struct fault *f)
{
	const struct ynode	*n;
	struct config_group	*g;

	if (map->kind != YNODE_MAP)
		return (ynode_fault(file, map, f, "expected names of groups"));
	for (n = map->child; n != NULL; n = n->next) {
		c->groups = xreallocarray(c->groups, c->ngroups + 1,
		    sizeof *c->groups);
		g = &c->groups[c->ngroups++];
		g->name = xstrdup(n->key);
		memcpy(g->policy, c->policy, sizeof g->policy);
		config_note(c, config_directions(c, g->policy, file, n, 0, f),
		    f);
	}
	return (0);
}

/* policy.plugins: a policy for the findings of each plugin. */
static int
config_plugins(struct config *c, const char *file, const struct ynode *map,
    struct fault *f)
{
	const struct ynode	*n;
	struct config_group	*g;

	if (map->kind != YNODE_MAP)
		return (ynode_fault(file, map, f, "expected names of "
		    "plugins"));
	for (n = map->child; n != NULL; n = n->next) {
		c->plugins = xreallocarray(c->plugins, c->nplugins + 1,
		    sizeof *c->plugins);
		g = &c->plugins[c->nplugins++];
		memset(g, 0, sizeof *g);
		g->name = xstrdup(n->key);
		config_note(c, config_directions(c, g->policy, file, n, 0, f),
		    f);
	}
	return (0);
}

/* policy: prompt, reply, groups and plugins. */
int
config_policy(struct config *c, const char *file, const struct ynode *map,
    struct fault *f)
{
	const struct ynode	*n;
	int			 r;

	r = config_directions(c, c->policy, file, map, 1, f);
	if (r == 0 && (n = ynode_get((struct ynode *)(uintptr_t)map,
	    "groups")) != NULL)
		r = config_groups(c, file, n, f);
	if (r == 0 && (n = ynode_get((struct ynode *)(uintptr_t)map,
	    "plugins")) != NULL)
		r = config_plugins(c, file, n, f);
	return (r);
}

/* messages: the words for each category, and for all others. */
int
config_words(struct config *c, const char *file, const struct ynode *map,
    struct fault *f)
{
	const struct ynode	*n, *dflt;
	int			 i;

	if (map->kind != YNODE_MAP)
		return (ynode_fault(file, map, f, "expected categories"));
	dflt = ynode_get((struct ynode *)(uintptr_t)map, "default");
	for (i = 0; dflt != NULL && dflt->kind == YNODE_SCALAR &&
	    i < CATEGORIES; i++)
		config_text(&c->words[i], dflt->text);
	for (n = map->child; n != NULL; n = n->next) {
		if (n->kind != YNODE_SCALAR)
			config_note(c, ynode_fault(file, n, f,
			    "expected words"), f);
		else if (n == dflt)
			continue;
		else if ((i = vocabulary_category(n->key)) == -1)
			config_note(c, config_no_category(file, n, f), f);
		else
			config_text(&c->words[i], n->text);
	}
	return (0);
}

/* Release the labels of the judge. */
void
config_labels_clear(struct config *c)
{
	size_t	 i;

	for (i = 0; i < c->njudge_labels; i++)
		free(c->judge_labels[i].name);
	free(c->judge_labels);
	c->judge_labels = NULL;
	c->njudge_labels = 0;
}

/* Add a label. */
static void
config_label(struct config *c, const char *name, int category)
{
	c->judge_labels = xreallocarray(c->judge_labels, c->njudge_labels + 1,
	    sizeof *c->judge_labels);
	c->judge_labels[c->njudge_labels++] = (struct config_label){
	    .name = xstrdup(name), .category = category };
}

/* Set the labels of OpenChatKit's moderation model, which tell how harmful a
 * text is, but not the kind of harm. */
void
config_labels_default(struct config *c)
{
	const int	 any = vocabulary_category("illegal");

	config_label(c, "casual", -1);
	config_label(c, "possibly needs caution", -1);
	config_label(c, "probably needs caution", -1);
	config_label(c, "needs caution", any);
	config_label(c, "needs intervention", any);
}

/* judge.labels: the category of each label, or "harmless". */
int
config_labels(struct config *c, const char *file, const struct ynode *map,
    struct fault *f)
{
	const struct ynode	*n;
	int			 i;

	if (map->kind != YNODE_MAP)
		return (ynode_fault(file, map, f,
		    "expected labels and their categories"));
	config_labels_clear(c);
	for (n = map->child; n != NULL; n = n->next) {
		i = n->kind == YNODE_SCALAR ?
		    vocabulary_category(n->text) : -1;
		if (i == -1 && (n->kind != YNODE_SCALAR ||
		    strcmp(n->text, "harmless") != 0))
			config_note(c, ynode_fault(file, n, f, "expected a "
			    "category or harmless"), f);
		else if (c->njudge_labels == CONFIG_LABELS_MAX)
			return (ynode_fault(file, n, f, "expected at most %d "
			    "labels", CONFIG_LABELS_MAX));
		else if (n->key[0] == '\0' || strlen(n->key) >
		    CONFIG_LABEL_BYTES)
			config_note(c, ynode_fault(file, n, f, "expected a "
			    "label of 1 to %d bytes", CONFIG_LABEL_BYTES), f);
		else
			config_label(c, n->key, i);
	}
	return (0);
}

/* Is file directly in folder? */
static int
config_lies_in(const char *file, const char *folder)
{
	size_t	 n = strlen(folder);

	return (strncmp(file, folder, n) == 0 && file[n] == '/' &&
	    strchr(file + n + 1, '/') == NULL);
}

/* Does a plugin get a process of its own? Before installation, the plugins
 * of this project lie beside chatd-filter, where libtool builds them. */
int
config_filter_own(const struct config *c, const struct config_filter *f)
{
	char		*built;
	const char	*slash;
	int		 ours;

	if (f->process != FILTER_AUTO)
		return (f->process == FILTER_OWN);
	if (config_lies_in(f->path, PLUGINDIR))
		return (0);
	if ((slash = strrchr(c->filter_program, '/')) == NULL)
		return (1);
	built = xasprintf("%.*s/.libs", (int)(slash - c->filter_program),
	    c->filter_program);
	ours = config_lies_in(f->path, built);
	free(built);
	return (!ours);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of chatd-filter: takes its part of the configuration, and loads,
 * opens and tests the plugins with the sandbox around them.
 */
#include <config.h>
#include "filterd_impl.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "chan.h"
#include "clock.h"
#include "json.h"
#include "log.h"
#include "protocol.h"
#include "vocabulary.h"
#include "xmalloc.h"

/* The init message, and one entry of its plugins. */
struct init {
	json_t		*plugins, *categories;
	const char	*version;	/* borrowed: chatd's, or NULL */
	int		 sandbox;
};

struct init_plugin {
	const char	*name, *path;
	json_t		*options;
	const char	*saved;		/* borrowed: by an earlier process */
};

static const struct field filterd_init_fields[] = {
	{ "plugins", FIELD_ARRAY, FIELD_REQUIRED, 0, 0,
	    offsetof(struct init, plugins) },
	{ "categories", FIELD_ARRAY, FIELD_NULLABLE, 0, 0,
	    offsetof(struct init, categories) },
	{ "sandbox", FIELD_BOOL, FIELD_NULLABLE, 0, 0,
	    offsetof(struct init, sandbox) },
	{ "version", FIELD_STRING, 0, 0, 64,
	    offsetof(struct init, version) },
};

static const struct field filterd_plugin_fields[] = {
	{ "name", FIELD_STRING, FIELD_REQUIRED, 0, 63,
	    offsetof(struct init_plugin, name) },
	{ "path", FIELD_STRING, FIELD_REQUIRED, 0, 1023,
	    offsetof(struct init_plugin, path) },
	{ "options", FIELD_OBJECT, FIELD_NULLABLE, 0, 0,
	    offsetof(struct init_plugin, options) },
	{ "saved", FIELD_STRING, FIELD_NULLABLE, 0, 2 * CHAT_FILTER_BLOB_MAX,
	    offsetof(struct init_plugin, saved) },
};

/* Fill the list of categories that findings may have. */
static int
filterd_read_categories(struct filterd *fd, const json_t *list,
    struct fault *f)
{
	const char	*slug;
	const json_t	*v;
	size_t		 i, n = 0;
	int		 k;

	fd->categories = xcalloc(nitems(vocabulary_categories),
	    sizeof *fd->categories);
	if (list == NULL) {
		memcpy(fd->categories, vocabulary_categories,
		    sizeof vocabulary_categories);
		fd->ncategories = CATEGORIES;
		return (0);
	}
	if (json_array_size(list) > CATEGORIES)
		return (fault_set(f, "bad_field", "categories",
		    "categories: more than %d", CATEGORIES));
	json_array_foreach(list, i, v) {
		if ((slug = json_string_value(v)) == NULL)
			return (fault_set(f, "bad_field", "categories",
			    "categories: expected strings"));
		if ((k = vocabulary_category(slug)) == -1)
			return (fault_set(f, "bad_field", "categories",
			    "categories: unknown category \"%.40s\"", slug));
		fd->categories[n++] = vocabulary_categories[k];
	}
	fd->ncategories = n;
	return (0);
}

/* Read the entries of plugins. */
static int
filterd_read_plugins(json_t *list, struct init_plugin *out, struct fault *f)
{
	size_t	 i, k;
	int	 r;

	if (json_array_size(list) > FILTER_PLUGINS_MAX)
		return (fault_set(f, "bad_field", "plugins",
		    "plugins: more than %d", FILTER_PLUGINS_MAX));
	for (i = 0; i < json_array_size(list); i++) {
		if (!json_is_object(json_array_get(list, i)))
			return (fault_set(f, "bad_field", "plugins",
			    "plugins: expected objects"));
		if ((r = fields_read(json_array_get(list, i),
		    filterd_plugin_fields, nitems(filterd_plugin_fields),
		    &out[i], f)) != 0)
			return (r);
		for (k = 0; k < i; k++) {
			if (strcmp(out[k].name, out[i].name) == 0)
				return (fault_set(f, "bad_field", "plugins",
				    "plugins: \"%s\" is there twice",
				    out[i].name));
		}
	}
	return (0);
}

/* Allow the first stage to read the folder of one plugin. */
static void
filterd_allow(struct sandbox *sb, const struct init_plugin *p)
{
	char	*path = xstrdup(p->path);

	if (path[0] == '/')
		sandbox_allow_read(sb, dirname(path));
	free(path);
}

/* Judge a harmless prompt and reply, so that a plugin that fails in the sandbox
 * fails at start. */
static int
filterd_try(struct filterd *fd, struct fault *f)
{
	static const char *const	 directions[] = { "prompt", "reply" };
	struct check			 c = { .text = "Hello.", .len = 6,
					    .context = "", .final = 1 };
	struct answer			 a;
	struct text			*tx;
	size_t				 i;
	int				 r = 0;

	c.now = clock_monotonic();
	for (i = 0; r == 0 && i < nitems(directions); i++) {
		c.direction = directions[i];
		filterd_answer_init(&a);
		tx = text_new(fd->texts, 0, 0, fd->ncategories);
		r = filterd_judge(fd, &c, tx, &a, f);
		filterd_end(fd, tx);
		filterd_answer_clear(&a);
	}
	return (r);
}

/* Load, open and try the plugins, with the sandbox around them. */
static int
filterd_start(struct filterd *fd, const struct init *in,
    const struct init_plugin *list, struct fault *f)
{
	struct sandbox	*sb;
	struct plugin	*found[FILTER_PLUGINS_MAX] = {};
	size_t		 i, n = json_array_size(in->plugins);
	int		 r = 0;

	sb = sandbox_new();
	for (i = 0; r == 0 && i < n; i++) {
		filterd_allow(sb, &list[i]);
		if ((r = plugin_find(list[i].name, list[i].path, &found[i],
		    f)) == 0)
			r = inputs_allow(sb, list[i].options, found[i]->reads,
			    f);
	}
	if (r != 0)
		goto out;
	if (!in->sandbox) {
		log_warnx("the sandbox is off: plugins can do what this "
		    "user can");
		crash_limit(FILTER_START_S);
	} else {
		/* plugin_find has checked the owners of files already: in
		 * the new namespace other users may have no uid. */
		nest_enter();
		crash_limit(FILTER_START_S);
		if ((r = sandbox_enter(sb, f)) != 0)
			goto out;
	}
	for (i = 0; i < n; i++) {
		if ((r = plugin_load(found[i], f)) != 0)
			goto out;
		fd->hosts[fd->n++] = host_new(found[i], i,
		    fd->categories);
		found[i] = NULL;
		if ((r = host_open(fd->hosts[i], list[i].options, f)) != 0)
			goto out;
		texts_keep(fd->texts, host_window(fd->hosts[i]));
		if (host_is_banded(fd->hosts[i]))
			texts_band(fd->texts, i);
	}
	if (in->sandbox && (r = sandbox_tighten(sb, f)) != 0)
		goto out;
	for (i = 0; r == 0 && i < n; i++)
		r = host_selftest(fd->hosts[i], f);
	for (i = 0; r == 0 && i < n; i++)
		r = host_restore(fd->hosts[i], list[i].saved, f);
	if (r == 0)
		r = filterd_try(fd, f);
	crash_limit(0);
out:
	for (i = 0; i < n; i++)
		plugin_free(found[i]);
	sandbox_free(sb);
	return (r);
}

/* The first message. */
int
filterd_init(struct filterd *fd, json_t *msg, struct fault *f)
{
	struct init		 in = { .sandbox = 1 };
	struct init_plugin	 list[FILTER_PLUGINS_MAX] = {};
	json_t			*plugins, *ready;
	size_t			 i;
	int			 r;

	if ((r = fields_read(msg, filterd_init_fields,
	    nitems(filterd_init_fields), &in, f)) != 0 ||
	    (r = init_version("chatd-filter", PACKAGE_VERSION, in.version,
	    f)) != 0 ||
	    (r = filterd_read_categories(fd, in.categories, f)) != 0 ||
	    (r = filterd_read_plugins(in.plugins, list, f)) != 0 ||
	    (r = filterd_start(fd, &in, list, f)) != 0)
		return (r);
	plugins = json_array();
	for (i = 0; i < fd->n; i++)
		json_array_append_new(plugins, host_describe(fd->hosts[i]));
	ready = msg_event("ready", -1);
	msg_set(ready, "plugins", plugins);
	msg_set_bool(ready, "tails", 1);
	chan_send(fd->chan, ready);
	fd->ready = 1;
	return (0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reload that only checks: whoever makes a model asks, before the work, if
 * chatd will be able to load it, and which folders it still needs.
 */
#include "chatd.h"

#include <string.h>

#include "choice.h"

/* Does an adapter belong to the model that serves, so that no other model can
 * be loaded? Fills *f then. */
static int
reload_bound(const json_t *model, struct fault *f)
{
	const char	*name, *base;
	const json_t	*o;
	size_t		 i;

	json_array_foreach(json_object_get(model, "adapters"), i, o) {
		name = msg_string(o, "name");
		base = msg_string(o, "base_digest");
		if (base != NULL)
			return (fault_set(f, "bad_config", "model.adapters",
			    "model.adapters: %s belongs to the model with the "
			    "digest %s (base_digest), so no other model can be "
			    "loaded: remove the adapter from chatd.yaml, and "
			    "reload", name != NULL ? name : "an adapter",
			    base));
	}
	return (0);
}

/* Add a path to a list, if there is one. */
static void
reload_add(json_t *list, const char *path)
{
	if (path != NULL && path[0] != '\0')
		json_array_append_new(list, json_string(path));
}

/* The folders and files that serve, that a rollback needs, or that the
 * configuration names. NULL: what is remembered can't be read, with *f
 * filled. */
static json_t *
reload_used(const struct chatd *d, struct fault *f)
{
	const struct config	*cf = d->config;
	json_t			*list = json_array();
	struct choice		 c;
	size_t			 i;
	int			 r;

	reload_add(list, d->engine->path);
	if (d->beside != NULL)
		reload_add(list, d->beside->path);
	reload_add(list, cf->model_path);
	reload_add(list, cf->judge_model);
	for (i = 0; i < cf->nadapters; i++)
		reload_add(list, cf->adapters[i].path);
	if ((r = choice_read(cf->state_dir, &c, f)) == 0) {
		reload_add(list, c.current.path);
		reload_add(list, c.previous.path);
	}
	choice_clear(&c);
	if (r == 0 || r == CHAT_ENOTFOUND)
		return (list);
	json_decref(list);
	return (NULL);
}

/* Answer if a model in this folder could be loaded. */
void
reload_check(struct chatd *d, struct request *r, const char *folder)
{
	struct fault	 f;
	json_t		*m, *used;

	if (folder != NULL && (config_check_folder("model", folder, &f) != 0 ||
	    reload_bound(d->engine->model, &f) != 0)) {
		request_fault(r, &f);
		return;
	}
	if ((used = reload_used(d, &f)) == NULL) {
		request_fault(r, &f);
		return;
	}
	m = json_object();
	msg_set(m, "used", used);
	request_done(r, m);
}

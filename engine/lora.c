/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapters that are loaded beside the model: reading them, and finding the
 * one that a request names.
 */
#include "engine.h"

#include <string.h>

#include "growbuf.h"
#include "json.h"
#include "model.h"
#include "vocabulary.h"

/* Read one adapter. */
static int
lora_one(struct engine *e, json_t *item, struct fault *f)
{
	const char	*name = msg_string(item, "name");
	const char	*path = msg_string(item, "path");
	int		 i, r;

	if (name == NULL || path == NULL || name[0] == '\0' ||
	    strlen(name) > ADAPTER_NAME_MAX ||
	    strcmp(name, ADAPTER_BASE_NAME) == 0)
		return (fault_set(f, "bad_field", "adapters", "adapters: "
		    "expected objects with a path and a name of 1 to %d bytes "
		    "other than " ADAPTER_BASE_NAME, ADAPTER_NAME_MAX));
	for (i = 0; i < e->nadapters; i++)
		if (strcmp(e->adapter[i]->name, name) == 0)
			return (fault_set(f, "bad_field", "adapters",
			    "adapters: %s is there twice", name));
	if ((r = adapter_open(name, path, model_config(e->model),
	    &e->adapter[e->nadapters], f)) == 0)
		e->nadapters++;
	return (r);
}

/* Read the adapters. */
int
lora_read(struct engine *e, struct fault *f)
{
	json_t	*item;
	size_t	 i;
	int	 r;

	if (json_array_size(e->opt.adapters) > ADAPTERS_MAX)
		return (fault_set(f, "bad_field", "adapters", "adapters: "
		    "expected at most %d, found %zu", ADAPTERS_MAX,
		    json_array_size(e->opt.adapters)));
	json_array_foreach(e->opt.adapters, i, item)
		if ((r = lora_one(e, item, f)) != 0)
			return (r);
	return (0);
}

/* The model is loaded, so its digest is known, and the backend has copies of
 * the adapters: check that they belong to it, and release their matrices. */
int
lora_end(struct engine *e, struct fault *f)
{
	int	 i, r;

	for (i = 0; i < e->nadapters; i++) {
		if ((r = adapter_check_base(e->adapter[i],
		    model_path(e->model), model_digest(e->model), f)) != 0)
			return (r);
		adapter_drop(e->adapter[i]);
	}
	return (0);
}

/* Release the adapters. */
void
lora_clear(struct engine *e)
{
	while (e->nadapters > 0)
		adapter_free(e->adapter[--e->nadapters]);
}

/* The number of an adapter. */
int
lora_find(const struct engine *e, const char *name, int *out,
    struct fault *f)
{
	struct textbuf	 known = { 0 };
	int		 i;

	*out = 0;
	if (name == NULL || name[0] == '\0')
		return (0);
	for (i = 0; i < e->nadapters; i++) {
		if (strcmp(e->adapter[i]->name, name) == 0) {
			*out = i + 1;
			return (0);
		}
		textbuf_puts(&known, i > 0 ? ", " : "");
		textbuf_puts(&known, e->adapter[i]->name);
	}
	fault_set(f, "bad_field", "adapter", "adapter: expected \"\"%s%s, "
	    "found %.64s", known.n > 0 ? " or one of " : ", since there is no "
	    "adapter", known.n > 0 ? known.s : "", name);
	textbuf_clear(&known);
	return (CHAT_EFORMAT);
}

/* Describe the adapters. */
json_t *
lora_describe(const struct engine *e)
{
	json_t	*list = json_array(), *o;
	int	 i;

	for (i = 0; i < e->nadapters; i++) {
		o = json_object();
		msg_set_string(o, "name", e->adapter[i]->name);
		msg_set_string(o, "digest", e->adapter[i]->digest);
		msg_set_string(o, "base_digest", e->adapter[i]->base);
		msg_set_int(o, "rank", e->adapter[i]->rank);
		msg_set_int(o, "parameters", e->adapter[i]->parameters);
		json_array_append_new(list, o);
	}
	return (list);
}

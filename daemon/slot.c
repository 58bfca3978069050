/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot: one engine process and the model that it serves, see slot.h. helper.c
 * watches the process. roles.c and reload.c own the slots.
 */
#include <config.h>
#include "slot.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "settings.h"
#include "xmalloc.h"

#define SLOT_BACKOFF_MS	60000	/* longest wait before a restart */

/*
 * The longest line of an engine, and the most JSON values in it: the ids of a
 * text of 1 MiB, the largest limits.prompt, one a byte. One value costs chatd
 * about 100 bytes while it is read.
 */
#define SLOT_LINE	(12 * 1024 * 1024)
#define SLOT_VALUES	(1100 * 1024)

static const char	*const slot_names[] = { "new engine", "engine",
			    "old engine" };

/* List the adapters for the engine. */
static json_t *
slot_adapters(const struct config *cf)
{
	json_t	*list = json_array(), *o;
	size_t	 i;

	for (i = 0; i < cf->nadapters; i++) {
		o = json_object();
		msg_set_string(o, "name", cf->adapters[i].name);
		msg_set_string(o, "path", cf->adapters[i].path);
		json_array_append_new(list, o);
	}
	return (list);
}

/* Make the init message of an engine. */
static json_t *
slot_make_init(const struct config *cf, const char *path)
{
	json_t	*m = msg_op("init", -1);

	msg_set_string(m, "version", PACKAGE_VERSION);
	msg_set_string(m, "model", path);
	msg_set_string(m, "precision", cf->precision);
	msg_set_string(m, "kv_precision", cf->kv_precision);
	msg_set_string(m, "device", cf->device);
	msg_set_string(m, "isa", cf->isa);
	msg_set_int(m, "threads", cf->threads);
	msg_set_bool(m, "pin", cf->pin);
	msg_set_int(m, "context", cf->context);
	msg_set_int(m, "kv_tokens", cf->kv_tokens);
	msg_set_int(m, "batch_tokens", cf->batch_tokens);
	if (cf->nadapters > 0)
		msg_set(m, "adapters", slot_adapters(cf));
	return (m);
}

/* The engine starts: give it its settings. */
static json_t *
slot_init(void *arg)
{
	struct slot	*s = arg;

	return (json_copy(s->init));
}

/* Would a model continue a reply of another one differently? */
static int
slot_model_differs(const json_t *old, const json_t *new)
{
	static const char *const keys[] = { "digest", "precision" };
	const char	*a, *b;
	size_t		 i;

	for (i = 0; i < nitems(keys); i++) {
		a = msg_string(old, keys[i]);
		b = msg_string(new, keys[i]);
		if (a != NULL && b != NULL && strcmp(a, b) != 0)
			return (1);
	}
	return (0);
}

/* The model is loaded. */
static void
slot_ready(void *arg, json_t *msg)
{
	struct slot	*s = arg;
	json_t		*model = json_object_get(msg, "model");
	int		 changed;

	if (!json_is_object(model)) {
		helper_kill(s->helper, "ready without a model");
		return;
	}
	changed = s->model != NULL && slot_model_differs(s->model, model);
	json_incref(model);
	json_decref(s->model);
	s->model = model;
	s->ops->ready(s->arg, s, changed);
}

/* The model loads. */
static void
slot_progress(void *arg, json_t *msg)
{
	struct slot	*s = arg;

	json_decref(s->progress);
	s->progress = json_copy(msg);
	json_object_del(s->progress, "event");
	s->ops->progress(s->arg, s);
}

/* The engine has died. */
static void
slot_gone(void *arg, int started)
{
	struct slot	*s = arg;

	json_decref(s->progress);
	s->progress = NULL;
	if (s->helper != NULL)
		s->ops->gone(s->arg, s, started);
}

/* The process has ended, and none follows. */
static void
slot_ended(void *arg)
{
	struct slot	*s = arg;

	s->ops->ended(s->arg, s);
}

/* Nobody uses it: if it is there to finish, it is done. Not from slot_leave,
 * which the callbacks of its helper may call. */
static void
slot_idle(evutil_socket_t fd, short what, void *arg)
{
	struct slot	*s = arg;

	(void)fd;
	(void)what;
	if (s->role != SLOT_FINISHES || s->users != 0 ||
	    helper_is_retired(s->helper))
		return;
	s->spec.ended = slot_ended;
	helper_retire(s->helper);
}

/* Make a slot. */
struct slot *
slot_new(struct event_base *base, const struct config *cf, const char *path,
    enum slot_role role, const struct slot_ops *ops, void *arg)
{
	struct slot	*s = xcalloc(1, sizeof *s);

	s->ops = ops;
	s->arg = arg;
	s->path = xstrdup(path);
	s->init = slot_make_init(cf, path);
	s->idle = evtimer_new(base, slot_idle, s);
	s->spec = (struct helper_spec){ .backoff_max_ms = SLOT_BACKOFF_MS,
	    .line_max = SLOT_LINE, .values_max = SLOT_VALUES,
	    .loading = "progress", .init = slot_init, .ready = slot_ready,
	    .event = slot_progress, .gone = slot_gone, .arg = s };
	slot_configure(s, cf);
	slot_turn(s, role);
	s->helper = helper_new(base, &s->spec);
	return (s);
}

/* Release a slot. */
void
slot_free(struct slot *s)
{
	if (s == NULL)
		return;
	helper_free(s->helper);
	event_free(s->idle);
	json_decref(s->init);
	json_decref(s->model);
	json_decref(s->progress);
	free(s->program);
	free(s->path);
	free(s);
}

/* Look soon whether it is used. */
static void
slot_look(struct slot *s)
{
	struct timeval	 tv = { 0, 0 };

	if (s->role == SLOT_FINISHES && s->users == 0)
		event_add(s->idle, &tv);
}

/* Keep it. */
struct slot *
slot_use(struct slot *s)
{
	s->users++;
	return (s);
}

/* Use it no more. */
void
slot_leave(struct slot *s)
{
	if (s == NULL)
		return;
	s->users--;
	slot_look(s);
}

/* Change its role. */
void
slot_turn(struct slot *s, enum slot_role role)
{
	s->role = role;
	s->spec.name = slot_names[role];
	s->spec.ended = role == SLOT_LOADS ? slot_ended : NULL;
	slot_look(s);
}

/* Take the program and the limits of a configuration. */
void
slot_configure(struct slot *s, const struct config *cf)
{
	free(s->program);
	s->program = xstrdup(cf->engine_program);
	s->spec.program = s->program;
	s->spec.timeout_ms = (int)cf->engine_timeout;
	s->spec.start_ms = (int)cf->engine_load_timeout;
}

/* Would an engine for the model at path get other settings? */
static int
slot_settings_differ(const struct slot *s, const struct config *cf,
    const char *path)
{
	json_t	*init = slot_make_init(cf, path);
	int	 same = json_equal(init, s->init);

	json_decref(init);
	return (!same);
}

/* Compare its settings with those of a configuration. */
int
slot_differs(const struct slot *s, const struct config *cf)
{
	return (slot_settings_differ(s, cf, config_model(cf)));
}

/* Could it serve this model at once? */
int
slot_could_serve(const struct slot *s, const struct config *cf,
    const char *path, const char *digest)
{
	const char	*has = msg_string(s->model, "digest");

	return (helper_state(s->helper) == HELPER_READY &&
	    !helper_is_retired(s->helper) && has != NULL && digest != NULL &&
	    strcmp(has, digest) == 0 && !slot_settings_differ(s, cf, path));
}

/* Describe its model. */
json_t *
slot_describe(const struct slot *s)
{
	json_t	*o = json_object();

	msg_set_string(o, "path", s->path);
	msg_set_string(o, "digest", msg_string(s->model, "digest"));
	msg_set_string(o, "name", msg_string(s->model, "name"));
	return (o);
}

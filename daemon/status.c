/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of chatd for clients: the model in hello, everything in status.
 */
#include <config.h>
#include "chatd.h"

#include <unistd.h>

#include "clock.h"
#include "filters.h"

/* Keep only the listed members of an object. */
static json_t *
status_keep(json_t *o, const char *const *keys)
{
	json_t	*kept = json_object();

	for (; *keys != NULL; keys++)
		msg_set(kept, *keys, json_incref(json_object_get(o, *keys)));
	json_decref(o);
	return (kept);
}

/* Name the loaded adapters, which every client may ask for. */
static void
status_adapters(const json_t *model, json_t *out)
{
	json_t	*list, *o, *one;
	size_t	 i;

	if ((list = json_object_get(model, "adapters")) == NULL)
		return;
	msg_set(out, "adapters", json_array());
	json_array_foreach(list, i, o) {
		one = json_object();
		msg_set_string(one, "name", msg_string(o, "name"));
		json_array_append_new(json_object_get(out, "adapters"), one);
	}
}

/* Describe the model and its state. */
json_t *
status_model(const struct chatd *d, int operator)
{
	static const char *const public[] = { "name", "precision",
	    "kv_precision", "context", "state", "bytes", "bytes_total", NULL };
	const struct helper	*h = d->engine->helper;
	json_t			*m;

	m = d->engine->model != NULL ? json_copy(d->engine->model) :
	    json_object();
	if (d->engine->model == NULL) {
		msg_set_string(m, "path", d->engine->path);
		msg_set_string(m, "precision", d->config->precision);
		msg_set_string(m, "kv_precision", d->config->kv_precision);
	}
	if (helper_state(h) == HELPER_READY)
		msg_set_string(m, "state", "ready");
	else if (helper_state(h) == HELPER_STARTING && helper_why(h)[0] == '\0')
		msg_set_string(m, "state", "loading");
	else {
		msg_set_string(m, "state", "down");
		msg_set_string(m, "why", helper_why(h));
	}
	if (helper_state(h) == HELPER_STARTING && d->engine->progress != NULL)
		json_object_update(m, d->engine->progress);
	if (operator)
		return (m);
	m = status_keep(m, public);
	status_adapters(d->engine->model, m);
	return (m);
}

/* Describe the model beside the one that serves. */
json_t *
status_swap(const struct chatd *d, int operator)
{
	const struct slot	*s = d->beside;
	json_t			*o;

	if (s == NULL)
		return (NULL);
	o = json_object();
	msg_set_string(o, "state", s->role == SLOT_LOADS ? "loading" :
	    "finishing");
	if (operator)
		msg_set_string(o, "path", s->path);
	if (s->role == SLOT_FINISHES)
		msg_set_int(o, "replies", exchange_count(d, s));
	else if (s->progress != NULL)
		json_object_update(o, s->progress);
	return (o);
}

/* Describe one helper. */
static json_t *
status_helper(const struct helper *h, int operator)
{
	json_t	*o = json_object();

	msg_set_string(o, "state", helper_state_name(h));
	if (!operator)
		return (o);
	msg_set_int(o, "pid", helper_pid(h));
	msg_set_int(o, "restarts", helper_restarts(h));
	if (helper_why(h)[0] != '\0')
		msg_set_string(o, "why", helper_why(h));
	return (o);
}

/* Make the answer to status. */
json_t *
status_message(const struct chatd *d, int operator)
{
	static const char *const public[] = { "event", "server", "uptime_s",
	    "draining", "model", "swap", "exchanges", "helpers", NULL };
	static const char *const load[] = { "running", "waiting", NULL };
	json_t	*m, *o, *h;
	size_t	 i;

	m = msg_event("done", -1);
	msg_set_string(m, "server", "chatd " PACKAGE_VERSION);
	msg_set_int(m, "pid", getpid());
	msg_set_int(m, "uptime_s", (clock_monotonic() - d->started) / 1000);
	msg_set_bool(m, "draining", d->draining);
	msg_set(m, "model", status_model(d, operator));
	msg_set(m, "swap", status_swap(d, operator));
	msg_set_int(m, "clients", client_count(d));
	o = exchange_status(d);
	msg_set(m, "exchanges", operator ? o : status_keep(o, load));
	o = json_object();
	msg_set(o, "engine", status_helper(d->engine->helper, operator));
	if (d->beside != NULL)
		msg_set(o, d->beside->spec.name, status_helper(
		    d->beside->helper, operator));
	if (d->judge != NULL)
		msg_set(o, "judge", status_helper(d->judge, operator));
	for (i = 0; i < d->filters->n; i++) {
		h = status_helper(d->filters->process[i].helper, operator);
		filters_mark_off(&d->filters->process[i], h, operator);
		msg_set(o, d->filters->process[i].name, h);
	}
	h = status_helper(d->store, operator);
	if (d->store_since != 0) {
		if (helper_state(d->store) == HELPER_READY)
			msg_set_string(h, "state", "failing");
		if (operator)
			msg_set_string(h, "why", d->store_error);
		msg_set_int(h, "since", d->store_since);
	}
	msg_set(o, "store", h);
	msg_set(m, "helpers", o);
	msg_set(m, "filters", filters_status(d->filters));
	return (operator ? m : status_keep(m, public));
}

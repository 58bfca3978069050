/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer to health: the state of the service in one word, and the reasons.
 */
#include "chatd.h"

#include <sys/statvfs.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "filters.h"
#include "xmalloc.h"

#define HEALTH_DISK_LOW	(64 * 1024 * 1024)	/* bytes free */

/* An answer that is being made. */
struct health_answer {
	enum health	 worst;
	json_t		*why;		/* owned: array of texts */
	int		 operator;	/* other users get no details, which
					 * name files and what others did */
};

/* Worsen the state, with a reason. detail may be NULL. */
static void
health_worsen(struct health_answer *a, enum health to, const char *what,
    const char *detail)
{
	json_t	*o;
	char	*text;

	if (a->worst < to)
		a->worst = to;
	text = xasprintf("%s: %s", what, detail != NULL && a->operator ?
	    detail : to == HEALTH_DEGRADED ? "needs a look" :
	    to == HEALTH_STARTING ? "starting" : "down");
	o = json_object();
	msg_set_text(o, "text", text, strlen(text));
	json_array_append(a->why, json_object_get(o, "text"));
	json_decref(o);
	free(text);
}

/* Add the state of a helper that every answer needs. */
static void
health_helper(struct health_answer *a, const struct helper *h,
    const char *name)
{
	const char	*why = helper_why(h);

	if (helper_state(h) != HELPER_READY)
		health_worsen(a, why[0] == '\0' ? HEALTH_STARTING :
		    HEALTH_DOWN, name, why[0] == '\0' ? NULL : why);
}

/* Add the state of the judge's engine. If texts pass without its verdict, the
 * service is degraded, not down. */
static void
health_judge(struct health_answer *a, const struct chatd *d)
{
	if (d->judge == NULL || helper_state(d->judge) == HELPER_READY)
		return;
	if (d->config->judge_required)
		health_helper(a, d->judge, "judge");
	else
		health_worsen(a, HEALTH_DEGRADED, "judge",
		    helper_why(d->judge)[0] != '\0' ? helper_why(d->judge) :
		    "starting");
}

/* Add the state of a filter process. If it is switched off and texts pass
 * without it, the service is degraded, not down. */
static void
health_filter(struct health_answer *a, const struct filters_process *p)
{
	if (p->off)
		health_worsen(a, p->pass ? HEALTH_DEGRADED : HEALTH_DOWN,
		    p->name, "switched off");
	else
		health_helper(a, p->helper, p->name);
}

/* Describe the free disk space of the store. */
static json_t *
health_disk(struct health_answer *a, const struct chatd *d)
{
	struct statvfs	 v;
	json_t		*o = json_object();
	char		 text[BYTES_TEXT], *detail;
	int64_t		 left;

	msg_set_string(o, "path", d->config->state_dir);
	if (statvfs(d->config->state_dir, &v) == -1)
		return (o);	/* the store reports the reason */
	left = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
	msg_set_int(o, "free", left);
	msg_set_int(o, "size", (int64_t)v.f_blocks * (int64_t)v.f_frsize);
	if (left < HEALTH_DISK_LOW) {
		detail = xasprintf("%s free for the store",
		    bytes_text(left, text));
		health_worsen(a, HEALTH_DEGRADED, "disk", detail);
		free(detail);
	}
	return (o);
}

/* Describe a helper. */
static json_t *
health_state(const struct health_answer *a, const struct helper *h)
{
	json_t	*o = json_object();

	msg_set_string(o, "state", helper_state_name(h));
	if (a->operator && helper_state(h) != HELPER_READY &&
	    helper_why(h)[0] != '\0')
		msg_set_string(o, "why", helper_why(h));
	if (a->operator)
		msg_set_int(o, "restarts", helper_restarts(h));
	return (o);
}

/* Describe all helpers. */
static json_t *
health_helpers(const struct health_answer *a, const struct chatd *d)
{
	json_t	*o = json_object(), *h;
	size_t	 i;

	msg_set(o, "engine", health_state(a, d->engine->helper));
	if (d->judge != NULL)
		msg_set(o, "judge", health_state(a, d->judge));
	for (i = 0; i < d->filters->n; i++) {
		h = health_state(a, d->filters->process[i].helper);
		filters_mark_off(&d->filters->process[i], h, a->operator);
		msg_set(o, d->filters->process[i].name, h);
	}
	h = health_state(a, d->store);
	if (d->store_since != 0 && helper_state(d->store) == HELPER_READY)
		msg_set_string(h, "state", "failing");
	msg_set(o, "store", h);
	return (o);
}

/* Describe the model: its name and state. */
static json_t *
health_model(const struct chatd *d)
{
	json_t	*all = status_model(d, 1), *o = json_object();

	msg_set(o, "name", json_incref(json_object_get(all, "name")));
	msg_set(o, "state", json_incref(json_object_get(all, "state")));
	json_decref(all);
	return (o);
}

/* Make the answer to health. */
json_t *
health_message(const struct chatd *d, int operator)
{
	static const char *const names[] = { "ok", "degraded", "starting",
	    "down" };
	struct health_answer	 a = { HEALTH_OK, json_array(), operator };
	json_t			*m = msg_event("done", -1), *disk, *o;
	size_t			 i;

	health_helper(&a, d->store, "store");
	for (i = 0; d->config->nfilters > 0 && i < d->filters->n; i++)
		health_filter(&a, &d->filters->process[i]);
	health_helper(&a, d->engine->helper, "engine");
	health_judge(&a, d);
	if (d->store_since != 0)
		health_worsen(&a, HEALTH_DOWN, "store", d->store_error);
	disk = health_disk(&a, d);
	if (d->draining)
		health_worsen(&a, HEALTH_DOWN, "chatd", "shutting down");
	msg_set_string(m, "health", names[a.worst]);
	msg_set(m, "why", a.why);
	msg_set(m, "helpers", health_helpers(&a, d));
	msg_set(m, "model", health_model(d));
	msg_set(m, "swap", status_swap(d, operator));
	o = exchange_status(d);
	json_object_del(o, "total");
	msg_set(m, "exchanges", o);
	if (d->store_since != 0)
		msg_set_int(m, "store_failing_since", d->store_since);
	/* These reveal what other users do. */
	if (operator && d->last_commit != 0)
		msg_set_int(m, "last_commit", d->last_commit);
	if (operator)
		msg_set(m, "disk", disk);
	else
		json_decref(disk);
	return (m);
}

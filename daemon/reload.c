/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reload: the new configuration comes into force as a whole, when its model is
 * loaded and its filter processes have started. The model loads in a second
 * engine, if it has changed; the filters start afterwards, so that two sets of
 * them exist for a short time only. The old filters then give the verdicts that
 * are due, and the old engine the rest of its replies, and both end. If
 * something new can't start, all of it ends instead, and the old configuration
 * stays. A rollback is the same with the model alone.
 */
#include "reload_impl.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "filters.h"
#include "log.h"
#include "xmalloc.h"

/* Filters that were replaced and still have verdicts to give. */
struct reload_old {
	struct chatd		*d;		/* borrowed */
	struct filters		*filters;	/* owned */
};

static void	 reload_refused(void *, const char *);
static void	 reload_old_gone(void *);

static const struct filters_ops reload_ops = {
	.ready = reload_ready,
	.refused = reload_refused,
};
static const struct filters_ops reload_old_ops = {
	.retired = reload_old_gone,
};
/*
 * Keep the values that only a restart changes, so that a restarted helper or an
 * export has the same values as the other processes. Returns how many values
 * would have changed.
 */
static int
reload_keep(struct config *old, struct config *new)
{
	const struct { char **old, **new; } texts[] = {
		{ &old->socket_path, &new->socket_path },
		{ &old->state_dir, &new->state_dir },
	};
	size_t	 i;
	int	 n = 0;

	for (i = 0; i < nitems(texts); i++) {
		if (strcmp(*texts[i].old, *texts[i].new) == 0)
			continue;
		free(*texts[i].new);
		*texts[i].new = xstrdup(*texts[i].old);
		n++;
	}
	return (n);
}

/* ---- the end of a reload */

/* Report a failure to systemd, to the log, and to the client if there is
 * one. */
static void
reload_fail(struct request *r, const char *what, const struct fault *f)
{
	notify_send("READY=1");
	log_warnx("%s: %s; the old %s stays", what, f->message,
	    strcmp(what, "reload") == 0 ? "configuration" : "model");
	if (r != NULL)
		request_fault(r, f);
}

/* Release a reload. Its processes are those of others by now. */
static void
reload_free(struct reload *rl)
{
	config_free(rl->config);
	free(rl->path);
	free(rl->digest);
	free(rl);
}

/* A reload is over, or the engine that it had to wait for: begin the next one,
 * if a signal asked for it. */
void
reload_over(struct chatd *d)
{
	if (!d->reload_again || d->draining)
		return;
	d->reload_again = 0;
	reload_new(d, NULL, NULL);
}

/* All that was started for it has ended: report the failure. */
void
reload_give_up(struct reload *rl)
{
	struct chatd	*d = rl->d;
	struct request	*r = rl->request;

	d->reload = NULL;
	if (r != NULL) {
		r->stop = NULL;
		r->arg = NULL;
	}
	reload_fail(r, rl->what, &rl->why);
	reload_free(rl);
	roles_report(d);
	reload_over(d);
}

/* Release filters outside of their own callbacks. */
static void
reload_free_filters(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	filters_free(arg);
}

/* It has failed: end the new filters, if there are some. */
void
reload_is_failed(struct reload *rl)
{
	rl->failed = 1;
	if (rl->filters == NULL)
		return;
	filters_adopt(rl->filters, NULL, NULL);
	filters_retire(rl->filters, NULL);
	event_base_once(rl->d->base, -1, EV_TIMEOUT, reload_free_filters,
	    rl->filters, NULL);
	rl->filters = NULL;
}

/* It has failed, for the reason in rl->why. If an engine was started, report
 * that only when it has ended, so that the next try finds its memory free. */
void
reload_fails(struct reload *rl)
{
	struct slot	*s = rl->path != NULL && !rl->loaded && !rl->waits ?
			    rl->d->beside : NULL;

	if (rl->failed)
		return;
	reload_is_failed(rl);
	if (s == NULL)
		reload_give_up(rl);
	else
		helper_kill(s->helper, "not needed any more");
}

/* ---- the beginning */

/* Is something still running that a reload can't go beside? Fills *f. */
int
reload_busy(const struct chatd *d, struct fault *f)
{
	if (d->reload == NULL && d->reload_old == NULL)
		return (0);
	if (d->reload != NULL && d->reload->path != NULL)
		fault_set(f, "busy", NULL, "another %s is running: it loads "
		    "%s", d->reload->what, d->reload->path);
	else
		fault_set(f, "busy", NULL, "another reload is running");
	return (1);
}

/* Make a reload. config (taken) may be NULL. */
struct reload *
reload_make(struct chatd *d, struct request *r, const char *what,
    struct config *config)
{
	struct reload	*rl = xcalloc(1, sizeof *rl);

	rl->d = d;
	rl->what = what;
	rl->config = config;
	rl->request = r;
	rl->began = clock_monotonic();
	d->reload = rl;
	return (rl);
}

/* The service ends: refuse a request, or forget a signal. */
void
reload_shutting_down(struct request *r)
{
	if (r != NULL)
		request_fail(r, "shutting_down", "chatd is shutting down");
}

/* Begin a reload. */
void
reload_new(struct chatd *d, struct request *r, const char *model)
{
	struct reload	*rl;
	struct config	*new;
	struct fault	 f;
	int		 swap;

	if (d->draining) {
		reload_shutting_down(r);
		return;
	}
	if (r == NULL && (d->reload != NULL || d->reload_old != NULL)) {
		d->reload_again = 1;	/* begins when that one is over */
		return;
	}
	notify_send("RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)clock_monotonic() * 1000);
	if (reload_busy(d, &f) || configure_load(model, &new, NULL, &f) != 0) {
		reload_fail(r, "reload", &f);
		return;
	}
	swap = model != NULL || slot_differs(d->engine, new);
	if (swap && reload_finishing(d, &f)) {
		d->reload_again |= r == NULL;
		config_free(new);
		reload_fail(r, "reload", &f);
		return;
	}
	rl = reload_make(d, r, "reload", new);
	if (swap)
		reload_load(rl, config_model(new));
	else
		reload_filters(rl);
}

/* Start the new filters. */
void
reload_filters(struct reload *rl)
{
	rl->filters = filters_new(rl->d->base, rl->config, rl->d->filters,
	    &reload_ops, rl);
}

/* ---- the change */

/* Retire the old filters. */
static void
reload_retire(struct chatd *d, struct filters *filters)
{
	struct reload_old	*old;

	old = xcalloc(1, sizeof *old);
	old->d = d;
	old->filters = filters;
	d->reload_old = old;
	filters_adopt(filters, &reload_old_ops, old);
	filters_retire(filters, d->filters);
}

/* The new configuration comes into force. Returns the filters before. */
static struct filters *
reload_configure(struct reload *rl)
{
	struct chatd	*d = rl->d;
	struct config	*before = d->config;
	struct filters	*old = d->filters;

	if (reload_keep(before, rl->config) != 0)
		log_warnx("reload: socket and state_dir change at a restart "
		    "only");
	d->config = rl->config;
	d->filters = rl->filters;
	rl->config = NULL;
	roles_configure(d);
	roles_judge(d, before);
	config_free(before);
	client_configure(d);
	filters_adopt(d->filters, roles_filters_ops(), d);
	log_set_level((enum log_level)d->config->log_level);
	return (old);
}

/* Answer, when all has changed. */
static void
reload_answer(struct reload *rl, json_t *before)
{
	struct chatd	*d = rl->d;
	int64_t		 ms = clock_monotonic() - rl->began;
	json_t		*m = json_object();

	notify_send("READY=1");
	if (strcmp(rl->what, "reload") == 0)
		log_info("configuration read again");
	if (before != NULL)
		log_info("%s: %s serves in place of %s after %lld ms",
		    rl->what, d->engine->path, msg_string(before, "path"),
		    (long long)ms);
	msg_set(m, "model", slot_describe(d->engine));
	msg_set(m, "before", before);
	msg_set_int(m, "ms", ms);
	if (rl->request != NULL)
		request_done(rl->request, m);
	else
		json_decref(m);
}

/* Everything new is up: everything changes at once. */
void
reload_ready(void *arg)
{
	struct reload		*rl = arg;
	struct chatd		*d = rl->d;
	const struct config	*cf = rl->config != NULL ? rl->config :
				    d->config;
	const int		 swap = rl->path != NULL;
	int			 chosen = cf->model_chosen != NULL;
	struct filters		*old = NULL;
	json_t			*before = NULL;

	if (rl->failed)
		return;
	if (rl->config == NULL)
		chosen = strcmp(rl->path, cf->model_path) != 0;
	if (reload_remember(cf, swap ? d->beside : d->engine, swap ?
	    d->engine : NULL, chosen, &rl->why) != 0) {
		reload_fails(rl);
		return;
	}
	d->reload = NULL;
	if (rl->config != NULL)
		old = reload_configure(rl);
	else {
		free(d->config->model_chosen);
		d->config->model_chosen = chosen ? xstrdup(rl->path) : NULL;
	}
	if (swap) {
		before = slot_describe(d->engine);
		roles_switch(d);
	} else if (d->engine->model != NULL)
		sampling_warn(d->config, d->engine->model);
	roles_report(d);
	if (old != NULL)
		reload_retire(d, old);
	reload_answer(rl, before);
	reload_free(rl);
	if (old == NULL)
		reload_over(d);
}

/* A new filter can't start: keep the old configuration. */
static void
reload_refused(void *arg, const char *why)
{
	struct reload	*rl = arg;

	fault_set(&rl->why, "bad_config", "filters", "filter: %s", why);
	reload_fails(rl);
}

/* The old filters have ended. */
static void
reload_old_gone(void *arg)
{
	struct reload_old	*old = arg;
	struct chatd		*d = old->d;

	d->reload_old = NULL;
	event_base_once(d->base, -1, EV_TIMEOUT, reload_free_filters,
	    old->filters, NULL);
	free(old);
	reload_over(d);
}

/* ---- the end of the service */

/* Give up a model that loads. */
void
reload_drain(struct chatd *d)
{
	struct reload	*rl = d->reload;
	struct request	*r;

	d->reload_again = 0;
	if (rl == NULL || rl->path == NULL || rl->failed)
		return;
	r = rl->request;
	rl->request = NULL;
	fault_set(&rl->why, "shutting_down", NULL, "chatd is shutting down");
	if (r != NULL)
		request_fault(r, &rl->why);
	reload_fails(rl);
}

/* Drop a running reload (the process ends). */
void
reload_stop(struct chatd *d)
{
	if (d->reload != NULL) {
		filters_free(d->reload->filters);
		if (d->reload->request != NULL)
			request_fail(d->reload->request, "shutting_down",
			    "chatd is shutting down");
		reload_free(d->reload);
	}
	if (d->reload_old != NULL) {
		filters_free(d->reload_old->filters);
		free(d->reload_old);
	}
}

/* A child has ended, perhaps one of these filters. */
void
reload_reap(struct chatd *d)
{
	if (d->reload != NULL && d->reload->filters != NULL)
		filters_reap(d->reload->filters);
	if (d->reload_old != NULL)
		filters_reap(d->reload_old->filters);
}

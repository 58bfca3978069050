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
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "choice.h"
#include "clock.h"
#include "filters.h"
#include "log.h"
#include "xmalloc.h"

/* A running reload or rollback. */
struct reload {
	struct chatd		*d;		/* borrowed */
	const char		*what;		/* static: for the log */
	struct config		*config;	/* owned: the new one; NULL: the
						 * old one stays (rollback) */
	char			*path;		/* owned: the model that loads
						 * in d->beside, or NULL */
	char			*digest;	/* owned: that it must have, or
						 * NULL */
	struct filters		*filters;	/* owned: the new ones, or NULL:
						 * not yet */
	struct request		*request;	/* borrowed; NULL: a signal, or
						 * it has ended */
	int			 failed;	/* it waits for the end of its
						 * engine only */
	struct fault		 why;		/* then: the reason */
	int64_t			 began;		/* monotonic ms */
};

/* Filters that were replaced and still have verdicts to give. */
struct reload_old {
	struct chatd		*d;		/* borrowed */
	struct filters		*filters;	/* owned */
};

static void	 reload_ready(void *);
static void	 reload_refused(void *, const char *);
static void	 reload_old_gone(void *);
static void	 reload_loaded(void *, struct slot *, int);
static void	 reload_progress(void *, struct slot *);
static void	 reload_gone(void *, struct slot *, int);
static void	 reload_ended(void *, struct slot *);
static void	 reload_cancel(struct request *);

static const struct filters_ops reload_ops = {
	.ready = reload_ready,
	.refused = reload_refused,
};
static const struct filters_ops reload_old_ops = {
	.retired = reload_old_gone,
};
static const struct slot_ops reload_slot_ops = {
	.ready = reload_loaded,
	.progress = reload_progress,
	.gone = reload_gone,
	.ended = reload_ended,
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

/* A reload is over, or the engine of the model before has ended: begin the
 * next one, if a signal asked for it. */
void
reload_over(struct chatd *d)
{
	if (!d->reload_again || d->draining)
		return;
	d->reload_again = 0;
	reload_new(d, NULL, NULL);
}

/* All that was started for it has ended: report the failure. */
static void
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
static void
reload_drop_filters(struct reload *rl)
{
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
static void
reload_fails(struct reload *rl)
{
	struct slot	*s = rl->path != NULL ? rl->d->beside : NULL;

	if (rl->failed)
		return;
	rl->failed = 1;
	reload_drop_filters(rl);
	if (s == NULL)
		reload_give_up(rl);
	else
		helper_kill(s->helper, "not needed any more");
}

/* ---- the beginning */

/* Is something still running that a reload can't go beside? Fills *f. */
static int
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

/* Does the model before still finish its replies? Fills *f. */
static int
reload_finishing(const struct chatd *d, struct fault *f)
{
	if (d->beside == NULL)
		return (0);
	fault_set(f, "busy", NULL, "the model before, %s, has not ended yet: it "
	    "has %d replies to finish", d->beside->path,
	    exchange_count(d, d->beside));
	return (1);
}

/* Make a reload. config (taken) may be NULL. */
static struct reload *
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

/* Load a model beside the one that serves. */
static void
reload_load(struct reload *rl, const char *path)
{
	struct chatd	*d = rl->d;

	rl->path = xstrdup(path);
	if (rl->request != NULL) {
		request_lasts(rl->request);
		rl->request->stop = reload_cancel;
		rl->request->arg = rl;
	}
	log_info("%s: loading %s", rl->what, path);
	d->beside = slot_new(d->base, rl->config != NULL ? rl->config :
	    d->config, path, SLOT_LOADS, &reload_slot_ops, rl);
	roles_report(d);
}

/* The service ends: refuse a request, or forget a signal. */
static void
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
		rl->filters = filters_new(d->base, new, d->filters,
		    &reload_ops, rl);
}

/* Begin a rollback. */
void
reload_back(struct chatd *d, struct request *r)
{
	struct reload	*rl;
	struct choice	 c;
	struct fault	 f;
	int		 e;

	if (d->draining) {
		reload_shutting_down(r);
		return;
	}
	if (reload_busy(d, &f) || reload_finishing(d, &f)) {
		request_fault(r, &f);
		return;
	}
	e = choice_read(d->config->state_dir, &c, &f);
	if (e == CHAT_ENOTFOUND || (e == 0 && c.previous.path == NULL)) {
		e = CHAT_ENOTFOUND;
		fault_set(&f, "not_found", NULL, "there is no model before "
		    "this one: %s is the only one so far", d->engine->path);
	}
	if (e != 0 ||
	    config_check_model("rollback", c.previous.path, &f) != 0) {
		choice_clear(&c);
		request_fault(r, &f);
		return;
	}
	notify_send("RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)clock_monotonic() * 1000);
	rl = reload_make(d, r, "rollback", NULL);
	rl->digest = xstrdup(c.previous.digest);
	reload_load(rl, c.previous.path);
	choice_clear(&c);
}

/* ---- while a model loads */

/* The client cancelled, or disconnected: nothing changes. */
static void
reload_cancel(struct request *r)
{
	struct reload	*rl = r->arg;
	json_t		*m = json_object();

	rl->request = NULL;
	fault_set(&rl->why, "cancelled", NULL, "cancelled, or the client has "
	    "disconnected");
	reload_fails(rl);
	msg_set_string(m, "stop", "cancelled");
	request_done(r, m);
}

/* Report progress to the client that waits. */
static void
reload_progress(void *arg, struct slot *s)
{
	struct reload	*rl = arg;
	json_t		*m;

	if (rl->request == NULL || rl->failed)
		return;
	m = msg_event("progress", -1);
	json_object_update(m, s->progress);
	request_send(rl->request, m);
}

/* The new engine has died: nothing changes. reload_ended follows. */
static void
reload_gone(void *arg, struct slot *s, int started)
{
	struct reload	*rl = arg;

	(void)s;
	(void)started;
	rl->failed = 1;
	reload_drop_filters(rl);
}

/* The new engine has ended, and none follows: the reload has failed. */
static void
reload_ended(void *arg, struct slot *s)
{
	struct reload	*rl = arg;
	struct chatd	*d = rl->d;

	if (rl->why.code == NULL)
		fault_set(&rl->why, "bad_config", "model", "model: %s: the "
		    "engine did not load it: %s", s->path,
		    helper_why(s->helper));
	d->beside = NULL;
	slot_free(s);
	reload_give_up(rl);
}

/* ---- what is remembered */

/* Take a path and a digest in place of what m has. */
static void
reload_model(struct choice_model *m, const char *path, const char *digest)
{
	free(m->path);
	free(m->digest);
	m->path = xstrdup(path);
	m->digest = xstrdup(digest);
}

/* Are these two different? A digest that is not known is like any other. */
static int
reload_other(const struct choice_model *m, const char *path,
    const char *digest)
{
	return (strcmp(m->path, path) != 0 || (m->digest != NULL &&
	    digest != NULL && strcmp(m->digest, digest) != 0));
}

/*
 * Remember that the model of slot s serves. before is the one that it replaces;
 * NULL: none, so that nothing is written if there is nothing new about what was
 * remembered. Returns 0, or an error with *f filled.
 */
static int
reload_remember(const struct config *cf, const struct slot *s,
    const struct slot *before, int chosen, struct fault *f)
{
	const char	*digest = msg_string(s->model, "digest");
	struct choice	 c;
	int		 r, other;

	r = choice_read(cf->state_dir, &c, f);
	if (r != 0 && before == NULL)
		return (0);
	if (before != NULL)
		reload_model(&c.current, before->path,
		    msg_string(before->model, "digest"));
	other = reload_other(&c.current, s->path, digest);
	if (before != NULL || other || c.chosen != chosen ||
	    strcmp(c.configured, cf->model_path) != 0) {
		if (other)
			reload_model(&c.previous, c.current.path,
			    c.current.digest);
		reload_model(&c.current, s->path, digest);
		free(c.configured);
		c.configured = xstrdup(cf->model_path);
		c.chosen = chosen;
		r = choice_write(cf->state_dir, &c, f);
	}
	choice_clear(&c);
	return (r);
}

/* The engine that was started first has loaded its model. */
void
reload_first(struct chatd *d)
{
	struct fault	 f;

	if (reload_remember(d->config, d->engine, NULL,
	    d->config->model_chosen != NULL, &f) != 0)
		log_warnx("%s; the next start does not know which model "
		    "serves now", f.message);
}

/* ---- the change */

/* The new model is loaded: start the new filters, if there are any. */
static void
reload_loaded(void *arg, struct slot *s, int changed)
{
	struct reload	*rl = arg;
	const char	*digest = msg_string(s->model, "digest");

	(void)changed;
	if (rl->failed)
		return;
	if (rl->digest != NULL &&
	    (digest == NULL || strcmp(digest, rl->digest) != 0)) {
		fault_set(&rl->why, "bad_config", "model", "model: %s: its "
		    "files have changed: expected digest %s, found %s",
		    s->path, rl->digest, digest != NULL ? digest : "none");
		reload_fails(rl);
		return;
	}
	if (rl->config == NULL)
		reload_ready(rl);
	else
		rl->filters = filters_new(rl->d->base, rl->config,
		    rl->d->filters, &reload_ops, rl);
}

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
static void
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

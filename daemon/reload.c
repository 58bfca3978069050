/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reload: the new configuration comes into force as a whole, when its filter
 * processes have started. The old processes then give the verdicts that are
 * due, and end. If a new process can't start, the new ones end instead, and the
 * old configuration stays.
 */
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "filters.h"
#include "log.h"
#include "xmalloc.h"

/* A running reload. */
struct reload {
	struct chatd		*d;		/* borrowed */
	struct config		*config;	/* owned: the new one */
	struct filters		*filters;	/* owned: the new ones */
	struct request		*request;	/* borrowed; NULL: a signal */
};

/* Filters that were replaced and still have verdicts to give. */
struct reload_old {
	struct chatd		*d;		/* borrowed */
	struct filters		*filters;	/* owned */
};

static void	 reload_ready(void *);
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
		{ &old->model_path, &new->model_path },
		{ &old->precision, &new->precision },
		{ &old->kv_precision, &new->kv_precision },
		{ &old->device, &new->device },
		{ &old->isa, &new->isa },
	};
	const struct { int64_t old, *new; } numbers[] = {
		{ old->threads, &new->threads },
		{ old->context, &new->context },
		{ old->kv_tokens, &new->kv_tokens },
		{ old->batch_tokens, &new->batch_tokens },
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
	for (i = 0; i < nitems(numbers); i++) {
		n += numbers[i].old != *numbers[i].new;
		*numbers[i].new = numbers[i].old;
	}
	n += config_adapters_keep(old, new);
	n += old->pin != new->pin;
	new->pin = old->pin;
	return (n);
}

/* Report the result to systemd, to the log, and to the client if there is
 * one. */
static void
reload_answer(struct request *r, const struct fault *f)
{
	notify_send("READY=1");
	if (f != NULL)
		log_warnx("reload: %s; the old configuration stays",
		    f->message);
	else
		log_info("configuration read again");
	if (r != NULL && f != NULL)
		request_fault(r, f);
	else if (r != NULL)
		request_done(r, NULL);
}

/* Begin a reload. */
void
reload_new(struct chatd *d, struct request *r)
{
	struct reload	*rl;
	struct config	*new;
	struct fault	 f;

	if (d->draining) {
		if (r != NULL)
			request_fail(r, "shutting_down",
			    "chatd is shutting down");
		return;
	}
	if (r == NULL && (d->reload != NULL || d->reload_old != NULL)) {
		d->reload_again = 1;	/* begins when that one is over */
		return;
	}
	notify_send("RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)clock_monotonic() * 1000);
	if (d->reload != NULL || d->reload_old != NULL) {
		fault_set(&f, "busy", NULL, "another reload is running");
		reload_answer(r, &f);
		return;
	}
	if (configure_load(&new, NULL, &f) != 0) {
		reload_answer(r, &f);
		return;
	}
	rl = xcalloc(1, sizeof *rl);
	rl->d = d;
	rl->config = new;
	rl->request = r;
	d->reload = rl;
	rl->filters = filters_new(d->base, new, d->filters, &reload_ops, rl);
}

/* A reload is over: begin the next one, if a signal asked for it. */
static void
reload_over(struct chatd *d)
{
	if (!d->reload_again)
		return;
	d->reload_again = 0;
	reload_new(d, NULL);
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

/* The new filters are up: everything changes at once. */
static void
reload_ready(void *arg)
{
	struct reload	*rl = arg;
	struct chatd	*d = rl->d;
	struct config	*before;
	struct filters	*old = d->filters;
	struct request	*r = rl->request;

	if (reload_keep(d->config, rl->config) != 0)
		log_warnx("reload: socket, state_dir and model change at a "
		    "restart only");
	before = d->config;
	d->config = rl->config;
	d->filters = rl->filters;
	d->reload = NULL;
	roles_configure(d);
	roles_judge(d, before);
	config_free(before);
	client_configure(d);
	filters_adopt(d->filters, roles_filters_ops(), d);
	log_set_level((enum log_level)d->config->log_level);
	if (d->model != NULL)
		sampling_warn(d->config, d->model);
	roles_report(d);
	free(rl);
	reload_retire(d, old);
	reload_answer(r, NULL);
}

/* Release filters outside of their own callbacks. */
static void
reload_free_filters(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	filters_free(arg);
}

/* A new filter can't start: keep the old configuration. */
static void
reload_refused(void *arg, const char *why)
{
	struct reload	*rl = arg;
	struct chatd	*d = rl->d;
	struct fault	 f;

	fault_set(&f, "bad_config", "filters", "filter: %s", why);
	d->reload = NULL;
	filters_adopt(rl->filters, NULL, NULL);
	filters_retire(rl->filters, NULL);
	event_base_once(d->base, -1, EV_TIMEOUT, reload_free_filters,
	    rl->filters, NULL);
	config_free(rl->config);
	reload_answer(rl->request, &f);
	free(rl);
	reload_over(d);
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

/* Drop a running reload (the process ends). */
void
reload_stop(struct chatd *d)
{
	if (d->reload != NULL) {
		filters_free(d->reload->filters);
		if (d->reload->request != NULL)
			request_fail(d->reload->request, "shutting_down",
			    "chatd is shutting down");
		config_free(d->reload->config);
		free(d->reload);
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
	if (d->reload != NULL)
		filters_reap(d->reload->filters);
	if (d->reload_old != NULL)
		filters_reap(d->reload_old->filters);
}

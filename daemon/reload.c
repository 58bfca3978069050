/*
 * Reading the configuration again, all of it or nothing: the new one counts
 * only when a filter process has started with it.  The old filter then ends
 * the verdicts it owes and goes; a new one that can't start goes instead.
 */
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "xmalloc.h"

/* A reload on its way. */
struct reload {
	struct chatd		*d;		/* borrowed */
	struct config		*config;	/* owned: the new one */
	struct helper_spec	 spec;		/* of the new filter */
	struct helper		*filter;	/* owned: the new one */
	struct request		*request;	/* borrowed, or NULL: a signal */
};

/* A filter that was replaced and still owes verdicts. */
struct reload_old {
	struct chatd		*d;		/* borrowed */
	struct helper_spec	 spec;
	struct helper		*filter;	/* owned */
};

static json_t	*reload_init(void *);
static void	 reload_ready(void *, json_t *);
static void	 reload_gone(void *, int);
static void	 reload_old_gone(void *, int);

/*
 * Keep what only a restart changes, so that a helper that is started again, or
 * an export, finds what the others have. Returns how many values would have
 * changed.
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
	n += old->pin != new->pin;
	new->pin = old->pin;
	return (n);
}

/* Say that it is over, to systemd and to who asked. */
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
		d->reload_again = 1;	/* when that one is over */
		return;
	}
	notify_send("RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)clock_monotonic() * 1000);
	if (d->reload != NULL || d->reload_old != NULL) {
		fault_set(&f, "busy", NULL, "another reload is on its way");
		reload_answer(r, &f);
		return;
	}
	if (chatd_configure(&new, &f) != 0) {
		reload_answer(r, &f);
		return;
	}
	rl = xcalloc(1, sizeof *rl);
	rl->d = d;
	rl->config = new;
	rl->request = r;
	rl->spec = *helpers_filter_spec();
	rl->spec.program = new->filter_program;
	rl->spec.init = reload_init;
	rl->spec.ready = reload_ready;
	rl->spec.gone = reload_gone;
	rl->spec.arg = rl;
	d->reload = rl;
	rl->filter = helper_new(d->base, &rl->spec);
}

/* The new filter's slice of the new configuration. */
static json_t *
reload_init(void *arg)
{
	return (helpers_filter_message(((struct reload *)arg)->config));
}

/* A reload is over: is another one due? */
static void
reload_over(struct chatd *d)
{
	if (!d->reload_again)
		return;
	d->reload_again = 0;
	reload_new(d, NULL);
}

/* Let the old filter end what it owes. */
static void
reload_retire(struct chatd *d, struct helper *filter)
{
	struct reload_old	*old;

	old = xcalloc(1, sizeof *old);
	old->d = d;
	old->filter = filter;
	old->spec = *helpers_filter_spec();
	old->spec.gone = reload_old_gone;
	old->spec.arg = old;
	d->reload_old = old;
	helper_adopt(filter, &old->spec);
	helper_retire(filter);
}

/* The new filter is up: everything changes at once. */
static void
reload_ready(void *arg, json_t *msg)
{
	struct reload	*rl = arg;
	struct chatd	*d = rl->d;
	struct helper	*old = d->filter;
	struct request	*r = rl->request;

	if (reload_keep(d->config, rl->config) != 0)
		log_warnx("reload: socket, state_dir and model change at a "
		    "restart only");
	config_free(d->config);
	d->config = rl->config;
	d->filter = rl->filter;
	d->reload = NULL;
	helpers_configure(d);
	helper_adopt(d->filter, helpers_filter_spec());
	json_decref(d->filters);
	d->filters = json_incref(json_object_get(msg, "plugins"));
	log_set_level((enum log_level)d->config->log_level);
	reload_retire(d, old);
	free(rl);
	reload_answer(r, NULL);
}

/* Release a helper outside of its own callbacks. */
static void
reload_free_helper(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	helper_free(arg);
}

/* The new filter can't start: it was never there. */
static void
reload_gone(void *arg, int started)
{
	struct reload	*rl = arg;
	struct chatd	*d = rl->d;
	struct fault	 f;

	(void)started;
	if (rl->filter == NULL ||	/* not even spawned: tried again */
	    d->reload != rl)		/* has gone, and is being retired */
		return;
	fault_set(&f, "bad_config", "filters", "filter: %s",
	    helper_why(rl->filter));
	d->reload = NULL;
	helper_retire(rl->filter);
	event_base_once(d->base, -1, EV_TIMEOUT, reload_free_helper,
	    rl->filter, NULL);
	config_free(rl->config);
	reload_answer(rl->request, &f);
	free(rl);
	reload_over(d);
}

/* The old filter has ended. */
static void
reload_old_gone(void *arg, int started)
{
	struct reload_old	*old = arg;
	struct chatd		*d = old->d;

	(void)started;
	d->reload_old = NULL;
	event_base_once(d->base, -1, EV_TIMEOUT, reload_free_helper,
	    old->filter, NULL);
	free(old);
	reload_over(d);
}

/* Drop what is on its way (the process ends). */
void
reload_stop(struct chatd *d)
{
	if (d->reload != NULL) {
		helper_free(d->reload->filter);
		if (d->reload->request != NULL)
			request_fail(d->reload->request, "shutting_down",
			    "chatd is shutting down");
		config_free(d->reload->config);
		free(d->reload);
	}
	if (d->reload_old != NULL) {
		helper_free(d->reload_old->filter);
		free(d->reload_old);
	}
}

/* A child has ended: perhaps one of ours. */
void
reload_reap(struct chatd *d)
{
	if (d->reload != NULL)
		helper_reap(d->reload->filter);
	if (d->reload_old != NULL)
		helper_reap(d->reload_old->filter);
}

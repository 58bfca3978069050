/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model in a reload, and a rollback: a second engine loads it beside the
 * one that serves. reload.c then puts it into force together with the rest.
 */
#include "reload_impl.h"

#include <stdlib.h>
#include <string.h>

#include "choice.h"
#include "clock.h"
#include "log.h"
#include "xmalloc.h"

static void	 reload_loaded(void *, struct slot *, int);
static void	 reload_progress(void *, struct slot *);
static void	 reload_gone(void *, struct slot *, int);
static void	 reload_ended(void *, struct slot *);
static void	 reload_cancel(struct request *);

static const struct slot_ops reload_slot_ops = {
	.ready = reload_loaded,
	.progress = reload_progress,
	.gone = reload_gone,
	.ended = reload_ended,
};

/* Does the previous model still finish its replies? Fills *f. */
int
reload_finishing(const struct chatd *d, struct fault *f)
{
	if (d->beside == NULL || d->beside->users == 0)
		return (0);
	fault_set(f, "busy", NULL, "the previous model, %s, has not ended yet "
	    "(requests to finish: %d); try again then", d->beside->path,
	    d->beside->users);
	return (1);
}

/* Start the second engine. */
static void
reload_start(struct reload *rl)
{
	struct chatd	*d = rl->d;

	rl->waits = 0;
	log_info("%s: loading %s", rl->what, rl->path);
	d->beside = slot_new(d->base, rl->config != NULL ? rl->config :
	    d->config, rl->path, SLOT_LOADS, &reload_slot_ops, rl);
	roles_report(d);
}

/* Load a model beside the one that serves. */
void
reload_load(struct reload *rl, const char *path)
{
	rl->path = xstrdup(path);
	if (rl->request != NULL) {
		request_lasts(rl->request);
		rl->request->stop = reload_cancel;
		rl->request->arg = rl;
	}
	if (rl->d->beside == NULL) {
		reload_start(rl);
		return;
	}
	rl->waits = 1;
	log_info("%s: waiting for the end of %s", rl->what,
	    rl->d->beside->path);
}

/* The engine of the previous model has ended: what waited for that begins. */
void
reload_model_ended(struct chatd *d)
{
	if (d->reload != NULL && d->reload->waits)
		reload_start(d->reload);
	else
		reload_over(d);
}

/* The engine of the model before still finishes its replies: it has the model,
 * so it serves again at once. */
static void
reload_again(struct reload *rl, const char *path)
{
	rl->path = xstrdup(path);
	rl->loaded = 1;
	log_info("%s: %s is still loaded", rl->what, path);
	reload_ready(rl);
}

/* Begin a rollback. */
void
reload_back(struct chatd *d, struct request *r)
{
	struct reload	*rl;
	struct choice	 c;
	struct fault	 f;
	int		 e, there;

	if (d->draining) {
		reload_shutting_down(r);
		return;
	}
	if (reload_busy(d, &f)) {
		request_fault(r, &f);
		return;
	}
	e = choice_read(d->config->state_dir, &c, &f);
	if (e == CHAT_ENOTFOUND || (e == 0 && c.previous.path == NULL)) {
		e = CHAT_ENOTFOUND;
		fault_set(&f, "not_found", NULL, "there is no previous "
		    "model: %s is the only one so far", d->engine->path);
	}
	there = e == 0 && d->beside != NULL && slot_could_serve(d->beside,
	    d->config, c.previous.path, c.previous.digest);
	if (e != 0 || (!there && (reload_finishing(d, &f) ||
	    config_check_model("rollback", c.previous.path, &f) != 0))) {
		choice_clear(&c);
		request_fault(r, &f);
		return;
	}
	notify_send("RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)clock_monotonic() * 1000);
	rl = reload_make(d, r, "rollback", NULL);
	rl->digest = xstrdup(c.previous.digest);
	if (there)
		reload_again(rl, c.previous.path);
	else
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
	reload_is_failed(rl);
}

/* Describe why an engine did not load its model. Most reasons begin with its
 * path. */
static void
reload_why(const struct slot *s, struct fault *f)
{
	const char	*why = helper_why(s->helper);
	const int	 named = strncmp(why, s->path, strlen(s->path)) == 0;

	fault_set(f, "bad_config", "model", "model: %s%sthe new engine %s: %s",
	    named ? "" : s->path, named ? "" : ": ", s->model == NULL ?
	    "can't load it" : "died", why);
}

/* The new engine has ended, and none follows: the reload has failed. */
static void
reload_ended(void *arg, struct slot *s)
{
	struct reload	*rl = arg;
	struct chatd	*d = rl->d;

	if (rl->why.code == NULL)
		reload_why(s, &rl->why);
	d->beside = NULL;
	slot_free(s);
	reload_give_up(rl);
}

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
		reload_filters(rl);
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

/* Remember which model serves. */
int
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
	/* The operator's choice still stands, though it could not be used. */
	if (before == NULL && c.chosen && !chosen &&
	    strcmp(c.configured, cf->model_path) == 0) {
		choice_clear(&c);
		return (0);
	}
	if (before != NULL || other || c.chosen != chosen ||
	    strcmp(c.configured, cf->model_path) != 0) {
		/* Other files at the same path can't be gone back to. */
		if (strcmp(c.current.path, s->path) != 0)
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

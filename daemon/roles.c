/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd's side of its helpers: the init message of each, and the reaction when
 * a helper is ready, sends an event of its own, or has ended. helper.c starts
 * and watches the processes.
 */
#include <config.h>
#include "chatd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "filters.h"
#include "log.h"
#include "path.h"
#include "xmalloc.h"

#define HELPERS_START_MS	60000	/* limit of silence while one starts */
#define HELPERS_BACKOFF_MS	60000	/* longest wait before a restart */
#define HELPERS_STORE_BACKOFF_MS 10000	/* the same for the store: a try is
					 * cheap, and a full disk may get space
					 * again */

/*
 * The longest line of the store and the most JSON values in it; one value costs
 * chatd about 100 bytes while it is read. The longest line is an exchange with
 * a prompt, a pre-prompt, an ideal and a comment of 1 MiB, the largest
 * limits.prompt, each byte six in the line at worst, and token ids. The lines
 * of the judge's engine have ids of its cache at most.
 */
#define HELPERS_JUDGE_LINE	(12 * 1024 * 1024)
#define HELPERS_JUDGE_VALUES	(1100 * 1024)
#define HELPERS_STORE_LINE	(40 * 1024 * 1024)
#define HELPERS_STORE_VALUES	(512 * 1024)

#define ROLES_JUDGE_TOKENS	8192	/* cache of the judge's engine, and so
					 * its longest prompt */

static struct helper_spec	 store_spec, judge_spec;

/* Make the part of the configuration of the judge's engine. */
static json_t *
roles_judge_init(void *arg)
{
	const struct config	*cf = ((struct chatd *)arg)->config;
	json_t			*m = msg_op("init", -1);

	msg_set_string(m, "version", PACKAGE_VERSION);
	msg_set_string(m, "model", cf->judge_model);
	msg_set_string(m, "precision", cf->judge_precision);
	msg_set_string(m, "device", cf->judge_device);
	msg_set_int(m, "threads", cf->judge_threads);
	msg_set_int(m, "kv_tokens", ROLES_JUDGE_TOKENS);
	return (m);
}

/* The judge's model is loaded. */
static void
roles_judge_ready(void *arg, json_t *msg)
{
	struct chatd	*d = arg;
	json_t		*model = json_object_get(msg, "model");
	const char	*name = msg_string(model, "name");

	json_incref(model);
	json_decref(d->judge_model);
	d->judge_model = model;
	log_info("judge: %s is ready", name != NULL ? name : "the model");
}

/* Its model is loading: only the timer of silence depends on it. */
static void
roles_judge_event(void *arg, json_t *msg)
{
	(void)arg;
	(void)msg;
}

/* Does the judge have an engine of its own? */
static int
roles_judge_needed(const struct config *cf)
{
	return (cf->judge_enabled && cf->judge_model[0] != '\0');
}

/* The model of the engine that serves, or finishes, is loaded. */
static void
roles_engine_ready(void *arg, struct slot *s, int changed)
{
	struct chatd	*d = arg;
	const char	*name = msg_string(s->model, "name");
	const char	*precision = msg_string(s->model, "precision");
	const char	*device = msg_string(s->model, "device");

	log_info("%s: %s is ready: %s on %s", s->spec.name, name != NULL ?
	    name : "the model", precision != NULL ? precision : "?",
	    device != NULL ? device : "?");
	if (s == d->engine) {
		sampling_warn(d->config, s->model);
		d->hooks->model_loaded(d);
		roles_report(d);
	}
	exchange_engine_ready(d, s, changed);
}

/* Report progress while a model loads. */
static void
roles_engine_progress(void *arg, struct slot *s)
{
	char	 done[BYTES_TEXT], all[BYTES_TEXT];

	if (s != ((struct chatd *)arg)->engine)
		return;
	/* No EXTEND_TIMEOUT_USEC: READY does not wait for the model, and it
	 * would make the watchdog wait longer for us. */
	notify_status("Loading the model: %s of %s",
	    bytes_text(msg_int(s->progress, "bytes", 0), done),
	    bytes_text(msg_int(s->progress, "bytes_total", 0), all));
}

/* An engine has died. */
static void
roles_engine_gone(void *arg, struct slot *s, int started)
{
	struct chatd	*d = arg;

	if (d->engine == NULL)
		return;
	roles_report(d);
	if (!started)
		exchange_engine_down(d, s);
}

/* The engine of the previous model has finished. */
static void
roles_engine_ended(void *arg, struct slot *s)
{
	struct chatd	*d = arg;

	log_info("%s: %s has ended", s->spec.name, s->path);
	d->beside = NULL;
	slot_free(s);
	roles_report(d);
	d->hooks->model_ended(d);
}

/* Return the callbacks of engines. */
const struct slot_ops *
roles_slot_ops(void)
{
	static const struct slot_ops	 ops = {
		.ready = roles_engine_ready,
		.progress = roles_engine_progress,
		.gone = roles_engine_gone,
		.ended = roles_engine_ended,
	};

	return (&ops);
}

/* The new engine serves from now on, the old one finishes. */
void
roles_switch(struct chatd *d)
{
	struct slot	*new = d->beside, *old = d->engine;

	new->ops = roles_slot_ops();
	new->arg = d;
	d->engine = new;
	d->beside = old;
	slot_turn(new, SLOT_SERVES);
	slot_turn(old, SLOT_FINISHES);
	roles_engine_ready(d, new, 0);
}

/* Is it ready, or has it failed at least once? */
static int
roles_settled(const struct helper *h)
{
	return (h != NULL && (helper_state(h) == HELPER_READY ||
	    helper_why(h)[0] != '\0'));
}

/* Send one line to systemd: the first missing part, else the model. */
static void
roles_status(const struct chatd *d)
{
	struct fault	 f;
	const struct helper	*h = d->engine->helper;
	const char	*name = msg_string(d->engine->model, "name");

	if (helper_state(d->store) != HELPER_READY &&
	    helper_why(d->store)[0] != '\0')
		fault_set(&f, NULL, NULL, "No store: %s", helper_why(d->store));
	else if (d->config->nfilters > 0 && !filters_are_ready(d->filters) &&
	    filters_why(d->filters)[0] != '\0')
		fault_set(&f, NULL, NULL, "No filter: %s",
		    filters_why(d->filters));
	else if (d->store_since != 0)
		fault_set(&f, NULL, NULL, "The store can't write: %s",
		    d->store_error);
	else if (helper_state(h) == HELPER_READY)
		fault_set(&f, NULL, NULL, "Serving %s%s%s", name != NULL ?
		    name : "the model", d->beside == NULL ? "" :
		    d->beside->role == SLOT_LOADS ? "; loading " :
		    "; finishing the replies of ", d->beside == NULL ? "" :
		    d->beside->path);
	else if (helper_why(h)[0] != '\0')
		fault_set(&f, NULL, NULL, "No model: %s", helper_why(h));
	else
		fault_set(&f, NULL, NULL, "Loading the model");
	notify_status("%s", f.message);
}

/*
 * Report that the service is up once store and filters have started, or have
 * failed to: the socket answers in both cases, and failed helpers are started
 * again.
 */
void
roles_report(const struct chatd *d)
{
	static int	 reported;

	if (d->draining || d->engine == NULL || !roles_settled(d->store) ||
	    (!filters_are_ready(d->filters) &&
	    filters_why(d->filters)[0] == '\0'))
		return;
	if (!reported) {
		if (d->config->nfilters == 0 && !d->config->judge_enabled)
			log_warnx("filters: none is configured, nothing is "
			    "screened");
		log_info("ready on %s%s", d->config->socket_path,
		    helper_state(d->store) == HELPER_READY &&
		    filters_are_ready(d->filters) ? "" :
		    ", but not for messages yet");
		notify_send("READY=1");
	}
	reported = 1;
	roles_status(d);
}

/* The filters are up. */
static void
roles_filters_ready(void *arg)
{
	roles_report(arg);
}

/* The store is open. */
static void
roles_store_ready(void *arg, json_t *msg)
{
	struct chatd	*d = arg;

	if (msg_int(msg, "interrupted", 0) > 0)
		log_info("store: %lld exchanges were interrupted by the last "
		    "end", (long long)msg_int(msg, "interrupted", 0));
	exchange_store_ready(d);
	roles_report(d);
}

/* Make the store's part of the configuration. */
static json_t *
roles_store_init(void *arg)
{
	const struct config	*cf = ((struct chatd *)arg)->config;
	json_t			*m = msg_op("init", -1);
	char			*path;

	path = path_join(cf->state_dir, "chatd.db");
	msg_set_string(m, "version", PACKAGE_VERSION);
	msg_set_string(m, "path", path);
	free(path);
	return (m);
}

/* Before the store starts, make and lock its folder. */
static int
roles_store_prepare(void *arg, char *why, size_t n)
{
	struct fault	 f;

	if (state_dir_lock(arg, &f) == 0)
		return (0);
	snprintf(why, n, "%s", f.message);
	return (-1);
}

/* A filter did not start. Until it is up there are no verdicts, so no text is
 * shown. */
static void
roles_filters_refused(void *arg, const char *why)
{
	(void)why;
	roles_report(arg);
}

/* Return the callbacks of the filters. */
const struct filters_ops *
roles_filters_ops(void)
{
	static const struct filters_ops	 ops = {
		.ready = roles_filters_ready,
		.refused = roles_filters_refused,
		.changed = roles_filters_ready,
	};

	return (&ops);
}

/* The store has died, or has ended after helper_retire. */
static void
roles_store_gone(void *arg, int started)
{
	struct chatd	*d = arg;

	(void)started;
	if (d->draining)
		d->hooks->store_ended(d);
	else
		roles_report(d);
}

/* The judge's engine has died. Texts that wait for it get no verdict. */
static void
roles_judge_gone(void *arg, int started)
{
	(void)arg;
	(void)started;
}

/* Start, restart or end the judge's engine after a reload. */
void
roles_judge(struct chatd *d, const struct config *old)
{
	const struct config	*cf = d->config;

	if (d->judge != NULL && (!roles_judge_needed(cf) ||
	    strcmp(old->judge_model, cf->judge_model) != 0 ||
	    strcmp(old->judge_precision, cf->judge_precision) != 0 ||
	    strcmp(old->judge_device, cf->judge_device) != 0 ||
	    old->judge_threads != cf->judge_threads)) {
		helper_free(d->judge);
		d->judge = NULL;
	}
	if (d->judge == NULL && roles_judge_needed(cf))
		d->judge = helper_new(d->base, &judge_spec);
}

/* Fill in the specs of the helpers. */
void
roles_configure(struct chatd *d)
{
	const struct config	*cf = d->config;

	if (d->engine != NULL)
		slot_configure(d->engine, cf);
	if (d->beside != NULL)
		slot_configure(d->beside, cf);
	judge_spec = (struct helper_spec){ .name = "judge",
	    .program = cf->engine_program,
	    .timeout_ms = (int)cf->engine_timeout,
	    .start_ms = (int)cf->engine_load_timeout,
	    .backoff_max_ms = HELPERS_BACKOFF_MS,
	    .line_max = HELPERS_JUDGE_LINE,
	    .values_max = HELPERS_JUDGE_VALUES, .loading = "progress",
	    .init = roles_judge_init, .ready = roles_judge_ready,
	    .event = roles_judge_event,
	    .gone = roles_judge_gone, .arg = d };
	store_spec = (struct helper_spec){ .name = "store",
	    .program = cf->store_program,
	    .timeout_ms = (int)cf->store_timeout,
	    .start_ms = HELPERS_START_MS,
	    .backoff_max_ms = HELPERS_STORE_BACKOFF_MS,
	    .line_max = HELPERS_STORE_LINE,
	    .values_max = HELPERS_STORE_VALUES,
	    .prepare = roles_store_prepare,
	    .init = roles_store_init, .ready = roles_store_ready,
	    .gone = roles_store_gone, .arg = d };
}

/* Start them. */
void
roles_start(struct chatd *d)
{
	roles_configure(d);
	d->store = helper_new(d->base, &store_spec);
	d->filters = filters_new(d->base, d->config, NULL,
	    roles_filters_ops(), d);
	d->engine = slot_new(d->base, d->config, config_model(d->config),
	    SLOT_SERVES, roles_slot_ops(), d);
	roles_judge(d, d->config);
	roles_report(d);	/* they may have failed already */
}

/* Kill them, and release their state. */
void
roles_stop(struct chatd *d)
{
	helper_free(d->judge);
	slot_free(d->beside);
	slot_free(d->engine);
	filters_free(d->filters);
	helper_free(d->store);
	json_decref(d->judge_model);
}

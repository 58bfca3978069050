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
#define HELPERS_ENGINE_MS	1800000	/* the same while a model loads */
#define HELPERS_BACKOFF_MS	60000	/* longest wait before a restart */
#define HELPERS_STORE_BACKOFF_MS 10000	/* the same for the store: a try is
					 * cheap, and a full disk may get space
					 * again */

/*
 * The longest line of each helper and the most JSON values in it; one value
 * costs chatd about 100 bytes while it is read. The longest lines are:
 *   engine  the ids of a text of 1 MiB, the largest limits.prompt, one a byte
 *   store   an exchange with a prompt, a pre-prompt, an ideal and a comment of
 *           that size, each byte six in the line at worst, and token ids
 */
#define HELPERS_ENGINE_LINE	(12 * 1024 * 1024)
#define HELPERS_ENGINE_VALUES	(1100 * 1024)
#define HELPERS_STORE_LINE	(40 * 1024 * 1024)
#define HELPERS_STORE_VALUES	(512 * 1024)

#define ROLES_JUDGE_TOKENS	8192	/* cache of the judge's engine, and so
					 * its longest prompt */

static struct helper_spec	 engine_spec, store_spec, judge_spec;

/* List the adapters for the engine. */
static json_t *
roles_adapters(const struct config *cf)
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

/* Make the engine's part of the configuration. */
static json_t *
roles_engine_init(void *arg)
{
	const struct config	*cf = ((struct chatd *)arg)->config;
	json_t			*m = msg_op("init", -1);

	msg_set_string(m, "version", PACKAGE_VERSION);
	msg_set_string(m, "model", cf->model_path);
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
		msg_set(m, "adapters", roles_adapters(cf));
	return (m);
}

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

/* Would the new model continue a reply of the old one differently? */
static int
roles_model_differs(const json_t *old, const json_t *new)
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
roles_engine_ready(void *arg, json_t *msg)
{
	struct chatd	*d = arg;
	json_t		*model = json_object_get(msg, "model");
	int		 changed;

	if (!json_is_object(model)) {
		helper_kill(d->engine, "ready without a model");
		return;
	}
	changed = d->model != NULL && roles_model_differs(d->model, model);
	json_incref(model);
	json_decref(d->model);
	d->model = model;
	log_info("engine: %s is ready: %s on %s",
	    msg_string(model, "name") != NULL ? msg_string(model, "name") :
	    "the model", msg_string(model, "precision") != NULL ?
	    msg_string(model, "precision") : "?",
	    msg_string(model, "device") != NULL ?
	    msg_string(model, "device") : "?");
	sampling_warn(d->config, d->model);
	roles_report(d);
	exchange_engine_ready(d, changed);
}

/* Handle progress while the model loads. */
static void
roles_engine_event(void *arg, json_t *msg)
{
	struct chatd	*d = arg;
	char		 done[BYTES_TEXT], all[BYTES_TEXT];

	json_decref(d->progress);
	d->progress = json_copy(msg);
	json_object_del(d->progress, "event");
	/* No EXTEND_TIMEOUT_USEC: READY does not wait for the model, and it
	 * would make the watchdog wait longer for us. */
	notify_status("Loading the model: %s of %s",
	    bytes_text(msg_int(msg, "bytes", 0), done),
	    bytes_text(msg_int(msg, "bytes_total", 0), all));
}

/* The engine has died. */
static void
roles_engine_gone(void *arg, int started)
{
	struct chatd	*d = arg;

	json_decref(d->progress);
	d->progress = NULL;
	if (d->engine == NULL)
		return;
	roles_report(d);
	if (!started)
		exchange_engine_down(d);
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
	const char	*name = msg_string(d->model, "name");

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
	else if (helper_state(d->engine) == HELPER_READY)
		fault_set(&f, NULL, NULL, "Serving %s", name != NULL ? name :
		    "the model");
	else if (helper_why(d->engine)[0] != '\0')
		fault_set(&f, NULL, NULL, "No model: %s",
		    helper_why(d->engine));
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

	engine_spec = (struct helper_spec){ .name = "engine",
	    .program = cf->engine_program,
	    .timeout_ms = (int)cf->engine_timeout,
	    .start_ms = HELPERS_ENGINE_MS,
	    .backoff_max_ms = HELPERS_BACKOFF_MS,
	    .line_max = HELPERS_ENGINE_LINE,
	    .values_max = HELPERS_ENGINE_VALUES, .loading = "progress",
	    .init = roles_engine_init,
	    .ready = roles_engine_ready, .event = roles_engine_event,
	    .gone = roles_engine_gone, .arg = d };
	judge_spec = (struct helper_spec){ .name = "judge",
	    .program = cf->engine_program,
	    .timeout_ms = (int)cf->engine_timeout,
	    .start_ms = HELPERS_ENGINE_MS,
	    .backoff_max_ms = HELPERS_BACKOFF_MS,
	    .line_max = HELPERS_ENGINE_LINE,
	    .values_max = HELPERS_ENGINE_VALUES, .loading = "progress",
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
	d->engine = helper_new(d->base, &engine_spec);
	roles_judge(d, d->config);
	roles_report(d);	/* they may have failed already */
}

/* Kill them, and release their state. */
void
roles_stop(struct chatd *d)
{
	helper_free(d->judge);
	helper_free(d->engine);
	filters_free(d->filters);
	helper_free(d->store);
	json_decref(d->model);
	json_decref(d->judge_model);
	json_decref(d->progress);
}

/*
 * chatd's side of its helpers: what each is told at its start, and what
 * the daemon does when it is up, speaks on its own, or has gone.  How a
 * process is run and watched is helper.c's matter.
 */
#include "chatd.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "filters.h"
#include "log.h"
#include "path.h"
#include "xmalloc.h"

#define HELPERS_START_MS	60000	/* silence of one that starts */
#define HELPERS_ENGINE_MS	1800000	/* the same while a model loads */
#define HELPERS_BACKOFF_MS	60000	/* longest wait before a restart */
#define HELPERS_STORE_TRIES	3	/* a killed chatd's may still close */

/*
 * The longest line of each helper and the most JSON values in it; one value
 * costs chatd about 100 bytes while it is read. The longest lines are:
 *   engine  the ids of a text of HISTORY_BYTES_MAX, one a byte
 *   store   the history of a conversation, HISTORY_BYTES_MAX of text, each
 *           byte six in the line at worst, and a reply's token ids
 */
#define HELPERS_ENGINE_LINE	(4 * 1024 * 1024)
#define HELPERS_ENGINE_VALUES	(512 * 1024)
#define HELPERS_STORE_LINE	(16 * 1024 * 1024)
#define HELPERS_STORE_VALUES	(512 * 1024)

static struct helper_spec	 engine_spec, store_spec;

/* The engine's slice of the configuration. */
static json_t *
helpers_engine_init(void *arg)
{
	const struct config	*cf = ((struct chatd *)arg)->config;
	json_t			*m = msg_op("init", -1);

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
	return (m);
}

/* Would a reply that the old model began go on differently in the new one? */
static int
helpers_model_differs(const json_t *old, const json_t *new)
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
helpers_engine_ready(void *arg, json_t *msg)
{
	struct chatd	*d = arg;
	json_t		*model = json_object_get(msg, "model");
	int		 changed;

	if (!json_is_object(model)) {
		helper_kill(d->engine, "ready without a model");
		return;
	}
	changed = d->model != NULL && helpers_model_differs(d->model, model);
	json_incref(model);
	json_decref(d->model);
	d->model = model;
	log_info("engine: %s is ready: %s on %s",
	    msg_string(model, "name") != NULL ? msg_string(model, "name") :
	    "the model", msg_string(model, "precision") != NULL ?
	    msg_string(model, "precision") : "?",
	    msg_string(model, "device") != NULL ?
	    msg_string(model, "device") : "?");
	notify_status("Serving %s", msg_string(model, "name"));
	exchange_engine_ready(d, changed);
}

/* Progress while the model loads. */
static void
helpers_engine_event(void *arg, json_t *msg)
{
	struct chatd	*d = arg;
	char		 done[BYTES_TEXT], all[BYTES_TEXT];

	json_decref(d->progress);
	d->progress = json_copy(msg);
	json_object_del(d->progress, "event");
	notify_send("EXTEND_TIMEOUT_USEC=60000000");
	notify_status("Loading the model: %s of %s",
	    bytes_text(msg_int(msg, "bytes", 0), done),
	    bytes_text(msg_int(msg, "bytes_total", 0), all));
}

/* The engine has died. */
static void
helpers_engine_gone(void *arg, int started)
{
	struct chatd	*d = arg;

	json_decref(d->progress);
	d->progress = NULL;
	if (d->engine != NULL)
		notify_status("No model: %s", helper_why(d->engine));
	if (d->engine != NULL && !started)
		exchange_engine_down(d);
}

/* The first time both store and filter are up, the service is. */
static void
helpers_up(struct chatd *d)
{
	static int	 told;

	if (told || d->filters == NULL || d->store == NULL ||
	    !filters_are_ready(d->filters) ||
	    helper_state(d->store) != HELPER_READY)
		return;
	told = 1;
	if (d->config->nfilters == 0)
		log_warnx("filters: none is configured, nothing is screened");
	log_info("ready on %s", d->config->socket_path);
	notify_send("READY=1");
}

/* The filters are up. */
static void
helpers_filters_ready(void *arg)
{
	helpers_up(arg);
}

/* The store is open. */
static void
helpers_store_ready(void *arg, json_t *msg)
{
	struct chatd	*d = arg;

	if (msg_int(msg, "interrupted", 0) > 0)
		log_info("store: %lld exchanges were interrupted by the last "
		    "end", (long long)msg_int(msg, "interrupted", 0));
	exchange_store_ready(d);
	helpers_up(d);
}

/* The store's slice of the configuration. */
static json_t *
helpers_store_init(void *arg)
{
	const struct config	*cf = ((struct chatd *)arg)->config;
	json_t			*m = msg_op("init", -1);
	char			*path;

	path = path_join(cf->state_dir, "chatd.db");
	msg_set_string(m, "path", path);
	free(path);
	return (m);
}

/* A helper that must be there can't be started: neither can we. */
static void
helpers_give_up(struct chatd *d, const char *name, const char *why)
{
	log_warnx("%s: can't start: %s", name, why);
	notify_status("%s: %s", name, why);
	d->failed = 1;
	event_base_loopbreak(d->base);
}

/* A filter can't start. The first start must succeed: never start open. */
static void
helpers_filters_refused(void *arg, const char *why)
{
	helpers_give_up(arg, "filter", why);
}

/* Who hears of the filters. */
const struct filters_ops *
helpers_filters_ops(void)
{
	static const struct filters_ops	 ops = {
		.ready = helpers_filters_ready,
		.refused = helpers_filters_refused,
	};

	return (&ops);
}

/* The store has died, or has ended as it was told to. */
static void
helpers_store_gone(void *arg, int started)
{
	struct chatd	*d = arg;
	static int	 once;

	once |= started;
	if (d->draining)
		chatd_settled(d);
	else if (!once && d->store != NULL &&
	    helper_restarts(d->store) > HELPERS_STORE_TRIES)
		helpers_give_up(d, "store", helper_why(d->store));
}

/* Say how each helper is run. */
void
helpers_configure(struct chatd *d)
{
	const struct config	*cf = d->config;

	engine_spec = (struct helper_spec){ .name = "engine",
	    .program = cf->engine_program,
	    .timeout_ms = (int)cf->engine_timeout,
	    .start_ms = HELPERS_ENGINE_MS,
	    .backoff_max_ms = HELPERS_BACKOFF_MS,
	    .line_max = HELPERS_ENGINE_LINE,
	    .values_max = HELPERS_ENGINE_VALUES, .loading = "progress",
	    .init = helpers_engine_init,
	    .ready = helpers_engine_ready, .event = helpers_engine_event,
	    .gone = helpers_engine_gone, .arg = d };
	store_spec = (struct helper_spec){ .name = "store",
	    .program = cf->store_program,
	    .timeout_ms = (int)cf->store_timeout,
	    .start_ms = HELPERS_START_MS, .backoff_max_ms = HELPERS_BACKOFF_MS,
	    .line_max = HELPERS_STORE_LINE,
	    .values_max = HELPERS_STORE_VALUES,
	    .init = helpers_store_init, .ready = helpers_store_ready,
	    .gone = helpers_store_gone, .arg = d };
}

/* Start all three. */
void
helpers_start(struct chatd *d)
{
	helpers_configure(d);
	d->store = helper_new(d->base, &store_spec);
	d->filters = filters_new(d->base, d->config, helpers_filters_ops(),
	    d);
	d->engine = helper_new(d->base, &engine_spec);
}

/* End all three, and forget what they said. */
void
helpers_stop(struct chatd *d)
{
	helper_free(d->engine);
	filters_free(d->filters);
	helper_free(d->store);
	json_decref(d->model);
	json_decref(d->progress);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conditions for an exchange to begin: helpers that can start, and a store
 * that can write. Each answer of the store to a write is reported to this file.
 * While the store fails, a test write is sent to it every two seconds.
 */
#include "chatd.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "filters.h"
#include "log.h"

#define READINESS_PROBE_MS	2000	/* between two test writes */

static void	readiness_probe(evutil_socket_t, short, void *);

/* Send a test write soon: perhaps there is no other write. */
static void
readiness_probe_soon(struct chatd *d)
{
	struct timeval	 tv = { READINESS_PROBE_MS / 1000, 0 };

	if (!d->store_probing)
		event_base_once(d->base, -1, EV_TIMEOUT, readiness_probe, d,
		    &tv);
	d->store_probing = 1;
}

/* Handle the answer to a test write. */
static void
readiness_probed(void *arg, json_t *msg)
{
	struct chatd	*d = arg;

	d->store_probing = 0;
	if (msg != NULL)
		readiness_store(d, msg);
	if (d->store_since != 0 && !d->draining)
		readiness_probe_soon(d);
}

/* Send a test write. */
static void
readiness_probe(evutil_socket_t fd, short what, void *arg)
{
	static const struct helper_kind	 kind = { "probe", NULL, 0 };
	struct chatd			*d = arg;

	(void)fd;
	(void)what;
	helper_request(d->store, &kind, msg_op("probe", -1), READINESS_PROBE_MS,
	    (int)d->config->store_timeout, readiness_probed, d);
}

/* Note from the store's answer to a write whether it can write. */
void
readiness_store(struct chatd *d, const json_t *msg)
{
	const char	*event = msg_string(msg, "event");
	const char	*code = msg_string(msg, "code");
	const char	*why = msg_string(msg, "message");

	if (event != NULL && strcmp(event, "done") == 0) {
		if (d->store_since != 0)
			log_info("store: writing works again");
		d->last_commit = clock_wall();
		d->store_since = 0;
		d->store_error[0] = '\0';
	} else if (code != NULL && strcmp(code, "store_unavailable") == 0) {
		if (d->store_since == 0) {
			d->store_since = clock_wall();
			log_warnx("store: can't write: %s", why != NULL ?
			    why : "no reason given");
		}
		snprintf(d->store_error, sizeof d->store_error, "%s",
		    why != NULL ? why : "no reason given");
		readiness_probe_soon(d);
	} else
		return;
	d->hooks->changed(d);
}

/* Find the reason why no exchange can begin. */
int
readiness_missing(const struct chatd *d, struct fault *f)
{
	if (helper_failing(d->store))
		return (fault_set(f, "store_unavailable", NULL,
		    "the store can't start: %s", helper_why(d->store)));
	if (d->config->nfilters > 0 && filters_failing(d->filters)[0] != '\0')
		return (fault_set(f, "filter_unavailable", NULL,
		    "the filter can't start: %s",
		    filters_failing(d->filters)));
	if (d->engine->model == NULL &&
	    helper_why(d->engine->helper)[0] != '\0')
		return (fault_set(f, "engine_unavailable", NULL,
		    "no model: %s", helper_why(d->engine->helper)));
	return (0);
}

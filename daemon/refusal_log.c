/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of refusals by limits. A refused client may try again at once and for
 * ever, so each limit writes at most one line in ten seconds.
 */
#include "chatd.h"

#include "log.h"

#define REFUSALS_MS	10000

static struct refused {
	struct event	*quiet;		/* owned: pending after a line */
	long long	 n;		/* since that line */
	uid_t		 last;
} refused[REFUSALS];

static const char *const refusal_limits[REFUSALS] = {
	[REFUSAL_CLIENTS] = "limits.clients",
	[REFUSAL_CLIENTS_PER_UID] = "limits.clients_per_uid",
	[REFUSAL_REQUESTS] = "limits.requests",
	[REFUSAL_REQUESTS_PER_UID] = "limits.requests_per_uid",
};

/* Ten seconds have passed: log the refusals since the last line. */
static void
refusal_log_again(evutil_socket_t fd, short what, void *arg)
{
	struct refused	*r = arg;
	struct timeval	 tv = { REFUSALS_MS / 1000, 0 };

	(void)fd;
	(void)what;
	if (r->n == 0)
		return;
	log_warnx("%s: refused %lld more in %d s, the last was %s",
	    refusal_limits[r - refused], r->n, REFUSALS_MS / 1000,
	    peer_name(r->last));
	r->n = 0;
	event_add(r->quiet, &tv);
}

/* Log a refusal, or count it for the next line. */
void
refusal_log_note(struct chatd *d, enum refusal which, uid_t uid)
{
	struct refused	*r = &refused[which];
	struct timeval	 tv = { REFUSALS_MS / 1000, 0 };

	if (r->quiet == NULL)
		r->quiet = evtimer_new(d->base, refusal_log_again, r);
	if (event_pending(r->quiet, EV_TIMEOUT, NULL)) {
		r->n++;
		r->last = uid;
		return;
	}
	log_warnx("%s: refused %s", refusal_limits[which],
	    peer_name(uid));
	event_add(r->quiet, &tv);
}

/* Release the timers. */
void
refusal_log_clear(void)
{
	size_t	 i;

	for (i = 0; i < REFUSALS; i++) {
		if (refused[i].quiet != NULL)
			event_free(refused[i].quiet);
		refused[i] = (struct refused){ 0 };
	}
}

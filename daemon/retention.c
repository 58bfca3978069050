/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retention: chatd has the store delete what is older than chatd.yaml allows, a
 * slice at a time, soon after the start and then every hour.
 */
#include "chatd.h"

#include "clock.h"
#include "log.h"
#include "relay_impl.h"
#include "retention.h"
#include "xmalloc.h"

#define RETENTION_FIRST_MS	2000	/* after the start */
#define RETENTION_NEXT_MS	3600000
#define RETENTION_SLICE_MS	100	/* so that others come between */

static struct {
	struct event	*timer;		/* owned */
	int		 asked;		/* the store has not answered yet */
	int64_t		 conversations, exchanges; /* deleted in this round */
} retention;

static const struct helper_kind retention_kind = { "expire", NULL, 0 };

static void	retention_due(evutil_socket_t, short, void *);
static void	retention_done(void *, json_t *);

/* Call retention_due again in ms. */
static void
retention_again(int64_t ms)
{
	struct timeval	 tv = { ms / 1000, ms % 1000 * 1000 };

	if (retention.timer != NULL)
		event_add(retention.timer, &tv);
}

/* Prepare. */
void
retention_init(struct chatd *d)
{
	retention.timer = evtimer_new(d->base, retention_due, d);
	retention_again(RETENTION_FIRST_MS);
}

/* Release. */
void
retention_clear(void)
{
	if (retention.timer != NULL)
		event_free(retention.timer);
	retention.timer = NULL;
}

/* Have a slice deleted. */
static void
retention_due(evutil_socket_t fd, short what, void *arg)
{
	struct chatd		*d = arg;
	const struct config	*cf = d->config;
	int64_t			 now = clock_wall();
	json_t			*m;

	(void)fd;
	(void)what;
	if (retention.asked || d->draining || (cf->keep_rated == 0 &&
	    cf->keep_unrated == 0)) {
		retention_again(RETENTION_NEXT_MS);
		return;
	}
	m = msg_op("expire", -1);
	if (cf->keep_rated > 0 && cf->keep_rated < now)
		msg_set_int(m, "rated", now - cf->keep_rated);
	if (cf->keep_unrated > 0 && cf->keep_unrated < now)
		msg_set_int(m, "unrated", now - cf->keep_unrated);
	retention.asked = 1;
	helper_request(d->store, &retention_kind, m, RELAY_WAIT_MS,
	    (int)cf->store_timeout, retention_done, d);
}

/* A slice is deleted. */
static void
retention_done(void *arg, json_t *msg)
{
	int	more = json_is_true(json_object_get(msg, "more"));

	(void)arg;
	retention.asked = 0;
	retention.conversations += msg_int(msg, "conversations", 0);
	retention.exchanges += msg_int(msg, "exchanges", 0);
	if (!more && retention.conversations + retention.exchanges > 0) {
		log_info("retention: deleted %lld conversations and %lld raw "
		    "prompts", (long long)retention.conversations,
		    (long long)retention.exchanges);
		retention.conversations = retention.exchanges = 0;
	}
	retention_again(more ? RETENTION_SLICE_MS : RETENTION_NEXT_MS);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of the service: running replies end, then the store commits, then the
 * loop ends. Each step has a time limit.
 */
#include "chatd.h"

#include "log.h"

#define DRAIN_STORE_MS	5000	/* for the last commit of the store */
#define DRAIN_LOOK_MS	20	/* between two looks */

static struct {
	struct event	*cancel;	/* owned: time limit of the replies */
	struct event	*last;		/* owned: time limit of the store */
	struct event	*look;		/* owned: look again */
	int		 ending;	/* the store has been asked to end */
} drain;

static void	drain_cancel(evutil_socket_t, short, void *);
static void	drain_last(evutil_socket_t, short, void *);
static void	drain_look(evutil_socket_t, short, void *);

/* Convert milliseconds for libevent. */
static struct timeval
drain_time(int64_t ms)
{
	return ((struct timeval){ ms / 1000, ms % 1000 * 1000 });
}

/* Prepare timers. */
void
drain_init(struct chatd *d)
{
	drain.cancel = evtimer_new(d->base, drain_cancel, d);
	drain.last = evtimer_new(d->base, drain_last, d);
	drain.look = evtimer_new(d->base, drain_look, d);
}

/* Release timers. */
void
drain_clear(void)
{
	event_free(drain.cancel);
	event_free(drain.last);
	event_free(drain.look);
}

/* Begin to end the service; the second time, cancel the replies. */
void
drain_begin(struct chatd *d, int sig)
{
	struct timeval	 tv = drain_time(d->config->drain_time);

	if (d->draining) {
		log_info("signal %d again: ending at once", sig);
		drain_cancel(-1, 0, d);
		return;
	}
	log_info("signal %d: finishing the running replies", sig);
	notify_send("STOPPING=1\nSTATUS=Finishing replies");
	d->draining = 1;
	reload_drain(d);
	listener_free(d->listener);
	d->listener = NULL;
	event_add(drain.cancel, &tv);
	drain_look(-1, 0, d);
}

/* Once all replies are over, end the store; once the store has ended, end the
 * loop. */
void
drain_check(struct chatd *d)
{
	struct timeval	 tv = drain_time(DRAIN_STORE_MS);

	if (!d->draining || !TAILQ_EMPTY(&d->exchanges))
		return;
	if (!drain.ending) {
		drain.ending = 1;
		event_add(drain.last, &tv);
		helper_retire(d->store);
	} else if (helper_state(d->store) == HELPER_DOWN &&
	    client_unwritten(d) == 0)
		event_base_loopbreak(d->base);
}

/* Look again: clients may have read their last output. */
static void
drain_look(evutil_socket_t fd, short what, void *arg)
{
	struct timeval	 tv = drain_time(DRAIN_LOOK_MS);

	(void)fd;
	(void)what;
	drain_check(arg);
	event_add(drain.look, &tv);
}

/* The time limit of replies has passed: cancel and store them. */
static void
drain_cancel(evutil_socket_t fd, short what, void *arg)
{
	struct timeval	 tv = drain_time(DRAIN_STORE_MS);

	(void)fd;
	(void)what;
	exchange_cancel_all(arg);
	event_add(drain.last, &tv);
}

/* The store, an exchange or a client did not end in time. */
static void
drain_last(evutil_socket_t fd, short what, void *arg)
{
	struct chatd	*d = arg;

	(void)fd;
	(void)what;
	log_warnx("the store, an exchange or a client did not end in time");
	event_base_loopbreak(d->base);
}

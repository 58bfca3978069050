/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replacements for functions of chatd and of the system, so that nothing is
 * started, ended or waited for: timers, processes, the clock, the
 * configuration.
 */
#include "world.h"

#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "choice.h"
#include "protocol.h"
#include "linebuf.h"
#include "log.h"
#include "spawn.h"
#include "xmalloc.h"

#define CALLS_PID	(1 << 28)	/* no process has such an id */
#define CALLS_TIMERS	4096

/* The names that ld's --wrap gives to the replaced calls. */
int	__real_event_add(struct event *, const struct timeval *);
int	__wrap_event_add(struct event *, const struct timeval *);
void	__real_event_free(struct event *);
void	__wrap_event_free(struct event *);
int	__real_kill(pid_t, int);
int	__wrap_kill(pid_t, int);
pid_t	__real_waitpid(pid_t, int *, int);
pid_t	__wrap_waitpid(pid_t, int *, int);
int64_t	__real_clock_monotonic(void);
int64_t	__wrap_clock_monotonic(void);
ssize_t	__wrap_getrandom(void *, size_t, unsigned);
struct passwd *__wrap_getpwuid(uid_t);

static struct world	*calls_world;			/* of this input */
static struct event	*calls_timers[CALLS_TIMERS];
static int64_t		 calls_ms[CALLS_TIMERS];	/* time until they
							 * expire */
static int64_t		 calls_now;			/* monotonic ms */
static size_t		 calls_ntimers;
static pid_t		 calls_pid;
static int		 calls_soon;	/* a timer of 0 was added */

/* Begin. */
void
world_calls_begin(struct world *w)
{
	calls_world = w;
	calls_ntimers = 0;
	calls_now = 1000000;
	calls_pid = CALLS_PID;
}

/* End: no timer of a freed object may be left. */
void
world_calls_end(void)
{
	if (calls_ntimers != 0)
		abort();
	calls_world = NULL;
}

/* ---- timers */

/* Count the timers. */
size_t
world_timers(void)
{
	return (calls_ntimers);
}

/* Was a timer of 0 ms added since the last call? */
int
world_soon(void)
{
	int	 soon = calls_soon;

	calls_soon = 0;
	return (soon);
}

/* Let a timer expire. */
void
world_expire(size_t n)
{
	struct event	*ev = NULL;
	size_t		 i, k;

	for (i = k = 0; i < calls_ntimers; i++)
		k += event_pending(calls_timers[i], EV_TIMEOUT, NULL) != 0;
	if (k == 0)
		return;
	n %= k;
	for (i = 0; i < calls_ntimers; i++) {
		ev = calls_timers[i];
		if (event_pending(ev, EV_TIMEOUT, NULL) && n-- == 0)
			break;
	}
	calls_now += calls_ms[i];
	event_del(ev);
	event_active(ev, EV_TIMEOUT, 1);
}

/* A timer does not run by itself. */
int
__wrap_event_add(struct event *ev, const struct timeval *tv)
{
	static const struct timeval	 never = { 1 << 20, 0 };
	size_t				 i;

	if (tv == NULL)
		return (__real_event_add(ev, NULL));
	if (tv->tv_sec == 0 && tv->tv_usec == 0) {	/* at the next turn */
		calls_soon = 1;
		return (__real_event_add(ev, tv));
	}
	for (i = 0; i < calls_ntimers && calls_timers[i] != ev; i++)
		;
	if (i == calls_ntimers) {
		if (i == CALLS_TIMERS)
			abort();	/* chatd never has that many timers */
		calls_timers[calls_ntimers++] = ev;
	}
	calls_ms[i] = tv->tv_sec * 1000 + tv->tv_usec / 1000;
	return (__real_event_add(ev, &never));
}

/* A timer is freed. */
void
__wrap_event_free(struct event *ev)
{
	size_t	 i;

	for (i = 0; i < calls_ntimers; i++) {
		if (calls_timers[i] != ev)
			continue;
		calls_ntimers--;
		memmove(&calls_timers[i], &calls_timers[i + 1],
		    (calls_ntimers - i) * sizeof *calls_timers);
		memmove(&calls_ms[i], &calls_ms[i + 1],
		    (calls_ntimers - i) * sizeof *calls_ms);
		break;
	}
	__real_event_free(ev);
}

/* ---- processes */

/* End a peer: chatd reads the end of its channel. */
void
world_peer_end(struct world_peer *p)
{
	if (p->fd != -1)
		close(p->fd);
	p->fd = -1;
}

/* Find the helper with a process id. */
static struct world_peer *
calls_peer(pid_t pid)
{
	struct world_peer	*p;

	TAILQ_FOREACH(p, &calls_world->peers, entry) {
		if (p->pid == pid)
			return (p);
	}
	return (NULL);
}

/* chatd kills a process. */
int
__wrap_kill(pid_t pid, int sig)
{
	struct world_peer	*p;

	if (pid < CALLS_PID)
		return (__real_kill(pid, sig));
	if ((p = calls_peer(pid)) == NULL || p->reaped)
		abort();		/* another process could have that id */
	world_peer_end(p);
	return (0);
}

/* chatd reaps a process. */
pid_t
__wrap_waitpid(pid_t pid, int *status, int options)
{
	struct world_peer	*p;

	if (pid < CALLS_PID)
		return (__real_waitpid(pid, status, options));
	if ((p = calls_peer(pid)) == NULL || p->reaped)
		abort();
	if (p->fd != -1 && (options & WNOHANG))
		return (0);
	world_peer_end(p);
	p->reaped = 1;
	if (status != NULL)
		*status = 0;
	return (pid);
}

/* Time passes only when a timer expires: by the timer's interval. */
int64_t
__wrap_clock_monotonic(void)
{
	return (calls_world != NULL ? calls_now : __real_clock_monotonic());
}

/* Return the same random numbers in each run. */
ssize_t
__wrap_getrandom(void *p, size_t n, unsigned flags)
{
	(void)flags;
	memset(p, 7, n);
	return ((ssize_t)n);
}

/* Accounts have no names here. */
struct passwd *
__wrap_getpwuid(uid_t uid)
{
	(void)uid;
	return (NULL);
}

/* Start a program: an export writes a little and ends; a helper waits for
 * requests. */
pid_t
spawn_program(char *const argv[], int in, int out)
{
	static const char	*const names[] = { "engine", "filter",
				    "store" };
	struct world_peer	*p = xcalloc(1, sizeof *p);
	size_t			 i;

	for (i = 0; strcmp(names[i], argv[0]) != 0; i++)
		;
	p->name = (enum world_name)i;
	p->pid = calls_pid++;
	p->fd = -1;
	p->asked = json_array();
	p->lines = linebuf_new(HELPER_LINE_MAX);
	if (in == -1) {
		if (write(out, "{\"exported\":1}\n", 15) != 15)
			abort();
	} else {
		p->fd = dup(out);
		fcntl(p->fd, F_SETFL, O_NONBLOCK);
	}
	TAILQ_INSERT_HEAD(&calls_world->peers, p, entry);
	return (p->pid);
}

/* ---- choice.c: nothing is remembered but that there was a model before */

/* Release the members. */
void
choice_clear(struct choice *c)
{
	free(c->configured);
	free(c->current.path);
	free(c->current.digest);
	free(c->previous.path);
	free(c->previous.digest);
	memset(c, 0, sizeof *c);
}

/* Read what is remembered. */
int
choice_read(const char *state_dir, struct choice *c, struct fault *f)
{
	(void)state_dir;
	(void)f;
	memset(c, 0, sizeof *c);
	c->configured = xstrdup("/model");
	c->current.path = xstrdup("/model");
	c->previous.path = xstrdup("/dev/null");
	return (0);
}

/* Remember nothing. */
int
choice_write(const char *state_dir, const struct choice *c, struct fault *f)
{
	(void)state_dir;
	(void)c;
	(void)f;
	return (0);
}

/* ---- configure.c */

/* Make the configuration, at the start and at a reload. */
int
configure_load(const char *model, struct config **out, json_t *errors,
    struct fault *f)
{
	struct config	*c;
	int		 d, i;

	if (config_load(NULL, &c, errors, f) != 0)
		abort();
	free(c->engine_program);
	free(c->filter_program);
	free(c->store_program);
	c->engine_program = xstrdup("engine");
	c->filter_program = xstrdup("filter");
	c->store_program = xstrdup("store");
	c->filters = xcalloc(2, sizeof *c->filters);
	for (i = 0; i < 2; i++) {	/* each in its own process */
		c->filters[i].name = xstrdup(i == 0 ? "rules" : "other");
		c->filters[i].path = xstrdup("/plugin.so");
		c->filters[i].options = json_object();
		c->filters[i].process = i == 0 ? FILTER_SHARED : FILTER_OWN;
		c->filters[i].when_off = i == 0 ? FILTER_BLOCKS : FILTER_PASSES;
	}
	c->nfilters = 2;
	if (model != NULL && strcmp(model, "default") != 0)
		c->model_chosen = xstrdup(model);
	c->log_level = LOG_LEVEL_ERROR;
	c->filter_hold = 2;
	c->line = 8192;
	c->prompt = 4096;
	for (d = 0; d < DIRECTIONS; d++) {
		for (i = 0; i < CATEGORIES; i++)
			c->policy[d][i] = (struct threshold){ .2, .5, .8,
			    0 };
	}
	*out = c;
	return (0);
}

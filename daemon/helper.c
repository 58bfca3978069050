/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A helper process: its start, its heartbeat, its end, and its lines.
 * helper_req.c has its requests.
 */
#include "helper_impl.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "conn.h"
#include "json.h"
#include "protocol.h"
#include "log.h"
#include "spawn.h"
#include "xmalloc.h"

#define HELPER_PING_MS		2000	/* between heartbeats */
#define HELPER_BACKOFF_MS	100	/* before the second restart; then it
					 * doubles */
#define HELPER_HEALTHY_MS	60000	/* after this time the back-off is
					 * reset */
#define HELPER_LOOSE_MAX 65536		/* bytes of an event without an id:
					 * parts of it are sent to every
					 * client */
#define HELPER_TRIES		3	/* starts that may fail in a row */
#define HELPER_REAP_MS		5	/* between looks whether it has ended */
#define HELPER_REAP_TRIES	10	/* looks before a helper that closed its
					 * channel is killed */

static void	helper_start(struct helper *);
static void	helper_restart(evutil_socket_t, short, void *);
static void	helper_beat(evutil_socket_t, short, void *);
static void	helper_silent(evutil_socket_t, short, void *);
static void	helper_line(void *, char *, size_t);
static void	helper_too_long(void *);
static void	helper_eof(void *, int);
static void	helper_failed(void *, const char *);
static void	helper_drained(void *);

static const struct conn_ops helper_conn_ops = {
	.line = helper_line,
	.too_long = helper_too_long,
	.eof = helper_eof,
	.failed = helper_failed,
	.drained = helper_drained,
};

/* Arm a timer. */
void
helper_arm(struct event *ev, int ms)
{
	struct timeval	 tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(ev, &tv);
}

/* Make and start a helper. */
struct helper *
helper_new(struct event_base *base, const struct helper_spec *spec)
{
	struct helper	*h;

	h = xcalloc(1, sizeof *h);
	h->base = base;
	h->spec = spec;
	TAILQ_INIT(&h->reqs);
	h->timer = evtimer_new(base, helper_restart, h);
	h->beat = evtimer_new(base, helper_beat, h);
	h->silence = evtimer_new(base, helper_silent, h);
	helper_start(h);
	return (h);
}

/* End a helper. */
void
helper_free(struct helper *h)
{
	if (h == NULL)
		return;
	h->retired = 1;
	helper_lose(h);
	conn_free(h->conn);
	if (h->pid > 0) {
		kill(h->pid, SIGKILL);
		waitpid(h->pid, NULL, 0);
	}
	event_free(h->timer);
	event_free(h->beat);
	event_free(h->silence);
	free(h);
}

/* Start the program and send it its init message. */
static void
helper_start(struct helper *h)
{
	char	*argv[] = { (char *)(uintptr_t)h->spec->program, NULL };
	char	 why[512];
	int	 fd[2];

	if (h->spec->prepare != NULL &&
	    h->spec->prepare(h->spec->arg, why, sizeof why) != 0) {
		helper_down(h, why);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0, fd) == -1) {
		snprintf(why, sizeof why, "socketpair: %s", strerror(errno));
		helper_down(h, why);
		return;
	}
	h->pid = spawn_program(argv, fd[1], fd[1]);
	close(fd[1]);
	if (h->pid == -1) {
		snprintf(why, sizeof why, "%s: %s", h->spec->program,
		    strerror(errno));
		h->pid = 0;
		close(fd[0]);
		helper_down(h, why);
		return;
	}
	log_debug("%s: started, pid %d", h->spec->name, (int)h->pid);
	h->killed = 0;
	h->state = HELPER_STARTING;
	h->conn = conn_new(h->base, fd[0], h->spec->line_max, 0, 0, 0,
	    &helper_conn_ops, h);
	conn_send(h->conn, h->spec->init(h->spec->arg));
	helper_arm(h->silence, h->spec->start_ms);
}

/* The helper is lost: end its requests, and plan the next start. */
void
helper_down(struct helper *h, const char *why)
{
	int	 started = h->state == HELPER_READY;
	int	 known = !started && h->fails > 0 && strcmp(h->why, why) == 0;

	if (h->why != why)
		snprintf(h->why, sizeof h->why, "%s", why);
	if (!h->retired && known)
		log_debug("%s: %s", h->spec->name, h->why);
	else if (!h->retired)
		log_warnx("%s: %s", h->spec->name, h->why);
	h->fails = started ? 0 : h->fails + 1;
	if (started &&
	    clock_monotonic() - h->ready_at > HELPER_HEALTHY_MS)
		h->backoff_ms = 0;
	h->state = HELPER_DOWN;
	conn_free(h->conn);
	h->conn = NULL;
	event_del(h->beat);
	event_del(h->silence);
	if (h->pid > 0 && (h->ending == 0 || h->retired)) {
		kill(h->pid, SIGKILL);
		h->killed = 1;
	}
	if (h->spec->ended != NULL)
		helper_arm(h->timer, 0);
	else if (!h->retired) {
		helper_arm(h->timer, h->backoff_ms);
		h->backoff_ms = h->backoff_ms == 0 ? HELPER_BACKOFF_MS :
		    h->backoff_ms * 2;
		if (h->backoff_ms > h->spec->backoff_max_ms)
			h->backoff_ms = h->spec->backoff_max_ms;
		h->restarts++;
	}
	helper_lose(h);
	h->spec->gone(h->spec->arg, started);
}

/* Once the old process has ended, start again, or report its end. */
static void
helper_restart(evutil_socket_t fd, short what, void *arg)
{
	struct helper	*h = arg;

	(void)fd;
	(void)what;
	helper_reap(h);
	if (h->pid > 0) {
		if (h->ending > 0 && --h->ending == 0)
			kill(h->pid, SIGKILL);
		helper_arm(h->timer, HELPER_REAP_MS);
	} else if (h->spec->ended != NULL)
		h->spec->ended(h->spec->arg);	/* it may free h */
	else
		helper_start(h);
}

/* Send a heartbeat, and expect an answer within the timeout. */
static void
helper_beat(evutil_socket_t fd, short what, void *arg)
{
	struct helper	*h = arg;

	(void)fd;
	(void)what;
	helper_notify(h, msg_op("ping", -1));
	if (!event_pending(h->silence, EV_TIMEOUT, NULL))
		helper_arm(h->silence, h->spec->timeout_ms);
	helper_arm(h->beat, HELPER_PING_MS);
}

/* The helper was silent for too long. */
static void
helper_silent(evutil_socket_t fd, short what, void *arg)
{
	struct helper	*h = arg;
	char		 why[128];

	(void)fd;
	(void)what;
	if (h->state == HELPER_READY && h->spec->busy != NULL &&
	    h->spec->busy(h->spec->arg)) {
		helper_arm(h->silence, h->spec->timeout_ms);
		return;
	}
	snprintf(why, sizeof why, "hung: silent for %d ms%s",
	    h->state == HELPER_READY ? h->spec->timeout_ms :
	    h->spec->start_ms,
	    h->state == HELPER_READY ? "" : " while starting");
	helper_down(h, why);
}

/* Let the helper finish and exit. One that is not ready is killed. */
void
helper_retire(struct helper *h)
{
	h->retired = 1;
	event_del(h->timer);
	event_del(h->beat);
	if (h->state != HELPER_READY) {
		helper_down(h, "not needed any more");
		return;
	}
	helper_arm(h->silence, h->spec->timeout_ms);
	if (conn_queued(h->conn) == 0)
		helper_drained(h);
}

/* Kill it. */
void
helper_kill(struct helper *h, const char *why)
{
	if (h->state != HELPER_DOWN)
		helper_down(h, why);
}

/* Kill it, and reset the back-off. */
void
helper_expire(struct helper *h, const char *why)
{
	h->backoff_ms = 0;
	helper_kill(h, why);
}

/* The helper is ready: send the waiting requests. */
static void
helper_is_ready(struct helper *h, json_t *msg)
{
	struct helper_req	*req;

	h->state = HELPER_READY;
	h->ready_at = clock_monotonic();
	h->why[0] = '\0';
	h->fails = 0;
	event_del(h->silence);
	helper_arm(h->beat, HELPER_PING_MS);
	h->spec->ready(h->spec->arg, msg);
	TAILQ_FOREACH(req, &h->reqs, entry) {
		if (req->msg != NULL && helper_hears(h))
			helper_send(h, req, req->msg);
	}
}

/* Handle an event without an id: ready, error or loading. */
static void
helper_loose(struct helper *h, const char *event, json_t *msg)
{
	const char	*text;
	char		 why[512];

	if (strcmp(event, "error") == 0) {
		text = msg_string(msg, "message");
		snprintf(why, sizeof why, "%s", text != NULL ? text :
		    "refused without a reason");
		helper_down(h, why);
	} else if (h->state != HELPER_STARTING)
		helper_out_of_turn(h, event, "without an id");
	else if (strcmp(event, "ready") == 0)
		helper_is_ready(h, msg);
	else if (h->spec->loading != NULL &&
	    strcmp(event, h->spec->loading) == 0)
		h->spec->event(h->spec->arg, msg);
	else
		helper_out_of_turn(h, event, "while starting");
}

/* Something arrived: restart the timer of silence. */
static void
helper_heard(struct helper *h)
{
	if (h->state == HELPER_STARTING)
		helper_arm(h->silence, h->spec->start_ms);
	else if (h->retired)
		helper_arm(h->silence, h->spec->timeout_ms);
	else
		event_del(h->silence);
}

/* Handle a message from the helper; len is the length of its line. */
static void
helper_message(struct helper *h, json_t *msg, size_t len)
{
	const char	*event = msg_string(msg, "event");
	int64_t		 id = msg_int(msg, "id", -1);

	helper_heard(h);
	if (event == NULL)
		helper_down(h, "sent a line without an event");
	else if (id < 0 && len > HELPER_LOOSE_MAX)
		helper_too_long(h);
	else if (id < 0)
		helper_loose(h, event, msg);
	else
		helper_answer(h, id, event, msg);
}

/* Handle a line from the helper. */
static void
helper_line(void *arg, char *line, size_t len)
{
	struct helper	*h = arg;
	struct fault	 f;
	json_t		*msg;
	char		 why[512];

	h->line_at = clock_micros();
	if (json_line_parse_max(line, len, h->spec->values_max, &msg, &f) !=
	    0) {
		snprintf(why, sizeof why, "sent a bad line: %s", f.message);
		helper_down(h, why);
	} else {
		helper_message(h, msg, len);
		json_decref(msg);
	}
	h->line_at = 0;
}

/* Handle a line over the limit. */
static void
helper_too_long(void *arg)
{
	helper_down(arg, "sent a line that is too long");
}

/* The channel is closed: the process has ended, or will do so soon. */
static void
helper_eof(void *arg, int half)
{
	struct helper	*h = arg;

	(void)half;
	h->ending = HELPER_REAP_TRIES;
	helper_down(h, "ended");
}

/* Reading or writing failed. */
static void
helper_failed(void *arg, const char *why)
{
	helper_down(arg, why);
}

/* All is sent: close the channel of a helper that is being retired. */
static void
helper_drained(void *arg)
{
	struct helper	*h = arg;

	if (h->retired)
		shutdown(conn_fd(h->conn), SHUT_WR);
}

/* The time that the current line has taken so far, or 0. */
int64_t
helper_since(const struct helper *h)
{
	return (h->line_at == 0 ? 0 : clock_micros() - h->line_at);
}

/* Reap the process if it has ended, and log how. */
void
helper_reap(struct helper *h)
{
	char	 how[96];
	int	 status;

	if (h == NULL || h->pid <= 0 ||
	    waitpid(h->pid, &status, WNOHANG) != h->pid)
		return;
	if (WIFSIGNALED(status))
		snprintf(how, sizeof how, "ended by signal %d (%s)",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof how, "ended with status %d",
		    WEXITSTATUS(status));
	if (h->killed)		/* why is in the log */
		log_debug("%s: pid %d %s", h->spec->name, (int)h->pid, how);
	else
		log_info("%s: pid %d %s", h->spec->name, (int)h->pid, how);
	if (strcmp(h->why, "ended") == 0)
		snprintf(h->why, sizeof h->why, "%s", how);
	h->pid = 0;
	h->ending = 0;
}

/* Return the state. */
enum helper_state
helper_state(const struct helper *h)
{
	return (h->state);
}

/* Has helper_retire been called? */
int
helper_is_retired(const struct helper *h)
{
	return (h->retired);
}

/* Return the state as a word. */
const char *
helper_state_name(const struct helper *h)
{
	static const char *const names[] = { "down", "starting", "ready" };

	return (names[h->state]);
}

/* Return its process id, 0 if there is none. */
pid_t
helper_pid(const struct helper *h)
{
	return (h->state == HELPER_DOWN ? 0 : h->pid);
}

/* Count its restarts. */
int
helper_restarts(const struct helper *h)
{
	return (h->restarts);
}

/* Has it failed to start several times in a row? */
int
helper_failing(const struct helper *h)
{
	return (h->state != HELPER_READY && h->fails >= HELPER_TRIES);
}

/* Return the reason why it is down. */
const char *
helper_why(const struct helper *h)
{
	return (h->why);
}

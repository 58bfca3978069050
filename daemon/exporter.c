/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exports: chatd-store run once more, read-only, in a process of its own,
 * whose output goes to the client as it comes.  The writer of the store never
 * waits for an export.
 */
#include "chatd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "path.h"
#include "spawn.h"
#include "utf8.h"
#include "xmalloc.h"

#define EXPORT_PIECE	32768	/* bytes in one text event */
#define EXPORT_UID_MAX	2	/* exports of one user at once */
#define EXPORT_END_MS	5000	/* to exit, once the output is closed */
#define EXPORT_NICE	10	/* its niceness */
#define EXPORT_LOOK_MS	5	/* between two looks */
#define EXPORT_ARGS	24	/* of its command line, at most */
#define EXPORT_MANIFEST	(4 * 1024 * 1024)	/* bytes, at most */

TAILQ_HEAD(exports, export);

struct export {
	TAILQ_ENTRY(export) entry;
	struct request	*request;	/* borrowed: ended by us */
	pid_t		 pid;
	int		 fd;		/* owned: its stdout */
	struct event	*ev;		/* owned: readable, then a timer */
	int64_t		 ended;		/* monotonic ms: its output ended */
	size_t		 held;		/* bytes of an unfinished character */
	char		*trailer;	/* owned: the manifest so far, or
					 * NULL */
	size_t		 ntrailer;
	char		 buf[EXPORT_PIECE];
};

static struct exports	 exporter_all = TAILQ_HEAD_INITIALIZER(exporter_all);

static void	exporter_readable(evutil_socket_t, short, void *);
static void	exporter_exited(evutil_socket_t, short, void *);
static void	exporter_stop(struct request *);
static void	exporter_pressure(struct request *, int);

/* Add an option with a value, if there is one. */
static void
exporter_option(char **argv, int *n, const char *name, const char *value)
{
	if (value != NULL)
		argv[(*n)++] = xasprintf("--%s=%s", name, value);
}

/* Make the options that choose what is written. They are owned by the
 * caller. */
static void
exporter_options(const struct export_ask *a, char **argv, int *n)
{
	char	text[32];

	exporter_option(argv, n, "export", a->format);
	exporter_option(argv, n, "rating", a->rating);
	exporter_option(argv, n, "reason", a->reason);
	exporter_option(argv, n, "category", a->category);
	exporter_option(argv, n, "model", a->model);
	exporter_option(argv, n, "user", a->user);
	exporter_option(argv, n, "split", a->split);
	snprintf(text, sizeof text, "%lld", (long long)a->heldout);
	exporter_option(argv, n, "heldout", text);
	snprintf(text, sizeof text, "@%lld", (long long)a->since);
	exporter_option(argv, n, "since", a->since > 0 ? text : NULL);
	snprintf(text, sizeof text, "@%lld", (long long)a->until);
	exporter_option(argv, n, "until", a->until > 0 ? text : NULL);
	if (a->consent)
		argv[(*n)++] = xstrdup("--consent");
	if (a->bare)
		argv[(*n)++] = xstrdup("--bare");
	if (a->sidecar)
		argv[(*n)++] = xstrdup("--sidecar");
	if (a->unique)
		argv[(*n)++] = xstrdup("--unique");
	if (a->manifest)
		argv[(*n)++] = xstrdup("--trailer");
}

/* Start the export of a request. */
static pid_t
exporter_run(struct request *r, const struct export_ask *ask, int out)
{
	char	*argv[EXPORT_ARGS], uid[24], *db;
	pid_t	 pid;
	int	 n = 0;

	db = path_join(r->d->config->state_dir, "chatd.db");
	snprintf(uid, sizeof uid, "%u", (unsigned)r->uid);
	argv[n++] = xstrdup(r->d->config->store_program);
	exporter_options(ask, argv, &n);
	exporter_option(argv, &n, "db", db);
	if (ask->all || ask->user != NULL)
		argv[n++] = xstrdup("--all");
	else
		exporter_option(argv, &n, "uid", uid);
	argv[n] = NULL;
	pid = spawn_program(argv, -1, out);
	while (n > 0)
		free(argv[--n]);
	free(db);
	return (pid);
}

/* Count the running exports of a user. */
static int
exporter_count(uid_t uid)
{
	const struct export	*e;
	int			 n = 0;

	TAILQ_FOREACH(e, &exporter_all, entry)
		n += e->request->uid == uid;
	return (n);
}

/* Check a word. */
static int
exporter_word(const char *field, const char *const *words, const char *word,
    struct fault *f)
{
	if (word == NULL || vocabulary_find(words, word) != -1)
		return (0);
	return (vocabulary_fault(f, "bad_field", field, words, word));
}

/* Run an export. */
void
exporter_new(struct request *r, const struct export_ask *ask)
{
	struct export	*e;
	struct fault	 f;
	int		 fd[2];

	if (exporter_word("format", vocabulary_formats, ask->format,
	    &f) != 0 || exporter_word("rating", vocabulary_choices,
	    ask->rating, &f) != 0 || exporter_word("reason",
	    vocabulary_reasons, ask->reason, &f) != 0 ||
	    exporter_word("category", vocabulary_categories, ask->category,
	    &f) != 0 || exporter_word("split", vocabulary_splits, ask->split,
	    &f) != 0) {
		request_fault(r, &f);
		return;
	}
	if (exporter_count(r->uid) >= EXPORT_UID_MAX) {
		request_fail(r, "busy", "%d exports of this user are running",
		    EXPORT_UID_MAX);
		return;
	}
	if (pipe2(fd, O_CLOEXEC|O_NONBLOCK) == -1) {
		request_fail(r, "store_unavailable", "%s", strerror(errno));
		return;
	}
	/* The exporter may block while it writes; only our end must not. */
	fcntl(fd[1], F_SETFL, 0);
	e = xcalloc(1, sizeof *e);
	e->request = r;
	e->fd = fd[0];
	e->pid = exporter_run(r, ask, fd[1]);
	close(fd[1]);
	if (e->pid == -1) {
		request_fail(r, "store_unavailable", "%s: %s",
		    r->d->config->store_program, strerror(errno));
		close(e->fd);
		free(e);
		return;
	}
	/* Conversations go first. */
	setpriority(PRIO_PROCESS, (id_t)e->pid, EXPORT_NICE);
	TAILQ_INSERT_TAIL(&exporter_all, e, entry);
	request_lasts(r);
	r->arg = e;
	r->stop = exporter_stop;
	r->pressure = exporter_pressure;
	e->ev = event_new(r->d->base, e->fd, EV_READ|EV_PERSIST,
	    exporter_readable, e);
	exporter_pressure(r, client_pressed(r->client));
}

/* The export is over with this exit status. */
static void
exporter_end(struct export *e, int cancelled, int status)
{
	struct request	*r = e->request;
	json_t		*m, *manifest = NULL;

	TAILQ_REMOVE(&exporter_all, e, entry);
	event_free(e->ev);
	close(e->fd);
	if (e->trailer != NULL)
		manifest = json_loadb(e->trailer, e->ntrailer, 0, NULL);
	free(e->trailer);
	free(e);
	r->arg = NULL;
	if (cancelled) {
		m = msg_event("done", -1);
		msg_set_string(m, "stop", "cancelled");
		request_done(r, m);
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		m = msg_event("done", -1);
		msg_set(m, "manifest", json_incref(manifest));
		request_done(r, m);
	} else {
		if (WIFSIGNALED(status))
			log_warnx("an export of uid %u was ended by signal %d",
			    (unsigned)r->uid, WTERMSIG(status));
		request_fail(r, "store_unavailable",
		    "the export failed; the service's log says why");
	}
	json_decref(manifest);
}

/* End the exporter. */
static int
exporter_kill(struct export *e)
{
	int	 status = 0;

	kill(e->pid, SIGKILL);
	while (waitpid(e->pid, &status, 0) == -1 && errno == EINTR)
		;
	return (status);
}

/* The output is closed: find out whether the exporter has exited, without
 * blocking. */
static void
exporter_exited(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval	 tv = { 0, EXPORT_LOOK_MS * 1000 };
	struct export		*e = arg;
	int			 status = 0;

	(void)fd;
	(void)what;
	if (waitpid(e->pid, &status, WNOHANG) == 0) {
		if (clock_monotonic() - e->ended < EXPORT_END_MS) {
			event_add(e->ev, &tv);
			return;
		}
		status = exporter_kill(e);
	}
	exporter_end(e, 0, status);
}

/* Stop reading; only the exit status is left. */
static void
exporter_closed(struct export *e)
{
	struct event_base	*base = e->request->d->base;

	e->ended = clock_monotonic();
	event_free(e->ev);
	e->ev = evtimer_new(base, exporter_exited, e);
	exporter_exited(-1, 0, e);
}

/* Add to the manifest, which comes after a NUL. */
static void
exporter_trailer(struct export *e, const char *s, size_t n)
{
	if (n > EXPORT_MANIFEST - e->ntrailer)
		n = EXPORT_MANIFEST - e->ntrailer;
	e->trailer = xreallocarray(e->trailer, 1, e->ntrailer + n + 1);
	memcpy(e->trailer + e->ntrailer, s, n);
	e->ntrailer += n;
}

/* Pass on the output of the exporter. */
static void
exporter_readable(evutil_socket_t fd, short what, void *arg)
{
	struct export	*e = arg;
	ssize_t		 n;
	size_t		 whole, have;
	const char	*nul;
	json_t		*m;

	(void)what;
	n = read(fd, e->buf + e->held, sizeof e->buf - e->held);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		exporter_closed(e);
		return;
	}
	have = e->held + (size_t)n;
	if (e->trailer != NULL) {
		exporter_trailer(e, e->buf, have);
		return;
	}
	if ((nul = memchr(e->buf, '\0', have)) != NULL) {
		exporter_trailer(e, nul + 1, have - (size_t)(nul + 1 - e->buf));
		have = (size_t)(nul - e->buf);
		if (have == 0) {
			e->held = 0;
			return;
		}
	}
	whole = utf8_whole(e->buf, have);
	m = msg_event("text", -1);
	msg_set_text(m, "text", e->buf, whole);
	e->held = have - whole;
	memmove(e->buf, e->buf + whole, e->held);
	request_send(e->request, m);
}

/* The client cancelled, or disconnected. */
static void
exporter_stop(struct request *r)
{
	struct export	*e = r->arg;

	exporter_end(e, 1, exporter_kill(e));
}

/* The client reads too slowly: leave the rest in the pipe. */
static void
exporter_pressure(struct request *r, int high)
{
	struct export	*e = r->arg;

	if (e->ended != 0)
		return;
	if (high)
		event_del(e->ev);
	else
		event_add(e->ev, NULL);
}

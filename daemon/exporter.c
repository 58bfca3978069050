/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exports and backups: chatd-store run once more, read-only, in a process of
 * its own, whose output goes to the client as it comes.  The writer of the
 * store never waits for an export.  An export spends the budget of its account,
 * so it does not keep others from the loop.
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

#include "budget.h"
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
#define EXPORT_ARGS	28	/* of its command line, at most */
#define EXPORT_MANIFEST	(4 * 1024 * 1024)	/* bytes, at most */

TAILQ_HEAD(exports, export);

struct export {
	TAILQ_ENTRY(export) entry;
	struct request	*request;	/* borrowed: ended by us */
	const char	*what;		/* static: for messages */
	void		(*done)(struct chatd *); /* after success, or NULL */
	pid_t		 pid;
	int		 fd;		/* owned: its stdout */
	struct event	*ev;		/* owned: readable, then a timer */
	struct event	*rest;		/* owned: until the account has budget
					 * again */
	int		 high;		/* the client reads too slowly */
	int64_t		 ended;		/* monotonic ms: its output ended */
	size_t		 held;		/* bytes of an unfinished character */
	char		*trailer;	/* owned: the manifest so far, or
					 * NULL */
	size_t		 ntrailer;
	char		 buf[EXPORT_PIECE];
};

static struct exports	 exporter_all = TAILQ_HEAD_INITIALIZER(exporter_all);

static void	exporter_readable(evutil_socket_t, short, void *);
static void	exporter_rest(struct export *);
static void	exporter_resume(evutil_socket_t, short, void *);
static void	exporter_exited(evutil_socket_t, short, void *);
static void	exporter_stop(struct request *);
static void	exporter_pressure(struct request *, int);

/* Release a command line. */
static void
exporter_drop(char **argv, int n)
{
	while (n > 0)
		free(argv[--n]);
}

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

/* Run chatd-store with n words (taken) of a command line for the database of
 * r's chatd. argv has room for three more. */
static pid_t
exporter_run(const struct request *r, char **argv, int n, int out)
{
	char	*db;
	pid_t	 pid;

	db = path_join(r->d->config->state_dir, "chatd.db");
	exporter_option(argv, &n, "db", db);
	argv[n] = NULL;
	pid = spawn_program(argv, -1, out);
	exporter_drop(argv, n);
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

/* Run chatd-store with n words (taken), and pass its output on to the client.
 * "done" is called when it has succeeded; it may be NULL. */
static void
exporter_start(struct request *r, const char *what, char **argv, int n,
    void (*done)(struct chatd *))
{
	struct export	*e;
	int		 fd[2];

	if (exporter_count(r->uid) >= EXPORT_UID_MAX) {
		exporter_drop(argv, n);
		request_fail(r, "busy", "%d exports of this user are running",
		    EXPORT_UID_MAX);
		return;
	}
	if (pipe2(fd, O_CLOEXEC|O_NONBLOCK) == -1) {
		exporter_drop(argv, n);
		request_fail(r, "store_unavailable", "%s", strerror(errno));
		return;
	}
	/* The exporter may block while it writes; only our end must not. */
	fcntl(fd[1], F_SETFL, 0);
	e = xcalloc(1, sizeof *e);
	e->request = r;
	e->fd = fd[0];
	e->what = what;
	e->done = done;
	e->pid = exporter_run(r, argv, n, fd[1]);
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
	e->rest = evtimer_new(r->d->base, exporter_resume, e);
	exporter_pressure(r, client_pressed(r->client));
}

/* Run an export. */
void
exporter_new(struct request *r, const struct export_ask *ask)
{
	char		*argv[EXPORT_ARGS], uid[24];
	struct fault	 f;
	int		 n = 0;

	if (exporter_word("format", vocabulary_formats, ask->format,
	    &f) != 0 || vocabulary_format_rating(ask->format, ask->rating,
	    &f) != 0 || exporter_word("reason",
	    vocabulary_reasons, ask->reason, &f) != 0 ||
	    exporter_word("category", vocabulary_categories, ask->category,
	    &f) != 0 || exporter_word("split", vocabulary_splits, ask->split,
	    &f) != 0) {
		request_fault(r, &f);
		return;
	}
	snprintf(uid, sizeof uid, "%u", (unsigned)r->uid);
	argv[n++] = xstrdup(r->d->config->store_program);
	argv[n++] = xstrdup("export");
	exporter_options(ask, argv, &n);
	if (ask->all || ask->user != NULL)
		argv[n++] = xstrdup("--all");
	else {
		exporter_option(argv, &n, "uid", uid);
		exporter_option(argv, &n, "name", peer_name(r->uid));
	}
	exporter_start(r, "export", argv, n, NULL);
}

/* Make a backup. */
void
exporter_backup(struct request *r)
{
	char	*argv[EXPORT_ARGS];

	argv[0] = xstrdup(r->d->config->store_program);
	argv[1] = xstrdup("backup");
	exporter_start(r, "backup", argv, 2, NULL);
}

/* The backup is ready: the store takes it when it starts. */
static void
exporter_restored(struct chatd *d)
{
	helper_expire(d->store, "starts again with a backup");
}

/* Restore a backup. */
void
exporter_restore(struct request *r, const char *name)
{
	char	*argv[EXPORT_ARGS];
	int	 n = 0;

	argv[n++] = xstrdup(r->d->config->store_program);
	argv[n++] = xstrdup("restore");
	exporter_option(argv, &n, "file", name);
	exporter_start(r, "restore", argv, n, exporter_restored);
}

/* The export is over with this exit status. */
static void
exporter_end(struct export *e, int cancelled, int status)
{
	struct request	*r = e->request;
	const char	*what = e->what;
	void		(*done)(struct chatd *) = e->done;
	json_t		*m, *manifest = NULL;

	TAILQ_REMOVE(&exporter_all, e, entry);
	event_free(e->ev);
	event_free(e->rest);
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
		if (done != NULL)
			done(r->d);
		m = msg_event("done", -1);
		msg_set(m, "manifest", json_incref(manifest));
		request_done(r, m);
	} else {
		if (WIFSIGNALED(status))
			log_warnx("the %s of uid %u was ended by signal %d",
			    what, (unsigned)r->uid, WTERMSIG(status));
		request_fail(r, "store_unavailable",
		    "the %s failed; the service's log says why", what);
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
	struct chatd	*d = e->request->d;
	ssize_t		 n;
	size_t		 whole, have;
	int64_t		 since;
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
	since = clock_micros();
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
	/* It has to be written to the client, too, which takes as long. */
	budget_charge(d->budget, e->request->uid,
	    (clock_micros() - since) * 2);
	if (budget_wait(d->budget, e->request->uid) > 0)
		exporter_rest(e);
}

/* The account has used up its share of the loop's time: others come first. */
static void
exporter_rest(struct export *e)
{
	int64_t		ms = budget_wait(e->request->d->budget,
			    e->request->uid);
	struct timeval	tv = { ms / 1000, ms % 1000 * 1000 };

	event_del(e->ev);
	event_add(e->rest, &tv);
}

/* It has budget again. */
static void
exporter_resume(evutil_socket_t fd, short what, void *arg)
{
	struct export	*e = arg;

	(void)fd;
	(void)what;
	exporter_pressure(e->request, e->high);
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

	e->high = high;
	if (e->ended != 0)
		return;
	if (high)
		event_del(e->ev);
	else if (!event_pending(e->rest, EV_TIMEOUT, NULL))
		event_add(e->ev, NULL);
}

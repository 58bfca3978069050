/*
 * chatd without processes and without time, see world.h.
 */
#include "world.h"

#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "limits.h"
#include "line.h"
#include "log.h"
#include "spawn.h"
#include "turns.h"
#include "xmalloc.h"

#define WORLD_PID	(1 << 28)	/* no process has such an id */
#define WORLD_TIMERS	4096
#define WORLD_ROUNDS	2000		/* of the loop until it is still */
#define WORLD_TURN	8192		/* bytes of an account's turn */
#define WORLD_SETTLE	50		/* rounds until all has ended */

/* What ld's --wrap makes of the calls that are taken over. */
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

static struct world	*world;			/* of this input */
static struct event	*world_timers[WORLD_TIMERS];
static int64_t		 world_ms[WORLD_TIMERS];	/* what each waits for */
static int64_t		 world_now;			/* monotonic ms */
static size_t		 world_ntimers;
static pid_t		 world_pid;
static int		 world_soon;	/* a timer of 0 was added */

/* ---- what is taken over */

/* A timer does not run by itself. */
int
__wrap_event_add(struct event *ev, const struct timeval *tv)
{
	static const struct timeval	 never = { 1 << 20, 0 };
	size_t				 i;

	if (tv == NULL)
		return (__real_event_add(ev, NULL));
	if (tv->tv_sec == 0 && tv->tv_usec == 0) {	/* at the next turn */
		world_soon = 1;
		return (__real_event_add(ev, tv));
	}
	for (i = 0; i < world_ntimers && world_timers[i] != ev; i++)
		;
	if (i == world_ntimers) {
		if (i == WORLD_TIMERS)
			abort();	/* nobody keeps so many */
		world_timers[world_ntimers++] = ev;
	}
	world_ms[i] = tv->tv_sec * 1000 + tv->tv_usec / 1000;
	return (__real_event_add(ev, &never));
}

/* It has gone. */
void
__wrap_event_free(struct event *ev)
{
	size_t	 i;

	for (i = 0; i < world_ntimers; i++) {
		if (world_timers[i] != ev)
			continue;
		world_ntimers--;
		memmove(&world_timers[i], &world_timers[i + 1],
		    (world_ntimers - i) * sizeof *world_timers);
		memmove(&world_ms[i], &world_ms[i + 1],
		    (world_ntimers - i) * sizeof *world_ms);
		break;
	}
	__real_event_free(ev);
}

/* End a peer: chatd reads the end of its channel. */
static void
world_peer_end(struct world_peer *p)
{
	if (p->fd != -1)
		close(p->fd);
	p->fd = -1;
}

/* The peer of a process id. */
static struct world_peer *
world_peer_find(pid_t pid)
{
	struct world_peer	*p;

	TAILQ_FOREACH(p, &world->peers, entry) {
		if (p->pid == pid)
			return (p);
	}
	return (NULL);
}

/* chatd kills. */
int
__wrap_kill(pid_t pid, int sig)
{
	struct world_peer	*p;

	if (pid < WORLD_PID)
		return (__real_kill(pid, sig));
	if ((p = world_peer_find(pid)) == NULL || p->reaped)
		abort();		/* another process could have that id */
	world_peer_end(p);
	return (0);
}

/* chatd collects. */
pid_t
__wrap_waitpid(pid_t pid, int *status, int options)
{
	struct world_peer	*p;

	if (pid < WORLD_PID)
		return (__real_waitpid(pid, status, options));
	if ((p = world_peer_find(pid)) == NULL || p->reaped)
		abort();
	if (p->fd != -1 && (options & WNOHANG))
		return (0);
	world_peer_end(p);
	p->reaped = 1;
	if (status != NULL)
		*status = 0;
	return (pid);
}

/* Time passes when a timer runs out, as much as it waited for. */
int64_t
__wrap_clock_monotonic(void)
{
	return (world != NULL ? world_now : __real_clock_monotonic());
}

/* The same numbers each time. */
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

/* An export writes a little and ends; a helper waits for what is asked. */
pid_t
spawn_program(char *const argv[], int in, int out)
{
	static const char	*const names[] = { "engine", "filter", "store" };
	struct world_peer	*p = xcalloc(1, sizeof *p);
	size_t			 i;

	for (i = 0; strcmp(names[i], argv[0]) != 0; i++)
		;
	p->name = (enum world_name)i;
	p->pid = world_pid++;
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
	TAILQ_INSERT_HEAD(&world->peers, p, entry);
	return (p->pid);
}

/* The configuration, as a reload finds it too. */
int
chatd_configure(struct config **out, json_t *errors, struct fault *f)
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
	for (i = 0; i < 2; i++) {	/* in a process each */
		c->filters[i].name = xstrdup(i == 0 ? "rules" : "other");
		c->filters[i].path = xstrdup("/plugin.so");
		c->filters[i].options = json_object();
		c->filters[i].process = i == 0 ? FILTER_SHARED : FILTER_OWN;
		c->filters[i].when_off = i == 0 ? FILTER_BLOCKS : FILTER_PASSES;
	}
	c->nfilters = 2;
	c->log_level = LOG_LEVEL_ERROR;
	c->filter_hold = 2;
	c->line = 8192;
	c->prompt = 4096;
	for (d = 0; d < DIRECTIONS; d++) {
		for (i = 0; i < CATEGORIES; i++)
			c->policy[d][i] = (struct threshold){ .2, .5, .8 };
	}
	*out = c;
	return (0);
}

/* The end of the process is not played. */
void
chatd_settled(struct chatd *d)
{
	(void)d;
}

/* ---- the loop */

/* Read what chatd sent; the bytes. */
static size_t
world_read(int *fd, struct linebuf *lb)
{
	size_t	 room;
	ssize_t	 n;
	char	*p = linebuf_room(lb, &room);

	if (*fd == -1)
		return (0);
	n = read(*fd, p, room);
	if (n == -1 && errno == EAGAIN)
		return (0);
	if (n <= 0) {
		close(*fd);
		*fd = -1;
		return (1);
	}
	linebuf_added(lb, (size_t)n);
	return ((size_t)n);
}

/* Take in what a helper is asked. */
static size_t
world_peer_read(struct world_peer *p)
{
	struct fault	 f;
	json_t		*m;
	char		*line;
	size_t		 n, len;

	n = world_read(&p->fd, p->lines);
	while (linebuf_next(p->lines, &line, &len) == LINE_READY) {
		if (json_line_parse(line, len, &m, &f) != 0)
			abort();
		if (p->init == NULL)
			p->init = json_incref(m);
		json_array_append_new(p->asked, m);
		memmove(p->ids + 1, p->ids, sizeof p->ids - sizeof *p->ids);
		p->ids[0] = msg_int(m, "id", 0);
	}
	return (n);
}

/* Take in what a client is told: no request may end twice. */
static size_t
world_client_read(struct world_client *c)
{
	struct fault	 f;
	json_t		*m;
	const char	*event;
	char		*line;
	size_t		 n, len;
	int64_t		 id;

	n = world_read(&c->fd, c->in);
	while (linebuf_next(c->in, &line, &len) == LINE_READY) {
		if (json_line_parse(line, len, &m, &f) != 0 ||
		    (event = msg_string(m, "event")) == NULL)
			abort();
		id = msg_int(m, "id", -1);
		if (id < 0 && strcmp(event, "error") == 0)
			c->refused++;
		if (id >= 0 && id < WORLD_IDS &&
		    (strcmp(event, "done") == 0 ||
		    strcmp(event, "error") == 0) &&
		    ++c->ended[id] > c->sent[id]) {
			/* Only the error about a line that can't be parsed
			 * may have an id that was read out of it. */
			if (c->unread == 0 || strcmp(event, "error") != 0)
				abort();
			c->unread--;
			c->ended[id]--;
		}
		json_decref(m);
	}
	return (n);
}

/* Turn the loop until nothing moves. */
void
world_turn(struct world *w)
{
	struct world_peer	*p;
	size_t			 moved = 1;
	int			 i, round;

	for (round = 0; moved > 0; round++) {
		if (round == WORLD_ROUNDS)
			abort();	/* it turns for ever */
		world_soon = 0;
		event_base_loop(w->d.base, EVLOOP_NONBLOCK);
		moved = (size_t)event_base_get_num_events(w->d.base,
		    EVENT_BASE_COUNT_ACTIVE) + (size_t)world_soon;
		TAILQ_FOREACH(p, &w->peers, entry)
			moved += world_peer_read(p);
		for (i = 0; i < w->nclients; i++)
			moved += world_client_read(&w->clients[i]);
	}
}

/* Let a timer run out. */
void
world_timer(struct world *w, size_t n)
{
	struct event	*ev = NULL;
	size_t		 i, k;

	for (i = k = 0; i < world_ntimers; i++)
		k += event_pending(world_timers[i], EV_TIMEOUT, NULL) != 0;
	if (k == 0)
		return;
	n %= k;
	for (i = 0; i < world_ntimers; i++) {
		ev = world_timers[i];
		if (event_pending(ev, EV_TIMEOUT, NULL) && n-- == 0)
			break;
	}
	world_now += world_ms[i];
	event_del(ev);
	event_active(ev, EV_TIMEOUT, 1);
	world_turn(w);
}

/* ---- who speaks */

/* Send bytes, as many as are taken. */
static void
world_write(struct world *w, int *fd, const void *b, size_t n)
{
	const char	*s = b;
	ssize_t		 k;

	while (*fd != -1 && n > 0) {
		k = send(*fd, s, n, MSG_NOSIGNAL);
		if (k > 0) {
			s += k;
			n -= (size_t)k;
		} else if (errno != EAGAIN)
			break;
		else
			world_turn(w);
	}
}

/* The helper of a name that lives. */
struct world_peer *
world_helper(struct world *w, enum world_name name)
{
	struct world_peer	*p, *found = NULL;

	TAILQ_FOREACH(p, &w->peers, entry) {
		if (p->fd == -1 || p->name !=
		    (name == WORLD_OTHER ? WORLD_FILTER : name))
			continue;
		found = p;
		if (name != WORLD_OTHER)
			break;
	}
	return (found);
}

/* A helper speaks. */
void
world_helper_says(struct world *w, enum world_name name, const void *b,
    size_t n)
{
	struct world_peer	*p = world_helper(w, name);

	if (p != NULL)
		world_write(w, &p->fd, b, n);
	world_turn(w);
}

/* A helper ends. */
void
world_helper_ends(struct world *w, enum world_name name)
{
	struct world_peer	*p = world_helper(w, name);

	if (p != NULL)
		world_peer_end(p);
	world_turn(w);
}

/* Send a message from a helper. */
void
world_send(struct world *w, struct world_peer *p, json_t *m)
{
	size_t	 n;
	char	*s = msg_line(m, &n);

	json_decref(m);
	world_write(w, &p->fd, s, n);
	free(s);
}

/* Connect a client. */
void
world_connect(struct world *w)
{
	struct world_client	*c = &w->clients[w->nclients];
	int			 fd[2];

	if (w->nclients == WORLD_CLIENTS)
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, 0,
	    fd) == -1)
		abort();
	w->nclients++;
	c->fd = fd[0];
	c->in = linebuf_new(HELPER_LINE_MAX);
	c->out = linebuf_new((size_t)w->d.config->line);
	client_accept(&w->d, fd[1]);
	world_turn(w);
}

/* Note the ids of the requests among a client's bytes. */
static void
world_client_note(struct world_client *c, const void *b, size_t n)
{
	const char	*from = b;
	struct fault	 f;
	json_t		*m;
	char		*line, *p;
	size_t		 len, room, k;
	int64_t		 id;
	int		 r;

	for (; n > 0; from += k, n -= k) {
		p = linebuf_room(c->out, &room);
		k = room < n ? room : n;
		memcpy(p, from, k);
		linebuf_added(c->out, k);
		while ((r = linebuf_next(c->out, &line, &len)) != LINE_NONE) {
			if (r == LINE_TOO_LONG ||
			    json_line_parse(line, len, &m, &f) != 0) {
				c->unread++;
				continue;
			}
			id = msg_int(m, "id", -1);
			if (id >= 0 && id < WORLD_IDS)
				c->sent[id]++;
			json_decref(m);
		}
	}
}

/* The newest client speaks. */
void
world_client_says(struct world *w, const void *b, size_t n)
{
	struct world_client	*c;

	if (w->nclients == 0)
		return;
	c = &w->clients[w->nclients - 1];
	world_client_note(c, b, n);
	world_write(w, &c->fd, b, n);
	world_turn(w);
}

/* The newest client goes. */
void
world_client_ends(struct world *w)
{
	struct world_client	*c;

	if (w->nclients == 0)
		return;
	c = &w->clients[w->nclients - 1];
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	world_turn(w);
}

/* ---- start and end */

/* A world. */
struct world *
world_new(void)
{
	struct world	*w = xcalloc(1, sizeof *w);
	struct fault	 f;
	int		 i;

	log_set_level(LOG_LEVEL_ERROR);
	signal(SIGPIPE, SIG_IGN);
	world = w;
	world_ntimers = 0;
	world_now = 1000000;
	world_pid = WORLD_PID;
	TAILQ_INIT(&w->peers);
	TAILQ_INIT(&w->d.clients);
	TAILQ_INIT(&w->d.exchanges);
	TAILQ_INIT(&w->d.tokenizes);
	for (i = 0; i < WORLD_CLIENTS; i++)
		w->clients[i].fd = -1;
	memcpy(w->d.boot, "boot", 5);
	chatd_configure(&w->d.config, NULL, &f);
	w->d.lock = STDIN_FILENO;	/* the state folder is ours */
	if ((w->d.base = event_base_new()) == NULL)
		abort();
	w->d.turns = turns_new(w->d.base, WORLD_TURN);
	helpers_start(&w->d);
	world_turn(w);
	return (w);
}

/* Its end. */
void
world_free(struct world *w)
{
	struct world_peer	*p;
	int			 i;

	exchange_drop_all(&w->d);
	client_close_all(&w->d);
	turns_free(w->d.turns);
	refusals_clear();
	reload_stop(&w->d);
	helpers_stop(&w->d);
	event_base_loop(w->d.base, EVLOOP_NONBLOCK);
	event_base_free(w->d.base);
	config_free(w->d.config);
	while ((p = TAILQ_FIRST(&w->peers)) != NULL) {
		TAILQ_REMOVE(&w->peers, p, entry);
		world_peer_end(p);
		linebuf_free(p->lines);
		json_decref(p->init);
		json_decref(p->asked);
		free(p);
	}
	for (i = 0; i < w->nclients; i++) {
		if (w->clients[i].fd != -1)
			close(w->clients[i].fd);
		linebuf_free(w->clients[i].in);
		linebuf_free(w->clients[i].out);
	}
	if (world_ntimers != 0)
		abort();		/* a timer of something that has gone */
	free(w);
	world = NULL;
}

/* A helper answers all that it was asked. */
static void
world_peer_truth(struct world *w, struct world_peer *p)
{
	json_t	*asked = p->asked, *m;
	size_t	 i;

	p->asked = json_array();
	json_array_foreach(asked, i, m) {
		if (!world_answer(w, p, m))
			json_array_append(p->asked, m);
	}
	json_decref(asked);
}

/* The helpers of a name answer. */
void
world_truth(struct world *w, enum world_name name)
{
	struct world_peer	*p;

	TAILQ_FOREACH(p, &w->peers, entry) {
		if (p->name == name && p->fd != -1)
			world_peer_truth(w, p);
	}
	world_turn(w);
}

/* Does any client still wait for an answer? A line that was refused may have
 * had an id that was not looked at. */
static int
world_waits(const struct world *w)
{
	const struct world_client	*c;
	int				 i, id, n;

	for (i = 0; i < w->nclients; i++) {
		c = &w->clients[i];
		for (id = n = 0; c->fd != -1 && id < WORLD_IDS; id++)
			n += c->sent[id] - c->ended[id];
		if (c->fd != -1 && n > c->refused)
			return (1);
	}
	return (0);
}

/* All helpers answer, also what they are asked because of an answer. */
static void
world_truth_all(struct world *w)
{
	int	 i;

	for (i = 0; i < 9; i++)
		world_truth(w, (enum world_name)(i % WORLD_OTHER));
}

/* The truth from now on: all must end. */
void
world_settle(struct world *w)
{
	static const char	 ask[] = "\n{\"op\":\"status\",\"id\":1023}\n";
	struct world_client	*c;
	size_t			 n, k;
	int			 i;

	for (i = 0; i < WORLD_SETTLE && (i < 3 || world_waits(w) ||
	    !TAILQ_EMPTY(&w->d.exchanges)); i++) {
		world_truth_all(w);
		if (i == 1)	/* some only end when they are cancelled */
			exchange_cancel_all(&w->d);
		for (n = i < 3 ? 0 : world_ntimers, k = 0; k < n; k++) {
			world_timer(w, k);
			world_truth_all(w);
		}
	}
	if (!TAILQ_EMPTY(&w->d.exchanges) || world_waits(w))
		abort();
	if (w->nclients == WORLD_CLIENTS)
		return;
	world_connect(w);
	c = &w->clients[w->nclients - 1];
	world_client_says(w, ask, sizeof ask - 1);
	if (c->ended[WORLD_IDS - 1] != 1)
		abort();
}

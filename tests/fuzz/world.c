/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd without processes and without time, see world.h: the loop, the clients
 * and the helpers.
 */
#include "world.h"

#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol.h"
#include "linebuf.h"
#include "log.h"
#include "ahead.h"
#include "exchange_impl.h"
#include "turns.h"
#include "xmalloc.h"

#define WORLD_ROUNDS	2000		/* turns of the loop until nothing
					 * moves */
#define WORLD_TURN	8192		/* bytes of an account's turn */
#define WORLD_SETTLE	50		/* rounds until all requests have
					 * ended */

/* ---- the loop */

/* Read what chatd sent. Returns the number of bytes. */
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

/* Handle a line from chatd to a helper. */
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

/* Handle a line from chatd to a client: no request may end twice. */
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
	const struct exchange	*x;
	struct world_peer	*p;
	size_t			 moved = 1;
	int			 i, round;

	for (round = 0; moved > 0; round++) {
		if (round == WORLD_ROUNDS)
			abort();	/* it never stops */
		event_base_loop(w->d.base, EVLOOP_NONBLOCK);
		TAILQ_FOREACH(x, &w->d.exchanges, entry) {
			if (!exchange_is_sound(x))
				abort();
		}
		moved = (size_t)event_base_get_num_events(w->d.base,
		    EVENT_BASE_COUNT_ACTIVE) + (size_t)world_soon();
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
	world_expire(n);
	world_turn(w);
}

/* ---- clients and helpers */

/* Send as many bytes as the socket takes. */
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

/* Find a running helper by its name. */
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

/* Send bytes from a helper. */
void
world_helper_says(struct world *w, enum world_name name, const void *b,
    size_t n)
{
	struct world_peer	*p = world_helper(w, name);

	if (p != NULL)
		world_write(w, &p->fd, b, n);
	world_turn(w);
}

/* End a helper. */
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

/* Send bytes from the newest client. */
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

/* Close the newest client. */
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

/* The end of the process is not simulated. */
static void
world_store_ended(struct chatd *d)
{
	(void)d;
}

/* Make a world. */
struct world *
world_new(void)
{
	static const struct chatd_hooks	 hooks = {
		.dispatch = ops_dispatch,
		.model = status_model,
		.defaults = sampling_stated,
		.changed = roles_report,
		.model_loaded = reload_first,
		.model_ended = reload_model_ended,
		.store_ended = world_store_ended,
	};
	struct world	*w = xcalloc(1, sizeof *w);
	struct fault	 f;
	int		 i;

	log_set_level(LOG_LEVEL_ERROR);
	signal(SIGPIPE, SIG_IGN);
	w->d.hooks = &hooks;
	world_calls_begin(w);
	TAILQ_INIT(&w->peers);
	TAILQ_INIT(&w->d.clients);
	TAILQ_INIT(&w->d.exchanges);
	for (i = 0; i < WORLD_CLIENTS; i++)
		w->clients[i].fd = -1;
	memcpy(w->d.boot, "boot", 5);
	configure_load(NULL, &w->d.config, NULL, &f);
	w->d.lock = STDIN_FILENO;	/* the state folder counts as locked */
	if ((w->d.base = event_base_new()) == NULL)
		abort();
	w->d.turns = turns_new(w->d.base, WORLD_TURN, NULL);
	w->d.writes = ahead_new(WRITES_AHEAD, NULL);
	w->d.tokenizes = ahead_new(TOKENIZES_AHEAD, NULL);
	w->d.moderates = ahead_new(MODERATES_AHEAD, NULL);
	roles_start(&w->d);
	world_turn(w);
	return (w);
}

/* End a world. */
void
world_free(struct world *w)
{
	struct world_peer	*p;
	int			 i;

	exchange_drop_all(&w->d);
	client_close_all(&w->d);
	turns_free(w->d.turns);
	refusal_log_clear();
	reload_stop(&w->d);
	roles_stop(&w->d);
	ahead_free(w->d.writes);
	ahead_free(w->d.tokenizes);
	ahead_free(w->d.moderates);
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
	free(w);
	world_calls_end();
}

/* Answer all requests to a helper. */
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

/* Answer all requests to the helpers of a name. */
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

/* Does any client still wait for an answer? A refused line may have had an id
 * that chatd did not read. */
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

/* Answer all requests to all helpers, also those that follow from an answer. */
static void
world_truth_all(struct world *w)
{
	int	 i;

	for (i = 0; i < 9; i++)
		world_truth(w, (enum world_name)(i % WORLD_OTHER));
}

/* All helpers answer correctly from now on: every request must end. */
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
		if (i == 1)	/* some end only after a cancel */
			exchange_cancel_all(&w->d);
		for (n = i < 3 ? 0 : world_timers(), k = 0; k < n; k++) {
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For fuzz targets of the daemon: chatd's own state machines with everything
 * around them replaced. No program is started: each helper is the other end
 * of a socketpair (spawn_program, kill and waitpid are replaced at link time),
 * timers expire when the target decides, and the event loop runs step by step
 * until nothing moves. So an input gives the same steps each time.
 */
#ifndef TEST_FUZZ_WORLD_H
#define TEST_FUZZ_WORLD_H

#include <stddef.h>

#include "chatd.h"

#define WORLD_CLIENTS	4	/* connections in one input, at most */
#define WORLD_IDS	1024	/* ids whose last events are counted */

/* WORLD_OTHER is the oldest running filter process, WORLD_FILTER the newest. */
enum world_name { WORLD_ENGINE, WORLD_FILTER, WORLD_STORE, WORLD_OTHER,
	WORLD_NAMES };

/* The other end of a helper's channel. */
struct world_peer {
	TAILQ_ENTRY(world_peer)	 entry;
	enum world_name	 name;
	pid_t		 pid;		/* the pid that chatd sees */
	int		 fd;		/* owned; -1: it has ended */
	int		 reaped;
	struct linebuf	*lines;		/* owned: what chatd sends */
	json_t		*init;		/* owned: the first message, or NULL */
	json_t		*asked;		/* owned: array of requests that have no
					 * truthful answer yet */
	int64_t		 ids[10];	/* of the last requests, by age */
};
TAILQ_HEAD(world_peers, world_peer);

/* The client's end of a connection. */
struct world_client {
	int		 fd;		/* owned; -1: none, or closed */
	struct linebuf	*in, *out;	/* owned: from chatd, and to it */
	int		 sent[WORLD_IDS];	/* requests by id */
	int		 ended[WORLD_IDS];	/* their last events */
	int		 refused;	/* lines, without an id */
	int		 unread;	/* lines that can't be parsed */
};

struct world {
	struct chatd		 d;
	struct world_peers	 peers;
	struct world_client	 clients[WORLD_CLIENTS];
	int			 nclients;
	int64_t			 serial;	/* of the truthful store */
};

/* The world of this input: chatd with its helpers starting, no client. */
struct world	*world_new(void);
/* End it in the same way as chatd ends. */
void		 world_free(struct world *w);

/* Turn the loop until nothing moves. */
void		 world_turn(struct world *w);
/* Let the n-th pending timer expire (n modulo their number). */
void		 world_timer(struct world *w, size_t n);

/* Connect another client, if there may be one. */
void		 world_connect(struct world *w);
/* Send bytes from the newest client, or from the newest helper of a name. Does
 * nothing if there is none. */
void		 world_client_says(struct world *w, const void *b, size_t n);
void		 world_helper_says(struct world *w, enum world_name name,
		    const void *b, size_t n);
/* The newest client, or the newest helper of a name, closes its end. */
void		 world_client_ends(struct world *w);
void		 world_helper_ends(struct world *w, enum world_name name);
/* Find a running helper by its name; NULL if there is none. */
struct world_peer *world_helper(struct world *w, enum world_name name);

/* All helpers of a name answer their requests correctly. */
void		 world_truth(struct world *w, enum world_name name);
/* From now on all helpers answer correctly: every request must end, and status
 * must be answered. Aborts otherwise. */
void		 world_settle(struct world *w);

/* ---- world_calls.c, for world.c */

/* Replace the calls for this world, and restore them. */
void		 world_calls_begin(struct world *w);
void		 world_calls_end(void);
/* Count the pending timers; let the n-th expire at the next turn. */
size_t		 world_timers(void);
void		 world_expire(size_t n);
/* Has a timer of 0 ms been added since the last call? */
int		 world_soon(void);
/* The end of a helper's process. */
void		 world_peer_end(struct world_peer *p);

/* ---- world_truth.c */

/* Answer one request (borrowed). Returns 0 if its last event is still to
 * come. */
int		 world_answer(struct world *w, struct world_peer *p,
		    const json_t *m);
/* Send a message (taken) from a helper; chatd reads it at the next turn. */
void		 world_send(struct world *w, struct world_peer *p, json_t *m);

#endif

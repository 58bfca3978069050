/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter processes of one configuration: one that the plugins which come
 * with chatd share, and one for each plugin from elsewhere, so that such a
 * plugin speaks for itself only and is switched off by itself.  filters.c
 * runs them; judge.c hands them texts.  roles.c and reload.c own the sets.
 */
#ifndef DAEMON_FILTERS_H
#define DAEMON_FILTERS_H

#include <sys/queue.h>
#include <sys/types.h>

#include <event2/event.h>
#include <jansson.h>
#include <stdint.h>

#include "helper.h"

struct chatd;
struct config;
struct filters;
struct judge;
struct judge_account;
struct judge_flight;
struct judge_lane;

#define FILTERS_CRASHES		3	/* so many of a plugin of its own ... */
#define FILTERS_CRASHES_MS	60000	/* in this time: it is switched off */

/* One process. */
struct filters_process {
	struct filters		*set;		/* borrowed */
	struct helper		*helper;	/* owned */
	struct helper_spec	 spec;
	char			*name;		/* owned: "filter", or
						 * "filter NAME" */
	int			 own;		/* of one plugin alone */
	int			 pass;		/* once it is off, texts pass */
	json_t			*init;		/* owned: what it is told */
	json_t			*plugins;	/* owned: of its "ready"; NULL
						 * before */
	int64_t			 window;	/* bytes it needs before what
						 * is new; -1: all of them */
	int			 context;	/* it reads a reply's prompt */
	int			 off;		/* switched off */
	int			 retired;	/* has gone for good */
	int64_t			 crashes[FILTERS_CRASHES]; /* monotonic ms */

	/* ---- of judge.c */
	TAILQ_HEAD(, judge_lane) lanes;		/* owned: accounts with work,
						 * in the order of turns */
	TAILQ_HEAD(, judge_flight) flights;	/* owned: with the process */
	int			 nflights;
	size_t			 flying;	/* new bytes in them */
	int			 losing;	/* who is to blame for its end
						 * has been found */
	int			 expired;	/* we ended it: a late text */
	struct event		*deadline;	/* owned: of the first flight */
	struct event		*patience;	/* owned: it is down */
	struct event		*wake;		/* owned: a pause is over */
};

/* Who hears of a set; each may be NULL. */
struct filters_ops {
	/* Every process has been ready: called once. */
	void	(*ready)(void *arg);
	/* One could not start before that. Called for each try. */
	void	(*refused)(void *arg, const char *why);
	/* After that, one has come, gone or been switched off. */
	void	(*changed)(void *arg);
	/* After filters_retire: no process is left. */
	void	(*retired)(void *arg);
};

struct filters {
	struct event_base	*base;		/* borrowed */
	const struct filters_ops *ops;		/* borrowed */
	void			*arg;		/* borrowed */
	char			*program;	/* owned */
	int			 timeout_ms;	/* for a verdict, see judge.c */
	size_t			 hold;		/* bytes kept back at most */
	struct filters_process	*process;	/* owned: n of them */
	size_t			 n;
	int			 ready;		/* has been said */
	int			 retiring;
	int			 closing;	/* nobody is to blame any more */
	struct filters		*successor;	/* borrowed: judges what was
						 * begun; NULL: none */
	TAILQ_HEAD(, judge)	 judges;	/* borrowed: texts in work */
	/* judge.c calls this when it has removed the last of them. */
	void			(*idle)(struct filters *fs);
	TAILQ_HEAD(, judge_account) accounts;	/* owned: those that paused */
};

/* Start the processes that cf (borrowed during the call) asks for. ops and arg
 * are borrowed; nothing of them is called before filters_new has returned. */
struct filters	*filters_new(struct event_base *base, const struct config *cf,
		    const struct filters_ops *ops, void *arg);

/* End all processes at once. Texts in work get filter_unavailable. */
void		 filters_free(struct filters *fs);

/* Say who hears of the set from now on. */
void		 filters_adopt(struct filters *fs,
		    const struct filters_ops *ops, void *arg);

/*
 * Await the answers that are due, then end; retired() is called then, perhaps
 * at once. Texts go on in the successor, which outlives fs; it may be NULL
 * where there is no text yet.
 */
void		 filters_retire(struct filters *fs, struct filters *successor);

/* SIGCHLD came. NULL does nothing. */
void		 filters_reap(struct filters *fs);

/* Is every process up, or switched off? */
int		 filters_are_ready(const struct filters *fs);

/* Why the first one that is down is so; "" if none is. */
const char	*filters_why(const struct filters *fs);

/* Why no text can be judged, for long: one of the processes does not start. ""
 * if all do. */
const char	*filters_failing(const struct filters *fs);

/* For status: the plugins, {name, version, rules, process, state[, why]} each;
 * a new reference. */
json_t		*filters_status(const struct filters *fs);

/* Describe in o, a member of "helpers", that a process is switched off, if it
 * is: its state and, for operators, why. */
void		 filters_mark_off(const struct filters_process *p, json_t *o,
		    int operator);

/* ---- judge.c, for filters.c */

/* Prepare and release what judge.c keeps of a process. */
void		 judge_process_init(struct filters_process *p);
void		 judge_process_clear(struct filters_process *p);
/* It is up, has gone, or has been switched off. */
void		 judge_process_up(struct filters_process *p);
void		 judge_process_gone(struct filters_process *p);
void		 judge_process_off(struct filters_process *p);
/* Hand every text that is not in work to the set's successor, or end all of
 * them with filter_unavailable. */
void		 judge_hand_over(struct filters *fs);
void		 judge_fail_all(struct filters *fs, const char *why);

#endif

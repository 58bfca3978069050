/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter processes of one configuration. All plugins of chatd run in one
 * process. Each plugin from elsewhere has its own process, so that it can't
 * forge the findings of another plugin, and is switched off alone. filters.c
 * runs the processes; judge.c sends them texts. roles.c and reload.c own the
 * sets.
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
struct tally;
struct judge;
struct judge_account;
struct judge_flight;
struct judge_lane;

#define FILTERS_CRASHES		3	/* this number of crashes of a process
					 * ... */
#define FILTERS_CRASHES_MS	60000	/* within this time: its plugin is
					 * switched off */

/* One process. */
struct filters_process {
	struct filters		*set;		/* borrowed */
	struct helper		*helper;	/* owned */
	struct helper_spec	 spec;
	char			*name;		/* owned: "filter", or
						 * "filter NAME" */
	int			 own;		/* it has one foreign plugin */
	int			 pass;		/* texts pass while it is off */
	json_t			*init;		/* owned: its init message */
	json_t			*plugins;	/* owned: of its "ready"; NULL
						 * before */
	int64_t			 window;	/* bytes that it needs before
						 * the new text; -1: all of
						 * them */
	int			 context;	/* it needs the prompt of a
						 * reply */
	int			 texts;		/* it keeps a state of each
						 * text */
	int			 off;		/* switched off */
	int			 retired;	/* has ended for good */
	int64_t			 crashes[FILTERS_CRASHES]; /* monotonic ms */
	struct tally	*count;		/* owned: for each plugin, in
						 * the order of init */
	size_t			 nplugins;

	/* ---- of saved.c: what plugins save for the next process */
	int			 saves;		/* some plugin does */
	json_t			*saved;		/* owned: {plugin: text} */
	int			 offered;	/* the process that starts was
						 * given it */
	int64_t			 save_req;	/* running request, or 0 */
	struct event		*save_timer;	/* owned */

	/* ---- of judge.c */
	int64_t			 starts;	/* processes so far: a state
						 * belongs to one of them */
	int64_t			 last_text;	/* number given to a text */
	TAILQ_HEAD(, judge_lane) lanes;		/* owned: accounts with parts,
						 * in the order of turns */
	TAILQ_HEAD(, judge_flight) flights;	/* owned: pieces sent to the
						 * process */
	int			 nflights;
	size_t			 flying;	/* new bytes in them */
	int			 losing;	/* the piece that caused its end
						 * is known */
	int			 expired;	/* it was killed because of a
						 * late text */
	struct event		*deadline;	/* owned: of the first flight */
	struct event		*patience;	/* owned: limit of waiting while
						 * it is down */
	struct event		*wake;		/* owned: a pause is over */
};

/* The callbacks of a set; each may be NULL. */
struct filters_ops {
	/* Every process has been ready: called once. */
	void	(*ready)(void *arg);
	/* A process could not start before that. Called for each try. */
	void	(*refused)(void *arg, const char *why);
	/* After ready: a process has started, ended or been switched off. */
	void	(*changed)(void *arg);
	/* After filters_retire: the last process has ended. */
	void	(*retired)(void *arg);
};

struct filters {
	struct event_base	*base;		/* borrowed */
	const struct filters_ops *ops;		/* borrowed */
	void			*arg;		/* borrowed */
	char			*program;	/* owned */
	int			 timeout_ms;	/* for a verdict, see judge.c */
	size_t			 hold;		/* most bytes held back */
	struct filters_process	*process;	/* owned: n of them */
	size_t			 n;
	int64_t			 since;		/* wall ms: it was started */
	int			 ready;		/* ready() was called */
	int			 retiring;
	int			 closing;	/* lost pieces have no
						 * consequences */
	struct filters		*successor;	/* borrowed: gets the texts
						 * that are being judged;
						 * NULL: none */
	TAILQ_HEAD(, judge)	 judges;	/* borrowed: texts being
						 * judged */
	/* judge.c calls this after removing the last of them. */
	void			(*idle)(struct filters *fs);
	TAILQ_HEAD(, judge_account) accounts;	/* owned: accounts that have
						 * paused */
};

/* Start the processes that cf (borrowed during the call) asks for. Plugins that
 * old (borrowed during the call; NULL: none) has as well get what they have
 * saved there. ops and arg are borrowed; no callback is called before
 * filters_new has returned. */
struct filters	*filters_new(struct event_base *base, const struct config *cf,
		    const struct filters *old, const struct filters_ops *ops,
		    void *arg);

/* Kill all processes. Texts being judged fail with filter_unavailable. */
void		 filters_free(struct filters *fs);

/* Replace the callbacks of the set. */
void		 filters_adopt(struct filters *fs,
		    const struct filters_ops *ops, void *arg);

/*
 * Wait for the answers that are due, then end the processes and call retired(),
 * perhaps before this returns. The successor, which outlives fs, judges the
 * other texts; it may be NULL if there is no text yet.
 */
void		 filters_retire(struct filters *fs, struct filters *successor);

/* Call it after SIGCHLD. NULL does nothing. */
void		 filters_reap(struct filters *fs);

/* Is every process up, or switched off? */
int		 filters_are_ready(const struct filters *fs);

/* The reason why a process is down (the first one of them); "" if all are
 * up. */
const char	*filters_why(const struct filters *fs);

/* The reason if a process has failed to start several times in a row, so that
 * no text can be judged; else "". */
const char	*filters_failing(const struct filters *fs);

/* For status: the plugins, {name, version, rules, process, state[, why]} each;
 * a new reference. */
json_t		*filters_status(const struct filters *fs);

/* If a process is switched off, put that into o, its member of "helpers": the
 * state and, for operators, the reason. */
void		 filters_mark_off(const struct filters_process *p, json_t *o,
		    int operator);

/* For the operation filters: the same with counts and times; for users only
 * what the service offers: {name, version, abi, rules, digest, state}. */
json_t		*filters_list(const struct filters *fs, int operator);

/* ---- tally.c: what the plugins of a process have done */

/* Of one plugin since its set was started. */
struct tally {
	const char	*plugin;	/* borrowed from the init message */
	int64_t		 texts;		/* that it has judged */
	int64_t		 findings;	/* in them */
	int64_t		 errors;	/* checks without a verdict */
	int64_t		 ns, ns_max;	/* for all texts; for one text */
};

/* Prepare and release the counts of p. */
void		 tally_init(struct filters_process *p);
void		 tally_clear(struct filters_process *p);
/* Number of a plugin in p, or -1. */
int		 tally_find(const struct filters_process *p,
		    const char *plugin);
/* What p reported about a plugin when it was ready, {name, version, abi, rules,
 * digest} (borrowed), or NULL. */
json_t		*tally_said(const struct filters_process *p,
		    const char *name);
/* A text is judged: ns has the time of each plugin (nplugins of them). */
void		 tally_text(struct filters_process *p,
		    const int64_t *ns, const json_t *findings);
/* A plugin (NULL: not known) had no verdict. */
void		 tally_error(struct filters_process *p,
		    const char *plugin);

/* ---- saved.c, for filters.c and judge_turns.c */

void		 saved_init(struct filters_process *p,
		    const struct filters *old);
void		 saved_clear(struct filters_process *p);
/* The init message of p with what was saved: a new reference. */
json_t		*saved_offer(struct filters_process *p);
/* The process is up. */
void		 saved_up(struct filters_process *p);
/* The process has ended. Returns 1 if it ended while it started with what was
 * saved, which is then dropped: that may have been the reason. */
int		 saved_gone(struct filters_process *p, int started);
/* It has judged something: ask for its state soon. */
void		 saved_later(struct filters_process *p);

/* ---- judge.c, for filters.c */

/* Prepare and release the data of judge.c for a process. */
void		 judge_process_init(struct filters_process *p);
void		 judge_process_clear(struct filters_process *p);
/* The process is up, has ended, or has been switched off. */
void		 judge_process_up(struct filters_process *p);
void		 judge_process_gone(struct filters_process *p);
void		 judge_process_off(struct filters_process *p);
/* Pass every text that no process is judging to the set's successor, or fail
 * all texts with filter_unavailable. */
void		 judge_hand_over(struct filters *fs);
void		 judge_fail_all(struct filters *fs, const char *why);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What judge.c and judge_turns.c share: judge.c knows how far a text is
 * judged and tells its owner, judge_turns.c hands pieces to processes.
 *
 *   judge (a text) --+-- part (of a process) -- waits in a lane
 *                    +-- part                -- has a flight: a piece is with
 *                                               the process
 */
#ifndef DAEMON_JUDGE_IMPL_H
#define DAEMON_JUDGE_IMPL_H

#include "filters.h"
#include "judge.h"

/* The share of one process in a text. */
struct judge_part {
	TAILQ_ENTRY(judge_part)	 entry;		/* of its lane */
	struct judge		*judge;		/* borrowed */
	struct filters_process	*process;	/* borrowed */
	struct judge_lane	*lane;		/* borrowed: it waits there */
	struct judge_flight	*flight;	/* borrowed: a piece is out */
	size_t			 judged;	/* bytes the process has seen */
	size_t			 said;		/* ... and said are settled */
	size_t			 settled;
	int			 final;		/* it knows that this is all */
	int			 tries;
	json_t			*findings;	/* owned */
};

/* The parts of one account that wait for one process. */
struct judge_lane {
	TAILQ_ENTRY(judge_lane)	 entry;		/* of the process */
	uid_t			 uid;
	TAILQ_HEAD(, judge_part) parts;		/* borrowed */
};

/* A piece that is with a process. */
struct judge_flight {
	TAILQ_ENTRY(judge_flight) entry;	/* of the process */
	struct filters_process	*process;	/* borrowed */
	struct judge_part	*part;		/* borrowed; NULL: dropped */
	uid_t			 uid;
	size_t			 offset, len;	/* of the piece in the text */
	size_t			 fresh;		/* bytes of it that are new */
	int			 final;
};

/* An account whose texts were late. */
struct judge_account {
	TAILQ_ENTRY(judge_account) entry;	/* of the set */
	uid_t			 uid;
	int			 late;		/* times */
	int64_t			 until;		/* monotonic ms: it pauses */
};

struct judge {
	TAILQ_ENTRY(judge)	 entry;		/* of the set */
	struct filters		*set;		/* borrowed; NULL: it has failed */
	uid_t			 uid;
	enum direction		 direction;
	const char		*context;	/* borrowed, or NULL */
	judge_cb		*cb;
	void			*arg;		/* borrowed */
	const char		*text;		/* borrowed */
	size_t			 len;
	int			 final;
	int			 failed;
	int			 told;		/* a verdict has been given, ... */
	size_t			 told_settled;	/* ... as far as this */
	struct judge_part	*part;		/* owned: one per process */
	size_t			 nparts;
};

/* ---- judge.c */

/* There is no verdict: say so, once. The owner may free the judge. */
void	 judge_fail(struct judge *j, const char *why);
/* Tell the owner, if more is known than before. Last thing to be done with a
 * judge, which may then be freed. */
void	 judge_tell(struct judge *j);
/* A piece of the text has been answered, or is to be sent again: judge_tell,
 * or the text goes on in the successor of its set. As judge_tell, last. */
void	 judge_back(struct judge *j);
/* Take over the findings about a piece. 0; JUDGE_UNSOUND where they are no
 * findings of its; JUDGE_TOO_MANY where no more can be kept of the text. */
enum { JUDGE_UNSOUND = -1, JUDGE_TOO_MANY = -2 };
int	 judge_take(struct judge_part *t, const struct judge_flight *fl,
	    const json_t *findings);
/* Note how far the part has come by the answer to a piece. */
void	 judge_advance(struct judge_part *t, const struct judge_flight *fl,
	    const json_t *msg);

/* ---- judge_turns.c */

/* Let a part wait for its turn, if it wants one; first: before all others of
 * its account, which is next. */
void	 judge_queue(struct judge_part *t, int first);
/* Take a part out of its lane, if it waits. */
void	 judge_unqueue(struct judge_part *t);
/* Give a process work, by turns. */
void	 judge_pump(struct filters_process *p);

#endif

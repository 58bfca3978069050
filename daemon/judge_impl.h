/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations for the files judge*.c only.  judge.c tracks how far a text is
 * judged, and reports verdicts.  judge_findings.c takes the findings.
 * judge_turns.c sends pieces to processes.
 *
 * A judge (one text) has one part for each process. A part waits for its turn
 * in a lane, or has a flight: a piece that the process is judging.
 */
#ifndef DAEMON_JUDGE_IMPL_H
#define DAEMON_JUDGE_IMPL_H

#include "filters.h"
#include "judge.h"

/* One process's work on a text. */
struct judge_part {
	TAILQ_ENTRY(judge_part)	 entry;		/* in its lane */
	struct judge		*judge;		/* borrowed */
	struct filters_process	*process;	/* borrowed */
	struct judge_lane	*lane;		/* borrowed: where it waits */
	struct judge_flight	*flight;	/* borrowed: its piece with the
						 * process */
	size_t			 judged;	/* bytes that the process has
						 * judged */
	size_t			 said;		/* bytes that the process
						 * reported as settled */
	size_t			 settled;
	int			 final;		/* it has judged the complete
						 * text */
	int64_t			 text_id;	/* number of the text in the
						 * process, or 0 */
	int64_t			 start;		/* the start of the process that
						 * has judged it so far */
	int64_t			*ns;		/* owned: time of each plugin */
	int			 tries;
	json_t			*findings;	/* owned */
};

/* The parts of one account that wait for one process. */
struct judge_lane {
	TAILQ_ENTRY(judge_lane)	 entry;		/* of the process */
	uid_t			 uid;
	TAILQ_HEAD(, judge_part) parts;		/* borrowed */
};

/* A piece that a process is judging. */
struct judge_flight {
	TAILQ_ENTRY(judge_flight) entry;	/* of the process */
	struct filters_process	*process;	/* borrowed */
	struct judge_part	*part;		/* borrowed; NULL: dropped */
	uid_t			 uid;
	size_t			 offset, len;	/* of the piece in the text */
	size_t			 fresh;		/* new bytes in it */
	int			 final;
};

/* An account with late texts. */
struct judge_account {
	TAILQ_ENTRY(judge_account) entry;	/* of the set */
	uid_t			 uid;
	int			 late;		/* times */
	int64_t			 until;		/* monotonic ms: it pauses */
};

struct judge {
	TAILQ_ENTRY(judge)	 entry;		/* of the set */
	struct filters		*set;		/* borrowed; NULL: failed */
	uid_t			 uid;
	int64_t			 account;	/* opaque number of the uid */
	enum direction		 direction;
	int			 again;		/* a process that is gone has
						 * judged some of it */
	const char		*context;	/* borrowed, or NULL */
	judge_cb		*cb;
	void			*arg;		/* borrowed */
	const char		*text;		/* borrowed */
	size_t			 len;
	int			 final;
	int			 failed;
	int			 reported;	/* a verdict was reported ... */
	size_t			 reported_settled;	/* ... up to this
							 * byte */
	struct judge_part	*part;		/* owned: one per process */
	size_t			 nparts;
};

/* ---- judge.c */

/* Report once that there is no verdict. The owner may free the judge. */
void	 judge_fail(struct judge *j, const char *why);
/* Report a verdict to the owner, if more is known than before. Do not use the
 * judge after this: the owner may have freed it. */
void	 judge_report(struct judge *j);
/* A piece has been answered, or must be sent again: report a verdict, or move
 * the text to the successor of its set. Do not use the judge after this. */
void	 judge_back(struct judge *j);

/* ---- judge_findings.c */

/* Add the findings about a piece. Returns 0, JUDGE_UNSOUND if they are not
 * sound findings about this piece, or JUDGE_TOO_MANY if the text has too
 * many. */
enum { JUDGE_UNSOUND = -1, JUDGE_TOO_MANY = -2 };
int	 judge_take(struct judge_part *t, const struct judge_flight *fl,
	    const json_t *findings);
/* The plugin with the most findings of a part. */
const char *judge_most(const struct judge_part *t);
/* Lower findings as the answer to a piece says; the places in lowered become
 * those in the whole text. Returns 0 or JUDGE_UNSOUND. */
int	 judge_lower(struct judge_part *t, const struct judge_flight *fl,
	    json_t *lowered);
/* Note from the answer to a piece how far the part is judged. */
void	 judge_advance(struct judge_part *t, const struct judge_flight *fl,
	    const json_t *msg);

/* ---- judge_turns.c */

/* If the process is not the one that has judged the part so far, and that one
 * kept a state of the text, the part begins again. Text that is settled stays
 * settled. */
void	 judge_renew(struct judge_part *t);
/* Tell the process that the text will not be continued. */
void	 judge_end_text(struct judge_part *t);
/* Put a part into its lane, if it has text to judge. first: before all other
 * parts, in the lane that is next. */
void	 judge_queue(struct judge_part *t, int first);
/* Remove a part from its lane, if it waits. */
void	 judge_unqueue(struct judge_part *t);
/* Send pieces to a process, in the order of turns. */
void	 judge_pump(struct filters_process *p);

#endif

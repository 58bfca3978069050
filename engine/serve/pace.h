/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many rows of prompts a step takes, from how long steps took before: so
 * that what arrives, is cancelled or is being written need not wait long,
 * however slow the machine and large the model.
 */
#ifndef ENGINE_PACE_H
#define ENGINE_PACE_H

#define PACE_FIRST_ROWS	16	/* of the first step, at most */
#define PACE_LEAST_ROWS	4	/* of prompts beside replies */
#define PACE_STEP_S	1.0	/* longest step without replies, about */
#define PACE_BESIDE	1.6	/* a step with replies and prompts, in steps
				 * of these replies alone: so that few steps
				 * take more than two */
#define PACE_REFRESH	32	/* steps until that is measured again */
#define PACE_SAMPLES	9	/* the median of so many counts */
#define PACE_RECENT	3	/* of steps without prompts: of so many */

/* The last few of some measurement. */
struct pace_samples {
	double	 last[PACE_SAMPLES];
	int	 n;		/* taken in all */
};

struct pace {
	int	 max;		/* rows of any step */
	int	 alone;		/* rows of prompts where no reply is made */
	int	 beside;	/* rows of prompts beside replies */
	int	 replies;	/* that base is about, roughly */
	struct pace_samples base;	/* seconds of steps of replies */
	struct pace_samples row;	/* seconds more for each row of
					 * prompts */
	int	 since;		/* steps since base was measured */
};

/* Begin, for steps of at most max rows. */
void	 pace_init(struct pace *p, int max);

/* Rows of prompts for a step that makes so many rows of replies: 0 where it
 * is to measure what they take alone. */
int	 pace_rows(const struct pace *p, int replies);

/* A step of so many rows of replies and of prompts has taken so long. */
void	 pace_note(struct pace *p, int replies, int prompts, double seconds);

#endif

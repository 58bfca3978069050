/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many rows of prompts go into a step, learned from the time of earlier
 * steps. The aim is that new, cancelled and running replies need not wait long,
 * even on a slow machine or with a large model.
 */
#ifndef ENGINE_PACE_H
#define ENGINE_PACE_H

#define PACE_FIRST_ROWS	16	/* of the first step, at most */
#define PACE_LEAST_ROWS	4	/* rows of prompts in a step with replies, at
				 * least */
#define PACE_STEP_S	1.0	/* longest step without replies, about */
#define PACE_BESIDE	1.6	/* time of a step with replies and prompts,
				 * relative to the replies alone; low, so that
				 * few steps take more than 2 */
#define PACE_REFRESH	32	/* steps until base is measured again */
#define PACE_SAMPLES	9	/* samples in a median */
#define PACE_RECENT	3	/* the same for steps without prompts */

/* The last samples of a measurement. */
struct pace_samples {
	double	 last[PACE_SAMPLES];
	int	 n;		/* samples taken in all */
};

struct pace {
	int	 max;		/* rows of any step */
	int	 alone;		/* rows of prompts in a step without replies */
	int	 beside;	/* rows of prompts in a step with replies */
	int	 replies;	/* replies in the steps of base, roughly */
	struct pace_samples base;	/* seconds of a step of replies alone */
	struct pace_samples row;	/* additional seconds for each row of
					 * prompts */
	int	 since;		/* steps since base was measured */
};

/* Begin. A step has at most max rows. */
void	 pace_init(struct pace *p, int max);

/* Return the rows of prompts for a step that has `replies` rows of replies. 0
 * if the step is to measure the replies alone. */
int	 pace_rows(const struct pace *p, int replies);

/* Record the time of a step with these rows of replies and of prompts. */
void	 pace_note(struct pace *p, int replies, int prompts, double seconds);

#endif

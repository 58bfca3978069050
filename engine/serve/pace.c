/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two numbers of rows, which follow the measured time. In steps without replies
 * the number doubles and halves. In steps with replies people wait for text, so
 * the number is chosen such that the step takes at most PACE_BESIDE times as
 * long as the replies alone. Both times are medians of recent steps, so that
 * one interrupted step changes nothing.
 */
#include "pace.h"

#include <stdlib.h>

#define PACE_SURE	2	/* samples of base before it is used */

/* Begin. */
void
pace_init(struct pace *p, int max)
{
	*p = (struct pace){ .max = max, .alone = max < PACE_FIRST_ROWS ? max :
	    PACE_FIRST_ROWS, .beside = PACE_LEAST_ROWS };
}

/* Compare two doubles. */
static int
pace_compare(const void *a, const void *b)
{
	const double	*x = a, *y = b;

	return (*x < *y ? -1 : *x > *y);
}

/* Add one sample. */
static void
pace_add(struct pace_samples *s, double x)
{
	s->last[s->n++ % PACE_SAMPLES] = x;
	if (s->n == 2 * PACE_SAMPLES)	/* only the remainder matters */
		s->n = PACE_SAMPLES;
}

/* Return the median of the last samples, the lower one of two. */
static double
pace_median(const struct pace_samples *s, int few)
{
	double	 x[PACE_SAMPLES];
	int	 n = s->n < few ? s->n : few, i;

	for (i = 0; i < n; i++)
		x[i] = s->last[(s->n - 1 - i) % PACE_SAMPLES];
	qsort(x, (size_t)n, sizeof *x, pace_compare);
	return (x[(n - 1) / 2]);
}

/* Is this number of replies far from the number that base was measured with? */
static int
pace_other(const struct pace *p, int replies)
{
	return (replies * 2 > p->replies * 3 || replies * 3 < p->replies * 2);
}

/* Return the number of rows of prompts. */
int
pace_rows(const struct pace *p, int replies)
{
	int	 rows = p->alone;

	if (replies > 0)
		rows = p->base.n < PACE_SURE || p->since >= PACE_REFRESH ||
		    pace_other(p, replies) ? 0 : p->beside;
	return (rows < p->max - replies ? rows : p->max - replies);
}

/* Limit a number to least .. most. */
static int
pace_clamp(double rows, int least, int most)
{
	return (rows < least ? least : rows > most ? most : (int)rows);
}

/* Learn from a step without replies. A step that was not full does not show how
 * many rows would be too many. */
static void
pace_note_alone(struct pace *p, int prompts, double seconds)
{
	if (prompts < p->alone)
		return;
	if (seconds > PACE_STEP_S)
		p->alone /= 2;
	else if (seconds < PACE_STEP_S / 4)
		p->alone *= 2;
	p->alone = pace_clamp(p->alone, p->max < PACE_FIRST_ROWS / 2 ?
	    p->max : PACE_FIRST_ROWS / 2, p->max);
}

/* Learn from a step. */
void
pace_note(struct pace *p, int replies, int prompts, double seconds)
{
	double	 base, row;
	int	 most = p->beside + p->beside / 2 + 1;

	if (replies == 0) {
		pace_note_alone(p, prompts, seconds);
		return;
	}
	p->since++;
	if (pace_other(p, replies)) {
		p->base.n = 0;
		p->replies = replies;
	}
	if (prompts == 0) {
		pace_add(&p->base, seconds);
		p->since = 0;
	}
	if (prompts == 0 || p->base.n == 0)
		return;
	base = pace_median(&p->base, PACE_RECENT);
	pace_add(&p->row, seconds > base ? (seconds - base) / prompts : 0);
	row = pace_median(&p->row, PACE_SAMPLES);
	p->beside = pace_clamp(row > 0 ? (PACE_BESIDE - 1) * base / row :
	    p->max, PACE_LEAST_ROWS, most < p->max ? most : p->max);
}

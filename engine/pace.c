/*
 * Two counts of rows that follow the time: without replies they double and
 * halve, beside replies they go in smaller steps, since people watch.
 */
#include "pace.h"

/* Begin. */
void
pace_init(struct pace *p, int max)
{
	*p = (struct pace){ .max = max, .alone = max < PACE_FIRST_ROWS ? max :
	    PACE_FIRST_ROWS, .beside = PACE_LEAST_ROWS };
}

/* Rows of prompts. */
int
pace_rows(const struct pace *p, int replies)
{
	int	 rows = p->alone;

	if (replies > 0)
		rows = p->base == 0 || p->since >= PACE_REFRESH ? 0 :
		    p->beside;
	return (rows < p->max - replies ? rows : p->max - replies);
}

/* Between least and most. */
static int
pace_clamp(int rows, int least, int most)
{
	return (rows < least ? least : rows > most ? most : rows);
}

/* Learn from a step. One that was not full says little of what would be too
 * much. */
void
pace_note(struct pace *p, int replies, int prompts, double seconds)
{
	if (replies == 0) {
		if (prompts < p->alone)
			return;
		if (seconds > PACE_STEP_S)
			p->alone /= 2;
		else if (seconds < PACE_STEP_S / 4)
			p->alone *= 2;
		p->alone = pace_clamp(p->alone, p->max < PACE_FIRST_ROWS / 2 ?
		    p->max : PACE_FIRST_ROWS / 2, p->max);
		return;
	}
	p->since++;
	if (prompts == 0) {
		p->base = p->base == 0 ? seconds : p->base * 0.75 +
		    seconds * 0.25;
		p->since = 0;
	} else if (seconds > p->base * PACE_BESIDE)
		p->beside -= p->beside / 4 + 1;
	else if (seconds < p->base * PACE_BESIDE * 0.8 &&
	    prompts >= p->beside)
		p->beside += p->beside / 8 + 1;
	p->beside = pace_clamp(p->beside, PACE_LEAST_ROWS, p->max);
}

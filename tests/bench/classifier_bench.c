/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time of the classifier for a text, without chatd-filter around it:
 *
 *	tests/bench/classifier plugins/classifier/classifier.model
 *
 * Prints the microseconds of processor time for a text of 500 bytes as a whole,
 * and for each check of it as a reply that grows by 4 bytes (about a token), as
 * medians of ROUNDS rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "linear.h"
#include "xmalloc.h"

#define ROUNDS	21
#define TEXTS	200
#define TOKEN	4

static const char	text[] =
	"I have been thinking about how people in the old town used to "
	"make their bread, and whether the recipe that my grandmother "
	"wrote down is the one which they sold at the market every Sunday"
	" morning. She always said that nobody should tell the baker how "
	"much salt she took, because he would laugh at her and then "
	"charge twice the price for a loaf. When I try to bake it now, it"
	" never rises properly, so perhaps you can tell me what I should "
	"change: more yeast, a warmer room, or another kind of flour?";

/* Seconds of processor time. */
static double
seconds(void)
{
	struct timespec	 t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return ((double)t.tv_sec + (double)t.tv_nsec * 1e-9);
}

/* Count a verdict. */
static void
count(void *arg, const struct linear_score *s)
{
	*(double *)arg += s->gate[HEAD_CONTENT];
}

/* Judge the text TEXTS times in pieces of step bytes. Returns microseconds a
 * check. */
static double
measure(const struct linear *m, size_t step)
{
	struct linear_text	 t;
	double			 start = seconds(), sum = 0;
	size_t			 n = sizeof text - 1, at, i, checks = 0;

	for (i = 0; i < TEXTS; i++) {
		memset(&t, 0, sizeof t);
		for (at = 0; at < n; checks++) {
			at = at + step < n ? at + step : n;
			linear_read(m, &t, text, at, 0, at == n, 1, count,
			    &sum);
		}
	}
	return ((seconds() - start) * 1e6 / (double)checks);
}

/* Order times. */
static int
compare(const void *va, const void *vb)
{
	double	 a = *(const double *)va, b = *(const double *)vb;

	return (a < b ? -1 : a > b);
}

/* The median of the rounds. */
static double
median(const struct linear *m, size_t step)
{
	double	 times[ROUNDS];
	int	 i;

	for (i = 0; i < ROUNDS; i++)
		times[i] = measure(m, step);
	qsort(times, ROUNDS, sizeof *times, compare);
	return (times[ROUNDS / 2]);
}

int
main(int argc, char **argv)
{
	struct linear	*m;
	struct fault	 f;

	if (argc != 2) {
		fprintf(stderr, "usage: classifier MODEL\n");
		return (2);
	}
	if (linear_load(argv[1], &m, &f) != 0) {
		fprintf(stderr, "%s\n", f.message);
		return (1);
	}
	printf("%zu bytes as a whole: %.1f us\n", sizeof text - 1,
	    median(m, sizeof text));
	printf("growing by %d bytes: %.2f us a check\n", TOKEN,
	    median(m, TOKEN));
	linear_free(m);
	return (0);
}

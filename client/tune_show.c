/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What chatctl tune prints: the stages, the curve of the loss, and the table of
 * the gate.
 */
#include "tune_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

#define TUNE_COLUMNS	48	/* of the curve */
#define TUNE_INDENT	9	/* columns of a stage's name */
#define TUNE_ERASE	"\r\033[K"

/* Print the name of a stage. */
void
tune_show_stage(const char *name)
{
	printf("%s%-8s%s ", term_on(1, ROLE_BOLD), name, term_off(1));
}

/* Erase the line that is drawn again and again. */
void
tune_show_erase(struct tune *t)
{
	if (t->drawn)
		fputs(TUNE_ERASE, stdout);
	t->drawn = 0;
}

/* The columns of a curve: what taken other columns of the terminal leave. */
static int
tune_show_columns(int taken)
{
	int	 rows, columns;

	term_size(&rows, &columns);
	columns -= taken;
	return (columns > TUNE_COLUMNS ? TUNE_COLUMNS :
	    columns < 1 ? 1 : columns);
}

/* Draw the line of a step over that of the step before. It must not reach the
 * last column: a line that is broken can't be erased. */
static void
tune_show_draw(struct tune *t, const json_t *o)
{
	int	 left = (int)msg_real(o, "left", 0);
	char	*text;

	text = xasprintf(" loss %.3f  %lld/%lld  %d:%02d left",
	    msg_real(o, "loss", 0), (long long)msg_int(o, "step", 0),
	    (long long)msg_int(o, "steps", 1), left / 60, left % 60);
	fputs(TUNE_ERASE, stdout);
	tune_show_stage("train");
	curve_line(&t->loss, tune_show_columns(TUNE_INDENT +
	    (int)strlen(text) + 1), stdout);
	fputs(text, stdout);
	free(text);
	t->drawn = 1;
	term_flush();
}

/* A step of the training. */
void
tune_show_step(struct tune *t, const json_t *o)
{
	int64_t	 step = msg_int(o, "step", 0), steps = msg_int(o, "steps", 1);

	curve_add(&t->loss, msg_real(o, "loss", (double)NAN));
	if (t->live)
		tune_show_draw(t, o);
	if (step < steps)
		return;
	tune_show_erase(t);
	tune_show_stage("loss");
	printf("over %lld steps\n", (long long)steps);
	curve_plot(&t->loss, tune_show_columns(CURVE_MARGIN + 1), stdout);
	term_flush();
}

/* A row of the gate's table: shares in per cent, or the perplexity. */
static void
tune_show_row(const json_t *row, int share, double change)
{
	const char	*name = msg_string(row, "name"), *unit = share ?
			    " %" : "  ";
	int		 ok = json_is_true(json_object_get(row, "ok"));
	int		 digits = share ? 1 : 2;

	printf("  %-12s %8.*f%s %8.*f%s  %s%+7.1f%s", name != NULL ? name :
	    "perplexity", digits, msg_real(row, "before", (double)NAN), unit,
	    digits, msg_real(row, "after", (double)NAN), unit, ok ? "" :
	    term_on(1, ROLE_BAD), change, share ? "" : " %");
	if (msg_int(row, "lost", -1) >= 0)
		printf("   %lld lost, %lld gained",
		    (long long)msg_int(row, "lost", 0),
		    (long long)msg_int(row, "gained", 0));
	printf("%s\n", ok ? "" : "  too much");
	if (!ok)
		fputs(term_off(1), stdout);
}

/* The gate's table. */
void
tune_show_gate(struct tune *t, json_t *gate)
{
	json_t	*row, *p = json_object_get(gate, "perplexity");
	size_t	 i;

	t->gate = json_incref(gate);
	tune_show_stage("");
	printf("%-6s %9s %10s %9s\n", "", "before", "after", "change");
	json_array_foreach(json_object_get(gate, "learnt"), i, row)
		tune_show_row(row, 1, msg_real(row, "change", 0));
	json_array_foreach(json_object_get(gate, "tasks"), i, row)
		tune_show_row(row, 1, msg_real(row, "change", 0));
	if (msg_int(p, "tokens", 0) > 0)
		tune_show_row(p, 0, 100 * (msg_real(p, "after", (double)NAN) /
		    msg_real(p, "before", 1) - 1));
	if (msg_string(gate, "reason") != NULL)
		printf("  refused: %s\n", msg_string(gate, "reason"));
	term_flush();
}

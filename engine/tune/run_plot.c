/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a run: loss.csv, and a plot of it as loss.svg.
 */
#include "run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "folder.h"
#include "growbuf.h"
#include "xmalloc.h"

#define PLOT_WIDTH	800
#define PLOT_HEIGHT	400
#define PLOT_LEFT	60
#define PLOT_BOTTOM	40
#define PLOT_POINTS	400	/* of the line, at most */
#define PLOT_TICKS	5

/* Append formatted text. */
static void
plot_add(struct textbuf *b, char *s)
{
	textbuf_puts(b, s);
	free(s);
}

/* loss.csv. */
static int
plot_csv(const struct run *t, const char *out, struct fault *f)
{
	const struct run_point	*p;
	struct textbuf			 b = { 0 };
	int64_t				 i;
	int				 r;

	textbuf_puts(&b, "step,tokens,loss,norm,rate\n");
	for (i = 0; i < t->step; i++) {
		p = &t->point[i];
		plot_add(&b, xasprintf("%lld,%lld,%.6f,%.6g,%.6g\n",
		    (long long)i + 1, (long long)p->tokens, p->loss, p->norm,
		    p->rate));
	}
	r = folder_put(out, "loss.csv", b.s, b.n, f);
	textbuf_clear(&b);
	return (r);
}

/* The mean loss of the steps of point k of n. */
static double
plot_mean(const struct run *t, int k, int n)
{
	int64_t	 from = t->step * k / n, to = t->step * (k + 1) / n, i;
	double	 sum = 0;

	for (i = from; i < to; i++)
		sum += t->point[i].loss;
	return (sum / (double)(to - from));
}

/* Axes and their numbers. */
static void
plot_axes(const struct run *t, struct textbuf *b, double low, double high)
{
	int	 i, x, y;

	plot_add(b, xasprintf("<path d=\"M%d 10V%dH%d\" stroke=\"#888\" "
	    "fill=\"none\"/>\n", PLOT_LEFT, PLOT_HEIGHT - PLOT_BOTTOM,
	    PLOT_WIDTH - 10));
	for (i = 0; i <= PLOT_TICKS; i++) {
		x = PLOT_LEFT + (PLOT_WIDTH - PLOT_LEFT - 10) * i /
		    PLOT_TICKS;
		y = PLOT_HEIGHT - PLOT_BOTTOM - (PLOT_HEIGHT - PLOT_BOTTOM -
		    10) * i / PLOT_TICKS;
		plot_add(b, xasprintf("<text x=\"%d\" y=\"%d\" "
		    "text-anchor=\"middle\">%lld</text>\n", x,
		    PLOT_HEIGHT - 20, (long long)(t->step * i /
		    PLOT_TICKS)));
		plot_add(b, xasprintf("<text x=\"%d\" y=\"%d\" "
		    "text-anchor=\"end\">%.3g</text>\n", PLOT_LEFT - 6,
		    y + 4, low + (high - low) * i / PLOT_TICKS));
	}
	plot_add(b, xasprintf("<text x=\"%d\" y=\"%d\" "
	    "text-anchor=\"middle\">step</text>\n", PLOT_WIDTH / 2,
	    PLOT_HEIGHT - 4));
}

/* loss.svg. */
static int
plot_svg(const struct run *t, const char *out, struct fault *f)
{
	struct textbuf	 b = { 0 };
	int		 n = t->step < PLOT_POINTS ? (int)t->step :
			    PLOT_POINTS, k, r;
	double		 low = INFINITY, high = -INFINITY, v;

	if (n < 2)
		return (0);
	for (k = 0; k < n; k++) {
		v = plot_mean(t, k, n);
		low = v < low ? v : low;
		high = v > high ? v : high;
	}
	if (high <= low)
		high = low + 1;
	plot_add(&b, xasprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" "
	    "width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
	    "font-size=\"12\">\n<title>loss</title>\n<rect width=\"100%%\" "
	    "height=\"100%%\" fill=\"white\"/>\n", PLOT_WIDTH,
	    PLOT_HEIGHT));
	plot_axes(t, &b, low, high);
	textbuf_puts(&b, "<polyline fill=\"none\" stroke=\"#06c\" points=\"");
	for (k = 0; k < n; k++)
		plot_add(&b, xasprintf("%.1f,%.1f ", PLOT_LEFT + (double)
		    (PLOT_WIDTH - PLOT_LEFT - 10) * k / (n - 1),
		    PLOT_HEIGHT - PLOT_BOTTOM - (PLOT_HEIGHT - PLOT_BOTTOM -
		    10) * (plot_mean(t, k, n) - low) / (high - low)));
	textbuf_puts(&b, "\"/>\n</svg>\n");
	r = folder_put(out, "loss.svg", b.s, b.n, f);
	textbuf_clear(&b);
	return (r);
}

/* Write both. */
int
run_plot(const struct run *t, const char *out, struct fault *f)
{
	int	 r = plot_csv(t, out, f);

	return (r != 0 ? r : plot_svg(t, out, f));
}

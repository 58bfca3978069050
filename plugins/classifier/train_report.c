/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model does on the sources of a fold.
 */
#include "train.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

/* Keep the highest scores of a text's windows. */
static void
report_window(void *arg, const struct linear_score *s)
{
	struct judged	*j = arg;
	int		 h, c;
	double		 p;

	for (h = 0; h < LINEAR_HEADS; h++) {
		if (s->gate[h] > j->gate[h])
			j->gate[h] = s->gate[h];
		for (c = 0; c < LINEAR_CATEGORIES; c++) {
			p = s->gate[h] * s->category[h][c];
			if (p > j->category[h][c])
				j->category[h][c] = p;
		}
	}
}

/* Score a row as the plugin does. */
void
report_judge(const struct linear *m, const struct row *r, struct judged *j)
{
	struct linear_text	 t;

	memset(j, 0, sizeof *j);
	memset(&t, 0, sizeof t);
	linear_read(m, &t, r->text, r->len, 0, 1, 0, report_window, j);
}

/* The score of a row's verdict: a request is judged by both heads. */
static double
report_score(const struct row *r, const struct judged *j)
{
	double	 a = j->gate[HEAD_REQUEST], b = j->gate[HEAD_CONTENT];

	if (r->head == HEAD_CONTENT)
		return (b);
	(void)b;
	return (a);
}

/* The score of a row for a category. */
static double
report_category(const struct row *r, const struct judged *j, int c)
{
	return (j->category[r->head][c]);
}

struct report {
	const struct rows		*rows;
	const struct recipe_fold	*fold;
	struct judged			*judged;	/* owned */
	size_t				*index;		/* owned: rows of it */
	size_t				 n;
	struct point			*point;		/* owned: room for n */
};

/* Collect the points of two parts: positives and negatives. */
static size_t
report_points(struct report *r, int positive, int negative, int more)
{
	const struct row	*row;
	const char		*source;
	size_t			 i, n = 0;
	int			 harmful;

	for (i = 0; i < r->n; i++) {
		row = &r->rows->row[r->index[i]];
		source = r->rows->source[row->source];
		harmful = (row->labels & ~ROW_OTHER) != 0;
		if (row->labels == ROW_OTHER)
			continue;
		if (harmful ? !recipe_part_has(r->fold, positive, source) :
		    !recipe_part_has(r->fold, negative, source) &&
		    !recipe_part_has(r->fold, more, source))
			continue;
		r->point[n++] = (struct point){ report_score(row,
		    &r->judged[i]), 1, harmful };
	}
	return (n);
}

/* Print the figures of requests. */
static void
report_requests(FILE *out, struct report *r, struct figures *figures)
{
	size_t	 n = report_points(r, PART_HARMFUL, PART_BENIGN, PART_BENIGN);
	double	 at, r5, r8, auc;

	if (n == 0)
		return;
	r5 = measure_recall(r->point, n, 0.05, &at);
	r8 = measure_recall(r->point, n, 0.08, &at);
	auc = measure_auc(r->point, n);
	fprintf(out, "  requests: %zu rows, blocked with 5 %% of hard benign "
	    "%.1f %%, with 8 %% %.1f %% (from %.2f), AUC %.1f\n", n, 100 * r5,
	    100 * r8, at, 100 * auc);
	figures->value[FIGURE_5] = r5;
	figures->value[FIGURE_8] = r8;
	n = report_points(r, PART_INJECTION, PART_INJECTION, PART_PLAIN);
	if (n > 0) {
		figures->value[FIGURE_INJECTION] = measure_auprc(r->point, n);
		fprintf(out, "  injections: %zu rows, AUPRC %.3f beside, ", n,
		    figures->value[FIGURE_INJECTION]);
		n = report_points(r, PART_INJECTION, PART_BENIGN, PART_PLAIN);
		figures->value[FIGURE_INJECTION_HARD] =
		    measure_auprc(r->point, n);
		fprintf(out, "%.3f with hard benign\n",
		    figures->value[FIGURE_INJECTION_HARD]);
	}
}

/* Print the figures of hate. */
static void
report_hate(FILE *out, struct report *r, struct figures *figures)
{
	size_t	 n = report_points(r, PART_HATE, PART_HATE, PART_HATE);
	double	 balanced;

	if (n == 0)
		return;
	figures->value[FIGURE_HATE] = measure_accuracy(r->point, n, 0.6,
	    &balanced);
	fprintf(out, "  hate: %zu rows, accuracy %.1f %%, balanced %.1f %%, "
	    "AUC %.1f\n", n, 100 * figures->value[FIGURE_HATE], 100 * balanced,
	    100 * measure_auc(r->point, n));
	figures->value[FIGURE_BALANCED] = balanced;
}

/* Print the figures of each category. */
static void
report_categories(FILE *out, struct report *r, struct figures *figures)
{
	const struct row	*row;
	double			 sum = 0, ap, f1, at;
	size_t			 i, n, k;
	int			 c, cs = 0;

	fprintf(out, "  AUPRC:");
	for (c = 0; c < LINEAR_CATEGORIES; c++) {
		for (i = n = k = 0; i < r->n; i++) {
			row = &r->rows->row[r->index[i]];
			if ((row->labels & ROW_OTHER) || row->weight < 0.2f)
				continue;
			r->point[n++] = (struct point){ report_category(row,
			    &r->judged[i], c), 1, (int)(row->labels >> c & 1) };
			k += row->labels >> c & 1;
		}
		if (k < 10)
			continue;
		ap = measure_auprc(r->point, n);
		f1 = measure_f1(r->point, n, &at);
		fprintf(out, " %.9s %.2f (F1 %.2f, %zu)", linear_categories[c],
		    ap, f1, k);
		sum += ap;
		cs++;
		if (strcmp(linear_categories[c], "impersonation") == 0)
			figures->value[FIGURE_IMPERSONATION] = f1;
		if (strcmp(linear_categories[c], "defamation") == 0)
			figures->value[FIGURE_DEFAMATION] = f1;
	}
	if (cs > 0)
		figures->value[FIGURE_MACRO] = sum / cs;
	fprintf(out, "; mean %.3f\n", cs > 0 ? sum / cs : 0);
}

/* Print the share of each source's rows that score 0.5 or more. */
static void
report_sources(FILE *out, struct report *r)
{
	size_t	 s, i, n[2], k[2];
	int	 harmful;

	for (s = 0; s < r->rows->sources_n; s++) {
		memset(n, 0, sizeof n);
		memset(k, 0, sizeof k);
		for (i = 0; i < r->n; i++) {
			const struct row	*row =
			    &r->rows->row[r->index[i]];

			if (row->source != s || row->labels == ROW_OTHER)
				continue;
			harmful = row->labels != 0;
			n[harmful]++;
			k[harmful] += report_score(row, &r->judged[i]) >= 0.5;
		}
		if (n[0] + n[1] == 0)
			continue;
		fprintf(out, "    %-22s", r->rows->source[s]);
		if (n[1] > 0)
			fprintf(out, " harmful %5.1f %% of %zu", 100.0 *
			    (double)k[1] / (double)n[1], n[1]);
		if (n[0] > 0)
			fprintf(out, " benign %5.1f %% of %zu", 100.0 *
			    (double)k[0] / (double)n[0], n[0]);
		fprintf(out, "\n");
	}
}

/* Print all figures of a fold. */
void
report_fold(FILE *out, const struct linear *m, const struct rows *rows,
    const struct recipe_fold *fold, struct figures *figures)
{
	struct report	 r = { .rows = rows, .fold = fold };
	size_t		 i;
	double		 at;

	r.index = xcalloc(rows->n + 1, sizeof *r.index);
	for (i = 0; i < rows->n; i++)
		if (recipe_fold_has(fold, rows->source[rows->row[i].source]))
			r.index[r.n++] = i;
	r.judged = xcalloc(r.n + 1, sizeof *r.judged);
	r.point = xcalloc(r.n + 1, sizeof *r.point);
	for (i = 0; i < r.n; i++)
		report_judge(m, &rows->row[r.index[i]], &r.judged[i]);
	memset(figures, 0, sizeof *figures);
	fprintf(out, "fold %s: %zu rows\n", fold->name, r.n);
	report_requests(out, &r, figures);
	report_hate(out, &r, figures);
	if (fold->part[PART_OTHER].n > 0) {
		i = report_points(&r, PART_OTHER, PART_OTHER, PART_OTHER);
		figures->value[FIGURE_F1] = measure_f1(r.point, i, &at);
		figures->value[FIGURE_AUPRC] = measure_auprc(r.point, i);
		fprintf(out, "  F1 %.3f (from %.2f), AUPRC %.3f\n",
		    figures->value[FIGURE_F1], at,
		    figures->value[FIGURE_AUPRC]);
	}
	report_categories(out, &r, figures);
	report_sources(out, &r);
	for (i = 0; i < FIGURES; i++)
		figures->n[i] = figures->value[i] > 0;
	free(r.index);
	free(r.judged);
	free(r.point);
}

/* Add the figures of a fold. */
void
report_add(struct figures *sum, const struct figures *one)
{
	int	 i;

	for (i = 0; i < FIGURES; i++) {
		sum->value[i] += one->value[i];
		sum->n[i] += one->n[i];
	}
}

/* Print the means of figures. */
void
report_mean(FILE *out, const struct figures *sum)
{
	static const char *const names[FIGURES] = { "5%", "8%", "injection",
		"injection-hard", "hate", "balanced", "macro", "F1", "AUPRC",
		"impersonation-F1", "defamation-F1" };
	int	 i;

	fprintf(out, "mean:");
	for (i = 0; i < FIGURES; i++)
		if (sum->n[i] > 0)
			fprintf(out, " %s %.3f", names[i], sum->value[i] /
			    sum->n[i]);
	fprintf(out, "\n");
}

/* Figures of one head on the tune rows. */
static size_t
report_head(FILE *out, struct report *r, int head, double figures[2])
{
	static const char *const names[LINEAR_HEADS] = { "requests",
		"content" };
	const struct row	*row;
	size_t			 i, n = 0;
	double			 f1, at;

	for (i = 0; i < r->n; i++) {
		row = &r->rows->row[r->index[i]];
		if (row->head == head && row->labels != ROW_OTHER)
			r->point[n++] = (struct point){ report_score(row,
			    &r->judged[i]), 1, row->labels != 0 };
	}
	if (n == 0)
		return (0);
	figures[0] = measure_auprc(r->point, n);
	figures[1] = measure_recall(r->point, n, 0.05, &at);
	f1 = measure_f1(r->point, n, &at);
	fprintf(out, "  %s: %zu rows, AUPRC %.3f, F1 %.3f (from %.2f), "
	    "recall %.3f at 5 %% false alarms\n", names[head], n, figures[0],
	    f1, at, figures[1]);
	return (n);
}

/* Measure on the rows that training leaves out. */
int
report_tune(FILE *out, const struct linear *m, const struct rows *rows,
    double figures[TUNE_FIGURES])
{
	struct report	 r = { .rows = rows };
	struct figures	 f;
	double		 head[2];
	size_t		 i, n = 0;
	int		 h;

	memset(&f, 0, sizeof f);
	memset(figures, 0, TUNE_FIGURES * sizeof *figures);
	r.index = xcalloc(rows->n + 1, sizeof *r.index);
	for (i = 0; i < rows->n; i++)
		if (rows->row[i].tune && !rows->row[i].test)
			r.index[r.n++] = i;
	r.judged = xcalloc(r.n + 1, sizeof *r.judged);
	r.point = xcalloc(r.n + 1, sizeof *r.point);
	for (i = 0; i < r.n; i++)
		report_judge(m, &rows->row[r.index[i]], &r.judged[i]);
	fprintf(out, "tune: %zu rows\n", r.n);
	for (h = 0; h < LINEAR_HEADS; h++) {
		memset(head, 0, sizeof head);
		n += report_head(out, &r, h, head);
		figures[h] = head[0];
		figures[2 + h] = head[1];
	}
	if (n > 0) {
		report_categories(out, &r, &f);
		report_sources(out, &r);
		figures[4] = f.value[FIGURE_MACRO];
	}
	free(r.index);
	free(r.judged);
	free(r.point);
	return (n > 0);
}

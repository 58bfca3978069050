/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-modtrain train: makes a model.  With folds to leave out it measures
 * instead: for each fold it trains without the fold's sources, and prints what
 * the model does on them.
 *
 * The scores are calibrated on texts of left out sources: each fold with
 * "rotate" is scored by a model that was trained without it.
 */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "modtrain.h"
#include "train.h"
#include "xmalloc.h"

#define TRAIN_STEPS	50	/* of the fit of a slope */
#define TRAIN_LOGIT	12	/* logits beyond it count as it */

struct train {
	struct recipe		 recipe;
	int			 has_recipe;
	struct rows		 rows;
	struct corpus		 corpus;
	struct groups		 groups, classes;
	struct features_words	 words;
	const char		*out;
	char			*folds;		/* to leave out, with commas */
};

/* Scores of left out rows of a head. */
struct left_out {
	struct point	*point;		/* owned: the score is in logits */
	size_t		 n;
};

static const struct option train_options[] = {
	{ "recipe", required_argument, NULL, 'r' },
	{ "groups", required_argument, NULL, 'g' },
	{ "classes", required_argument, NULL, 'c' },
	{ "set", required_argument, NULL, 's' },
	{ "out", required_argument, NULL, 'o' },
	{ "leave-out", required_argument, NULL, 'l' },
	{ NULL, 0, NULL, 0 }
};

static int	train_usage(void);
static int	train_arguments(struct train *, int, char **, struct fault *);
static int	train_check(struct train *, struct fault *);
static void	train_measure(struct train *);
static int	train_make(struct train *, struct fault *);

/* Run the command. */
int
modtrain_train(int argc, char **argv)
{
	struct train	 t;
	struct fault	 f = { .message = "" };
	int		 r;

	memset(&t, 0, sizeof t);
	if ((r = train_arguments(&t, argc, argv, &f)) > 0)
		return (train_usage());
	if (r == 0)
		r = train_check(&t, &f);
	if (r == 0) {
		corpus_build(&t.corpus, &t.rows, &t.recipe, &t.words);
		fprintf(stderr, "%zu rows, %zu documents, %zu features\n",
		    t.rows.n, t.corpus.docs_n, t.corpus.numbers_n);
		if (t.folds != NULL)
			train_measure(&t);
		if (t.out != NULL)
			r = train_make(&t, &f);
	}
	if (r != 0)
		fprintf(stderr, "chatd-modtrain: %s\n", f.message);
	corpus_clear(&t.corpus);
	textrows_clear(&t.rows);
	train_recipe_clear(&t.recipe);
	free(t.groups.hash);
	free(t.classes.hash);
	free(t.folds);
	return (r != 0 ? MODTRAIN_FAILED : MODTRAIN_OK);
}

/* Print how the command is used. */
static int
train_usage(void)
{
	fprintf(stderr, "usage: chatd-modtrain train -r RECIPE "
	    "[-g CONTRAST] [-c CLASSES] [-s NAME=VALUE]\n"
	    "           [-o MODEL] [-l FOLD[,FOLD]] DATA ...\n");
	return (MODTRAIN_USAGE);
}

/* Read the arguments and the files that they name. Returns 1 if they are
 * wrong. */
static int
train_arguments(struct train *t, int argc, char **argv, struct fault *f)
{
	int	 c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "r:g:c:s:o:l:",
	    train_options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (t->has_recipe)
				return (1);
			t->has_recipe = 1;
			r = train_recipe_load(optarg, &t->recipe, f);
			break;
		case 'g':
			r = groups_load(&t->groups, optarg, f);
			break;
		case 'c':
			r = classes_load(&t->classes, optarg, f);
			break;
		case 's':
			if (!t->has_recipe)
				return (1);
			r = recipe_set(&t->recipe, optarg, f);
			break;
		case 'o':
			t->out = optarg;
			break;
		case 'l':
			free(t->folds);
			t->folds = xstrdup(optarg);
			break;
		default:
			return (1);
		}
	}
	if (r == 0 && (!t->has_recipe || optind == argc ||
	    (t->out == NULL && t->folds == NULL)))
		return (1);
	for (; r == 0 && optind < argc; optind++)
		r = textrows_load(&t->rows, argv[optind], f);
	return (r);
}

/* Check the names of folds, and prepare the rows. */
static int
train_check(struct train *t, struct fault *f)
{
	char	*copy = xstrdup(t->folds != NULL ? t->folds : ""), *save;
	char	*name;
	int	 r = 0;

	for (name = strtok_r(copy, ",", &save); name != NULL && r == 0;
	    name = strtok_r(NULL, ",", &save))
		if (recipe_fold(&t->recipe, name) == NULL)
			r = fault_set(f, "bad_config", NULL,
			    "the recipe has no fold \"%.40s\"", name);
	free(copy);
	groups_sort(&t->groups);
	groups_sort(&t->classes);
	t->words.clusters = t->classes.hash;
	t->words.clusters_n = t->classes.n;
	t->words.groups = t->groups.hash;
	t->words.groups_n = t->groups.n;
	textrows_mark(&t->rows, &t->recipe);
	return (r);
}

/* Train without a fold; NULL: with all. */
static struct linear *
train_without(const struct train *t, const struct recipe_fold *fold,
    int with_names)
{
	unsigned char	*left = xcalloc(t->rows.sources_n + 1, 1);
	struct linear	*m;
	size_t		 i;

	for (i = 0; fold != NULL && i < t->rows.sources_n; i++)
		left[i] = (unsigned char)recipe_fold_has(fold,
		    t->rows.source[i]);
	m = learn_linear(&t->corpus, &t->rows, &t->recipe, &t->words, left,
	    with_names);
	free(left);
	return (m);
}

/* Leave out one fold after the other, and print what comes of it. */
static void
train_measure(struct train *t)
{
	struct figures	 sum, one;
	struct linear	*m;
	char		*name, *save;

	memset(&sum, 0, sizeof sum);
	for (name = strtok_r(t->folds, ",", &save); name != NULL;
	    name = strtok_r(NULL, ",", &save)) {
		m = train_without(t, recipe_fold(&t->recipe, name), 1);
		report_fold(stdout, m, &t->rows, recipe_fold(&t->recipe,
		    name), &one);
		fflush(stdout);
		linear_free(m);
		report_add(&sum, &one);
	}
	report_mean(stdout, &sum);
}

/* Turn a probability into logits. */
static double
train_logit(double p)
{
	double	 z = log(p + 1e-12) - log(1 - p + 1e-12);

	return (z > TRAIN_LOGIT ? TRAIN_LOGIT : z < -TRAIN_LOGIT ?
	    -TRAIN_LOGIT : z);
}

/* Score the rows of a fold that calibrate a head: hard ones. */
static void
train_collect(const struct train *t, const struct recipe_fold *fold,
    const struct linear *m, struct left_out out[LINEAR_HEADS])
{
	const struct row	*r;
	const char		*source;
	struct judged		 j;
	size_t			 i;
	int			 hard;

	for (i = 0; i < t->rows.n; i++) {
		r = &t->rows.row[i];
		source = t->rows.source[r->source];
		if (!recipe_fold_has(fold, source) || r->labels == ROW_OTHER ||
		    r->weight <= 0)
			continue;
		hard = r->head == HEAD_REQUEST ?
		    recipe_part_has(fold, PART_BENIGN, source) ||
		    recipe_part_has(fold, PART_HARMFUL, source) :
		    recipe_part_has(fold, PART_HATE, source);
		if (!hard)
			continue;
		report_judge(m, r, &j);
		out[r->head].point[out[r->head].n++] = (struct point){
		    train_logit(j.gate[r->head]), 1, r->labels != 0 };
	}
}

/* Fit a slope by logistic regression, both classes weighing the same, and set
 * the offset so that a share of the harmless rows scores 0.5 or more. */
static void
train_fit(struct left_out *l, double alarms, struct linear_head *h)
{
	double	 a = 1, b = 0, p, g[2], w, n[2] = { 0, 0 };
	size_t	 i, k, above;
	int	 step;

	for (i = 0; i < l->n; i++)
		n[l->point[i].positive]++;
	if (n[0] == 0 || n[1] == 0)
		return;
	for (step = 0; step < TRAIN_STEPS * 20; step++) {
		g[0] = g[1] = 0;
		for (i = 0; i < l->n; i++) {
			p = 1 / (1 + exp(-(a * l->point[i].score + b)));
			w = 0.5 / n[l->point[i].positive];
			g[0] += w * (p - l->point[i].positive) *
			    l->point[i].score;
			g[1] += w * (p - l->point[i].positive);
		}
		a -= 0.1 * g[0];
		b -= 0.5 * g[1];
	}
	if (a < 0.05)
		a = 0.05;
	measure_auc(l->point, l->n);		/* orders them */
	above = (size_t)(alarms * n[0]);
	for (i = k = 0; i < l->n; i++)
		if (!l->point[i].positive && k++ == above)
			break;
	h->slope = (float)a;
	h->offset = (float)(-a * l->point[i < l->n ? i : l->n - 1].score);
}

/* Print how a head was calibrated, from n rows. */
static void
train_calibrated(const char *name, const struct linear_head *h, size_t n,
    int rotates)
{
	if (n > 0)
		fprintf(stderr, "%s: slope %.3f, offset %.3f from %zu rows\n",
		    name, (double)h->slope, (double)h->offset, n);
	else
		fprintf(stderr, "%s: not calibrated: %s\n", name, rotates ?
		    "no rows in the folds with rotate" : "no fold has rotate");
}

/* Calibrate a model. */
static void
train_calibrate(const struct train *t, struct linear *m)
{
	static const char *const names[LINEAR_HEADS] = { "requests",
		"content" };
	struct left_out		 out[LINEAR_HEADS];
	struct figures		 figures, sum;
	struct linear		*one;
	size_t			 i;
	int			 h, rotates = 0;

	memset(&sum, 0, sizeof sum);
	for (h = 0; h < LINEAR_HEADS; h++)
		out[h] = (struct left_out){ xcalloc(t->rows.n + 1,
		    sizeof *out[h].point), 0 };
	for (i = 0; i < t->recipe.folds_n; i++) {
		if (!t->recipe.fold[i].rotate)
			continue;
		rotates = 1;
		one = train_without(t, &t->recipe.fold[i], 1);
		report_fold(stdout, one, &t->rows, &t->recipe.fold[i],
		    &figures);
		fflush(stdout);
		report_add(&sum, &figures);
		train_collect(t, &t->recipe.fold[i], one, out);
		linear_free(one);
	}
	if (rotates)
		report_mean(stdout, &sum);
	train_fit(&out[HEAD_REQUEST], t->recipe.request_alarms,
	    &m->head[HEAD_REQUEST]);
	train_fit(&out[HEAD_CONTENT], t->recipe.content_alarms,
	    &m->head[HEAD_CONTENT]);
	for (h = 0; h < LINEAR_HEADS; h++) {
		train_calibrated(names[h], &m->head[h], out[h].n, rotates);
		free(out[h].point);
	}
}

/* Write a file. */
static int
train_write(const char *path, const void *data, size_t len, struct fault *f)
{
	FILE	*out;
	int	 bad;

	if ((out = fopen(path, "we")) == NULL) {
		fault_set(f, "bad_file", NULL, "%s: %s", path,
		    strerror(errno));
		return (CHAT_ESYSTEM);
	}
	bad = fwrite(data, 1, len, out) != len;
	if (fclose(out) != 0 || bad) {
		fault_set(f, "bad_file", NULL, "%s: %s", path,
		    strerror(errno));
		return (CHAT_ESYSTEM);
	}
	return (0);
}

/* Does a model have features? Without them it scores all texts alike. */
static int
train_has_features(const struct train *t, const struct linear *m,
    struct fault *f)
{
	if (linear_features(m) > 0)
		return (0);
	return (fault_set(f, "bad_config", NULL, "the model would have no "
	    "features: none occurs in min_rows (%g) rows and min_sources (%g) "
	    "sources; lower these two numbers of the recipe, or give more "
	    "texts", t->recipe.min_rows, t->recipe.min_sources));
}

/* Train on everything, calibrate and write. */
static int
train_make(struct train *t, struct fault *f)
{
	struct linear	*m = train_without(t, NULL, 1);
	size_t		 len;
	void		*data;
	int		 r;

	if ((r = train_has_features(t, m, f)) != 0) {
		linear_free(m);
		return (r);
	}
	train_calibrate(t, m);
	data = linear_write(m, &len);
	r = train_write(t->out, data, len, f);
	free(data);
	linear_free(m);
	return (r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-modtrain test: what a model does on labelled texts.  It uses the rows
 * that training leaves out (fold "tune"), or the sources of a fold.  With a
 * baseline it fails if the model is worse.
 */
#include <config.h>

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "modtrain.h"
#include "train.h"
#include "xmalloc.h"

#define TEST_MARGIN	0.01	/* of a figure, unless given */

struct test {
	struct recipe	 recipe;
	struct rows	 rows;
	struct linear	*model, *baseline;	/* owned */
	int		 has_recipe;
	char		*folds;
	double		 margin;
	int		 nothing;	/* no rows to measure with */
};

static const struct option test_options[] = {
	{ "recipe", required_argument, NULL, 'r' },
	{ "model", required_argument, NULL, 'm' },
	{ "baseline", required_argument, NULL, 'b' },
	{ "margin", required_argument, NULL, 'e' },
	{ "fold", required_argument, NULL, 'l' },
	{ NULL, 0, NULL, 0 }
};

static int	test_arguments(struct test *, int, char **, struct fault *);
static int	test_option(struct test *, int, struct fault *);
static int	test_run(struct test *, struct fault *);

/* Run the command. */
int
modtrain_test(int argc, char **argv)
{
	struct test	 t;
	struct fault	 f = { .message = "" };
	int		 r;

	memset(&t, 0, sizeof t);
	t.margin = TEST_MARGIN;
	if ((r = test_arguments(&t, argc, argv, &f)) > 0)
		fprintf(stderr, "usage: chatd-modtrain test -r RECIPE "
		    "-m MODEL [-b BASELINE]\n"
		    "           [-e MARGIN] [-l FOLD[,FOLD]] DATA ...\n");
	else if (r == 0)
		r = test_run(&t, &f);
	if (r < 0)
		fprintf(stderr, "chatd-modtrain: %s\n", f.message);
	linear_free(t.model);
	linear_free(t.baseline);
	textrows_clear(&t.rows);
	train_recipe_clear(&t.recipe);
	free(t.folds);
	return (r > 0 ? MODTRAIN_USAGE : t.nothing ? MODTRAIN_NOTHING :
	    r < 0 ? MODTRAIN_FAILED : MODTRAIN_OK);
}

/* Read the arguments and the files that they name. Returns 1 if they are
 * wrong. */
static int
test_arguments(struct test *t, int argc, char **argv, struct fault *f)
{
	int	 c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "r:m:b:e:l:",
	    test_options, NULL)) != -1)
		r = test_option(t, c, f);
	if (r == 0 && (!t->has_recipe || t->model == NULL || optind == argc))
		return (1);
	for (; r == 0 && optind < argc; optind++)
		r = textrows_load(&t->rows, argv[optind], f);
	if (r == 0)
		textrows_mark(&t->rows, &t->recipe);
	return (r);
}

/* Take one option. */
static int
test_option(struct test *t, int c, struct fault *f)
{
	char	*end;

	switch (c) {
	case 'r':
		if (t->has_recipe)
			return (1);
		t->has_recipe = 1;
		return (train_recipe_load(optarg, &t->recipe, f));
	case 'm':
		return (t->model != NULL ? 1 : linear_load(optarg, &t->model,
		    f));
	case 'b':
		return (t->baseline != NULL ? 1 : linear_load(optarg,
		    &t->baseline, f));
	case 'e':
		t->margin = strtod(optarg, &end);
		if (*end != '\0' || end == optarg || !(t->margin >= 0 &&
		    t->margin <= 1))
			return (fault_set(f, "bad_config", NULL, "--margin: "
			    "\"%.40s\" is not a number from 0 to 1", optarg));
		return (0);
	case 'l':
		free(t->folds);
		t->folds = xstrdup(optarg);
		return (0);
	default:
		return (1);
	}
}

/* Print the figures of folds. */
static int
test_folds(struct test *t, struct fault *f)
{
	const struct recipe_fold	*fold;
	struct figures			 one;
	char				*name, *save;

	for (name = strtok_r(t->folds, ",", &save); name != NULL;
	    name = strtok_r(NULL, ",", &save)) {
		if ((fold = recipe_fold(&t->recipe, name)) == NULL)
			return (fault_set(f, "bad_config", NULL,
			    "the recipe has no fold \"%.40s\"", name));
		report_fold(stdout, t->model, &t->rows, fold, &one);
	}
	return (0);
}

/* Measure, and compare with the baseline. */
static int
test_run(struct test *t, struct fault *f)
{
	static const char *const names[TUNE_FIGURES] = {
		"AUPRC of requests", "AUPRC of content",
		"recall of requests at 5 % false alarms",
		"recall of content at 5 % false alarms",
		"mean AUPRC of the categories" };
	double	 a[TUNE_FIGURES], b[TUNE_FIGURES];
	int	 i;

	if (t->folds != NULL)
		return (test_folds(t, f));
	if (!report_tune(stdout, t->model, &t->rows, a)) {
		t->nothing = 1;
		return (fault_set(f, "bad_field", NULL, "no rows of the fold "
		    "\"tune\" to measure with: give some rows the field "
		    "\"fold\" with the value \"tune\" before training"));
	}
	if (t->baseline == NULL)
		return (0);
	printf("baseline:\n");
	report_tune(stdout, t->baseline, &t->rows, b);
	for (i = 0; i < TUNE_FIGURES; i++)
		if (a[i] < b[i] - t->margin)
			return (fault_set(f, "bad_model", NULL, "the model is "
			    "worse than the baseline: %s %.3f, not %.3f",
			    names[i], a[i], b[i]));
	printf("not worse than the baseline by more than %g\n", t->margin);
	return (0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands train and test.
 */
#include "modtrain.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train.h"
#include "xmalloc.h"

struct train {
	struct recipe		 recipe;
	struct rows		 rows;
	struct corpus		 corpus;
	struct groups		 groups;
	struct features_words	 words;
	const char		*out;
	const char		*folds;		/* to leave out, with commas */
};

/* Mark the sources of a fold. */
static unsigned char *
train_left(const struct rows *rows, const struct recipe_fold *fold)
{
	unsigned char	*left = xcalloc(rows->sources_n + 1, 1);
	size_t		 i;

	for (i = 0; fold != NULL && i < rows->sources_n; i++)
		left[i] = (unsigned char)recipe_fold_has(fold,
		    rows->source[i]);
	return (left);
}

/* Train without a fold, and print what the model does on it. */
static struct linear *
train_fold(struct train *t, const struct recipe_fold *fold, double *figures)
{
	unsigned char	*left = train_left(&t->rows, fold);
	struct linear	*m;

	m = learn_linear(&t->corpus, &t->rows, &t->recipe, &t->words, left);
	free(left);
	if (fold != NULL)
		report_fold(stdout, m, &t->rows, fold, figures);
	fflush(stdout);
	return (m);
}

/* Write a file. */
static int
train_write(const char *path, const void *data, size_t len, struct fault *f)
{
	FILE	*out;

	if ((out = fopen(path, "we")) == NULL ||
	    fwrite(data, 1, len, out) != len || fclose(out) != 0) {
		fault_set(f, "bad_file", NULL, "%s: %s", path,
		    strerror(errno));
		return (CHAT_ESYSTEM);
	}
	return (0);
}

/* chatd-modtrain train. */
int
modtrain_train(int argc, char **argv)
{
	struct train	 t;
	struct fault	 f = { .message = "" };
	struct linear	*m;
	double		 figures[8], sum[8] = { 0 };
	char		*data, *name, *save = NULL, *folds;
	size_t		 len;
	int		 c, k, n = 0, r = 0;

	memset(&t, 0, sizeof t);
	while (r == 0 && (c = getopt(argc, argv, "r:o:l:s:g:")) != -1) {
		if (c == 'r')
			r = recipe_load(optarg, &t.recipe, &f);
		else if (c == 'g')
			r = groups_load(&t.groups, optarg, &f);
		else if (c == 's')
			r = recipe_set(&t.recipe, optarg, &f);
		else if (c == 'o')
			t.out = optarg;
		else if (c == 'l')
			t.folds = optarg;
		else
			return (2);
	}
	for (; r == 0 && optind < argc; optind++)
		r = rows_load(&t.rows, argv[optind], &f);
	if (r != 0) {
		fprintf(stderr, "chatd-modtrain: %s\n", f.message);
		return (1);
	}
	groups_sort(&t.groups);
	t.words.groups = t.groups.hash;
	t.words.groups_n = t.groups.n;
	rows_mark(&t.rows, &t.recipe);
	corpus_build(&t.corpus, &t.rows, &t.recipe, &t.words);
	fprintf(stderr, "%zu rows, %zu documents, %zu features, %zu distinct\n",
	    t.rows.n, t.corpus.docs_n, t.corpus.n, t.corpus.numbers_n);
	folds = xstrdup(t.folds != NULL ? t.folds : "");
	for (name = strtok_r(folds, ",", &save); name != NULL;
	    name = strtok_r(NULL, ",", &save)) {
		memset(figures, 0, sizeof figures);
		m = train_fold(&t, recipe_fold(&t.recipe, name), figures);
		linear_free(m);
		for (k = 0; k < 8; k++)
			sum[k] += figures[k];
		n++;
	}
	if (n > 0)
		printf("mean: 5%% %.3f 8%% %.3f injection %.3f %.3f hate "
		    "%.3f %.3f macro %.3f\n", sum[0] / n, sum[1] / n,
		    sum[2] / n, sum[3] / n, sum[4] / n, sum[5] / n,
		    sum[6] / n);
	free(folds);
	if (t.out != NULL) {
		m = train_fold(&t, NULL, NULL);
		data = linear_write(m, &len);
		if ((r = train_write(t.out, data, len, &f)) != 0)
			fprintf(stderr, "chatd-modtrain: %s\n", f.message);
		free(data);
		linear_free(m);
	}
	corpus_clear(&t.corpus);
	rows_clear(&t.rows);
	recipe_clear(&t.recipe);
	free(t.groups.hash);
	return (r != 0);
}

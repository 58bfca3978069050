/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-tune evaluate: exact answers of a model on tasks whose phrasings and
 * fillers no training has seen, and the perplexity of dialogues.
 */
#include "tune.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evaluate.h"
#include "gen.h"
#include "greedy.h"
#include "xmalloc.h"

#define USAGE	"evaluate MODEL --templates DIR [--corpus DIR] [--items N] " \
	"[--tasks A,B] [--precision NAME] [--threads N] [--show N]"
#define EVAL_FAMILIES	64

enum { OPT_TEMPLATES = 256, OPT_CORPUS, OPT_ITEMS, OPT_TASKS, OPT_PRECISION,
	OPT_THREADS, OPT_SHOW };

static const struct option options[] = {
	{ "templates", required_argument, NULL, OPT_TEMPLATES },
	{ "corpus", required_argument, NULL, OPT_CORPUS },
	{ "items", required_argument, NULL, OPT_ITEMS },
	{ "tasks", required_argument, NULL, OPT_TASKS },
	{ "precision", required_argument, NULL, OPT_PRECISION },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "show", required_argument, NULL, OPT_SHOW },
	{ NULL, 0, NULL, 0 }
};

/* What is measured. */
struct eval {
	const char	*templates, *corpus, *tasks, *precision;
	long long	 items, threads, show;
	struct gen	*gen;
	struct greedy_model *model;
};

/* The counts of one family of a task. */
struct eval_family {
	const char	*name;		/* borrowed */
	int		 n, right, ended;
};

static const char *const eval_all[] = { "sentiment", "opinion", "table",
	"spans", "memory" };

/* The counts of a family. */
static struct eval_family *
eval_family(struct eval_family *f, int *n, const char *name)
{
	int	 i;

	for (i = 0; i < *n; i++)
		if (strcmp(f[i].name, name) == 0)
			return (&f[i]);
	if (*n == EVAL_FAMILIES)
		return (&f[EVAL_FAMILIES - 1]);
	f[*n].name = name;
	return (&f[(*n)++]);
}

/* Count and print a set. */
static void
eval_report(struct eval *e, const struct evaluate_set *s, const char *task)
{
	struct eval_family	 f[EVAL_FAMILIES], *k, all = { 0 };
	long long		 shown = 0;
	int			 n = 0, right, i;
	size_t			 j;

	memset(f, 0, sizeof f);
	for (j = 0; j < s->n; j++) {
		right = evaluate_right(s, j);
		k = eval_family(f, &n, s->family[j]);
		k->n++;
		k->right += right;
		k->ended += s->item[j].ended;
		all.n++;
		all.right += right;
		all.ended += s->item[j].ended;
		if (!right && shown++ < e->show)
			printf("---\n%s\nreply:    %s\nexpected: %s\n",
			    s->item[j].prompt, s->item[j].reply, s->want[j]);
	}
	printf("%-11s %5.1f %%  of %d, %.1f %% ended\n", task, 100.0 *
	    all.right / all.n, all.n, 100.0 * all.ended / all.n);
	for (i = 0; i < n && n > 1; i++)
		printf("  %-14s %5.1f %%  of %d\n", f[i].name, 100.0 *
		    f[i].right / f[i].n, f[i].n);
	fflush(stdout);
}

/* One task. 0, or -1 after a message. */
static int
eval_task(struct eval *e, const char *task)
{
	struct evaluate_set	 s;

	if (evaluate_ask(e->gen, e->model, task, (int)e->items, &s) != 0) {
		fprintf(stderr, "chatd-tune: no task \"%s\"\n", task);
		return (-1);
	}
	if (s.n > 0)
		eval_report(e, &s, task);
	evaluate_clear(&s);
	return (0);
}

/* All tasks that are wanted. */
static int
eval_run(struct eval *e, const char *model)
{
	struct fault	 f;
	char		*list = xstrdup(e->tasks), *task, *save;
	double		 perplexity;
	size_t		 i;
	int		 r = 0, tokens;

	if (gen_open(e->templates, e->corpus, &e->gen, &f) != 0 ||
	    greedy_open(model, e->precision, (int)e->threads, &e->model,
	    &f) != 0) {
		free(list);
		return (tune_failed(&f));
	}
	if (list == NULL) {
		for (i = 0; r == 0 && i < nitems(eval_all); i++)
			if (e->corpus != NULL ||
			    strcmp(eval_all[i], "opinion") != 0)
				r = eval_task(e, eval_all[i]);
		if (r == 0 && e->gen->talks > 0) {
			perplexity = evaluate_perplexity(e->gen, e->model,
			    EVALUATE_DOCUMENTS, &tokens);
			printf("dialogue    perplexity %.2f of %d tokens\n",
			    perplexity, tokens);
		}
	} else
		for (task = strtok_r(list, ",", &save); r == 0 &&
		    task != NULL; task = strtok_r(NULL, ",", &save))
			r = eval_task(e, task);
	free(list);
	return (r == 0 ? TUNE_OK : TUNE_FAILED);
}

/* Take one option. 0, or -1 after a message. */
static int
eval_option(struct eval *e, int c)
{
	switch (c) {
	case OPT_TEMPLATES:
		e->templates = optarg;
		return (0);
	case OPT_CORPUS:
		e->corpus = optarg;
		return (0);
	case OPT_TASKS:
		e->tasks = optarg;
		return (0);
	case OPT_PRECISION:
		e->precision = optarg;
		return (0);
	case OPT_ITEMS:
		return (tune_number("--items", optarg, 1, 100000,
		    &e->items));
	case OPT_THREADS:
		return (tune_number("--threads", optarg, 0, 256,
		    &e->threads));
	case OPT_SHOW:
		return (tune_number("--show", optarg, 0, 100000, &e->show));
	}
	return (-1);
}

/* Measure. */
int
tune_evaluate(int argc, char **argv)
{
	struct eval	 e = { .precision = "fp32", .items = 200 };
	int		 c, r;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (eval_option(&e, c) != 0)
			return (tune_usage(USAGE));
	if (optind != argc - 1 || e.templates == NULL)
		return (tune_usage(USAGE));
	r = eval_run(&e, argv[optind]);
	greedy_free(e.model);
	gen_free(e.gen);
	return (r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-tune evaluate: exact answers of a model on tasks whose phrasings and
 * fillers no training has seen, and the perplexity of dialogues.
 */
#include "tune.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evaluate.h"
#include "gen.h"
#include "growbuf.h"
#include "greedy.h"
#include "rng.h"
#include "xmalloc.h"

#define USAGE	"evaluate MODEL --templates DIR [--corpus DIR] [--items N] " \
	"[--tasks A,B] [--precision NAME] [--threads N] [--show N]"
#define EVAL_REPLY	220	/* tokens of a reply, at most */
#define EVAL_FAMILIES	64
#define EVAL_SEED	990001	/* of the items */

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
	struct gen	*own;		/* owned, or NULL */
	const struct gen *gen;
	struct greedy_model *model;
	int		 silent;	/* print nothing */
	int		 right, n;	/* of the last task */
};

/* The counts of one family of a task. */
struct eval_family {
	const char	*name;		/* borrowed */
	int		 n, right, ended;
};

/* The prompts of a task. */
struct eval_set {
	struct greedy_item	*item;		/* owned */
	char			**want;		/* owned */
	const char		**family;	/* owned array */
	size_t			 n;
};

static const char *const eval_all[] = { "sentiment", "opinion", "table",
	"spans", "memory" };

/* The prompt before turn k: owned. */
static char *
eval_prompt(const struct gen_doc *doc, size_t k)
{
	struct textbuf	 b = { 0 };
	size_t		 i;

	for (i = 0; i < k; i++) {
		textbuf_puts(&b, doc->turn[i].role == GEN_SAID ?
		    "<human>: " : doc->turn[i].role == GEN_PLAIN ? "" :
		    "<bot>: ");
		textbuf_puts(&b, doc->turn[i].text);
		if (doc->turn[i].role != GEN_PLAIN)
			textbuf_puts(&b, "\n");
	}
	textbuf_puts(&b, "<bot>:");
	textbuf_add(&b, "", 1);
	return (b.s);
}

/* Add the expected replies of one test. */
static int
eval_add(struct eval *e, struct eval_set *s, const char *task, uint64_t seed)
{
	struct gen_doc	 doc;
	const char	*family;
	size_t		 k;
	int		 r;

	if ((r = gen_test(e->gen, task, seed, &doc, &family)) != 0) {
		gen_doc_clear(&doc);
		return (r);
	}
	for (k = 0; k < doc.n; k++) {
		if (doc.turn[k].role != GEN_REPLY)
			continue;
		s->item = xreallocarray(s->item, s->n + 1, sizeof *s->item);
		s->want = xreallocarray(s->want, s->n + 1, sizeof *s->want);
		s->family = xreallocarray(s->family, s->n + 1,
		    sizeof *s->family);
		memset(&s->item[s->n], 0, sizeof *s->item);
		s->item[s->n].prompt = eval_prompt(&doc, k);
		s->want[s->n] = xstrdup(doc.turn[k].text);
		s->family[s->n++] = family;
	}
	gen_doc_clear(&doc);
	return (0);
}

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

/* Count, print, and release a set. */
static void
eval_report(struct eval *e, struct eval_set *s, const char *task)
{
	struct eval_family	 f[EVAL_FAMILIES], *k, all = { 0 };
	long long		 shown = 0;
	int			 n = 0, right, i;
	size_t			 j;

	memset(f, 0, sizeof f);
	for (j = 0; j < s->n; j++) {
		right = strcmp(s->item[j].reply, s->want[j]) == 0 &&
		    s->item[j].ended;
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
		free((void *)(uintptr_t)s->item[j].prompt);
		free(s->item[j].reply);
		free(s->want[j]);
	}
	e->right = all.right;
	e->n = all.n;
	if (!e->silent)
		printf("%-11s %5.1f %%  of %d, %.1f %% ended\n", task, 100.0 *
	    all.right / all.n, all.n, 100.0 * all.ended / all.n);
	for (i = 0; i < n && n > 1 && !e->silent; i++)
		printf("  %-14s %5.1f %%  of %d\n", f[i].name, 100.0 *
		    f[i].right / f[i].n, f[i].n);
	fflush(stdout);
	free(s->item);
	free(s->want);
	free(s->family);
}

/* One task. 0, or -1 after a message. */
static int
eval_task(struct eval *e, const char *task)
{
	struct eval_set	 s = { 0 };
	uint64_t	 i;

	for (i = 0; i < (uint64_t)e->items; i++)
		if (eval_add(e, &s, task, rng_seed(EVAL_SEED, i)) != 0) {
			fprintf(stderr, "chatd-tune: no task \"%s\"\n", task);
			return (-1);
		}
	if (s.n == 0)
		return (0);
	greedy_run(e->model, s.item, s.n, EVAL_REPLY);
	eval_report(e, &s, task);
	return (0);
}

/* The right answers of a task. */
int
evaluate_task(const struct gen *g, struct greedy_model *m, const char *task,
    int items, int *right, int *n)
{
	struct eval	 e = { .gen = g, .model = m, .items = items,
			    .silent = 1 };
	int		 r = eval_task(&e, task);

	*right = e.right;
	*n = e.n;
	return (r);
}

/* The perplexity of a part of the corpus' dialogues. Their words are not held
 * out: training has seen one part in eight of each at most a few times. */
double
evaluate_perplexity(const struct gen *g, struct greedy_model *m,
    int documents, int *tokens)
{
	struct gen_doc	 doc = { 0 };
	struct gen_ctx	 c;
	struct textbuf	 b = { 0 };
	double		 sum = 0;
	char		*s;
	int		 i, n;

	*tokens = 0;
	for (i = 0; i < documents; i++) {
		gen_ctx_init(&c, g, rng_seed(EVAL_SEED,
		    (uint64_t)(1000000 + i)), 1, &doc);
		if (g->talks > 0)
			gen_plain(&c, 1500);
		else
			gen_session(&c, 900);
		gen_ctx_clear(&c);
		s = eval_prompt(&doc, doc.n);
		b.n = 0;
		textbuf_puts(&b, s);
		b.n -= strlen("<bot>:");
		free(s);
		gen_doc_clear(&doc);
		sum += greedy_loss(m, b.s, b.n, &n);
		*tokens += n;
	}
	textbuf_clear(&b);
	return (*tokens > 0 ? exp(sum / *tokens) : 0);
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

	if (gen_open(e->templates, e->corpus, &e->own, &f) != 0 ||
	    greedy_open(model, e->precision, (int)e->threads, &e->model,
	    &f) != 0) {
		free(list);
		return (tune_failed(&f));
	}
	e->gen = e->own;
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
	gen_free(e.own);
	return (r);
}

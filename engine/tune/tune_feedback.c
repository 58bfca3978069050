/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-tune feedback: trains rated replies into a model; and chatd-tune gate:
 * measures a model beside its parent.
 */
#include "tune.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feedback.h"
#include "gate.h"
#include "path.h"
#include "utf8.h"
#include "xmalloc.h"

#define FEEDBACK "feedback MODEL --out DIR [--preset FILE] " \
	"[--templates DIR] [--corpus DIR] [--lora RANK] [--threads N] " \
	"[--json] [--dry-run] [--again] EXPORT ..."
#define GATE	"gate PARENT MODEL [--preset FILE] [--templates DIR] " \
	"[--corpus DIR] [--ask EXPORT] [--threads N] [--json]"

enum { OPT_OUT = 256, OPT_PRESET, OPT_TEMPLATES, OPT_CORPUS, OPT_LORA,
	OPT_THREADS, OPT_JSON, OPT_DRY_RUN, OPT_ASK, OPT_AGAIN };

static const struct option options[] = {
	{ "ask", required_argument, NULL, OPT_ASK },
	{ "preset", required_argument, NULL, OPT_PRESET },
	{ "templates", required_argument, NULL, OPT_TEMPLATES },
	{ "corpus", required_argument, NULL, OPT_CORPUS },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "out", required_argument, NULL, OPT_OUT },
	{ "lora", required_argument, NULL, OPT_LORA },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "again", no_argument, NULL, OPT_AGAIN },
	{ NULL, 0, NULL, 0 }
};

/* Take one option. 0, or -1 after a message. */
static int
feedback_option(struct feedback_options *o, int c)
{
	long long	 n = 0;

	switch (c) {
	case OPT_OUT:
		path_trim(optarg);	/* its ".part" is beside it */
		o->out = optarg;
		if (*optarg != '\0')
			return (0);
		fprintf(stderr, "chatd-tune: --out: is empty; expected the "
		    "name of a new folder\n");
		return (-1);
	case OPT_PRESET:
		o->preset = optarg;
		return (0);
	case OPT_TEMPLATES:
		o->templates = optarg;
		return (0);
	case OPT_CORPUS:
		o->corpus = optarg;
		return (0);
	case OPT_JSON:
		o->json = 1;
		return (0);
	case OPT_DRY_RUN:
		o->dry = 1;
		return (0);
	case OPT_AGAIN:
		o->again = 1;
		return (0);
	case OPT_LORA:
		if (tune_number("--lora", optarg, 1, 256, &n) != 0)
			return (-1);
		o->rank = (int)n;
		return (0);
	case OPT_THREADS:
		if (tune_number("--threads", optarg, 0, 256, &n) != 0)
			return (-1);
		o->threads = (int)n;
		return (0);
	}
	return (-1);
}

/* A path that does not depend on a folder: the recipe is in another one. *own
 * (owned) is its memory. 0, or -1 after a message. */
static int
feedback_absolute(const char *what, const char **path, char **own)
{
	struct fault	 f;
	char		*full;

	if (*path == NULL)
		return (0);
	if ((full = realpath(*path, NULL)) == NULL) {
		(void)fault_set(&f, "bad_config", NULL, "%s: %s: %s%s", what,
		    *path, strerror(errno),
		    strcmp(*path, TEMPLATEDIR) != 0 ? "" : " (chatd is not "
		    "installed; in its sources: --templates "
		    "engine/mini/templates)");
		(void)tune_failed(&f);
		return (-1);
	}
	*path = *own = full;
	if (utf8_valid(full, strlen(full)))
		return (0);
	/* It stands in the recipe. */
	(void)fault_set(&f, "bad_config", NULL, "%s: %s: the path is not "
	    "UTF-8", what, full);
	(void)tune_failed(&f);
	return (-1);
}

/* Train. */
int
tune_feedback(int argc, char **argv)
{
	struct feedback_options	 o = { .templates = TEMPLATEDIR, .rank = -1 };
	struct fault		 f;
	enum feedback_result	 result;
	char			*own[3] = { NULL, NULL, NULL };
	size_t			 i;
	int			 c, r = TUNE_FAILED;
	static const int	 status[] = { TUNE_OK, TUNE_REFUSED,
				    TUNE_NOTHING };

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (feedback_option(&o, c) != 0)
			return (tune_usage(FEEDBACK));
	if (argc - optind < 2 || o.out == NULL)
		return (tune_usage(FEEDBACK));
	o.parent = argv[optind];
	o.exports = xcalloc((size_t)(argc - optind), sizeof *o.exports);
	while (++optind < argc)
		o.exports[o.n++] = argv[optind];
	if (feedback_absolute("model", &o.parent, &own[0]) != 0 ||
	    feedback_absolute("--templates", &o.templates, &own[1]) != 0 ||
	    feedback_absolute("--corpus", &o.corpus, &own[2]) != 0)
		goto out;
	if (feedback_run(&o, &result, &f) != 0)
		tune_failed(&f);
	else
		r = status[result];
out:
	for (i = 0; i < nitems(own); i++)
		free(own[i]);
	free(o.exports);
	return (r);
}

/* What chatd-tune gate compares. */
struct gate_run {
	struct feedback_options	 o;
	struct feedback_preset	 p;
	struct gen		*gen;		/* owned */
	const char		*ask;		/* an export, or NULL */
	struct gate_set		 set;		/* its questions */
	struct gate_scores	 scores[2];
	struct gate_answer	*answer[2];	/* owned: [set.n] */
};

/* Read the questions. */
static int
gate_questions(struct gate_run *t, struct fault *f)
{
	struct feedback_data	 d = { .n = 0 };
	size_t			 i;
	int			 r;

	if (t->ask == NULL)
		return (0);
	r = feedback_read(t->ask, &d, f);
	for (i = 0; r == 0 && i < d.n; i++)
		if (d.row[i].good != NULL)
			gate_add(&t->set, feedback_prompt(&d.row[i], NULL),
			    d.row[i].good);
	feedback_clear(&d);
	return (r);
}

/* Measure one model. */
static int
gate_one(struct gate_run *t, const char *path, int which, struct fault *f)
{
	struct greedy_model	*m;
	int			 r;

	if ((r = greedy_open(path, "fp32", t->o.threads, &m, f)) != 0)
		return (r);
	gate_measure(t->gen, m, &t->p.gate, NULL, 0, &t->scores[which]);
	t->answer[which] = gate_ask(m, &t->set);
	greedy_free(m);
	return (0);
}

/* Add the answers to the table. */
static void
gate_answered(const struct gate_run *t, json_t *table)
{
	const struct gate_answer	*a, *b;
	json_t				*list = json_array();
	size_t				 i;

	for (i = 0; i < t->set.n; i++) {
		a = &t->answer[0][i];
		b = &t->answer[1][i];
		json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:b, "
		    "s:o, s:o}", "prompt", t->set.prompt[i], "reply",
		    t->set.want[i], "right_before", a->right, "right_after",
		    b->right, "loss_before", isfinite(a->loss) ?
		    json_real(a->loss) : json_null(), "loss_after",
		    isfinite(b->loss) ? json_real(b->loss) : json_null()));
	}
	json_object_set_new(table, "asked", list);
}

/* Print how the questions were answered. */
static void
gate_print_answers(const struct gate_run *t)
{
	int	 right[2] = { 0, 0 }, rose = 0;
	size_t	 i;

	for (i = 0; i < t->set.n; i++) {
		right[0] += t->answer[0][i].right;
		right[1] += t->answer[1][i].right;
		rose += t->answer[1][i].loss < t->answer[0][i].loss;
	}
	if (t->set.n > 0)
		printf("asked        %7.1f %% %7.1f %%, more likely than "
		    "before %.1f %%, of %zu\n",
		    100.0 * right[0] / (double)t->set.n,
		    100.0 * right[1] / (double)t->set.n,
		    100.0 * rose / (double)t->set.n, t->set.n);
}

/* Compare, and print the table. Returns an exit status. */
static int
gate_result(const struct gate_run *t)
{
	json_t	*table = gate_compare(&t->p.gate, NULL, 0, &t->scores[0],
		    &t->scores[1]);
	char	*s;
	int	 passed = gate_passed(table);

	if (t->o.json) {
		gate_answered(t, table);
		s = json_dumps(table, JSON_COMPACT | JSON_REAL_PRECISION(9));
		printf("%s\n", s);
		free(s);
	} else {
		gate_print_answers(t);
		gate_print(table);
	}
	json_decref(table);
	return (passed ? TUNE_OK : TUNE_REFUSED);
}

/* Measure both. */
int
tune_gate(int argc, char **argv)
{
	struct gate_run	 t = { .o = { .templates = TEMPLATEDIR } };
	struct fault	 f;
	int		 c, r;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (c == OPT_ASK)
			t.ask = optarg;
		else if (c == OPT_OUT || c == OPT_LORA || c == OPT_DRY_RUN ||
		    c == OPT_AGAIN || feedback_option(&t.o, c) != 0)
			return (tune_usage(GATE));
	if (argc - optind != 2)
		return (tune_usage(GATE));
	if (feedback_preset(t.o.preset, &t.p, &f) != 0 ||
	    gate_questions(&t, &f) != 0 ||
	    gen_open(t.o.templates, t.o.corpus, &t.gen, &f) != 0 ||
	    gate_one(&t, argv[optind], 0, &f) != 0 ||
	    gate_one(&t, argv[optind + 1], 1, &f) != 0)
		r = tune_failed(&f);
	else
		r = gate_result(&t);
	free(t.answer[0]);
	free(t.answer[1]);
	gate_scores_clear(&t.scores[0]);
	gate_scores_clear(&t.scores[1]);
	gate_clear(&t.set);
	gen_free(t.gen);
	return (r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-tune feedback: trains rated replies into a model; and chatd-tune gate:
 * measures a model beside its parent.
 */
#include "tune.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "feedback.h"
#include "gate.h"
#include "xmalloc.h"

#define FEEDBACK "feedback MODEL --out DIR [--preset FILE] " \
	"[--templates DIR] [--corpus DIR] [--lora RANK] [--threads N] " \
	"[--json] [--dry-run] EXPORT ..."
#define GATE	"gate PARENT MODEL [--preset FILE] [--templates DIR] " \
	"[--corpus DIR] [--threads N] [--json]"

enum { OPT_OUT = 256, OPT_PRESET, OPT_TEMPLATES, OPT_CORPUS, OPT_LORA,
	OPT_THREADS, OPT_JSON, OPT_DRY_RUN };

static const struct option options[] = {
	{ "preset", required_argument, NULL, OPT_PRESET },
	{ "templates", required_argument, NULL, OPT_TEMPLATES },
	{ "corpus", required_argument, NULL, OPT_CORPUS },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "out", required_argument, NULL, OPT_OUT },
	{ "lora", required_argument, NULL, OPT_LORA },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ NULL, 0, NULL, 0 }
};

/* Take one option. 0, or -1 after a message. */
static int
feedback_option(struct feedback_options *o, int c)
{
	long long	 n = 0;

	switch (c) {
	case OPT_OUT:
		o->out = optarg;
		return (0);
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

/* Paths that do not depend on a folder: the recipe is in another one. Each is
 * owned. 0, or -1 after a message. */
static int
feedback_absolute(const char **path)
{
	char	*full;

	if (*path == NULL)
		return (0);
	if ((full = realpath(*path, NULL)) == NULL) {
		perror(*path);
		return (-1);
	}
	*path = full;
	return (0);
}

/* Train. */
int
tune_feedback(int argc, char **argv)
{
	struct feedback_options	 o = { .templates = TEMPLATEDIR, .rank = -1 };
	struct fault		 f;
	enum feedback_result	 result;
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
	if (feedback_absolute(&o.parent) != 0 ||
	    feedback_absolute(&o.templates) != 0 ||
	    feedback_absolute(&o.corpus) != 0)
		goto out;
	if (feedback_run(&o, &result, &f) != 0)
		tune_failed(&f);
	else
		r = status[result];
out:
	free(o.exports);
	return (r);
}

/* Measure one model. */
static int
gate_one(const struct feedback_options *o, const struct feedback_preset *p,
    const struct gen *g, const char *path, struct gate_scores *out,
    struct fault *f)
{
	struct greedy_model	*m;
	int			 r;

	if ((r = greedy_open(path, "fp32", o->threads, &m, f)) != 0)
		return (r);
	gate_measure(g, m, &p->gate, NULL, 0, out);
	greedy_free(m);
	return (0);
}

/* Measure both. */
int
tune_gate(int argc, char **argv)
{
	struct feedback_options	 o = { .templates = TEMPLATEDIR };
	struct feedback_preset	 p;
	struct gate_scores	 a, b;
	struct gen		*g = NULL;
	struct fault		 f;
	json_t			*table;
	char			*s;
	int			 c, r = TUNE_OK;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (c == OPT_OUT || c == OPT_LORA || c == OPT_DRY_RUN ||
		    feedback_option(&o, c) != 0)
			return (tune_usage(GATE));
	if (argc - optind != 2)
		return (tune_usage(GATE));
	if (feedback_preset(o.preset, &p, &f) != 0 ||
	    gen_open(o.templates, o.corpus, &g, &f) != 0 ||
	    gate_one(&o, &p, g, argv[optind], &a, &f) != 0 ||
	    gate_one(&o, &p, g, argv[optind + 1], &b, &f) != 0) {
		gen_free(g);
		return (tune_failed(&f));
	}
	table = gate_compare(&p.gate, NULL, 0, &a, &b);
	if (o.json) {
		s = json_dumps(table, JSON_COMPACT | JSON_REAL_PRECISION(9));
		printf("%s\n", s);
		free(s);
	} else
		gate_print(table);
	if (!gate_passed(table))
		r = TUNE_REFUSED;
	json_decref(table);
	gen_free(g);
	return (r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-tune recipe: a training run.
 */
#include "tune.h"

#include <getopt.h>
#include <stdio.h>

#include "run.h"

#define USAGE	"recipe FILE --out DIR [--corpus DIR] [--threads N] " \
	"[--isa NAME] [--device NAME] [--every STEPS] [--stop STEP] " \
	"[--fresh] [--changed]"

enum { OPT_OUT = 256, OPT_CORPUS, OPT_THREADS, OPT_ISA, OPT_DEVICE, OPT_EVERY,
	OPT_STOP, OPT_FRESH, OPT_CHANGED };

static const struct option options[] = {
	{ "out", required_argument, NULL, OPT_OUT },
	{ "corpus", required_argument, NULL, OPT_CORPUS },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "isa", required_argument, NULL, OPT_ISA },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "every", required_argument, NULL, OPT_EVERY },
	{ "stop", required_argument, NULL, OPT_STOP },
	{ "fresh", no_argument, NULL, OPT_FRESH },
	{ "changed", no_argument, NULL, OPT_CHANGED },
	{ NULL, 0, NULL, 0 }
};

/* Take one option. 0, or -1 after a message. */
static int
recipe_option(struct run_options *o, int c)
{
	long long	 n = 0;

	switch (c) {
	case OPT_OUT:
		o->out = optarg;
		return (0);
	case OPT_CORPUS:
		o->corpus = optarg;
		return (0);
	case OPT_ISA:
		o->isa = optarg;
		return (0);
	case OPT_DEVICE:
		o->device = optarg;
		return (0);
	case OPT_FRESH:
		o->fresh = 1;
		return (0);
	case OPT_CHANGED:
		o->changed = 1;
		return (0);
	case OPT_THREADS:
		if (tune_number("--threads", optarg, 0, 256, &n) != 0)
			return (-1);
		o->threads = (int)n;
		return (0);
	case OPT_EVERY:
		if (tune_number("--every", optarg, 0, 1000000, &n) != 0)
			return (-1);
		o->every = (int)n;
		return (0);
	case OPT_STOP:
		if (tune_number("--stop", optarg, 1, 1000000000, &n) != 0)
			return (-1);
		o->stop = n;
		return (0);
	}
	return (-1);
}

/* Run. */
int
tune_recipe(int argc, char **argv)
{
	struct run_options	 o = { .isa = "auto", .device = "cpu",
				    .every = 20 };
	struct fault		 f;
	int			 c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (recipe_option(&o, c) != 0)
			return (tune_usage(USAGE));
	if (optind != argc - 1 || o.out == NULL)
		return (tune_usage(USAGE));
	o.recipe = argv[optind];
	if (run_recipe(&o, &f) != 0)
		return (tune_failed(&f));
	return (TUNE_OK);
}

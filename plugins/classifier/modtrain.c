/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-modtrain: makes the data and the models of the filter plugins.  main
 * finds the command; each command lives in a file of its own.
 */
#include "modtrain.h"

#include <config.h>

#include <stdio.h>
#include <string.h>

#include "stdfds.h"
#include "xmalloc.h"

static const struct {
	const char	*name;
	int		(*run)(int argc, char **argv);
	const char	*about;
} commands[] = {
	{ "generate", modtrain_generate, "expand contrast files to texts" },
	{ "train", modtrain_train, "make a model of the classifier" },
	{ "test", modtrain_test, "measure a model of the classifier" },
};

/* Print the commands. */
static void
usage(FILE *out)
{
	size_t	 i;

	fprintf(out, "usage: chatd-modtrain COMMAND [OPTION ...] [FILE ...]\n");
	for (i = 0; i < nitems(commands); i++)
		fprintf(out, "  %-12s %s\n", commands[i].name,
		    commands[i].about);
}

/* Find the command and run it. */
int
main(int argc, char **argv)
{
	size_t	 i;

	stdfds_init("chatd-modtrain");
	if (argc < 2) {
		usage(stderr);
		return (MODTRAIN_USAGE);
	}
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return (MODTRAIN_OK);
	}
	if (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--version") == 0) {
		printf("chatd-modtrain %s\n", PACKAGE_VERSION);
		return (MODTRAIN_OK);
	}
	for (i = 0; i < nitems(commands); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return (commands[i].run(argc - 1, argv + 1));
	}
	fprintf(stderr, "chatd-modtrain: unknown command \"%s\"\n", argv[1]);
	usage(stderr);
	return (MODTRAIN_USAGE);
}

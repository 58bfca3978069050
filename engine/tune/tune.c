/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-tune: trains models.  main finds the command; each command lives in a
 * file of its own.
 */
#include "tune.h"

#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "log.h"
#include "path.h"
#include "stdfds.h"
#include "utf8.h"
#include "xmalloc.h"

static const struct {
	const char	*name;
	int		(*run)(int argc, char **argv);
	const char	*about;
} commands[] = {
	{ "recipe", tune_recipe, "train as a recipe says" },
	{ "evaluate", tune_evaluate, "measure a model on held-out tasks" },
	{ "feedback", tune_feedback, "train rated replies into a model" },
	{ "gate", tune_gate, "measure a model beside its parent" },
	{ "talk", tune_talk, "print dialogues with a model" },
	{ "tokenizer", tune_tokenizer, "train a tokenizer on texts" },
	{ "generate", tune_generate, "print generated dialogues" },
};

/* Print the commands. */
static void
usage(FILE *out)
{
	size_t	 i;

	fprintf(out, "usage: chatd-tune COMMAND [OPTION ...]\n");
	for (i = 0; i < nitems(commands); i++)
		fprintf(out, "  %-12s %s\n", commands[i].name,
		    commands[i].about);
}

/* Report a fault. */
int
tune_failed(const struct fault *f)
{
	fprintf(stderr, "chatd-tune: %s\n", f->message);
	return (TUNE_FAILED);
}

/* Wrong arguments. */
int
tune_usage(const char *text)
{
	fprintf(stderr, "usage: chatd-tune %s\n", text);
	return (TUNE_USAGE);
}

/* A number. */
int
tune_number(const char *option, const char *s, long long min, long long max,
    long long *out)
{
	char	*end;

	errno = 0;
	*out = strtoll(s, &end, 10);
	if (errno == 0 && end != s && *end == '\0' && *out >= min &&
	    *out <= max)
		return (0);
	fprintf(stderr, "chatd-tune: %s: \"%s\" is not a whole number from "
	    "%lld to %lld\n", option, s, min, max);
	return (-1);
}

/* A text. */
int
tune_read_text(const char *path, size_t max, char **text, size_t *n,
    struct fault *f)
{
	int	 r = path_read(path, max, text, n);

	if (r != 0)
		return (fault_set(f, "bad_config", NULL, "%s: %s", path,
		    r == CHAT_ESYSTEM ? strerror(errno) : chat_strerror(r)));
	if (utf8_valid(*text, *n) && memchr(*text, '\0', *n) == NULL)
		return (0);
	free(*text);
	return (fault_set(f, "bad_config", NULL, "%s: not a text in UTF-8",
	    path));
}

/* Find the command and run it. */
int
main(int argc, char **argv)
{
	size_t	 i;

	stdfds_init("chatd-tune");
	log_init("chatd-tune", LOG_LEVEL_INFO);
	if (argc < 2) {
		usage(stderr);
		return (TUNE_USAGE);
	}
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return (TUNE_OK);
	}
	if (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--version") == 0) {
		printf("chatd-tune %s\n", PACKAGE_VERSION);
		return (TUNE_OK);
	}
	for (i = 0; i < nitems(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return (commands[i].run(argc - 1, argv + 1));
	fprintf(stderr, "chatd-tune: unknown command \"%s\"\n", argv[1]);
	usage(stderr);
	return (TUNE_USAGE);
}

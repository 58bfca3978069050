/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-tune generate: prints dialogues as training gets them; and
 * chatd-tune tokenizer: trains a tokenizer on text files.
 */
#include "tune.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpe_train.h"
#include "folder.h"
#include "gen.h"
#include "path.h"
#include "rng.h"
#include "xmalloc.h"

#define GENERATE	"generate --templates DIR [--corpus DIR] [--items N] " \
	"[--seed N] [--task NAME] [--bytes N]"
#define TOKENIZER	"tokenizer --out FILE [--vocab N] TEXT ..."
#define TEXT_MAX	((size_t)1 << 30)

enum { OPT_TEMPLATES = 256, OPT_CORPUS, OPT_ITEMS, OPT_SEED, OPT_TASK,
	OPT_BYTES, OPT_OUT, OPT_VOCAB };

static const struct option generate_options[] = {
	{ "templates", required_argument, NULL, OPT_TEMPLATES },
	{ "corpus", required_argument, NULL, OPT_CORPUS },
	{ "items", required_argument, NULL, OPT_ITEMS },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "task", required_argument, NULL, OPT_TASK },
	{ "bytes", required_argument, NULL, OPT_BYTES },
	{ NULL, 0, NULL, 0 }
};

static const struct option tokenizer_options[] = {
	{ "out", required_argument, NULL, OPT_OUT },
	{ "vocab", required_argument, NULL, OPT_VOCAB },
	{ NULL, 0, NULL, 0 }
};

struct generate {
	const char	*templates, *corpus, *task;
	long long	 items, seed, bytes;
};

/* Print a document as text. */
static void
generate_print(const struct gen_doc *doc)
{
	static const char *const tags[] = { "<human>: ", "<bot>: ",
		"<bot>: ", "" };
	size_t	 i;

	for (i = 0; i < doc->n; i++)
		printf("%s%s%s", tags[doc->turn[i].role], doc->turn[i].text,
		    doc->turn[i].role == GEN_PLAIN ? "" : "\n");
	printf("\n");
}

/* Print all. */
static int
generate_run(const struct generate *o)
{
	struct gen	*g;
	struct gen_doc	 doc;
	struct fault	 f;
	const char	*family;
	long long	 i;
	uint64_t	 seed;

	if (gen_open(o->templates, o->corpus, &g, &f) != 0)
		return (tune_failed(&f));
	for (i = 0; i < o->items; i++) {
		seed = rng_seed((uint64_t)o->seed, (uint64_t)i);
		if (o->task == NULL)
			gen_document(g, seed, (size_t)o->bytes, 0, &doc);
		else if (gen_test(g, o->task, seed, &doc, &family) != 0) {
			fprintf(stderr, "chatd-tune: no task \"%s\"\n",
			    o->task);
			gen_doc_clear(&doc);
			gen_free(g);
			return (TUNE_FAILED);
		}
		generate_print(&doc);
		gen_doc_clear(&doc);
	}
	gen_free(g);
	return (TUNE_OK);
}

/* Take one option. 0, or -1 after a message. */
static int
generate_option(struct generate *o, int c)
{
	switch (c) {
	case OPT_TEMPLATES:
		o->templates = optarg;
		return (0);
	case OPT_CORPUS:
		o->corpus = optarg;
		return (0);
	case OPT_TASK:
		o->task = optarg;
		return (0);
	case OPT_ITEMS:
		return (tune_number("--items", optarg, 1, 10000000,
		    &o->items));
	case OPT_SEED:
		return (tune_number("--seed", optarg, 0, 1000000000,
		    &o->seed));
	case OPT_BYTES:
		return (tune_number("--bytes", optarg, 1, 1000000,
		    &o->bytes));
	}
	return (-1);
}

/* Print dialogues. */
int
tune_generate(int argc, char **argv)
{
	struct generate	 o = { .items = 10, .bytes = 900 };
	int		 c;

	while ((c = getopt_long(argc, argv, "", generate_options,
	    NULL)) != -1)
		if (generate_option(&o, c) != 0)
			return (tune_usage(GENERATE));
	if (optind != argc || o.templates == NULL)
		return (tune_usage(GENERATE));
	return (generate_run(&o));
}

/* Count the words of a file. */
static int
tokenizer_file(struct bpe_train *t, const char *path)
{
	struct fault	 f;
	char		*text;
	size_t		 n;

	if (tune_read_text(path, TEXT_MAX, &text, &n, &f) != 0)
		return (tune_failed(&f));
	bpe_train_text(t, text, n);
	free(text);
	return (TUNE_OK);
}

/* Write the tokenizer. */
static int
tokenizer_write(struct bpe_train *t, const char *path, int vocab)
{
	char		*s = bpe_train_json(t, vocab);
	char		*dir = path_folder(path);
	const char	*name = strrchr(path, '/');
	struct fault	 f;
	int		 r;

	r = folder_put(dir, name == NULL ? path : name + 1, s, strlen(s), &f);
	free(dir);
	free(s);
	return (r == 0 ? TUNE_OK : tune_failed(&f));
}

/* Train a tokenizer. */
int
tune_tokenizer(int argc, char **argv)
{
	const char		*out = NULL;
	struct bpe_train	*t;
	long long		 vocab = 4096;
	int			 c, r = TUNE_OK;

	while ((c = getopt_long(argc, argv, "", tokenizer_options,
	    NULL)) != -1)
		if (c == OPT_OUT)
			out = optarg;
		else if (c != OPT_VOCAB || tune_number("--vocab", optarg,
		    BPE_TRAIN_LEAST, 1 << 20, &vocab) != 0)
			return (tune_usage(TOKENIZER));
	if (out == NULL || optind == argc)
		return (tune_usage(TOKENIZER));
	t = bpe_train_new();
	for (; r == TUNE_OK && optind < argc; optind++)
		r = tokenizer_file(t, argv[optind]);
	if (r == TUNE_OK)
		r = tokenizer_write(t, out, (int)vocab);
	bpe_train_free(t);
	return (r);
}

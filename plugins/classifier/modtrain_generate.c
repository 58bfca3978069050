/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-modtrain generate: expands contrast files to JSON lines with the fields
 * of the moderation data.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "contrast.h"
#include "json.h"
#include "modtrain.h"
#include "stdfds.h"
#include "vocabulary.h"
#include "xmalloc.h"

#define GENERATE_USAGE \
	"usage: chatd-modtrain generate [-v] [-s SEED] [-o OUT] " \
	"[--noise SHARE] FILE ...\n"

struct generate {
	uint64_t	 seed;
	double		 noise;		/* share of rows with a noised copy */
	int		 verbose;
	const char	*path;		/* NULL: the standard output */
	FILE		*out;
	const struct contrast_block *block;	/* the one being drawn */
	size_t		 rows, noised, benign, tune;
	size_t		 by_category[CATEGORIES];
};

/* Write one row. */
static void
generate_write(struct generate *g, const struct contrast_row *row,
    const char *text, const char *mark)
{
	const struct contrast_block	*b = g->block;
	json_t				*msg = json_object(),
					*also = json_array();
	char				*s;
	size_t				 n, i;

	s = xasprintf("%s-%s-%zu%s", b->file, b->name, row->number, mark);
	msg_set_string(msg, "id", s);
	free(s);
	msg_set_string(msg, "text", text);
	msg_set_string(msg, "category", b->category);
	for (i = 0; i < CONTRAST_ALSO_MAX && b->also[i] != NULL; i++)
		json_array_append_new(also, json_string(b->also[i]));
	msg_set(msg, "also", also);
	msg_set_int(msg, "severity", b->severity);
	msg_set_string(msg, "kind", b->kind);
	s = xasprintf("contrast-%s", b->file);
	msg_set_string(msg, "source", s);
	free(s);
	msg_set_string(msg, "label", b->name);
	msg_set_string(msg, "quality", "synthetic");
	msg_set_string(msg, "fold", row->left_out ? "tune" : "train");
	if (b->weight != 1)
		msg_set_real(msg, "weight", b->weight);
	s = msg_line(msg, &n);
	fwrite(s, 1, n, g->out);
	free(s);
	json_decref(msg);
}

/* Write a row, and perhaps a noised copy. */
static void
generate_row(const struct contrast_row *row, void *arg)
{
	struct generate	*g = arg;
	uint64_t	 random = contrast_hash(row->text, g->seed);
	char		*noised;
	int		 i;

	generate_write(g, row, row->text, "");
	g->rows++;
	g->tune += row->left_out != 0;
	if ((i = vocabulary_category(g->block->category)) != -1)
		g->by_category[i]++;
	else
		g->benign++;
	if ((double)(contrast_random(&random) >> 11) * 0x1p-53 < g->noise &&
	    (noised = contrast_noise(row->text, random)) != NULL) {
		generate_write(g, row, noised, "n");
		g->noised++;
		free(noised);
	}
}

/* Print what was made. */
static void
generate_report(const struct generate *g, const struct contrast *c)
{
	size_t	 i, templates = 0;

	for (i = 0; i < contrast_count(c); i++)
		templates += contrast_block(c, i)->templates;
	fprintf(stderr, "%zu lists, %zu members, %zu blocks of frames, "
	    "%zu templates\n%zu rows, %zu of them left out of training; "
	    "%zu noised copies\n", contrast_lists(c), contrast_members(c),
	    contrast_count(c), templates, g->rows, g->tune, g->noised);
	fprintf(stderr, "  %-16s %zu\n", "benign", g->benign);
	for (i = 0; i < CATEGORIES; i++) {
		if (g->by_category[i] > 0)
			fprintf(stderr, "  %-16s %zu\n",
			    vocabulary_categories[i], g->by_category[i]);
	}
}

/* Draw all blocks. Returns an exit status. */
static int
generate_all(struct generate *g, const struct contrast *c)
{
	size_t	 i, n;

	g->out = stdout;
	if (g->path != NULL && (g->out = fopen(g->path, "we")) == NULL) {
		fprintf(stderr, "chatd-modtrain: %s: %s\n", g->path,
		    strerror(errno));
		return (MODTRAIN_FAILED);
	}
	for (i = 0; i < contrast_count(c); i++) {
		g->block = contrast_block(c, i);
		n = contrast_draw(c, i, g->seed, generate_row, g);
		if (n < g->block->rows && g->verbose)
			fprintf(stderr, "%s: frames \"%s\" have only %zu of "
			    "%zu rows\n", g->block->file, g->block->name, n,
			    g->block->rows);
	}
	if (g->path == NULL) {
		stdfds_flush();
		return (MODTRAIN_OK);
	}
	errno = 0;
	if (ferror(g->out) | fclose(g->out)) {
		fprintf(stderr, "chatd-modtrain: %s: %s\n", g->path,
		    errno == 0 ? "cannot write" : strerror(errno));
		return (MODTRAIN_FAILED);
	}
	return (MODTRAIN_OK);
}

/* Read the options. Returns 0, or an exit status after reporting. */
static int
generate_options(struct generate *g, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "noise", required_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 }
	};
	char	*end;
	int	 c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "o:s:v", longs, NULL)) != -1) {
		errno = 0;
		if (c == 'o')
			g->path = optarg;
		else if (c == 'v')
			g->verbose = 1;
		else if (c == 's') {
			g->seed = strtoull(optarg, &end, 10);
			if (errno != 0 || *optarg < '0' || *optarg > '9' ||
			    *end != '\0') {
				fprintf(stderr, "chatd-modtrain: -s: expected "
				    "a number from 0 to 2^64-1, found "
				    "\"%s\"\n", optarg);
				return (MODTRAIN_USAGE);
			}
		} else if (c == 'n') {
			g->noise = strtod(optarg, &end);
			if (end == optarg || *end != '\0' ||
			    !(g->noise >= 0 && g->noise <= 1)) {
				fprintf(stderr, "chatd-modtrain: --noise: "
				    "expected a number from 0 to 1, found "
				    "\"%s\"\n", optarg);
				return (MODTRAIN_USAGE);
			}
		} else {
			fputs(GENERATE_USAGE, stderr);
			return (MODTRAIN_USAGE);
		}
	}
	if (optind == argc) {
		fputs(GENERATE_USAGE, stderr);
		return (MODTRAIN_USAGE);
	}
	return (0);
}

/* The command. */
int
modtrain_generate(int argc, char **argv)
{
	struct generate	 g = { .seed = 1 };
	struct contrast	*c;
	struct fault	 f;
	int		 status, i, r = 0;

	if ((status = generate_options(&g, argc, argv)) != 0)
		return (status);
	c = contrast_new();
	for (i = optind; r == 0 && i < argc; i++)
		r = contrast_read(c, argv[i], &f);
	if (r == 0)
		r = contrast_finish(c, &f);
	if (r != 0) {
		fprintf(stderr, "chatd-modtrain: %s\n", f.message);
		status = MODTRAIN_FAILED;
	} else
		status = generate_all(&g, c);
	if (status == MODTRAIN_OK && g.verbose)
		generate_report(&g, c);
	contrast_free(c);
	return (status);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contrast files: templates that expand to labelled texts, harmful ones beside
 * harmless ones with the same words.  chatd-modtrain(1) describes the format.
 * contrast.c reads files, contrast_parse.c parses one template, contrast_draw.c
 * draws rows, contrast_noise.c makes misspelled copies.
 *
 *	c = contrast_new();
 *	for each file: contrast_read(c, path, &f)
 *	contrast_finish(c, &f)
 *	for each i below contrast_count(c):
 *		contrast_draw(c, i, seed, fn, arg)
 *	contrast_free(c)
 */
#ifndef CONTRAST_H
#define CONTRAST_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define CONTRAST_LINE_MAX	4096	/* bytes of a line of a file */
#define CONTRAST_TEXT_MAX	2000	/* bytes of a row's text */
#define CONTRAST_ROWS_MAX	100000	/* rows of one block */
#define CONTRAST_ALSO_MAX	4	/* further categories of a block */

struct contrast;

/* What the header of a block of frames says. Strings are borrowed from the
 * struct contrast. */
struct contrast_block {
	const char	*file;		/* base name without ".txt" */
	const char	*name;
	const char	*kind;		/* "request" or "content" */
	const char	*category;	/* a slug, or "benign" */
	const char	*also[CONTRAST_ALSO_MAX];	/* NULL: no more */
	const char	*twin;		/* name of another block, or NULL */
	int		 severity;	/* 0..3; 0 if benign */
	size_t		 rows;		/* rows to draw */
	double		 weight;	/* 1 if none was given */
	size_t		 templates;
};

/* One row. text is borrowed until the call returns. */
struct contrast_row {
	const char	*text;
	size_t		 number;	/* from 0, within the block */
	int		 left_out;	/* a template or member marked "~" */
};

/* Begin with no files. */
struct contrast	*contrast_new(void);
void		 contrast_free(struct contrast *c);

/* Read a file. Returns 0, CHAT_ESYSTEM (errno), or CHAT_EFORMAT; *f is filled
 * in both cases, with the file and the line. */
int	 contrast_read(struct contrast *c, const char *path, struct fault *f);

/* Resolve the names of lists and twins after the last file. Returns 0, or
 * CHAT_EFORMAT with *f filled. */
int	 contrast_finish(struct contrast *c, struct fault *f);

/* Blocks of frames, lists, and members of all lists. */
size_t	 contrast_count(const struct contrast *c);
size_t	 contrast_lists(const struct contrast *c);
size_t	 contrast_members(const struct contrast *c);
const struct contrast_block *contrast_block(const struct contrast *c,
	    size_t i);

/*
 * Draw the rows of block i and pass each to fn. The texts of a block differ
 * from one another. They depend on the seed, the file's name, the block and the
 * lists that it uses, and on nothing else. Returns the number of rows: fewer
 * than the block asks for if its templates do not have as many texts.
 */
size_t	 contrast_draw(const struct contrast *c, size_t i, uint64_t seed,
	    void (*fn)(const struct contrast_row *row, void *arg), void *arg);

/* Returns a copy of text with one or two kinds of misspelling (swapped, left
 * out or doubled letters, letters with gaps between them, digits or look-alikes
 * in place of letters, other case), which depend on the seed. A new string, or
 * NULL if nothing would change. */
char	*contrast_noise(const char *text, uint64_t seed);

/* The next number of a sequence, and a number for a text and a start value. */
uint64_t contrast_random(uint64_t *state);
uint64_t contrast_hash(const char *text, uint64_t start);

#endif

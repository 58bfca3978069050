/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: a model is measured beside its parent, and refused if it has become
 * worse at anything that is measured.  Both answer the same tests, so they are
 * compared test by test: a task has become worse if its share of right answers
 * has fallen by more than the margin, and if chance does not explain this.  Of
 * the tests that only one of the two answers rightly, each would be the
 * parent's with probability 1/2 by chance (the sign test, or exact test of
 * McNemar).
 */
#ifndef TUNE_GATE_H
#define TUNE_GATE_H

#include <jansson.h>
#include <stddef.h>

#include "err.h"
#include "gen.h"
#include "greedy.h"

#define GATE_TASKS	5
#define GATE_CHANCE	0.05	/* what is less likely is not chance */

/* What may happen. */
struct gate_options {
	int64_t	 items;			/* tests of each task */
	double	 margin;		/* points that a task may fall */
	double	 perplexity;		/* per cent that it may rise */
};

/* Questions with a right answer, besides the tasks; they decide nothing. */
struct gate_set {
	const char	*name;		/* static */
	char		**prompt, **want;	/* owned arrays and texts */
	size_t		 n;
};

/* Add a question; prompt is taken. */
void	 gate_add(struct gate_set *s, char *prompt, const char *want);
void	 gate_clear(struct gate_set *s);

/* How one question was answered. */
struct gate_answer {
	int	 right;		/* the greedy reply is the wanted one */
	double	 loss;		/* -log p of the wanted one */
};

/* Ask all. Owned: [s->n]. */
struct gate_answer *gate_ask(struct greedy_model *m, const struct gate_set *s);

/* The scores of one model. */
struct gate_scores {
	const char	*name[GATE_TASKS];	/* static */
	int		 n[GATE_TASKS];
	unsigned char	*right[GATE_TASKS];	/* owned: [n], 1: right */
	int		 tasks;
	double		 perplexity;
	int		 tokens;	/* of the perplexity */
	int		 set[2], set_n[2];	/* right answers of gate_sets */
};

/* Measure a model: *out is then the caller's to clear. */
void	 gate_measure(const struct gen *g, struct greedy_model *m,
	    const struct gate_options *o, const struct gate_set *set,
	    size_t sets, struct gate_scores *out);
void	 gate_scores_clear(struct gate_scores *s);

/* How likely at least this many losses are by chance, among lost + gained
 * tests whose answers changed. */
double	 gate_chance(int lost, int gained);

/*
 * Compare: an object with the keys of gate.json (chatd-tune(1)). Owned.
 */
json_t	*gate_compare(const struct gate_options *o,
	    const struct gate_set *set, size_t sets,
	    const struct gate_scores *before, const struct gate_scores *after);

/* Did it pass? */
int	 gate_passed(const json_t *gate);

/* Print the table. */
void	 gate_print(const json_t *gate);

#endif

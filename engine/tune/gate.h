/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: a model is measured beside its parent, and refused if it has become
 * worse at anything that is measured.
 */
#ifndef TUNE_GATE_H
#define TUNE_GATE_H

#include <jansson.h>
#include <stddef.h>

#include "err.h"
#include "gen.h"
#include "greedy.h"

#define GATE_TASKS	5

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
	int		 n[GATE_TASKS], right[GATE_TASKS];
	int		 tasks;
	double		 perplexity;
	int		 tokens;	/* of the perplexity */
	int		 set[2], set_n[2];	/* right answers of gate_sets */
};

/* Measure a model. */
void	 gate_measure(const struct gen *g, struct greedy_model *m,
	    const struct gate_options *o, const struct gate_set *set,
	    size_t sets, struct gate_scores *out);

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

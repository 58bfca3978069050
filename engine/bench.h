/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of --bench share: bench.c (the backend alone), bench_serve.c
 * (the scheduler above it).
 */
#ifndef ENGINE_BENCH_H
#define ENGINE_BENCH_H

#include <jansson.h>

#include "engine.h"

/* Report a figure to people and, as a member of out, to programs. */
void	 bench_report(json_t *out, const char *key, double value,
	    const char *unit, const char *note);

/* Is there time for run number i of a measurement that began at start? */
int	 bench_again(int i, double start);

/* Compare doubles, for qsort. */
int	 bench_compare(const void *a, const void *b);

/*
 * Measure what a client sees: the time to the first token, without and with
 * running replies, and the delay between tokens of replies, without and with a
 * long prompt that is read at the same time. A step has at most rows rows.
 */
void	 bench_serve(struct engine *e, int rows, json_t *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests that compare the results of different ways of computing for equal
 * bits (t_equal.c, t_equal_sched.c): runs random cases, each from a seed, and
 * draws numbers, orders and models. It reads from the environment:
 *
 *   EQUAL_CASES	number of cases (make check: the number of the test)
 *   EQUAL_SECONDS	start no new case after this many seconds
 *   EQUAL_SEED		the first seed; without EQUAL_CASES, the only one
 *
 * A case that fails prints its seed.
 */
#ifndef TEST_EQUAL_H
#define TEST_EQUAL_H

#include <stdint.h>

#include "neox.h"

#define EQUAL_TOKENS	130	/* tokens of a sequence, at most */

/* A model drawn at random. */
struct equal_model {
	struct neox_spec	 spec;
	const char		*precision;
	char			*folder;	/* owned: its folder */
};

/* Run test with the seeds of `cases` cases, one after the other. */
void	 equal_cases(int cases, void (*test)(uint64_t seed));
/* A teardown: print the seed of the case that did not finish. */
int	 equal_teardown(void **state);

/* A state for neox_random. States of neighbouring seeds have nothing in
 * common. */
uint64_t equal_state(uint64_t seed);
/* A number from low to high, both included. */
int	 equal_draw(uint64_t *state, int low, int high);
/* Returns 1 one time in n. */
int	 equal_chance(uint64_t *state, int n);
/* Put n numbers into a random order. */
void	 equal_shuffle(uint64_t *state, int32_t *x, int n);
/* Draw one of the available instruction sets. */
const char *equal_isa(uint64_t *state);

/*
 * Draw a model and write it. vocab 0 means any size; work is the approximate
 * number of multiplications for one token.
 */
void	 equal_model(struct equal_model *m, uint64_t *state, int vocab,
	    int context, long work);
void	 equal_model_clear(struct equal_model *m);

#endif

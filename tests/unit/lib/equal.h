/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases drawn at random, each from a seed, for the tests that compare what is
 * computed in many ways for equal bits (t_equal.c, t_equal_sched.c).  Read
 * from the environment:
 *
 *   EQUAL_CASES	how many (a test has its own number for "make check")
 *   EQUAL_SECONDS	no new case after so many seconds
 *   EQUAL_SEED		the first seed; alone, that one case
 *
 * A case that fails is named by its seed.
 */
#ifndef TEST_EQUAL_H
#define TEST_EQUAL_H

#include <stdint.h>

#include "neox.h"

#define EQUAL_TOKENS	130	/* of a sequence, at most */

/* A model drawn at random. */
struct equal_model {
	struct neox_spec	 spec;
	const char		*precision;
	char			*folder;	/* owned: where it is written */
};

/* Run test with the seeds of so many cases, one after the other. */
void	 equal_cases(int cases, void (*test)(uint64_t seed));
/* A teardown: print the seed of the case that did not come to its end. */
int	 equal_teardown(void **state);

/* A state for neox_random; what is drawn from a seed and from its neighbour
 * has nothing in common. */
uint64_t equal_state(uint64_t seed);
/* A number from low to high, both included. */
int	 equal_draw(uint64_t *state, int low, int high);
/* One time in n. */
int	 equal_chance(uint64_t *state, int n);
/* Put n numbers into a random order. */
void	 equal_shuffle(uint64_t *state, int32_t *x, int n);
/* One of the instruction sets that there are. */
const char *equal_isa(uint64_t *state);

/*
 * Draw a model and write it. vocab 0: any size; work: multiplications that a
 * token may cost, about.
 */
void	 equal_model(struct equal_model *m, uint64_t *state, int vocab,
	    int context, long work);
void	 equal_model_clear(struct equal_model *m);

#endif

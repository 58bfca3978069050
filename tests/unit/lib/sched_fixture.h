/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the scheduler: a scheduler over the fake backend, jobs of every
 * kind, and a record of the events of each job. Their tokenizer is data_tok.
 */
#ifndef TESTS_SCHED_FIXTURE_H
#define TESTS_SCHED_FIXTURE_H

#include "fake_backend.h"
#include "scheduler.h"

#define FIXTURE_VOCAB	300
#define FIXTURE_CONTEXT	256
#define FIXTURE_JOBS	40	/* ids of jobs: 0 .. FIXTURE_JOBS - 1 */

/* The events of one job. */
struct record {
	int		 started, dones, failed;
	struct idbuf	 ids;
	enum stop_reason stop;
	size_t		 made;		/* reported with done */
	char		 code[32];
	char		*logprobs;	/* owned */
};

struct fixture {
	struct fake_backend	*fake;		/* NULL over another backend */
	struct scheduler	*sched;
	struct record		 rec[FIXTURE_JOBS];
};

/* A scheduler with that many cache blocks and that many rows in a step.
 * fixture_free checks that no row broke the contract and no block is lost. */
struct fixture	*fixture_new(int blocks, int batch);
/* A scheduler over a backend of FIXTURE_VOCAB tokens, which is borrowed. */
struct fixture	*fixture_over(struct backend *b, int batch);
void		 fixture_free(struct fixture *x);

/* Step until there is nothing to do. */
void		 fixture_finish(struct fixture *x);

/* Token i of the prompt of job number id: 2 .. FIXTURE_VOCAB - 1. */
int32_t		 fixture_token(int id, int i);

/* A reply job: a prompt of len tokens, and the ids of an earlier run (or NULL).
 * Its seed is its id. End-of-text does not end it. */
struct job	*fixture_job(int id, int len, int max, double temperature,
		    const struct idbuf *resume);

/* A reply job of any prompt (its ids are taken). */
struct job	*fixture_reply(int id, struct idbuf *prompt, int max,
		    double temperature);

/* A score job. */
struct job	*fixture_score(int id, int len);

/* The tokens of a reply job that runs alone. The caller clears them. */
struct idbuf	 fixture_alone(int id, int len, int max, double temperature);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the backend asks of the engine for a model of random weights: for
 * programs that are linked with the backend's module.
 */
#ifndef RANDOM_MODEL_H
#define RANDOM_MODEL_H

#include <stdio.h>
#include <stdlib.h>

#include "cuda.h"

extern "C" const struct backend_driver backend_module;

static const struct model_config *random_config;	/* of the model */

static const struct model_config *
random_host_config(const struct model *)
{
	return (random_config);
}

static const char *
random_host_path(const struct model *)
{
	return ("random");
}

static int64_t
random_host_parameters(const struct model *)
{
	return (0);
}

static int
random_host_is_synth(const struct model *, uint64_t *seed)
{
	*seed = 1;
	return (1);
}

static const char *
random_host_packed_precision(const struct model *)
{
	return (NULL);
}

static int
random_host_fault(struct fault *, const char *, const char *, const char *fmt,
    ...)
{
	fprintf(stderr, "a fault of the backend: %s\n", fmt);
	exit(1);
}

static void
random_host_log(const char *, ...)
{
}

/* The engine's functions; c is borrowed. A fault ends the program. */
static struct backend_host
random_host(const struct model_config *c)
{
	struct backend_host h = {};

	random_config = c;
	h.config = random_host_config;
	h.path = random_host_path;
	h.parameters = random_host_parameters;
	h.is_synth = random_host_is_synth;
	h.packed_precision = random_host_packed_precision;
	h.fault = random_host_fault;
	h.warn = h.info = h.debug = random_host_log;
	return (h);
}

#endif

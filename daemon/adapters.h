/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapters of the model: which one writes a reply.  model is the member
 * "model" of the engine's "ready" (borrowed, or NULL); its "adapters" are what
 * is loaded.
 */
#ifndef DAEMON_ADAPTERS_H
#define DAEMON_ADAPTERS_H

#include <jansson.h>
#include <stdint.h>

#include "err.h"

struct config;

/* The digest of a loaded adapter (borrowed from model). NULL if there is none
 * of that name, or if name is NULL or "". */
const char *adapters_digest(const json_t *model, const char *name);

/* Is the adapter that params name loaded? Returns 0, also if they name none, or
 * CHAT_EFORMAT with *f filled: it names those that are. */
int	 adapters_check(const json_t *model, const json_t *params,
	    struct fault *f);

/*
 * Choose the variant for a conversation, or, if that is 0, for an exchange, by
 * the shares of the configuration. The first eight bytes of SHA-256 of
 * "KEY/cCONVERSATION" or "KEY/eEXCHANGE" (KEY is model.ab_key), as a fraction
 * of 2^64, fall into the share of an adapter or into the rest. The shares are
 * laid out in the order of model.adapters. Returns the name of the adapter, or
 * "" for the model alone. NULL: the configuration has no shares.
 */
const char *adapters_choose(const struct config *cf, int64_t conversation,
	    int64_t exchange);

/* The names and digests of the loaded adapters: a new reference. */
json_t	*adapters_known(const json_t *model);

#endif

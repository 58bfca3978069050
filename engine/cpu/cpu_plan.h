/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Computes the memory that a model will need on the CPU from its configuration,
 * and checks that this much is free.
 */
#ifndef CPU_PLAN_H
#define CPU_PLAN_H

#include <stdint.h>

#include "kernels.h"
#include "layout.h"

struct backend_options;
struct backend_plan;

/* Fill all of *out. free is set to 0. */
void	 cpu_plan_make(const struct model_config *c, enum precision p,
	    const struct backend_options *opt, struct backend_plan *out);

/*
 * The element type of the KV cache for the word asked (NULL: "auto") and
 * weights in p. "auto" is fp32 if p is fp32, else bf16. Returns 0 and *out, or
 * an error with *f filled: no such word, or "fp32" with another p.
 */
int	 cpu_plan_elem(enum precision p, const char *asked, enum elem *out,
	    struct fault *f);

/* The word for an element type of the cache, static. */
const char *cpu_plan_elem_name(enum elem e);

/* The shape of the KV cache for weights in p. *positions is opt->kv_tokens, or
 * the default if that is 0. */
void	 cpu_plan_cache(const struct model_config *c, enum precision p,
	    const struct backend_options *opt, struct kv_shape *kv,
	    size_t *positions);

/*
 * Returns 0 if the model in precision p fits into free_bytes. Else returns
 * CHAT_ENOMEM and fills *f (code "no_memory") with the bytes that are needed,
 * the bytes that are free, and a precision that would fit. name is the model's
 * name.
 */
int	 cpu_plan_check(const char *name, const struct model_config *c,
	    enum precision p, const struct backend_options *opt,
	    int64_t free_bytes, struct fault *f);

#endif

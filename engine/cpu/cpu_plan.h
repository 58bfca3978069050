/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that a model will need on the CPU, known from its configuration
 * alone, and whether it is free.
 */
#ifndef CPU_PLAN_H
#define CPU_PLAN_H

#include <stdint.h>

#include "kernels.h"
#include "layout.h"

struct backend_options;
struct backend_plan;

/* All of *out but free, which is 0. */
void	 cpu_plan_make(const struct model_config *c, enum precision p,
	    const struct backend_options *opt, struct backend_plan *out);

/*
 * The elements of the KV cache for the word asked (NULL: "auto") and weights
 * in p: 0 and *out, or an error with *f filled: no such word, or fp32 with
 * another p. auto is fp32 if p is, and bf16 otherwise.
 */
int	 cpu_plan_elem(enum precision p, const char *asked, enum elem *out,
	    struct fault *f);

/* The word for these elements: static. */
const char *cpu_plan_elem_name(enum elem e);

/* The shape of the KV cache for a precision: opt->kv_tokens positions, or the
 * default; *positions is their number. */
void	 cpu_plan_cache(const struct model_config *c, enum precision p,
	    const struct backend_options *opt, struct kv_shape *kv,
	    size_t *positions);

/*
 * 0 if p fits into free_bytes; else CHAT_ENOMEM and *f filled (code
 * "no_memory"): the bytes that are needed, the bytes that are free, and a
 * precision that would fit. name is the model's.
 */
int	 cpu_plan_check(const char *name, const struct model_config *c,
	    enum precision p, const struct backend_options *opt,
	    int64_t free_bytes, struct fault *f);

#endif

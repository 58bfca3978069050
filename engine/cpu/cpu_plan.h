/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model will need on the CPU, known from its configuration alone, and
 * whether that is free.
 */
#ifndef CPU_PLAN_H
#define CPU_PLAN_H

#include <stdint.h>

#include "kernels.h"
#include "layout.h"

struct backend_options;

/* Bytes. */
struct plan {
	int64_t	 weights;	/* also the size of a packed file, about */
	int64_t	 cache;		/* of keys and values */
	int64_t	 work;		/* arrays of a step, buffers, the program */
	int64_t	 total;
};

void	 cpu_plan_make(const struct model_config *c, enum precision p,
	    const struct backend_options *opt, struct plan *out);

/*
 * What the KV cache is made of where asked is the word for it (NULL: "auto")
 * and weights are in p: 0 and *out, or an error with *f filled: no such word,
 * or fp32 where p is not. auto is fp32 where p is, and bf16 elsewhere.
 */
int	 cpu_plan_elem(enum precision p, const char *asked, enum elem *out,
	    struct fault *f);

/* The word for it. */
const char *cpu_plan_elem_name(enum elem e);

/* The KV cache for a precision, with elements that go with it:
 * opt->kv_tokens positions, or the default; *positions is how many. */
void	 cpu_plan_cache(const struct model_config *c, enum precision p,
	    const struct backend_options *opt, struct kv_shape *kv,
	    size_t *positions);

/*
 * 0 where p fits into so many free bytes; else CHAT_ENOMEM and *f filled
 * (code "no_memory"): what is needed, what is free, and which precision
 * would fit. name is the model's.
 */
int	 cpu_plan_check(const char *name, const struct model_config *c,
	    enum precision p, const struct backend_options *opt,
	    int64_t free_bytes, struct fault *f);

#endif

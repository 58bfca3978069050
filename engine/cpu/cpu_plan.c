/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adds up the sizes of weights, cache and arrays.
 */
#include "cpu_plan.h"

#include <stdio.h>
#include <string.h>

#include "backend.h"
#include "bytes.h"
#include "adapt.h"
#include "pool.h"
#include "vocabulary.h"

/* The default cache holds four whole contexts, but at most PLAN_CACHE bytes. It
 * always holds one context. */
#define PLAN_CONTEXTS	4
#define PLAN_CACHE	((size_t)1 << 30)
#define PLAN_POSITIONS	(1 << 26)	/* at most */
#define PLAN_PROGRAM	((int64_t)48 << 20)	/* tokenizer, buffers, code */

/* The word for the element type of the cache. */
const char *
cpu_plan_elem_name(enum elem e)
{
	return (e == ELEM_F32 ? "fp32" : e == ELEM_BF16 ? "bf16" : "int8");
}

/* The element type of the cache. */
int
cpu_plan_elem(enum precision p, const char *asked, enum elem *out,
    struct fault *f)
{
	if (asked == NULL || strcmp(asked, "auto") == 0)
		*out = p == PREC_FP32 ? ELEM_F32 : ELEM_BF16;
	else if (strcmp(asked, "int8") == 0)
		*out = ELEM_Q8;
	else if (strcmp(asked, "bf16") == 0)
		*out = ELEM_BF16;
	else if (strcmp(asked, "fp32") != 0)
		return (vocabulary_fault(f, "bad_field", "kv_precision",
		    vocabulary_cpu_caches, asked));
	else if (p != PREC_FP32)
		return (fault_set(f, "bad_field", "kv_precision",
		    "kv_precision: fp32 needs weights in fp32, but they "
		    "are in %s", precision_name(p)));
	else
		*out = ELEM_F32;
	return (0);
}

/* The shape and size of the cache. */
void
cpu_plan_cache(const struct model_config *c, enum precision p,
    const struct backend_options *opt, struct kv_shape *kv,
    size_t *positions)
{
	const size_t	 context = (size_t)c->context;
	size_t		 n = (size_t)opt->kv_tokens, bytes;
	struct fault	 f;

	if (cpu_plan_elem(p, opt->kv_precision, &kv->elem, &f) != 0)
		(void)cpu_plan_elem(p, NULL, &kv->elem, &f);
	kv->H = c->heads;
	kv->D = c->lanes;
	kv_sizes(kv);
	bytes = kv->block / KV_BLOCK * (size_t)(backend_end(opt, c->layers) -
	    opt->first);
	if (opt->kv_tokens <= 0) {
		n = PLAN_CONTEXTS * context;
		if (n > PLAN_CACHE / bytes)
			n = PLAN_CACHE / bytes;
		if (n < context)
			n = context;
	}
	if (n > PLAN_POSITIONS)
		n = PLAN_POSITIONS;
	kv->blocks = (int)(ROUND_UP(n, KV_BLOCK) / KV_BLOCK);
	*positions = n;
}

/* Add it all up. */
void
cpu_plan_make(const struct model_config *c, enum precision p,
    const struct backend_options *opt, struct backend_plan *out)
{
	struct layout	 l;
	struct kv_shape	 kv;
	const int64_t	 C = c->channels, F = c->inner;
	int64_t		 row, rows = opt->rows > 0 ? opt->rows : 1, threads;
	size_t		 positions;
	const int	 end = backend_end(opt, c->layers);

	threads = opt->threads > 0 ? opt->threads : pool_cores();
	layout_init_range(&l, c, p, opt->first, end);
	cpu_plan_cache(c, p, opt, &kv, &positions);
	out->precision = precision_name(p);
	out->kv_precision = cpu_plan_elem_name(kv.elem);
	out->free = 0;
	out->weights = (int64_t)l.size;
	out->cache = (int64_t)(kv.block * (size_t)kv.blocks) *
	    (end - opt->first);
	row = (8 * C + F) * (int64_t)sizeof(float);
	if (p == PREC_INT8 || p == PREC_INT4)
		row += (C + (C > F ? C : F)) * 6;
	if (p == PREC_BF16)	/* with tiles only */
		row += (3 * C + F) * (int64_t)sizeof(uint16_t);
	out->work = PLAN_PROGRAM + rows * row + threads * (ATTEND_ROWS *
	    (int64_t)sizeof(float) * c->context + (C > F ? C : F) * 8) +
	    (int64_t)sizeof(float) * c->context * c->rotary +
	    adapt_bytes(opt->adapters, opt->nadapters, opt->first, end,
	    (int)rows);
	out->total = out->weights + out->cache + out->work;
	layout_clear(&l);
}

/* The largest precision smaller than p that fits, or PREC_COUNT. */
static enum precision
cpu_plan_smaller(const struct model_config *c, enum precision p,
    const struct backend_options *opt, int64_t free_bytes,
    struct backend_plan *out)
{
	int	 i;

	for (i = p + 1; i < PREC_COUNT; i++) {
		cpu_plan_make(c, (enum precision)i, opt, out);
		if (out->total <= free_bytes)
			break;
	}
	return ((enum precision)i);
}

/* Does it fit? */
int
cpu_plan_check(const char *name, const struct model_config *c, enum precision p,
    const struct backend_options *opt, int64_t free_bytes, struct fault *f)
{
	struct backend_plan	 need, less;
	enum precision	 smaller;
	char		 all[BYTES_TEXT], left[BYTES_TEXT], some[BYTES_TEXT];
	char		 advice[128];

	cpu_plan_make(c, p, opt, &need);
	if (need.total <= free_bytes)
		return (0);
	smaller = cpu_plan_smaller(c, p, opt, free_bytes, &less);
	if (smaller < PREC_COUNT)
		snprintf(advice, sizeof advice, "try %s (%s)",
		    precision_name(smaller), bytes_text(less.total, some));
	else if (need.total - need.cache < free_bytes)
		snprintf(advice, sizeof advice, "%s of it are for the cache, "
		    "see kv_tokens and kv_precision", bytes_text(need.cache,
		    some));
	else {
		cpu_plan_make(c, PREC_COUNT - 1, opt, &less);
		snprintf(advice, sizeof advice, "the least is %s in %s",
		    bytes_text(less.total, some),
		    precision_name(PREC_COUNT - 1));
	}
	fault_set(f, "no_memory", "precision", "%s: needs %s in %s, %s are "
	    "free: %s", name, bytes_text(need.total, all), precision_name(p),
	    bytes_text(free_bytes, left), advice);
	return (CHAT_ENOMEM);
}

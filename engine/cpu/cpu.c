/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU backend: its driver, opening, information and end.  The step is in
 * forward.c.
 */
#include "cpu.h"

#include <config.h>

#include <sys/mman.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu_pack.h"
#include "cpu_plan.h"
#include "meminfo.h"
#include "packed.h"
#include "rotary.h"
#include "vocabulary.h"
#include "xmalloc.h"

static int	cpu_plan(const struct backend_host *, struct model *,
		    const struct backend_options *, struct backend_plan *,
		    struct fault *);
static int	cpu_check(const struct backend_host *, struct model *,
		    const struct backend_options *, struct fault *);
static int	cpu_pack(const struct backend_host *, struct model *,
		    const struct backend_options *, const void *, size_t,
		    const char *, struct fault *);
static int	cpu_open(const struct backend_host *, struct model *,
		    const struct backend_options *, struct backend **,
		    struct fault *);
static int	cpu_devices(const struct backend_host *, int *,
		    struct fault *);
static void	cpu_free(struct backend *);
static void	cpu_info(const struct backend *, struct backend_info *);
static int	cpu_choose(struct cpu *, const struct model *,
		    const struct backend_options *, struct fault *);
static int	cpu_threads(struct cpu *, const struct backend_options *,
		    struct fault *);
static int	cpu_cache(struct cpu *, const struct backend_options *,
		    struct fault *);
static int	cpu_scratch(struct cpu *, struct fault *);

static const struct backend_ops cpu_ops = {
	.step = forward_step,
	.info = cpu_info,
	.free = cpu_free,
	.limits = roofline_limits,
	.read_rate = roofline_read_rate,
	.stage = forward_stage
};

const struct backend_driver cpu_driver = {
	.version = BACKEND_VERSION,
	.size = sizeof cpu_driver,
	.release = PACKAGE_VERSION,
	.layout = CPU_LAYOUT,
	.precisions = vocabulary_cpu_precisions + 1,	/* without auto */
	.plan = cpu_plan,
	.check = cpu_check,
	.pack = cpu_pack,
	.open = cpu_open,
	.devices = cpu_devices
};

/* The memory that a model needs. */
static int
cpu_plan(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, struct backend_plan *out,
    struct fault *f)
{
	enum precision	 p;
	enum elem	 elem;
	int		 r;

	(void)h;
	if ((r = cpu_precision(m, opt->precision, &p, f)) != 0 ||
	    (r = cpu_plan_elem(p, opt->kv_precision, &elem, f)) != 0)
		return (r);
	cpu_plan_make(model_config(m), p, opt, out);
	out->free = meminfo_free();
	return (0);
}

/* Does a packed file have each piece? */
static int
cpu_check(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, struct fault *f)
{
	struct layout	 l;
	enum precision	 p;
	int		 r;

	(void)h;
	if ((r = cpu_precision(m, opt->precision, &p, f)) != 0)
		return (r);
	layout_init_range(&l, model_config(m), p, opt->first, backend_end(opt,
	    model_config(m)->layers));
	r = weights_check(&l, model_packed(m), f);
	layout_clear(&l);
	return (r);
}

/* Write a packed file. */
static int
cpu_pack(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, const void *tables, size_t n,
    const char *out, struct fault *f)
{
	(void)h;
	return (cpu_pack_write(m, tables, n, out, opt, f));
}

/* There is one CPU. */
static int
cpu_devices(const struct backend_host *h, int *out, struct fault *f)
{
	(void)h;
	(void)f;
	*out = 1;
	return (0);
}

/* Load a model. */
static int
cpu_open(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, struct backend **out, struct fault *f)
{
	struct cpu	*c = xcalloc(1, sizeof *c);
	int		 r;

	(void)h;
	c->backend.ops = &cpu_ops;
	c->config = *model_config(m);
	if ((r = cpu_choose(c, m, opt, f)) != 0 ||
	    (r = cpu_plan_check(model_path(m), &c->config, c->layout.precision,
	    opt, meminfo_free(), f)) != 0 ||
	    (r = cpu_cache(c, opt, f)) != 0)
		goto out;
	if ((r = cpu_threads(c, opt, f)) != 0 ||
	    (r = weights_load(m, &c->layout, c->pool, opt, &c->weights,
	    f)) != 0 ||
	    (r = adapt_new(opt->adapters, opt->nadapters, c->layout.first,
	    c->layout.end, &c->adapt, f)) != 0 ||
	    (r = cpu_scratch(c, f)) != 0)
		goto out;
	*out = &c->backend;
	c = NULL;
out:
	if (c != NULL)
		cpu_free(&c->backend);
	return (r);
}

/* The precision: the one asked for, a packed file's own, or bf16. */
int
cpu_precision(const struct model *m, const char *asked,
    enum precision *out, struct fault *f)
{
	const struct packed	*packed = model_packed(m);

	if (packed != NULL && precision_find(packed->precision) == PREC_COUNT)
		return (fault_set(f, "bad_model", NULL, "%s: __metadata__: "
		    "precision: expected fp32, bf16, int8 or int4, found "
		    "%.40s", packed->path, packed->precision));
	if (strcmp(asked, "auto") == 0)
		asked = packed != NULL ? packed->precision : "bf16";
	if ((*out = precision_find(asked)) == PREC_COUNT)
		return (vocabulary_fault(f, "bad_model", "precision",
		    vocabulary_cpu_precisions, asked));
	if (packed != NULL && strcmp(asked, packed->precision) != 0)
		return (fault_set(f, "bad_model", "precision", "%s: is packed "
		    "in %s, not in %s: set precision to auto, or load the "
		    "model it was packed from", packed->path,
		    packed->precision, asked));
	return (0);
}

/* Choose precisions and instruction set. */
static int
cpu_choose(struct cpu *c, const struct model *m,
    const struct backend_options *opt, struct fault *f)
{
	enum precision	 p;
	char		 there[64];
	int		 r;

	if ((r = cpu_precision(m, opt->precision, &p, f)) != 0 ||
	    (r = cpu_plan_elem(p, opt->kv_precision, &c->kv.elem, f)) != 0)
		return (r);
	layout_init_range(&c->layout, &c->config, p, opt->first,
	    backend_end(opt, c->config.layers));
	c->quantized = p == PREC_INT8 || p == PREC_INT4;
	if ((c->kernels = kernels_find(opt->isa)) != NULL)
		return (0);
	kernels_list(there, sizeof there);
	fault_set(f, "no_device", "isa", "isa: this CPU and build have auto, "
	    "%s, found %.40s", there, opt->isa);
	return (CHAT_EUNSUPPORTED);
}

/* Start the threads, at most one per core. More would only wait for each
 * other. */
static int
cpu_threads(struct cpu *c, const struct backend_options *opt,
    struct fault *f)
{
	const int	 cores = pool_cores();

	c->pool = pool_new(opt->threads < cores ? opt->threads : cores);
	if (opt->pin && pool_pin(c->pool) != 0)
		return (fault_set(f, "no_device", "pin", "pin: the system "
		    "does not give each of %d threads a core of its own",
		    pool_size(c->pool)));
	return (0);
}

/* Reserve the KV cache. The kernel gives it pages when they are written. Also
 * set the name of the precision: it has a suffix if the cache is not in the
 * type that auto chooses. */
static int
cpu_cache(struct cpu *c, const struct backend_options *opt, struct fault *f)
{
	const enum precision	 p = c->layout.precision;
	enum elem		 usual;
	size_t			 positions;

	cpu_plan_cache(&c->config, p, opt, &c->kv, &positions);
	(void)cpu_plan_elem(p, "auto", &usual, f);
	snprintf(c->precision, sizeof c->precision, "%s%s", precision_name(p),
	    c->kv.elem == usual ? "" : c->kv.elem == ELEM_Q8 ? "+kv8" :
	    "+kv16");
	c->cache_size = c->kv.block * (size_t)c->kv.blocks *
	    (size_t)(c->layout.end - c->layout.first);
	c->cache = mmap(NULL, c->cache_size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c->cache == MAP_FAILED) {
		c->cache = NULL;
		fault_set(f, "no_memory", "kv_tokens",
		    "no memory for a KV cache of %zu positions, %zu MiB",
		    positions, c->cache_size >> 20);
		return (CHAT_ENOMEM);
	}
	(void)madvise(c->cache, c->cache_size, MADV_HUGEPAGE);
	return (0);
}

/* Allocate each thread's memory for scores, and the rotary table. */
static int
cpu_scratch(struct cpu *c, struct fault *f)
{
	const size_t	 n = (size_t)pool_size(c->pool);
	const size_t	 size = ATTEND_ROWS * sizeof(float) *
			    (ROUND_UP((size_t)c->config.context, KV_BLOCK) +
			    ROUND_UP((size_t)c->config.lanes, PANEL));
	size_t		 i;
	void		*p;
	int		 there;

	c->rotary = rotary_table(c->config.context, c->config.rotary,
	    (double)c->config.rotary_base);
	there = c->rotary != NULL;
	c->scratch = xcalloc(n, sizeof *c->scratch);
	for (i = 0; i < n; i++) {
		if (posix_memalign(&p, 64, size) == 0)
			c->scratch[i] = p;
		there = there && c->scratch[i] != NULL;
	}
	if (there)
		return (0);
	fault_set(f, "no_memory", NULL, "no memory for a context of %d "
	    "positions", c->config.context);
	return (CHAT_ENOMEM);
}

/* Release everything. */
static void
cpu_free(struct backend *b)
{
	struct cpu	*c = (struct cpu *)b;
	int		 i;

	if (b == NULL)
		return;
	for (i = 0; c->scratch != NULL && i < pool_size(c->pool); i++)
		free(c->scratch[i]);
	free(c->scratch);
	free(c->rotary);
	pool_free(c->pool);
	weights_free(c->weights);
	layout_clear(&c->layout);
	rows_clear(&c->rows);
	adapt_free(c->adapt);
	if (c->cache != NULL)
		munmap(c->cache, c->cache_size);
	free(c);
}

/* Describe the backend. */
static void
cpu_info(const struct backend *b, struct backend_info *out)
{
	const struct cpu	*c = (const struct cpu *)b;

	out->context = c->config.context;
	out->vocab = c->config.vocab;
	out->layers = c->layout.end - c->layout.first;
	out->parameters = c->weights->parameters;
	out->kv_blocks = c->kv.blocks;
	out->kv_bytes = (int64_t)c->cache_size;
	out->threads = pool_size(c->pool);
	out->device = "cpu";
	out->isa = c->kernels->name;
	out->precision = c->precision;
	out->kv_precision = cpu_plan_elem_name(c->kv.elem);
	out->best_max = c->layout.end < c->config.layers ?
	    BACKEND_BEST_MAX : 0;
	out->adapters = adapt_count(c->adapt);
}

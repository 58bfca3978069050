/*
 * The CPU backend's life: opening, what it says of itself, its end.  The
 * step is forward.c's.
 */
#include "cpu.h"

#include <sys/mman.h>

#include <stdlib.h>
#include <string.h>

#include "rotary.h"
#include "xmalloc.h"

/* The cache by default: room for four whole contexts, but no more than this
 * in bytes unless one context needs it. */
#define CPU_KV_CONTEXTS	4
#define CPU_KV_BYTES	((size_t)1 << 30)
#define CPU_KV_MAX	(1 << 26)	/* positions, at most */

static void	cpu_free(struct backend *);
static void	cpu_info(const struct backend *, struct backend_info *);
static int	cpu_choose(struct cpu *, const struct backend_options *,
		    struct fault *);
static int	cpu_cache(struct cpu *, const struct backend_options *,
		    struct fault *);
static int	cpu_scratch(struct cpu *, struct fault *);

static const struct backend_ops cpu_ops = {
	.step = forward_step,
	.info = cpu_info,
	.free = cpu_free
};

/* Open. */
int
cpu_open(struct model *m, const struct backend_options *opt,
    struct backend **out, struct fault *f)
{
	struct cpu	*c = xcalloc(1, sizeof *c);
	int		 r;

	c->backend.ops = &cpu_ops;
	c->config = *model_config(m);
	if ((r = cpu_choose(c, opt, f)) != 0 ||
	    (r = cpu_cache(c, opt, f)) != 0 ||
	    (r = weights_load(m, c->kv.elem, opt, &c->weights, f)) != 0)
		goto out;
	c->pool = pool_new(opt->threads);
	if ((r = cpu_scratch(c, f)) != 0)
		goto out;
	*out = &c->backend;
	c = NULL;
out:
	if (c != NULL)
		cpu_free(&c->backend);
	return (r);
}

/* Precision and instruction set. */
static int
cpu_choose(struct cpu *c, const struct backend_options *opt, struct fault *f)
{
	char	 there[64];

	if (strcmp(opt->precision, "bf16") == 0)
		c->kv.elem = ELEM_BF16;
	else if (strcmp(opt->precision, "fp32") == 0)
		c->kv.elem = ELEM_F32;
	else
		return (fault_set(f, "bad_model", "precision",
		    "precision: expected fp32 or bf16 on the CPU, found %.40s",
		    opt->precision));
	if ((c->kernels = kernels_find(opt->isa)) != NULL)
		return (0);
	kernels_list(there, sizeof there);
	fault_set(f, "no_device", "isa", "isa: this CPU and build have auto, "
	    "%s, found %.40s", there, opt->isa);
	return (CHAT_EUNSUPPORTED);
}

/* Lay out and reserve the KV cache: pages come when they are written. */
static int
cpu_cache(struct cpu *c, const struct backend_options *opt, struct fault *f)
{
	struct kv_shape	*kv = &c->kv;
	const size_t	 context = (size_t)c->config.context;
	size_t		 tokens, token;

	kv->H = c->config.heads;
	kv->D = c->config.lanes;
	kv->values = (size_t)KV_BLOCK * (size_t)kv->D * ELEM_SIZE(kv->elem);
	kv->head = kv->values + (size_t)KV_BLOCK *
	    ROUND_UP((size_t)kv->D, PANEL) * ELEM_SIZE(kv->elem);
	kv->block = kv->head * (size_t)kv->H;
	token = kv->block / KV_BLOCK * (size_t)c->config.layers;
	tokens = (size_t)opt->kv_tokens;
	if (opt->kv_tokens <= 0) {
		tokens = CPU_KV_CONTEXTS * context;
		if (tokens > CPU_KV_BYTES / token)
			tokens = CPU_KV_BYTES / token;
		if (tokens < context)
			tokens = context;
	}
	if (tokens > CPU_KV_MAX)
		tokens = CPU_KV_MAX;
	kv->blocks = (int)(ROUND_UP(tokens, KV_BLOCK) / KV_BLOCK);
	c->cache_size = kv->block * (size_t)kv->blocks *
	    (size_t)c->config.layers;
	c->cache = mmap(NULL, c->cache_size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c->cache == MAP_FAILED) {
		c->cache = NULL;
		fault_set(f, "no_device", "kv_tokens",
		    "no memory for a KV cache of %zu positions, %zu MiB",
		    tokens, c->cache_size >> 20);
		return (CHAT_ENOMEM);
	}
	return (0);
}

/* Each thread's room for scores, and the rotary table. */
static int
cpu_scratch(struct cpu *c, struct fault *f)
{
	const size_t	 n = (size_t)pool_size(c->pool);
	const size_t	 size = ATTEND_ROWS * sizeof(float) *
			    ROUND_UP((size_t)c->config.context, KV_BLOCK);
	size_t		 i;
	int		 there;

	c->rotary = rotary_table(c->config.context, c->config.rotary,
	    (double)c->config.rotary_base);
	there = c->rotary != NULL;
	c->scratch = xcalloc(n, sizeof *c->scratch);
	for (i = 0; i < n; i++) {
		c->scratch[i] = malloc(size);
		there = there && c->scratch[i] != NULL;
	}
	if (there)
		return (0);
	fault_set(f, "no_device", NULL, "no memory for a context of %d "
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
	forward_clear(&c->rows);
	if (c->cache != NULL)
		munmap(c->cache, c->cache_size);
	free(c);
}

/* What we are. */
static void
cpu_info(const struct backend *b, struct backend_info *out)
{
	const struct cpu	*c = (const struct cpu *)b;

	out->context = c->config.context;
	out->vocab = c->config.vocab;
	out->layers = c->config.layers;
	out->parameters = c->weights->parameters;
	out->kv_blocks = c->kv.blocks;
	out->threads = pool_size(c->pool);
	out->device = "cpu";
	out->isa = c->kernels->name;
	out->precision = c->kv.elem == ELEM_BF16 ? "bf16" : "fp32";
}

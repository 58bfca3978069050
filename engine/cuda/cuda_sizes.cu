/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a model on the device: sums of sizes, made before anything is
 * allocated.
 */
#include "cuda.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

extern "C" {
#include "bytes.h"
}

#define SIZES_CONTEXTS	64	/* of the cache, at most by default */
#define SIZES_POSITIONS	(1 << 26)	/* of the cache, at most */
#define SIZES_SPARE	((int64_t)256 << 20)	/* left free by default: what
						 * the driver takes itself */

static const char *const sizes_kv_names[] = { "fp16", "bf16", "int8" };

/* The elements of the cache. */
int
cuda_sizes_kv(const struct backend_host *h, enum cuda_precision precision,
    const char *asked, enum cuda_elem *out, struct fault *f)
{
	const enum cuda_elem	 own = precision == CUDA_BF16_W ? CUDA_BF16 :
				    CUDA_F16;

	if (asked == NULL || strcmp(asked, "auto") == 0 ||
	    strcmp(asked, sizes_kv_names[own]) == 0)
		*out = own;
	else if (strcmp(asked, "int8") == 0)
		*out = CUDA_I8;
	else
		return (h->fault(f, "bad_field", "kv_precision",
		    "kv_precision: expected auto, %s or int8 for weights in "
		    "%s on this device, found %.40s", sizes_kv_names[own],
		    cuda_precision_names[precision], asked));
	return (0);
}

/* Add an array of n bytes; its place. */
static size_t
sizes_add(struct cuda_sizes *s, size_t n)
{
	size_t	 at = s->work;

	s->work += layout_pad(n, 256);
	return (at);
}

/* The arrays of a step. */
static void
sizes_work(struct cuda_sizes *s, const struct model_config *c,
    const struct cuda_pieces *p)
{
	const size_t	 T = (size_t)s->rows, C = (size_t)c->channels;
	const size_t	 H = (size_t)c->heads;

	s->x = sizes_add(s, T * C * sizeof(float));
	s->qkv = sizes_add(s, T * 3 * C * sizeof(float));
	s->a = sizes_add(s, layout_acts(s->rows, c->channels) * 2);
	s->b = sizes_add(s, layout_acts(s->rows, c->channels) * 2);
	s->mix = sizes_add(s, layout_acts(s->rows, c->channels) * 2);
	s->up = sizes_add(s, layout_acts(s->rows, c->inner) * 2);
	s->q = sizes_add(s, T * H * (size_t)s->Dp * 2);
	s->partial = sizes_add(s, T * H * (size_t)s->sections *
	    (size_t)(s->Dp + 2) * sizeof(float));
	s->logits = sizes_add(s, p->end < c->layers ? 0 : T *
	    (size_t)c->vocab * sizeof(float));
	s->angles = sizes_add(s, (size_t)c->context * (size_t)c->rotary *
	    sizeof(float));
	s->input = sizes_add(s, T * (CUDA_INPUT_ROW + (size_t)s->ldblocks) *
	    sizeof(int32_t));
	s->seen = sizes_add(s, T * (size_t)best_words(c->vocab) *
	    sizeof(uint32_t));
	s->best = sizes_add(s, T * 2 * BEST_MAX * sizeof(int32_t));
	s->wide = sizes_add(s, s->adapters == 0 ? 0 : T * (size_t)c->inner *
	    sizeof(float));
	s->z = sizes_add(s, T * (size_t)s->ldz * sizeof(float));
}

/* Positions of the cache, if the administrator has not set them. */
static int64_t
sizes_positions(const struct model_config *c, int64_t position, int64_t left)
{
	int64_t	 n = left / position;

	if (n > SIZES_CONTEXTS * (int64_t)c->context)
		n = SIZES_CONTEXTS * (int64_t)c->context;
	return (n < c->context ? c->context : n);
}

/* All sizes. */
void
cuda_sizes_init(struct cuda_sizes *s, const struct model_config *c,
    const struct cuda_pieces *p, enum cuda_elem kv,
    const struct backend_options *opt, int64_t free_bytes)
{
	int64_t	 n = opt->kv_tokens, position;

	memset(s, 0, sizeof *s);
	s->kv = kv;
	s->rows = layout_pad(opt->rows > PRODUCT_NARROW ? opt->rows :
	    PRODUCT_NARROW, LAYOUT_ROWS);
	s->ldblocks = (c->context + KV_BLOCK - 1) / KV_BLOCK;
	s->sections = (c->context + ATTEND_SECTION - 1) / ATTEND_SECTION;
	s->Dp = layout_pad(c->lanes, 16);
	s->adapters = cuda_adapt_bytes(opt, p, &s->ldz);
	sizes_work(s, c, p);
	position = (int64_t)(layout_head(kv, c->lanes) / KV_BLOCK *
	    (size_t)c->heads * (size_t)cuda_layers(p));
	if (n <= 0)
		n = sizes_positions(c, position, free_bytes - SIZES_SPARE -
		    (int64_t)(p->size + s->work + s->adapters));
	if (n > SIZES_POSITIONS)
		n = SIZES_POSITIONS;
	s->blocks = (n + KV_BLOCK - 1) / KV_BLOCK;
	s->layer = layout_head(kv, c->lanes) * (size_t)c->heads *
	    (size_t)s->blocks;
}

/* In the engine's terms. */
void
cuda_sizes_plan(const struct cuda_pieces *p, const struct cuda_sizes *s,
    int64_t free_bytes, struct backend_plan *out)
{
	out->precision = cuda_precision_names[p->precision];
	out->kv_precision = sizes_kv_names[s->kv];
	out->weights = (int64_t)p->size;
	out->cache = (int64_t)s->layer * cuda_layers(p);
	out->work = (int64_t)(s->work + s->adapters);
	out->total = out->weights + out->cache + out->work;
	out->free = free_bytes;
}

/* The largest precision after p's that fits, or a word about the cache. */
static void
sizes_advice(const struct cuda_pieces *p, const struct cuda_sizes *s,
    const struct backend_options *opt, int64_t free_bytes, char *out,
    size_t size)
{
	struct cuda_pieces	 less;
	struct cuda_sizes	 need;
	char			 text[BYTES_TEXT];
	int			 i, fits = 0;
	int64_t			 total = 0;

	for (i = p->precision + 1; i < CUDA_PRECISIONS && !fits; i++) {
		cuda_pieces_range(&less, &p->config, (enum cuda_precision)i,
		    p->first, p->end);
		cuda_sizes_init(&need, &p->config, &less, s->kv == CUDA_I8 ?
		    CUDA_I8 : less.act, opt, free_bytes);
		total = (int64_t)(less.size + need.work + need.adapters) +
		    (int64_t)need.layer * cuda_layers(p);
		fits = total <= free_bytes;
		cuda_pieces_clear(&less);
	}
	if (fits)
		snprintf(out, size, "try %s (%s)", cuda_precision_names[i - 1],
		    bytes_text(total, text));
	else if ((int64_t)(p->size + s->work + s->adapters) < free_bytes)
		snprintf(out, size, "%s of it are for the cache, see "
		    "kv_tokens and kv_precision", bytes_text(
		    (int64_t)s->layer * cuda_layers(p), text));
	else
		snprintf(out, size, "the least is %s in %s",
		    bytes_text(total > 0 ? total : (int64_t)p->size, text),
		    cuda_precision_names[CUDA_PRECISIONS - 1]);
}

/* Does it fit? */
int
cuda_sizes_check(const struct backend_host *h, struct model *m,
    const struct cuda_pieces *p, const struct cuda_sizes *s,
    const struct backend_options *opt, int64_t free_bytes, struct fault *f)
{
	struct backend_plan	 plan;
	char			 all[BYTES_TEXT], left[BYTES_TEXT];
	char			 one[BYTES_TEXT], advice[128];
	int64_t			 tokens = s->blocks * KV_BLOCK;

	cuda_sizes_plan(p, s, free_bytes, &plan);
	bytes_text(free_bytes, left);
	if (plan.total <= free_bytes && cuda_layers(p) < p->config.layers)
		return (0);	/* the engine has reported its stages */
	if (plan.total <= free_bytes) {
		h->info("%s: %s needs %s and %s a token of cache; %s are free "
		    "on %s: %lld tokens of cache", h->path(m), plan.precision,
		    bytes_text(plan.weights + plan.work, all),
		    bytes_text(plan.cache / tokens, one), left, opt->device,
		    (long long)tokens);
		return (0);
	}
	sizes_advice(p, s, opt, free_bytes, advice, sizeof advice);
	h->fault(f, "no_memory", "precision", "%s: needs %s in %s, %s are free "
	    "on %s: %s", h->path(m), bytes_text(plan.total, all),
	    plan.precision, left, opt->device, advice);
	return (CHAT_ENOMEM);
}

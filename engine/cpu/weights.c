/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for weights, and the pointers into it.
 */
#include "weights.h"

#include <sys/mman.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert.h"
#include "dtype.h"
#include "layout_index.h"
#include "packed.h"
#include "xmalloc.h"

#define HUGE_PAGE	(2 * 1024 * 1024)
#define WEIGHTS_STEP	((size_t)64 * 1024 * 1024)	/* mapped at a time */

static int	weights_fill(struct weights *, struct model *,
		    const struct layout *, struct pool *,
		    const struct backend_options *, struct fault *);
static int	weights_map(struct weights *, const struct packed *,
		    const struct backend_options *, struct fault *);
static void	weights_bind(struct weights *, const struct layout *,
		    const struct packed *);

/* Load everything. */
int
weights_load(struct model *m, const struct layout *l, struct pool *pool,
    const struct backend_options *opt, struct weights **out, struct fault *f)
{
	const struct packed	*p = model_packed(m);
	struct weights		*w = xcalloc(1, sizeof *w);
	int			 r;

	w->precision = l->precision;
	w->parameters = model_parameters(m);
	if (p == NULL)
		r = weights_fill(w, m, l, pool, opt, f);
	else if ((r = weights_check(l, p, f)) == 0)
		r = weights_map(w, p, opt, f);
	if (r == 0) {
		weights_bind(w, l, p);
		*out = w;
		w = NULL;
	}
	weights_free(w);
	return (r);
}

/* Allocate memory and fill it from the model's files. */
static int
weights_fill(struct weights *w, struct model *m, const struct layout *l,
    struct pool *pool, const struct backend_options *opt, struct fault *f)
{
	w->size = ROUND_UP(l->size, HUGE_PAGE);
	w->memory = mmap(NULL, w->size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->memory == MAP_FAILED) {
		w->memory = NULL;
		fault_set(f, "no_memory", NULL, "%s: no memory for %zu MiB "
		    "of weights in %s", model_path(m), l->size >> 20,
		    precision_name(l->precision));
		return (CHAT_ENOMEM);
	}
	(void)madvise(w->memory, w->size, MADV_HUGEPAGE);
	return (convert_model(m, l, w->memory, pool, opt, f));
}

/* Check the pieces of a packed file. */
int
weights_check(const struct layout *l, const struct packed *p,
    struct fault *f)
{
	const struct st_tensor	*t;
	const struct piece	*q;
	char			 name[TENSOR_NAME_MAX];
	size_t			 i;

	for (i = 0; i < l->n; i++) {
		q = &l->pieces[i];
		layout_name(q, name);
		if ((t = packed_find(p, name)) == NULL)
			return (fault_set(f, "bad_model", NULL, "%s: %s: "
			    "expected a tensor of that name, found none",
			    p->path, name));
		if (strcmp(t->dtype_name, q->dtype) != 0 ||
		    t->dims != q->dims || memcmp(t->shape, q->shape,
		    (size_t)q->dims * sizeof *q->shape) != 0)
			return (fault_set(f, "bad_model", NULL, "%s: %s: "
			    "type or shape is not that of %s in %s", p->path,
			    name, p->name, p->precision));
	}
	return (0);
}

/* Map a packed file and read it into memory. */
static int
weights_map(struct weights *w, const struct packed *p,
    const struct backend_options *opt, struct fault *f)
{
	size_t	 at, n;

	w->size = (size_t)(p->size - p->data);
	w->memory = mmap(NULL, w->size, PROT_READ, MAP_SHARED, p->fd,
	    (off_t)p->data);
	if (w->memory == MAP_FAILED) {
		w->memory = NULL;
		return (fault_set(f, "bad_model", NULL, "%s: mapping: %s",
		    p->path, strerror(errno)));
	}
	for (at = 0; at < w->size; at += n) {
		n = w->size - at < WEIGHTS_STEP ? w->size - at : WEIGHTS_STEP;
		if (opt->progress != NULL)
			opt->progress(opt->progress_arg, (int64_t)at,
			    (int64_t)w->size);
		/* A kernel too old for this reads each page when it is
		 * first used. */
		(void)madvise((uint8_t *)w->memory + at, n,
		    MADV_POPULATE_READ);
	}
	if (opt->progress != NULL)
		opt->progress(opt->progress_arg, (int64_t)at,
		    (int64_t)w->size);
	return (0);
}

/* The arguments that all functions of binding need. */
struct binder {
	const struct weights	*w;
	const struct layout	*l;
	const struct packed	*packed;	/* NULL: not a packed file */
};

/* The address of a piece, or NULL if the model does not have it. */
static const void *
weights_at(const struct binder *b, enum tensor part, int layer, int scales)
{
	const struct piece	*q = layout_find(b->l, part, layer, scales);
	char			 name[TENSOR_NAME_MAX];
	size_t			 at;

	if (q == NULL)
		return (NULL);
	at = q->at;
	if (b->packed != NULL) {
		layout_name(q, name);
		at = (size_t)packed_find(b->packed, name)->begin;
	}
	return ((const uint8_t *)b->w->memory + at);
}

/* Bind a matrix and its bias. bias is TENSOR_COUNT if there is none. A matrix
 * of another stage is all zero. */
static struct matrix
weights_matrix(const struct binder *b, enum tensor part, enum tensor bias,
    int layer)
{
	const struct piece	*q = layout_find(b->l, part, layer, 0);
	struct matrix		 m = { 0 };
	int64_t			 rows, cols;

	if (q == NULL)
		return (m);
	tensor_shape(part, &b->l->config, &rows, &cols);
	m.elem = q->elem;
	m.N = (int)rows;
	m.K = (int)cols;
	m.panels = weights_at(b, part, layer, 0);
	m.scales = weights_at(b, part, layer, 1);
	if (bias != TENSOR_COUNT)
		m.bias = weights_at(b, bias, layer, 0);
	return (m);
}

/* Bind a norm. */
static struct norm
weights_norm(const struct binder *b, enum tensor gain, enum tensor bias,
    int layer)
{
	return ((struct norm){ weights_at(b, gain, layer, 0),
	    weights_at(b, bias, layer, 0) });
}

/* Bind all matrices and norms. */
static void
weights_bind(struct weights *w, const struct layout *l,
    const struct packed *p)
{
	struct binder	 b = { w, l, p };
	struct layer	*y;
	int		 i;

	w->layers = xcalloc((size_t)(l->end - l->first), sizeof *w->layers);
	for (i = l->first; i < l->end; i++) {
		y = &w->layers[i - l->first];
		y->norm1 = weights_norm(&b, TENSOR_NORM1, TENSOR_NORM1_BIAS,
		    i);
		y->norm2 = weights_norm(&b, TENSOR_NORM2, TENSOR_NORM2_BIAS,
		    i);
		y->qkv = weights_matrix(&b, TENSOR_QKV, TENSOR_QKV_BIAS, i);
		y->attn = weights_matrix(&b, TENSOR_ATTN, TENSOR_ATTN_BIAS,
		    i);
		y->up = weights_matrix(&b, TENSOR_UP, TENSOR_UP_BIAS, i);
		y->down = weights_matrix(&b, TENSOR_DOWN, TENSOR_DOWN_BIAS,
		    i);
	}
	w->embed = weights_matrix(&b, TENSOR_EMBED, TENSOR_COUNT, 0);
	w->head = l->config.tied ? w->embed :
	    weights_matrix(&b, TENSOR_HEAD, TENSOR_COUNT, 0);
	w->norm = weights_norm(&b, TENSOR_NORM, TENSOR_NORM_BIAS, 0);
}

/* Release everything. */
void
weights_free(struct weights *w)
{
	if (w == NULL)
		return;
	if (w->memory != NULL)
		munmap(w->memory, w->size);
	free(w->layers);
	free(w);
}

/* Convert a bf16 or fp16 to a float. */
static float
weights_widen(enum dtype t, uint16_t h)
{
	float	 x;

	dtype_to_f32(t, &h, &x, 1);
	return (x);
}

/* One token's embedding: a column of a panel. */
void
weights_embed(const struct weights *w, int32_t token, float *out)
{
	const struct matrix *m = &w->embed;
	const size_t	 K = (size_t)layout_columns(m->elem, m->K);
	const size_t	 n = (size_t)token;
	const float	*s = m->panels, *scale = m->scales;
	const uint16_t	*h = m->panels, *half = m->scales;
	const uint8_t	*u = m->panels;
	size_t		 k, i;

	for (k = 0; k < (size_t)m->K; k++) {
		i = layout_index(m->elem, K, n, k);
		switch (m->elem) {
		case ELEM_F32:
			out[k] = s[i];
			break;
		case ELEM_BF16:
			out[k] = weights_widen(DTYPE_BF16, h[i]);
			break;
		case ELEM_I8:
			out[k] = (float)(u[i] - 128) * scale[n];
			break;
		case ELEM_I4:
			out[k] = (float)((u[i] >> layout_shift(k) & 15) - 8) *
			    weights_widen(DTYPE_F16, half[layout_scale(ELEM_I4,
			    K, n, k)]);
			break;
		case ELEM_Q8:
			break;	/* in the KV cache only */
		}
	}
}

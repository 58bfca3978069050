/*
 * Weights from a model's files into panels, a slice of rows at a time.
 */
#include "weights.h"

#include <sys/mman.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dtype.h"
#include "tensors.h"
#include "xmalloc.h"

#define SLICE_FLOATS	(1024 * 1024)	/* of a matrix read at a time */
#define HUGE_PAGE	(2 * 1024 * 1024)

/* What loading needs at every turn. */
struct loader {
	struct model			*model;
	const struct backend_options	*opt;
	struct weights			*w;
	float				*slice;	/* owned */
	struct fault			*f;
};

static int	weights_layer(struct loader *, int);
static int	weights_matrix(struct loader *, enum tensor, enum tensor, int,
		    struct matrix *);
static int	weights_panels(struct loader *, const char *, int64_t, int64_t,
		    struct matrix *);
static int	weights_vector(struct loader *, enum tensor, int, float **);
static int	weights_norm(struct loader *, enum tensor, enum tensor, int,
		    struct norm *);
static int	weights_rows(struct loader *, const char *);
static int	weights_check(struct loader *, const char *, const float *,
		    size_t, int64_t, int64_t);

/* Memory for weights; large pieces start at a huge page. NULL: none left. */
static void *
weights_alloc(size_t size)
{
	size_t	 align = size >= HUGE_PAGE ? HUGE_PAGE : 64;
	void	*p;

	if (posix_memalign(&p, align, ROUND_UP(size, align)) != 0)
		return (NULL);
	if (align == HUGE_PAGE)
		(void)madvise(p, ROUND_UP(size, align), MADV_HUGEPAGE);
	return (p);
}

/* Tell how far we are. */
static void
weights_progress(struct loader *ld, int layers)
{
	if (ld->opt->progress != NULL)
		ld->opt->progress(ld->opt->progress_arg, layers, ld->w->L,
		    model_bytes_read(ld->model), model_bytes(ld->model));
}

/* Load everything. */
int
weights_load(struct model *m, enum elem elem,
    const struct backend_options *opt, struct weights **out, struct fault *f)
{
	const struct model_config *c = model_config(m);
	struct loader	 ld = { .model = m, .opt = opt, .f = f };
	struct weights	*w = ld.w = xcalloc(1, sizeof *w);
	int		 l, r;

	w->elem = elem;
	w->L = c->layers;
	w->layers = xcalloc((size_t)w->L, sizeof *w->layers);
	ld.slice = xcalloc((size_t)SLICE_FLOATS +
	    PANEL * (size_t)(c->inner > c->channels ? c->inner : c->channels),
	    sizeof(float));
	weights_progress(&ld, 0);
	if (c->tied)
		r = weights_matrix(&ld, TENSOR_EMBED, TENSOR_COUNT, 0,
		    &w->head);
	else if ((r = weights_rows(&ld, "gpt_neox.embed_in.weight")) == 0)
		r = weights_matrix(&ld, TENSOR_HEAD, TENSOR_COUNT, 0,
		    &w->head);
	if (r == 0)
		r = weights_norm(&ld, TENSOR_NORM, TENSOR_NORM_BIAS, 0,
		    &w->norm);
	for (l = 0; l < w->L && r == 0; l++)
		if ((r = weights_layer(&ld, l)) == 0)
			weights_progress(&ld, l + 1);
	free(ld.slice);
	if (r == 0) {
		*out = w;
		w = NULL;
	}
	weights_free(w);
	return (r);
}

/* One layer. */
static int
weights_layer(struct loader *ld, int l)
{
	struct layer	*y = &ld->w->layers[l];
	int		 r;

	if ((r = weights_norm(ld, TENSOR_NORM1, TENSOR_NORM1_BIAS, l,
	    &y->norm1)) != 0 ||
	    (r = weights_norm(ld, TENSOR_NORM2, TENSOR_NORM2_BIAS, l,
	    &y->norm2)) != 0 ||
	    (r = weights_matrix(ld, TENSOR_QKV, TENSOR_QKV_BIAS, l,
	    &y->qkv)) != 0 ||
	    (r = weights_matrix(ld, TENSOR_ATTN, TENSOR_ATTN_BIAS, l,
	    &y->attn)) != 0 ||
	    (r = weights_matrix(ld, TENSOR_UP, TENSOR_UP_BIAS, l,
	    &y->up)) != 0 ||
	    (r = weights_matrix(ld, TENSOR_DOWN, TENSOR_DOWN_BIAS, l,
	    &y->down)) != 0)
		return (r);
	return (0);
}

/* A matrix, and its bias if the model has one (TENSOR_COUNT: never). */
static int
weights_matrix(struct loader *ld, enum tensor weight, enum tensor bias,
    int l, struct matrix *m)
{
	const struct model_config *c = model_config(ld->model);
	char	 name[TENSOR_NAME_MAX];
	int64_t	 rows, cols;
	int	 r;

	tensor_name(weight, l, name);
	tensor_shape(weight, c, &rows, &cols);
	if ((r = weights_panels(ld, name, rows, cols, m)) != 0)
		return (r);
	if (bias == TENSOR_COUNT || !tensor_wanted(bias, c))
		return (0);
	return (weights_vector(ld, bias, l, &m->bias));
}

/* Put one row of weights into its column of a panel. */
static void
weights_put_row(enum elem elem, void *panel, int col, const float *row,
    int64_t K)
{
	uint16_t	*h = panel;
	float		*s = panel;
	int64_t		 k;

	if (elem == ELEM_BF16)
		for (k = 0; k < K; k++)
			h[k / 2 * 32 + col * 2 + k % 2] = dtype_bf16(row[k]);
	else
		for (k = 0; k < K; k++)
			s[k / 2 * 32 + k % 2 * 16 + col] = row[k];
}

/* A matrix of N rows and K columns as panels. */
static int
weights_panels(struct loader *ld, const char *name, int64_t N, int64_t K,
    struct matrix *m)
{
	const enum elem	 elem = ld->w->elem;
	const size_t	 panel = (size_t)K * PANEL * ELEM_SIZE(elem);
	int64_t		 step = SLICE_FLOATS / K / PANEL * PANEL, n, count, i;
	uint8_t		*at;
	int		 r;

	m->N = (int)N;
	m->K = (int)K;
	m->panels = weights_alloc(ROUND_UP((size_t)N, PANEL) / PANEL * panel);
	if (m->panels == NULL) {
		fault_set(ld->f, "bad_model", NULL,
		    "%s: no memory for %lld x %lld weights", name,
		    (long long)N, (long long)K);
		return (CHAT_ENOMEM);
	}
	if (step < PANEL)
		step = PANEL;
	for (n = 0; n < N; n += count) {
		count = N - n < step ? N - n : step;
		if ((r = model_read_rows(ld->model, name, N, K, n, count,
		    ld->slice, ld->f)) != 0 ||
		    (r = weights_check(ld, name, ld->slice, (size_t)count *
		    (size_t)K, n, K)) != 0)
			return (r);
		for (i = 0; i < count; i++) {
			at = (uint8_t *)m->panels +
			    (size_t)((n + i) / PANEL) * panel;
			if ((n + i) % PANEL == 0)
				memset(at, 0, panel);
			weights_put_row(elem, at, (int)((n + i) % PANEL),
			    ld->slice + i * K, K);
		}
	}
	return (0);
}

/* The embedding, row by row as in the file. */
static int
weights_rows(struct loader *ld, const char *name)
{
	const struct model_config *c = model_config(ld->model);
	const int64_t	 V = c->vocab, C = c->channels;
	const enum elem	 elem = ld->w->elem;
	int64_t		 step = SLICE_FLOATS / C, n, count, i;
	int		 r;

	ld->w->embed = weights_alloc((size_t)(V * C) * ELEM_SIZE(elem));
	if (ld->w->embed == NULL) {
		fault_set(ld->f, "bad_model", NULL,
		    "%s: no memory for %lld x %lld weights", name,
		    (long long)V, (long long)C);
		return (CHAT_ENOMEM);
	}
	for (n = 0; n < V; n += count) {
		count = V - n < step ? V - n : step;
		if ((r = model_read_rows(ld->model, name, V, C, n, count,
		    ld->slice, ld->f)) != 0 ||
		    (r = weights_check(ld, name, ld->slice, (size_t)(count *
		    C), n, C)) != 0)
			return (r);
		for (i = 0; i < count * C; i++)
			if (elem == ELEM_BF16)
				((uint16_t *)ld->w->embed)[n * C + i] =
				    dtype_bf16(ld->slice[i]);
			else
				((float *)ld->w->embed)[n * C + i] =
				    ld->slice[i];
	}
	return (0);
}

/* Gain and bias of a layer norm. */
static int
weights_norm(struct loader *ld, enum tensor gain, enum tensor bias, int l,
    struct norm *out)
{
	int	 r;

	if ((r = weights_vector(ld, gain, l, &out->gain)) != 0)
		return (r);
	return (weights_vector(ld, bias, l, &out->bias));
}

/* A vector in fp32, filled up with zeros. */
static int
weights_vector(struct loader *ld, enum tensor t, int l, float **out)
{
	char	 name[TENSOR_NAME_MAX];
	int64_t	 rows, cols;
	int	 r;

	tensor_name(t, l, name);
	tensor_shape(t, model_config(ld->model), &rows, &cols);
	*out = xcalloc(ROUND_UP((size_t)rows, PANEL), sizeof **out);
	if ((r = model_read(ld->model, name, rows, 0, *out, ld->f)) != 0)
		return (r);
	return (weights_check(ld, name, *out, (size_t)rows, 0, 1));
}

/* Refuse what is not finite, and count what was read. first is the row of
 * x[0], cols the length of a row. */
static int
weights_check(struct loader *ld, const char *name, const float *x, size_t n,
    int64_t first, int64_t cols)
{
	const int	 bf16 = ld->w->elem == ELEM_BF16;
	size_t		 i;

	for (i = 0; i < n; i++) {
		if (isfinite(x[i]) && (!bf16 ||
		    (dtype_bf16(x[i]) & 0x7f80) != 0x7f80))
			continue;
		return (fault_set(ld->f, "bad_model", NULL,
		    "%s: %s: expected finite numbers, found %g in row %lld, "
		    "column %lld%s", model_path(ld->model), name,
		    (double)x[i], (long long)(first + (int64_t)i / cols),
		    (long long)((int64_t)i % cols),
		    isfinite(x[i]) ? ", too large for bf16" : ""));
	}
	ld->w->parameters += (int64_t)n;
	return (0);
}

/* Release a matrix. */
static void
weights_matrix_clear(struct matrix *m)
{
	free(m->panels);
	free(m->bias);
}

/* Release a norm. */
static void
weights_norm_clear(struct norm *n)
{
	free(n->gain);
	free(n->bias);
}

/* Release everything. */
void
weights_free(struct weights *w)
{
	int	 l;

	if (w == NULL)
		return;
	for (l = 0; l < w->L; l++) {
		weights_norm_clear(&w->layers[l].norm1);
		weights_norm_clear(&w->layers[l].norm2);
		weights_matrix_clear(&w->layers[l].qkv);
		weights_matrix_clear(&w->layers[l].attn);
		weights_matrix_clear(&w->layers[l].up);
		weights_matrix_clear(&w->layers[l].down);
	}
	free(w->layers);
	weights_matrix_clear(&w->head);
	weights_norm_clear(&w->norm);
	free(w->embed);
	free(w);
}

/* A bf16 as a float. */
static float
weights_widen(uint16_t h)
{
	uint32_t	 bits = (uint32_t)h << 16;
	float		 x;

	memcpy(&x, &bits, sizeof x);
	return (x);
}

/* One token's embedding, out of rows or out of the head's panels. */
void
weights_embed(const struct weights *w, int32_t token, int C, float *out)
{
	const size_t	 row = (size_t)token * (size_t)C;
	const size_t	 panel = (size_t)(token / PANEL) * PANEL * (size_t)C;
	const size_t	 col = (size_t)token % PANEL;
	const float	*s = w->embed;
	const uint16_t	*h = w->embed;
	size_t		 k;

	if (w->embed == NULL) {
		s = (const float *)w->head.panels + panel;
		h = (const uint16_t *)w->head.panels + panel;
	}
	for (k = 0; k < (size_t)C; k++)
		if (w->elem == ELEM_BF16)
			out[k] = weights_widen(w->embed != NULL ? h[row + k] :
			    h[k / 2 * 32 + col * 2 + k % 2]);
		else
			out[k] = w->embed != NULL ? s[row + k] :
			    s[k / 2 * 32 + k % 2 * 16 + col];
}

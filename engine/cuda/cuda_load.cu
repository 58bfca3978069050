/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading: all memory of the device is allocated first, then the pieces go
 * there, each through two pinned buffers, so that one is filled while the
 * other is copied.
 */
#include "cuda.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_convert.h"
#include "cuda_fail.h"

extern "C" {
#include "packed_write.h"
}

#define LOAD_BUFFER	((size_t)16 << 20)	/* bytes of a pinned buffer */
#define LOAD_BUFFERS	2

/* A load in progress. */
struct load {
	struct cuda	*c;
	uint8_t		*pinned[LOAD_BUFFERS];	/* owned */
	cudaEvent_t	 copied[LOAD_BUFFERS];	/* owned: the buffer is free */
	int		 next;			/* buffer */
	uint8_t		*image[4];	/* owned: a piece of each kind, */
	uint8_t		*image2[4];	/* and of the tied matrix */
	size_t		 room[4], room2[4];
};

/* Wait for the next buffer; NULL and an error if the device failed. */
static cudaError_t
load_buffer(struct load *l, uint8_t **out)
{
	*out = l->pinned[l->next];
	return (cudaEventSynchronize(l->copied[l->next]));
}

/* Send n bytes of the buffer to place at of the weights. */
static cudaError_t
load_send(struct load *l, size_t at, size_t n)
{
	cudaError_t	 e;

	e = cudaMemcpyAsync(l->c->weights + at, l->pinned[l->next], n,
	    cudaMemcpyHostToDevice, l->c->stream);
	if (e == cudaSuccess)
		e = cudaEventRecord(l->copied[l->next], l->c->stream);
	l->next = (l->next + 1) % LOAD_BUFFERS;
	return (e);
}

/* Memory for a piece. */
static uint8_t *
load_begin(void *arg, const struct cuda_piece *q)
{
	struct load	*l = (struct load *)arg;
	const int	 second = q->part == TENSOR_HEAD;
	uint8_t		**image = second ? &l->image2[q->kind] :
			    &l->image[q->kind];
	size_t		*room = second ? &l->room2[q->kind] :
			    &l->room[q->kind];

	if (*room < q->size) {
		free(*image);
		*image = (uint8_t *)aligned_alloc(256, q->size);
		if (*image == NULL)
			abort();
		*room = q->size;
	}
	return (*image);
}

/* A filled piece goes to the device. */
static int
load_done(void *arg, const struct cuda_piece *q, uint8_t *bytes,
    struct fault *f)
{
	struct load	*l = (struct load *)arg;
	cudaError_t	 e = cudaSetDevice(l->c->index);
	uint8_t		*to;
	size_t		 at, n;

	for (at = 0; at < q->size && e == cudaSuccess; at += n) {
		n = q->size - at < LOAD_BUFFER ? q->size - at : LOAD_BUFFER;
		if ((e = load_buffer(l, &to)) != cudaSuccess)
			break;
		memcpy(to, bytes + at, n);
		e = load_send(l, q->at + at, n);
	}
	if (e == cudaSuccess)
		return (0);
	return (cuda_fault(l->c->h, l->c->name, "loading the weights", e, f));
}

/* The pieces of a packed file, straight into the buffers. */
static int
load_packed(struct load *l, struct model *m, const struct backend_options *opt,
    struct fault *f)
{
	const struct backend_host	*h = l->c->h;
	const struct cuda_piece		*q;
	struct packed_tensor		 t;
	char				 name[TENSOR_NAME_MAX];
	cudaError_t			 e;
	uint8_t				*to;
	size_t				 at, n;
	int				 i, r;

	if ((r = cuda_load_check(h, m, &l->c->pieces, f)) != 0)
		return (r);
	for (i = 0; i < l->c->pieces.n; i++) {
		q = &l->c->pieces.list[i];
		cuda_pieces_name(q, name);
		(void)h->packed_find(m, name, &t);
		for (at = 0; at < q->size; at += n) {
			n = q->size - at < LOAD_BUFFER ? q->size - at :
			    LOAD_BUFFER;
			if ((e = load_buffer(l, &to)) != cudaSuccess)
				return (cuda_fault(h, l->c->name,
				    "loading the weights", e, f));
			if ((r = h->packed_read(m, t.begin + at, n, to,
			    f)) != 0)
				return (r);
			if ((e = load_send(l, q->at + at, n)) != cudaSuccess)
				return (cuda_fault(h, l->c->name,
				    "loading the weights", e, f));
		}
		if (opt->progress != NULL)
			opt->progress(opt->progress_arg, (int64_t)(q->at +
			    q->size), (int64_t)l->c->pieces.size);
	}
	return (0);
}

/* Load all weights. */
static int
load_weights(struct cuda *c, struct model *m,
    const struct backend_options *opt, struct fault *f)
{
	struct load		 l = {};
	const struct cuda_sink	 sink = { load_begin, load_done, &l };
	cudaError_t		 e = cudaSuccess;
	int			 i, r;

	l.c = c;
	for (i = 0; i < LOAD_BUFFERS && e == cudaSuccess; i++)
		if ((e = cudaMallocHost((void **)&l.pinned[i],
		    LOAD_BUFFER)) == cudaSuccess)
			e = cudaEventCreateWithFlags(&l.copied[i],
			    cudaEventDisableTiming);
	if (e != cudaSuccess)
		r = cuda_fault(c->h, c->name, "buffers for loading", e, f);
	else if (c->h->packed_precision(m) != NULL)
		r = load_packed(&l, m, opt, f);
	else
		r = cuda_convert(c->h, m, &c->pieces, opt, &sink, f);
	/* Another stage may have made its device the current one. */
	if ((e = cudaSetDevice(c->index)) == cudaSuccess)
		e = cudaStreamSynchronize(c->stream);
	if (r == 0 && e != cudaSuccess)
		r = cuda_fault(c->h, c->name, "loading the weights", e, f);
	for (i = 0; i < LOAD_BUFFERS; i++) {
		if (l.copied[i] != NULL)
			(void)cudaEventDestroy(l.copied[i]);
		if (l.pinned[i] != NULL)
			(void)cudaFreeHost(l.pinned[i]);
	}
	for (i = 0; i < 4; i++) {
		free(l.image[i]);
		free(l.image2[i]);
	}
	return (r);
}

/* Device memory, all of it zero. */
static int
load_alloc(struct cuda *c, size_t n, const char *what, uint8_t **out,
    struct fault *f)
{
	cudaError_t	 e;

	if ((e = cudaMalloc((void **)out, n)) != cudaSuccess) {
		*out = NULL;
		return (cuda_fault(c->h, c->name, what, e, f));
	}
	if ((e = cudaMemsetAsync(*out, 0, n, c->stream)) != cudaSuccess)
		return (cuda_fault(c->h, c->name, what, e, f));
	return (0);
}

/* The device's memory, and the machine's for input and results. */
static int
load_memory(struct cuda *c, struct fault *f)
{
	const struct cuda_sizes	*s = &c->sizes;
	const size_t		 T = (size_t)s->rows;
	const size_t		 seen = T * (size_t)best_words(c->config.vocab);
	const int		 last = c->pieces.end == c->config.layers;
	cudaError_t		 e;
	int			 r;

	if ((r = load_alloc(c, c->pieces.size, "memory for the weights",
	    &c->weights, f)) != 0 ||
	    (r = load_alloc(c, s->layer * (size_t)cuda_layers(&c->pieces),
	    "memory for the cache", &c->cache, f)) != 0 ||
	    (r = load_alloc(c, s->work, "memory for a step", &c->work,
	    f)) != 0)
		return (r);
	if ((e = cudaMallocHost((void **)&c->host_input, (c->input.size +
	    seen + T * 2 * BEST_MAX) * sizeof(int32_t))) != cudaSuccess ||
	    (last && (e = cudaMallocHost((void **)&c->host_logits, T *
	    (size_t)c->config.vocab * sizeof(float))) != cudaSuccess) ||
	    (cuda_layers(&c->pieces) < c->config.layers &&
	    (e = cudaMallocHost((void **)&c->host_x, T *
	    (size_t)c->config.channels * sizeof(float))) != cudaSuccess))
		return (cuda_fault(c->h, c->name, "pinned memory of the "
		    "machine", e, f));
	c->host_seen = (uint32_t *)c->host_input + c->input.size;
	c->host_best = c->host_input + c->input.size + seen;
	return (0);
}

/*
 * The angles of all positions: cos and sin of pos * base^(-2i / rotary), in
 * double. Source: Su et al. 2021, "RoFormer", 3.4.2.
 */
static int
load_angles(struct cuda *c, struct fault *f)
{
	const struct model_config *mc = &c->config;
	const size_t	 n = (size_t)mc->context * (size_t)mc->rotary;
	float		*t = (float *)malloc(n * sizeof *t);
	cudaError_t	 e;
	double		 angle;
	int		 pos, i;

	if (t == NULL)
		abort();
	for (pos = 0; pos < mc->context; pos++)
		for (i = 0; i < mc->rotary / 2; i++) {
			angle = pos * pow((double)mc->rotary_base, -2.0 * i /
			    mc->rotary);
			t[(size_t)pos * (size_t)mc->rotary + (size_t)i * 2] =
			    (float)cos(angle);
			t[(size_t)pos * (size_t)mc->rotary + (size_t)i * 2 +
			    1] = (float)sin(angle);
		}
	e = cudaMemcpy(c->work + c->sizes.angles, t, n * sizeof *t,
	    cudaMemcpyHostToDevice);
	free(t);
	if (e == cudaSuccess)
		return (0);
	return (cuda_fault(c->h, c->name, "the table of positions", e, f));
}

/* A vector on the device, or NULL. */
static const float *
load_vector(const struct cuda *c, enum tensor part, int layer)
{
	const struct cuda_piece	*q = cuda_pieces_find(&c->pieces, part, layer,
				    PIECE_VECTOR);

	return (q != NULL ? (const float *)(c->weights + q->at) : NULL);
}

/* A matrix on the device. */
static void
load_matrix(const struct cuda *c, enum tensor part, int layer,
    const float *bias, struct product_part *out)
{
	const struct cuda_piece	*q = cuda_pieces_find(&c->pieces, part, layer,
				    PIECE_MATRIX);
	const struct cuda_piece	*s = cuda_pieces_find(&c->pieces, part, layer,
				    PIECE_SCALES);

	memset(out, 0, sizeof *out);
	out->w = c->weights + q->at;
	out->scale = s != NULL ? (const float *)(c->weights + s->at) : NULL;
	out->bias = bias;
	out->N = q->N;
	out->K = q->K;
}

/* Point the layers into the weights. */
static void
load_layers(struct cuda *c)
{
	struct cuda_layer	*y;
	int			 i;

	c->layers = (struct cuda_layer *)calloc(
	    (size_t)cuda_layers(&c->pieces), sizeof *c->layers);
	if (c->layers == NULL)
		abort();
	for (i = c->pieces.first; i < c->pieces.end; i++) {
		y = &c->layers[i - c->pieces.first];
		load_matrix(c, TENSOR_QKV, i, load_vector(c, TENSOR_QKV_BIAS,
		    i), &y->qkv);
		load_matrix(c, TENSOR_ATTN, i, load_vector(c, TENSOR_ATTN_BIAS,
		    i), &y->attn);
		load_matrix(c, TENSOR_UP, i, load_vector(c, TENSOR_UP_BIAS, i),
		    &y->up);
		load_matrix(c, TENSOR_DOWN, i, load_vector(c, TENSOR_DOWN_BIAS,
		    i), &y->down);
		y->gain[0] = load_vector(c, TENSOR_NORM1, i);
		y->bias[0] = load_vector(c, TENSOR_NORM1_BIAS, i);
		y->gain[1] = load_vector(c, TENSOR_NORM2, i);
		y->bias[1] = load_vector(c, TENSOR_NORM2_BIAS, i);
	}
	if (c->pieces.end == c->config.layers)
		load_matrix(c, TENSOR_HEAD, 0, NULL, &c->head);
	c->gain = load_vector(c, TENSOR_NORM, 0);
	c->bias = load_vector(c, TENSOR_NORM_BIAS, 0);
}

/* The places of a step's input. */
static void
load_input(struct cuda *c)
{
	const size_t	 T = (size_t)c->sizes.rows;

	c->input.tokens = 0;
	c->input.pos = T;
	c->input.items = 2 * T;
	c->input.wants = 4 * T;
	c->input.best = 5 * T;
	c->input.blocks = CUDA_INPUT_ROW * T;
	c->input.adapters = c->input.blocks - T;
	c->input.size = T * (CUDA_INPUT_ROW + (size_t)c->sizes.ldblocks);
}

/* Load a model. */
int
cuda_load(struct cuda *c, struct model *m, const struct backend_options *opt,
    struct fault *f)
{
	cudaError_t	 e;
	int		 r;

	if ((e = cudaStreamCreateWithFlags(&c->stream,
	    cudaStreamNonBlocking)) != cudaSuccess)
		return (cuda_fault(c->h, c->name, "a stream", e, f));
	load_input(c);
	if ((r = load_memory(c, f)) != 0 ||
	    (r = cuda_adapt_load(c, opt, f)) != 0 ||
	    (r = load_weights(c, m, opt, f)) != 0)
		return (r);
	load_layers(c);
	return (load_angles(c, f));
}

/* Release everything. */
void
cuda_unload(struct cuda *c)
{
	int	 i;

	if (c->stream != NULL)	/* another stage may have changed it */
		(void)cudaSetDevice(c->index);
	for (i = 0; i < 2 * CUDA_GRAPHS; i++)
		if (c->graphs[i / CUDA_GRAPHS][i % CUDA_GRAPHS] != NULL)
			(void)cudaGraphExecDestroy(c->graphs[i / CUDA_GRAPHS]
			    [i % CUDA_GRAPHS]);
	free(c->layers);
	(void)cudaFreeHost(c->host_input);
	(void)cudaFreeHost(c->host_logits);
	(void)cudaFreeHost(c->host_x);
	(void)cudaFree(c->weights);
	(void)cudaFree(c->cache);
	(void)cudaFree(c->work);
	(void)cudaFree(c->adapters);
	if (c->stream != NULL)
		(void)cudaStreamDestroy(c->stream);
	cuda_pieces_clear(&c->pieces);
}

/* Has a packed file each piece? */
int
cuda_load_check(const struct backend_host *h, struct model *m,
    const struct cuda_pieces *p, struct fault *f)
{
	const struct cuda_piece	*q;
	struct packed_tensor	 t;
	char			 name[TENSOR_NAME_MAX];
	int			 i;

	for (i = 0; i < p->n; i++) {
		q = &p->list[i];
		cuda_pieces_name(q, name);
		if (h->packed_find(m, name, &t) != 0)
			return (h->fault(f, "bad_model", NULL, "%s: expected a "
			    "tensor %s, found none", h->path(m), name));
		if (t.end - t.begin != q->size)
			return (h->fault(f, "bad_model", NULL, "%s: %s: "
			    "expected %zu bytes, found %llu", h->path(m), name,
			    q->size, (unsigned long long)(t.end - t.begin)));
	}
	return (0);
}

/* A packed file in progress. */
struct load_pack {
	const struct backend_host	*h;
	struct model			*m;
	const struct cuda_pieces	*p;
	const struct backend_options	*opt;
	uint8_t				*data;	/* borrowed: of the file */
};

/* A piece has its place in the file. */
static uint8_t *
load_pack_begin(void *arg, const struct cuda_piece *q)
{
	return (((struct load_pack *)arg)->data + q->at);
}

/* Nothing is left to do. */
static int
load_pack_done(void *, const struct cuda_piece *, uint8_t *, struct fault *)
{
	return (0);
}

/* Convert the weights into the file. */
static int
load_pack_fill(void *arg, uint8_t *data, struct fault *f)
{
	struct load_pack	*k = (struct load_pack *)arg;
	const struct cuda_sink	 sink = { load_pack_begin, load_pack_done, k };

	k->data = data;
	return (cuda_convert(k->h, k->m, k->p, k->opt, &sink, f));
}

/* Write a packed file. */
int
cuda_load_pack(const struct backend_host *h, struct model *m,
    const struct cuda_pieces *p, const struct backend_options *opt,
    const void *tables, size_t n, const char *out, struct fault *f)
{
	struct load_pack	 k = { h, m, p, opt, NULL };
	struct packed_job	 job = {};
	struct packed_tensor	*t;
	char			 (*names)[TENSOR_NAME_MAX];
	int			 i, r;

	t = (struct packed_tensor *)calloc((size_t)p->n, sizeof *t);
	names = (char (*)[TENSOR_NAME_MAX])calloc((size_t)p->n, sizeof *names);
	if (t == NULL || names == NULL)
		abort();
	for (i = 0; i < p->n; i++) {
		cuda_pieces_name(&p->list[i], names[i]);
		t[i].name = names[i];
		t[i].dtype = "U8";
		t[i].dims = 1;
		t[i].shape[0] = (int64_t)p->list[i].size;
		t[i].begin = p->list[i].at;
		t[i].end = p->list[i].at + p->list[i].size;
	}
	job.model = m;
	job.out = out;
	job.layout = LAYOUT_NAME;
	job.precision = cuda_precision_names[p->precision];
	job.tables = tables;
	job.ntables = n;
	job.tensors = t;
	job.n = (size_t)p->n;
	job.fill = load_pack_fill;
	job.arg = &k;
	r = h->packed_write(&job, f);
	free(t);
	free(names);
	return (r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For t_backend: a backend that is linked to nothing of the engine.  It reads
 * a model, and packs it, through backend_host alone.  Its step is trivial: the
 * logits follow from the sum of the bits of all weights.
 */
#include <config.h>

#include "module.h"

#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "packed_write.h"

#define HOST_TENSOR	"weights"
#define HOST_PIECE	1024	/* floats that a thread sums at once */

struct host_backend {
	struct backend		 b;	/* first */
	const struct backend_host *h;	/* borrowed */
	float			*weights; /* owned: tensor after tensor */
	int64_t			 n;	/* of them */
	uint64_t		*sums;	/* owned: of each piece */
	uint64_t		 sum;
	int			 vocab, context, layers, threads;
};

/* The destination of weights while they are read. */
struct host_load {
	const struct backend_host	*h;
	struct model			*m;
	const struct backend_options	*opt;
	float				*to;
	int64_t				 base, next;	/* of this tensor */
};

static void	host_free(struct backend *);
static int	host_step(struct backend *, const struct backend_row *, int);
static void	host_info(const struct backend *, struct backend_info *);

static const struct backend_ops host_ops = {
	.step = host_step,
	.info = host_info,
	.free = host_free
};

/* Is the host ours, and the precision one we have? */
static int
host_refuses(const struct backend_host *h,
    const struct backend_options *opt, struct fault *f)
{
	if (h->version != BACKEND_VERSION || h->size != sizeof *h)
		abort();
	if (strcmp(opt->precision, "auto") == 0 ||
	    strcmp(opt->precision, "fp32") == 0)
		return (0);
	return (h->fault(f, "bad_model", "precision", "%s: precision: "
	    "expected auto or fp32, found %.40s", opt->device,
	    opt->precision));
}

/* The memory that a model needs. */
static int
host_plan(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, struct backend_plan *out,
    struct fault *f)
{
	int	 r;

	if ((r = host_refuses(h, opt, f)) != 0)
		return (r);
	*out = (struct backend_plan){ .precision = "fp32",
		.kv_precision = "fp32", .weights = h->parameters(m) * 4,
		.cache = 1024, .work = opt->index, .free = h->memory_free() };
	out->total = out->weights + out->cache + out->work;
	return (0);
}

/* Take some rows. */
static int
host_slice(void *arg, const struct model_slice *s, struct fault *f)
{
	struct host_load	*l = arg;
	int64_t			 i, row;
	int			 r;

	if (s->first == 0) {
		l->base = l->next;
		l->next += s->rows * s->cols;
	}
	for (i = 0; i < s->count; i++) {
		row = s->rows > 1 ? l->h->row(l->m, s, s->first + i) : 0;
		if ((r = l->h->widen(s, i, l->to + l->base + row * s->cols,
		    f)) != 0)
			return (r);
	}
	if (l->opt->progress != NULL)
		l->opt->progress(l->opt->progress_arg, l->h->bytes_read(l->m),
		    l->h->bytes(l->m));
	return (0);
}

/* Fill the only tensor of a packed file. */
static int
host_fill(void *arg, uint8_t *data, struct fault *f)
{
	struct host_load	*l = arg;

	l->to = (float *)(void *)data;
	return (l->h->stream(l->m, host_slice, l, f));
}

/* Write a packed file. */
static int
host_pack(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, const void *tables, size_t n,
    const char *out, struct fault *f)
{
	struct host_load	 load = { .h = h, .m = m, .opt = opt };
	struct packed_tensor	 t = { .name = HOST_TENSOR, .dtype = "F32",
				    .dims = 1 };
	struct packed_job	 job = { .model = m, .out = out,
				    .layout = "sum-1", .precision = "fp32",
				    .tables = tables, .ntables = n,
				    .tensors = &t, .n = 1, .fill = host_fill,
				    .arg = &load };

	t.shape[0] = (h->parameters(m) + 15) / 16 * 16;
	t.end = (uint64_t)t.shape[0] * sizeof(float);
	return (h->packed_write(&job, f));
}

/* Is the tensor there? */
static int
host_check(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, struct fault *f)
{
	struct packed_tensor	 t;

	(void)opt;
	if (h->packed_find(m, HOST_TENSOR, &t) == 0 && t.dims == 1 &&
	    t.shape[0] >= h->parameters(m) &&
	    t.end - t.begin == (uint64_t)t.shape[0] * sizeof(float))
		return (0);
	return (h->fault(f, "bad_model", NULL, "%s: expected a tensor "
	    HOST_TENSOR, h->path(m)));
}

/* Read the weights of a packed file. */
static int
host_read_packed(struct host_backend *b, struct model *m, struct fault *f)
{
	struct packed_tensor	 t;

	if (b->h->packed_find(m, HOST_TENSOR, &t) != 0 ||
	    b->h->packed_find(m, "nothing", &t) != CHAT_ENOTFOUND)
		abort();
	return (b->h->packed_read(m, t.begin, (size_t)b->n *
	    sizeof *b->weights, b->weights, f));
}

/* Sum one piece. */
static void
host_sum(void *arg, int item, int thread)
{
	struct host_backend	*b = arg;
	int64_t			 i, end = ((int64_t)item + 1) * HOST_PIECE;
	uint32_t		 bits;

	if (thread >= b->threads)
		abort();
	for (i = (int64_t)item * HOST_PIECE; i < end && i < b->n; i++) {
		memcpy(&bits, &b->weights[i], sizeof bits);
		b->sums[item] += bits;
	}
}

/* Sum all, by threads. */
static void
host_sum_all(struct host_backend *b, int threads)
{
	const int	 n = (int)((b->n + HOST_PIECE - 1) / HOST_PIECE);
	struct pool	*pool = b->h->pool_new(threads);
	int		 i;

	b->threads = b->h->pool_size(pool);
	b->sums = calloc((size_t)n, sizeof *b->sums);
	if (b->sums == NULL)
		abort();
	b->h->pool_run(pool, n, host_sum, b);
	b->h->pool_free(pool);
	for (i = 0; i < n; i++)
		b->sum += b->sums[i];
}

/* Load a model. */
static int
host_open(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, struct backend **out, struct fault *f)
{
	const struct model_config *c = h->config(m);
	struct host_backend	*b;
	struct host_load	 load = { .h = h, .m = m, .opt = opt };
	int			 r;

	if ((r = host_refuses(h, opt, f)) != 0)
		return (r);
	if ((b = calloc(1, sizeof *b)) == NULL)
		abort();
	b->b.ops = &host_ops;
	b->h = h;
	b->vocab = c->vocab;
	b->context = c->context;
	b->layers = c->layers;
	b->n = h->parameters(m);
	if ((b->weights = malloc((size_t)b->n * sizeof *b->weights)) == NULL)
		abort();
	load.to = b->weights;
	r = h->packed_precision(m) != NULL ? host_read_packed(b, m, f) :
	    h->stream(m, host_slice, &load, f);
	if (r != 0) {
		host_free(&b->b);
		return (r);
	}
	host_sum_all(b, opt->threads);
	h->info("%s: %lld weights", h->path(m), (long long)b->n);
	*out = &b->b;
	return (0);
}

/* Logits: one for each residue of the sum. */
static int
host_step(struct backend *backend, const struct backend_row *rows, int T)
{
	struct host_backend	*b = (struct host_backend *)backend;
	int			 t, v;

	for (t = 0; t < T; t++)
		for (v = 0; rows[t].logits != NULL && v < b->vocab; v++)
			rows[t].logits[v] = (float)((b->sum + (uint64_t)v) %
			    65521);
	return (0);
}

/* Describe the backend. */
static void
host_info(const struct backend *backend, struct backend_info *out)
{
	const struct host_backend	*b;

	b = (const struct host_backend *)backend;
	*out = (struct backend_info){ .context = b->context,
		.vocab = b->vocab, .layers = b->layers, .parameters = b->n,
		.kv_blocks = 8, .kv_bytes = 1024, .threads = b->threads,
		.device = "cuda:0", .isa = "", .precision = "fp32",
		.kv_precision = "fp32" };
}

/* Release it. */
static void
host_free(struct backend *backend)
{
	struct host_backend	*b = (struct host_backend *)backend;

	free(b->weights);
	free(b->sums);
	free(b);
}

static const char *const host_precisions[] = { "fp32", NULL };

const struct backend_driver backend_module = {
	.version = BACKEND_VERSION,
	.size = sizeof backend_module,
	.release = PACKAGE_VERSION,
	.layout = "sum-1",
	.precisions = host_precisions,
	.plan = host_plan,
	.check = host_check,
	.pack = host_pack,
	.open = host_open
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step of the model on the CPU.  A step is a sequence of phases.  Each
 * phase is cut into pieces for the pool: norms by rows, matrix products by
 * panels of output columns, attention by heads and rows.  A phase is never cut
 * along k, so no result depends on the cut.
 *
 *	x = embedding
 *	each layer:	a = norm1(x), b = norm2(x)		by rows
 *			qkv = a Wqkv, up = gelu(b Wup)		by panels
 *			rotary, keys and values to the cache	by heads
 *			mix = attention(qkv, cache)		by heads, rows
 *			x = x + (mix Wattn + up Wdown)		by panels
 *	logits = norm(x) Whead					by panels
 *
 * Without the parallel residual, x = x + mix Wattn comes before norm2.  In
 * int8 and int4 the input of every product is rounded to int8 first, by rows.
 * In bf16, kernels with tiles read bf16, which the previous phase has written.
 *
 * If rows of the step have adapters, each product that these change is stored,
 * the adapters are added (adapt.h), and what else ends the product follows in a
 * phase of its own: the same operations, so the other rows keep their bits.
 */
#include "cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dtype.h"

/* A step in progress. */
struct forward {
	struct cpu			*cpu;
	const struct backend_row	*rows;
	int				 T;
	const struct layer		*layer;
	int				 l;
	struct attend			 attend;
	/* one or two norms of x and their results */
	const struct norm		*norm[2];
	struct acts			*normed[2];
	/* one or two arrays to be rounded to int8 in one phase */
	struct acts			*full[2];
	/* one or two products in one phase. A piece is a part of one product;
	 * the pieces of the first come first. If chain is set, a piece is a
	 * part of both, which it computes in order */
	struct matmul			 mm[2];
	int				 nmm, chain;
	int				 panels;	/* in a piece */
	int				 narrow;	/* products read bf16 */
	unsigned			 adapted;	/* a bit for each enum
							 * adapter_target that
							 * rows change */
	/* attention: runs of rows of one sequence */
	int				*run;		/* [runs + 1] */
	int				 runs;
};

static void	forward_layer(struct forward *);
static void	forward_logits(struct forward *);
static void	forward_norms(struct forward *, const struct norm *,
		    struct acts *, const struct norm *, struct acts *);
static void	forward_attention(struct forward *);
static void	forward_quantize(struct forward *, struct acts *,
		    struct acts *);
static void	forward_products(struct forward *);
static void	forward_runs(struct forward *);

/* Run one step of a whole model. */
int
forward_step(struct backend *b, const struct backend_row *rows, int T)
{
	return (forward_stage(b, rows, T, NULL, NULL));
}

/* Run one step, or that of a stage. */
int
forward_stage(struct backend *b, const struct backend_row *rows, int T,
    const float *in, float *out)
{
	struct cpu	*c = (struct cpu *)b;
	struct forward	 fw = { .cpu = c, .rows = rows, .T = T };
	struct backend_info info;
	const size_t	 C = (size_t)c->config.channels;
	size_t		 ld;
	int		 t, r;

	b->ops->info(b, &info);
	if ((r = backend_rows_check(&info, rows, T)) != 0 || T == 0 ||
	    (r = rows_grow(c, T)) != 0 ||
	    (r = adapt_begin(c->adapt, rows, T, &fw.adapted)) != 0)
		return (r);
	ld = c->rows.x.ld;
	for (t = 0; t < T; t++)
		if (in == NULL)
			weights_embed(c->weights, rows[t].token,
			    c->rows.x.f + (size_t)t * ld);
		else
			memcpy(c->rows.x.f + (size_t)t * ld, in +
			    (size_t)t * C, C * sizeof *in);
	fw.run = c->rows.run;
	fw.narrow = c->rows.a.b16 != NULL && T >= c->kernels->rows16;
	forward_runs(&fw);
	for (fw.l = 0; fw.l < c->layout.end - c->layout.first; fw.l++) {
		fw.layer = &c->weights->layers[fw.l];
		forward_layer(&fw);
	}
	if (out == NULL)
		forward_logits(&fw);
	for (t = 0; out != NULL && t < T; t++)
		memcpy(out + (size_t)t * C, c->rows.x.f + (size_t)t * ld,
		    C * sizeof *out);
	return (0);
}

/* Cut the rows into runs of consecutive positions of one sequence, each of at
 * most attend_rows rows. */
static void
forward_runs(struct forward *fw)
{
	const struct backend_row *p = fw->rows;
	int	 t;

	for (t = 0; t < fw->T; t++)
		if (t == 0 || p[t].blocks != p[t - 1].blocks ||
		    p[t].pos != p[t - 1].pos + 1 ||
		    t - fw->run[fw->runs - 1] == fw->cpu->kernels->attend_rows)
			fw->run[fw->runs++] = t;
	fw->run[fw->runs] = fw->T;
}

/* Describe the product of in and m. */
static struct matmul *
forward_product(struct forward *fw, const struct acts *in,
    const struct matrix *m, enum mm_end end, const struct acts *out)
{
	struct matmul	*mm = &fw->mm[fw->nmm++];

	memset(mm, 0, sizeof *mm);
	mm->a = in->f;
	mm->lda = in->ld;
	mm->rows = fw->T;
	mm->K = m->K;
	mm->N = m->N;
	mm->elem = m->elem;
	mm->w = m->panels;
	mm->scales = m->scales;
	mm->q = in->q;
	mm->a16 = fw->narrow ? in->b16 : NULL;
	mm->lda16 = in->ld16;
	mm->bias = m->bias;
	mm->end = end;
	if (out != NULL) {
		mm->out = out->f;
		mm->ldo = out->ld;
	}
	return (mm);
}

/* Does an adapter of a row change this product? */
static int
forward_is_adapted(const struct forward *fw, enum adapter_target t)
{
	return ((fw->adapted >> t & 1) != 0);
}

/* Add the adapters to the product t of in, and, unless in2 is NULL, to t2. */
static void
forward_adapt(struct forward *fw, enum adapter_target t,
    const struct acts *in, struct acts *out, enum adapter_target t2,
    const struct acts *in2, struct acts *out2)
{
	const struct adapt_job	 jobs[] = { { t, in, out },
				    { t2, in2, out2 } };

	adapt_add(fw->cpu->adapt, fw->cpu->pool, fw->cpu->kernels, fw->l, jobs,
	    in2 != NULL ? 2 : 1);
}

/* Describe the first product of the MLP. */
static void
forward_up(struct forward *fw)
{
	struct cpu	*c = fw->cpu;
	struct acts	*up = &c->rows.up;
	struct matmul	*mm = forward_product(fw, &c->rows.b, &fw->layer->up,
	    c->config.gelu == GELU_ERF ? MM_GELU_ERF : MM_GELU_TANH, up);

	if (forward_is_adapted(fw, ADAPTER_UP)) {
		mm->end = MM_STORE;	/* forward_gelu does the rest */
		return;
	}
	mm->round = c->weights->precision == PREC_BF16;
	mm->out16 = fw->narrow ? up->b16 : NULL;
	mm->ldo16 = up->ld16;
}

/* Finish one row of the first product of the MLP, after its adapter. */
static void
forward_gelu_piece(void *arg, int t, int thread)
{
	const struct forward	*fw = arg;
	const struct cpu	*c = fw->cpu;
	const struct acts	*up = &c->rows.up;
	float			*y = up->f + (size_t)t * up->ld;
	const int		 n = ROUND_UP(up->n, PANEL);

	(void)thread;
	if (c->config.gelu == GELU_ERF)
		c->kernels->gelu_erf(y, y, n);
	else
		c->kernels->gelu_tanh(y, y, n);
	if (c->weights->precision == PREC_BF16)
		c->kernels->round_bf16(y, y, n);
	if (fw->narrow)
		c->kernels->narrow(y, up->n, up->b16 + (size_t)t * up->ld16);
}

/* Finish the first product of the MLP, if forward_up has left that over. */
static void
forward_gelu(struct forward *fw)
{
	if (forward_is_adapted(fw, ADAPTER_UP))
		pool_run(fw->cpu->pool, fw->T, forward_gelu_piece, fw);
}

/* Widen one row of an array that is in bf16 only. */
static void
forward_widen_piece(void *arg, int t, int thread)
{
	const struct forward	*fw = arg;
	const struct acts	*a = fw->full[0];
	float			*to = a->f + (size_t)t * a->ld;

	(void)thread;
	if (fw->rows[t].adapter != 0)
		dtype_to_f32(DTYPE_BF16, a->b16 + (size_t)t * a->ld16, to,
		    (size_t)a->n);
}

/* Adapters read floats: with tiles, an array is in bf16 only. */
static void
forward_widen(struct forward *fw, struct acts *a, enum adapter_target t)
{
	fw->full[0] = a;
	if (fw->narrow && forward_is_adapted(fw, t))
		pool_run(fw->cpu->pool, fw->T, forward_widen_piece, fw);
}

/* The last products of a layer with the parallel residual: x = x + (mix Wattn
 * + up Wdown). */
static void
forward_sum(struct forward *fw)
{
	const struct layer	*y = fw->layer;
	struct cpu_rows		*r = &fw->cpu->rows;
	struct matmul		*mm;

	forward_product(fw, &r->mix, &y->attn, MM_STORE, &r->sum);
	if (forward_is_adapted(fw, ADAPTER_ATTN) ||
	    forward_is_adapted(fw, ADAPTER_DOWN)) {
		forward_products(fw);
		forward_adapt(fw, ADAPTER_ATTN, &r->mix, &r->sum,
		    ADAPTER_DOWN, &r->up, &r->sum);
	}
	mm = forward_product(fw, &r->up, &y->down, MM_ADD2, &r->x);
	mm->also = r->sum.f;
	fw->chain = fw->nmm == 2;
	forward_products(fw);
}

/* Run one layer. */
static void
forward_layer(struct forward *fw)
{
	const struct layer	*y = fw->layer;
	struct cpu_rows		*r = &fw->cpu->rows;
	int			 parallel = fw->cpu->config.parallel;

	forward_norms(fw, &y->norm1, &r->a, parallel ? &y->norm2 : NULL,
	    &r->b);
	forward_product(fw, &r->a, &y->qkv, MM_STORE, &r->qkv);
	if (parallel)
		forward_up(fw);
	forward_products(fw);
	forward_adapt(fw, ADAPTER_QKV, &r->a, &r->qkv, ADAPTER_UP,
	    parallel ? &r->b : NULL, &r->up);
	if (parallel)
		forward_gelu(fw);
	forward_attention(fw);
	forward_widen(fw, &r->mix, ADAPTER_ATTN);
	if (parallel && !forward_is_adapted(fw, ADAPTER_UP))
		forward_widen(fw, &r->up, ADAPTER_DOWN);
	forward_quantize(fw, &r->mix, parallel ? &r->up : NULL);
	if (parallel) {
		forward_sum(fw);
		return;
	}
	forward_product(fw, &r->mix, &y->attn, MM_ADD, &r->x);
	forward_products(fw);
	forward_adapt(fw, ADAPTER_ATTN, &r->mix, &r->x, 0, NULL, NULL);
	forward_norms(fw, &y->norm2, &r->b, NULL, NULL);
	forward_up(fw);
	forward_products(fw);
	forward_adapt(fw, ADAPTER_UP, &r->b, &r->up, 0, NULL, NULL);
	forward_gelu(fw);
	if (!forward_is_adapted(fw, ADAPTER_UP))
		forward_widen(fw, &r->up, ADAPTER_DOWN);
	forward_quantize(fw, &r->up, NULL);
	forward_product(fw, &r->up, &y->down, MM_ADD, &r->x);
	forward_products(fw);
	forward_adapt(fw, ADAPTER_DOWN, &r->up, &r->x, 0, NULL, NULL);
}

/* Compute the logits of the rows that have room for them. Their rows of x are
 * moved together first. */
static void
forward_logits(struct forward *fw)
{
	struct cpu_rows	*r = &fw->cpu->rows;
	const size_t	 ld = r->x.ld;
	int		 t, n = 0;

	for (t = 0; t < fw->T; t++) {
		if (fw->rows[t].logits == NULL)
			continue;
		if (n != t)
			memcpy(r->x.f + (size_t)n * ld, r->x.f + (size_t)t *
			    ld, ld * sizeof *r->x.f);
		r->logits[n++] = fw->rows[t].logits;
	}
	if (n == 0)
		return;
	fw->T = n;
	forward_norms(fw, &fw->cpu->weights->norm, &r->a, NULL, NULL);
	forward_product(fw, &r->a, &fw->cpu->weights->head, MM_ROWS,
	    NULL)->outs = r->logits;
	forward_products(fw);
}

/* Apply one or two norms to one row. */
static void
forward_norm_piece(void *arg, int t, int thread)
{
	struct forward		*fw = arg;
	const struct cpu	*c = fw->cpu;
	const float		*x = c->rows.x.f + (size_t)t * c->rows.x.ld;
	const int		 C = c->config.channels;
	float			 mean, rstd, *y;
	struct acts		*out;
	int			 i;

	(void)thread;
	c->kernels->moments(x, C, c->config.norm_eps, &mean, &rstd);
	for (i = 0; i < 2 && fw->norm[i] != NULL; i++) {
		out = fw->normed[i];
		y = out->f + (size_t)t * out->ld;
		c->kernels->normalize(x, C, mean, rstd, fw->norm[i]->gain,
		    fw->norm[i]->bias, c->weights->precision == PREC_BF16, y);
		if (fw->narrow)
			c->kernels->narrow(y, C, out->b16 + (size_t)t *
			    out->ld16);
		if (out->q != NULL)
			c->kernels->quantize(y, C, out->q, t);
	}
}

/* Apply one or two norms to all rows of x. */
static void
forward_norms(struct forward *fw, const struct norm *n0, struct acts *out0,
    const struct norm *n1, struct acts *out1)
{
	fw->norm[0] = n0;
	fw->norm[1] = n1;
	fw->normed[0] = out0;
	fw->normed[1] = out1;
	pool_run(fw->cpu->pool, fw->T, forward_norm_piece, fw);
}

/* Round one row of one array to int8. */
static void
forward_quantize_piece(void *arg, int item, int thread)
{
	struct forward	*fw = arg;
	const int	 i = item / fw->T, t = item % fw->T;
	struct acts	*a = fw->full[i];

	(void)thread;
	fw->cpu->kernels->quantize(a->f + (size_t)t * a->ld, a->n, a->q, t);
}

/* Round one array, or two, to int8 if the weights are quantized. */
static void
forward_quantize(struct forward *fw, struct acts *first, struct acts *second)
{
	const struct cpu	*c = fw->cpu;

	if (!c->quantized)
		return;
	fw->full[0] = first;
	fw->full[1] = second;
	pool_run(c->pool, (second != NULL ? 2 : 1) * fw->T,
	    forward_quantize_piece, fw);
}

/* Compute one piece: some panels of one product, or of both. */
static void
forward_product_piece(void *arg, int item, int thread)
{
	struct forward	*fw = arg;
	const struct matmul *m;
	int		 i, panels, first, last;

	(void)thread;
	for (i = 0; i < fw->nmm; i++) {
		m = &fw->mm[i];
		panels = (m->N + PANEL - 1) / PANEL;
		first = item * fw->panels;
		if (first < panels) {
			last = first + fw->panels;
			fw->cpu->kernels->matmul(m, first,
			    last < panels ? last : panels);
			if (!fw->chain)
				return;
		}
		if (!fw->chain)
			item -= (panels + fw->panels - 1) / fw->panels;
	}
}

/* Run the products that were described. A piece has a few panels: few enough
 * to divide the work evenly, and enough to read long stretches of memory. */
static void
forward_products(struct forward *fw)
{
	const int	 threads = pool_size(fw->cpu->pool);
	int		 i, panels = 0, items = 0;

	for (i = 0; i < fw->nmm; i++)
		panels += (fw->mm[i].N + PANEL - 1) / PANEL;
	fw->panels = ROUND_UP(panels / (threads * 8) + 1, 4);
	if (threads == 1)
		fw->panels = panels;
	for (i = 0; i < (fw->chain ? 1 : fw->nmm); i++)
		items += ((fw->mm[i].N + PANEL - 1) / PANEL + fw->panels - 1) /
		    fw->panels;
	pool_run(fw->cpu->pool, items, forward_product_piece, fw);
	fw->nmm = fw->chain = 0;
}

/* Turn one head's queries and keys, and write to the cache. */
static void
forward_rotary_piece(void *arg, int h, int thread)
{
	struct forward	*fw = arg;
	struct cpu	*c = fw->cpu;

	(void)thread;
	c->kernels->rotary(&fw->attend, c->rows.qkv.f, h, fw->T, c->rotary,
	    c->config.rotary);
}

/* Compute one head's attention for one run of rows. */
static void
forward_attend_piece(void *arg, int item, int thread)
{
	struct forward	*fw = arg;
	const int	 H = fw->cpu->kv.H;
	const int	*run = &fw->run[item / H];

	fw->cpu->kernels->attend(&fw->attend, item % H, run[0], run[1],
	    fw->cpu->scratch[thread]);
}

/* Compute the attention of all rows. */
static void
forward_attention(struct forward *fw)
{
	struct cpu	*c = fw->cpu;
	struct attend	*a = &fw->attend;

	a->rows = fw->rows;
	a->kv = c->kv;
	a->cache = c->cache + (size_t)fw->l * c->kv.block *
	    (size_t)c->kv.blocks;
	a->qkv = c->rows.qkv.f;
	a->ldqkv = c->rows.qkv.ld;
	a->out = c->rows.mix.f;
	a->ldo = c->rows.mix.ld;
	a->out16 = fw->narrow ? c->rows.mix.b16 : NULL;
	a->ldo16 = c->rows.mix.ld16;
	a->scale = 1.0f / sqrtf((float)c->kv.D);
	pool_run(c->pool, c->kv.H, forward_rotary_piece, fw);
	pool_run(c->pool, fw->runs * c->kv.H, forward_attend_piece, fw);
}

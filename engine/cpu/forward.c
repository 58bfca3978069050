/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step of the model on the CPU.  A step is a row of phases, each cut into
 * pieces for the pool: norms by rows, matrix products by panels of output
 * columns, attention by heads and rows; never along k, so that no piece's
 * result depends on the cut.
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
 * In bf16, kernels with tiles get it as bf16 from where it is made.
 */
#include "cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rotary.h"

/* A step in progress. */
struct forward {
	struct cpu			*cpu;
	const struct backend_row	*rows;
	int				 T;
	const struct layer		*layer;
	int				 l;
	struct attend			 attend;
	/* norms: where from, which and where to */
	const struct norm		*norm[2];
	float				*normed[2];
	/* rows to be rounded to int8 in one phase, up to two arrays */
	const float			*full[2];
	int				 full_K[2];
	const struct qrows		*small[2];
	/* up to two products in one phase, all pieces of the first before
	 * the second's; with chain set, each piece does both, in order */
	struct matmul			 mm[2];
	int				 nmm, chain;
	int				 panels;	/* of a piece */
	int				 narrow;	/* products read bf16 */
	/* attention: runs of rows of one sequence */
	int				*run;		/* [runs + 1] */
	int				 runs;
};

static int	forward_check(const struct cpu *, const struct backend_row *,
		    int);
static void	forward_layer(struct forward *);
static void	forward_logits(struct forward *);
static void	forward_norms(struct forward *, const struct norm *, float *,
		    const struct norm *, float *);
static void	forward_attention(struct forward *);
static void	forward_small(struct forward *, int, int);
static void	forward_products(struct forward *);
static void	forward_runs(struct forward *);

/* Run one step. */
int
forward_step(struct backend *b, const struct backend_row *rows, int T)
{
	struct cpu	*c = (struct cpu *)b;
	struct forward	 fw = { .cpu = c, .rows = rows, .T = T };
	const size_t	 ld = rows_stride(c->config.channels);
	int		 t, r;

	if ((r = forward_check(c, rows, T)) != 0 || T == 0 ||
	    (r = rows_grow(c, T)) != 0)
		return (r);
	for (t = 0; t < T; t++)
		weights_embed(c->weights, rows[t].token,
		    c->rows.x + (size_t)t * ld);
	fw.run = c->rows.run;
	fw.narrow = c->rows.a16 != NULL && T >= c->kernels->rows16;
	forward_runs(&fw);
	for (fw.l = 0; fw.l < c->config.layers; fw.l++) {
		fw.layer = &c->weights->layers[fw.l];
		forward_layer(&fw);
	}
	forward_logits(&fw);
	return (0);
}

/* Tokens, positions and blocks are in range. */
static int
forward_check(const struct cpu *c, const struct backend_row *rows, int T)
{
	int	 t, j;

	if (T < 0)
		return (CHAT_ESHAPE);
	for (t = 0; t < T; t++) {
		if (rows[t].token < 0 || rows[t].token >= c->config.vocab ||
		    rows[t].pos < 0 || rows[t].pos >= c->config.context)
			return (CHAT_ESHAPE);
		for (j = 0; j <= rows[t].pos / KV_BLOCK; j++)
			if (rows[t].blocks[j] < 0 ||
			    rows[t].blocks[j] >= c->kv.blocks)
				return (CHAT_ESHAPE);
	}
	return (0);
}

/* Cut the rows into runs of consecutive positions of one sequence, each as
 * long as the kernels like it at most. */
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
forward_product(struct forward *fw, const float *in, const struct matrix *m,
    enum mm_end end, float *out)
{
	struct matmul	*mm = &fw->mm[fw->nmm++];

	memset(mm, 0, sizeof *mm);
	mm->a = in;
	mm->lda = rows_stride(m->K);
	mm->rows = fw->T;
	mm->K = m->K;
	mm->N = m->N;
	mm->elem = m->elem;
	mm->w = m->panels;
	mm->scales = m->scales;
	mm->q = in == fw->cpu->rows.a || in == fw->cpu->rows.mix ?
	    &fw->cpu->rows.qa : &fw->cpu->rows.qb;
	if (fw->narrow)
		mm->a16 = rows_narrow(&fw->cpu->rows, in);
	mm->lda16 = rows_stride16(m->K);
	mm->bias = m->bias;
	mm->end = end;
	mm->out = out;
	mm->ldo = rows_stride(m->N);
	return (mm);
}

/* Describe the MLP's first product. */
static void
forward_up(struct forward *fw)
{
	struct cpu	*c = fw->cpu;
	struct matmul	*mm = forward_product(fw, c->rows.b, &fw->layer->up,
	    c->config.gelu == GELU_ERF ? MM_GELU_ERF : MM_GELU_TANH,
	    c->rows.up);

	mm->round = c->weights->precision == PREC_BF16;
	mm->out16 = fw->narrow ? c->rows.up16 : NULL;
	mm->ldo16 = rows_stride16(c->config.inner);
}

/* One layer. */
static void
forward_layer(struct forward *fw)
{
	const struct layer	*y = fw->layer;
	struct cpu_rows		*r = &fw->cpu->rows;
	int			 parallel = fw->cpu->config.parallel;

	forward_norms(fw, &y->norm1, r->a, parallel ? &y->norm2 : NULL, r->b);
	forward_product(fw, r->a, &y->qkv, MM_STORE, r->qkv);
	if (parallel)
		forward_up(fw);
	forward_products(fw);
	forward_attention(fw);
	forward_small(fw, 1, parallel);
	if (parallel) {
		forward_product(fw, r->mix, &y->attn, MM_STORE, r->sum);
		forward_product(fw, r->up, &y->down, MM_ADD2, r->x)->also =
		    r->sum;
		fw->chain = 1;
		forward_products(fw);
		return;
	}
	forward_product(fw, r->mix, &y->attn, MM_ADD, r->x);
	forward_products(fw);
	forward_norms(fw, &y->norm2, r->b, NULL, NULL);
	forward_up(fw);
	forward_products(fw);
	forward_small(fw, 0, 1);
	forward_product(fw, r->up, &y->down, MM_ADD, r->x);
	forward_products(fw);
}

/* Logits of the rows that want them: their x is moved together first. */
static void
forward_logits(struct forward *fw)
{
	struct cpu_rows	*r = &fw->cpu->rows;
	const size_t	 ld = rows_stride(fw->cpu->config.channels);
	int		 t, n = 0;

	for (t = 0; t < fw->T; t++) {
		if (fw->rows[t].logits == NULL)
			continue;
		if (n != t)
			memcpy(r->x + (size_t)n * ld, r->x + (size_t)t * ld,
			    ld * sizeof *r->x);
		r->logits[n++] = fw->rows[t].logits;
	}
	if (n == 0)
		return;
	fw->T = n;
	forward_norms(fw, &fw->cpu->weights->norm, r->a, NULL, NULL);
	forward_product(fw, r->a, &fw->cpu->weights->head, MM_ROWS,
	    NULL)->outs = r->logits;
	forward_products(fw);
}

/* Norm one row, once or twice. */
static void
forward_norm_piece(void *arg, int t, int thread)
{
	struct forward		*fw = arg;
	const struct cpu	*c = fw->cpu;
	const int		 C = c->config.channels;
	const size_t		 at = (size_t)t * rows_stride(C);
	float			 mean, rstd;
	int			 i;

	(void)thread;
	c->kernels->moments(c->rows.x + at, C, c->config.norm_eps, &mean,
	    &rstd);
	for (i = 0; i < 2 && fw->norm[i] != NULL; i++)
		c->kernels->normalize(c->rows.x + at, C, mean, rstd,
		    fw->norm[i]->gain, fw->norm[i]->bias,
		    c->weights->precision == PREC_BF16, fw->normed[i] + at);
	for (i = 0; i < 2 && fw->narrow && fw->norm[i] != NULL; i++)
		c->kernels->narrow(fw->normed[i] + at, C,
		    rows_narrow(&c->rows, fw->normed[i]) + (size_t)t *
		    rows_stride16(C));
	for (i = 0; i < 2 && c->small && fw->norm[i] != NULL; i++)
		c->kernels->quantize(fw->normed[i] + at, C, fw->normed[i] ==
		    c->rows.a ? &c->rows.qa : &c->rows.qb, t);
}

/* Norm all rows of x into one or two places. */
static void
forward_norms(struct forward *fw, const struct norm *n0, float *out0,
    const struct norm *n1, float *out1)
{
	fw->norm[0] = n0;
	fw->norm[1] = n1;
	fw->normed[0] = out0;
	fw->normed[1] = out1;
	pool_run(fw->cpu->pool, fw->T, forward_norm_piece, fw);
}

/* Round one row of one array to int8. */
static void
forward_small_piece(void *arg, int item, int thread)
{
	struct forward	*fw = arg;
	const int	 i = item / fw->T, t = item % fw->T;
	const int	 K = fw->full_K[i];

	(void)thread;
	fw->cpu->kernels->quantize(fw->full[i] + (size_t)t *
	    rows_stride(K), K, fw->small[i], t);
}

/* Round what attention gives, or the inside of the MLP, or both, to int8,
 * where the weights are of that kind. */
static void
forward_small(struct forward *fw, int mix, int up)
{
	const struct cpu	*c = fw->cpu;
	int			 n = 0;

	if (!c->small)
		return;
	if (mix) {
		fw->full[n] = c->rows.mix;
		fw->full_K[n] = c->config.channels;
		fw->small[n++] = &c->rows.qa;
	}
	if (up) {
		fw->full[n] = c->rows.up;
		fw->full_K[n] = c->config.inner;
		fw->small[n++] = &c->rows.qb;
	}
	pool_run(c->pool, n * fw->T, forward_small_piece, fw);
}

/* Some panels of a product, or of two. */
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

/* Run the products that were described. Pieces are a few panels: small
 * enough to share out evenly, large enough to stream through memory. */
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

/* One head's rotation and cache writes. */
static void
forward_rotary_piece(void *arg, int h, int thread)
{
	struct forward	*fw = arg;
	struct cpu	*c = fw->cpu;

	(void)thread;
	rotary_head(&fw->attend, c->rows.qkv, h, fw->T, c->rotary,
	    c->config.rotary);
}

/* One head's attention for one run of rows. */
static void
forward_attend_piece(void *arg, int item, int thread)
{
	struct forward	*fw = arg;
	const int	 H = fw->cpu->kv.H;
	const int	*run = &fw->run[item / H];

	fw->cpu->kernels->attend(&fw->attend, item % H, run[0], run[1],
	    fw->cpu->scratch[thread]);
}

/* Attention of all rows. */
static void
forward_attention(struct forward *fw)
{
	struct cpu	*c = fw->cpu;
	struct attend	*a = &fw->attend;

	a->rows = fw->rows;
	a->kv = c->kv;
	a->cache = c->cache + (size_t)fw->l * c->kv.block *
	    (size_t)c->kv.blocks;
	a->qkv = c->rows.qkv;
	a->ldqkv = rows_stride(3 * c->config.channels);
	a->out = c->rows.mix;
	a->ldo = rows_stride(c->config.channels);
	a->out16 = fw->narrow ? c->rows.mix16 : NULL;
	a->ldo16 = rows_stride16(c->config.channels);
	a->scale = 1.0f / sqrtf((float)c->kv.D);
	pool_run(c->pool, c->kv.H, forward_rotary_piece, fw);
	pool_run(c->pool, fw->runs * c->kv.H, forward_attend_piece, fw);
}

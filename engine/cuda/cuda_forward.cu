/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step of the model on the device.
 *
 *	x = embedding
 *	each layer:	a = norm1(x), b = norm2(x)		1 launch
 *			qkv = a Wqkv, up = gelu(b Wup)		1
 *			queries turned, keys and values stored	1
 *			attention; its sections merged		1 or 2
 *			x = x + (mix Wattn + up Wdown)		1
 *	logits = norm(x) Whead
 *	the largest of them, of the rows that want no more	1
 *
 * Without the parallel residual the second and the last product are two each,
 * and norm2 comes between them.
 *
 * If a row has an adapter, what adapters add follows each product that they
 * change: up is then stored in fp32, and its gelu is a launch of its own.
 *
 * A batch of up to 64 single rows that all want logits or the largest of them,
 * in any mix, which is what decoding is, is padded to a power of two and runs
 * as one CUDA graph, made the first time.  Padding rows have position -1.  Any
 * other step is launched kernel by kernel.  Both give the same bits
 * (cuda_kernels.h).
 */
#include "cuda.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda_fail.h"

/* A step in progress. */
struct forward {
	struct cuda	*c;
	int		 T;		/* rows, with padding */
	struct cuda_results results;
	int		 nitems;	/* of attention */
	int		 sections;
	int		 singles;	/* items of one row */
	int		 in, out;	/* x comes from a stage, or goes to
					 * one */
	unsigned	 targets;	/* that adapters of rows may change */
};

/* A CUDA error ends the process: nothing works on the device after it. */
static void
forward_try(const struct cuda *c, cudaError_t e, const char *what)
{
	if (e == cudaSuccess)
		return;
	c->h->warn("%s: %s: %s (CUDA error %d): this process can't use the "
	    "device any more", c->name, what, cudaGetErrorString(e), (int)e);
	_exit(1);
}

/* An array of the step. */
template <typename T>
static T *
forward_at(const struct cuda *c, size_t at)
{
	return ((T *)(void *)(c->work + at));
}

/* A part of the input on the device. */
static const int32_t *
forward_input(const struct cuda *c, size_t at)
{
	return (forward_at<int32_t>(c, c->sizes.input) + at);
}

/* Does row t go on where the row before it was? */
static int
forward_follows(const struct backend_row *rows, int t)
{
	return (rows[t].blocks == rows[t - 1].blocks &&
	    rows[t].pos == rows[t - 1].pos + 1);
}

/* Cut the rows into items: up to ATTEND_ROWS of one sequence. */
static void
forward_items(struct forward *fw, const struct backend_row *rows)
{
	struct attend_item	*item = (struct attend_item *)(void *)
				    (fw->c->host_input + fw->c->input.items);
	int			 t, n;

	for (t = 0; t < fw->T; t += n) {
		for (n = 1; n < ATTEND_ROWS && t + n < fw->T &&
		    forward_follows(rows, t + n); n++)
			;
		item[fw->nitems].row = t;
		item[fw->nitems].count = n;
		fw->nitems++;
		fw->singles += n == 1;
	}
}

/* Put the rows into the pinned input. */
static void
forward_fill(struct forward *fw, const struct backend_row *rows)
{
	const struct cuda	*c = fw->c;
	int32_t			*in = c->host_input, *blocks;
	int			 t;

	for (t = 0; t < fw->T; t++) {
		in[c->input.tokens + (size_t)t] = rows[t].token;
		in[c->input.pos + (size_t)t] = rows[t].pos;
		in[c->input.adapters + (size_t)t] = rows[t].adapter;
		if (rows[t].adapter != 0)
			fw->targets = c->targets;
		blocks = in + c->input.blocks + (size_t)t *
		    (size_t)c->sizes.ldblocks;
		memcpy(blocks, rows[t].blocks, sizeof *blocks *
		    (size_t)(rows[t].pos / KV_BLOCK + 1));
		if (rows[t].logits != NULL || rows[t].best != NULL) {
			in[c->input.wants + (size_t)fw->results.wants++] = t;
			if (!fw->out)
				cuda_results_add(c, &fw->results, &rows[t]);
		}
		if (rows[t].pos / ATTEND_SECTION >= fw->sections)
			fw->sections = rows[t].pos / ATTEND_SECTION + 1;
	}
	forward_items(fw, rows);
}

/* Pad single rows to a batch of size rows. */
static void
forward_pad(struct forward *fw, int size)
{
	const struct cuda	*c = fw->c;
	struct attend_item	*item = (struct attend_item *)(void *)
				    (c->host_input + c->input.items);
	const size_t		 C = (size_t)c->config.channels;
	int			 t;

	for (t = fw->T; t < size; t++) {
		c->host_input[c->input.tokens + (size_t)t] = 0;
		c->host_input[c->input.pos + (size_t)t] = -1;
		c->host_input[c->input.adapters + (size_t)t] = 0;
		c->host_input[c->input.wants + (size_t)t] = t;
		item[t].row = t;
		item[t].count = 1;
	}
	if (fw->in)	/* any finite numbers */
		memset(c->host_x + (size_t)fw->T * C, 0, sizeof *c->host_x *
		    (size_t)(size - fw->T) * C);
	if (!fw->out)
		cuda_results_pad(c, &fw->results, size);
	fw->T = fw->nitems = fw->singles = size;
	fw->sections = c->sizes.sections;
}

/* Send the input. */
static void
forward_send(const struct forward *fw)
{
	const struct cuda	*c = fw->c;
	const size_t		 n = c->input.blocks + (size_t)fw->T *
				    (size_t)c->sizes.ldblocks;

	forward_try(c, cudaMemcpyAsync(forward_at<int32_t>(c, c->sizes.input),
	    c->host_input, n * sizeof(int32_t), cudaMemcpyHostToDevice,
	    c->stream), "sending a step");
	if (fw->in)
		forward_try(c, cudaMemcpyAsync(forward_at<float>(c,
		    c->sizes.x), c->host_x, (size_t)fw->T *
		    (size_t)c->config.channels * sizeof(float),
		    cudaMemcpyHostToDevice, c->stream), "sending rows");
}

/* The norms of x, or of the rows that want logits. */
static void
forward_norms(const struct forward *fw, const int32_t *rows, int T,
    const float *const gain[2], const float *const bias[2], size_t out0,
    size_t out1)
{
	const struct cuda	*c = fw->c;
	struct norms		 n = {};

	n.x = forward_at<float>(c, c->sizes.x);
	n.rows = rows;
	n.eps = c->config.norm_eps;
	n.T = T;
	n.C = c->config.channels;
	n.act = c->pieces.act;
	n.gain[0] = gain[0];
	n.bias[0] = bias[0];
	n.gain[1] = gain[1];
	n.bias[1] = bias[1];
	n.out[0] = c->work + out0;
	n.out[1] = c->work + out1;
	forward_try(c, norms_launch(&n, c->stream), "norms");
}

/* A product without parts. */
static struct product
forward_product(const struct forward *fw, int T)
{
	struct product	 p = {};

	p.elem = fw->c->pieces.elem;
	p.act = fw->c->pieces.act;
	p.T = T;
	return (p);
}

/* Add a part that reads in and writes to out in fp32. */
static struct product_part *
forward_part(struct product *p, const struct product_part *m, const void *in,
    enum product_end end, float *out, int ldo)
{
	struct product_part	*q = &p->part[p->n++];

	*q = *m;
	q->in = in;
	q->end = end;
	q->out = out;
	q->ldo = ldo;
	return (q);
}

/* Do adapters change this product? */
static int
forward_is_adapted(const struct forward *fw, enum adapter_target t)
{
	return (fw->targets >> t & 1);
}

/* Add what adapters add to the product of in and m. */
static void
forward_adapt(const struct forward *fw, int layer, enum adapter_target t,
    const struct product_part *m, const void *in, float *out, int ldo)
{
	if (forward_is_adapted(fw, t))
		forward_try(fw->c, cuda_adapt_add(fw->c, layer, t, fw->T, m,
		    in, out, ldo), "adapters");
}

/* Add the MLP's first product. */
static void
forward_up(const struct forward *fw, struct product *p,
    const struct cuda_layer *y)
{
	const struct cuda	*c = fw->c;

	if (forward_is_adapted(fw, ADAPTER_UP))
		forward_part(p, &y->up, c->work + c->sizes.b, PRODUCT_STORE,
		    forward_at<float>(c, c->sizes.wide), c->config.inner);
	else
		forward_part(p, &y->up, c->work + c->sizes.b,
		    c->config.gelu == GELU_ERF ? PRODUCT_GELU_ERF :
		    PRODUCT_GELU_TANH, NULL, 0)->acts = c->work + c->sizes.up;
}

/* After it: what its adapters add, and its gelu, if that is still due. */
static void
forward_up_ends(const struct forward *fw, int layer)
{
	const struct cuda	*c = fw->c;
	struct gelus		 g = {};

	if (!forward_is_adapted(fw, ADAPTER_UP))
		return;
	g.in = forward_at<float>(c, c->sizes.wide);
	g.act = c->pieces.act;
	g.T = fw->T;
	g.N = c->config.inner;
	g.erf = c->config.gelu == GELU_ERF;
	g.out = c->work + c->sizes.up;
	forward_adapt(fw, layer, ADAPTER_UP, &c->layers[layer].up,
	    c->work + c->sizes.b, forward_at<float>(c, c->sizes.wide), g.N);
	forward_try(c, gelus_launch(&g, c->stream), "gelu");
}

/* The same for qkv. */
static void
forward_qkv_ends(const struct forward *fw, int layer)
{
	const struct cuda	*c = fw->c;

	forward_adapt(fw, layer, ADAPTER_QKV, &c->layers[layer].qkv,
	    c->work + c->sizes.a, forward_at<float>(c, c->sizes.qkv),
	    3 * c->config.channels);
}

/* The same for the products that are added to x. */
static void
forward_attn_ends(const struct forward *fw, int layer)
{
	const struct cuda	*c = fw->c;

	forward_adapt(fw, layer, ADAPTER_ATTN, &c->layers[layer].attn,
	    c->work + c->sizes.mix, forward_at<float>(c, c->sizes.x),
	    c->config.channels);
}

static void
forward_down_ends(const struct forward *fw, int layer)
{
	const struct cuda	*c = fw->c;

	forward_adapt(fw, layer, ADAPTER_DOWN, &c->layers[layer].down,
	    c->work + c->sizes.up, forward_at<float>(c, c->sizes.x),
	    c->config.channels);
}

/* Attention of all rows, from qkv to mix. */
static void
forward_attention(const struct forward *fw, int layer)
{
	const struct cuda	*c = fw->c;
	struct attention	 a = {};

	a.elem = c->sizes.kv;
	a.act = c->pieces.act;
	a.T = fw->T;
	a.H = c->config.heads;
	a.D = c->config.lanes;
	a.rotary = c->config.rotary;
	a.scale = 1 / sqrtf((float)c->config.lanes);
	a.qkv = forward_at<float>(c, c->sizes.qkv);
	a.angles = forward_at<float>(c, c->sizes.angles);
	a.pos = forward_input(c, c->input.pos);
	a.blocks = forward_input(c, c->input.blocks);
	a.ldblocks = c->sizes.ldblocks;
	a.cache = c->cache + c->sizes.layer * (size_t)layer;
	a.q = c->work + c->sizes.q;
	a.mix = c->work + c->sizes.mix;
	a.items = (const struct attend_item *)(const void *)
	    forward_input(c, c->input.items);
	a.nitems = fw->nitems;
	a.sections = fw->sections;
	a.partial = forward_at<float>(c, c->sizes.partial);
	forward_try(c, rotary_launch(&a, c->stream), "rotary positions");
	forward_try(c, attend_launch(&a, c->stream), "attention");
}

/* One layer with the parallel residual. */
static void
forward_parallel(const struct forward *fw, int layer)
{
	const struct cuda	*c = fw->c;
	const struct cuda_layer	*y = &c->layers[layer];
	const int		 C = c->config.channels;
	float			*x = forward_at<float>(c, c->sizes.x);
	struct product		 p = forward_product(fw, fw->T);

	forward_norms(fw, NULL, fw->T, y->gain, y->bias, c->sizes.a,
	    c->sizes.b);
	forward_part(&p, &y->qkv, c->work + c->sizes.a, PRODUCT_STORE,
	    forward_at<float>(c, c->sizes.qkv), 3 * C);
	forward_up(fw, &p, y);
	forward_try(c, product_launch(&p, c->stream), "products qkv and up");
	forward_qkv_ends(fw, layer);
	forward_up_ends(fw, layer);
	forward_attention(fw, layer);
	p = forward_product(fw, fw->T);
	p.chain = 1;
	forward_part(&p, &y->attn, c->work + c->sizes.mix, PRODUCT_ADD, x, C);
	forward_part(&p, &y->down, c->work + c->sizes.up, PRODUCT_ADD, x, C);
	forward_try(c, product_launch(&p, c->stream), "products out and down");
	forward_attn_ends(fw, layer);
	forward_down_ends(fw, layer);
}

/* One layer without it. */
static void
forward_serial(const struct forward *fw, int layer)
{
	const struct cuda	*c = fw->c;
	const struct cuda_layer	*y = &c->layers[layer];
	const int		 C = c->config.channels;
	const float *const	 gain[2][2] = { { y->gain[0], NULL },
				    { y->gain[1], NULL } };
	const float *const	 bias[2][2] = { { y->bias[0], NULL },
				    { y->bias[1], NULL } };
	float			*x = forward_at<float>(c, c->sizes.x);
	struct product		 p = forward_product(fw, fw->T);

	forward_norms(fw, NULL, fw->T, gain[0], bias[0], c->sizes.a, 0);
	forward_part(&p, &y->qkv, c->work + c->sizes.a, PRODUCT_STORE,
	    forward_at<float>(c, c->sizes.qkv), 3 * C);
	forward_try(c, product_launch(&p, c->stream), "product qkv");
	forward_qkv_ends(fw, layer);
	forward_attention(fw, layer);
	p = forward_product(fw, fw->T);
	forward_part(&p, &y->attn, c->work + c->sizes.mix, PRODUCT_ADD, x, C);
	forward_try(c, product_launch(&p, c->stream), "product out");
	forward_attn_ends(fw, layer);
	forward_norms(fw, NULL, fw->T, gain[1], bias[1], c->sizes.b, 0);
	p = forward_product(fw, fw->T);
	forward_up(fw, &p, y);
	forward_try(c, product_launch(&p, c->stream), "product up");
	forward_up_ends(fw, layer);
	p = forward_product(fw, fw->T);
	forward_part(&p, &y->down, c->work + c->sizes.up, PRODUCT_ADD, x, C);
	forward_try(c, product_launch(&p, c->stream), "product down");
	forward_down_ends(fw, layer);
}

/* Logits of the rows that want them, or the largest of them. */
static void
forward_logits(const struct forward *fw)
{
	const struct cuda	*c = fw->c;
	const float *const	 gain[2] = { c->gain, NULL };
	const float *const	 bias[2] = { c->bias, NULL };
	float			*out = forward_at<float>(c, c->sizes.logits);
	const int		 n = fw->results.rows;
	struct product		 p = forward_product(fw, n);

	if (n == 0)
		return;
	forward_norms(fw, forward_input(c, c->input.wants), n, gain, bias,
	    c->sizes.a, 0);
	forward_part(&p, &c->head, c->work + c->sizes.a, PRODUCT_STORE, out,
	    c->config.vocab);
	forward_try(c, product_launch(&p, c->stream), "logits");
	forward_try(c, cuda_results_launch(c, &fw->results),
	    "the largest logits");
}

/* The embeddings of the rows. */
static void
forward_embed(const struct forward *fw)
{
	const struct cuda	*c = fw->c;
	struct embed		 e = {};

	e.table = c->weights + cuda_pieces_find(&c->pieces, TENSOR_EMBED, 0,
	    PIECE_TABLE)->at;
	e.elem = c->pieces.act;
	e.tokens = forward_input(c, c->input.tokens);
	e.x = forward_at<float>(c, c->sizes.x);
	e.T = fw->T;
	e.C = c->config.channels;
	forward_try(c, embed_launch(&e, c->stream), "embeddings");
}

/* All launches of a step. */
static void
forward_launch(const struct forward *fw)
{
	const struct cuda	*c = fw->c;
	int			 i;

	forward_send(fw);
	if (!fw->in)
		forward_embed(fw);
	for (i = 0; i < cuda_layers(&c->pieces); i++)
		if (c->config.parallel)
			forward_parallel(fw, i);
		else
			forward_serial(fw, i);
	if (!fw->out)
		forward_logits(fw);
}

/* The graph for a batch of 1 << g rows, made if it is not there. */
static cudaGraphExec_t
forward_graph(const struct forward *fw, int g)
{
	struct cuda	*c = fw->c;
	cudaGraphExec_t	*out = &c->graphs[fw->targets != 0][g];
	cudaGraph_t	 graph;

	if (*out != NULL)
		return (*out);
	forward_try(c, cudaStreamBeginCapture(c->stream,
	    cudaStreamCaptureModeThreadLocal), "beginning a graph");
	forward_launch(fw);
	forward_try(c, cudaStreamEndCapture(c->stream, &graph),
	    "ending a graph");
	forward_try(c, cudaGraphInstantiate(out, graph, 0), "making a graph");
	forward_try(c, cudaGraphDestroy(graph), "making a graph");
	return (*out);
}

/* Fetch the rows of x for the next stage. */
static void
forward_pass(const struct cuda *c, int T, float *out)
{
	const size_t	 n = (size_t)T * (size_t)c->config.channels *
			    sizeof(float);

	forward_try(c, cudaMemcpyAsync(c->host_x, forward_at<float>(c,
	    c->sizes.x), n, cudaMemcpyDeviceToHost, c->stream),
	    "fetching rows");
	forward_try(c, cudaStreamSynchronize(c->stream), "a step");
	memcpy(out, c->host_x, n);
}

/* Run one step of a whole model. */
int
cuda_forward(struct backend *b, const struct backend_row *rows, int T)
{
	return (cuda_forward_stage(b, rows, T, NULL, NULL));
}

/* Run one step, or that of a stage. */
int
cuda_forward_stage(struct backend *b, const struct backend_row *rows, int T,
    const float *in, float *out)
{
	struct cuda	*c = (struct cuda *)b;
	struct forward	 fw = {};
	struct backend_info info;
	int		 g = 0;

	b->ops->info(b, &info);
	if (T > c->sizes.rows || backend_rows_check(&info, rows, T) != 0)
		return (CHAT_ESHAPE);
	if (T == 0)
		return (0);
	fw.c = c;
	fw.T = T;
	fw.in = in != NULL;
	fw.out = out != NULL;
	if (in != NULL)
		memcpy(c->host_x, in, sizeof *in * (size_t)T *
		    (size_t)c->config.channels);
	forward_try(c, cudaSetDevice(c->index), "the device");
	forward_fill(&fw, rows);
	forward_try(c, cuda_results_send(c, &fw.results), "sending a step");
	if (fw.singles == T && fw.results.wants == T && T <= PRODUCT_NARROW) {
		while (1 << g < T)
			g++;
		forward_pad(&fw, 1 << g);
		forward_try(c, cudaGraphLaunch(forward_graph(&fw, g),
		    c->stream), "a step as a graph");
	} else
		forward_launch(&fw);
	if (out != NULL) {
		forward_pass(c, T, out);
		return (0);
	}
	forward_try(c, cuda_results_fetch(c, &fw.results),
	    "fetching results");
	forward_try(c, cudaStreamSynchronize(c->stream), "a step");
	cuda_results_take(c, rows, T);
	return (0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of count_bench: the launches of a step, each counted for two slices of
 * its matrices or of its heads.
 */
#include "count_bench.h"

#include <math.h>

/* The figures of n slices, from those of a and of b slices: all blocks of a
 * launch do the same work, so each slice adds the same. */
static figures
whole(const figures &at_a, int a, const figures &at_b, int b, int n)
{
	figures v;

	for (size_t i = 0; i < at_a.size(); i++) {
		const int64_t more = (at_b[i] - at_a[i]) * (n - a);

		if (more % (b - a) != 0)
			count_die("figure %zu does not grow evenly", i);
		v.push_back(at_a[i] + more / (b - a));
	}
	return (v);
}

/* Memory of the device that holds zeros. */
struct zeros : test_array<uint8_t> {
	explicit zeros(size_t size) : test_array<uint8_t>(size) { fill(0); }
};

/* ---- products */

struct matrix {
	int			 N, K;
	enum product_end	 end;
};

struct product_shape {
	std::vector<struct matrix> part;
	int			 chain;
};

/* Blocks of M panels. */
static int
product_blocks(const struct product_shape &p, int M)
{
	int count = 0;

	for (size_t i = 0; i < (p.chain ? 1 : p.part.size()); i++)
		count += (layout_pad(p.part[i].N, p.part[i].end ==
		    PRODUCT_GELU_TANH ? LAYOUT_K : LAYOUT_M) / LAYOUT_M + M -
		    1) / M;
	return (count);
}

/* Panels of a block: product.cu has this rule. */
static int
product_panels(const struct product_shape &p)
{
	int M = job.elem <= CUDA_BF16 || job.rows > 32 ? 2 : 4;

	while (M > 1 && product_blocks(p, M) < 2 * job.sms / 3)
		M /= 2;
	return (M == 4 && product_blocks(p, 3) <= job.sms ? 3 : M);
}

/* The slices of a product, each of some whole blocks. */
static int
product_slices(const struct product_shape &p, int M)
{
	for (int n = p.part[0].N / 64; n > 1; n--) {
		int fits = 1;

		for (const struct matrix &m : p.part) {
			const int N = m.N / n;

			fits &= N * n == m.N && N % 64 == 0 &&
			    N % (LAYOUT_M * M) == 0;
		}
		if (fits)
			return (n);
	}
	count_die("a product has no slices");
}

/* Count n of all slices. */
static figures
product_count(const struct product_shape &shape, int n, int all, int M)
{
	struct product		 p = {};
	std::vector<zeros *>	 owned;
	std::vector<figures>	 v;
	int			 blocks = 0;
	auto			 make = [&owned](size_t size) {
		owned.push_back(new zeros(size));
		return (owned.back()->p);
	};

	p.elem = job.elem;
	p.act = job.act;
	p.T = job.rows;
	p.chain = shape.chain;
	for (const struct matrix &m : shape.part) {
		struct product_part *q = &p.part[p.n++];

		q->N = m.N / all * n;
		q->K = m.K;
		q->end = m.end;
		q->ldo = m.N;
		q->w = make(layout_matrix(job.elem, q->N, q->K));
		if (job.elem == CUDA_I8)
			q->scale = (const float *)(void *)make((size_t)q->N *
			    4);
		if (m.N != job.config->vocab)
			q->bias = (const float *)(void *)make((size_t)q->N *
			    4);
		q->in = make(layout_acts(job.rows, q->K) * 2);
		if (m.end == PRODUCT_GELU_TANH)
			q->acts = make(layout_acts(job.rows, q->N) * 2);
		else
			q->out = (float *)(void *)make((size_t)job.rows *
			    (size_t)m.N * 4);
		if (p.n == 1 || !p.chain)
			blocks += q->N / (LAYOUT_M * M);
	}
	/* as many as make product.cu choose M */
	simt_device(0)->multiProcessorCount = M >= 3 ? blocks :
	    blocks * 3 / 2;
	simt_count_start();
	must(product_launch(&p, 0));
	v = count_stop();
	if (v.size() != 1 || v[0].back() != blocks)
		count_die("%d blocks were expected", blocks);
	for (zeros *z : owned)
		delete z;
	return (v[0]);
}

/* Print the figures of a product. */
static void
product_slice(const char *launch, const struct product_shape &p)
{
	const int M = product_panels(p), n = product_slices(p, M);

	count_print(launch, whole(product_count(p, 1, n, M), 1,
	    product_count(p, 2, n, M), 2, n));
}

/* ---- attention */

/* Rotary positions, attention, perhaps its merging: of T rows and H heads. */
static std::vector<figures>
attention_count(int T, int H)
{
	const int		 D = job.config->lanes, Dp = layout_pad(D, 16);
	const int		 each = job.pos / LAYOUT_POS + 1;
	struct attention	 a = {};
	std::vector<int32_t>	 at((size_t)T, job.pos), table;
	std::vector<struct attend_item> items;

	a.elem = job.kv;
	a.act = job.act;
	a.T = a.nitems = T;
	a.H = H;
	a.D = D;
	a.rotary = job.config->rotary;
	a.scale = 1 / sqrtf((float)D);
	a.ldblocks = job.config->context / LAYOUT_POS;
	a.sections = job.config->context / ATTEND_SECTION;
	table.resize((size_t)(T * a.ldblocks));
	for (int t = 0; t < T; t++) {
		for (int b = 0; b < each; b++)
			table[(size_t)(t * a.ldblocks + b)] = t * each + b;
		items.push_back({ t, 1 });
	}

	const size_t	 n = (size_t)T * (size_t)H;
	zeros		 qkv(n * 3 * (size_t)D * 4), mix(layout_acts(T, H * D) *
			    2), q(n * (size_t)Dp * 2);
	zeros		 angles((size_t)(job.config->context * a.rotary) * 4);
	zeros		 cache(n * (size_t)each * layout_head(job.kv, D));
	zeros		 partial(n * (size_t)a.sections * (size_t)(Dp + 2) *
			    4);
	test_array<int32_t> dpos(at), dblocks(table);
	test_array<struct attend_item> ditems(items);

	a.qkv = (const float *)(void *)qkv.p;
	a.angles = (const float *)(void *)angles.p;
	a.pos = dpos.p;
	a.blocks = dblocks.p;
	a.cache = cache.p;
	a.q = q.p;
	a.mix = mix.p;
	a.items = ditems.p;
	a.partial = (float *)(void *)partial.p;
	/* as many as make attention.cu cut all rows into sections, or none */
	simt_device(0)->multiProcessorCount = job.config->heads * job.rows <
	    3 * job.sms ? T * H : 1;
	simt_count_start();
	must(rotary_launch(&a, 0));
	must(attend_launch(&a, 0));
	return (count_stop());
}

/* The same of all heads: a block of rotary_launch has four. */
static std::vector<figures>
attention_heads(int T)
{
	std::vector<figures> a = attention_count(T, 4);
	std::vector<figures> b = attention_count(T, 8);

	for (size_t i = 0; i < a.size(); i++)
		a[i] = whole(a[i], 4, b[i], 8, job.config->heads);
	return (a);
}

/* The same of all rows: eight of them share a sector of positions. */
static std::vector<figures>
attention_slices()
{
	if (job.rows <= 16)
		return (attention_heads(job.rows));
	std::vector<figures> a = attention_heads(8), b = attention_heads(16);

	for (size_t i = 0; i < a.size(); i++)
		a[i] = whole(a[i], 8, b[i], 16, job.rows);
	return (a);
}

/* ---- norms, embeddings and the largest logits: counted as a whole */

/* One norm of rows that are listed, or two. */
static figures
norms_count(int n, bool listed)
{
	const size_t		 C = (size_t)job.config->channels;
	zeros			 x((size_t)job.rows * C * 4);
	zeros			 gain(C * 4), bias(C * 4);
	zeros			 gain1(C * 4), bias1(C * 4);
	zeros			 out(layout_acts(job.rows, (int)C) * 2);
	zeros			 out1(layout_acts(job.rows, (int)C) * 2);
	std::vector<int32_t>	 list;

	for (int t = 0; t < job.rows; t++)
		list.push_back(t);
	test_array<int32_t>	 dlist(list);
	struct norms		 w = {};

	w.x = (const float *)(void *)x.p;
	w.rows = listed ? dlist.p : NULL;
	w.eps = job.config->norm_eps;
	w.T = job.rows;
	w.C = (int)C;
	w.act = job.act;
	w.gain[0] = (const float *)(void *)gain.p;
	w.bias[0] = (const float *)(void *)bias.p;
	w.out[0] = out.p;
	if (n > 1) {
		w.gain[1] = (const float *)(void *)gain1.p;
		w.bias[1] = (const float *)(void *)bias1.p;
		w.out[1] = out1.p;
	}
	simt_count_start();
	must(norms_launch(&w, 0));
	return (count_stop()[0]);
}

/* The embeddings. */
static figures
embed_count()
{
	const size_t		 C = (size_t)job.config->channels;
	zeros			 table((size_t)job.rows * C * 2);
	zeros			 x((size_t)job.rows * C * 4);
	std::vector<int32_t>	 tokens;
	struct embed		 e = {};

	for (int t = 0; t < job.rows; t++)
		tokens.push_back(t);
	test_array<int32_t>	 dtokens(tokens);

	e.table = table.p;
	e.elem = job.act;
	e.tokens = dtokens.p;
	e.x = (float *)(void *)x.p;
	e.T = job.rows;
	e.C = (int)C;
	simt_count_start();
	must(embed_launch(&e, 0));
	return (count_stop()[0]);
}

/* The largest logit of each row. */
static figures
best_count()
{
	zeros			 logits((size_t)job.rows *
				    (size_t)job.config->vocab * 4);
	std::vector<best_row>	 rows;
	struct best		 b = {};

	for (int t = 0; t < job.rows; t++)
		rows.push_back({ 0, 1, -1, t });
	test_array<best_row>	 drows(rows);
	test_array<int32_t>	 out((size_t)job.rows);

	b.logits = (const float *)(void *)logits.p;
	b.rows = drows.p;
	b.out = out.p;
	b.T = job.rows;
	b.V = job.config->vocab;
	simt_count_start();
	must(best_launch(&b, 0));
	return (count_stop()[0]);
}

/* The launches of a step in their order. */
void
count_slices()
{
	const int		 C = job.config->channels;
	const int		 F = job.config->inner;
	std::vector<figures>	 a;

	count_print("embed", embed_count());
	count_print("norms", norms_count(2, false));
	product_slice("qkv up", { { { 3 * C, C, PRODUCT_STORE },
	    { F, C, PRODUCT_GELU_TANH } }, 0 });
	a = attention_slices();
	count_print("rotary", a[0]);
	count_print("attend", a[1]);
	if (a.size() > 2)
		count_print("merge", a[2]);
	product_slice("out down", { { { C, C, PRODUCT_ADD },
	    { C, F, PRODUCT_ADD } }, 1 });
	count_print("last norm", norms_count(1, true));
	product_slice("head", { { { job.config->vocab, C, PRODUCT_STORE } },
	    0 });
	count_print("best", best_count());
}


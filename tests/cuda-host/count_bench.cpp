/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts what a step of decoding does, by the rules of README.md, "Counting".
 * tests/bench/cuda-count runs it and makes tables of its lines.
 *
 *	count_bench step MODEL ELEM CACHE T POS SM
 *		the launches of a step by engine/cuda/cuda_forward.cu, a graph,
 *		of a small MODEL with random weights
 *	count_bench slices MODEL ELEM CACHE T POS SM
 *		the same launches of one layer and of the two ends, each counted
 *		for two slices of its matrices and of its heads.  All blocks of
 *		a launch do the same work, so a figure grows by the same amount
 *		with each slice, and that of the whole follows exactly.
 *	count_bench sizes MODEL ELEM CACHE
 *		the bytes of a model on a device
 *
 * ELEM is fp16, bf16, int8 or int4, CACHE auto or int8.  T rows of as many
 * sequences are at position POS; SM is the number of multiprocessors, which
 * chooses the shapes of blocks.  One JSON object is printed for each launch.
 */
#include "cuda.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_test.h"

typedef std::vector<int64_t> figures;

static const struct {
	const char		*name;
	struct model_config	 config;
} models[] = {
	/* layers, channels, heads, lanes, inner, vocab, context, rotary */
	{ "20b", { 44, 6144, 64, 96, 24576, 50432, 2048, 24, 10000, 1e-5f,
	    GELU_TANH, 1, 0, 1, 0 } },
	{ "small", { 2, 1152, 12, 96, 4608, 1024, 256, 24, 10000, 1e-5f,
	    GELU_TANH, 1, 0, 1, 0 } }
};

static const struct model_config *config;
static enum cuda_precision	 precision;
static enum cuda_elem		 elem, act, kv;
static int			 rows, pos, sms;

[[noreturn]] __attribute__((format(printf, 1, 2))) static void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* ---- figures */

/* The figures of a launch in a row; names() has their names. */
static figures
flat(const struct simt_counts &c)
{
	figures v;

	for (const auto &g : c.global)
		for (uint64_t n : { g.accesses, g.bytes, g.used, g.sectors,
		    g.unique })
			v.push_back((int64_t)n);
	for (const auto &s : c.shared)
		for (uint64_t n : { s.accesses, s.passes, s.ideal })
			v.push_back((int64_t)n);
	for (uint64_t n : c.ops)
		v.push_back((int64_t)n);
	v.push_back((int64_t)c.grid.x * c.grid.y * c.grid.z);
	return (v);
}

static void
names()
{
	const char *comma = "";

	printf("{\"names\": [");
	for (const char *space : { "global", "shared" })
		for (const char *way : { "read", "write" })
			for (const char *what : { "accesses", "bytes", "used",
			    "sectors", "unique", "passes", "ideal" }) {
				const bool both = strcmp(what, "accesses") == 0;
				const bool bank = strcmp(what, "passes") == 0 ||
				    strcmp(what, "ideal") == 0;

				if (!both && bank != (*space == 's'))
					continue;
				printf("%s\"%s %s %s\"", comma, space, way,
				    what);
				comma = ", ";
			}
	for (int i = 0; i < SIMT_OPS; i++)
		printf(", \"%s\"", simt_op_name((enum simt_op)i));
	printf(", \"blocks\"]}\n");
}

static void
print(const char *launch, const figures &v)
{
	printf("{\"launch\": \"%s\", \"figures\": [", launch);
	for (size_t i = 0; i < v.size(); i++)
		printf("%s%lld", i > 0 ? ", " : "", (long long)v[i]);
	printf("]}\n");
}

/* The figures of n slices, from those of a and of b slices. */
static figures
whole(const figures &at_a, int a, const figures &at_b, int b, int n)
{
	figures v;

	for (size_t i = 0; i < at_a.size(); i++) {
		const int64_t more = (at_b[i] - at_a[i]) * (n - a);

		if (more % (b - a) != 0)
			die("figure %zu does not grow evenly", i);
		v.push_back(at_a[i] + more / (b - a));
	}
	return (v);
}

/* The figures of the launches since simt_count_start. */
static std::vector<figures>
stop()
{
	std::vector<figures> all;

	for (const struct simt_counts &c : simt_count_stop())
		all.push_back(flat(c));
	must_run(cudaGetLastError());
	return (all);
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
	int M = elem <= CUDA_BF16 || rows > 32 ? 2 : 4;

	while (M > 1 && product_blocks(p, M) < 2 * sms / 3)
		M /= 2;
	return (M);
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
	die("a product has no slices");
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

	p.elem = elem;
	p.act = act;
	p.T = rows;
	p.chain = shape.chain;
	for (const struct matrix &m : shape.part) {
		struct product_part *q = &p.part[p.n++];

		q->N = m.N / all * n;
		q->K = m.K;
		q->end = m.end;
		q->ldo = m.N;
		q->w = make(layout_matrix(elem, q->N, q->K));
		if (elem == CUDA_I8)
			q->scale = (const float *)(void *)make((size_t)q->N *
			    4);
		if (m.N != config->vocab)
			q->bias = (const float *)(void *)make((size_t)q->N *
			    4);
		q->in = make(layout_acts(rows, q->K) * 2);
		if (m.end == PRODUCT_GELU_TANH)
			q->acts = make(layout_acts(rows, q->N) * 2);
		else
			q->out = (float *)(void *)make((size_t)rows *
			    (size_t)m.N * 4);
		if (p.n == 1 || !p.chain)
			blocks += q->N / (LAYOUT_M * M);
	}
	/* as many as make product.cu choose M */
	simt_device(0)->multiProcessorCount = blocks * 3 / 2;
	simt_count_start();
	must(product_launch(&p, 0));
	v = stop();
	if (v.size() != 1 || v[0].back() != blocks)
		die("%d blocks were expected", blocks);
	for (zeros *z : owned)
		delete z;
	return (v[0]);
}

static void
product_slice(const char *launch, const struct product_shape &p)
{
	const int M = product_panels(p), n = product_slices(p, M);

	print(launch, whole(product_count(p, 1, n, M), 1,
	    product_count(p, 2, n, M), 2, n));
}

/* ---- attention */

/* Rotary positions, attention and its merging, of T rows and H heads. */
static std::vector<figures>
attention_count(int T, int H)
{
	const int		 D = config->lanes, Dp = layout_pad(D, 16);
	const int		 each = pos / LAYOUT_POS + 1;
	struct attention	 a = {};
	std::vector<int32_t>	 at((size_t)T, pos), table;
	std::vector<struct attend_item> items;

	a.elem = kv;
	a.act = act;
	a.T = a.nitems = T;
	a.H = H;
	a.D = D;
	a.rotary = config->rotary;
	a.scale = 1 / sqrtf((float)D);
	a.ldblocks = config->context / LAYOUT_POS;
	a.sections = config->context / ATTEND_SECTION;
	table.resize((size_t)(T * a.ldblocks));
	for (int t = 0; t < T; t++) {
		for (int b = 0; b < each; b++)
			table[(size_t)(t * a.ldblocks + b)] = t * each + b;
		items.push_back({ t, 1 });
	}

	const size_t	 n = (size_t)T * (size_t)H;
	zeros		 qkv(n * 3 * (size_t)D * 4), mix(layout_acts(T, H * D) *
			    2), q(n * (size_t)Dp * 2);
	zeros		 angles((size_t)config->context * (size_t)a.rotary * 4);
	zeros		 cache(n * (size_t)each * layout_head(kv, D));
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
	simt_count_start();
	must(rotary_launch(&a, 0));
	must(attend_launch(&a, 0));
	must(attend_merge_launch(&a, 0));
	return (stop());
}

/* The same of all heads: a block of rotary_launch has four. */
static std::vector<figures>
attention_heads(int T)
{
	std::vector<figures> a = attention_count(T, 4);
	std::vector<figures> b = attention_count(T, 8);

	for (size_t i = 0; i < a.size(); i++)
		a[i] = whole(a[i], 4, b[i], 8, config->heads);
	return (a);
}

/* The same of all rows: eight of them share a sector of positions. */
static std::vector<figures>
attention_slices()
{
	if (rows <= 16)
		return (attention_heads(rows));
	std::vector<figures> a = attention_heads(8), b = attention_heads(16);

	for (size_t i = 0; i < a.size(); i++)
		a[i] = whole(a[i], 8, b[i], 16, rows);
	return (a);
}

/* ---- norms and embeddings: counted as a whole */

static figures
norms_count(int n, bool listed)
{
	const size_t		 C = (size_t)config->channels;
	zeros			 x((size_t)rows * C * 4), gain(C * 4), bias(C * 4);
	zeros			 gain1(C * 4), bias1(C * 4);
	zeros			 out(layout_acts(rows, (int)C) * 2);
	zeros			 out1(layout_acts(rows, (int)C) * 2);
	std::vector<int32_t>	 list;

	for (int t = 0; t < rows; t++)
		list.push_back(t);
	test_array<int32_t>	 dlist(list);
	struct norms		 w = {};

	w.x = (const float *)(void *)x.p;
	w.rows = listed ? dlist.p : NULL;
	w.eps = config->norm_eps;
	w.T = rows;
	w.C = (int)C;
	w.act = act;
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
	return (stop()[0]);
}

static figures
embed_count()
{
	const size_t		 C = (size_t)config->channels;
	zeros			 table((size_t)rows * C * 2);
	zeros			 x((size_t)rows * C * 4);
	std::vector<int32_t>	 tokens;
	struct embed		 e = {};

	for (int t = 0; t < rows; t++)
		tokens.push_back(t);
	test_array<int32_t>	 dtokens(tokens);

	e.table = table.p;
	e.elem = act;
	e.tokens = dtokens.p;
	e.x = (float *)(void *)x.p;
	e.T = rows;
	e.C = (int)C;
	simt_count_start();
	must(embed_launch(&e, 0));
	return (stop()[0]);
}

static void
slices()
{
	const int		 C = config->channels, F = config->inner;
	std::vector<figures>	 a;

	print("embed", embed_count());
	print("norms", norms_count(2, false));
	product_slice("qkv up", { { { 3 * C, C, PRODUCT_STORE },
	    { F, C, PRODUCT_GELU_TANH } }, 0 });
	a = attention_slices();
	print("rotary", a[0]);
	print("attend", a[1]);
	print("merge", a[2]);
	product_slice("out down", { { { C, C, PRODUCT_ADD },
	    { C, F, PRODUCT_ADD } }, 1 });
	print("last norm", norms_count(1, true));
	product_slice("head", { { { config->vocab, C, PRODUCT_STORE } }, 0 });
}

/* ---- a step as the engine runs it */

extern "C" const struct backend_driver backend_module;

static const struct model_config *
host_config(const struct model *)
{
	return (config);
}

static const char *
host_path(const struct model *)
{
	return ("random");
}

static int64_t
host_parameters(const struct model *)
{
	return (0);
}

static int
host_is_synth(const struct model *, uint64_t *seed)
{
	*seed = 1;
	return (1);
}

static const char *
host_packed_precision(const struct model *)
{
	return (NULL);
}

static int
host_fault(struct fault *, const char *, const char *, const char *fmt, ...)
{
	die("a fault of the backend: %s", fmt);
}

static void
host_log(const char *, ...)
{
}

static void
step()
{
	static const char *const launches[] = { "norms", "qkv up", "rotary",
		"attend", "merge", "out down" };
	struct backend_host		 host = {};
	struct backend_options		 opt = {};
	struct backend			*b;
	const int			 each = pos / KV_BLOCK + 1;
	std::vector<int32_t>		 blocks;
	std::vector<float>		 logits((size_t)rows *
					    (size_t)config->vocab);
	std::vector<struct backend_row>	 step;

	host.config = host_config;
	host.path = host_path;
	host.parameters = host_parameters;
	host.is_synth = host_is_synth;
	host.packed_precision = host_packed_precision;
	host.fault = host_fault;
	host.warn = host.info = host.debug = host_log;
	opt.precision = cuda_precision_names[precision];
	opt.kv_precision = kv == CUDA_I8 ? "int8" : "auto";
	opt.device = "cuda:0";
	opt.kv_tokens = rows * each * KV_BLOCK;
	opt.rows = rows;
	simt_device(0)->multiProcessorCount = sms;
	(void)backend_module.open(&host, NULL, &opt, &b, NULL);
	for (int i = 0; i < rows * each; i++)
		blocks.push_back(i);
	for (int t = 0; t < rows; t++)
		step.push_back({ t, pos, &blocks[(size_t)(t * each)],
		    &logits[(size_t)t * (size_t)config->vocab] });

	const int graphs = simt_calls("cudaGraphLaunch");

	simt_count_start();
	if (b->ops->step(b, step.data(), rows) != 0)
		die("the step has failed");
	const std::vector<figures> all = stop();

	for (size_t i = 0; i < all.size(); i++)
		print(i == 0 ? "embed" : i + 1 == all.size() ? "head" :
		    i + 2 == all.size() ? "last norm" : launches[(i - 1) % 6],
		    all[i]);
	printf("{\"layers\": %d, \"launches\": %zu, \"graphs\": %d}\n",
	    config->layers, all.size(), simt_calls("cudaGraphLaunch") -
	    graphs);
	b->ops->free(b);
}

/* ---- sizes */

static void
sizes()
{
	struct cuda_pieces	 p;
	struct cuda_sizes	 s;
	struct backend_options	 opt = {};
	int64_t			 table = 0;

	opt.kv_tokens = config->context;
	opt.rows = 256;
	cuda_pieces_init(&p, config, precision);
	cuda_sizes_init(&s, config, &p, kv, &opt, 0);
	for (int i = 0; i < p.n; i++)
		if (p.list[i].kind == PIECE_TABLE)
			table += (int64_t)p.list[i].size;
	printf("{\"weights\": %zu, \"embeddings\": %lld, \"work\": %zu, "
	    "\"token\": %zu}\n", p.size, (long long)table, s.work,
	    s.layer * (size_t)config->layers / (size_t)config->context);
	cuda_pieces_clear(&p);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 4 ? argv[1] : "";
	int i;

	for (const auto &m : models)
		if (argc > 4 && strcmp(m.name, argv[2]) == 0)
			config = &m.config;
	if (config == NULL || (argc != 8 && strcmp(what, "sizes") != 0))
		die("usage: count_bench step|slices|sizes MODEL ELEM CACHE "
		    "T POS SM");
	for (i = 0; i < CUDA_PRECISIONS; i++)
		if (strcmp(argv[3], cuda_precision_names[i]) == 0)
			break;
	if (i == CUDA_PRECISIONS)
		die("%s is no precision", argv[3]);
	precision = (enum cuda_precision)i;
	elem = (enum cuda_elem)i;	/* in the same order */
	act = elem == CUDA_BF16 ? CUDA_BF16 : CUDA_F16;
	kv = strcmp(argv[4], "int8") == 0 ? CUDA_I8 : act;
	if (argc == 8) {
		rows = atoi(argv[5]);
		pos = atoi(argv[6]);
		sms = atoi(argv[7]);
		names();
	}
	if (strcmp(what, "step") == 0)
		step();
	else if (strcmp(what, "slices") == 0)
		slices();
	else
		sizes();
	return (0);
}

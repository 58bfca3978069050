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
 * sequences are at position POS, and each wants its largest logit; SM is the
 * number of multiprocessors, which chooses the shapes of blocks.  One JSON
 * object is printed for each launch.
 */
#include "count_bench.h"
#include "random_model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

struct count_job job;

/* Print a line and end. */
void
count_die(const char *fmt, ...)
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

/* Print the names of the figures. */
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

/* Print the figures of a launch. */
void
count_print(const char *launch, const figures &v)
{
	printf("{\"launch\": \"%s\", \"figures\": [", launch);
	for (size_t i = 0; i < v.size(); i++)
		printf("%s%lld", i > 0 ? ", " : "", (long long)v[i]);
	printf("]}\n");
}

/* The figures of the launches since simt_count_start. */
std::vector<figures>
count_stop()
{
	std::vector<figures> all;

	for (const struct simt_counts &c : simt_count_stop())
		all.push_back(flat(c));
	must_run(cudaGetLastError());
	return (all);
}

/* ---- a step as the engine runs it */

/* Run a step, and count the launches of its graph. */
static void
step()
{
	static const char *const launches[] = { "norms", "qkv up", "rotary",
		"attend", "merge", "out down" };
	static const char *const whole[] = { "norms", "qkv up", "rotary",
		"attend", "out down" };		/* without sections */
	static const char *const last[] = { "last norm", "head", "best" };
	const struct backend_host	 host = random_host(job.config);
	struct backend_options		 opt = {};
	struct backend			*b;
	const int			 held = job.pos / KV_BLOCK + 1;
	std::vector<int32_t>		 blocks;
	std::vector<struct backend_best> best((size_t)job.rows);
	std::vector<struct backend_row>	 step;

	opt.precision = cuda_precision_names[job.precision];
	opt.kv_precision = job.kv == CUDA_I8 ? "int8" : "auto";
	opt.device = "cuda:0";
	opt.kv_tokens = job.rows * held * KV_BLOCK;
	opt.rows = job.rows;
	simt_device(0)->multiProcessorCount = job.sms;
	(void)backend_module.open(&host, NULL, &opt, &b, NULL);
	for (int i = 0; i < job.rows * held; i++)
		blocks.push_back(i);
	for (int t = 0; t < job.rows; t++) {
		best[(size_t)t].k = 1;
		step.push_back({ t, job.pos, &blocks[(size_t)(t * held)],
		    0, NULL, &best[(size_t)t] });
	}

	const int graphs = simt_calls("cudaGraphLaunch");

	simt_count_start();
	if (b->ops->step(b, step.data(), job.rows) != 0)
		count_die("the step has failed");
	const std::vector<figures> all = count_stop();
	const size_t each = (all.size() - 4) / (size_t)job.config->layers;

	for (size_t i = 0; i < all.size(); i++)
		count_print(i == 0 ? "embed" : i + 3 >= all.size() ?
		    last[i + 3 - all.size()] : each == 6 ?
		    launches[(i - 1) % 6] : whole[(i - 1) % 5], all[i]);
	printf("{\"layers\": %d, \"launches\": %zu, \"graphs\": %d}\n",
	    job.config->layers, all.size(), simt_calls("cudaGraphLaunch") -
	    graphs);
	b->ops->free(b);
}

/* ---- sizes */

/* Print the sizes of a model on a device. */
static void
sizes()
{
	struct cuda_pieces	 p;
	struct cuda_sizes	 s;
	struct backend_options	 opt = {};
	int64_t			 table = 0;

	opt.kv_tokens = job.config->context;
	opt.rows = 256;
	cuda_pieces_init(&p, job.config, job.precision);
	cuda_sizes_init(&s, job.config, &p, job.kv, &opt, 0);
	for (int i = 0; i < p.n; i++)
		if (p.list[i].kind == PIECE_TABLE)
			table += (int64_t)p.list[i].size;
	printf("{\"weights\": %zu, \"embeddings\": %lld, \"work\": %zu, "
	    "\"token\": %zu}\n", p.size, (long long)table, s.work,
	    s.layer * (size_t)job.config->layers / (size_t)job.config->context);
	cuda_pieces_clear(&p);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 4 ? argv[1] : "";
	int i;

	for (const auto &m : models)
		if (argc > 4 && strcmp(m.name, argv[2]) == 0)
			job.config = &m.config;
	if (job.config == NULL || (argc != 8 && strcmp(what, "sizes") != 0))
		count_die("usage: count_bench step|slices|sizes MODEL ELEM "
		    "CACHE T POS SM");
	for (i = 0; i < CUDA_PRECISIONS; i++)
		if (strcmp(argv[3], cuda_precision_names[i]) == 0)
			break;
	if (i == CUDA_PRECISIONS)
		count_die("%s is no precision", argv[3]);
	job.precision = (enum cuda_precision)i;
	job.elem = (enum cuda_elem)i;	/* in the same order */
	job.act = job.elem == CUDA_BF16 ? CUDA_BF16 : CUDA_F16;
	job.kv = strcmp(argv[4], "int8") == 0 ? CUDA_I8 : job.act;
	if (argc == 8) {
		job.rows = atoi(argv[5]);
		job.pos = atoi(argv[6]);
		job.sms = atoi(argv[7]);
		names();
	}
	if (strcmp(what, "step") == 0)
		step();
	else if (strcmp(what, "slices") == 0)
		count_slices();
	else
		sizes();
	return (0);
}

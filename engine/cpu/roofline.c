/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of this machine, for --bench: bytes read in a second, and
 * operations in a second, by loops that do nothing else.
 */
#include "cpu.h"

#include <sys/mman.h>

#include <stdlib.h>

#include "clock.h"

#define LIMITS_RUNS	7		/* the fastest run counts */
#define LIMITS_READS	3
#define LIMITS_BYTES	((size_t)256 << 20)	/* larger than caches */
#define LIMITS_PIECE	((size_t)4 << 20)
#define LIMITS_ROUNDS	20000000	/* of six operations */
#define LIMITS_TILES	1000000		/* of four products of tiles */

struct limits {
	const struct cpu	*cpu;
	const uint8_t		*at;
	_Atomic float		 sink;
};

/* Read one piece. */
static void
roofline_read(void *arg, int item, int thread)
{
	struct limits	*l = arg;

	(void)thread;
	l->sink = l->cpu->kernels->read(l->at + (size_t)item * LIMITS_PIECE,
	    LIMITS_PIECE);
}

/* Multiply and add. */
static void
roofline_fma(void *arg, int item, int thread)
{
	struct limits	*l = arg;

	(void)item;
	(void)thread;
	l->sink = l->cpu->kernels->spin_fma(LIMITS_ROUNDS);
}

/* The same for products of 8 bits. */
static void
roofline_dot8(void *arg, int item, int thread)
{
	struct limits	*l = arg;

	(void)item;
	(void)thread;
	l->sink = l->cpu->kernels->spin_dot8(LIMITS_ROUNDS);
}

/* The same for products of bf16 in tiles. */
static void
roofline_tile16(void *arg, int item, int thread)
{
	struct limits	*l = arg;

	(void)item;
	(void)thread;
	l->sink = l->cpu->kernels->spin_tile16(LIMITS_TILES);
}

/* The same for products of 8 bits in tiles. */
static void
roofline_tile8(void *arg, int item, int thread)
{
	struct limits	*l = arg;

	(void)item;
	(void)thread;
	l->sink = l->cpu->kernels->spin_tile8(LIMITS_TILES);
}

/*
 * The kinds of arithmetic. work counts a multiply-add as two operations. The
 * first two have 6 chains of 16 lanes, with one or four products in a lane. The
 * last two have 4 products of tiles, of 16 by 16 sums over 32 or 64 k.
 */
static const struct roofline_kind {
	const char	*name;		/* of the peak */
	const char	*key, *unit, *note;	/* of the figure */
	double		 work;		/* operations in one call of fn */
	void		(*fn)(void *, int, int);
} roofline_kinds[] = {
	{ "fp32", "fp32_peak", "GFLOP/s", "multiply-add in registers",
	    192.0 * LIMITS_ROUNDS, roofline_fma },
	{ "int8", "int8_peak", "GOP/s", "products of 8 bits in registers",
	    768.0 * LIMITS_ROUNDS, roofline_dot8 },
	{ "AMX bf16", "amx_bf16_peak", "GFLOP/s", "products of bf16 in tiles",
	    65536.0 * LIMITS_TILES, roofline_tile16 },
	{ "AMX int8", "amx_int8_peak", "GOP/s", "products of 8 bits in tiles",
	    131072.0 * LIMITS_TILES, roofline_tile8 }
};

/* Run n items several times. Returns the items per second of the fastest
 * run. */
static double
roofline_rate(struct limits *l, int runs, int n, void (*fn)(void *, int, int))
{
	double	 best = 0, start, rate;
	int	 i;

	for (i = 0; i < runs; i++) {
		start = clock_seconds();
		pool_run(l->cpu->pool, n, fn, l);
		rate = n / (clock_seconds() - start);
		best = rate > best ? rate : best;
	}
	return (best);
}

/* Bytes read in a second: of the weights, or of other memory if the weights
 * are small. */
double
roofline_read_rate(struct backend *b)
{
	const struct cpu *c = (const struct cpu *)b;
	struct limits	 l = { .cpu = c, .at = c->weights->memory };
	size_t		 n = c->weights->size;
	void		*own = NULL;
	double		 rate;

	if (n < LIMITS_BYTES) {
		n = LIMITS_BYTES;
		if (posix_memalign(&own, 1 << 21, n) != 0)
			abort();
		(void)madvise(own, n, MADV_HUGEPAGE);
		for (size_t i = 0; i < n; i += 4096)
			((uint8_t *)own)[i] = 1;
		l.at = own;
	}
	n = n < LIMITS_BYTES ? n : LIMITS_BYTES;
	rate = roofline_rate(&l, LIMITS_READS, (int)(n / LIMITS_PIECE),
	    roofline_read) * (double)LIMITS_PIECE;
	free(own);
	return (rate);
}

/* Bytes of weights for one token: all but the embedding's other rows, unless
 * they are the output matrix, too. */
static int64_t
roofline_touched(const struct cpu *c)
{
	int64_t	 sum = 0;
	size_t	 i;
	int	 head = c->config.tied && c->layout.end == c->config.layers;

	for (i = 0; i < c->layout.n; i++)
		if (head || c->layout.pieces[i].part != TENSOR_EMBED)
			sum += (int64_t)c->layout.pieces[i].size;
	return (sum);
}

/* Add a figure in units of 1e9 a second. */
static void
roofline_figure(struct backend_limits *out, const char *key, double value,
    const char *unit, const char *note)
{
	out->figures[out->nfigures++] = (struct backend_figure){ .key = key,
		.unit = unit, .note = note, .value = value / 1e9 };
}

/* Measure one kind of arithmetic. is_models: the model is computed in it, so
 * it is also the peak. */
static void
roofline_peak(struct limits *l, struct backend_limits *out,
    const struct roofline_kind *k, int is_models)
{
	double	 rate = roofline_rate(l, LIMITS_RUNS, pool_size(l->cpu->pool),
		    k->fn) * k->work;

	roofline_figure(out, k->key, rate, k->unit, k->note);
	if (!is_models)
		return;
	out->peak = rate;
	out->peak_name = k->name;
}

/* Measure all limits. */
void
roofline_limits(struct backend *b, struct backend_limits *out)
{
	const struct cpu	*c = (const struct cpu *)b;
	struct limits		 l = { .cpu = c };
	const int		 tiles = c->kernels->spin_tile16 != NULL;
	const int		 in_tiles = tiles &&
				    c->layout.precision != PREC_FP32;

	out->nfigures = 0;
	out->touched = roofline_touched(c);
	roofline_figure(out, "read_bandwidth", roofline_read_rate(b), "GB/s",
	    "all threads, larger than the caches");
	roofline_peak(&l, out, &roofline_kinds[0], !c->quantized && !in_tiles);
	roofline_peak(&l, out, &roofline_kinds[1], c->quantized && !in_tiles);
	if (!tiles)
		return;
	roofline_peak(&l, out, &roofline_kinds[2], !c->quantized && in_tiles);
	roofline_peak(&l, out, &roofline_kinds[3], c->quantized && in_tiles);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this machine allows: bytes read and operations done in a second, by
 * loops that do nothing else.  For the bench.
 */
#include "cpu.h"

#include <sys/mman.h>

#include <stdlib.h>

#include "clock.h"

#define LIMITS_RUNS	7		/* the best counts: limits are not noise */
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

/* The same for tiles of bf16, and of 8 bits. */
static void
roofline_tile16(void *arg, int item, int thread)
{
	struct limits	*l = arg;

	(void)item;
	(void)thread;
	l->sink = l->cpu->kernels->spin_tile16(LIMITS_TILES);
}

static void
roofline_tile8(void *arg, int item, int thread)
{
	struct limits	*l = arg;

	(void)item;
	(void)thread;
	l->sink = l->cpu->kernels->spin_tile8(LIMITS_TILES);
}

/* How often n items can be done in a second, at best of some runs. */
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

/* Bytes read in a second: of the weights, or of other memory where these are
 * small. */
double
cpu_read_rate(const struct cpu *c)
{
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

/* Measure. */
void
cpu_limits(const struct cpu *c, struct cpu_limits *out)
{
	struct limits	 l = { .cpu = c };
	const int	 threads = pool_size(c->pool);

	out->read = cpu_read_rate(c);
	/* 6 chains of 16 lanes, of one or of four products, two operations
	 * each */
	out->fma = roofline_rate(&l, LIMITS_RUNS, threads, roofline_fma) * 192.0 *
	    LIMITS_ROUNDS;
	out->dot8 = roofline_rate(&l, LIMITS_RUNS, threads, roofline_dot8) * 768.0 *
	    LIMITS_ROUNDS;
	out->tile16 = out->tile8 = 0;
	if (c->kernels->spin_tile16 != NULL) {
		/* 4 products of 16 by 16, by 32 or by 64 k */
		out->tile16 = roofline_rate(&l, LIMITS_RUNS, threads, roofline_tile16) *
		    65536.0 * LIMITS_TILES;
		out->tile8 = roofline_rate(&l, LIMITS_RUNS, threads, roofline_tile8) *
		    131072.0 * LIMITS_TILES;
	}
}

/* Bytes of weights for one token: all but the embedding's other rows. */
int64_t
cpu_touched(const struct cpu *c)
{
	int64_t	 sum = 0;
	size_t	 i;

	for (i = 0; i < c->layout.n; i++)
		if (c->config.tied ||
		    c->layout.pieces[i].part != TENSOR_EMBED)
			sum += (int64_t)c->layout.pieces[i].size;
	return (sum);
}

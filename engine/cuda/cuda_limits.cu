/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the device allows, for --bench: the bytes that a copy moves in a second,
 * and the rate of products in registers with mma, which the kernels use.
 */
#include "cuda.h"

#include <stdio.h>
#include <unistd.h>

#include "device.h"

#define LIMITS_COPY	((size_t)256 << 20)	/* bytes, at most */
#define LIMITS_COPIES	8
#define LIMITS_MS	20.0f	/* least time of a measurement */
#define LIMITS_THREADS	256	/* of a block; 2 blocks a multiprocessor */
#define LIMITS_SUMS	8	/* independent sums of a warp */
#define LIMITS_ROUNDS	(1 << 20)	/* at most */

/* Operations of one mma of 16 x 8 x 16. */
#define LIMITS_MMA	(2.0 * 16 * 8 * 16)

/* Each warp adds products to its sums, rounds times. out: one float a thread,
 * so that the sums are needed. */
template <enum cuda_elem E>
__global__ void
limits_spin(float *out, int rounds)
{
	const uint32_t	 a[4] = { 0, 0, 0, 0 }, b[2] = { 0, 0 };
	float		 d[LIMITS_SUMS][4], sum = 0;

#pragma unroll
	for (int i = 0; i < LIMITS_SUMS; i++)
		for (int j = 0; j < 4; j++)
			d[i][j] = (float)threadIdx.x;
	for (int r = 0; r < rounds; r++) {
#pragma unroll
		for (int i = 0; i < LIMITS_SUMS; i++)
			if (E == CUDA_BF16)
				mma_bf16(d[i], a, b);
			else
				mma_f16(d[i], a, b);
	}
#pragma unroll
	for (int i = 0; i < LIMITS_SUMS; i++)
		sum += d[i][0] + d[i][1] + d[i][2] + d[i][3];
	st_global(out + blockIdx.x * LIMITS_THREADS + threadIdx.x, sum);
}

/* An error while measuring ends the process, as in a step. */
static void
limits_try(const struct cuda *c, cudaError_t e)
{
	if (e == cudaSuccess)
		return;
	c->h->warn("%s: measuring the device: %s (CUDA error %d)", c->name,
	    cudaGetErrorString(e), (int)e);
	_exit(1);
}

/* Two events around what is measured. */
struct limits_clock {
	cudaEvent_t	 from, to;
};

static void
limits_start(const struct cuda *c, struct limits_clock *k)
{
	limits_try(c, cudaEventCreateWithFlags(&k->from, cudaEventDefault));
	limits_try(c, cudaEventCreateWithFlags(&k->to, cudaEventDefault));
	limits_try(c, cudaEventRecord(k->from, c->stream));
}

/* Milliseconds since limits_start. */
static float
limits_stop(const struct cuda *c, struct limits_clock *k)
{
	float	 ms;

	limits_try(c, cudaEventRecord(k->to, c->stream));
	limits_try(c, cudaEventSynchronize(k->to));
	limits_try(c, cudaEventElapsedTime(&ms, k->from, k->to));
	limits_try(c, cudaEventDestroy(k->from));
	limits_try(c, cudaEventDestroy(k->to));
	return (ms > 1e-3f ? ms : 1e-3f);
}

/* Bytes that a copy within the device's memory reads and writes in a second:
 * from one half of a piece of memory to the other. The piece is the cache, or
 * memory of its own if the cache is small and there is room. */
double
cuda_limits_read_rate(struct backend *b)
{
	struct cuda		*c = (struct cuda *)b;
	const size_t		 cache = c->sizes.layer *
				    (size_t)cuda_layers(&c->pieces);
	size_t			 n = LIMITS_COPY;
	uint8_t			*at = c->cache, *own = NULL;
	struct limits_clock	 k;
	float			 ms;
	int			 i;

	limits_try(c, cudaSetDevice(c->index));
	if (cache < 2 * n) {
		if (cudaMalloc((void **)&own, 2 * n) == cudaSuccess)
			at = own;
		else {
			(void)cudaGetLastError();
			n = cache / 2 / 16 * 16;
		}
	}
	limits_start(c, &k);
	for (i = 0; i < LIMITS_COPIES; i++)
		limits_try(c, cudaMemcpyAsync(at + n, at, n,
		    cudaMemcpyDeviceToDevice, c->stream));
	ms = limits_stop(c, &k);
	limits_try(c, cudaFree(own));
	return (2.0 * (double)n * LIMITS_COPIES / ms * 1e3);
}

/* Operations a second of mma in registers. */
static double
limits_peak(struct cuda *c)
{
	float			*out;
	struct limits_clock	 k;
	float			 ms = 0;
	int			 units, blocks, rounds;

	limits_try(c, cudaDeviceGetAttribute(&units,
	    cudaDevAttrMultiProcessorCount, c->index));
	blocks = 2 * units;
	limits_try(c, cudaMalloc((void **)&out, (size_t)blocks *
	    LIMITS_THREADS * sizeof *out));
	for (rounds = 1; rounds <= LIMITS_ROUNDS && ms < LIMITS_MS;
	    rounds *= 2) {
		limits_start(c, &k);
		if (c->pieces.act == CUDA_BF16)
			LAUNCH(limits_spin<CUDA_BF16>, blocks, LIMITS_THREADS,
			    0, c->stream, out, rounds);
		else
			LAUNCH(limits_spin<CUDA_F16>, blocks, LIMITS_THREADS,
			    0, c->stream, out, rounds);
		limits_try(c, cudaGetLastError());
		ms = limits_stop(c, &k);
	}
	limits_try(c, cudaFree(out));
	return (LIMITS_MMA * LIMITS_SUMS * (rounds / 2) * blocks *
	    (LIMITS_THREADS / 32) / ms * 1e3);
}

/* Bytes of weights for one token: all but the other rows of the table. */
static int64_t
limits_touched(const struct cuda *c)
{
	int64_t	 sum = 0;
	int	 i;

	for (i = 0; i < c->pieces.n; i++)
		if (c->pieces.list[i].kind != PIECE_TABLE)
			sum += (int64_t)c->pieces.list[i].size;
	return (sum);
}

/* Add a figure in units of 1e9 a second. */
static void
limits_figure(struct backend_limits *out, const char *key, double value,
    const char *unit, const char *note)
{
	struct backend_figure	*f = &out->figures[out->nfigures++];

	f->key = key;
	f->unit = unit;
	f->note = note;
	f->value = value / 1e9;
}

/* Measure everything. */
void
cuda_limits(struct backend *b, struct backend_limits *out)
{
	struct cuda	*c = (struct cuda *)b;

	limits_try(c, cudaSetDevice(c->index));
	out->nfigures = 0;
	out->touched = limits_touched(c);
	out->peak = limits_peak(c);
	out->peak_name = c->pieces.act == CUDA_BF16 ? "mma bf16" : "mma fp16";
	limits_figure(out, "read_bandwidth", cuda_limits_read_rate(b), "GB/s",
	    "a copy within the device's memory, bytes read and written");
	limits_figure(out, "mma_peak", out->peak, "GFLOP/s",
	    "products of 16 bits in registers, with mma.sync");
}

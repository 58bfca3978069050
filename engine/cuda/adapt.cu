/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What adapters add to a product: z = x A', then y = y + z B', for the rows
 * that have an adapter.  Each number of z is the work of a warp, and each of y
 * that of a thread, so a row has the same bits in any step.  Both matrices are
 * small beside the model's, and are in fp32.
 */
#include "cuda_acts.h"
#include "cuda_kernels.h"
#include "product.h"

#define ADAPT_THREADS	256
#define ADAPT_WARPS	(ADAPT_THREADS / 32)
#define ADAPT_ROWS	8	/* of y that share what is read of B */

/* z of a row and ADAPT_WARPS numbers of the rank. */
template <enum cuda_elem ACT>
__global__ void
adapt_low_kernel(struct adapt d)
{
	const int	 t = (int)blockIdx.y, lane = (int)threadIdx.x % 32;
	const int	 r = (int)blockIdx.x * ADAPT_WARPS +
			    (int)threadIdx.x / 32;
	const int	 own = ldg(d.adapter + t);
	const int	 Kp = layout_pad(d.K, LAYOUT_K);
	const uint16_t	*in = static_cast<const uint16_t *>(d.in);
	const float	*a = own == 0 ? NULL :
			    ld_global(&d.pair[own - 1].a);
	float		 sum = 0.0f;

	/* The same for all lanes of a warp. */
	if (a == NULL || r >= ldg(&d.pair[own - 1].rank))
		return;
	a += (size_t)r * (size_t)d.K;
	for (int k = 2 * lane; k < d.K; k += 64) {
		const uint32_t	 v = ldg4(in + layout_act(t, k, Kp));
		const float2	 x = ACT == CUDA_BF16 ? unpack_bf16x2(v) :
				    unpack_f16x2(v);

		sum = __fmaf_rn(x.x, ldg(a + k), sum);
		if (k + 1 < d.K)
			sum = __fmaf_rn(x.y, ldg(a + k + 1), sum);
	}
	for (int i = 16; i > 0; i /= 2)
		sum = __fadd_rn(sum, shfl_xor(sum, i));
	if (lane == 0)
		st_global(d.z + (size_t)t * (size_t)d.ldz + r, sum);
}

/* Column n of y for those of ADAPT_ROWS rows that have the adapter of the first
 * of them; `same` has a bit for each. */
__device__ __forceinline__ void
adapt_column(const struct adapt &d, int n, int first, uint32_t same,
    const struct adapt_pair *p)
{
	const float	*b = ld_global(&p->b), *z = d.z + (size_t)first *
			    (size_t)d.ldz;
	const int	 rank = ldg(&p->rank);
	float		 sum[ADAPT_ROWS] = {};

	for (int r = 0; r < rank; r++) {
		const float	 w = ldg(b + (size_t)r * (size_t)d.N + n);

#pragma unroll
		for (int i = 0; i < ADAPT_ROWS; i++)
			if (same >> i & 1)
				sum[i] = __fmaf_rn(ldg(z + (size_t)i *
				    (size_t)d.ldz + r), w, sum[i]);
	}
#pragma unroll
	for (int i = 0; i < ADAPT_ROWS; i++) {
		float *y = d.out + (size_t)(first + i) * (size_t)d.ldo + n;

		if (same >> i & 1)
			st_global(y, __fadd_rn(ld_global(y), sum[i]));
	}
}

/* y of ADAPT_ROWS rows and ADAPT_THREADS columns. */
__global__ void
adapt_high_kernel(struct adapt d)
{
	const int	 n = (int)(blockIdx.x * ADAPT_THREADS + threadIdx.x);
	const int	 first = (int)blockIdx.y * ADAPT_ROWS;
	int		 own[ADAPT_ROWS];

	for (int i = 0; i < ADAPT_ROWS; i++)
		own[i] = first + i < d.T ? ldg(d.adapter + first + i) : 0;
	for (int i = 0; i < ADAPT_ROWS && n < d.N; i++) {
		uint32_t same = 0, before = 0;

		for (int k = 0; k < ADAPT_ROWS; k++)
			if (own[k] == own[i])
				*(k < i ? &before : &same) |= 1u << k;
		if (own[i] != 0 && before == 0 &&
		    ld_global(&d.pair[own[i] - 1].a) != NULL)
			adapt_column(d, n, first, same, &d.pair[own[i] - 1]);
	}
}

cudaError_t
adapt_launch(const struct adapt *d, cudaStream_t s)
{
	const dim3	 low((unsigned)((d->ldz + ADAPT_WARPS - 1) /
			    ADAPT_WARPS), (unsigned)d->T);
	const dim3	 high((unsigned)((d->N + ADAPT_THREADS - 1) /
			    ADAPT_THREADS), (unsigned)((d->T + ADAPT_ROWS - 1) /
			    ADAPT_ROWS));

	if (d->act == CUDA_BF16)
		LAUNCH(adapt_low_kernel<CUDA_BF16>, low, ADAPT_THREADS, 0, s,
		    *d);
	else
		LAUNCH(adapt_low_kernel<CUDA_F16>, low, ADAPT_THREADS, 0, s,
		    *d);
	LAUNCH(adapt_high_kernel, high, ADAPT_THREADS, 0, s, *d);
	return (cudaGetLastError());
}

/* Two columns of a row for each thread. */
template <enum cuda_elem ACT>
__global__ void
gelus_kernel(struct gelus g)
{
	const int	 t = (int)blockIdx.y, Kp = layout_pad(g.N, LAYOUT_K);
	const int	 n = 2 * (int)(blockIdx.x * ADAPT_THREADS +
			    threadIdx.x);
	const float	*in = g.in + (size_t)t * (size_t)g.N;
	uint16_t	*out = static_cast<uint16_t *>(g.out);
	float		 y[2] = { 0.0f, 0.0f };

	if (n >= Kp)
		return;
	for (int i = 0; i < 2; i++)
		if (n + i < g.N)
			y[i] = product_gelu(ldg(in + n + i), g.erf);
	st_global(reinterpret_cast<uint32_t *>(out + layout_act(t, n, Kp)),
	    product_pack<ACT>(y[0], y[1]));
}

cudaError_t
gelus_launch(const struct gelus *g, cudaStream_t s)
{
	const int	 pairs = layout_pad(g->N, LAYOUT_K) / 2;
	const dim3	 grid((unsigned)((pairs + ADAPT_THREADS - 1) /
			    ADAPT_THREADS), (unsigned)g->T);

	if (g->act == CUDA_BF16)
		LAUNCH(gelus_kernel<CUDA_BF16>, grid, ADAPT_THREADS, 0, s, *g);
	else
		LAUNCH(gelus_kernel<CUDA_F16>, grid, ADAPT_THREADS, 0, s, *g);
	return (cudaGetLastError());
}

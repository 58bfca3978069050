/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Embeddings, and layer norms that leave their results as operands of the
 * products.  A block has one row.  How the threads share it depends on C alone,
 * so a row's sums have the same order in each step.
 */
#include "cuda_acts.h"
#include "cuda_kernels.h"

#define EMBED_THREADS	256
#define NORM_UNIT	8	/* columns of a thread in 16 bytes of results */
#define NORM_MAX	16384	/* C */

/* Is p a multiple of n bytes? */
static bool
norm_aligned(const void *p, size_t n)
{
	return (reinterpret_cast<uintptr_t>(p) % n == 0);
}

/* ---- embeddings */

/* One row for each block; with WIDE, C is a multiple of 8 and all rows lie on
 * 16 bytes. */
template <enum cuda_elem E, bool WIDE>
__global__ void
embed_kernel(struct embed e)
{
	const size_t	 row = (size_t)ldg(e.tokens + blockIdx.x);
	const uint16_t	*in = static_cast<const uint16_t *>(e.table) +
			    row * (size_t)e.C;
	float		*out = e.x + (size_t)blockIdx.x * (size_t)e.C;

	for (int i = (int)threadIdx.x; WIDE && i < e.C / 8;
	    i += EMBED_THREADS) {
		const uint4	 v = ldg16(in + 8 * i);
		const uint32_t	 w[4] = { v.x, v.y, v.z, v.w };
		float2		 f[4];

		for (int k = 0; k < 4; k++)
			f[k] = E == CUDA_BF16 ? unpack_bf16x2(w[k]) :
			    unpack_f16x2(w[k]);
		for (int k = 0; k < 2; k++)
			st_global(reinterpret_cast<float4 *>(out + 8 * i +
			    4 * k), make_float4(f[2 * k].x, f[2 * k].y,
			    f[2 * k + 1].x, f[2 * k + 1].y));
	}
	for (int i = (int)threadIdx.x; !WIDE && i < e.C; i += EMBED_THREADS) {
		const uint32_t	 v = ldg(in + i);

		st_global(out + i, E == CUDA_BF16 ? unpack_bf16x2(v).x :
		    unpack_f16x2(v).x);
	}
}

cudaError_t
embed_launch(const struct embed *e, cudaStream_t s)
{
	const bool wide = e->C % 8 == 0 && norm_aligned(e->table, 16) &&
	    norm_aligned(e->x, 16);

	if (e->T <= 0)
		return (cudaSuccess);
	if (e->elem == CUDA_BF16 && wide)
		LAUNCH((embed_kernel<CUDA_BF16, true>), e->T, EMBED_THREADS, 0,
		    s, *e);
	else if (e->elem == CUDA_BF16)
		LAUNCH((embed_kernel<CUDA_BF16, false>), e->T, EMBED_THREADS,
		    0, s, *e);
	else if (wide)
		LAUNCH((embed_kernel<CUDA_F16, true>), e->T, EMBED_THREADS, 0,
		    s, *e);
	else
		LAUNCH((embed_kernel<CUDA_F16, false>), e->T, EMBED_THREADS, 0,
		    s, *e);
	return (cudaGetLastError());
}

/* ---- norms */

/* Units of a thread: more if single floats are loaded, which needs more
 * registers, and so fewer threads. */
__host__ __device__ __forceinline__ constexpr int
norm_units(bool pairs)
{
	return (pairs ? 2 : 4);
}

/* The most threads of a block. */
__host__ __device__ __forceinline__ constexpr int
norm_threads(bool pairs)
{
	return (NORM_MAX / NORM_UNIT / norm_units(pairs));
}

/*
 * A unit is what layout_act puts into 16 bytes: unit u has the columns of a
 * row's group u / 4 of 32 whose number is 2 * (u % 4) or the next, modulo 8.
 * Pair i of it begins at this column.
 */
__device__ __forceinline__ int
norm_column(int u, int i)
{
	return (u / 4 * 32 + u % 4 * 2 + i * 8);
}

/* Two floats of a vector of C, from column k; zero beyond C. With PAIRS, C is
 * even and v on 8 bytes. */
template <bool PAIRS>
__device__ __forceinline__ float2
norm_load(const float *v, int k, int C)
{
	if (PAIRS)
		return (k < C ? ldg(reinterpret_cast<const float2 *>(v + k)) :
		    make_float2(0, 0));
	return (make_float2(k < C ? ldg(v + k) : 0,
	    k + 1 < C ? ldg(v + k + 1) : 0));
}

/* The sum of v over the block, to all its threads. part has a float for each
 * warp; a second call needs another one. */
__device__ __forceinline__ float
norm_sum(float v, float *part)
{
	for (int i = 16; i > 0; i /= 2)
		v = __fadd_rn(v, shfl_xor(v, i));
	if (threadIdx.x % 32 == 0)
		st_shared(part + threadIdx.x / 32, v);
	SYNC_BLOCK();
	v = threadIdx.x % 32 < blockDim.x / 32 ?
	    ld_shared(part + threadIdx.x % 32) : 0;
	for (int i = 16; i > 0; i /= 2)
		v = __fadd_rn(v, shfl_xor(v, i));
	return (v);
}

/* Write norm number which of the row, from its differences to the mean. */
template <enum cuda_elem ACT, bool PAIRS>
__device__ __forceinline__ void
norm_store(const struct norms &n, int which,
    const float2 (&x)[norm_units(PAIRS)][4], float rstd)
{
	const int	 Kp = layout_pad(n.C, LAYOUT_K);
	uint16_t	*out = static_cast<uint16_t *>(n.out[which]);

	for (int j = 0; j < norm_units(PAIRS); j++) {
		const int	 u = (int)(threadIdx.x + j * blockDim.x);
		uint32_t	 w[4];

		if (u >= Kp / NORM_UNIT)
			continue;
		for (int i = 0; i < 4; i++) {
			const int	 k = norm_column(u, i);
			const float2	 g = norm_load<PAIRS>(n.gain[which], k,
					    n.C);
			const float2	 b = norm_load<PAIRS>(n.bias[which], k,
					    n.C);

			w[i] = acts_pair<ACT>(
			    fmaf(__fmul_rn(x[j][i].x, rstd), g.x, b.x),
			    fmaf(__fmul_rn(x[j][i].y, rstd), g.y, b.y));
		}
		st_global16(out + layout_act((int)blockIdx.x,
		    norm_column(u, 0), Kp), make_uint4(w[0], w[1], w[2], w[3]));
	}
}

/* The norms of row blockIdx.x. */
template <enum cuda_elem ACT, bool PAIRS>
__global__ void __launch_bounds__(norm_threads(PAIRS))
norms_kernel(struct norms n)
{
	SHARED_ARRAY(float, part, 64);
	const int	 row = n.rows == NULL ? (int)blockIdx.x :
			    ldg(n.rows + blockIdx.x);
	const float	*in = n.x + (size_t)row * (size_t)n.C;
	float2		 x[norm_units(PAIRS)][4];
	float		 sum = 0, mean, rstd;

	for (int j = 0; j < norm_units(PAIRS); j++)
		for (int i = 0; i < 4; i++) {
			x[j][i] = norm_load<PAIRS>(in, norm_column(
			    (int)(threadIdx.x + j * blockDim.x), i), n.C);
			sum = __fadd_rn(sum, __fadd_rn(x[j][i].x, x[j][i].y));
		}
	mean = norm_sum(sum, part) / (float)n.C;
	sum = 0;
	for (int j = 0; j < norm_units(PAIRS); j++)
		for (int i = 0; i < 4; i++) {
			const int k = norm_column(
			    (int)(threadIdx.x + j * blockDim.x), i);

			x[j][i].x = k < n.C ? __fsub_rn(x[j][i].x, mean) : 0;
			x[j][i].y = k + 1 < n.C ?
			    __fsub_rn(x[j][i].y, mean) : 0;
			sum = fmaf(x[j][i].x, x[j][i].x, sum);
			sum = fmaf(x[j][i].y, x[j][i].y, sum);
		}
	rstd = 1 / sqrtf(norm_sum(sum, part + 32) / (float)n.C + n.eps);
	norm_store<ACT, PAIRS>(n, 0, x, rstd);
	if (n.gain[1] != NULL)
		norm_store<ACT, PAIRS>(n, 1, x, rstd);
}

cudaError_t
norms_launch(const struct norms *n, cudaStream_t s)
{
	const int	 units = layout_pad(n->C, LAYOUT_K) / NORM_UNIT;
	bool		 pairs = n->C % 2 == 0 && norm_aligned(n->x, 8);
	int		 threads;

	if (n->C <= 0 || n->C > NORM_MAX)
		return (cudaErrorInvalidValue);
	if (n->T <= 0)
		return (cudaSuccess);
	for (int i = 0; i < 2; i++)
		pairs = pairs && norm_aligned(n->gain[i], 8) &&
		    norm_aligned(n->bias[i], 8);
	threads = layout_pad((units + norm_units(pairs) - 1) /
	    norm_units(pairs), 32);
	if (n->act == CUDA_BF16 && pairs)
		LAUNCH((norms_kernel<CUDA_BF16, true>), n->T, threads, 0, s,
		    *n);
	else if (n->act == CUDA_BF16)
		LAUNCH((norms_kernel<CUDA_BF16, false>), n->T, threads, 0, s,
		    *n);
	else if (pairs)
		LAUNCH((norms_kernel<CUDA_F16, true>), n->T, threads, 0, s,
		    *n);
	else
		LAUNCH((norms_kernel<CUDA_F16, false>), n->T, threads, 0, s,
		    *n);
	return (cudaGetLastError());
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention over the KV cache: attend_parts.h has its arithmetic.  A block has
 * four warps.
 *
 *   single row  a block has a section of a head.  Each warp computes the scores
 *		 of one block of the cache; then each computes some lanes of the
 *		 head over all positions.  attend_merge_launch does the rest.
 *   16 rows	 a block has a head.  Each warp computes a section alone, and
 *		 leaves it in shared memory; then all merge these four sections.
 *
 * No size of a grid depends on positions: what a row does not have ends early.
 */
#include "attend_rows.h"
#include "attend_single.h"

#define ATTEND_THREADS	(ATTEND_WARPS * 32)
#define ATTEND_MERGE_THREADS	64	/* two lanes each: D is at most 128 */
#define ATTEND_LOG2E	1.44269504f

/* Blocks: sections, heads, items of one row. */
template <enum cuda_elem E, int TILES, bool ANY>
__global__ void __launch_bounds__(ATTEND_THREADS, 2)
attend_single_kernel(struct attention a, float c)
{
	attend_single<E, TILES, ANY>(a, (int)ldg8(a.items + blockIdx.z).x, c);
}

/* Blocks: sections, heads, items of any kind. */
template <enum cuda_elem E, int TILES, bool ANY>
__global__ void __launch_bounds__(ATTEND_THREADS, 2)
attend_kernel(struct attention a, float c)
{
	const uint2 item = ldg8(a.items + blockIdx.z);

	if (item.y == 1)
		attend_single<E, TILES, ANY>(a, (int)item.x, c);
	else if (blockIdx.x == 0)
		attend_rows<E, TILES, ANY>(a, (int)item.x, (int)item.y, c);
}

/* Launch for heads of this size. */
template <enum cuda_elem E, int TILES, bool ANY>
static void
attend_start(const struct attention *a, cudaStream_t s)
{
	const dim3 grid((unsigned)(a->sections > 0 ? a->sections : 1),
	    (unsigned)a->H, (unsigned)a->nitems);
	const float c = a->scale * ATTEND_LOG2E;

	if (a->nitems == a->T)
		LAUNCH((attend_single_kernel<E, TILES, ANY>), grid,
		    ATTEND_THREADS, 0, s, *a, c);
	else
		LAUNCH((attend_kernel<E, TILES, ANY>), grid, ATTEND_THREADS, 0,
		    s, *a, c);
}

/* Launch for a cache of this type. */
template <enum cuda_elem E>
static void
attend_start_any(const struct attention *a, cudaStream_t s)
{
	switch (layout_pad(a->D, 16)) {
	case 64:
		attend_start<E, 4, false>(a, s);
		break;
	case 80:
		attend_start<E, 5, false>(a, s);
		break;
	case 96:
		attend_start<E, 6, false>(a, s);
		break;
	case 112:
		attend_start<E, 7, false>(a, s);
		break;
	case 128:
		attend_start<E, 8, false>(a, s);
		break;
	default:	/* 16, 32 or 48 */
		attend_start<E, 4, true>(a, s);
	}
}

cudaError_t
attend_launch(const struct attention *a, cudaStream_t s)
{
	if (a->D <= 0 || a->D > 128)
		return (cudaErrorInvalidValue);
	if (a->nitems <= 0)
		return (cudaSuccess);
	if (a->elem == CUDA_I8)
		attend_start_any<CUDA_I8>(a, s);
	else if (a->elem == CUDA_BF16)
		attend_start_any<CUDA_BF16>(a, s);
	else
		attend_start_any<CUDA_F16>(a, s);
	return (cudaGetLastError());
}

/* ---- the sections of single rows become one */

/* Blocks: heads, items. Those of several rows are done already. */
template <enum cuda_elem E>
__global__ void
attend_merge_kernel(struct attention a)
{
	const uint2	 item = ldg8(a.items + blockIdx.y);
	const int	 t = (int)item.x, h = (int)blockIdx.x;
	const int	 d = (int)threadIdx.x * 2, Dp = layout_pad(a.D, 16);
	const float	*in = a.partial + ((size_t)t * (size_t)a.H +
			    (size_t)h) * (size_t)a.sections * (size_t)(Dp + 2);
	struct attend_state st = { ATTEND_NONE, 0, 0, 0 };
	float2		 o = make_float2(0, 0);

	if (item.y != 1)
		return;		/* all threads of the block */
	for (int first = 0; first <= ldg(a.pos + t); first += ATTEND_SECTION) {
		if (attend_merge(&st, ldg(in + Dp), ldg(in + Dp + 1)) && d < Dp)
			attend_merge_lanes(&o, &st, ldg(
			    reinterpret_cast<const float2 *>(in + d)));
		in += Dp + 2;
	}
	attend_mix<E>(a, t, h, d, o, st.l);
	if (h == a.H - 1)
		attend_pad(a, t, d / 2, ATTEND_MERGE_THREADS);
}

cudaError_t
attend_merge_launch(const struct attention *a, cudaStream_t s)
{
	const dim3 grid((unsigned)a->H, (unsigned)a->nitems);
	const int threads = ATTEND_MERGE_THREADS;

	if (a->nitems <= 0)
		return (cudaSuccess);
	if (a->elem == CUDA_I8)
		LAUNCH(attend_merge_kernel<CUDA_I8>, grid, threads, 0, s, *a);
	else if (a->elem == CUDA_BF16)
		LAUNCH(attend_merge_kernel<CUDA_BF16>, grid, threads, 0, s,
		    *a);
	else
		LAUNCH(attend_merge_kernel<CUDA_F16>, grid, threads, 0, s, *a);
	return (cudaGetLastError());
}

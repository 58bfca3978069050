/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention over the KV cache: attend_parts.h has its arithmetic.  A block has
 * four warps.
 *
 *   single row  each warp computes the scores of one block of the cache; then
 *		 each computes some lanes of the head over all positions.  A
 *		 block does so for one section after the other of a row and
 *		 head.  If there are too few rows to fill the card, it does so
 *		 for a single section, and another launch merges all sections.
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

/* Blocks: 1, heads, items of one row. Four of them fit a multiprocessor, with
 * 64 KiB and more of the cache on their way. */
template <enum cuda_elem E, int TILES, bool ANY>
__global__ void __launch_bounds__(ATTEND_THREADS, 4)
attend_whole_kernel(struct attention a, float c)
{
	attend_whole<E, TILES, ANY>(a, (int)ldg8(a.items + blockIdx.z).x, c);
}

/* Blocks: 1, heads, items of any kind. */
template <enum cuda_elem E, int TILES, bool ANY>
__global__ void __launch_bounds__(ATTEND_THREADS, 2)
attend_kernel(struct attention a, float c)
{
	const uint2 item = ldg8(a.items + blockIdx.z);

	if (item.y == 1)
		attend_whole<E, TILES, ANY>(a, (int)item.x, c);
	else
		attend_rows<E, TILES, ANY>(a, (int)item.x, (int)item.y, c);
}

/* Launch for heads of this size; split: single rows, by sections. */
template <enum cuda_elem E, int TILES, bool ANY>
static void
attend_start(const struct attention *a, bool split, cudaStream_t s)
{
	const dim3 grid((unsigned)(split && a->sections > 0 ? a->sections : 1),
	    (unsigned)a->H, (unsigned)a->nitems);
	const float c = a->scale * ATTEND_LOG2E;

	if (split)
		LAUNCH((attend_single_kernel<E, TILES, ANY>), grid,
		    ATTEND_THREADS, 0, s, *a, c);
	else if (a->nitems == a->T)
		LAUNCH((attend_whole_kernel<E, TILES, ANY>), grid,
		    ATTEND_THREADS, 0, s, *a, c);
	else
		LAUNCH((attend_kernel<E, TILES, ANY>), grid, ATTEND_THREADS, 0,
		    s, *a, c);
}

/* ---- the sections of single rows become one */

/* Blocks: heads, items of one row. */
template <enum cuda_elem E>
__global__ void
attend_merge_kernel(struct attention a)
{
	const int	 t = (int)ldg8(a.items + blockIdx.y).x;
	const int	 h = (int)blockIdx.x;
	const int	 d = (int)threadIdx.x * 2, Dp = layout_pad(a.D, 16);
	const float	*in = a.partial + ((size_t)t * (size_t)a.H +
			    (size_t)h) * (size_t)a.sections * (size_t)(Dp + 2);
	struct attend_state st = { ATTEND_NONE, 0, 0, 0 };
	float2		 o = make_float2(0, 0);

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

/* ---- launches */

/* Launch for a cache of this type. */
template <enum cuda_elem E>
static void
attend_start_any(const struct attention *a, bool split, cudaStream_t s)
{
	const dim3 grid((unsigned)a->H, (unsigned)a->nitems);

	switch (layout_pad(a->D, 16)) {
	case 64:
		attend_start<E, 4, false>(a, split, s);
		break;
	case 80:
		attend_start<E, 5, false>(a, split, s);
		break;
	case 96:
		attend_start<E, 6, false>(a, split, s);
		break;
	case 112:
		attend_start<E, 7, false>(a, split, s);
		break;
	case 128:
		attend_start<E, 8, false>(a, split, s);
		break;
	default:	/* 16, 32 or 48 */
		attend_start<E, 4, true>(a, split, s);
	}
	if (split)
		LAUNCH(attend_merge_kernel<E>, grid, ATTEND_MERGE_THREADS, 0,
		    s, *a);
}

cudaError_t
attend_launch(const struct attention *a, cudaStream_t s)
{
	int		 device, sms;
	cudaError_t	 e;
	bool		 split;

	if (a->D <= 0 || a->D > 128)
		return (cudaErrorInvalidValue);
	if (a->nitems <= 0)
		return (cudaSuccess);
	if ((e = cudaGetDevice(&device)) != cudaSuccess ||
	    (e = cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount,
	    device)) != cudaSuccess)
		return (e);
	/* Three blocks for each multiprocessor keep enough loads on their way
	 * without sections side by side, whose results cost traffic and a
	 * launch. */
	split = a->nitems == a->T && a->H * a->nitems < 3 * sms;
	if (a->elem == CUDA_I8)
		attend_start_any<CUDA_I8>(a, split, s);
	else if (a->elem == CUDA_BF16)
		attend_start_any<CUDA_BF16>(a, split, s);
	else
		attend_start_any<CUDA_F16>(a, split, s);
	return (cudaGetLastError());
}

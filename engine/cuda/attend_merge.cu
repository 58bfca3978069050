/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of attention for single rows: their sections become one, in ascending
 * order, by the same operations as in attention.cu.
 */
#include "attend_parts.h"

#define ATTEND_MERGE_THREADS	64	/* two lanes each: D is at most 128 */

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

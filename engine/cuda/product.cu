/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of activations with a matrix of weights (cuda_kernels.h).  Weights
 * are the operand A of mma: 16 outputs; activations the operand B: 8 rows.
 * int8 and int4 become fp16 in registers.
 *
 * Two kernels do the same arithmetic.  product_narrow is for few rows, and its
 * time is that of reading the weights: warp w of a block sums range w of K for
 * all rows.  product_wide is for many rows, and its time is that of the tensor
 * cores: a warp sums the ranges one after the other for its part of a tile.  In
 * both, a range is summed from zero by mma of 16 columns, ascending; a total
 * that starts from zero gets the sums of the ranges that are not empty,
 * ascending; then y = fma(total, scale, bias).
 */
#include "product_narrow.h"
#include "product_wide.h"

/* Blocks of the parts if each block has M panels: *first gets those of the
 * first part. */
static int
product_count(const struct product &p, int M, int *first)
{
	int count = 0;

	for (int i = 0; i < (p.chain ? 1 : p.n); i++) {
		count += (product_stored(p.part[i], p.part[i].end) + M - 1) / M;
		if (i == 0)
			*first = count;
	}
	return (count);
}

/*
 * The panels of a block, up to M, on a card of sms multiprocessors.  Each block
 * reads all activations, from L2.  Large blocks do so less often, and in blocks
 * on two thirds of the multiprocessors enough weights are in flight
 * (product_narrow_shape).  But 3 panels are better than 4 if each
 * multiprocessor still has at most one block: more of them then share the work.
 */
static int
product_choose(const struct product &p, int M, int sms)
{
	int first;

	while (M > 1 && product_count(p, M, &first) < 2 * sms / 3)
		M /= 2;
	return (M == 4 && product_count(p, 3, &first) <= sms ? 3 : M);
}

template <enum cuda_elem E, int M, int NT>
static void
product_start(const struct product &p, cudaStream_t s)
{
	int first, count = product_count(p, M, &first);

	LAUNCH((product_narrow<E, M, NT>), count, PRODUCT_THREADS, 0, s, p,
	    first);
}

/* 4 panels of weights of 16 bits, or 4 panels for 64 rows, would need too many
 * registers. */
template <enum cuda_elem E, int NT>
static void
product_start_narrow(const struct product &p, int sms, cudaStream_t s)
{
	constexpr int most = E <= CUDA_BF16 || NT == 8 ? 2 : 4;

	switch (product_choose(p, most, sms)) {
	case 4:
		product_start<E, most, NT>(p, s);
		break;
	case 3:
		product_start<E, most == 4 ? 3 : most, NT>(p, s);
		break;
	case 2:
		product_start<E, 2, NT>(p, s);
		break;
	default:
		product_start<E, 1, NT>(p, s);
		break;
	}
}

template <enum cuda_elem E, int PANELS, bool CHAIN>
static void
product_start_wide(const struct product &p, cudaStream_t s)
{
	int first, count = product_count(p, PANELS, &first);
	int rows = PRODUCT_TALL * LAYOUT_ROWS;

	LAUNCH((product_wide<E, PANELS, CHAIN>),
	    dim3((unsigned)((p.T + rows - 1) / rows), (unsigned)count),
	    PRODUCT_THREADS, 0, s, p, first);
}

/* Start the kernel that fits to the number of rows on a card of sms
 * multiprocessors. With many rows two blocks for each fill the card. */
template <enum cuda_elem E>
static void
product_start_elem(const struct product &p, int sms, cudaStream_t s)
{
	const int rows = PRODUCT_TALL * LAYOUT_ROWS;
	int first;

	if (p.T > PRODUCT_NARROW) {
		/* a chain keeps two results in registers: small tiles only */
		if (p.chain)
			product_start_wide<E, 4, true>(p, s);
		else if ((p.T + rows - 1) / rows *
		    product_count(p, 8, &first) < 2 * sms)
			product_start_wide<E, 4, false>(p, s);
		else
			product_start_wide<E, 8, false>(p, s);
	} else if (p.T > 32)
		product_start_narrow<E, 8>(p, sms, s);
	else if (p.T > 16)
		product_start_narrow<E, 4>(p, sms, s);
	else if (p.T > 8)
		product_start_narrow<E, 2>(p, sms, s);
	else
		product_start_narrow<E, 1>(p, sms, s);
}

cudaError_t
product_launch(const struct product *p, cudaStream_t s)
{
	int		 device, sms;
	cudaError_t	 e;

	if ((e = cudaGetDevice(&device)) != cudaSuccess ||
	    (e = cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount,
	    device)) != cudaSuccess)
		return (e);
	switch (p->elem) {
	case CUDA_F16:
		product_start_elem<CUDA_F16>(*p, sms, s);
		break;
	case CUDA_BF16:
		product_start_elem<CUDA_BF16>(*p, sms, s);
		break;
	case CUDA_I8:
		product_start_elem<CUDA_I8>(*p, sms, s);
		break;
	case CUDA_I4:
		product_start_elem<CUDA_I4>(*p, sms, s);
		break;
	default:
		return (cudaErrorInvalidValue);
	}
	return (cudaGetLastError());
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as the activations and the cache hold them: fp16 or bf16, two in a
 * word.  What fp16 can't hold becomes its largest number.
 */
#ifndef CUDA_ACTS_H
#define CUDA_ACTS_H

#include "cuda_layout.h"
#include "device.h"

#define ACTS_F16_MAX	65504.0f
#define ACTS_BF16_MAX	3.3895313892515355e38f

/* x, or the nearest number of [-max, max]. NaN stays. */
__device__ __forceinline__ float
acts_limit(float x, float max)
{
	return (x > max ? max : x < -max ? -max : x);
}

/* lo and hi in the type E, CUDA_BF16 or CUDA_F16 (any other is fp16 too). */
template <enum cuda_elem E>
__device__ __forceinline__ uint32_t
acts_pair(float lo, float hi)
{
	if (E == CUDA_BF16)
		return (pack_bf16x2(lo, hi));
	return (pack_f16x2(acts_limit(lo, ACTS_F16_MAX),
	    acts_limit(hi, ACTS_F16_MAX)));
}

#endif

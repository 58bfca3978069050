/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loops for AVX2 and FMA.
 */
#include "vec_avx2.h"

#define KERNELS		kernels_avx2
#define KERNELS_NAME	"avx2"
#include "kernels_body.h"

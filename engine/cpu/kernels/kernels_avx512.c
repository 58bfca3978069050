/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loops for AVX-512 with VNNI: isa.c says what a processor needs.
 */
#include "vec_avx512.h"

#define KERNELS		kernels_avx512
#define KERNELS_NAME	"avx512"
#include "kernels_body.h"

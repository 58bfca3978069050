/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of the trainer for AVX-512.
 */
#include "vec_avx512.h"

#define MAT_KIND	mat_avx512
#define MAT_NAME	"avx512"
#define MAT_ROWS	8
#define MAT_VECS	2
#include "mat_body.h"

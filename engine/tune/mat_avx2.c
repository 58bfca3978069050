/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of the trainer for AVX2 with FMA.
 */
#include "vec_avx2.h"

#define MAT_KIND	mat_avx2
#define MAT_NAME	"avx2"
#define MAT_ROWS	4
#define MAT_VECS	1
#include "mat_body.h"

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of the trainer in plain C, for any machine.
 */
#include "vec_scalar.h"

#define MAT_KIND	mat_scalar
#define MAT_NAME	"scalar"
#define MAT_ROWS	1
#define MAT_VECS	1
/* fmaf is a function on machines without the instruction. */
#define MAT_FMA(a, b, c)	v16_add(v16_mul(a, b), c)
#include "mat_body.h"

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loops in plain C, for any machine.
 */
#include "vec_scalar.h"

#define KERNELS		kernels_scalar
#define KERNELS_NAME	"scalar"
#include "kernels_body.h"

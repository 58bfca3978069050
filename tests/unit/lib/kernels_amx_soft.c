/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loops with tiles, on tiles in plain C: for tests of all but the
 * instructions themselves.
 */
#include "vec_scalar.h"
#include "tile_soft.h"

#define KERNELS		kernels_amx_soft
#define KERNELS_NAME	"amx-soft"
#define KERN_TILES
#include "kernels_body.h"

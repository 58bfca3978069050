/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loops with tiles, with tiles in plain C: to test everything except
 * the instructions.
 */
#include "vec_scalar.h"
#include "tile_soft.h"

#define KERNELS		kernels_amx_soft
#define KERNELS_NAME	"amx-soft"
#define KERN_TILES
#include "kernels_body.h"

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loops for AVX-512 with tiles (AMX): isa.c says what a processor
 * needs.
 */
#include "vec_avx512.h"
#include "tile_amx.h"

#define KERNELS		kernels_amx
#define KERNELS_NAME	"amx"
#define KERN_TILES
#include "kernels_body.h"

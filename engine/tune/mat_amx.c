/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of the trainer for AVX-512 with tiles (AMX) and conversions to
 * bf16.
 */
#include "vec_avx512.h"
#include "tile_amx.h"
#include "mat.h"

#include <stddef.h>
#include <string.h>

#define MAT_KIND	mat_amx
#define MAT_NAME	"amx"
#include "mat_pack_bf16.h"

/* Configure all eight tiles to 16 rows of 64 bytes. */
static void
mat_enter(void)
{
	struct tile_config	 c;
	int			 i;

	memset(&c, 0, sizeof c);
	c.palette = 1;
	for (i = 0; i < 8; i++) {
		c.bytes[i] = TILE_BYTES;
		c.rows[i] = TILE_ROWS;
	}
	tile_configure(&c);
}

/* A block of 32 x 32: four tiles. */
static void
mat_block(const void *a, const void *b, int blocks, float *c, ptrdiff_t ldc,
    int add)
{
	const char	*x = a, *y = b;
	size_t		 row = (size_t)ldc * sizeof *c;

	if (add) {
		tile_load(0, c, row);
		tile_load(1, c + 16, row);
		tile_load(2, c + 16 * ldc, row);
		tile_load(3, c + 16 * ldc + 16, row);
	} else {
		tile_zero(0);
		tile_zero(1);
		tile_zero(2);
		tile_zero(3);
	}
	for (; blocks > 0; blocks--, x += 2048, y += 2048) {
		tile_load(4, x, 64);
		tile_load(6, y, 64);
		tile_load(5, x + 1024, 64);
		tile_load(7, y + 1024, 64);
		tile_dot_bf16(0, 4, 6);
		tile_dot_bf16(1, 4, 7);
		tile_dot_bf16(2, 5, 6);
		tile_dot_bf16(3, 5, 7);
	}
	tile_store(0, c, row);
	tile_store(1, c + 16, row);
	tile_store(2, c + 16 * ldc, row);
	tile_store(3, c + 16 * ldc + 16, row);
}

#include "mat_body.h"

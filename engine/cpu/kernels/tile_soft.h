/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tiles in plain C, as Intel's manual describes them (Software Developer's
 * Manual, volume 2, and the chapter on AMX in volume 1), for tests on machines
 * without AMX.  If the processor would refuse an operation (#GP or #UD), the
 * program ends.
 */
#ifndef CPU_TILE_SOFT_H
#define CPU_TILE_SOFT_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tile.h"

#define TILE_COUNT	8

/* A thread's registers. */
static _Thread_local struct {
	int			 configured;
	struct tile_config	 config;
	uint8_t			 data[TILE_COUNT][TILE_ROWS][TILE_BYTES];
} tiles;

/* End the program unless right: the processor would refuse this. */
static inline void
tile_check(int right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "tiles: %s\n", what);
	abort();
}

/* LDTILECFG: shapes of all registers, which become zero. */
static inline void
tile_configure(const struct tile_config *c)
{
	static const uint8_t none[14];
	int	 t;

	tile_check(sizeof *c == 64 && c->palette == 1, "palette");
	tile_check(c->start == 0 && memcmp(c->reserved, none,
	    sizeof none) == 0, "reserved bytes of the configuration");
	for (t = 0; t < 16; t++) {
		tile_check(c->rows[t] <= TILE_ROWS && c->bytes[t] <=
		    TILE_BYTES, "more rows or columns than there are");
		tile_check((c->rows[t] == 0) == (c->bytes[t] == 0) &&
		    (t < TILE_COUNT || c->rows[t] == 0),
		    "rows without columns, or a register too many");
	}
	memset(&tiles, 0, sizeof tiles);
	tiles.config = *c;
	tiles.configured = 1;
}

/* TILERELEASE. */
static inline void
tile_release(void)
{
	memset(&tiles, 0, sizeof tiles);
}

/* Check that a register is configured. */
static inline void
tile_valid(int t)
{
	tile_check(tiles.configured && t >= 0 && t < TILE_COUNT &&
	    tiles.config.rows[t] > 0, "a register that is not configured");
}

/* TILEZERO. */
static inline void
tile_zero(int t)
{
	tile_valid(t);
	memset(tiles.data[t], 0, sizeof tiles.data[t]);
}

/* TILELOADD. stride is bytes from row to row. The part of the register outside
 * its shape becomes zero. */
static inline void
tile_load(int t, const void *from, size_t stride)
{
	int	 r;

	tile_zero(t);
	for (r = 0; r < tiles.config.rows[t]; r++)
		memcpy(tiles.data[t][r], (const uint8_t *)from +
		    (size_t)r * stride, tiles.config.bytes[t]);
}

/* TILESTORED. */
static inline void
tile_store(int t, void *to, size_t stride)
{
	int	 r;

	tile_valid(t);
	for (r = 0; r < tiles.config.rows[t]; r++)
		memcpy((uint8_t *)to + (size_t)r * stride, tiles.data[t][r],
		    tiles.config.bytes[t]);
}

/* Check the shapes of a product c[M][N] += a[M][K] * b[K][N]; N and K count
 * groups of 4 bytes. Returns K. */
static inline int
tile_shapes(int c, int a, int b)
{
	const struct tile_config *f = &tiles.config;

	tile_valid(c);
	tile_valid(a);
	tile_valid(b);
	tile_check(c != a && c != b && a != b, "a register used twice");
	tile_check(f->bytes[c] % 4 == 0 && f->bytes[a] % 4 == 0 &&
	    f->bytes[b] % 4 == 0, "columns that are no multiple of 4 bytes");
	tile_check(f->rows[c] == f->rows[a] && f->bytes[c] == f->bytes[b] &&
	    f->rows[b] == f->bytes[a] / 4, "shapes that don't go together");
	return (f->rows[b]);
}

/* Denormals are zero, before and after each operation. */
static inline float
tile_flush(float x)
{
	return (fabsf(x) < 0x1p-126f ? copysignf(0, x) : x);
}

/* Number i of a row of bf16. */
static inline float
tile_bf16(const uint8_t *row, int i)
{
	uint32_t	 bits = (uint32_t)(row[2 * i] | row[2 * i + 1] << 8) <<
			    16;
	float		 x;

	memcpy(&x, &bits, sizeof x);
	return (tile_flush(x));
}

/* TDPBF16PS: one sum of the even products, one of the odd ones, then both
 * together. */
static inline void
tile_dot_bf16(int c, int a, int b)
{
	const int	 pairs = tile_shapes(c, a, b);
	const uint8_t	*row, *col;
	float		 even, odd, sum;
	int		 m, n, k;

	for (m = 0; m < tiles.config.rows[c]; m++)
		for (n = 0; n < tiles.config.bytes[c] / 4; n++) {
			row = tiles.data[a][m];
			for (even = odd = 0, k = 0; k < pairs; k++) {
				col = tiles.data[b][k];
				even = tile_flush(fmaf(tile_bf16(row, 2 * k),
				    tile_bf16(col, 2 * n), even));
				odd = tile_flush(fmaf(tile_bf16(row, 2 * k +
				    1), tile_bf16(col, 2 * n + 1), odd));
			}
			memcpy(&sum, &tiles.data[c][m][4 * n], sizeof sum);
			sum = tile_flush(tile_flush(sum) +
			    tile_flush(even + odd));
			memcpy(&tiles.data[c][m][4 * n], &sum, sizeof sum);
		}
}

/* Products of 8 bits; a is signed. Sums wrap. */
static inline void
tile_dot8(int c, int a, int b, int b_signed)
{
	const int	 quads = tile_shapes(c, a, b);
	uint32_t	 sum;
	int		 m, n, k, x, y;

	for (m = 0; m < tiles.config.rows[c]; m++)
		for (n = 0; n < tiles.config.bytes[c] / 4; n++) {
			memcpy(&sum, &tiles.data[c][m][4 * n], sizeof sum);
			for (k = 0; k < 4 * quads; k++) {
				x = (int8_t)tiles.data[a][m][k];
				y = tiles.data[b][k / 4][4 * n + k % 4];
				sum += (uint32_t)(x * (b_signed ? (int8_t)y :
				    y));
			}
			memcpy(&tiles.data[c][m][4 * n], &sum, sizeof sum);
		}
}

/* TDPBSUD: b is unsigned. */
static inline void
tile_dot_su8(int c, int a, int b)
{
	tile_dot8(c, a, b, 0);
}

/* TDPBSSD: both are signed. */
static inline void
tile_dot_ss8(int c, int a, int b)
{
	tile_dot8(c, a, b, 1);
}

#endif

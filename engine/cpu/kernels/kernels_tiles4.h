/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of kernels_tiles.h: products of many rows with weights in int4.  Each
 * group of 32 k has its own scales, so a tile of sums is for 32 k only, half of
 * what a tile can hold.  While one tile is multiplied, the vector units scale
 * and add up the tile before it.
 */
#ifndef CPU_KERNELS_TILES4_H
#define CPU_KERNELS_TILES4_H

#define TILES4_GROUPS	128	/* groups in a pass: 64 KiB unpacked */
#define TILES4_MANY	16	/* tiles of rows in a pass */
#define TILES4_PANELS	16	/* panels in a pass */
#define TILES4_LINES	8	/* of 64 bytes in an unpacked group */
#define TILES4_GROUP	(TILES4_LINES * TILE_BYTES)

/* Unpack some groups of one panel to signed bytes. */
static void
kern_tiles4_unpack(const uint8_t *w, int groups, uint8_t *strip)
{
	struct b64	 b;
	int		 i;

	for (; groups > 0; groups--, strip += TILES4_GROUP)
		for (i = 0; i < TILES4_LINES / 2; i++, w += TILE_BYTES) {
			__builtin_prefetch(w + KERN_PREFETCH);
			b = b64_load(w);
			b64_store(strip + i * TILE_BYTES,
			    b64_less8(b64_low(b)));
			b64_store(strip + (i + TILES4_LINES / 2) * TILE_BYTES,
			    b64_less8(b64_high(b)));
		}
}

/* acc[R][16] += sums of one group, scaled. */
KERN_INLINE void
kern_tiles4_add(const int R, const int32_t *sums, const uint16_t *scales,
    struct v16 *acc)
{
	const struct v16 scale = v16_load_f16(scales);
	int		 r;

#pragma GCC unroll 16
	for (r = 0; r < R; r++)
		acc[r] = v16_fma(i16_float(i16_load(sums + r * PANEL)), scale,
		    acc[r]);
}

#define KERN_TILES4_DOT(c, a, b, g) do {				\
	tile_zero(c);							\
	tile_load(a, q + (g) * GROUP, ldq);				\
	tile_load(b, strip + (size_t)(g) * TILES4_GROUP, TILE_BYTES);	\
	tile_dot_ss8(c, a, b);						\
} while (0)

/* One tile of at most R rows times an even number of groups. sums is memory
 * for two tiles; its rows after those of the tile are zero. */
KERN_INLINE void
kern_tiles4_rows(const int R, const int8_t *q, size_t ldq,
    const uint8_t *strip, const uint16_t *scales, int groups, int32_t *sums,
    float *to)
{
	struct v16	 acc[TILE_ROWS];
	int		 g, r;

#pragma GCC unroll 16
	for (r = 0; r < R; r++)
		acc[r] = v16_load(to + r * PANEL);
	KERN_TILES4_DOT(0, 4, 6, 0);
	for (g = 0; g < groups; g += 2) {
		KERN_TILES4_DOT(1, 5, 7, g + 1);
		tile_store(0, sums, TILE_BYTES);
		kern_tiles4_add(R, sums, scales + g * PANEL, acc);
		if (g + 2 < groups)
			KERN_TILES4_DOT(0, 4, 6, g + 2);
		tile_store(1, sums + TILES_SUMS, TILE_BYTES);
		kern_tiles4_add(R, sums + TILES_SUMS, scales + (g + 1) *
		    PANEL, acc);
	}
#pragma GCC unroll 16
	for (r = 0; r < R; r++)
		v16_store(to + r * PANEL, acc[r]);
}

/* The same for a tile of 1 to TILE_ROWS rows. */
KERN_ONCE void
kern_tiles4_any(int rows, const int8_t *q, size_t ldq, const uint8_t *strip,
    const uint16_t *scales, int groups, float *to)
{
	_Alignas(64) int32_t sums[2 * TILES_SUMS];

	if (rows < TILE_ROWS)
		memset(sums, 0, sizeof sums);
	if (rows > TILE_ROWS / 2)
		kern_tiles4_rows(TILE_ROWS, q, ldq, strip, scales, groups,
		    sums, to);
	else
		kern_tiles4_rows(TILE_ROWS / 2, q, ldq, strip, scales, groups,
		    sums, to);
}

/* Finish the sums of one tile for panel p. */
static void
kern_tiles4_end(const struct tiles *t, int tile, int p, const float *sums)
{
	const struct matmul *m = t->m;
	const int	 first = kern_tiles_first(t, tile);
	int		 row;

	for (row = tile * t->rows; row < first + t->rows; row++)
		kern_quantized_end(m, (const uint8_t *)m->w + (size_t)p *
		    t->panel / 2, (const uint16_t *)m->scales + (size_t)p *
		    t->panel / GROUP, row, p, v16_load(sums + (row - first) *
		    PANEL));
}

/* Up to TILES4_GROUPS groups of panel p, from group g on, for tiles tile to
 * last - 1. */
static void
kern_tiles4_strip(const struct tiles *t, int g, int p, int tile, int last,
    float *sums)
{
	const struct matmul *m = t->m;
	const uint8_t	*w = (const uint8_t *)m->w + (size_t)p * t->panel / 2;
	const uint16_t	*scales = (const uint16_t *)m->scales + (size_t)p *
			    t->panel / GROUP + g * PANEL;
	const int	 all = 2 * t->blocks;
	const int	 n = all - g < TILES4_GROUPS ? all - g : TILES4_GROUPS;
	_Alignas(64) uint8_t strip[TILES4_GROUPS * TILES4_GROUP];

	kern_tiles4_unpack(w + (size_t)g * (TILES4_GROUP / 2), n, strip);
	for (; tile < last; tile++, sums += TILES_SUMS) {
		if (g == 0)
			memset(sums, 0, TILES_SUMS * sizeof *sums);
		kern_tiles4_any(t->rows, m->q->q + (size_t)kern_tiles_first(t,
		    tile) * t->lda + g * GROUP, t->lda, strip, scales, n,
		    sums);
		if (g + n == all)
			kern_tiles4_end(t, tile, p, sums);
	}
}

/* Panels first to last - 1, TILES4_PANELS at a time. */
static void
kern_tiles_int4(const struct tiles *t, int first, int last)
{
	_Alignas(64) float sums[TILES4_PANELS][TILES4_MANY * TILES_SUMS];
	int		 tile, end, g, p, n;

	kern_tiles_shape(t->rows, GROUP, TILES4_LINES);
	for (tile = 0; tile < t->count; tile = end) {
		end = tile + TILES4_MANY < t->count ? tile + TILES4_MANY :
		    t->count;
		for (n = first; n < last; n += TILES4_PANELS)
			for (g = 0; g < 2 * t->blocks; g += TILES4_GROUPS)
				for (p = n; p < last && p < n + TILES4_PANELS;
				    p++)
					kern_tiles4_strip(t, g, p, tile, end,
					    sums[p - n]);
	}
	tile_release();
}

#endif

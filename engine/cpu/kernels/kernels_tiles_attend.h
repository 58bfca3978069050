/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of kernels_attend.h: attention of many rows in tiles, over a cache in
 * bf16.  Its panels of keys and values have the form of tiles.
 */
#ifndef CPU_KERNELS_TILES_ATTEND_H
#define CPU_KERNELS_TILES_ATTEND_H

#define TILES_ATTEND	8	/* fewer rows are computed with vectors */
#define TILES_LANES	256	/* of a head, at most */

/* Prefetch n bytes. */
KERN_INLINE void
kern_fetch(const uint8_t *p, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i += 64)
		__builtin_prefetch(p + i);
}

/* Can these rows be computed in tiles? */
static int
kern_tiles_may(const struct attend *a, int rows)
{
	return (rows >= TILES_ATTEND && rows <= TILE_ROWS &&
	    a->kv.elem == ELEM_BF16 && a->kv.D <= TILES_LANES);
}

/* Set the shapes of registers for scores: sums in 0 and 1, 32 lanes of queries
 * in 2, of two panels of keys in 3 and 4. The last D % 32 lanes of the same are
 * in 5, 6 and 7. */
static void
kern_tiles_shape_scores(int rows, int left)
{
	struct tile_config	 c = { .palette = 1 };
	int			 t;

	for (t = 0; t < (left > 0 ? 8 : 5); t++) {
		c.rows[t] = (uint8_t)(t <= 2 || t == 5 ? rows : t < 5 ?
		    TILE_ROWS : left / 2);
		c.bytes[t] = (uint16_t)(t == 5 ? 2 * left : TILE_BYTES);
	}
	tile_configure(&c);
}

/*
 * Scores of rows against all positions of the blocks that the last row sees.
 * Scores of positions after a row's own have no meaning. Returns the number of
 * blocks, or 0 with nothing done.
 */
static int
kern_tiles_scores(const struct attend *a, const struct backend_row *row,
    const float *q, int h, int rows, float *s, size_t lds)
{
	const int	 D = a->kv.D, left = D % 32;
	const int	 blocks = (row->pos + rows - 1) / KV_BLOCK + 1;
	const size_t	 panel = (size_t)D * PANEL * sizeof(uint16_t);
	const uint8_t	*k;
	_Alignas(64) uint16_t narrow[TILE_ROWS][TILES_LANES];
	int		 j, d, r;

	if (!kern_tiles_may(a, rows))
		return (0);
	for (r = 0; r < rows; r++)
		kern_narrow(q + (size_t)r * a->ldqkv, D, narrow[r]);
	kern_tiles_shape_scores(rows, left);
	for (j = 0; j < blocks; j++, s += KV_BLOCK) {
		if (j + 1 < blocks)
			kern_fetch(kern_keys(a, row->blocks, j + 1, h),
			    a->kv.keys);
		k = kern_keys(a, row->blocks, j, h);
		tile_zero(0);
		tile_zero(1);
		for (d = 0; d + 32 <= D; d += 32, k += TILES_BLOCK) {
			tile_load(2, &narrow[0][d], sizeof narrow[0]);
			tile_load(3, k, TILE_BYTES);
			tile_dot_bf16(0, 2, 3);
			tile_load(4, k + panel, TILE_BYTES);
			tile_dot_bf16(1, 2, 4);
		}
		if (left > 0) {
			tile_load(5, &narrow[0][d], sizeof narrow[0]);
			tile_load(6, k, TILE_BYTES);
			tile_dot_bf16(0, 5, 6);
			tile_load(7, k + panel, TILE_BYTES);
			tile_dot_bf16(1, 5, 7);
		}
		tile_store(0, s, lds * sizeof *s);
		tile_store(1, s + PANEL, lds * sizeof *s);
	}
	tile_release();
	return (blocks);
}

#define KERN_TILES_LANES(c, b) do {					\
	tile_load(b, v + c * TILES_BLOCK, TILE_BYTES);			\
	tile_dot_bf16(c, 4, b);						\
} while (0)

/*
 * acc[rows][n panels of lanes] = weights at s times values, for the first whole
 * blocks. n is at most 4. lds and ldacc are bytes from row to row; at is bytes
 * from the start of a block's values.
 */
static void
kern_tiles_values(const struct attend *a, const struct backend_row *row,
    int h, int whole, const uint16_t *s, size_t lds, size_t at, int n,
    float *acc, size_t ldacc)
{
	const uint8_t	*v;
	int		 j;

	tile_zero(0);
	tile_zero(1);
	tile_zero(2);
	tile_zero(3);
	for (j = 0; j < whole; j++) {
		if (j + 1 < whole)
			kern_fetch(kern_values(a, row->blocks, j + 1, h) +
			    at, (size_t)n * TILES_BLOCK);
		v = kern_values(a, row->blocks, j, h) + at;
		tile_load(4, s + j * KV_BLOCK, lds);
		KERN_TILES_LANES(0, 6);
		if (n > 1)
			KERN_TILES_LANES(1, 7);
		if (n > 2)
			KERN_TILES_LANES(2, 6);
		if (n > 3)
			KERN_TILES_LANES(3, 7);
	}
	tile_store(0, acc, ldacc);
	if (n > 1)
		tile_store(1, acc + PANEL, ldacc);
	if (n > 2)
		tile_store(2, acc + 2 * PANEL, ldacc);
	if (n > 3)
		tile_store(3, acc + 3 * PANEL, ldacc);
}

/*
 * acc[rows][lanes] = weights s of rows times values, for the first whole
 * blocks. These weights are converted to bf16 in place, in the first half of
 * their memory. Returns the number of blocks, or 0 with nothing done.
 */
static int
kern_tiles_gather(const struct attend *a, const struct backend_row *row,
    int h, int rows, int whole, float *s, size_t lds, float *acc)
{
	const int	 panels = (a->kv.D + PANEL - 1) / PANEL;
	uint16_t	*narrow = (uint16_t *)(void *)s;
	int		 r, p;

	if (whole == 0 || !kern_tiles_may(a, rows))
		return (0);
	for (r = 0; r < rows; r++)
		kern_narrow(s + (size_t)r * lds, whole * KV_BLOCK,
		    narrow + (size_t)r * lds * 2);
	kern_tiles_shape(rows, TILE_BYTES, TILE_ROWS);
	for (p = 0; p < panels; p += 4)
		kern_tiles_values(a, row, h, whole, narrow, lds * sizeof *s,
		    (size_t)p * TILES_BLOCK, panels - p < 4 ? panels - p : 4,
		    acc + p * PANEL, (size_t)panels * PANEL * sizeof *acc);
	tile_release();
	return (whole);
}

#endif

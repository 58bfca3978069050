/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of kernels_body.h, if KERN_TILES is defined: products of many rows in
 * tiles.  A tile is a register of 16 rows of 64 bytes.  A panel of bf16 or int8
 * is a sequence of such tiles in memory; int4 is unpacked to int8 first.
 * tile_amx.h or tile_soft.h has the operations.
 *
 * A tile of A has up to 16 rows of activations.  The rows are divided evenly
 * into the smallest number of tiles.  The last tile ends with the last row.  It
 * may share rows with the tile before it; these are computed twice and finished
 * once.  Two tiles of A times two tiles of B (32 columns) need four tiles of
 * sums, so all eight registers are in use.
 *
 * TILES_FIT tiles of rows stay in the second-level cache while panels are
 * multiplied with them.  A pair of panels stays there while it is multiplied
 * with these rows.  If too few whole rows would fit, k is cut.
 */
#ifndef CPU_KERNELS_TILES_H
#define CPU_KERNELS_TILES_H

/* Fewer rows than these are computed with vectors. These are then as fast as
 * memory, and the processor's tile unit stays off. */
#define TILES_ROWS	4	/* bf16 and int8 */
#define TILES_ROWS4	8	/* int4 */

#define TILES_BLOCK	(TILE_ROWS * TILE_BYTES)	/* bytes of a tile */
#define TILES_FIT	1024		/* tiles of rows that stay in cache */
#define TILES_MANY	16		/* tiles of rows in a pass, at least */
#define TILES_DEEP	256		/* blocks of k in a pass, at most */
#define TILES_PANELS	32		/* panels with unfinished sums */
#define TILES_SUMS	(TILE_ROWS * PANEL)	/* sums in a tile */

/* A product, cut into tiles. */
struct tiles {
	const struct matmul	*m;
	const uint8_t		*a;		/* rows */
	size_t			 lda;		/* bytes from row to row */
	size_t			 panel;		/* bytes */
	int			 rows;		/* in a tile */
	int			 count;		/* tiles of rows */
	int			 blocks;	/* of k; the last may be cut */
	size_t			 cut;		/* bytes of a cut last block,
						 * else 0 */
	int			 many, deep;	/* tiles and blocks in a pass */
};

/* One step: up to two tiles of rows, two panels, some blocks of k. */
struct tiles_step {
	const uint8_t	*a[2];
	size_t		 lda;
	const uint8_t	*w[2];
	const uint8_t	*end[2];	/* a cut last block, padded, or NULL */
	int		 blocks;	/* without that one */
	size_t		 next;		/* bytes from w to the lines that are
					 * prefetched */
	int		 lines;		/* prefetched with each block */
	const uint8_t	*soon;		/* rows that are prefetched, too */
	int		 nsoon;		/* their number, a line of each with
					 * each block */
	int		 more;		/* continue the sums in sums */
	uint32_t	*sums;		/* [2][2] tiles: rows, panels */
};

/* Set the shapes of all registers: 0 to 3 are sums, 4 and 5 A, 6 and 7 B. */
static void
kern_tiles_shape(int rows, int bytes, int lines)
{
	struct tile_config	 c = { .palette = 1 };
	int			 t;

	for (t = 0; t < 8; t++) {
		c.rows[t] = (uint8_t)(t < 6 ? rows : lines);
		c.bytes[t] = (uint16_t)(t == 4 || t == 5 ? bytes :
		    TILE_BYTES);
	}
	tile_configure(&c);
}

#define KERN_TILES_DOT(c, a, b) do {					\
	if (quantized)							\
		tile_dot_su8(c, a, b);					\
	else								\
		tile_dot_bf16(c, a, b);					\
} while (0)

/* One block of k: R tiles of rows by P panels. */
KERN_INLINE void
kern_tiles_block(const int R, const int P, const int quantized,
    const uint8_t *a0, const uint8_t *a1, size_t lda, const uint8_t *w0,
    const uint8_t *w1)
{
	tile_load(6, w0, TILE_BYTES);
	tile_load(4, a0, lda);
	KERN_TILES_DOT(0, 4, 6);
	if (P > 1) {
		tile_load(7, w1, TILE_BYTES);
		KERN_TILES_DOT(1, 4, 7);
	}
	if (R > 1) {
		tile_load(5, a1, lda);
		KERN_TILES_DOT(2, 5, 6);
		if (P > 1)
			KERN_TILES_DOT(3, 5, 7);
	}
}

/* One step: the sums of R by P tiles. */
KERN_INLINE void
kern_tiles_step(const int R, const int P, const int quantized,
    const struct tiles_step *s)
{
	const uint8_t	*a0 = s->a[0], *a1 = s->a[1];
	const uint8_t	*w0 = s->w[0], *w1 = s->w[1];
	int		 i, j;

	tile_zero(0);
	tile_zero(1);
	tile_zero(2);
	tile_zero(3);
	if (s->more) {
		tile_load(0, s->sums, TILE_BYTES);
		if (P > 1)
			tile_load(1, s->sums + TILES_SUMS, TILE_BYTES);
		if (R > 1)
			tile_load(2, s->sums + 2 * TILES_SUMS, TILE_BYTES);
		if (R > 1 && P > 1)
			tile_load(3, s->sums + 3 * TILES_SUMS, TILE_BYTES);
	}
	for (i = 0; i < s->blocks; i++) {
		kern_tiles_block(R, P, quantized, a0, a1, s->lda, w0, w1);
		for (j = 0; j < s->lines; j++) {
			__builtin_prefetch(w0 + s->next + j * 64, 0, 2);
			__builtin_prefetch(w1 + s->next + j * 64, 0, 2);
		}
		for (j = 0; j < s->nsoon; j++)
			__builtin_prefetch(s->soon + (size_t)j * s->lda +
			    (size_t)i * TILE_BYTES, 0, 2);
		a0 += TILE_BYTES;
		a1 += TILE_BYTES;
		w0 += TILES_BLOCK;
		w1 += TILES_BLOCK;
	}
	if (s->end[0] != NULL)
		kern_tiles_block(R, P, quantized, a0, a1, s->lda, s->end[0],
		    s->end[1]);
	tile_store(0, s->sums, TILE_BYTES);
	if (P > 1)
		tile_store(1, s->sums + TILES_SUMS, TILE_BYTES);
	if (R > 1) {
		tile_store(2, s->sums + 2 * TILES_SUMS, TILE_BYTES);
		if (P > 1)
			tile_store(3, s->sums + 3 * TILES_SUMS, TILE_BYTES);
	}
}

/* The same for any R and P. */
KERN_ONCE void
kern_tiles_any(int R, int P, int quantized, const struct tiles_step *s)
{
	if (R > 1 && P > 1 && quantized)
		kern_tiles_step(2, 2, 1, s);
	else if (R > 1 && P > 1)
		kern_tiles_step(2, 2, 0, s);
	else if (P > 1 && quantized)
		kern_tiles_step(1, 2, 1, s);
	else if (P > 1)
		kern_tiles_step(1, 2, 0, s);
	else if (R > 1 && quantized)
		kern_tiles_step(2, 1, 1, s);
	else if (R > 1)
		kern_tiles_step(2, 1, 0, s);
	else if (quantized)
		kern_tiles_step(1, 1, 1, s);
	else
		kern_tiles_step(1, 1, 0, s);
}

/* The first row of a tile. */
KERN_INLINE int
kern_tiles_first(const struct tiles *t, int tile)
{
	int	 row = tile * t->rows;

	return (row + t->rows <= t->m->rows ? row : t->m->rows - t->rows);
}

/* Finish the sums of R tiles from tile on and P panels from p on. A row that is
 * in two tiles is finished with the first one. */
static void
kern_tiles_end(const struct tiles *t, int tile, int R, int p, int P,
    const uint32_t *sums)
{
	const struct matmul *m = t->m;
	const uint8_t	*w = (const uint8_t *)m->w + (size_t)p * t->panel;
	const void	*sum;
	int		 i, j, row, first;

	for (i = 0; i < R; i++, tile++) {
		first = kern_tiles_first(t, tile);
		for (row = tile * t->rows; row < first + t->rows; row++)
			for (j = 0; j < P; j++) {
				sum = sums + (2 * i + j) * TILES_SUMS +
				    (row - first) * PANEL;
				if (m->elem == ELEM_BF16)
					kern_end(m, row, p + j, sum);
				else
					kern_quantized_end(m, w + (size_t)j *
					    t->panel, NULL, row, p + j,
					    i16_float(i16_sub(i16_load(sum),
					    i16_set1(128 *
					    m->q->total[row]))));
			}
	}
}

/* Copy the cut last block of a panel to block and pad it with zeros. */
static const uint8_t *
kern_tiles_fill(const struct tiles *t, int p, uint8_t *block)
{
	const uint8_t	*w = (const uint8_t *)t->m->w + (size_t)p * t->panel;

	memset(block, 0, TILES_BLOCK);
	memcpy(block, w + (size_t)(t->blocks - 1) * TILES_BLOCK, t->cut);
	return (block);
}

/* Block k of the rows of a tile. */
static const uint8_t *
kern_tiles_at(const struct tiles *t, int tile, int k)
{
	return (t->a + (size_t)kern_tiles_first(t, tile) * t->lda +
	    (size_t)k * TILE_BYTES);
}

/* Up to t->deep blocks of k, from k on, of P panels from p on, for tiles tile
 * to last - 1. cold: the rows are not in the processor's cache yet. */
static void
kern_tiles_strip(const struct tiles *t, int k, int p, int P, int tile,
    int last, int cold, uint32_t *sums)
{
	const uint8_t	*w = (const uint8_t *)t->m->w + (size_t)p * t->panel +
			    (size_t)k * TILES_BLOCK;
	const int	 pairs = (last - tile + 1) / 2;
	const int	 lines = (TILE_ROWS + pairs - 1) / pairs;
	_Alignas(64) uint8_t end[2][TILES_BLOCK];
	struct tiles_step s = { .lda = t->lda, .w = { w, w + (P > 1 ?
			    t->panel : 0) }, .more = k > 0, .sums = sums };
	const int	 over = k + t->deep >= t->blocks;
	int		 R, i;

	s.blocks = over ? t->blocks - k : t->deep;
	if (over && t->cut > 0) {
		s.blocks--;
		for (i = 0; i < P; i++)
			s.end[i] = kern_tiles_fill(t, p + i, end[i]);
	}
	for (i = 0; tile < last; tile += R, i += lines) {
		R = tile + 1 < last ? 2 : 1;
		s.next = 2 * t->panel + (size_t)i * 64;
		s.lines = i >= TILE_ROWS ? 0 : i + lines <= TILE_ROWS ?
		    lines : TILE_ROWS - i;
		s.a[0] = kern_tiles_at(t, tile, k);
		s.a[1] = kern_tiles_at(t, tile + R - 1, k);
		s.nsoon = 0;
		if (cold && tile + R < last) {
			s.soon = kern_tiles_at(t, tile + R, k);
			s.nsoon = tile + R + 1 < last ? 2 * t->rows : t->rows;
		}
		kern_tiles_any(R, P, t->m->elem == ELEM_I8, &s);
		if (over)
			kern_tiles_end(t, tile, R, p, P, s.sums);
		if (t->deep < t->blocks)
			s.sums += 4 * TILES_SUMS;
	}
}

/* Panels first to last - 1, at most TILES_PANELS, for all rows. If k is cut,
 * unfinished sums stay in memory. */
static void
kern_tiles_panels(const struct tiles *t, int first, int last)
{
	_Alignas(64) uint32_t sums[TILES_PANELS / 2 * TILES_MANY / 2 * 4 *
			    TILES_SUMS];
	uint32_t	*at;
	int		 tile, end, k, p;

	for (tile = 0; tile < t->count; tile = end) {
		end = tile + t->many < t->count ? tile + t->many : t->count;
		for (k = 0; k < t->blocks; k += t->deep)
			for (at = sums, p = first; p < last; p += 2) {
				kern_tiles_strip(t, k, p, p + 1 < last ? 2 :
				    1, tile, end, p == first, at);
				if (t->deep < t->blocks)
					at += TILES_MANY / 2 * 4 * TILES_SUMS;
			}
	}
}

/* Products with weights in bf16 and int8. */
static void
kern_tiles_wide(struct tiles *t, int first, int last)
{
	int	 p;

	t->many = TILES_FIT / t->blocks / 2 * 2;
	t->deep = t->blocks;
	if (t->many < TILES_MANY) {
		t->many = TILES_MANY;
		t->deep = TILES_FIT / (t->count < TILES_MANY ? t->count :
		    TILES_MANY);
	}
	if (t->deep > TILES_DEEP)
		t->deep = TILES_DEEP;
	kern_tiles_shape(t->rows, TILE_BYTES, TILE_ROWS);
	for (p = first; p < last; p += TILES_PANELS)
		kern_tiles_panels(t, p, p + TILES_PANELS < last ? p +
		    TILES_PANELS : last);
	tile_release();
}

#include "kernels_tiles4.h"

/* Compute panels first to last - 1 of a product in tiles. Returns 1, or 0 with
 * nothing done if the product is not one for tiles. */
static int
kern_tiles(const struct matmul *m, int first, int last)
{
	struct tiles	 t = { .m = m };

	if (m->rows < (m->elem == ELEM_I4 ? TILES_ROWS4 : TILES_ROWS) ||
	    m->elem == ELEM_F32 || (m->elem == ELEM_BF16 && m->a16 == NULL))
		return (0);
	t.count = (m->rows + TILE_ROWS - 1) / TILE_ROWS;
	t.rows = (m->rows + t.count - 1) / t.count;
	t.count = (m->rows + t.rows - 1) / t.rows;
	if (m->elem == ELEM_BF16) {
		t.a = (const uint8_t *)m->a16;
		t.lda = m->lda16 * sizeof *m->a16;
		t.panel = (size_t)m->K * PANEL * sizeof *m->a16;
		t.cut = t.panel % TILES_BLOCK;
		t.blocks = (m->K + 31) / 32;
	} else {
		t.a = (const uint8_t *)m->q->q;
		t.lda = m->q->ld;
		t.panel = ROUND_UP((size_t)m->K, 64) * PANEL;
		t.blocks = (m->K + 63) / 64;
	}
	if (m->elem == ELEM_I4)
		kern_tiles_int4(&t, first, last);
	else
		kern_tiles_wide(&t, first, last);
	return (1);
}

#endif

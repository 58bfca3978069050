/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of kernels_body.h: attention over the blocks of the KV cache.
 */
#ifndef CPU_KERNELS_ATTEND_H
#define CPU_KERNELS_ATTEND_H

/*
 * Scale n scores and turn them into unnormalized weights in place. The weights
 * from n up to padded become zero. If round is set, the weights are rounded to
 * bf16. Returns the sum of the unrounded weights.
 */
static float
kern_softmax(float *s, int n, int padded, float scale, int round)
{
	struct v16	 max, sum = v16_set1(0.0f), v;
	float		 f[16], m;
	int		 i;

	for (i = n; i < padded; i++)
		s[i] = -__builtin_inff();
	max = v16_set1(-__builtin_inff());
	for (i = 0; i < padded; i += 16) {
		v = v16_mul(v16_load(s + i), v16_set1(scale));
		v16_store(s + i, v);
		max = v16_max(v, max);
	}
	v16_store(f, max);
	for (m = f[0], i = 1; i < 16; i++)
		m = f[i] > m ? f[i] : m;
	max = v16_set1(m);
	for (i = 0; i < padded; i += 16) {
		v = v16_exp(v16_sub(v16_load(s + i), max));
		sum = v16_add(sum, v);
		v16_store(s + i, round ? v16_round_bf16(v) : v);
	}
	return (kern_sum(sum));
}

/*
 * The distance in bytes from block j to the block to prefetch while block j is
 * in use: about KERN_PREFETCH bytes later in the order of use. size is the
 * bytes of one block, whole the number of blocks. 0 for one row of consecutive
 * blocks: the processor prefetches these better by itself.
 */
KERN_INLINE size_t
kern_prefetch(const int32_t *blocks, int j, int whole, size_t size, int rows)
{
	const int	 step = KERN_PREFETCH / (int)size + 1;
	const int	 to = j + step < whole ? j + step : whole - 1;

	return (rows == 1 && blocks[to] - blocks[j] == to - j ? 0 :
	    ((size_t)blocks[to] - (size_t)blocks[j]) * size);
}

/* Multiply s[rows][32] by the first n scales of a block, and the rest by 0. */
static void
kern_times(float *s, size_t lds, int rows, const float *scales, int n)
{
	const struct v16 lo = kern_load_part(scales, n, 0.0f);
	const struct v16 hi = kern_load_part(scales + PANEL, n - PANEL, 0.0f);

	for (; rows > 0; rows--, s += lds) {
		v16_store(s, v16_mul(v16_load(s), lo));
		v16_store(s + PANEL, v16_mul(v16_load(s + PANEL), hi));
	}
}

#ifdef KERN_TILES
#include "kernels_tiles_attend.h"
#else
/* Without tiles, no block is computed in tiles. */
#define kern_tiles_scores(a, row, q, h, rows, s, lds) 0
#define kern_tiles_gather(a, row, h, rows, whole, s, lds, acc) 0
#endif

/* Scores of rows against one block's keys: s[rows][32]. */
static void
kern_scores(const struct attend *a, const float *q, int rows,
    const uint8_t *keys, size_t ahead, float *s, size_t lds)
{
	const size_t	 panel = (size_t)a->kv.D * PANEL *
			    ELEM_SIZE(a->kv.elem);
	int		 p, r;

	for (r = 0; r < rows; r++)
		memset(s + (size_t)r * lds, 0, KV_BLOCK * sizeof *s);
	for (p = 0; p < KV_BLOCK / PANEL; p++)
		kern_rows_kv(a->kv.elem, q, a->ldqkv, rows, keys +
		    (size_t)p * panel, ahead, a->kv.D / 2, s + p * PANEL,
		    lds);
	if (a->kv.elem == ELEM_Q8)
		kern_times(s, lds, rows, (const float *)(const void *)(keys +
		    a->kv.keys - KV_SCALES), KV_BLOCK);
}

/* acc[rows][n][16] += weights s of the rows times the first count values of a
 * block, n panels of lanes. In int8, s is changed. */
static void
kern_gather(const struct attend *a, float *s, size_t lds, int rows,
    const uint8_t *values, size_t ahead, int count, int n, float *acc)
{
	const size_t	 panel = (size_t)KV_BLOCK * PANEL *
			    ELEM_SIZE(a->kv.elem);
	int		 i;

	if (a->kv.elem == ELEM_Q8)
		kern_times(s, lds, rows, (const float *)(const void *)(values +
		    a->kv.values - KV_SCALES), count);
	for (i = 0; i < n; i++)
		kern_rows_kv(a->kv.elem, s, lds, rows, values +
		    (size_t)i * panel, ahead, (count + 1) / 2, acc +
		    i * PANEL, (size_t)n * PANEL);
}

/*
 * Attention of consecutive rows of one sequence. Blocks of which every row sees
 * all positions are read once for all rows. The last blocks are read row by
 * row, so that no row sees a position after its own.
 */
static void
kern_attend(const struct attend *a, int h, int first, int last,
    float *scratch)
{
	const struct backend_row *row = &a->rows[first];
	const int	 D = a->kv.D, rows = last - first;
	const int	 lanes = ROUND_UP(D, PANEL), n = lanes / PANEL;
	const int	 whole = (row->pos + 1) / KV_BLOCK;
	const int	 round = a->kv.elem != ELEM_F32;
	const size_t	 lds = ROUND_UP((size_t)row->pos + (size_t)rows,
			    KV_BLOCK);
	const float	*q = a->qkv + (size_t)first * a->ldqkv +
			    (size_t)h * 3 * (size_t)D;
	float		 sum[ATTEND_ROWS], *s, *acc, out[PANEL];
	const int32_t	*blocks = row->blocks;
	struct v16	 v;
	int		 j, d, r, left, done;

	done = kern_tiles_scores(a, row, q, h, rows, scratch, lds);
	for (j = done; j < whole; j++)
		kern_scores(a, q, rows, kern_keys(a, blocks, j, h),
		    kern_prefetch(blocks, j, whole, a->kv.keys, rows),
		    scratch + j * KV_BLOCK, lds);
	for (r = 0, s = scratch; r < rows; r++, s += lds) {
		for (j = done > 0 ? done : whole; j * KV_BLOCK <= row[r].pos;
		    j++)
			kern_scores(a, q + (size_t)r * a->ldqkv, 1,
			    kern_keys(a, blocks, j, h), 0, s + j * KV_BLOCK,
			    lds);
		sum[r] = kern_softmax(s, row[r].pos + 1,
		    ROUND_UP(row[r].pos + 1, PANEL), a->scale,
		    a->kv.elem == ELEM_BF16);
	}
	acc = s;			/* after the scores */
	memset(acc, 0, (size_t)(rows * lanes) * sizeof *acc);
	j = kern_tiles_gather(a, row, h, rows, whole, scratch, lds, acc);
	for (; j < whole; j++)
		kern_gather(a, scratch + j * KV_BLOCK, lds, rows,
		    kern_values(a, blocks, j, h), kern_prefetch(blocks, j,
		    whole, a->kv.values, rows), KV_BLOCK, n, acc);
	for (r = 0, s = scratch; r < rows; r++, s += lds, acc += lanes) {
		for (j = whole; (left = row[r].pos + 1 - j * KV_BLOCK) > 0;
		    j++)
			kern_gather(a, s + j * KV_BLOCK, lds, 1,
			    kern_values(a, blocks, j, h), 0,
			    left < KV_BLOCK ? left : KV_BLOCK, n, acc);
		for (d = 0; d < D; d += PANEL) {
			v = v16_div(v16_load(acc + d), v16_set1(sum[r]));
			v = round ? v16_round_bf16(v) : v;
			if (a->out16 != NULL) {
				kern_store16(v, a->out16 + (size_t)(first +
				    r) * a->ldo16 + (size_t)h * (size_t)D + d,
				    D - d);
				continue;
			}
			v16_store(out, v);
			memcpy(a->out + (size_t)(first + r) * a->ldo +
			    (size_t)h * (size_t)D + d, out, sizeof *out *
			    (size_t)(D - d < PANEL ? D - d : PANEL));
		}
	}
}

#endif

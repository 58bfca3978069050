/*
 * Attention over the blocks of the KV cache.  Included by kernels_body.h.
 */
#ifndef CPU_KERNELS_ATTEND_H
#define CPU_KERNELS_ATTEND_H

/* Scale n scores, turn them into unnormalised weights in place (rounded
 * where the cache is bf16), zeros up to the block's end; their sum. */
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

/* One head's part of the block that holds positions from 32 * j on. */
KERN_INLINE const uint8_t *
kern_kv(const struct attend *a, const int32_t *blocks, int j, int h)
{
	return (a->cache + (size_t)blocks[j] * a->kv.block +
	    (size_t)h * a->kv.head);
}

/* Bring the keys, or the values, of a block near. */
KERN_INLINE void
kern_fetch(const uint8_t *p, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i += 64)
		__builtin_prefetch(p + i);
}

/* The scales of a block's keys, or of its values, in int8. */
KERN_INLINE const float *
kern_scales(const struct attend *a, const uint8_t *kv, int values)
{
	return ((const float *)(const void *)(kv + (values ? a->kv.head :
	    a->kv.values) - KV_SCALES));
}

/* s[rows][32] times the scales of a block, of which n count: what is behind
 * them becomes s times 0. */
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
/* No tiles: no block is done in them. */
#define kern_tiles_scores(a, row, q, h, rows, s, lds) 0
#define kern_tiles_gather(a, row, h, rows, whole, s, lds, acc) 0
#endif

/* Scores of rows against one block's keys: s[rows][32]. */
static void
kern_scores(const struct attend *a, const float *q, int rows,
    const uint8_t *kv, float *s, size_t lds)
{
	const size_t	 panel = (size_t)a->kv.D * PANEL *
			    ELEM_SIZE(a->kv.elem);
	int		 p, r;

	for (r = 0; r < rows; r++)
		memset(s + (size_t)r * lds, 0, KV_BLOCK * sizeof *s);
	for (p = 0; p < KV_BLOCK / PANEL; p++)
		kern_rows(a->kv.elem, q, a->ldqkv, rows, kv +
		    (size_t)p * panel, 0, a->kv.D / 2, s + p * PANEL, lds);
	if (a->kv.elem == ELEM_Q8)
		kern_times(s, lds, rows, kern_scales(a, kv, 0), KV_BLOCK);
}

/* The same for one row and both panels at once. */
static void
kern_scores_one(const struct attend *a, const float *q, const uint8_t *kv,
    float *s)
{
	const size_t	 panel = (size_t)a->kv.D * PANEL *
			    ELEM_SIZE(a->kv.elem);

	memset(s, 0, KV_BLOCK * sizeof *s);
	if (a->kv.elem == ELEM_BF16)
		kern_tile(1, KV_BLOCK / PANEL, ELEM_BF16, q, 0, kv, panel, 0,
		    a->kv.D / 2, s, 0);
	else if (a->kv.elem == ELEM_Q8) {
		kern_tile(1, KV_BLOCK / PANEL, ELEM_Q8, q, 0, kv, panel, 0,
		    a->kv.D / 2, s, 0);
		kern_times(s, 0, 1, kern_scales(a, kv, 0), KV_BLOCK);
	} else
		kern_tile(1, KV_BLOCK / PANEL, ELEM_F32, q, 0, kv, panel, 0,
		    a->kv.D / 2, s, 0);
}

/* acc[rows][n][16] += weights s of rows (changed in int8) times the first
 * values of the block at kv, n panels of lanes. */
static void
kern_gather(const struct attend *a, float *s, size_t lds, int rows,
    const uint8_t *kv, int values, int n, float *acc)
{
	const size_t	 panel = (size_t)KV_BLOCK * PANEL *
			    ELEM_SIZE(a->kv.elem);
	const size_t	 ld = (size_t)n * PANEL;
	const uint8_t	*v = kv + a->kv.values;
	const int	 pairs = (values + 1) / 2;
	int		 i = 0;

	if (a->kv.elem == ELEM_Q8)
		kern_times(s, lds, rows, kern_scales(a, kv, 1), values);
	for (; rows == 1 && i + VEC_PANELS <= n; i += VEC_PANELS)
		kern_panels(a->kv.elem, s, v + (size_t)i * panel, panel, 0,
		    pairs, acc + i * PANEL);
	for (; i < n; i++)
		kern_rows(a->kv.elem, s, lds, rows, v + (size_t)i * panel, 0,
		    pairs, acc + i * PANEL, ld);
}

/*
 * Attention of consecutive rows of one sequence. Blocks that every row sees
 * whole are passed over once for all rows; what the diagonal cuts, row by
 * row, so that no row meets a position behind its own.
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
	const size_t	 half = a->kv.values;
	const float	*q = a->qkv + (size_t)first * a->ldqkv +
			    (size_t)h * 3 * (size_t)D;
	float		 sum[ATTEND_ROWS], *s, *acc, out[PANEL];
	const uint8_t	*kv;
	struct v16	 v;
	int		 j, d, r, left, done;

	done = kern_tiles_scores(a, row, q, h, rows, scratch, lds);
	for (j = done; j < whole; j++) {
		if (j + 1 < whole)
			kern_fetch(kern_kv(a, row->blocks, j + 1, h), half);
		kv = kern_kv(a, row->blocks, j, h);
		if (rows == 1)
			kern_scores_one(a, q, kv, scratch + j * KV_BLOCK);
		else
			kern_scores(a, q, rows, kv, scratch + j * KV_BLOCK,
			    lds);
	}
	for (r = 0, s = scratch; r < rows; r++, s += lds) {
		for (j = done > 0 ? done : whole; j * KV_BLOCK <= row[r].pos;
		    j++)
			kern_scores_one(a, q + (size_t)r * a->ldqkv,
			    kern_kv(a, row[r].blocks, j, h), s + j * KV_BLOCK);
		sum[r] = kern_softmax(s, row[r].pos + 1,
		    ROUND_UP(row[r].pos + 1, PANEL), a->scale,
		    a->kv.elem == ELEM_BF16);
	}
	acc = s;			/* behind the scores */
	memset(acc, 0, (size_t)(rows * lanes) * sizeof *acc);
	j = kern_tiles_gather(a, row, h, rows, whole, scratch, lds, acc);
	for (; j < whole; j++) {
		if (j + 1 < whole)
			kern_fetch(kern_kv(a, row->blocks, j + 1, h) + half,
			    a->kv.head - half);
		kern_gather(a, scratch + j * KV_BLOCK, lds, rows,
		    kern_kv(a, row->blocks, j, h), KV_BLOCK, n, acc);
	}
	for (r = 0, s = scratch; r < rows; r++, s += lds, acc += lanes) {
		for (j = whole; (left = row[r].pos + 1 - j * KV_BLOCK) > 0;
		    j++)
			kern_gather(a, s + j * KV_BLOCK, lds, 1,
			    kern_kv(a, row[r].blocks, j, h),
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

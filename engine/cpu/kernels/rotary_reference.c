/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotary positions and cache writes once more, as plain loops over single
 * numbers: rotary.c must give the same bits.  kernels.h says how a key and a
 * value are rounded.
 */
#include "rotary.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "dtype.h"
#include "layout_index.h"

/* Turn the first rot lanes of x by cs[rot / 2][cos, sin]. */
static void
rotary_reference_turn(float *x, const float *cs, int rot)
{
	const int	 half = rot / 2;
	float		 left, right, c, s;
	int		 i;

	for (i = 0; i < half; i++) {
		left = x[i];
		right = x[half + i];
		c = cs[2 * i];
		s = cs[2 * i + 1];
		x[i] = c * left - s * right;
		x[half + i] = c * right + s * left;
	}
}

/* The scale in int8 of the D numbers of a key or a value. */
static float
rotary_reference_scale(const float *x, int D)
{
	float	 top = 0;
	int	 i;

	for (i = 0; i < D; i++) {
		if (!isfinite(x[i]))
			return (NAN);
		if (fabsf(x[i]) > top)
			top = fabsf(x[i]);
	}
	return (top / 127 < FLT_MIN ? 0 : top / 127);
}

/* Write x as element i of p, an array of the cache. */
static void
rotary_reference_put(enum elem elem, uint8_t *p, size_t i, float x, float scale)
{
	uint16_t	 half = dtype_bf16(x);
	float		 q = 0;

	if (elem == ELEM_F32)
		memcpy(p + i * sizeof x, &x, sizeof x);
	else if (elem == ELEM_BF16)
		memcpy(p + i * sizeof half, &half, sizeof half);
	else {
		if (scale > 0)
			q = rintf(x * (1 / scale));
		p[i] = (uint8_t)(int8_t)q;
	}
}

/*
 * Put the D lanes of x in the place of position pos: a key, or a value.  size
 * is that of the array p with its scales.  A value at an even position clears
 * the odd one after it, but in int8.
 */
static void
rotary_reference_store(const struct kv_shape *kv, uint8_t *p, size_t size,
    int value, int pos, const float *x)
{
	const size_t	 at = (size_t)pos;
	const float	 scale = rotary_reference_scale(x, kv->D);
	size_t		 i, lane;

	if (kv->elem == ELEM_Q8)
		memcpy(p + size - KV_SCALES + at * sizeof scale, &scale,
		    sizeof scale);
	for (lane = 0; lane < (size_t)kv->D; lane++) {
		i = value ? layout_index(kv->elem, KV_BLOCK, lane, at) :
		    layout_index(kv->elem, (size_t)kv->D, at, lane);
		rotary_reference_put(kv->elem, p, i, x[lane], scale);
		if (value && pos % 2 == 0 && kv->elem != ELEM_Q8)
			rotary_reference_put(kv->elem, p, layout_index(
			    kv->elem, KV_BLOCK, lane, at + 1), 0, 0);
	}
}

/* One head of all rows. */
void
rotary_reference_head(const struct attend *a, float *qkv, int h, int T,
    const float *table, int rot)
{
	const struct kv_shape *kv = &a->kv;
	float		*q, *k, *v;
	int32_t		 block;
	uint16_t	 half;
	int		 t, i, pos;

	for (t = 0; t < T; t++) {
		pos = a->rows[t].pos;
		block = a->rows[t].blocks[pos / KV_BLOCK];
		q = qkv + (size_t)t * a->ldqkv + (size_t)(h * 3 * kv->D);
		k = q + kv->D;
		v = k + kv->D;
		rotary_reference_turn(q, table + (size_t)pos * (size_t)rot,
		    rot);
		rotary_reference_turn(k, table + (size_t)pos * (size_t)rot,
		    rot);
		rotary_reference_store(kv, a->cache + kv_keys(kv, h, block),
		    kv->keys, 0, pos % KV_BLOCK, k);
		rotary_reference_store(kv, a->cache + kv_values(kv, h, block),
		    kv->values, 1, pos % KV_BLOCK, v);
		for (i = 0; i < kv->D && kv->elem != ELEM_F32; i++) {
			half = dtype_bf16(q[i]);
			dtype_to_f32(DTYPE_BF16, &half, &q[i], 1);
		}
	}
}

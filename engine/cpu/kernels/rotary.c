/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotary positions and cache writes.  This is little work, so it is plain C and
 * the same for all variants of the kernels.
 */
#include "rotary.h"

#include "layout_index.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* 1.5 * 2^23: after adding it to a float, the low bits are the nearest
 * integer. */
#define ROTARY_MAGIC	12582912.0f

/* Make the table. */
float *
rotary_table(int context, int rot, double base)
{
	const int	 half = rot / 2;
	float		*table, *p;
	double		 angle;
	int		 pos, i;

	table = malloc((size_t)context * (size_t)rot * sizeof *table);
	if (table == NULL)
		return (NULL);
	for (p = table, pos = 0; pos < context; pos++)
		for (i = 0; i < half; i++) {
			angle = pos * pow(base, -2.0 * i / rot);
			*p++ = (float)cos(angle);
			*p++ = (float)sin(angle);
		}
	return (table);
}

/* Turn the first rot lanes of x. */
static void
rotary_turn(float *x, const float *cs, int rot)
{
	const int	 half = rot / 2;
	float		 a, b;
	int		 i;

	for (i = 0; i < half; i++, cs += 2) {
		a = x[i];
		b = x[i + half];
		x[i] = a * cs[0] - b * cs[1];
		x[i + half] = b * cs[0] + a * cs[1];
	}
}

/* Set *scale to the scale of a head's D numbers in int8 (see kernels.h).
 * Returns 1 / *scale, or 0 if *scale is not above 0. */
static float
rotary_scale(const float *x, int D, float *scale)
{
	float	 top = 0, a;
	int	 i, finite = 1;

	for (i = 0; i < D; i++) {
		a = fabsf(x[i]);
		top = a > top ? a : top;
		finite &= a <= FLT_MAX;
	}
	top /= 127;
	*scale = !finite ? NAN : top < FLT_MIN ? 0 : top;
	return (*scale > 0 ? 1 / *scale : 0);
}

/* The same as dtype_bf16, but inline: a call for each number would take most of
 * the time. */
static inline uint32_t
rotary_bf16(float x)
{
	uint32_t	 bits;

	memcpy(&bits, &x, sizeof bits);
	if ((bits & 0x7fffffff) > 0x7f800000)
		return (bits >> 16 | 0x40);
	return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Write x to element i of an array of the cache in fp32 or int8. In int8, |x|
 * is at most 127. */
static void
rotary_put(enum elem elem, uint8_t *at, size_t i, float x)
{
	uint32_t	 bits;

	if (elem == ELEM_Q8) {
		x += ROTARY_MAGIC;
		memcpy(&bits, &x, sizeof bits);
		at[i] = (uint8_t)bits;
	} else
		((float *)(void *)at)[i] = x;
}

/* The index of lane i of the key at position pos of a block. */
static size_t
rotary_key(const struct kv_shape *kv, enum elem elem, int pos, int i)
{
	return (layout_index(elem, (size_t)kv->D, (size_t)pos, (size_t)i));
}

/* The same for the value. */
static size_t
rotary_value(enum elem elem, int pos, int i)
{
	return (layout_index(elem, KV_BLOCK, (size_t)i, (size_t)pos));
}

/*
 * rotary_store in int8. The next position is not cleared: an int8 is never NaN,
 * and its weight counts as zero with any scale.
 */
static void
rotary_store_q8(const struct kv_shape *kv, uint8_t *k, uint8_t *v, int at,
    const float *key, const float *value)
{
	float	*scales = (float *)(void *)(k + kv->keys - KV_SCALES), inv;
	int	 i;

	inv = rotary_scale(key, kv->D, &scales[at]);
	for (i = 0; i < kv->D; i++)
		rotary_put(ELEM_Q8, k, rotary_key(kv, ELEM_Q8, at, i),
		    key[i] * inv);
	scales = (float *)(void *)(v + kv->values - KV_SCALES);
	inv = rotary_scale(value, kv->D, &scales[at]);
	for (i = 0; i < kv->D; i++)
		rotary_put(ELEM_Q8, v, rotary_value(ELEM_Q8, at, i),
		    value[i] * inv);
}

/* rotary_store in bf16, two lanes or two positions at once. */
static void
rotary_store_bf16(const struct kv_shape *kv, uint8_t *k, uint8_t *v, int at,
    const float *key, const float *value)
{
	uint32_t	*keys = (uint32_t *)(void *)k + (size_t)(at / PANEL) *
			    (size_t)kv->D * PANEL / 2 + at % PANEL;
	uint32_t	*pairs = (uint32_t *)(void *)v + at / 2 * PANEL;
	uint16_t	*odd;
	int		 i;

	for (i = 0; i < kv->D; i += 2)
		keys[i / 2 * PANEL] = rotary_bf16(key[i]) |
		    rotary_bf16(key[i + 1]) << 16;
	for (i = 0; i < kv->D; i++) {
		odd = (uint16_t *)(void *)&pairs[i / PANEL * KV_BLOCK *
		    PANEL / 2 + i % PANEL];
		if (at % 2 == 0)
			odd[1] = 0;
		odd[at % 2] = (uint16_t)rotary_bf16(value[i]);
	}
}

/*
 * Write one key and one value to k and v, a head's keys and values in a block,
 * at position at of the block. If at is even, the value at at + 1 is cleared:
 * it is multiplied by a weight of zero before it is written, and an old NaN
 * would stay NaN.
 */
static void
rotary_store(const struct kv_shape *kv, uint8_t *k, uint8_t *v, int at,
    const float *key, const float *value)
{
	int	 i;

	if (kv->elem == ELEM_Q8) {
		rotary_store_q8(kv, k, v, at, key, value);
		return;
	}
	if (kv->elem == ELEM_BF16) {
		rotary_store_bf16(kv, k, v, at, key, value);
		return;
	}
	for (i = 0; i < kv->D; i++) {
		rotary_put(ELEM_F32, k, rotary_key(kv, ELEM_F32, at, i),
		    key[i]);
		rotary_put(ELEM_F32, v, rotary_value(ELEM_F32, at, i),
		    value[i]);
		if (at % 2 == 0)
			rotary_put(ELEM_F32, v, rotary_value(ELEM_F32,
			    at + 1, i), 0);
	}
}

/* One head of all rows. */
void
rotary_head(const struct attend *a, float *qkv, int h, int T,
    const float *table, int rot)
{
	const int	 D = a->kv.D;
	const float	*cs;
	float		*q;
	int32_t		 block;
	uint32_t	 bits;
	int		 t, i, pos;

	for (t = 0; t < T; t++) {
		pos = a->rows[t].pos;
		cs = table + (size_t)pos * (size_t)rot;
		q = qkv + (size_t)t * a->ldqkv + (size_t)h * 3 * (size_t)D;
		rotary_turn(q, cs, rot);
		rotary_turn(q + D, cs, rot);
		block = a->rows[t].blocks[pos / KV_BLOCK];
		rotary_store(&a->kv, a->cache + kv_keys(&a->kv, h, block),
		    a->cache + kv_values(&a->kv, h, block), pos % KV_BLOCK,
		    q + D, q + 2 * D);
		for (i = 0; i < D && a->kv.elem != ELEM_F32; i++) {
			bits = rotary_bf16(q[i]) << 16;
			__builtin_memcpy(&q[i], &bits, sizeof bits);
		}
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct v16 in plain C.  vec_avx2.h and vec_avx512.h must give the same bits;
 * the comments here hold for them, too.  v16_max and v16_min give the second
 * operand if one is NaN, as x86 does.
 */
#ifndef CPU_VEC_H
#define CPU_VEC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "dtype.h"

#define VEC_INLINE static inline	/* inlining all of it gains nothing */
#define VEC_ROWS	1	/* rows of a register tile */

struct v16 {
	float	 f[16];
};

#define VEC_EACH(expr) do {						\
	for (int l = 0; l < 16; l++)					\
		z.f[l] = (expr);					\
} while (0)

VEC_INLINE struct v16
v16_set1(float x)
{
	struct v16 z;

	VEC_EACH(x);
	return (z);
}

VEC_INLINE struct v16
v16_load(const float *p)
{
	struct v16 z;

	memcpy(z.f, p, sizeof z.f);
	return (z);
}

VEC_INLINE void
v16_store(float *p, struct v16 a)
{
	memcpy(p, a.f, sizeof a.f);
}

VEC_INLINE struct v16
v16_add(struct v16 a, struct v16 b)
{
	struct v16 z;

	VEC_EACH(a.f[l] + b.f[l]);
	return (z);
}

VEC_INLINE struct v16
v16_sub(struct v16 a, struct v16 b)
{
	struct v16 z;

	VEC_EACH(a.f[l] - b.f[l]);
	return (z);
}

VEC_INLINE struct v16
v16_mul(struct v16 a, struct v16 b)
{
	struct v16 z;

	VEC_EACH(a.f[l] * b.f[l]);
	return (z);
}

VEC_INLINE struct v16
v16_div(struct v16 a, struct v16 b)
{
	struct v16 z;

	VEC_EACH(a.f[l] / b.f[l]);
	return (z);
}

/* a * b + c, rounded once. */
VEC_INLINE struct v16
v16_fma(struct v16 a, struct v16 b, struct v16 c)
{
	struct v16 z;

	VEC_EACH(fmaf(a.f[l], b.f[l], c.f[l]));
	return (z);
}

VEC_INLINE struct v16
v16_max(struct v16 a, struct v16 b)
{
	struct v16 z;

	VEC_EACH(a.f[l] > b.f[l] ? a.f[l] : b.f[l]);
	return (z);
}

VEC_INLINE struct v16
v16_min(struct v16 a, struct v16 b)
{
	struct v16 z;

	VEC_EACH(a.f[l] < b.f[l] ? a.f[l] : b.f[l]);
	return (z);
}

/* In each lane: x if a < b, else y. */
VEC_INLINE struct v16
v16_where_lt(struct v16 a, struct v16 b, struct v16 x, struct v16 y)
{
	struct v16 z;

	VEC_EACH(a.f[l] < b.f[l] ? x.f[l] : y.f[l]);
	return (z);
}

/* Add the low bits of t to the exponent of p. */
VEC_INLINE struct v16
v16_scale(struct v16 p, struct v16 t)
{
	struct v16	 z;
	uint32_t	 a, b;

	for (int l = 0; l < 16; l++) {
		memcpy(&a, &p.f[l], 4);
		memcpy(&b, &t.f[l], 4);
		a += b << 23;
		memcpy(&z.f[l], &a, 4);
	}
	return (z);
}

/* Round to bf16, to nearest, ties to even. NaN stays NaN. */
VEC_INLINE struct v16
v16_round_bf16(struct v16 x)
{
	struct v16	 z;
	uint32_t	 a;

	for (int l = 0; l < 16; l++) {
		memcpy(&a, &x.f[l], 4);
		if ((a & 0x7fffffff) > 0x7f800000)
			a |= 0x400000;
		else
			a += 0x7fff + (a >> 16 & 1);
		a &= 0xffff0000;
		memcpy(&z.f[l], &a, 4);
	}
	return (z);
}

/* Load 16 pairs of bf16: the first and the second of each pair, as floats. */
VEC_INLINE void
v16_load_bf16(const uint16_t *p, struct v16 *first, struct v16 *second)
{
	uint32_t	 a;

	for (int l = 0; l < 16; l++) {
		a = (uint32_t)p[2 * l] << 16;
		memcpy(&first->f[l], &a, 4);
		a = (uint32_t)p[2 * l + 1] << 16;
		memcpy(&second->f[l], &a, 4);
	}
}

/* The same for 16 pairs of signed bytes. */
VEC_INLINE void
v16_load_q8(const int8_t *p, struct v16 *first, struct v16 *second)
{
	for (int l = 0; l < 16; l++) {
		first->f[l] = p[2 * l];
		second->f[l] = p[2 * l + 1];
	}
}

/* Store 16 floats as bf16. Each is a bf16 already. */
VEC_INLINE void
v16_store_bf16(uint16_t *p, struct v16 a)
{
	uint32_t	 x;

	for (int l = 0; l < 16; l++) {
		memcpy(&x, &a.f[l], 4);
		p[l] = (uint16_t)(x >> 16);
	}
}

/* Load 16 numbers of fp16, as floats. */
VEC_INLINE struct v16
v16_load_f16(const uint16_t *p)
{
	struct v16	 z;

	dtype_to_f32(DTYPE_F16, p, z.f, 16);
	return (z);
}

/* A mask: bit l is set if a < b in lane l. */
VEC_INLINE uint32_t
v16_mask_lt(struct v16 a, struct v16 b)
{
	uint32_t	 mask = 0;

	for (int l = 0; l < 16; l++)
		mask |= (uint32_t)(a.f[l] < b.f[l]) << l;
	return (mask);
}

/* Store the lowest byte of each lane. */
VEC_INLINE void
v16_store_low8(int8_t *p, struct v16 a)
{
	uint32_t	 x;

	for (int l = 0; l < 16; l++) {
		memcpy(&x, &a.f[l], 4);
		p[l] = (int8_t)(uint8_t)x;
	}
}

/* 16 integers. */
struct i16 {
	int32_t	 i[16];
};

/* 64 bytes of weights: four k for each of 16 columns. */
struct b64 {
	uint8_t	 b[64];
};

VEC_INLINE struct i16
i16_set1(int32_t x)
{
	struct i16 z;

	for (int l = 0; l < 16; l++)
		z.i[l] = x;
	return (z);
}

VEC_INLINE struct i16
i16_load(const int32_t *p)
{
	struct i16 z;

	memcpy(z.i, p, sizeof z.i);
	return (z);
}

VEC_INLINE void
i16_store(int32_t *p, struct i16 a)
{
	memcpy(p, a.i, sizeof a.i);
}

VEC_INLINE struct i16
i16_sub(struct i16 a, struct i16 b)
{
	for (int l = 0; l < 16; l++)
		a.i[l] -= b.i[l];
	return (a);
}

/* Convert to floats, rounded to nearest, ties to even. */
VEC_INLINE struct v16
i16_float(struct i16 a)
{
	struct v16 z;

	VEC_EACH((float)a.i[l]);
	return (z);
}

VEC_INLINE struct b64
b64_load(const uint8_t *p)
{
	struct b64 z;

	memcpy(z.b, p, sizeof z.b);
	return (z);
}

/* The lower half of each byte. */
VEC_INLINE struct b64
b64_low(struct b64 a)
{
	for (int l = 0; l < 64; l++)
		a.b[l] &= 15;
	return (a);
}

/* The upper half of each byte. */
VEC_INLINE struct b64
b64_high(struct b64 a)
{
	for (int l = 0; l < 64; l++)
		a.b[l] >>= 4;
	return (a);
}

/* Each byte minus 8, as a signed byte. The bytes are at most 15. */
VEC_INLINE struct b64
b64_less8(struct b64 a)
{
	for (int l = 0; l < 64; l++)
		a.b[l] = (uint8_t)(a.b[l] - 8);
	return (a);
}

VEC_INLINE void
b64_store(uint8_t *p, struct b64 a)
{
	memcpy(p, a.b, sizeof a.b);
}

/* In each lane, add the dot product of four numbers to sum: four bytes of w,
 * each minus bias, and the four bytes at q. */
VEC_INLINE void
i16_dot(struct i16 *sum, const struct b64 *w, const int8_t *q, int bias)
{
	for (int l = 0; l < 16; l++)
		sum->i[l] += (w->b[4 * l] - bias) * q[0] +
		    (w->b[4 * l + 1] - bias) * q[1] +
		    (w->b[4 * l + 2] - bias) * q[2] +
		    (w->b[4 * l + 3] - bias) * q[3];
}

/* The same with bias 0, for bytes of w of at most 15. */
VEC_INLINE void
i16_dot4(struct i16 *sum, struct b64 w, const int8_t *q)
{
	i16_dot(sum, &w, q, 0);
}

/*
 * The same with bias 128, for any bytes of w. A variant may use a smaller bias.
 * I16_BIAS8 is the difference: the caller subtracts I16_BIAS8 times the sum of
 * all q.
 */
#define I16_BIAS8 0

VEC_INLINE void
i16_dot8(struct i16 *sum, struct b64 w, const int8_t *q)
{
	i16_dot(sum, &w, q, 128);
}

#endif

/*
 * struct v16 in plain C: the reference the other two must equal bit for bit.
 * Comparisons take the second operand where one is NaN, as x86 does.
 */
#ifndef CPU_VEC_H
#define CPU_VEC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define VEC_INLINE static inline	/* inlining all of it gains nothing */
#define VEC_ROWS	1	/* rows of a register tile */
#define VEC_PANELS	1	/* panels at once where there is one row */

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

/* x where a < b, else y. */
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

/* Round to bf16, nearest even, NaN kept. */
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

/* 16 pairs of bf16, widened: the first and the second of each pair. */
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

#endif

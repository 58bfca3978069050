/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Number formats of weights in files, widened to fp32. The inner loops have a
 * fixed length and no branches, so that compilers vectorise them.
 */
#include "dtype.h"

#include <string.h>

#include "le.h"

#define Q_BLOCK		32	/* elements of Q8_0's and Q4_0's blocks */
#define K_BLOCK		256	/* elements of Q4_K's and Q6_K's blocks */
#define PLAIN_CHUNK	16	/* plain elements converted at a time */

/* The bytes of the parts of a block, in their order. */
enum {
	Q8_0_D = 2, Q8_0_Q = 32, Q8_0_SIZE = Q8_0_D + Q8_0_Q,
	Q4_0_D = 2, Q4_0_Q = 16, Q4_0_SIZE = Q4_0_D + Q4_0_Q,
	Q4_K_D = 2, Q4_K_DMIN = 2, Q4_K_SCALES = 12, Q4_K_Q = 128,
	Q4_K_SIZE = Q4_K_D + Q4_K_DMIN + Q4_K_SCALES + Q4_K_Q,
	Q6_K_LOW = 128, Q6_K_HIGH = 64, Q6_K_SCALES = 16, Q6_K_D = 2,
	Q6_K_SIZE = Q6_K_LOW + Q6_K_HIGH + Q6_K_SCALES + Q6_K_D
};

static const struct {
	const char	*name;
	size_t		 block, size;
} dtypes[] = {
	[DTYPE_F16] = { "F16", 1, 2 },
	[DTYPE_BF16] = { "BF16", 1, 2 },
	[DTYPE_F32] = { "F32", 1, 4 },
	[DTYPE_F64] = { "F64", 1, 8 },
	[DTYPE_Q8_0] = { "Q8_0", Q_BLOCK, Q8_0_SIZE },
	[DTYPE_Q4_0] = { "Q4_0", Q_BLOCK, Q4_0_SIZE },
	[DTYPE_Q4_K] = { "Q4_K", K_BLOCK, Q4_K_SIZE },
	[DTYPE_Q6_K] = { "Q6_K", K_BLOCK, Q6_K_SIZE }
};

/* Elements of one block. */
size_t
dtype_block(enum dtype t)
{
	return (dtypes[t].block);
}

/* Bytes of one block. */
size_t
dtype_block_size(enum dtype t)
{
	return (dtypes[t].size);
}

/* Return its name. */
const char *
dtype_name(enum dtype t)
{
	return (dtypes[t].name);
}

/* Return the float with these bits. */
static inline float
dtype_float(uint32_t bits)
{
	float	 x;

	memcpy(&x, &bits, sizeof x);
	return (x);
}

/* Return the bits of a float. */
static inline uint32_t
dtype_bits(float x)
{
	uint32_t	 bits;

	memcpy(&bits, &x, sizeof bits);
	return (bits);
}

/*
 * IEEE half to single. All cases are computed and masks choose one, since a
 * branch would prevent vector code. A small one, m * 2^-24, is computed as the
 * difference of two normal numbers: denormals of a half are normal singles.
 */
static inline float
dtype_half(uint32_t h)
{
	uint32_t	 rest = (h & 0x7fff) << 13, exp = rest >> 23;
	uint32_t	 small = dtype_bits(dtype_float(rest + (113u << 23)) -
			    0x1p-14f);
	uint32_t	 is_small = -(uint32_t)(exp == 0);
	uint32_t	 is_inf = -(uint32_t)(exp == 31);

	rest += (112u << 23) + (is_inf & 112u << 23);
	return (dtype_float((h & 0x8000) << 16 | (small & is_small) |
	    (rest & ~is_small)));
}

/* One element of each plain type. */
static inline float
dtype_get_f16(const uint8_t *p)
{
	return (dtype_half(le_u16(p)));
}

static inline float
dtype_get_bf16(const uint8_t *p)
{
	return (dtype_float(le_u16(p) << 16));
}

static inline float
dtype_get_f32(const uint8_t *p)
{
	return (dtype_float(le_u32(p)));
}

static inline float
dtype_get_f64(const uint8_t *p)
{
	uint64_t	 bits = le_u64(p);
	double		 d;

	memcpy(&d, &bits, sizeof d);
	return ((float)d);
}

/* A loop over n elements of `size` bytes with `get`, most of it in chunks of a
 * fixed length. */
#define DTYPE_PLAIN(name, get, size)					\
static void								\
name(const uint8_t *restrict in, float *restrict out, size_t n)		\
{									\
	size_t	 i, k;							\
									\
	for (i = 0; n - i >= PLAIN_CHUNK; i += PLAIN_CHUNK)		\
		for (k = 0; k < PLAIN_CHUNK; k++)			\
			out[i + k] = get(in + (i + k) * (size));	\
	for (; i < n; i++)						\
		out[i] = get(in + i * (size));				\
}

DTYPE_PLAIN(dtype_from_f16, dtype_get_f16, 2)
DTYPE_PLAIN(dtype_from_bf16, dtype_get_bf16, 2)
DTYPE_PLAIN(dtype_from_f32, dtype_get_f32, 4)
DTYPE_PLAIN(dtype_from_f64, dtype_get_f64, 8)

/* Q8_0: d, then 32 signed quants. */
static void
dtype_from_q8_0(const uint8_t *restrict in, float *restrict out, size_t n)
{
	size_t	 i, k;
	float	 d;

	for (i = 0; i < n; i += Q_BLOCK, in += Q8_0_SIZE) {
		d = dtype_half(le_u16(in));
		for (k = 0; k < Q_BLOCK; k++)
			out[i + k] = d * (float)(int8_t)in[Q8_0_D + k];
	}
}

/* Q4_0: d, then 16 bytes; byte k has quants k and k + 16, each biased by 8. */
static void
dtype_from_q4_0(const uint8_t *restrict in, float *restrict out, size_t n)
{
	const uint8_t	*q;
	size_t		 i, k;
	float		 d;

	for (i = 0; i < n; i += Q_BLOCK, in += Q4_0_SIZE) {
		d = dtype_half(le_u16(in));
		q = in + Q4_0_D;
		for (k = 0; k < Q4_0_Q; k++)
			out[i + k] = d * (float)((q[k] & 15) - 8);
		for (k = 0; k < Q4_0_Q; k++)
			out[i + Q4_0_Q + k] = d * (float)((q[k] >> 4) - 8);
	}
}

/*
 * Q4_K: d, dmin, 12 bytes s with 8 scales and 8 minimums of 6 bits each, and
 * 128 bytes of quants.
 *
 * The low 6 bits of s[0..3] are scales 0 to 3, and the low 6 bits of s[4..7]
 * are minimums 0 to 3. s[8..11] have the low 4 bits of scales 4 to 7 (in their
 * low halves) and of minimums 4 to 7 (in their high halves). The high 2 bits of
 * these scales and minimums are the top bits of s[0..3] and s[4..7].
 *
 * Each 32 bytes of quants have 64 elements: first those of the low halves, then
 * those of the high halves.
 */
static void
dtype_from_q4_k(const uint8_t *restrict in, float *restrict out, size_t n)
{
	const uint8_t	*s, *q;
	size_t		 i, j, k;
	float		 d, dmin, scale, min;

	for (i = 0; i < n; i += K_BLOCK, in += Q4_K_SIZE) {
		d = dtype_half(le_u16(in));
		dmin = dtype_half(le_u16(in + Q4_K_D));
		s = in + Q4_K_D + Q4_K_DMIN;
		for (j = 0; j < 8; j++) {
			scale = d * (float)(j < 4 ? s[j] & 63 :
			    (s[j + 4] & 15) | s[j - 4] >> 6 << 4);
			min = dmin * (float)(j < 4 ? s[j + 4] & 63 :
			    s[j + 4] >> 4 | s[j] >> 6 << 4);
			q = s + Q4_K_SCALES + j / 2 * 32;
			for (k = 0; k < 32; k++)
				out[i + j * 32 + k] = scale * (float)(q[k] >>
				    (j % 2 * 4) & 15) - min;
		}
	}
}

/*
 * Q6_K: the low 4 bits of the quants, their high 2 bits, 16 signed scales, d.
 * Each half of the block has 128 elements in four groups of 32. In `low`, bytes
 * 0 to 31 and 32 to 63 have groups 0 and 1 in their low halves, and groups 2
 * and 3 in their high halves. Byte k of `high` has two bits of element k of
 * each group; those of group 0 are lowest. Quants are biased by 32. A scale
 * applies to 16 elements.
 */
static void
dtype_from_q6_k(const uint8_t *restrict in, float *restrict out, size_t n)
{
	const uint8_t	*low, *high, *scales;
	size_t		 i, j, k, g;
	float		 d, scale;

	for (i = 0; i < n; i += K_BLOCK, in += Q6_K_SIZE) {
		scales = in + Q6_K_LOW + Q6_K_HIGH;
		d = dtype_half(le_u16(scales + Q6_K_SCALES));
		for (j = 0; j < 16; j++) {
			g = j / 2 % 4;		/* group within this half */
			low = in + j / 8 * 64 + g % 2 * 32 + j % 2 * 16;
			high = in + Q6_K_LOW + j / 8 * 32 + j % 2 * 16;
			scale = d * (float)(int8_t)scales[j];
			for (k = 0; k < 16; k++)
				out[i + j * 16 + k] = scale *
				    (float)(((low[k] >> g / 2 * 4 & 15) |
				    (high[k] >> 2 * g & 3) << 4) - 32);
		}
	}
}

/* Convert to fp32. */
void
dtype_to_f32(enum dtype t, const void *in, float *out, size_t n)
{
	static void (*const convert[])(const uint8_t *restrict,
	    float *restrict, size_t) = {
		[DTYPE_F16] = dtype_from_f16,
		[DTYPE_BF16] = dtype_from_bf16,
		[DTYPE_F32] = dtype_from_f32,
		[DTYPE_F64] = dtype_from_f64,
		[DTYPE_Q8_0] = dtype_from_q8_0,
		[DTYPE_Q4_0] = dtype_from_q4_0,
		[DTYPE_Q4_K] = dtype_from_q4_k,
		[DTYPE_Q6_K] = dtype_from_q6_k
	};

	convert[t](in, out, n);
}

/* Split Q4_0 into quants and scales. */
void
dtype_q4_0(const void *in, int8_t *restrict q, uint16_t *restrict d,
    size_t n)
{
	const uint8_t	*p = in;
	size_t		 i, k;

	for (i = 0; i < n; i += Q_BLOCK, p += Q4_0_SIZE) {
		d[i / Q_BLOCK] = (uint16_t)le_u16(p);
		for (k = 0; k < Q4_0_Q; k++)
			q[i + k] = (int8_t)((p[Q4_0_D + k] & 15) - 8);
		for (k = 0; k < Q4_0_Q; k++)
			q[i + Q4_0_Q + k] = (int8_t)((p[Q4_0_D + k] >> 4) -
			    8);
	}
}

/* Round to fp16. */
uint16_t
dtype_f16(float x)
{
	uint32_t	 bits, sign, mant;
	int		 exp, drop;

	memcpy(&bits, &x, sizeof bits);
	sign = bits >> 16 & 0x8000;
	bits &= 0x7fffffff;
	if (bits > 0x7f800000)
		return ((uint16_t)(sign | 0x7e00));
	exp = (int)(bits >> 23) - 112;		/* exponent with the bias of a
						 * half */
	mant = (bits & 0x7fffff) | 0x800000;
	drop = exp < 1 ? 14 - exp : 13;		/* bits that are rounded away */
	if (drop > 24)
		return ((uint16_t)sign);
	mant += (1U << (drop - 1)) - 1 + (mant >> drop & 1);
	mant >>= drop;
	if (exp > 1)		/* the leading 1 adds one to the exponent */
		mant += (uint32_t)(exp - 1) << 10;
	return ((uint16_t)(sign | (exp > 30 || mant > 0x7c00 ? 0x7c00 :
	    mant)));
}

/* Round to bf16. */
uint16_t
dtype_bf16(float x)
{
	uint32_t	 bits = dtype_bits(x);

	if ((bits & 0x7fffffff) > 0x7f800000)
		return ((uint16_t)(bits >> 16 | 0x40));
	return ((uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16));
}

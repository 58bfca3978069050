/*
 * Number formats of weights in files, widened element by element.
 */
#include "dtype.h"

#include <string.h>

void	dtype_q4_0(const void *in, int8_t *q, uint16_t *d, size_t n)
{ (void)in;(void)q;(void)d;(void)n;}
size_t
dtype_block(enum dtype t)
{
	(void)t;
	return (1);
}

/* Bytes of one element. */
size_t
dtype_block_size(enum dtype t)
{
	return (t == DTYPE_F64 ? 8 : t == DTYPE_F32 ? 4 : 2);
}

/* The float with these bits. */
static float
dtype_float(uint32_t bits)
{
	float	 x;

	memcpy(&x, &bits, sizeof x);
	return (x);
}

/* IEEE half to single. A half's denormals are normal singles. */
static float
dtype_half(uint32_t h)
{
	uint32_t	 sign = (h & 0x8000) << 16, exp = h >> 10 & 31;
	uint32_t	 mant = h & 0x3ff;

	if (exp == 31)
		return (dtype_float(sign | 0x7f800000 | mant << 13));
	if (exp == 0)		/* mant * 2^-24: exact */
		return (dtype_float(sign | 0x3f800000) *
		    ((float)mant * 0x1p-24f));
	return (dtype_float(sign | (exp + 112) << 23 | mant << 13));
}

/* A little-endian number of n bytes. */
static uint64_t
dtype_le(const uint8_t *p, size_t n)
{
	uint64_t	 v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return (v);
}

/* Convert to fp32. */
void
dtype_to_f32(enum dtype t, const void *in, float *out, size_t n)
{
	const uint8_t	*p = in;
	uint64_t	 bits;
	double		 d;
	size_t		 i;

	switch (t) {
	case DTYPE_F16:
		for (i = 0; i < n; i++, p += 2)
			out[i] = dtype_half((uint32_t)dtype_le(p, 2));
		break;
	case DTYPE_BF16:
		for (i = 0; i < n; i++, p += 2)
			out[i] = dtype_float((uint32_t)dtype_le(p, 2) << 16);
		break;
	case DTYPE_F32:
		for (i = 0; i < n; i++, p += 4)
			out[i] = dtype_float((uint32_t)dtype_le(p, 4));
		break;
	case DTYPE_F64:
		for (i = 0; i < n; i++, p += 8) {
			bits = dtype_le(p, 8);
			memcpy(&d, &bits, sizeof d);
			out[i] = (float)d;
		}
		break;
	default: break;
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
	exp = (int)(bits >> 23) - 112;		/* biased as a half's is */
	mant = (bits & 0x7fffff) | 0x800000;
	drop = exp < 1 ? 14 - exp : 13;		/* bits that don't fit */
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
	uint32_t	 bits;

	memcpy(&bits, &x, sizeof bits);
	if ((bits & 0x7fffffff) > 0x7f800000)
		return ((uint16_t)(bits >> 16 | 0x40));
	return ((uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16));
}

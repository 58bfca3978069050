/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantizing for tests with simple rounding: a scale is the largest magnitude,
 * and quants are rounded to the nearest.
 */
#include "gguf_files.h"

#include <math.h>
#include <string.h>

#include "dtype.h"

/* Single to half, to nearest even. */
static uint16_t
to_half(float x)
{
	double	 a = fabs((double)x);
	int	 sign = signbit(x) ? 0x8000 : 0, e;

	if (a >= 65520)
		return ((uint16_t)(sign | 0x7c00));
	if (a < 0x1p-14)
		return ((uint16_t)(sign | (int)nearbyint(a * 0x1p24)));
	e = ilogb(a);
	return ((uint16_t)(sign + (e + 15) * 1024 +
	    (int)nearbyint(ldexp(a, 10 - e)) - 1024));
}

/* Store a half. Returns the number that it holds. */
static float
put_half(uint8_t *out, float x)
{
	uint16_t	 h = to_half(x);
	float		 y;

	out[0] = (uint8_t)h;
	out[1] = (uint8_t)(h >> 8);
	dtype_to_f32(DTYPE_F16, out, &y, 1);
	return (y);
}

/* x / d, rounded and held between min and max. */
static int
quant(float x, float d, int min, int max)
{
	double	 q = d == 0 ? 0 : nearbyint((double)x / (double)d);

	return (q < min ? min : q > max ? max : (int)q);
}

/* The element of the largest magnitude. */
static float
largest(const float *x, size_t n)
{
	float	 max = 0;
	size_t	 i;

	for (i = 0; i < n; i++)
		if (fabsf(x[i]) > fabsf(max))
			max = x[i];
	return (max);
}

/* A block of Q8_0. */
static void
put_q8_0(const float *x, uint8_t *out)
{
	float	 d = put_half(out, fabsf(largest(x, 32)) / 127);
	int	 k;

	for (k = 0; k < 32; k++)
		out[2 + k] = (uint8_t)quant(x[k], d, -127, 127);
}

/* A block of Q4_0. */
static void
put_q4_0(const float *x, uint8_t *out)
{
	float	 d = put_half(out, largest(x, 32) / -8);
	int	 k;

	for (k = 0; k < 16; k++)
		out[2 + k] = (uint8_t)((quant(x[k], d, -8, 7) + 8) |
		    (quant(x[k + 16], d, -8, 7) + 8) << 4);
}

/* Smallest (at most 0) and largest element of 32. */
static void
bounds(const float *x, float *min, float *max)
{
	int	 k;

	*min = 0;
	*max = x[0];
	for (k = 0; k < 32; k++) {
		*min = fminf(*min, x[k]);
		*max = fmaxf(*max, x[k]);
	}
}

/* A block of Q4_K. */
static void
put_q4_k(const float *x, uint8_t *out)
{
	float	 min[8], step[8], d, dmin, most = 0, least = 0;
	uint8_t	*s = out + 4, *q = out + 16;
	int	 j, k, scale, low;

	memset(out, 0, 144);
	for (j = 0; j < 8; j++) {
		bounds(x + 32 * j, &min[j], &step[j]);
		step[j] = (step[j] - min[j]) / 15;
		most = fmaxf(most, step[j]);
		least = fminf(least, min[j]);
	}
	d = put_half(out, most / 63);
	dmin = put_half(out + 2, -least / 63);
	for (j = 0; j < 8; j++) {
		scale = quant(step[j], d, 0, 63);
		low = quant(-min[j], dmin, 0, 63);
		if (j < 4) {
			s[j] |= (uint8_t)scale;
			s[j + 4] |= (uint8_t)low;
		} else {
			s[j + 4] |= (uint8_t)((scale & 15) | low << 4);
			s[j - 4] |= (uint8_t)(scale >> 4 << 6);
			s[j] |= (uint8_t)(low >> 4 << 6);
		}
		for (k = 0; k < 32; k++)
			q[j / 2 * 32 + k] |= (uint8_t)(quant(x[32 * j + k] +
			    dmin * (float)low, d * (float)scale, 0, 15) <<
			    j % 2 * 4);
	}
}

/* A block of Q6_K. */
static void
put_q6_k(const float *x, uint8_t *out)
{
	float	 d, most = largest(x, 256) / -32;
	int	 j, k, q, scale, half, group, at;

	memset(out, 0, 210);
	d = put_half(out + 208, most / 127);
	for (j = 0; j < 16; j++) {
		scale = quant(largest(x + 16 * j, 16) / -32, d, -127, 127);
		out[192 + j] = (uint8_t)scale;
		half = j / 8;
		group = j / 2 % 4;
		for (k = 0; k < 16; k++) {
			q = quant(x[16 * j + k], d * (float)scale, -32, 31) +
			    32;
			at = j % 2 * 16 + k;
			out[64 * half + group % 2 * 32 + at] |= (uint8_t)((q &
			    15) << group / 2 * 4);
			out[128 + 32 * half + at] |= (uint8_t)(q >> 4 <<
			    2 * group);
		}
	}
}

/* An element of a plain type. */
static void
put_plain(enum dtype t, float x, uint8_t *out)
{
	uint16_t	 b = dtype_bf16(x);
	double		 d = (double)x;

	if (t == DTYPE_F16)
		put_half(out, x);
	else if (t == DTYPE_BF16)
		memcpy(out, &b, sizeof b);
	else if (t == DTYPE_F32)
		memcpy(out, &x, sizeof x);
	else
		memcpy(out, &d, sizeof d);
}

/* Quantise whole blocks. */
void
gguf_quantise(enum dtype t, const float *in, uint8_t *out, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i += dtype_block(t), out += dtype_block_size(t))
		switch (t) {
		case DTYPE_Q8_0:
			put_q8_0(in + i, out);
			break;
		case DTYPE_Q4_0:
			put_q4_0(in + i, out);
			break;
		case DTYPE_Q4_K:
			put_q4_k(in + i, out);
			break;
		case DTYPE_Q6_K:
			put_q6_k(in + i, out);
			break;
		case DTYPE_F16:
		case DTYPE_BF16:
		case DTYPE_F32:
		case DTYPE_F64:
			put_plain(t, in[i], out);
			break;
		}
}

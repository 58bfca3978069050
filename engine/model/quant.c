/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounding weights to int8 and int4.
 */
#include "quant.h"

#include <float.h>
#include <string.h>

#include "dtype.h"

#define QUANT_HALF_MAX	65504.0f	/* of finite fp16 */

/* 1.5 * 2^23: after adding it to a float, the low bits are the nearest
 * integer. */
#define QUANT_MAGIC	12582912.0f

/* Round x to the nearest integer, ties to even. |x| is below 2^22. */
static float
quant_round(float x)
{
	return (x + QUANT_MAGIC - QUANT_MAGIC);
}

/* Round one row to int8. */
void
quant_int8(const float *w, int K, uint8_t *u, float *scale)
{
	float	 max = 0, inv;
	int	 k;

	for (k = 0; k < K; k++) {
		float	 a = w[k] < 0 ? -w[k] : w[k];

		max = a > max ? a : max;
	}
	*scale = max / 127;
	if (*scale < FLT_MIN)
		*scale = 0;	/* 1 / scale must be finite */
	inv = *scale > 0 ? 1 / *scale : 0;
	for (k = 0; k < K; k++) {
		float	 q = quant_round(w[k] * inv);

		q = q > 127 ? 127 : q < -127 ? -127 : q;
		u[k] = (uint8_t)(128 + (int)q);
	}
}

/* Round 32 numbers with scale d to q; d 0 makes all q zero. Returns the sum of
 * squared errors. */
static float
quant_try(const float *w, float d, float *q)
{
	float	 inv = d != 0 ? 1 / d : 0, err[8] = { 0 };
	int	 k, i;

	for (k = 0; k < GROUP; k += 8)
		for (i = 0; i < 8; i++) {
			float	 x = quant_round(w[k + i] * inv), e;

			x = x > 7 ? 7 : x < -8 ? -8 : x;
			e = w[k + i] - x * d;
			q[k + i] = x;
			err[i] += e * e;
		}
	return (((err[0] + err[4]) + (err[1] + err[5])) +
	    ((err[2] + err[6]) + (err[3] + err[7])));
}

/* Round one group of 32 numbers. Returns its scale as fp16. */
static uint16_t
quant_group(const float *w, uint8_t *u)
{
	/* The number with the largest |w| becomes about -8. */
	static const float	 steps[] = { -8, -8.6f, -8.3f, -7.7f, -7.4f,
				    -7, 7.4f, 7 };
	float			 max = 0, best = FLT_MAX, err, d;
	float			 q[2][GROUP] = { { 0 } };
	uint16_t		 half, out = 0;
	size_t			 i;
	int			 k;

	for (k = 0; k < GROUP; k++)
		if ((w[k] < 0 ? -w[k] : w[k]) > (max < 0 ? -max : max))
			max = w[k];
	for (i = 0; i < sizeof steps / sizeof steps[0] && max != 0; i++) {
		half = dtype_f16(max / steps[i]);
		dtype_to_f32(DTYPE_F16, &half, &d, 1);
		if ((d < 0 ? -d : d) > QUANT_HALF_MAX ||
		    (err = quant_try(w, d, q[1])) >= best)
			continue;
		best = err;
		out = half;
		memcpy(q[0], q[1], sizeof q[0]);
	}
	for (k = 0; k < GROUP; k++)
		u[k] = (uint8_t)(8 + (int)q[0][k]);
	return (out);
}

/* Round one row to int4. */
void
quant_int4(const float *w, int K, uint8_t *u, uint16_t *scale)
{
	float	 part[GROUP] = { 0 };
	int	 k;

	for (k = 0; k + GROUP <= K; k += GROUP)
		scale[k / GROUP] = quant_group(w + k, u + k);
	if (k < K) {
		memcpy(part, w + k, (size_t)(K - k) * sizeof *w);
		scale[k / GROUP] = quant_group(part, u + k);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights to small integers, a row of a matrix at a time.  The same result
 * everywhere: plain C, no contraction.
 */
#ifndef CPU_QUANT_H
#define CPU_QUANT_H

#include <stdint.h>

/* Numbers of a row that share a scale in int4. */
#define GROUP		32	/* k that share a scale in int4 */

/* The largest size of a number in int4: its scale is a finite fp16. */
#define QUANT_INT4_MAX	(65504.0f * 8)

/*
 * int8: u[k] = 128 + round(w[k] / scale), with scale = max|w| / 127. A row
 * of zeros, or of numbers so small that their scale would be a denormal, has
 * scale 0.
 */
void	quant_int8(const float *w, int K, uint8_t *u, float *scale);

/*
 * int4: for each group of 32 k, u[k] = 8 + q, q from -8 to 7, and scale[g]
 * the bits of an fp16, so that sum (w - q * scale)^2 is the least among a few
 * scales around max|w| / 8, with max|w| <= QUANT_INT4_MAX. K is a multiple
 * of 2; the last group may be short, u is filled up to 32 with 8.
 */
void	quant_int4(const float *w, int K, uint8_t *u, uint16_t *scale);

#endif

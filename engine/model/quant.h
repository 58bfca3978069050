/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounds weights to int8 and int4, one row of a matrix at a time.  It is plain
 * C without contraction, so the result is the same on every machine.
 */
#ifndef CPU_QUANT_H
#define CPU_QUANT_H

#include <stdint.h>

#define GROUP		32	/* numbers of a row with one scale in int4 */

/* The largest |w| in int4: its scale is a finite fp16. */
#define QUANT_INT4_MAX	(65504.0f * 8)

/*
 * int8: u[k] = 128 + round(w[k] / scale), with scale = max|w| / 127. If that
 * scale would be zero or a denormal, scale is 0 and u[k] is 128.
 */
void	quant_int8(const float *w, int K, uint8_t *u, float *scale);

/*
 * int4: each group g of 32 k has scale[g], the bits of an fp16, and u[k] =
 * 8 + q with q from -8 to 7. Of a few scales around max|w| / 8, the one with
 * the smallest sum of (w - q * scale)^2 is chosen. max|w| is at most
 * QUANT_INT4_MAX. K is a multiple of 2. The last group may be short; then u is
 * padded with 8 to a multiple of 32.
 */
void	quant_int4(const float *w, int K, uint8_t *u, uint16_t *scale);

#endif

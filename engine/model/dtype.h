/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Number formats of weights in files. A plain type has one element after the
 * other. The quantized types of GGUF have blocks of 32 or 256 elements, each
 * with its own scales.
 */
#ifndef MODEL_DTYPE_H
#define MODEL_DTYPE_H

#include <stddef.h>
#include <stdint.h>

#include "model.h"

#define DTYPE_BLOCK_MAX	256	/* elements of the largest block */

/* Elements of one block: 1 for plain types. */
size_t	dtype_block(enum dtype t);

/* Bytes of one block; for a plain type, of one element. */
size_t	dtype_block_size(enum dtype t);

/* "F16", "Q4_K"...: static. */
const char *dtype_name(enum dtype t);

/*
 * Convert n little-endian elements of type t at in (any alignment) to fp32; n
 * is a multiple of dtype_block(t). Plain types are exact, except F64, which is
 * rounded to nearest even and may overflow to infinity. Quantized types are
 * computed as their published layouts define, in single precision:
 *
 *   Q8_0, Q4_0  d * q
 *   Q4_K        (d * scale) * q - (dmin * min)
 *   Q6_K        (d * scale) * q
 *
 * Each product and the difference are rounded to nearest even.
 */
void	dtype_to_f32(enum dtype t, const void *in, float *out, size_t n);

/*
 * Split n elements of Q4_0 at in, without loss: the quants, -8 to 7, into q[n],
 * and the scale of each block, as the bits of a half, into d[n / 32]. Element i
 * is d[i / 32] * q[i]. n is a multiple of 32.
 */
void	dtype_q4_0(const void *in, int8_t *q, uint16_t *d, size_t n);

/* fp32 to the bits of an fp16, rounded to nearest even. Too large values become
 * infinity; NaN stays NaN. */
uint16_t dtype_f16(float x);

/* fp32 to bf16, rounded to nearest even; NaN stays NaN. */
uint16_t dtype_bf16(float x);

#endif

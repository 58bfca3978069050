/*
 * Number formats of weights in files.
 */
#ifndef MODEL_DTYPE_H
#define MODEL_DTYPE_H

#include <stddef.h>
#include <stdint.h>

#include "model.h"

/* Elements of one block, 1 but for the quantised types, and its bytes. */
size_t	dtype_block(enum dtype t);
size_t	dtype_block_size(enum dtype t);
void	dtype_q4_0(const void *in, int8_t *q, uint16_t *d, size_t n);

/*
 * Convert n little-endian elements of type t at in (any alignment) to fp32.
 * Exact, except that F64 is rounded to nearest even and may overflow to
 * infinity.
 */
void	dtype_to_f32(enum dtype t, const void *in, float *out, size_t n);

/* fp32 to the bits of an fp16, rounded to nearest even; too large becomes
 * infinity, NaN stays NaN. */
uint16_t dtype_f16(float x);

/* fp32 to bf16, rounded to nearest even; NaN stays NaN. */
uint16_t dtype_bf16(float x);

#endif

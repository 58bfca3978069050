/*
 * Number formats of weights in files.
 */
#ifndef MODEL_DTYPE_H
#define MODEL_DTYPE_H

#include <stddef.h>
#include <stdint.h>

#include "model.h"

/* Bytes of one element. */
size_t	dtype_size(enum dtype t);

/*
 * Convert n little-endian elements of type t at in (any alignment) to fp32.
 * Exact, except that F64 is rounded to nearest even and may overflow to
 * infinity.
 */
void	dtype_to_f32(enum dtype t, const void *in, float *out, size_t n);

/* fp32 to bf16, rounded to nearest even; NaN stays NaN. */
uint16_t dtype_bf16(float x);

#endif

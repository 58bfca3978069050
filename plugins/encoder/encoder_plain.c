/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loops in plain C, for any processor; the reference for the others.
 */
#include "encoder_kernels.h"

#include "encoder_lanes.h"

#define BODY_NAME	encoder_plain
#define BODY_ISA	"plain"

/* See encoder_kernels.h. */
static void
body_gemm(const struct encoder_matrix *m, uint32_t from, uint32_t to,
    const uint8_t *q8, const float *scale, const int32_t *zero, size_t rows,
    float *out, size_t ld)
{
	const int8_t	*w;
	size_t		 t, k;
	uint32_t	 j;
	int32_t		 sum;

	for (t = 0; t < rows; t++, q8 += m->k, out += ld) {
		for (j = from; j < to; j++) {
			w = m->w + (size_t)(j / 16) * 16 * m->k + j % 16 * 4;
			sum = 0;
			for (k = 0; k < m->k; k++)
				sum += q8[k] * w[k / 4 * 64 + k % 4];
			out[j - from] = (float)(sum - zero[t] * m->sums[j]) *
			    (scale[t] * m->scale[j]) + m->bias[j];
		}
	}
}

/* 16 integers, clamped to 0..255, as bytes. */
static inline __attribute__((always_inline)) void
body_bytes(v8i a, v8i b, uint8_t *out)
{
	int32_t	 v;
	int	 i;

	for (i = 0; i < 16; i++) {
		v = i < 8 ? a[i] : b[i - 8];
		out[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
	}
}

#include "encoder_body.h"

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loops in plain C, for any processor; the reference for the others.
 */
#include "encoder_kernels.h"

#include "encoder_lanes.h"

#define BODY_NAME	encoder_plain
#define BODY_ISA	"plain"

/* 16 outputs from j on, of one row. */
static void
plain_tile(const struct encoder_matrix *m, uint32_t j, const uint8_t *q8,
    float scale, int32_t zero, float *out)
{
	const int8_t	*w = m->w + (size_t)j * m->k;
	int32_t		 sum[16] = { 0 };
	size_t		 k;
	int		 c;

	for (k = 0; k < m->k; k += 4, w += 64)
		for (c = 0; c < 16; c++)
			sum[c] += q8[k] * w[4 * c] + q8[k + 1] * w[4 * c + 1] +
			    q8[k + 2] * w[4 * c + 2] +
			    q8[k + 3] * w[4 * c + 3];
	for (c = 0; c < 16; c++)
		out[c] = (float)(sum[c] - zero * m->sums[j + (uint32_t)c]) *
		    (scale * m->scale[j + (uint32_t)c]) +
		    m->bias[j + (uint32_t)c];
}

/* See encoder_kernels.h. */
static void
body_gemm(const struct encoder_matrix *m, uint32_t from, uint32_t to,
    const uint8_t *q8, const float *scale, const int32_t *zero, size_t rows,
    float *out, size_t ld)
{
	uint32_t	 j;
	size_t		 t;

	for (j = from; j < to; j += 16)
		for (t = 0; t < rows; t++)
			plain_tile(m, j, q8 + t * m->k, scale[t], zero[t],
			    out + t * ld + (j - from));
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

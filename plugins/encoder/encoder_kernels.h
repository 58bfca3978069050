/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loops of the encoder.  Each instruction set has the same ones
 * (encoder_body.h); sums of integers are exact and floats are added in the same
 * order, so all give the same bits.
 */
#ifndef ENCODER_KERNELS_H
#define ENCODER_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "encoder.h"

/* Of the weights k, k+1, k+4, k+5 of each eight (and k+2, k+3, k+6, k+7), the
 * positive ones sum up to this at most, and so do the negative ones.  With
 * inputs up to 255 four products fit into 16 bits. */
#define ENCODER_GROUP_MAX	128

struct encoder_kernels {
	const char	*name;

	/*
	 * out[t][j - from] = sum of (q8[t] - zero[t]) * w[j] * scales + bias
	 * for t below rows and from <= j < to (multiples of 16). q8 is
	 * [rows][k], out has ld floats a row.
	 */
	void	(*gemm)(const struct encoder_matrix *m, uint32_t from,
		    uint32_t to, const uint8_t *q8, const float *scale,
		    const int32_t *zero, size_t rows, float *out, size_t ld);

	/*
	 * Round rows of k floats (a multiple of 16), ld floats apart, to 8
	 * bits: (x - shift) * mul is about (q8 - zero) * scale. shift and mul
	 * may both be NULL. The rows are changed.
	 */
	void	(*quantize)(float *x, size_t ld, size_t rows, size_t k,
		    const float *shift, const float *mul, uint8_t *q8,
		    float *scale, int32_t *zero);

	/* x = LayerNorm(x + add), rows of h floats; add may be NULL. */
	void	(*norm)(float *x, const float *add, size_t rows, size_t h,
		    const float *gamma, const float *beta, float eps);

	/* x = GELU(x), n floats (a multiple of 8); error below 1e-6 |x|. */
	void	(*gelu)(float *x, size_t n);

	/*
	 * Attention of the first "queries" rows to all rows. qkv is
	 * [rows][3 H]; ctx is [queries][H]. keys and scores are work space.
	 */
	void	(*attend)(const float *qkv, size_t rows, size_t queries,
		    size_t heads, size_t d, float *keys, float *scores,
		    float *ctx);
};

extern const struct encoder_kernels	encoder_plain;
extern const struct encoder_kernels	encoder_avx2;
extern const struct encoder_kernels	encoder_vnni;

#endif
